//! A publication: a registry took in a manifest.
//!
//! Format: `docs/formats/publication.md`, version 1.

use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, agree, read, write};

/// A manifest that a registry took in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Repository, without host: `greeter`.
    pub repository: String,
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Origin of the log in which the artifact's own statements stand; `None` when it came without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Name of the token, or of the user, that pushed it.
    pub actor: String,
    /// When the registry accepted it.
    pub at: Timestamp,
}

#[derive(Serialize)]
struct Body {
    version: u32,
    #[serde(flatten)]
    publication: Publication,
}

/// Returns the statement of a publication.
pub fn statement(publication: &Publication) -> Statement {
    let body = Body { version: VERSION, publication: publication.clone() };
    write(Predicate::Publication, vec![subject(publication)], &body)
}

/// Reads a publication back.
pub(crate) fn parse(statement: &Statement) -> Result<Publication, ClaimError> {
    let publication: Publication = read(Predicate::Publication, &statement.predicate)?;
    agree(Predicate::Publication, statement, &[subject(&publication)])?;
    Ok(publication)
}

fn subject(publication: &Publication) -> ResourceDescriptor {
    ResourceDescriptor::named(&publication.repository, &publication.manifest)
}
