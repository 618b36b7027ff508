//! Checking that something is logged: a bundle's entry against its content and the logs that are trusted.
//!
//! Everything that an entry states is compared, also what other fields imply: some verifiers forget that `rootHash` and
//! `treeSize` must be the checkpoint's. What cannot be checked is refused: a claimed time or promise that nobody we
//! know has signed.

pub mod keyless;

use sign::PublicKey;
use sign::note::NoteKey;
use sign::trust::{LogIdentity, Trust};
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::rekor::{Body, BodyError};
use wire::sigstore_bundle::{InclusionProof, KindVersion, TransparencyLogEntry};
use wire::timestamp::Timestamp;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::entry::{self, EntryError};
use crate::index::{IndexEntry, IndexError};
use crate::merkle::{self, Hash, ProofError};

/// The fact that something stands in a trusted log. Only [`verify`], [`verify_blob`] and
/// [`keyless::verify`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    origin: String,
    log_id: Digest,
    index: u64,
    size: u64,
    key_id: Digest,
    checkpoint: String,
}

/// Why an entry does not show that something is logged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `logId` names no trusted log.
    #[error("logged in an unknown log (logId `{0}`)")]
    UnknownLog(String),
    /// The log's key does not count at this time.
    #[error("log `{origin}` is not accepted at {now}")]
    NotValid {
        /// Which log.
        origin: String,
        /// The time that was asked about.
        now: Timestamp,
    },
    /// `inclusionPromise` or `integratedTime` is set.
    #[error("log entry has `{0}`, which no trusted log signs")]
    Unsigned(&'static str),
    /// `canonicalizedBody` is no entry.
    #[error("reading `canonicalizedBody` of a log entry")]
    Body(#[from] BodyError),
    /// `kindVersion` is not the body's.
    #[error("log entry states kind `{stated}` but its body is `{found}`")]
    Kind {
        /// What `kindVersion` says.
        stated: String,
        /// What the body says.
        found: String,
    },
    /// `canonicalizedBody` is no index entry.
    #[error("reading an index entry")]
    IndexEntry(#[from] IndexError),
    /// An index entry that does not stand right after the entry that it is about.
    #[error("index entry {index} is about entry {entry}, which it does not follow")]
    Apart {
        /// Position of the index entry.
        index: u64,
        /// Position that it names.
        entry: u64,
    },
    /// The body belongs to other content.
    #[error("comparing a log entry with the content")]
    Entry(#[from] EntryError),
    /// The entry's `logIndex` is not the proof's.
    #[error("log entry states `logIndex` {entry} but its proof is for {proof}")]
    Index {
        /// The entry's.
        entry: u64,
        /// The proof's.
        proof: u64,
    },
    /// A hash that is not 32 bytes long.
    #[error("log entry's `{0}` has a hash that is not 32 bytes long")]
    HashSize(&'static str),
    /// The checkpoint is not good.
    #[error("checking the log's checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// `treeSize` is not the checkpoint's.
    #[error("inclusion proof states `treeSize` {proof} but its checkpoint has {checkpoint}")]
    TreeSize {
        /// The proof's.
        proof: u64,
        /// The checkpoint's.
        checkpoint: u64,
    },
    /// `rootHash` is not the checkpoint's.
    #[error("inclusion proof's `rootHash` is not the root of its checkpoint")]
    RootHash,
    /// The hashes do not lead to the root.
    #[error("checking the inclusion proof of entry {index}")]
    Proof {
        /// Position of the entry.
        index: u64,
        /// What is wrong with it.
        #[source]
        source: ProofError,
    },
}

impl Logged {
    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the log's id.
    pub fn log_id(&self) -> &Digest {
        &self.log_id
    }

    /// Returns the position of the entry.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Returns the size of the tree in which it was shown to be.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the signed note of that tree: the log's signature is good; cosignatures under it are checked by
    /// [`crate::quorum::Quorum::check`].
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Returns the id of the key that the entry names as the signer's.
    pub fn key_id(&self) -> &Digest {
        &self.key_id
    }
}

/// Checks that this envelope stands in a trusted log. `now` decides whether the log's key counts.
pub fn verify(
    entry: &TransparencyLogEntry,
    envelope: &Envelope,
    trust: &Trust,
    now: Timestamp,
) -> Result<Logged, LogError> {
    check(entry, trust, now, |body| entry::check_envelope(body, envelope))
}

/// Checks that this signature over a blob of that digest stands in a trusted log, under that key.
pub fn verify_blob(
    entry: &TransparencyLogEntry,
    digest: &Digest,
    signature: &[u8],
    key: &PublicKey,
    trust: &Trust,
    now: Timestamp,
) -> Result<Logged, LogError> {
    check(entry, trust, now, |body| {
        let logged = entry::check_blob(body, digest, signature)?;
        if logged == *key { Ok(logged) } else { Err(EntryError::Signer) }
    })
}

/// Checks that an index entry stands in a trusted log, right after the entry that it is about, and returns it: the log's
/// own word for when it took which envelope. The log's key must count at that time.
///
/// `entry` is what [`crate::Receipt::to_index_entry`] makes.
pub fn verify_index(entry: &TransparencyLogEntry, trust: &Trust) -> Result<IndexEntry, LogError> {
    let log = trusted(entry, trust)?;
    let found = IndexEntry::parse(&entry.canonicalized_body)?;
    check_kind(&entry.kind_version, &found.kind_version())?;
    if !log.is_valid(found.time) {
        return Err(LogError::NotValid { origin: log.origin.clone(), now: found.time });
    }
    if found.entry.checked_add(1) != Some(entry.log_index) {
        return Err(LogError::Apart { index: entry.log_index, entry: found.entry });
    }
    included(entry, &log.note_key())?;
    Ok(found)
}

fn check(
    entry: &TransparencyLogEntry,
    trust: &Trust,
    now: Timestamp,
    content: impl FnOnce(&Body) -> Result<PublicKey, EntryError>,
) -> Result<Logged, LogError> {
    // 1. A log that we trust, now, and nothing that nobody signs.
    let log = trusted(entry, trust)?;
    if !log.is_valid(now) {
        return Err(LogError::NotValid { origin: log.origin.clone(), now });
    }

    // 2. The leaf is about this content.
    let body = Body::parse(&entry.canonicalized_body)?;
    check_kind(&entry.kind_version, &body.kind_version())?;
    let key = content(&body)?;

    // 3. The leaf is in the log.
    let checkpoint = included(entry, &log.note_key())?;
    Ok(Logged {
        origin: checkpoint.origin,
        log_id: *log.note_key().log_id(),
        index: entry.log_index,
        size: checkpoint.size,
        key_id: key.id(),
        checkpoint: entry.inclusion_proof.checkpoint.envelope.clone(),
    })
}

/// Returns the log that an entry names; refuses what an entry claims and nobody signs.
fn trusted<'t>(entry: &TransparencyLogEntry, trust: &'t Trust) -> Result<&'t LogIdentity, LogError> {
    let log_id = &entry.log_id.key_id;
    let log = trust.log(log_id).ok_or_else(|| LogError::UnknownLog(readable_id(log_id)))?;
    if entry.integrated_time != 0 {
        return Err(LogError::Unsigned("integratedTime"));
    }
    if entry.inclusion_promise.is_some() {
        return Err(LogError::Unsigned("inclusionPromise"));
    }
    Ok(log)
}

/// Checks that the checkpoint is the log's, that the proof's root and size are the checkpoint's, and that the leaf
/// leads to that root.
fn included(entry: &TransparencyLogEntry, log: &NoteKey) -> Result<Checkpoint, LogError> {
    let proof = &entry.inclusion_proof;
    if entry.log_index != proof.log_index {
        return Err(LogError::Index { entry: entry.log_index, proof: proof.log_index });
    }
    let checkpoint = Checkpoint::open(&proof.checkpoint.envelope, log)?;
    check_stated(proof, &checkpoint)?;
    let hashes = proof.hashes.iter().map(|bytes| to_hash(bytes, "hashes")).collect::<Result<Vec<_>, _>>()?;
    let leaf = merkle::leaf_hash(&entry.canonicalized_body);
    merkle::verify_inclusion(proof.log_index, checkpoint.size, &leaf, &hashes, &checkpoint.root)
        .map_err(|source| LogError::Proof { index: proof.log_index, source })?;
    Ok(checkpoint)
}

fn check_kind(stated: &KindVersion, found: &KindVersion) -> Result<(), LogError> {
    let text = |kind: &KindVersion| format!("{} {}", kind.kind, kind.version).chars().take(60).collect();
    if stated == found { Ok(()) } else { Err(LogError::Kind { stated: text(stated), found: text(found) }) }
}

fn check_stated(proof: &InclusionProof, checkpoint: &Checkpoint) -> Result<(), LogError> {
    if proof.tree_size != checkpoint.size {
        return Err(LogError::TreeSize { proof: proof.tree_size, checkpoint: checkpoint.size });
    }
    if to_hash(&proof.root_hash, "rootHash")? != checkpoint.root {
        return Err(LogError::RootHash);
    }
    Ok(())
}

fn to_hash(bytes: &[u8], field: &'static str) -> Result<Hash, LogError> {
    Hash::try_from(bytes).map_err(|_| LogError::HashSize(field))
}

fn readable_id(id: &[u8]) -> String {
    match <[u8; 32]>::try_from(id) {
        Ok(id) => Digest::Sha256(id).hex(),
        Err(_) => format!("{} bytes", id.len()),
    }
}

#[cfg(test)]
mod tests;
