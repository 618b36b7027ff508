//! A reference record: somebody vouches that an artifact of this name has this digest.
//!
//! Format: `docs/formats/reference.md`, version 1.

use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, agree, read, write};

/// A digest that an artifact should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Name of the artifact.
    pub artifact: String,
    /// The digest that it should have.
    pub digest: Digest,
    /// The commit that it is the reference for; `None` means every build of that name, until a newer record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Where the digest was published: a URL, or words.
    pub origin: String,
    /// Who recorded it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

#[derive(Serialize)]
struct Body {
    version: u32,
    #[serde(flatten)]
    reference: Reference,
}

/// Returns the statement of a reference record.
pub fn statement(reference: &Reference) -> Statement {
    write(Predicate::Reference, vec![subject(reference)], &Body { version: VERSION, reference: reference.clone() })
}

/// Reads a reference record back.
pub(crate) fn parse(statement: &Statement) -> Result<Reference, ClaimError> {
    let reference: Reference = read(Predicate::Reference, &statement.predicate)?;
    agree(Predicate::Reference, statement, &[subject(&reference)])?;
    Ok(reference)
}

fn subject(reference: &Reference) -> ResourceDescriptor {
    ResourceDescriptor::named(&reference.artifact, &reference.digest)
}
