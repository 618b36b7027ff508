//! An identity, or all of an issuer's, gets no further certificates, and what they sign from then on does not count.
//!
//! Format: `docs/formats/revocation.md`, version 1.

use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, agree, read, write};

/// Certificates are no longer given to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// URL of the issuer of identity tokens.
    pub issuer: String,
    /// The name in certificates; all of the issuer's if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// From here on nothing counts.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Who did it.
    pub actor: String,
}

#[derive(Serialize)]
struct Body {
    version: u32,
    #[serde(flatten)]
    revocation: Revocation,
}

/// Returns the statement of a revocation.
pub fn statement(revocation: &Revocation) -> Statement {
    let body = Body { version: VERSION, revocation: revocation.clone() };
    write(Predicate::Revocation, vec![subject(revocation)], &body)
}

/// Reads a revocation back.
pub(crate) fn parse(statement: &Statement) -> Result<Revocation, ClaimError> {
    let revocation: Revocation = read(Predicate::Revocation, &statement.predicate)?;
    // An empty subject would be nobody's where the whole issuer was meant.
    if revocation.issuer.is_empty() {
        return Err(ClaimError::value(Predicate::Revocation, "issuer", "", "an issuer's URL"));
    }
    if revocation.subject.as_deref() == Some("") {
        return Err(ClaimError::value(Predicate::Revocation, "subject", "", "a name, or absent"));
    }
    agree(Predicate::Revocation, statement, &[subject(&revocation)])?;
    Ok(revocation)
}

/// An identity has no bytes of its own: its digest is that of both texts with a line feed between.
fn subject(revocation: &Revocation) -> ResourceDescriptor {
    let name = revocation.subject.as_deref().unwrap_or_default();
    ResourceDescriptor::named("identity", &Digest::of(format!("{}\n{name}", revocation.issuer).as_bytes()))
}
