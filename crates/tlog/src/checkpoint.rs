//! Checkpoints: a log's signed statement of its size and root.
//!
//! Specification: C2SP tlog-checkpoint <https://c2sp.org/tlog-checkpoint>, a signed note named by the log's origin.
//!
//! ```text
//! example.org/log
//! 2
//! q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
//!
//! — example.org/log nUv1fkyC7Qi…
//! ```
//!
//! Extension lines are read past, as the specification asks, and never written.

use sign::LogKey;
use sign::note::{self, NoteError, NoteKey};
use wire::base64;

use crate::merkle::Hash;

/// The size and root of a log at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// Why a text is no checkpoint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The signatures are not good.
    #[error("checking a checkpoint's signature")]
    Note(#[from] NoteError),
    /// A line is missing or malformed.
    #[error("checkpoint has a malformed {0}")]
    Form(&'static str),
    /// It speaks for another log than the key's.
    #[error("checkpoint is of `{found}` but signed with the key of `{expected}`")]
    Origin {
        /// First line of the checkpoint.
        found: String,
        /// Name of the key.
        expected: String,
    },
}

impl Checkpoint {
    /// Returns the text that is signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64::encode(&self.root))
    }

    /// Parses the text that is signed. It has been checked by nobody; for that is [`Checkpoint::open`].
    pub fn parse(body: &str) -> Result<Checkpoint, CheckpointError> {
        let body = body.strip_suffix('\n').ok_or(CheckpointError::Form("end"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Form("origin"))?;
        let size = lines.next().and_then(parse_size).ok_or(CheckpointError::Form("size"))?;
        let root = lines.next().and_then(|line| base64::decode(line).ok());
        let root = root.and_then(|root| Hash::try_from(root).ok()).ok_or(CheckpointError::Form("root"))?;
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Form("extension line"));
        }
        Ok(Checkpoint { origin: origin.to_owned(), size, root })
    }

    /// Returns the signed note.
    pub fn sign(&self, key: &LogKey) -> String {
        note::sign(key, &self.origin, &self.body())
    }

    /// Parses a signed note after checking that this log's key signed it.
    pub fn open(text: &str, log: &NoteKey) -> Result<Checkpoint, CheckpointError> {
        let note = note::verify(text, std::slice::from_ref(log))?;
        let checkpoint = Checkpoint::parse(note.body())?;
        if checkpoint.origin != log.name() {
            return Err(CheckpointError::Origin { found: checkpoint.origin, expected: log.name().to_owned() });
        }
        Ok(checkpoint)
    }
}

/// A decimal number without leading zeros, at most 2⁶³ − 1.
fn parse_size(line: &str) -> Option<u64> {
    let size: u64 = line.parse().ok()?;
    (size.to_string() == line && i64::try_from(size).is_ok()).then_some(size)
}

#[cfg(test)]
mod tests;
