//! From bytes that anybody could have sent to statements that can be relied on, and back into bundles.
//!
//! The order is always: signature, then payload type, then statement, then predicate, then log. Nothing of a payload
//! is looked at before its signature was found good. A signer is known by a key, or by a certificate of an authority in
//! the trust root ([`crate::keyless`]); a bundle of a key with time-stamps is refused, since nothing there needs them.

use sign::trust::{self, Role, Trust, TrustError};
use tlog::{LogError, Logged, Receipt};
use wire::digest::Digest;
use wire::dsse::{Envelope, IN_TOTO};
use wire::in_toto::{Statement, StatementError};
use wire::rekor::BodyError;
use wire::sigstore_bundle::{Bundle, Content, Signer, VerificationMaterial};
use wire::timestamp::Timestamp;

use crate::claim::{Claim, ClaimError};
use crate::keyless::{self, KeylessError};
use crate::predicate::Predicate;

/// A value whose signature was found good. Only this module makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified<T> {
    value: T,
    identity: String,
    roles: Vec<Role>,
    key: Digest,
    envelope: Digest,
    payload: Digest,
}

impl<T> Verified<T> {
    /// Returns the value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Returns the name that the trust root gives the signer.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Returns the roles that the trust root gives the signer.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Returns the SHA-256 of the signer's public key.
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// Returns the digest of the envelope's canonical JSON: the blob that it is stored as.
    pub fn envelope(&self) -> &Digest {
        &self.envelope
    }

    /// Returns the digest of the payload: the statement's name in the chain.
    pub fn payload(&self) -> &Digest {
        &self.payload
    }
}

/// A verified statement, what it claims, and where it was logged.
///
/// Made by [`open`] and [`unlogged`] alone, and never changed.
#[derive(Clone, Debug)]
pub struct Attestation {
    statement: Verified<Statement>,
    claim: Claim,
    logged: Option<Logged>,
}

impl Attestation {
    /// Returns the statement.
    pub fn statement(&self) -> &Verified<Statement> {
        &self.statement
    }

    /// Returns what the statement claims.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Returns where it was logged; `None` when there is no proof of that.
    pub fn logged(&self) -> Option<&Logged> {
        self.logged.as_ref()
    }

    /// Returns whether its signer has the role that such a statement takes.
    ///
    /// One without is a fact to show, and no evidence. What assay does not judge needs no role.
    pub fn authorised(&self) -> bool {
        self.claim.predicate().is_none_or(|predicate: Predicate| self.statement.roles.contains(&predicate.role()))
    }
}

/// Why an envelope is not a statement that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No key that is trusted now made the signature.
    #[error("checking the signature of envelope {envelope}")]
    Trust {
        /// Digest of the envelope.
        envelope: Digest,
        /// What is wrong.
        #[source]
        source: TrustError,
    },
    /// Signed well, but no in-toto statement.
    #[error("payload type `{found}` of envelope {envelope}: expected `{IN_TOTO}`")]
    PayloadType {
        /// Digest of the envelope.
        envelope: Digest,
        /// The start of the type found.
        found: String,
    },
    /// Signed well, and not readable.
    #[error("reading the statement in envelope {envelope}")]
    Statement {
        /// Digest of the envelope.
        envelope: Digest,
        /// What is wrong.
        #[source]
        source: StatementError,
    },
}

/// Why a bundle is no attestation.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The bundle is about a blob.
    #[error("the bundle holds a signature over a blob: expected a DSSE envelope")]
    Content,
    /// The certificate, its times or its log entry.
    #[error("checking the certificate of envelope {envelope}")]
    Keyless {
        /// Digest of the envelope.
        envelope: Digest,
        /// What is wrong.
        #[source]
        source: Box<KeylessError>,
    },
    /// The bundle of a key has time-stamps.
    #[error("the bundle has {count} time-stamps: a key's signature needs none, so none is checked")]
    Timestamps {
        /// How many it has.
        count: usize,
    },
    /// Not exactly one log entry.
    #[error("the bundle has {count} log entries: expected exactly one")]
    Entries {
        /// How many it has.
        count: usize,
    },
    /// Signature or statement.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A predicate of ours that is malformed.
    #[error("reading the predicate in envelope {envelope}")]
    Claim {
        /// Digest of the envelope.
        envelope: Digest,
        /// What is wrong.
        #[source]
        source: Box<ClaimError>,
    },
    /// The proof that it was logged.
    #[error("checking the log entry of envelope {envelope}")]
    Log {
        /// Digest of the envelope.
        envelope: Digest,
        /// What is wrong.
        #[source]
        source: Box<LogError>,
    },
    /// Log entry and trust root name different keys for one signature.
    #[error("envelope {envelope} is signed by the key of `{identity}` and logged under another")]
    Key {
        /// Digest of the envelope.
        envelope: Digest,
        /// Whose key signed it.
        identity: String,
    },
}

/// Checks an envelope's signature against the trust root, then reads its statement.
pub fn verify(envelope: &Envelope, trust: &Trust, now: Timestamp) -> Result<Verified<Statement>, VerifyError> {
    let digest = Digest::of(&envelope.to_json());
    let (identity, _payload) =
        trust::open(envelope, trust, now).map_err(|source| VerifyError::Trust { envelope: digest, source })?;
    let signer = Known { identity: &identity.name, roles: &identity.roles, key: identity.key.id() };
    read(envelope, digest, &signer)
}

/// Who was found to have signed.
struct Known<'a> {
    identity: &'a str,
    roles: &'a [Role],
    key: Digest,
}

/// Reads the statement of an envelope whose signature was found good.
fn read(envelope: &Envelope, digest: Digest, signer: &Known<'_>) -> Result<Verified<Statement>, VerifyError> {
    if envelope.payload_type != IN_TOTO {
        let found = envelope.payload_type.chars().take(100).collect();
        return Err(VerifyError::PayloadType { envelope: digest, found });
    }
    let value =
        Statement::parse(&envelope.payload).map_err(|source| VerifyError::Statement { envelope: digest, source })?;
    Ok(Verified {
        value,
        identity: signer.identity.to_owned(),
        roles: signer.roles.to_vec(),
        key: signer.key,
        envelope: digest,
        payload: Digest::of(&envelope.payload),
    })
}

/// Opens an envelope that no log proof came with.
pub fn unlogged(envelope: &Envelope, trust: &Trust, now: Timestamp) -> Result<Attestation, OpenError> {
    unproven(verify(envelope, trust, now)?)
}

/// Reads what a verified statement claims.
fn unproven(statement: Verified<Statement>) -> Result<Attestation, OpenError> {
    let claim = Claim::parse(statement.value())
        .map_err(|source| OpenError::Claim { envelope: *statement.envelope(), source: Box::new(source) })?;
    Ok(Attestation { statement, claim, logged: None })
}

/// Opens a bundle: its envelope, and the proof that a trusted log holds it.
///
/// The key hint is passed over: it proves nothing, and nothing rests on it. Whatever else the bundle says is checked or
/// refused, so that nobody reads in a verified bundle what nobody signed.
pub fn open(bundle: &Bundle, trust: &Trust, now: Timestamp) -> Result<Attestation, OpenError> {
    let Content::Envelope(envelope) = &bundle.content else { return Err(OpenError::Content) };
    if let Signer::Certificate(_) = &bundle.verification_material.signer {
        return open_certified(bundle, envelope, trust, now);
    }
    if !bundle.verification_material.timestamps.is_empty() {
        return Err(OpenError::Timestamps { count: bundle.verification_material.timestamps.len() });
    }
    let [entry] = bundle.verification_material.tlog_entries.as_slice() else {
        return Err(OpenError::Entries { count: bundle.verification_material.tlog_entries.len() });
    };
    let mut attestation = unlogged(envelope, trust, now)?;
    let signed = &attestation.statement;
    let logged = tlog::verify(entry, envelope, trust, now)
        .map_err(|source| OpenError::Log { envelope: signed.envelope, source: Box::new(source) })?;
    if logged.key_id() != &signed.key {
        return Err(OpenError::Key { envelope: signed.envelope, identity: signed.identity.clone() });
    }
    attestation.logged = Some(logged);
    Ok(attestation)
}

/// Opens a bundle whose signer has a certificate: the authorities, the time and the log are the trust root's, and the
/// name and roles are those of its identity.
fn open_certified(
    bundle: &Bundle,
    envelope: &Envelope,
    trust: &Trust,
    now: Timestamp,
) -> Result<Attestation, OpenError> {
    let count = bundle.verification_material.tlog_entries.len();
    let digest = Digest::of(&envelope.to_json());
    let signed = keyless::verify_signer(bundle, None, &trust.authorities(), now)
        .map_err(|source| OpenError::Keyless { envelope: digest, source: Box::new(source) })?;
    let [logged] = signed.logged() else { return Err(OpenError::Entries { count }) };
    let no_time = || OpenError::Keyless { envelope: digest, source: Box::new(KeylessError::NoTime) };
    let subject = signed.subject().ok_or_else(no_time)?;
    // The signature is older than each of its times.
    let signed_at = signed.times().iter().map(|time| time.at).min().ok_or_else(no_time)?;
    let identity =
        trust.certified(subject, signed_at, now).map_err(|source| VerifyError::Trust { envelope: digest, source })?;
    let signer = Known { identity: &identity.name, roles: &identity.roles, key: *signed.key() };
    let mut attestation = unproven(read(envelope, digest, &signer)?)?;
    attestation.logged = Some(logged.clone());
    Ok(attestation)
}

/// Puts an envelope and the receipt of its log entry into a bundle; `hint` helps a reader find the key and proves
/// nothing. Fails when the receipt is of an entry that bundles do not have, such as one of our index.
pub fn bundle(envelope: &Envelope, receipt: &Receipt, hint: &str) -> Result<Bundle, BodyError> {
    Ok(Bundle {
        verification_material: VerificationMaterial {
            signer: Signer::PublicKey { hint: hint.to_owned() },
            tlog_entries: vec![receipt.to_log_entry()?],
            timestamps: Vec::new(),
        },
        content: Content::Envelope(envelope.clone()),
    })
}
