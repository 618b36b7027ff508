//! The log's files: the one place where a tree that `tlog` computed becomes durable.
//!
//! ```text
//! log/key.pem  index.key  origin    made once
//!     head                          the newest checkpoint that counts; replaced by compare-and-swap
//!     staging/00000000000000000002-5f0c…   files of the step that led to `head`, while they are not all in place
//!     tile/…                        C2SP tlog-tiles <https://c2sp.org/tlog-tiles>
//!     checkpoint                    the newest checkpoint that readers see; its tiles are in place
//!     cosigned                      the newest one with cosignatures of witnesses, if any were asked
//! HEADS/<sha256 of origin>          the same as `head`, outside the data directory
//! ```
//!
//! One append, and what a crash after each line leaves. Names are durable before the next line begins:
//!
//! 1. every file of all the lines below is written, without a name, and made durable: nothing has happened.
//! 2. blobs and stage: nothing has happened, the staged file is discarded.
//! 3. head: the entries are in the log; the next opening does the rest.
//! 4. outside head, and tiles: the same. An older outside head that ours continues is moved on; a missing or newer one,
//!    or one of another tree, means that this directory is not the newest copy of the log, and nothing is signed.
//! 5. checkpoint, 6. superseded partial tiles removed, 7. staged file removed: the same.
//!
//! Lines 5 to 7 need no sync of their own: what a crash undoes of them is done again from the staged file, or by the
//! next opening, which finds an older checkpoint, partial tiles that are beginnings of the present ones, or a staged
//! file of a step that is complete. Only where a full tile supersedes a directory of partial ones, which nobody looks
//! into again, the removal is made durable before the staged file goes. Closing makes durable what is left.
//!
//! Opening runs 4 to 7 too, so that recovery is no code of its own. After any error the state on disk is read anew
//! before anything else is written.
//!
//! Of the partial tiles only those of the newest size are kept; narrower ones are their beginnings, and [`Reader::tile`]
//! cuts them. What the leaves mean is no concern of this module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sign::LogKey;
use tlog::checkpoint::{Checkpoint, CheckpointError};
use tlog::index::{IndexEntry, IndexError, IndexKey, Indexed};
use tlog::tile::{BUNDLE_SIZE_MAX, TileError, TilePath, Tiles, WIDTH, parse_bundle, parse_hashes};
use tlog::{Head, HeadError, Leaf, Receipt, ReceiptError, Step, merkle, staging};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::durable::{self, Batch, Disk, FileError};

mod cosigned;
mod heads;
mod proofs;
mod read;
mod recover;

pub use heads::{HeadRefused, Heads};
pub use read::{LoggedContent, LoggedEntry, Reader};
pub use recover::{Cause, Keep, Newer, RecoverError, Recovered, SourceError};

pub(crate) use read::read_tile;

/// The largest of the log's small files: keys, origin, checkpoints.
const SMALL_MAX: u64 = 64 << 10;

/// The largest staged step that is read: [`STATEMENTS_MAX`] statements of the largest leaves.
const STAGED_MAX: u64 = 1 << 30;

/// How many statements one commit takes at most, so that a step stays in memory and a crash stays cheap to repair.
pub const STATEMENTS_MAX: usize = 2048;

/// What makes a new log.
pub struct NewLog {
    /// Its origin: it must be unique in the world, and able to name a key.
    pub origin: String,
    /// The key that signs its checkpoints.
    pub key: LogKey,
    /// The secret of its index entries.
    pub index_key: IndexKey,
}

/// An entry to be logged.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The Sigstore entry.
    pub leaf: Leaf,
    /// What its index entry says.
    pub about: About,
    /// Id of the key that signed it.
    pub signer: Digest,
}

/// What an entry is about.
#[derive(Clone, Debug)]
pub enum About {
    /// A statement.
    Statement {
        /// Digest of its envelope: a blob that is durable already, or becomes so in the same commit.
        envelope: Digest,
        /// Digests of its subjects.
        subjects: Vec<Digest>,
        /// Its predicate type.
        predicate: String,
    },
    /// Something that did not come along, by the name of its digest: `sha384:9f86…`.
    Digest(String),
}

/// The log of a data directory, to be added to. Clones share it; one thread appends at a time.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    reader: Reader,
    disk: Disk,
    key: LogKey,
    index_key: IndexKey,
    heads: Heads,
    /// Held for the whole of an append.
    state: Mutex<State>,
}

/// What is known of the directory.
enum State {
    /// Nothing: it was not read yet, or a write failed.
    Unknown,
    /// The end of the log, all of it published.
    Ready(Box<Head>),
}

/// Why the log could not be read or added to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file of the log that holds something else.
    #[error("`{}` of the log is damaged: expected {expected}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A checkpoint that the log's key did not sign.
    #[error("reading the checkpoint in `{}`", path.display())]
    Checkpoint {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: CheckpointError,
    },
    /// Tiles that do not lead to the head.
    #[error("reading the end of the log")]
    Head(#[source] Box<HeadError<FileError>>),
    /// A tile that is missing or damaged.
    #[error("reading the log")]
    Tile(#[source] Box<TileError<FileError>>),
    /// An entry that should be an index entry of ours and isn't.
    #[error("log entry {index} is damaged: expected an index entry")]
    Index {
        /// Which entry.
        index: u64,
        /// What is wrong.
        #[source]
        source: IndexError,
    },
    /// No proof could be made.
    #[error("proving log entry {index}")]
    Receipt {
        /// Which entry.
        index: u64,
        /// What is wrong.
        #[source]
        source: Box<ReceiptError<FileError>>,
    },
    /// The head outside the directory is not ours.
    #[error(transparent)]
    Refused(#[from] HeadRefused),
    /// More than [`STATEMENTS_MAX`] statements at once.
    #[error("{0} statements at once are more than the limit of {STATEMENTS_MAX}")]
    TooMany(usize),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<HeadError<FileError>> for LogError {
    fn from(error: HeadError<FileError>) -> LogError {
        LogError::Head(Box::new(error))
    }
}

impl From<TileError<FileError>> for LogError {
    fn from(error: TileError<FileError>) -> LogError {
        LogError::Tile(Box::new(error))
    }
}

impl Log {
    /// Makes the files of a log without entries in `directory`, durably; also the head outside. May be repeated after
    /// a crash, as long as nobody has opened the log.
    pub fn create(directory: &Path, heads: &Path, disk: &Disk, new: &NewLog) -> Result<(), LogError> {
        let empty = tlog::step(&Head::empty(&new.origin), &[], &new.key).checkpoint;
        disk.make_directories(directory)?;
        let write = |name: &str, bytes: &[u8], mode| disk.replace(&directory.join(name), bytes, mode);
        write("key.pem", new.key.to_pem().as_bytes(), 0o600)?;
        write("index.key", new.index_key.to_hex().as_bytes(), 0o600)?;
        write("origin", format!("{}\n", new.origin).as_bytes(), 0o644)?;
        write("checkpoint", empty.as_bytes(), 0o644)?;
        write("head", empty.as_bytes(), 0o644)?;
        Ok(Heads::new(heads, &new.origin, disk).adopt(&empty)?)
    }

    /// Opens the log in `directory` and finishes what an interrupted append left. `heads` is the directory of heads
    /// outside.
    ///
    /// The caller holds the lock of the data directory. A head outside that refuses is no error here: the log can be
    /// read, and [`Log::append`] will say why it can't be added to.
    pub fn open(directory: &Path, heads: &Path, disk: &Disk) -> Result<Log, LogError> {
        let (reader, key) = Reader::open_with_key(directory)?;
        let index_key = read_text(directory, "index.key", INDEX_KEY)?;
        let index_key = IndexKey::from_hex(&index_key).map_err(|_| damaged(directory, "index.key", INDEX_KEY))?;
        let heads = Heads::new(heads, reader.origin(), disk);
        let inner = Inner { reader, disk: disk.clone(), key, index_key, heads, state: Mutex::new(State::Unknown) };
        let log = Log { inner: Arc::new(inner) };
        match log.ready() {
            Ok(()) | Err(LogError::Refused(_)) => Ok(log),
            Err(error) => Err(error),
        }
    }

    /// Returns what reads the log.
    pub fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    /// Adds statements, each with its index entries right behind it, in one commit; returns their receipts in the same
    /// order once they are durable and published.
    ///
    /// `blobs` become durable before the entries that name them. All are added or none. After an error they may be in
    /// the log all the same (the answer was lost, not the work): who asks again must first look for them.
    pub fn append(&self, entries: &[NewEntry], blobs: Batch, now: Timestamp) -> Result<Vec<Receipt>, LogError> {
        if entries.len() > STATEMENTS_MAX {
            return Err(LogError::TooMany(entries.len()));
        }
        let mut state = self.state();
        let head = match std::mem::replace(&mut *state, State::Unknown) {
            State::Ready(head) => head,
            State::Unknown => self.load(&mut state)?,
        };
        if entries.is_empty() {
            *state = State::Ready(head);
            blobs.commit()?;
            return Ok(Vec::new());
        }
        let (leaves, positions) = self.leaves(entries, head.size(), now);
        let step = tlog::step(&head, &leaves, &self.inner.key);
        self.commit(&head, &step, blobs)?;
        let placed = positions.into_iter().zip(entries.iter().map(|entry| entry.leaf.bytes()));
        let receipts = step.receipts(placed);
        *state = State::Ready(Box::new(step.head));
        Ok(receipts)
    }

    /// Adds leaves without index entries, for a log of another kind than statements; returns the first one's position.
    ///
    /// `beside` writes files that become durable before the leaves count; it is told that position. All are added or none.
    /// After an error they may be in the log all the same.
    pub fn append_leaves(
        &self,
        leaves: &[Leaf],
        beside: impl FnOnce(u64, &mut Batch) -> Result<(), FileError>,
    ) -> Result<u64, LogError> {
        if leaves.len() > STATEMENTS_MAX {
            return Err(LogError::TooMany(leaves.len()));
        }
        let mut state = self.state();
        let head = match std::mem::replace(&mut *state, State::Unknown) {
            State::Ready(head) => head,
            State::Unknown => self.load(&mut state)?,
        };
        let mut files = Batch::new(&self.inner.disk);
        beside(head.size(), &mut files)?;
        let step = tlog::step(&head, leaves, &self.inner.key);
        self.commit(&head, &step, files)?;
        let first = head.size();
        *state = State::Ready(Box::new(step.head));
        Ok(first)
    }

    /// Makes the head outside what the head here is, whatever it was. Only for an administrator who knows why it is
    /// missing or another: entries that were signed elsewhere are given up.
    pub fn adopt(&self) -> Result<(), LogError> {
        let mut state = self.state();
        *state = State::Unknown;
        self.inner.heads.adopt(&self.reader().read_checkpoint("head")?.0)?;
        let head = self.load(&mut state)?;
        *state = State::Ready(head);
        Ok(())
    }

    /// Says whether the log can be added to, and if not, why.
    pub fn ready(&self) -> Result<(), LogError> {
        let mut state = self.state();
        if let State::Unknown = *state {
            let head = self.load(&mut state)?;
            *state = State::Ready(head);
        }
        Ok(())
    }

    fn leaves(&self, entries: &[NewEntry], first: u64, now: Timestamp) -> (Vec<Leaf>, Vec<u64>) {
        let mut leaves = Vec::with_capacity(entries.len() * 2);
        let mut positions = Vec::with_capacity(entries.len());
        for entry in entries {
            let position = first + leaves.len() as u64;
            positions.push(position);
            leaves.push(entry.leaf.clone());
            leaves.extend(self.index_entries(entry, position, now).iter().map(IndexEntry::to_leaf));
        }
        (leaves, positions)
    }

    fn index_entries(&self, new: &NewEntry, position: u64, now: Timestamp) -> Vec<IndexEntry> {
        let key = &self.inner.index_key;
        match &new.about {
            About::Statement { envelope, subjects, predicate } => {
                let (entry, envelope, time, signer) = (position, *envelope, now, &new.signer);
                IndexEntry::of(key, &Indexed { entry, envelope, time, subjects, predicate, signer })
            }
            About::Digest(name) => vec![IndexEntry::without_payload(key, position, name, &new.signer, now)],
        }
    }

    /// Makes a step durable; the order is the module's.
    fn commit(&self, head: &Head, step: &Step, blobs: Batch) -> Result<(), LogError> {
        let disk = &self.inner.disk;
        let outside = self.inner.heads.hold()?;
        outside.expect(&head.checkpoint(), self.reader().note_key())?;
        let mut first = blobs;
        for (path, bytes) in &step.stage {
            first.write(self.path(path), bytes, 0o644)?;
        }
        let mut head = Batch::new(disk);
        head.write(self.path("head"), step.checkpoint.as_bytes(), 0o644)?;
        let outside_head = outside.write(&step.checkpoint)?;
        let tiles = self.tiles(&step.publish)?;
        let mut checkpoint = Batch::new(disk);
        checkpoint.write(self.path(staging::CHECKPOINT), step.checkpoint.as_bytes(), 0o644)?;
        durable::sync_written(&[&first, &head, &outside_head, &tiles, &checkpoint])?;

        first.place()?;
        head.place()?;
        durable::place_all([outside_head, tiles])?;
        checkpoint.place_loosely()?;
        self.reader().show(&step.checkpoint, step.head.size());
        self.clean_up(&step.publish)
    }

    /// Reads the directory and finishes what was begun: the same steps as in [`Log::commit`], from the head on.
    fn load(&self, state: &mut State) -> Result<Box<Head>, LogError> {
        *state = State::Unknown;
        let reader = self.reader();
        let (text, head) = reader.read_checkpoint("head")?;
        let staged = self.staged(&head)?;
        self.tiles(&staged)?.commit()?;
        let restored = restore(&head, reader)?;
        let outside = self.inner.heads.hold()?;
        outside.advance(&text, &head, reader.note_key(), &mut |size| reader.root_at(size))?;
        self.publish(&text, head.size, &staged)?;
        Ok(Box::new(restored))
    }

    /// Makes hash tiles again that are missing or damaged, from the entries that the published checkpoint signs; returns
    /// their paths. Entries that do not lead to its root are an error, and nothing is written: only a copy helps them.
    pub fn repair(&self) -> Result<Vec<PathBuf>, LogError> {
        let mut state = self.state();
        let reader = self.reader();
        let (_, checkpoint) = reader.read_checkpoint(staging::CHECKPOINT)?;
        let mut fetch = |path: &str| reader.read_tile(path);
        Head::derive(&checkpoint, &mut fetch, &mut |_, _| Ok(()))?;
        let mut repaired = Vec::new();
        let mut batch = Batch::new(&self.inner.disk);
        Head::derive(&checkpoint, &mut fetch, &mut |tile, bytes| {
            let path = self.path(&tile.to_string());
            if durable::read_optional(&path, BUNDLE_SIZE_MAX as u64).ok().flatten().as_deref() != Some(bytes) {
                batch.write(path.clone(), bytes, 0o444)?;
                repaired.push(path);
            }
            Ok(())
        })?;
        batch.commit()?;
        *state = State::Unknown;
        let head = self.load(&mut state)?;
        *state = State::Ready(head);
        Ok(repaired)
    }

    /// Returns the files staged for `head`; none if they are gone, or are not what leads to it.
    fn staged(&self, head: &Checkpoint) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        let root = Digest::Sha256(head.root).hex();
        let path = self.path("staging").join(format!("{:020}-{root}", head.size));
        let Some(bytes) = durable::read_optional(&path, STAGED_MAX)? else { return Ok(Vec::new()) };
        let files = staging::parse(&bytes).unwrap_or_default();
        Ok(if leads_to(head, &files, &mut |path| self.reader().read_tile(path)) { files } else { Vec::new() })
    }

    /// Lets readers see a checkpoint whose tiles are in place, and removes what nobody needs any more.
    fn publish(&self, checkpoint: &str, size: u64, files: &[(String, Vec<u8>)]) -> Result<(), LogError> {
        if self.reader().checkpoint().as_ref() != checkpoint {
            self.inner.disk.replace(&self.path(staging::CHECKPOINT), checkpoint.as_bytes(), 0o644)?;
            self.reader().show(checkpoint, size);
        }
        // Partial tiles may be back whose removal a crash has undone.
        let mut edge = TilePath::edge(size).filter(|path| self.path(&path.to_string()).is_file());
        edge.try_for_each(|path| self.remove_superseded(path))?;
        self.clean_up(files)
    }

    fn tiles(&self, files: &[(String, Vec<u8>)]) -> Result<Batch, LogError> {
        let mut tiles = Batch::new(&self.inner.disk);
        for (path, bytes) in files.iter().filter(|(path, _)| path != staging::CHECKPOINT) {
            tiles.write(self.path(path), bytes, 0o444)?;
        }
        Ok(tiles)
    }

    /// Removes what published files have made superfluous.
    fn clean_up(&self, files: &[(String, Vec<u8>)]) -> Result<(), LogError> {
        let mut tiles = files.iter().filter_map(|(path, _)| path.parse::<TilePath>().ok());
        tiles.try_for_each(|path| self.remove_superseded(path))?;
        let directory = self.path("staging");
        let staged = durable::list(&directory)?;
        Ok(staged.iter().try_for_each(|name| self.inner.disk.remove_loosely(&directory.join(name)))?)
    }

    /// Removes the partial tiles that a published one contains.
    fn remove_superseded(&self, path: TilePath) -> Result<(), LogError> {
        let disk = &self.inner.disk;
        let directory = self.path(&path.partial_directory());
        let widths = durable::list(&directory)?;
        for width in widths.iter().filter(|width| !path.is_partial() || **width != path.width().to_string()) {
            disk.remove_loosely(&directory.join(width))?;
        }
        if !path.is_partial() {
            if !widths.is_empty() {
                disk.sync_directory(&directory)?;
            }
            disk.remove_directory(&directory)?;
        }
        Ok(())
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.reader().path(relative)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(|poisoned| {
            // Whoever panicked may have left anything: look again.
            self.inner.state.clear_poison();
            let mut state = PoisonError::into_inner(poisoned);
            *state = State::Unknown;
            state
        })
    }
}

/// Reads the end of the log. Where its hash tiles are damaged or missing, it is computed from the entries: what can be
/// derived is no reason to stand still. `fsck` names such tiles, and [`Log::repair`] writes them again.
fn restore(head: &Checkpoint, reader: &Reader) -> Result<Head, LogError> {
    let mut fetch = |path: &str| reader.read_tile(path);
    match Head::restore(head, &mut fetch) {
        Ok(restored) => Ok(restored),
        Err(error) => Head::derive(head, &mut fetch, &mut |_, _| Ok(())).map_err(|_| error.into()),
    }
}

/// Whether staged files are those of the step that led to `head`: every leaf hash is that of its entry, every full
/// tile's root stands in the level above, and all of it has the head's root. They are about to overwrite tiles, so that
/// a damaged staging file must not get past here.
fn leads_to(
    head: &Checkpoint,
    files: &[(String, Vec<u8>)],
    fetch: &mut dyn FnMut(&str) -> Result<Vec<u8>, FileError>,
) -> bool {
    let staged: BTreeMap<&str, &Vec<u8>> = files.iter().map(|(path, bytes)| (path.as_str(), bytes)).collect();
    let mut overlay = |path: &str| match staged.get(path) {
        Some(bytes) => Ok((*bytes).clone()),
        None => fetch(path),
    };
    let mut tiles = Tiles::new(head.size, &mut overlay);
    let mut check = |path: &str, bytes: &[u8]| {
        let Ok(path) = path.parse::<TilePath>() else { return Some(path == staging::CHECKPOINT) };
        let Some(level) = path.level() else {
            let entries = parse_bundle(bytes, path.width()).ok()?;
            let hashes = tiles.hashes(0, path.index()).ok()?;
            return Some(entries.iter().map(|entry| merkle::leaf_hash(entry)).eq(hashes.iter().copied()));
        };
        let hashes = parse_hashes(bytes, path.width())?;
        if path.is_partial() {
            return Some(tiles.hashes(level, path.index()).ok()? == hashes);
        }
        let above = tiles.hashes(level + 1, path.index() / WIDTH).ok()?;
        Some(above.get((path.index() % WIDTH) as usize) == Some(&merkle::root(&hashes)))
    };
    files.iter().all(|(path, bytes)| check(path, bytes) == Some(true))
        && tiles.root().is_ok_and(|root| root == head.root)
}

fn read_text(directory: &Path, name: &str, expected: &'static str) -> Result<String, LogError> {
    let bytes = durable::read(&directory.join(name), SMALL_MAX)?;
    String::from_utf8(bytes).map_err(|_| damaged(directory, name, expected))
}

fn damaged(directory: &Path, name: &str, expected: &'static str) -> LogError {
    LogError::Damaged { path: directory.join(name), expected }
}

const ORIGIN: &str = "an origin and a line feed";
const KEY: &str = "an Ed25519 key, PKCS #8, PEM";
const INDEX_KEY: &str = "64 hexadecimal digits";

#[cfg(test)]
mod tests;
