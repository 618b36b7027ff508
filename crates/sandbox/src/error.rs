//! What can go wrong with a run, apart from a step that fails.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::outcome::Refusal;
use crate::plan::Level;

/// Why a run has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The plan cannot be run anywhere.
    #[error("plan refused: {what}")]
    Plan {
        /// Which part, and what is allowed.
        what: String,
    },
    /// This machine does not allow the level that was asked for.
    #[error("this machine does not allow the sandbox level `{minimum}`{}", told(.refused))]
    Level {
        /// The weakest level that was acceptable.
        minimum: Level,
        /// What was tried, and how each was refused.
        refused: Vec<Refusal>,
    },
    /// Preparing or running inside failed.
    #[error("{what}{}: {reason}", quoted(.place))]
    Setup {
        /// What was being done.
        what: String,
        /// To what; empty when there is no path.
        place: String,
        /// The kernel's answer.
        reason: String,
    },
    /// A host file could not be used.
    #[error("{what} `{}`", .path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The supervisor ended before it could tell the outcome; the kernel killed everything inside with it.
    #[error("the sandbox's supervisor ended early: {how}")]
    Died {
        /// Exit code or signal.
        how: String,
    },
    /// The supervisor said something that this version does not understand.
    #[error("the sandbox's supervisor sent what cannot be read: {what}")]
    Protocol {
        /// What.
        what: String,
    },
}

impl SandboxError {
    /// Returns what would help, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Level { refused, .. } => refused.iter().find_map(|refusal| refusal.hint.clone()),
            _ => None,
        }
    }
}

fn told(refused: &[Refusal]) -> String {
    refused.iter().map(|one| format!("; `{}`: {}: {}", one.level, one.what, one.reason)).collect()
}

fn quoted(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" `{place}`") }
}

/// An error as it crosses from the supervisor, or from init, to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// No level from the ceiling down to the minimum works.
    Level {
        /// The weakest level that was acceptable.
        minimum: Level,
        /// What was tried.
        refused: Vec<Refusal>,
    },
    /// Something failed that no weaker level would cure.
    Setup {
        /// What was being done.
        what: String,
        /// To what.
        place: String,
        /// The kernel's answer.
        reason: String,
    },
}

impl Failure {
    pub(crate) fn setup(what: &str, place: &str, reason: impl std::fmt::Display) -> Self {
        Self::Setup { what: what.to_owned(), place: place.to_owned(), reason: reason.to_string() }
    }
}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Level { minimum, refused } => Self::Level { minimum, refused },
            Failure::Setup { what, place, reason } => Self::Setup { what, place, reason },
        }
    }
}
