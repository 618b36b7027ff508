//! The log of issued certificates: a log of its own, with its own key and head outside, by the same commits.
//!
//! ```text
//! ct/VERSION                                      "assay certificates 1\n", written when all the rest is there
//!    origin  key.pem  head  checkpoint  tile/…    as in `log/`; leaves are MerkleTreeLeafs of RFC 6962
//!    index.key                                    made with it, and never used: there are no index entries here
//!    entries/AB/CDEF…                             for each leaf, named by its hash: position, leaf, precertificate
//! ```
//!
//! A leaf holds what the certificate says, but not who signed it: the precertificate lies beside it, in a file that is
//! durable before the leaf counts. The file also leads from a leaf's hash to its position, so that nobody needs an index in
//! memory. It has witnesses: its name is the hash of the leaf in it, and at the position that it states the tree has that
//! hash. A crash may leave a file whose leaf never counted; it harms nothing and is passed over.
//!
//! Callers that come at the same time share one commit.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tlog::merkle::{self, Hash};
use tlog::{Leaf, LeafError};
use wire::digest::Digest;

use crate::durable::{self, FileError};
use crate::home::Home;
use crate::log::{Log, LogError, NewLog, Reader, STATEMENTS_MAX};

/// Name of the log's directory in the data directory.
pub const DIRECTORY: &str = "ct";

/// First and only line of its `VERSION`.
const VERSION: &str = "assay certificates 1\n";

/// Name of the directory with a file for each leaf.
pub const ENTRIES: &str = "entries";

/// The largest file of an entry: a leaf and a precertificate of 64 KiB each.
pub(crate) const ENTRY_SIZE_MAX: u64 = 160 << 10;

/// The log of issued certificates. Clones share it.
#[derive(Clone)]
pub struct CertificateLog {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    directory: PathBuf,
    /// Entries that wait for the next commit.
    waiting: Mutex<Vec<Waiting>>,
    /// Held by who commits, for himself and for all who wait.
    committing: Mutex<()>,
    /// Who holds the data directory: once it is closed, nothing is written here.
    home: Home,
}

struct Waiting {
    leaf: Leaf,
    precertificate: Vec<u8>,
    done: Sender<Result<u64, Arc<LogError>>>,
}

/// An entry with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position.
    pub index: u64,
    /// The leaf: a MerkleTreeLeaf.
    pub leaf: Vec<u8>,
    /// The precertificate, DER.
    pub precertificate: Vec<u8>,
}

/// Why an entry was not logged, or not found.
#[derive(Debug, thiserror::Error)]
pub enum CertificateLogError {
    /// Too large.
    #[error("a certificate to be logged")]
    Leaf(#[from] LeafError),
    /// Made by a later program, or damaged.
    #[error("`{}` is no log of certificates that this assay reads: its `VERSION` says something else", .0.display())]
    Version(PathBuf),
    /// The data directory was closed.
    #[error("the data directory was closed")]
    Closed,
    /// The log.
    #[error("the log of certificates")]
    Log(#[from] LogError),
    /// The commit that took it along failed. It may be logged all the same.
    #[error("logging a certificate together with others")]
    Together(#[source] Arc<LogError>),
    /// A leaf without its file.
    #[error("`{}` is missing or damaged: it belongs to a certificate that was logged", .0.display())]
    Entry(PathBuf),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl CertificateLog {
    /// Makes the log in a data directory if it is not there, and opens it. `new` is asked for origin and keys.
    pub fn open<E: From<CertificateLogError>>(
        home: &Home,
        new: impl FnOnce() -> Result<NewLog, E>,
    ) -> Result<CertificateLog, E> {
        let directory = home.path().join(DIRECTORY);
        let version = durable::read_optional(&directory.join("VERSION"), 4096).map_err(CertificateLogError::from)?;
        match version.as_deref() {
            // After a crash before it was written, the log is made anew: nobody has seen the old one.
            None => create(home, &directory, &new()?)?,
            Some(version) if version == VERSION.as_bytes() => {}
            Some(_) => return Err(CertificateLogError::Version(directory).into()),
        }
        let log = Log::open(&directory, home.heads(), home.disk()).map_err(CertificateLogError::from)?;
        let inner =
            Inner { log, directory, waiting: Mutex::default(), committing: Mutex::default(), home: home.clone() };
        Ok(CertificateLog { inner: Arc::new(inner) })
    }

    /// Returns what reads the log's tiles.
    pub fn reader(&self) -> &Reader {
        self.inner.log.reader()
    }

    /// Says whether the log can be added to, and if not, why.
    pub fn ready(&self) -> Result<(), CertificateLogError> {
        Ok(self.inner.log.ready()?)
    }

    /// Logs a leaf with its precertificate; returns its position once both are durable and published.
    pub fn append(&self, leaf: Vec<u8>, precertificate: Vec<u8>) -> Result<u64, CertificateLogError> {
        if self.inner.home.is_closed() {
            return Err(CertificateLogError::Closed);
        }
        let leaf = Leaf::new(leaf)?;
        let (done, outcome) = channel();
        self.waiting().push(Waiting { leaf, precertificate, done });
        self.commit_waiting();
        Self::answer(&outcome)
    }

    fn answer(outcome: &Receiver<Result<u64, Arc<LogError>>>) -> Result<u64, CertificateLogError> {
        let answer = outcome.recv().expect("whoever takes an entry from the queue answers");
        answer.map_err(|error| match Arc::try_unwrap(error) {
            Ok(error) => CertificateLogError::Log(error),
            Err(shared) => CertificateLogError::Together(shared),
        })
    }

    /// Commits what waits. Who finds nothing was taken along by somebody else.
    fn commit_waiting(&self) {
        let _committing = self.inner.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let batch: Vec<Waiting> = {
            let mut waiting = self.waiting();
            let count = waiting.len().min(STATEMENTS_MAX);
            waiting.drain(..count).collect()
        };
        if batch.is_empty() {
            return;
        }
        let leaves: Vec<Leaf> = batch.iter().map(|one| one.leaf.clone()).collect();
        let logged = self.inner.log.append_leaves(&leaves, |first, files| {
            (first..).zip(&batch).try_for_each(|(index, one)| {
                let path = self.path(&one.leaf.hash());
                files.write(path, &encode(index, one.leaf.bytes(), &one.precertificate), 0o444)
            })
        });
        let logged = logged.map_err(Arc::new);
        for (position, one) in (0..).zip(batch) {
            // Who is gone needs no answer.
            drop(one.done.send(logged.clone().map(|first| first + position)));
        }
    }

    /// Returns entries from `first` to `last`, both within, as many as one answer has: at least one if the log reaches
    /// `first`.
    pub fn entries(&self, first: u64, last: u64) -> Result<Vec<Entry>, CertificateLogError> {
        let count = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(usize::MAX);
        let leaves = self.reader().leaves(first)?;
        let entry = |(index, leaf): (u64, Vec<u8>)| {
            let path = self.path(&merkle::leaf_hash(&leaf));
            match self.read(&path)?.filter(|entry| entry.leaf == leaf && entry.index == index) {
                Some(entry) => Ok(entry),
                None => Err(CertificateLogError::Entry(path)),
            }
        };
        (first..).zip(leaves).take(count).map(entry).collect()
    }

    /// Returns the position of a leaf by its hash; `None` if the published log does not have it.
    pub fn find(&self, hash: &Hash) -> Result<Option<u64>, CertificateLogError> {
        let Some(entry) = self.read(&self.path(hash))? else { return Ok(None) };
        if entry.index >= self.reader().size() || self.reader().leaf_hash(entry.index)? != *hash {
            return Ok(None);
        }
        Ok(Some(entry.index))
    }

    fn read(&self, path: &Path) -> Result<Option<Entry>, FileError> {
        Ok(durable::read_optional(path, ENTRY_SIZE_MAX)?.as_deref().and_then(decode))
    }

    fn path(&self, hash: &Hash) -> PathBuf {
        entry_path(&self.inner.directory, hash)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn create(home: &Home, directory: &Path, new: &NewLog) -> Result<(), CertificateLogError> {
    Log::create(directory, home.heads(), home.disk(), new)?;
    Ok(home.disk().replace(&directory.join("VERSION"), VERSION.as_bytes(), 0o644)?)
}

/// Makes the head of the log outside what the head here is, if the data directory has such a log; see [`Log::adopt`].
pub(crate) fn adopt(home: &Home) -> Result<(), LogError> {
    let directory = home.path().join(DIRECTORY);
    match directory.join("VERSION").is_file() {
        true => Log::open(&directory, home.heads(), home.disk())?.adopt(),
        false => Ok(()),
    }
}

/// Where the file of a leaf lies.
pub(crate) fn entry_path(directory: &Path, hash: &Hash) -> PathBuf {
    let hex = Digest::Sha256(*hash).hex();
    directory.join(ENTRIES).join(&hex[..2]).join(&hex[2..])
}

fn encode(index: u64, leaf: &[u8], precertificate: &[u8]) -> Vec<u8> {
    let length = u32::try_from(leaf.len()).expect("a leaf is at most 64 KiB");
    [&index.to_be_bytes()[..], &length.to_be_bytes(), leaf, precertificate].concat()
}

/// Reads an entry's file: position (64 bits), the leaf's length (32 bits), leaf, precertificate.
pub(crate) fn decode(bytes: &[u8]) -> Option<Entry> {
    let (index, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (leaf, precertificate) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let (leaf, precertificate) = (leaf.to_vec(), precertificate.to_vec());
    Some(Entry { index: u64::from_be_bytes(*index), leaf, precertificate })
}

#[cfg(test)]
pub(crate) mod tests;
