//! Reading the log as it was at any of its sizes, for those who ask for proofs in place of tiles.

use tlog::merkle::Hash;
use tlog::tile::{Tiles, WIDTH};

use super::{LogError, Reader};

impl Reader {
    /// Returns the root of the log's first `size` entries.
    pub fn root(&self, size: u64) -> Result<Hash, LogError> {
        self.root_at(size)
    }

    /// Returns the hash of a leaf.
    pub fn leaf_hash(&self, index: u64) -> Result<Hash, LogError> {
        let mut fetch = |path: &str| self.read_tile(path);
        let mut tiles = Tiles::new(self.size(), &mut fetch);
        let range = tlog::tile::TileError::Range { index, size: self.size() };
        let hashes = tiles.hashes(0, index / WIDTH)?;
        Ok(*hashes.get((index % WIDTH) as usize).ok_or(range)?)
    }

    /// Returns the proof that an entry is among the first `size`.
    pub fn inclusion_proof_at(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        Ok(Tiles::new(size, &mut |path| self.read_tile(path)).inclusion_proof(index)?)
    }

    /// Returns the proof that the first `old` entries are the beginning of the first `size`.
    pub fn consistency_proof_at(&self, old: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        Ok(Tiles::new(size, &mut |path| self.read_tile(path)).consistency_proof(old)?)
    }

    /// Returns leaves from `first` on, to the end of their entry bundle at most: 1 to 256; none beyond the end.
    pub fn leaves(&self, first: u64) -> Result<Vec<Vec<u8>>, LogError> {
        let bundle = Tiles::new(self.size(), &mut |path| self.read_tile(path)).bundle(first / WIDTH)?;
        Ok(bundle.into_iter().skip((first % WIDTH) as usize).collect())
    }
}
