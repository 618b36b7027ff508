//! The sequencing step: what the log becomes when leaves are added, computed without touching anything.
//!
//! The order in which a step must be made durable, each line before the next:
//!
//! 1. [`Step::stage`] is written and synced. Nobody reads it yet.
//! 2. The head (the new checkpoint) replaces the old one by compare-and-swap. From here on the leaves are in the log;
//!    after a crash the staged file is published again.
//! 3. [`Step::publish`] is written, in its order: tiles, then the checkpoint, so that no reader sees a size whose tiles
//!    are missing.
//! 4. The staged file is removed, and [`Step::retired`] directories may be.
//!
//! A crash before 2 leaves a staged file that never counted: it is discarded, and the same leaves may come again at other
//! positions. That is why tiles are not written in place at once: a published path never changes its bytes.

use std::convert::Infallible;

use sign::LogKey;
use sign::note::NoteKey;

use crate::checkpoint::Checkpoint;
use crate::merkle::{self, Hash};
use crate::receipt::Receipt;
use crate::staging;
use crate::tile::{self, TileError, TilePath, Tiles, WIDTH};

/// The largest leaf: entry bundles store its length in 16 bits.
pub const LEAF_SIZE_MAX: usize = 65_535;

/// How many levels of tiles a log can have: 256⁸ leaves are more than a size can say.
const LEVELS: usize = 8;

/// One entry's bytes, of an allowed size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf(Vec<u8>);

/// A leaf is too large for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log entry of {0} bytes is larger than the limit of {LEAF_SIZE_MAX}")]
pub struct LeafError(usize);

/// The end of a log: all that a writer must hold to add to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    origin: String,
    size: u64,
    root: Hash,
    /// The hashes of the last, partial tile of each level; fewer than 256 each.
    edge: [Vec<Hash>; LEVELS],
    /// The entries of the last, partial bundle; fewer than 256.
    tail: Vec<Vec<u8>>,
}

/// Why a head could not be read back from its tiles.
#[derive(Debug, thiserror::Error)]
pub enum HeadError<E: std::error::Error + 'static> {
    /// A tile is missing or damaged.
    #[error("reading the end of the log")]
    Tile(#[from] TileError<E>),
    /// The tiles have another root than the checkpoint.
    #[error("the tiles of `{origin}` do not lead to the root of its checkpoint of size {size}")]
    Root {
        /// Which log.
        origin: String,
        /// The checkpoint's size.
        size: u64,
    },
    /// The last entry bundle does not match the leaf hashes.
    #[error("entry {index} of `{origin}` does not match its hash in the tree")]
    Entry {
        /// Which log.
        origin: String,
        /// Which entry.
        index: u64,
    },
}

/// What one append must make durable; the order stands in the module's header. Paths are relative to the log's directory.
#[derive(Clone, Debug)]
pub struct Step {
    /// What to write first: one file under `staging/`, see [`staging`].
    pub stage: Vec<(String, Vec<u8>)>,
    /// The new signed checkpoint: the content of the head.
    pub checkpoint: String,
    /// What to write after the head counts: tiles, entry bundles, and last `checkpoint`.
    pub publish: Vec<(String, Vec<u8>)>,
    /// Directories of partial tiles that full ones supersede.
    pub retired: Vec<String>,
    /// The new end of the log.
    pub head: Head,
    /// Position of the first new leaf.
    pub first: u64,
    log: NoteKey,
}

/// Who takes hash tiles; see [`Head::derive`].
pub type TileSink<'a, E> = &'a mut dyn FnMut(TilePath, &[u8]) -> Result<(), E>;

impl Leaf {
    /// Takes an entry's bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Leaf, LeafError> {
        if bytes.len() > LEAF_SIZE_MAX { Err(LeafError(bytes.len())) } else { Ok(Leaf(bytes)) }
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the leaf's hash in the tree.
    pub fn hash(&self) -> Hash {
        merkle::leaf_hash(&self.0)
    }
}

impl Head {
    /// Returns the end of a log without entries. `origin` must be able to name a key (see [`NoteKey::new`]).
    pub fn empty(origin: &str) -> Head {
        Head {
            origin: origin.to_owned(),
            size: 0,
            root: merkle::empty_root(),
            edge: std::array::from_fn(|_| Vec::new()),
            tail: Vec::new(),
        }
    }

    /// Reads the end of a log back from its tiles, and checks that they lead to the checkpoint's root.
    pub fn restore<E: std::error::Error + 'static>(
        checkpoint: &Checkpoint,
        fetch: &mut dyn FnMut(&str) -> Result<Vec<u8>, E>,
    ) -> Result<Head, HeadError<E>> {
        let Checkpoint { origin, size, root } = checkpoint.clone();
        let mut tiles = Tiles::new(size, fetch);
        let mut head = Head { size, root, ..Head::empty(&origin) };
        for (level, edge) in head.edge.iter_mut().enumerate() {
            let count = size >> (8 * level);
            if count % WIDTH != 0 {
                edge.extend_from_slice(tiles.hashes(level as u8, count / WIDTH)?);
            }
        }
        if head.edge_root() != root {
            return Err(HeadError::Root { origin, size });
        }
        if size % WIDTH != 0 {
            head.tail = tiles.bundle(size / WIDTH)?;
        }
        let damaged = head.tail.iter().zip(&head.edge[0]).position(|(entry, hash)| merkle::leaf_hash(entry) != *hash);
        match damaged {
            Some(at) => Err(HeadError::Entry { origin, index: size - size % WIDTH + at as u64 }),
            None => Ok(head),
        }
    }

    /// Computes the end of a log anew from its entries alone, and gives `tile` each hash tile of it, the full ones first;
    /// then checks that they lead to the checkpoint's root. Whoever wants to write the tiles asks twice: before the first
    /// call has returned, nobody knows whether they are right.
    pub fn derive<E: std::error::Error + 'static>(
        checkpoint: &Checkpoint,
        fetch: &mut dyn FnMut(&str) -> Result<Vec<u8>, E>,
        tile: TileSink<'_, E>,
    ) -> Result<Head, HeadError<E>> {
        let Checkpoint { origin, size, root } = checkpoint.clone();
        let mut head = Head::empty(&origin);
        let mut give = |files: Vec<(TilePath, Vec<u8>)>| {
            let mut hashes = files.into_iter().filter(|(path, _)| path.level().is_some());
            hashes.try_for_each(|(path, bytes)| {
                tile(path, &bytes).map_err(|source| TileError::Fetch { path: path.to_string(), source })
            })
        };
        for index in 0..size.div_ceil(WIDTH) {
            let mut full = Vec::new();
            for entry in Tiles::new(size, fetch).bundle(index)? {
                head.push(&Leaf(entry), &mut full);
            }
            give(full)?;
        }
        give(head.partial(0))?;
        head.root = head.edge_root();
        match head.size == size && head.root == root {
            true => Ok(head),
            false => Err(HeadError::Root { origin, size }),
        }
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root over them.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Returns the unsigned checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.size, root: self.root }
    }

    /// Returns the root that the edge leads to: from the lowest level up, each partial tile's complete subtrees are
    /// joined with what stands to their right.
    fn edge_root(&self) -> Hash {
        let mut right: Option<Hash> = None;
        for edge in &self.edge {
            let mut rest = &edge[..];
            let mut subtrees = Vec::new();
            while !rest.is_empty() {
                let (subtree, tail) = rest.split_at(1 << rest.len().ilog2());
                subtrees.push(merkle::root(subtree));
                rest = tail;
            }
            for left in subtrees.iter().rev() {
                right = Some(right.map_or(*left, |right| merkle::node_hash(left, &right)));
            }
        }
        right.unwrap_or_else(merkle::empty_root)
    }

    /// Adds a leaf and pushes each tile that became full to `full`.
    fn push(&mut self, leaf: &Leaf, full: &mut Vec<(TilePath, Vec<u8>)>) {
        self.tail.push(leaf.0.clone());
        self.size += 1;
        if self.tail.len() as u64 == WIDTH {
            let path = TilePath::entries(self.size / WIDTH - 1, self.size).expect("the bundle lies in the log");
            full.push((path, tile::encode_bundle(&std::mem::take(&mut self.tail))));
        }
        let mut hash = leaf.hash();
        for (level, edge) in self.edge.iter_mut().enumerate() {
            edge.push(hash);
            if (edge.len() as u64) < WIDTH {
                return;
            }
            let hashes = std::mem::take(edge);
            hash = merkle::root(&hashes);
            let index = (self.size >> (8 * (level + 1))) - 1;
            let path = TilePath::hashes(level as u8, index, self.size).expect("the tile lies in the log");
            full.push((path, hashes.concat()));
        }
    }

    /// Returns the partial tiles of the edge, of those levels that changed since the log had `since` entries.
    fn partial(&self, since: u64) -> Vec<(TilePath, Vec<u8>)> {
        let mut files = Vec::new();
        if !self.tail.is_empty() && since < self.size {
            let path = TilePath::entries(self.size / WIDTH, self.size).expect("the bundle lies in the log");
            files.push((path, tile::encode_bundle(&self.tail)));
        }
        for (level, edge) in self.edge.iter().enumerate().filter(|(_, edge)| !edge.is_empty()) {
            let count = self.size >> (8 * level);
            if count != since >> (8 * level) {
                let path = TilePath::hashes(level as u8, count / WIDTH, self.size).expect("the tile lies in the log");
                files.push((path, edge.concat()));
            }
        }
        files
    }
}

/// Adds leaves to a log and says what must be made durable. Without leaves it signs the present state again.
///
/// # Panics
/// If the log's origin cannot name a key: it is checked where it is chosen.
pub fn step(head: &Head, leaves: &[Leaf], key: &LogKey) -> Step {
    let log = NoteKey::new(&head.origin, key.public()).expect("an origin can name a key");
    let mut next = head.clone();
    let mut files = Vec::new();
    for leaf in leaves {
        next.push(leaf, &mut files);
    }
    let superseded = |path: &TilePath| path.index() * WIDTH < covered(*path, head.size);
    let retired = files.iter().filter(|(path, _)| superseded(path)).map(|(path, _)| path.partial_directory()).collect();
    files.extend(next.partial(head.size));
    next.root = next.edge_root();
    let checkpoint = next.checkpoint().sign(key);
    let mut publish: Vec<_> = files.into_iter().map(|(path, bytes)| (path.to_string(), bytes)).collect();
    publish.push((staging::CHECKPOINT.to_owned(), checkpoint.clone().into_bytes()));
    let stage = vec![(stage_path(&next), staging::encode(&publish))];
    Step { stage, checkpoint, publish, retired, head: next, first: head.size, log }
}

/// How many hashes or entries of the tile's row a log of `size` entries has.
fn covered(path: TilePath, size: u64) -> u64 {
    size >> (8 * u32::from(path.level().unwrap_or(0)))
}

/// A name that tells to which head the staged file belongs.
fn stage_path(head: &Head) -> String {
    format!("staging/{:020}-{}", head.size, wire::digest::Digest::Sha256(head.root).hex())
}

impl Step {
    /// Returns the receipts of some of this step's leaves, each by its position and bytes.
    ///
    /// # Panics
    /// If a position is not one of this step's, or the bytes are not what stands there: the caller has just made it.
    pub fn receipts<'a>(&self, leaves: impl IntoIterator<Item = (u64, &'a [u8])>) -> Vec<Receipt> {
        let held = |path: &str| self.file(path).expect("a step holds the tiles that its leaves lie in");
        let mut fetch = |path: &str| Ok::<_, Infallible>(held(path));
        let mut tiles = Tiles::new(self.head.size, &mut fetch);
        let mut receipt = |index: u64, body: &[u8]| {
            assert!((self.first..self.head.size).contains(&index), "leaf {index} is one of the step's");
            let proof = tiles.inclusion_proof(index).expect("a step holds its own tiles");
            let root = merkle::inclusion_root(index, self.head.size, &merkle::leaf_hash(body), &proof);
            assert_eq!(root, Ok(self.head.root), "leaf {index} is the one that was appended");
            Receipt {
                origin: self.head.origin.clone(),
                log_id: *self.log.log_id(),
                index,
                size: self.head.size,
                root: self.head.root,
                proof,
                checkpoint: self.checkpoint.clone(),
                body: body.to_vec(),
            }
        };
        leaves.into_iter().map(|(index, body)| receipt(index, body)).collect()
    }

    /// Returns the receipt of one leaf; see [`Step::receipts`].
    pub fn receipt(&self, index: u64, body: &[u8]) -> Receipt {
        self.receipts([(index, body)]).swap_remove(0)
    }

    fn file(&self, path: &str) -> Option<Vec<u8>> {
        let published = self.publish.iter().find(|(published, _)| published == path);
        published.map(|(_, bytes)| bytes.clone()).or_else(|| self.edge_file(path))
    }

    /// Partial tiles of higher levels that this step did not change.
    fn edge_file(&self, path: &str) -> Option<Vec<u8>> {
        let level = path.parse::<TilePath>().ok()?.level()?;
        let index = (self.head.size >> (8 * u32::from(level))) / WIDTH;
        let edge = TilePath::hashes(level, index, self.head.size)?;
        (edge.to_string() == path).then(|| self.head.edge[usize::from(level)].concat())
    }
}

#[cfg(test)]
mod tests;
