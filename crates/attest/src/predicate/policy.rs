//! A policy's text, put on record under its digest.
//!
//! Format: `docs/formats/policy.md`, version 1.

use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, agree, read, write};

/// A policy as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// Its name.
    pub name: String,
    /// The TOML text, byte for byte.
    pub source: String,
    /// Who put it on record.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl PolicyText {
    /// Returns the digest of the text, which is the policy's identity.
    pub fn digest(&self) -> Digest {
        Digest::of(self.source.as_bytes())
    }
}

#[derive(Serialize)]
struct Body {
    version: u32,
    #[serde(flatten)]
    policy: PolicyText,
}

/// Returns the statement of a policy's text.
pub fn statement(policy: &PolicyText) -> Statement {
    write(Predicate::Policy, vec![subject(policy)], &Body { version: VERSION, policy: policy.clone() })
}

/// Reads a policy's text back; one that is not the text of its subject's digest is refused.
pub(crate) fn parse(statement: &Statement) -> Result<PolicyText, ClaimError> {
    let policy: PolicyText = read(Predicate::Policy, &statement.predicate)?;
    agree(Predicate::Policy, statement, &[subject(&policy)])?;
    Ok(policy)
}

fn subject(policy: &PolicyText) -> ResourceDescriptor {
    ResourceDescriptor::named(&policy.name, &policy.digest())
}
