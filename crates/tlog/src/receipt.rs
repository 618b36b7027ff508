//! Receipts: everything that a bundle says about one log entry.

use sign::note::NoteKey;
use wire::digest::Digest;
use wire::rekor::{Body, BodyError};
use wire::sigstore_bundle::{Checkpoint as CheckpointText, InclusionProof, KindVersion, LogId, TransparencyLogEntry};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::index::{IndexEntry, IndexError};
use crate::merkle::{self, Hash, ProofError};
use crate::proposal::Proposal;
use crate::tile::{TileError, Tiles};

/// The proof that an entry stands in a log of some size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The log's name.
    pub origin: String,
    /// The log's id: see [`NoteKey::log_id`].
    pub log_id: Digest,
    /// Position of the entry.
    pub index: u64,
    /// Number of entries of the tree that the proof leads to.
    pub size: u64,
    /// Root of that tree.
    pub root: Hash,
    /// Siblings from the leaf upwards.
    pub proof: Vec<Hash>,
    /// Signed note of that size and root.
    pub checkpoint: String,
    /// The entry.
    pub body: Vec<u8>,
}

/// Why no receipt could be made.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError<E: std::error::Error + 'static> {
    /// The checkpoint is not good.
    #[error("making a receipt from the log's checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// A tile is missing or damaged.
    #[error("making a receipt from the log's tiles")]
    Tile(#[from] TileError<E>),
    /// The tiles contradict the checkpoint or the entry.
    #[error("entry {index} does not lead to the checkpoint's root: the log is damaged")]
    Proof {
        /// Which entry.
        index: u64,
        /// How.
        #[source]
        source: ProofError,
    },
}

impl Receipt {
    /// Makes the receipt of entry `index` under a checkpoint of its log, from the log's tiles.
    pub fn prove<E: std::error::Error + 'static>(
        index: u64,
        checkpoint: &str,
        log: &NoteKey,
        fetch: &mut dyn FnMut(&str) -> Result<Vec<u8>, E>,
    ) -> Result<Receipt, ReceiptError<E>> {
        let Checkpoint { origin, size, root } = Checkpoint::open(checkpoint, log)?;
        let mut tiles = Tiles::new(size, fetch);
        let proof = tiles.inclusion_proof(index)?;
        let body = tiles.entry(index)?;
        merkle::verify_inclusion(index, size, &merkle::leaf_hash(&body), &proof, &root)
            .map_err(|source| ReceiptError::Proof { index, source })?;
        let checkpoint = checkpoint.to_owned();
        Ok(Receipt { origin, log_id: *log.log_id(), index, size, root, proof, checkpoint, body })
    }

    /// Returns the entry of a Sigstore bundle. Fails for entries of kinds that bundles do not have, such as our index.
    pub fn to_log_entry(&self) -> Result<TransparencyLogEntry, BodyError> {
        Ok(self.entry(Body::parse(&self.body)?.kind_version()))
    }

    /// The same for who has made the entry and knows its kind: nothing is parsed.
    pub fn to_log_entry_of(&self, proposal: &Proposal) -> TransparencyLogEntry {
        debug_assert_eq!(proposal.leaf().bytes(), self.body, "the receipt is the proposal's");
        self.entry(proposal.kind().clone())
    }

    /// Returns an entry of our index in the same form; [`crate::verify_index`] reads it. Fails for any other entry.
    pub fn to_index_entry(&self) -> Result<TransparencyLogEntry, IndexError> {
        Ok(self.entry(IndexEntry::parse(&self.body)?.kind_version()))
    }

    fn entry(&self, kind_version: KindVersion) -> TransparencyLogEntry {
        TransparencyLogEntry {
            log_index: self.index,
            log_id: LogId { key_id: self.log_id.bytes().to_vec() },
            kind_version,
            integrated_time: 0,
            inclusion_promise: None,
            inclusion_proof: InclusionProof {
                log_index: self.index,
                root_hash: self.root.to_vec(),
                tree_size: self.size,
                hashes: self.proof.iter().map(|hash| hash.to_vec()).collect(),
                checkpoint: CheckpointText { envelope: self.checkpoint.clone() },
            },
            canonicalized_body: self.body.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
