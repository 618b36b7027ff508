//! Reading a tree out of its tiles.

use std::collections::BTreeMap;

use super::{BundleError, HEIGHT, TilePath, WIDTH, parse_bundle, parse_hashes};
use crate::merkle::{self, Hash};

/// The tiles of a log of a fixed size, fetched as they are needed; each once.
pub struct Tiles<'a, E> {
    size: u64,
    fetch: &'a mut dyn FnMut(&str) -> Result<Vec<u8>, E>,
    hashes: BTreeMap<TilePath, Vec<Hash>>,
    /// Roots of complete subtrees inside of tiles, by level and index: many proofs ask for the same.
    nodes: BTreeMap<(u32, u64), Hash>,
}

/// Why something could not be read out of tiles.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E: std::error::Error + 'static> {
    /// The tile could not be had.
    #[error("reading `{path}` of the log")]
    Fetch {
        /// Which tile.
        path: String,
        /// Why.
        #[source]
        source: E,
    },
    /// The tile is shorter or longer than its path says.
    #[error("`{path}` of the log is damaged: it has {found} bytes instead of {expected}")]
    Size {
        /// Which tile.
        path: String,
        /// How many bytes it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// The bundle does not hold the entries that its path says.
    #[error("`{path}` of the log is damaged")]
    Bundle {
        /// Which bundle.
        path: String,
        /// How.
        #[source]
        source: BundleError,
    },
    /// There is no such entry.
    #[error("there is no entry {index} in a log of size {size}")]
    Range {
        /// Which entry, or which older size.
        index: u64,
        /// Size of the log.
        size: u64,
    },
}

impl<'a, E: std::error::Error + 'static> Tiles<'a, E> {
    /// Reads a log of `size` entries through `fetch`, which returns the bytes at a path such as `tile/0/000.p/17`.
    pub fn new(size: u64, fetch: &'a mut dyn FnMut(&str) -> Result<Vec<u8>, E>) -> Tiles<'a, E> {
        Tiles { size, fetch, hashes: BTreeMap::new(), nodes: BTreeMap::new() }
    }

    /// Returns the root.
    pub fn root(&mut self) -> Result<Hash, TileError<E>> {
        merkle::root_at(self.size, &mut |level, index| self.node(level, index))
    }

    /// Returns the proof that entry `index` is in the log.
    pub fn inclusion_proof(&mut self, index: u64) -> Result<Vec<Hash>, TileError<E>> {
        if index >= self.size {
            return Err(TileError::Range { index, size: self.size });
        }
        merkle::inclusion_proof(index, self.size, &mut |level, index| self.node(level, index))
    }

    /// Returns the proof that the log of the first `old` entries is the beginning of this one.
    pub fn consistency_proof(&mut self, old: u64) -> Result<Vec<Hash>, TileError<E>> {
        if old > self.size {
            return Err(TileError::Range { index: old, size: self.size });
        }
        merkle::consistency_proof(old, self.size, &mut |level, index| self.node(level, index))
    }

    /// Returns entry `index`.
    pub fn entry(&mut self, index: u64) -> Result<Vec<u8>, TileError<E>> {
        let bundle = self.bundle(index / WIDTH)?;
        let entry = bundle.into_iter().nth((index % WIDTH) as usize);
        entry.ok_or(TileError::Range { index, size: self.size })
    }

    /// Returns the entries from `bundle` · 256 on, at most 256; none beyond the end of the log.
    pub fn bundle(&mut self, bundle: u64) -> Result<Vec<Vec<u8>>, TileError<E>> {
        let Some(path) = TilePath::entries(bundle, self.size) else { return Ok(Vec::new()) };
        let (held, bytes) = self.fetch(path)?;
        let entries = parse_bundle(&bytes, held.width())
            .map_err(|source| TileError::Bundle { path: held.to_string(), source })?;
        Ok(entries.into_iter().take(usize::from(path.width())).collect())
    }

    /// Returns the hashes of the tile at `level` and `index`, counted in tiles; none beyond the end of the log.
    pub fn hashes(&mut self, level: u8, index: u64) -> Result<&[Hash], TileError<E>> {
        let Some(path) = TilePath::hashes(level, index, self.size) else { return Ok(&[]) };
        if !self.hashes.contains_key(&path) {
            let (held, bytes) = self.fetch(path)?;
            let mut hashes = parse_hashes(&bytes, held.width()).ok_or_else(|| TileError::Size {
                path: held.to_string(),
                found: bytes.len(),
                expected: usize::from(held.width()) * 32,
            })?;
            hashes.truncate(usize::from(path.width()));
            self.hashes.insert(path, hashes);
        }
        Ok(&self.hashes[&path])
    }

    /// Returns the root of the complete subtree at (level, index).
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, TileError<E>> {
        let inside = level % HEIGHT;
        if inside == 0 {
            let size = self.size;
            let hashes = self.hashes((level / HEIGHT) as u8, index / WIDTH)?;
            return hashes.get((index % WIDTH) as usize).copied().ok_or(TileError::Range { index, size });
        }
        if let Some(node) = self.nodes.get(&(level, index)) {
            return Ok(*node);
        }
        // At most eight deep: a tile's height.
        let (left, right) = (self.node(level - 1, index * 2)?, self.node(level - 1, index * 2 + 1)?);
        let node = merkle::node_hash(&left, &right);
        self.nodes.insert((level, index), node);
        Ok(node)
    }

    /// Fetches a tile. A partial one that is gone was superseded by the full one (tlog-tiles, "Partial Tiles").
    fn fetch(&mut self, path: TilePath) -> Result<(TilePath, Vec<u8>), TileError<E>> {
        let error = |source| TileError::Fetch { path: path.to_string(), source };
        match (self.fetch)(&path.to_string()) {
            Ok(bytes) => Ok((path, bytes)),
            Err(source) if path.is_partial() => {
                let full = (self.fetch)(&path.full().to_string()).map_err(|_| error(source))?;
                Ok((path.full(), full))
            }
            Err(source) => Err(error(source)),
        }
    }
}
