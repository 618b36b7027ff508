//! A cast of signers and a log, freshly made: real keys, real signatures, real proofs.
//!
//! Tests of whatever takes an [`Attestation`] need one, and there is no other way to make one than to sign and to open.

use std::collections::BTreeMap;

use sign::trust::{Identity, LogIdentity, Role, Trust};
use sign::{KeyError, LogKey, SigningKey};
use tlog::{Head, Receipt};
use wire::dsse::{Envelope, IN_TOTO};
use wire::in_toto::Statement;
use wire::sigstore_bundle::Bundle;

use super::time;
use crate::open::{Attestation, OpenError, bundle, open, unlogged};

/// Signers by name, a log, and the trust root that accepts them.
pub struct Scene {
    keys: BTreeMap<String, SigningKey>,
    log: LogKey,
    head: Head,
    trust: Trust,
}

/// The signers of a new scene: one for each role, and more builders.
const CAST: [(&str, Role); 9] = [
    ("builder-full", Role::Builder),
    ("builder-no-proc", Role::Builder),
    ("builder-trace-only", Role::Builder),
    ("tester", Role::Tester),
    ("second-tester", Role::Tester),
    ("publisher", Role::Publisher),
    ("verifier", Role::Verifier),
    ("deployer", Role::Deployer),
    ("admin", Role::Admin),
];

impl Scene {
    /// Makes keys for the cast and an empty log with this origin.
    pub fn new(origin: &str) -> Result<Scene, KeyError> {
        let mut keys = BTreeMap::new();
        let mut trust = Trust::default();
        for (name, role) in CAST {
            let key = SigningKey::generate()?;
            trust.identities.push(Identity {
                name: name.to_owned(),
                key: key.public().clone(),
                roles: vec![role],
                valid_from: time(-1_000_000),
                valid_until: None,
                revoked_at: None,
            });
            keys.insert(name.to_owned(), key);
        }
        let log = LogKey::generate()?;
        trust.logs.push(LogIdentity {
            origin: origin.to_owned(),
            key: log.public().clone(),
            valid_from: time(-1_000_000),
            valid_until: None,
        });
        Ok(Scene { keys, log, head: Head::empty(origin), trust })
    }

    /// Returns the trust root.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Returns the trust root, to change it.
    pub fn trust_mut(&mut self) -> &mut Trust {
        &mut self.trust
    }

    /// Signs a statement.
    ///
    /// # Panics
    /// If nobody of that name is in the cast.
    pub fn sign(&self, name: &str, statement: &Statement) -> Envelope {
        sign::seal(IN_TOTO, &statement.to_json(), self.key(name))
    }

    /// Logs an envelope that `name` signed.
    ///
    /// # Panics
    /// If nobody of that name is in the cast.
    pub fn log(&mut self, name: &str, envelope: &Envelope) -> Receipt {
        let leaf = tlog::entry::attestation(envelope, self.key(name).public()).expect("a sample's entry is small");
        let step = tlog::step(&self.head, std::slice::from_ref(&leaf), &self.log);
        self.head = step.head.clone();
        step.receipt(step.first, leaf.bytes())
    }

    /// Signs and logs a statement, and puts both into a bundle.
    pub fn bundle(&mut self, name: &str, statement: &Statement) -> Bundle {
        let envelope = self.sign(name, statement);
        let receipt = self.log(name, &envelope);
        bundle(&envelope, &receipt, &envelope.signature.keyid)
            .expect("an attestation's entry has its place in a bundle")
    }

    /// Signs, logs and opens a statement.
    pub fn logged(&mut self, name: &str, statement: &Statement) -> Result<Attestation, OpenError> {
        open(&self.bundle(name, statement), &self.trust, time(0))
    }

    /// Signs and opens a statement that no log holds.
    pub fn unlogged(&self, name: &str, statement: &Statement) -> Result<Attestation, OpenError> {
        unlogged(&self.sign(name, statement), &self.trust, time(0))
    }

    fn key(&self, name: &str) -> &SigningKey {
        self.keys.get(name).expect("the caller names one of the cast")
    }
}
