//! Access: a token was given a role for some repositories, or lost it.
//!
//! Format: `docs/formats/grant.md`, version 1. The token itself never stands in a statement, only its SHA-256.

use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, agree, read, write};

/// A role given to a token, or taken from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// SHA-256 of the token.
    pub token: Digest,
    /// Name for people: whose token it is.
    pub name: String,
    /// `reader`, `publisher`, `deployer` or `admin`.
    pub role: String,
    /// Patterns of the repositories that it holds for.
    pub repositories: Vec<String>,
    /// Given or taken.
    pub action: Action,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// What a [`Grant`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The role is given.
    Grant,
    /// The role is taken.
    Revoke,
}

/// The roles of access.
const ROLES: [&str; 4] = ["reader", "publisher", "deployer", "admin"];

#[derive(Serialize)]
struct Body {
    version: u32,
    #[serde(flatten)]
    grant: Grant,
}

/// Returns the statement of a grant or a revocation.
pub fn statement(grant: &Grant) -> Statement {
    write(Predicate::Grant, vec![subject(grant)], &Body { version: VERSION, grant: grant.clone() })
}

/// Reads a grant or a revocation back.
pub(crate) fn parse(statement: &Statement) -> Result<Grant, ClaimError> {
    let grant: Grant = read(Predicate::Grant, &statement.predicate)?;
    if !ROLES.contains(&grant.role.as_str()) {
        let allowed = "`reader`, `publisher`, `deployer` or `admin`";
        return Err(ClaimError::value(Predicate::Grant, "role", &grant.role, allowed));
    }
    agree(Predicate::Grant, statement, &[subject(&grant)])?;
    Ok(grant)
}

fn subject(grant: &Grant) -> ResourceDescriptor {
    ResourceDescriptor::named(&grant.name, &grant.token)
}
