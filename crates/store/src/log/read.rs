//! Reading the log: what is published, and no more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sign::LogKey;
use sign::note::NoteKey;
use tlog::checkpoint::Checkpoint;
use tlog::index::IndexEntry;
use tlog::merkle::{self, Hash};
use tlog::tile::{BUNDLE_SIZE_MAX, TilePath, Tiles, WIDTH, encode_bundle, parse_bundle};
use tlog::{Receipt, ReceiptError, staging};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use super::{KEY, LogError, ORIGIN, read_text};
use crate::durable::{self, FileError, Operation};

/// An entry as the log's leaves name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEntry {
    /// Number of its Sigstore entry.
    pub index: u64,
    /// Hash of that.
    pub leaf: Hash,
    /// What it is about.
    pub content: LoggedContent,
    /// When it was logged, by the index entry.
    pub logged: Timestamp,
}

/// What leads from a log entry to what was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedContent {
    /// Digest of the envelope, by the index entry.
    Envelope(Digest),
    /// The Sigstore entry itself: all that came.
    Entry(Vec<u8>),
}

/// The log of a data directory, to be read; nothing is written. Clones share it; any number of threads may read while
/// one appends.
#[derive(Clone)]
pub struct Reader {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    note_key: NoteKey,
    published: Mutex<Arc<Published>>,
}

/// A checkpoint whose tiles are in place.
struct Published {
    text: Arc<str>,
    size: u64,
}

impl Reader {
    /// Reads the log in `directory` as it is published now. What is appended later is seen only by readers of the
    /// [`super::Log`] that appends.
    pub fn open(directory: &Path) -> Result<Reader, LogError> {
        Ok(Reader::open_with_key(directory)?.0)
    }

    pub(super) fn open_with_key(directory: &Path) -> Result<(Reader, LogKey), LogError> {
        let damaged = |name, expected| super::damaged(directory, name, expected);
        let origin = read_text(directory, "origin", ORIGIN)?;
        let origin = origin.strip_suffix('\n').ok_or_else(|| damaged("origin", ORIGIN))?;
        let key = LogKey::from_pem(&read_text(directory, "key.pem", KEY)?).map_err(|_| damaged("key.pem", KEY))?;
        let note_key = NoteKey::new(origin, key.public()).map_err(|_| damaged("origin", ORIGIN))?;
        let published = Mutex::new(Arc::new(Published { text: Arc::from(""), size: 0 }));
        let reader = Reader { inner: Arc::new(Inner { directory: directory.to_owned(), note_key, published }) };
        let (text, checkpoint) = reader.read_checkpoint(staging::CHECKPOINT)?;
        reader.show(&text, checkpoint.size);
        Ok((reader, key))
    }

    /// Returns the log's origin.
    pub fn origin(&self) -> &str {
        self.inner.note_key.name()
    }

    /// Returns the log's name and public key, as verifiers need them.
    pub fn note_key(&self) -> &NoteKey {
        &self.inner.note_key
    }

    /// Lets readers see a checkpoint whose tiles are in place.
    pub(super) fn show(&self, checkpoint: &str, size: u64) {
        *self.published() = Arc::new(Published { text: checkpoint.into(), size });
    }

    fn published(&self) -> MutexGuard<'_, Arc<Published>> {
        self.inner.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.inner.directory.join(relative)
    }

    /// Reads a checkpoint that this log has signed.
    pub(super) fn read_checkpoint(&self, name: &str) -> Result<(String, Checkpoint), LogError> {
        let text = read_text(&self.inner.directory, name, "a checkpoint")?;
        match Checkpoint::open(&text, &self.inner.note_key) {
            Ok(checkpoint) => Ok((text, checkpoint)),
            Err(source) => Err(LogError::Checkpoint { path: self.path(name), source }),
        }
    }

    /// Returns the newest published checkpoint: a signed note.
    pub fn checkpoint(&self) -> Arc<str> {
        Arc::clone(&self.published().text)
    }

    /// Returns the number of published entries.
    pub fn size(&self) -> u64 {
        self.published().size
    }

    /// Returns the bytes of a tile or an entry bundle by its C2SP path (`tile/0/000.p/17`); `None` if the path is
    /// none, or the published log doesn't reach it.
    pub fn tile(&self, path: &str) -> Result<Option<Vec<u8>>, LogError> {
        let Ok(wanted) = path.parse::<TilePath>() else { return Ok(None) };
        let size = self.size();
        let newest = match wanted.level() {
            Some(level) => TilePath::hashes(level, wanted.index(), size),
            None => TilePath::entries(wanted.index(), size),
        };
        if newest.is_none_or(|newest| newest.width() < wanted.width()) {
            return Ok(None);
        }
        Ok(Some(self.read_tile(path)?))
    }

    /// Returns an entry's bytes.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        Ok(Tiles::new(self.size(), &mut |path| self.read_tile(path)).entry(index)?)
    }

    /// Returns the proof that an entry is in the log, under the newest cosigned checkpoint that reaches it, else as the
    /// log is published now.
    pub fn receipt(&self, index: u64) -> Result<Receipt, LogError> {
        Receipt::prove(index, &self.proving_checkpoint(index)?, &self.inner.note_key, &mut |path| self.read_tile(path))
            .map_err(|source: ReceiptError<FileError>| LogError::Receipt { index, source: Box::new(source) })
    }

    /// Returns the proof that the log of the first `old` entries is the beginning of the one published now.
    pub fn consistency_proof(&self, old: u64) -> Result<Vec<Hash>, LogError> {
        Ok(Tiles::new(self.size(), &mut |path| self.read_tile(path)).consistency_proof(old)?)
    }

    /// Returns the root of the log of the first `size` entries.
    pub fn root_at(&self, size: u64) -> Result<Hash, LogError> {
        Ok(Tiles::new(size, &mut |path| self.read_tile(path)).root()?)
    }

    /// Returns what was logged among the leaves from `from` on, and where to go on; at least those of one entry bundle,
    /// unless there is nothing more.
    pub fn entries(&self, from: u64) -> Result<(Vec<LoggedEntry>, u64), LogError> {
        let size = self.size();
        let mut fetch = |path: &str| self.read_tile(path);
        let mut tiles = Tiles::new(size, &mut fetch);
        let mut found = Vec::new();
        let bundle = tiles.bundle(from / WIDTH)?;
        let first = from - from % WIDTH;
        for (position, leaf) in (first..).zip(&bundle).skip((from % WIDTH) as usize) {
            if !IndexEntry::is_one(leaf) {
                continue;
            }
            let entry = IndexEntry::parse(leaf).map_err(|source| LogError::Index { index: position, source })?;
            // Further index entries of the same statement add subjects only.
            if entry.entry.checked_add(1) != Some(position) {
                continue;
            }
            let before;
            let leaf = match entry.entry.checked_sub(first) {
                Some(at) => &bundle[at as usize],
                None => {
                    before = tiles.entry(entry.entry)?;
                    &before
                }
            };
            let content = match entry.envelope {
                Some(envelope) => LoggedContent::Envelope(envelope),
                None => LoggedContent::Entry(leaf.clone()),
            };
            let (index, leaf, logged) = (entry.entry, merkle::leaf_hash(leaf), entry.time);
            found.push(LoggedEntry { index, leaf, content, logged });
        }
        Ok((found, (first + bundle.len() as u64).max(from)))
    }

    pub(super) fn read_tile(&self, path: &str) -> Result<Vec<u8>, FileError> {
        read_tile(&self.inner.directory, path)
    }
}

/// Reads a tile below the log's directory. A partial one that was superseded is cut out of a wider one.
pub(crate) fn read_tile(directory: &Path, path: &str) -> Result<Vec<u8>, FileError> {
    let missing = match durable::read(&directory.join(path), BUNDLE_SIZE_MAX as u64) {
        Err(error) if error.is_missing() => error,
        other => return other,
    };
    let Ok(wanted) = path.parse::<TilePath>() else { return Err(missing) };
    // A wider one may be superseded, too, between listing and reading: the next is wider still.
    loop {
        let Some((wider, width)) = wider(directory, wanted)? else { return Err(missing) };
        match durable::read(&wider, BUNDLE_SIZE_MAX as u64) {
            Ok(bytes) => return cut(&bytes, wanted, width).ok_or(missing),
            Err(error) if error.is_missing() && width < WIDTH as u16 => {}
            Err(error) => return Err(error),
        }
    }
}

/// Finds a tile that begins with the one wanted.
fn wider(directory: &Path, wanted: TilePath) -> Result<Option<(PathBuf, u16)>, FileError> {
    let full = directory.join(wanted.full().to_string());
    match fs::metadata(&full) {
        Ok(_) => return Ok(Some((full, WIDTH as u16))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(FileError::new(Operation::Open, &full, error)),
    }
    let partial = directory.join(wanted.partial_directory());
    let widths = durable::list(&partial)?;
    let widest = widths.iter().filter_map(|name| name.parse::<u16>().ok()).max();
    Ok(widest.filter(|width| *width > wanted.width()).map(|width| (partial.join(width.to_string()), width)))
}

/// Returns the beginning of a tile that holds `width` hashes or entries.
pub(super) fn cut(bytes: &[u8], wanted: TilePath, width: u16) -> Option<Vec<u8>> {
    match wanted.level() {
        Some(_) => bytes.get(..usize::from(wanted.width()) * 32).map(<[u8]>::to_vec),
        None => {
            let entries = parse_bundle(bytes, width).ok()?;
            Some(encode_bundle(&entries[..usize::from(wanted.width())]))
        }
    }
}
