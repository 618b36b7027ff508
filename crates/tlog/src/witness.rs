//! What a witness does with a checkpoint: the pure step between what it saw last and what it cosigns next.
//!
//! Specification: C2SP tlog-witness <https://c2sp.org/tlog-witness>, `add-checkpoint`.
//!
//! [`check`] decides and computes; whoever holds the record of what was seen must compare and persist [`Accepted::seen`]
//! as one act, and only then sign and answer. Two requests that were both checked against the same record must not both
//! be persisted: the second would roll the log back.
//!
//! | refusal | status |
//! | --- | --- |
//! | [`Refusal::Form`], [`Refusal::Older`] | 400 |
//! | [`Refusal::UnknownLog`] | 404 |
//! | [`Refusal::Signature`] | 403 |
//! | [`Refusal::Seen`] | 409, the size as `text/x.tlog.size` |
//! | [`Refusal::Proof`] | 422 |

use sign::cosignature::{CosignatureError, Cosigned, WitnessKey};
use sign::note::{self, NoteKey};
use wire::note::{Note, Signature};
use wire::timestamp::Timestamp;
use wire::tlog_witness::{AddCheckpoint, RequestError};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merkle::{self, Hash, ProofError};

/// The newest checkpoint of a log that a witness has cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Seen {
    /// What a witness has seen of a log that it never cosigned.
    pub fn nothing() -> Seen {
        Seen { size: 0, root: merkle::empty_root() }
    }
}

/// A checkpoint that continues what was seen. Only [`check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    body: String,
    signed: String,
    checkpoint: Checkpoint,
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// The request is malformed.
    #[error("reading the request")]
    Form(#[source] FormError),
    /// The log is none of those that this witness follows.
    #[error("log `{0}` is not known here")]
    UnknownLog(String),
    /// No trusted key signed it, or a trusted key's signature is wrong.
    #[error("checking the checkpoint's signature")]
    Signature(#[source] note::NoteError),
    /// The checkpoint is smaller than the size that the request starts from.
    #[error("the checkpoint has {size} entries, fewer than the old size {old}")]
    Older {
        /// The request's old size.
        old: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The old size is not what was cosigned last.
    #[error("the request starts from size {old}, but the newest cosigned checkpoint has {seen} entries")]
    Seen {
        /// The request's old size.
        old: u64,
        /// What was cosigned last.
        seen: u64,
    },
    /// The log does not continue what was seen: it was rewritten, or the proof is wrong.
    #[error("the checkpoint of {size} entries does not continue the one of {old} that was cosigned")]
    Proof {
        /// What was cosigned last.
        old: u64,
        /// The checkpoint's size.
        size: u64,
        /// Why not.
        #[source]
        source: ProofError,
    },
}

/// What is malformed in a request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FormError {
    /// The lines before the checkpoint.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The signed note.
    #[error("reading the checkpoint's note")]
    Note(#[from] wire::note::NoteError),
    /// The checkpoint in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl Refusal {
    /// Whether the request proves that the log signed two histories: worth keeping.
    pub fn is_evidence(&self) -> bool {
        matches!(self, Refusal::Proof { source: ProofError::Root, .. })
    }
}

impl<E: Into<FormError>> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal::Form(error.into())
    }
}

/// Returns the origin that a request is about, so that its record can be found. Nothing about it has been checked.
pub fn origin(request: &AddCheckpoint) -> Result<String, Refusal> {
    Ok(Checkpoint::parse(&Note::parse(&request.checkpoint)?.body)?.origin)
}

/// Decides about a request: `keys` are those that are trusted for its origin (several while a log's key is rotated, all
/// under the origin's name), `seen` is the record of that origin.
pub fn check(request: &AddCheckpoint, keys: &[NoteKey], seen: &Seen) -> Result<Accepted, Refusal> {
    let note = Note::parse(&request.checkpoint)?;
    let checkpoint = Checkpoint::parse(&note.body)?;
    let keys: Vec<NoteKey> = keys.iter().filter(|key| key.name() == checkpoint.origin).cloned().collect();
    if keys.is_empty() {
        return Err(Refusal::UnknownLog(checkpoint.origin));
    }
    note::verify(&request.checkpoint, &keys).map_err(Refusal::Signature)?;
    let (old, size) = (request.old, checkpoint.size);
    if old > size {
        return Err(Refusal::Older { old, size });
    }
    if old != seen.size {
        return Err(Refusal::Seen { old, seen: seen.size });
    }
    let proof = |source| Refusal::Proof { old, size, source };
    merkle::verify_consistency(old, size, &seen.root, &checkpoint.root, &request.proof).map_err(proof)?;
    // From nothing every root follows, so the root of nothing is compared by itself.
    if size == 0 && checkpoint.root != merkle::empty_root() {
        return Err(proof(ProofError::Root));
    }
    Ok(Accepted { body: note.body, signed: request.checkpoint.clone(), checkpoint })
}

impl Accepted {
    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// Returns what must be on record before anybody signs.
    pub fn seen(&self) -> Seen {
        Seen { size: self.checkpoint.size, root: self.checkpoint.root }
    }

    /// Returns the checkpoint with the log's signatures, as it came.
    pub fn signed(&self) -> &str {
        &self.signed
    }

    /// Cosigns; only after [`Accepted::seen`] is durable.
    pub fn cosign(&self, key: &WitnessKey, now: Timestamp) -> Result<Signature, CosignatureError> {
        let Checkpoint { origin, size, root } = &self.checkpoint;
        key.cosign(&Cosigned { body: &self.body, origin, size: *size, root }, now)
    }
}

#[cfg(test)]
mod tests;
