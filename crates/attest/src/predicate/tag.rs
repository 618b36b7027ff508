//! A tag that was made, moved or deleted.
//!
//! Format: `docs/formats/tag.md`, version 1. The subject is what the tag points to now, or pointed to when deleted.

use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, agree, read, write};

/// A tag's step from one manifest to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Repository, without host.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What happened to it.
    pub change: Change,
    /// Name of the token, or of the user, that did it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// What happened to a tag; on the wire `from` and `to`, one of which may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Made {
        /// Manifest it points to.
        to: Digest,
    },
    /// It was moved.
    Moved {
        /// Manifest it pointed to.
        from: Digest,
        /// Manifest it points to.
        to: Digest,
    },
    /// It was deleted.
    Deleted {
        /// Manifest it pointed to.
        from: Digest,
    },
}

impl Change {
    /// Makes a step from its two ends; `None` when there is neither.
    pub fn new(from: Option<Digest>, to: Option<Digest>) -> Option<Change> {
        Some(match (from, to) {
            (None, Some(to)) => Change::Made { to },
            (Some(from), Some(to)) => Change::Moved { from, to },
            (Some(from), None) => Change::Deleted { from },
            (None, None) => return None,
        })
    }

    /// Returns what the tag pointed to before.
    pub fn from(self) -> Option<Digest> {
        match self {
            Change::Made { .. } => None,
            Change::Moved { from, .. } | Change::Deleted { from } => Some(from),
        }
    }

    /// Returns what the tag points to now.
    pub fn to(self) -> Option<Digest> {
        match self {
            Change::Made { to } | Change::Moved { to, .. } => Some(to),
            Change::Deleted { .. } => None,
        }
    }

    /// Returns the manifest that the step is about.
    pub fn about(self) -> Digest {
        match self {
            Change::Made { to } | Change::Moved { to, .. } => to,
            Change::Deleted { from } => from,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Body {
    version: u32,
    repository: String,
    tag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Digest>,
    actor: String,
    at: Timestamp,
}

/// Returns the statement of a tag's step.
pub fn statement(tag: &Tag) -> Statement {
    let body = Body {
        version: VERSION,
        repository: tag.repository.clone(),
        tag: tag.tag.clone(),
        from: tag.change.from(),
        to: tag.change.to(),
        actor: tag.actor.clone(),
        at: tag.at,
    };
    write(Predicate::Tag, vec![subject(tag)], &body)
}

/// Reads a tag's step back.
pub(crate) fn parse(statement: &Statement) -> Result<Tag, ClaimError> {
    let body: Body = read(Predicate::Tag, &statement.predicate)?;
    let change = Change::new(body.from, body.to).ok_or_else(|| {
        ClaimError::value(Predicate::Tag, "to", "nothing", "enough: a step needs `from`, `to` or both")
    })?;
    let tag = Tag { repository: body.repository, tag: body.tag, change, actor: body.actor, at: body.at };
    agree(Predicate::Tag, statement, &[subject(&tag)])?;
    Ok(tag)
}

fn subject(tag: &Tag) -> ResourceDescriptor {
    ResourceDescriptor::named(&format!("{}:{}", tag.repository, tag.tag), &tag.change.about())
}
