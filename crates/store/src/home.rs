//! A data directory in use: held by one process, opened as a whole, and sealed when it is closed.
//!
//! ```text
//! take the lock → compare with the seal                                                     hold
//! remove the seal → remove what was left half-written → log → ledger                        open
//! ledger into one file → empty the lock file → seal of all that may change → give up        close
//! ```
//!
//! A killed process leaves everything that was acknowledged, and no seal; the next opening needs no repair step.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use attest::VerifyError;
use sign::trust::Trust;
use tlog::proposal::Proposal;
use tlog::{LeafError, Receipt};
use wire::digest::Digest;
use wire::dsse::{Envelope, EnvelopeError};
use wire::rekor::BodyError;
use wire::sigstore_bundle::{self, Bundle, BundleError};
use wire::timestamp::Timestamp;

use crate::blobs::{BlobError, Blobs};
use crate::certificates;
use crate::durable::{self, Disk, Faults, FileError};
use crate::ledger::{Ledger, LedgerError, Sources, StatementRow, blocking};
use crate::lock::{Lock, LockError};
use crate::log::{Log, LogError, NewLog, Newer, Reader, RecoverError, Recovered};
use crate::seal::{Change, Root};
use crate::trees::{Trees, TreesError};

mod ahead;
mod commit;
mod held;

pub use commit::Placed;
pub use held::Held;

use ahead::Ahead;
use commit::{Prepared, Waiting};

/// First and only line of `VERSION`.
pub const VERSION: &str = "assay data 1\n";

/// Names that a data directory has. Anything else in it was put there by somebody else.
pub const NAMES: [&str; 14] = [
    "VERSION",
    "lock",
    "blobs",
    "trees",
    "log",
    "ct",
    "ledger.sqlite",
    "ledger.sqlite-wal",
    "ledger.sqlite-shm",
    "ledger.sqlite-journal",
    "uploads",
    "tmp",
    "reindex.sqlite",
    "seal.json",
];

/// The name of the data directory in its seal.
pub const ROOT: &str = "data";

/// How a data directory is opened.
#[derive(Clone)]
pub struct Options {
    /// Directory of the newest checkpoints, outside the data directory.
    pub heads: PathBuf,
    /// Whose statements count.
    pub trust: Arc<Trust>,
    /// Further directories that the seal covers, such as the one that holds the keys. None may be called `data`, `log` or `ct`.
    pub covered: Vec<Root>,
    /// For tests: what makes steps fail.
    pub faults: Option<Arc<Faults>>,
}

/// An open data directory. Clones share it; any number of tasks may use it at once.
#[derive(Clone)]
pub struct Home {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    disk: Disk,
    blobs: Blobs,
    trees: Trees,
    log: Log,
    sources: Sources,
    ledger: Ledger,
    covered: Vec<Root>,
    heads: PathBuf,
    /// `None` once closed.
    lock: Mutex<Option<Lock>>,
    /// Whether the seal on disk accuses files, and nobody has accepted that yet.
    stale: AtomicBool,
    /// Entries that wait for the next commit.
    waiting: Mutex<Vec<Waiting>>,
    /// Entries that the ledger has not read yet.
    ahead: Ahead,
    /// Held by who commits, for himself and for all who wait.
    committing: tokio::sync::Mutex<()>,
}

/// Why a data directory could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is no data directory.
    #[error("`{}` is no data directory of assay: it has no file `VERSION`", .0.display())]
    NotAHome(PathBuf),
    /// There is something else.
    #[error("`{}` holds `{name}`, which is not assay's: choose an empty directory", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        name: String,
    },
    /// There is a data directory already.
    #[error("`{}` is a data directory already", .0.display())]
    Exists(PathBuf),
    /// Made by a later program, or damaged.
    #[error("`{}` says `{found}`: this assay reads `{}`", path.display(), VERSION.trim_end())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
    },
    /// Files are not what they were when it was closed.
    #[error("`{}` was changed since it was closed: {}", path.display(), names(changes))]
    Changed {
        /// The directory.
        path: PathBuf,
        /// What has changed, sorted by path; at least one.
        changes: Vec<Change>,
    },
    /// Another process has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It was closed.
    #[error("the data directory `{}` was closed", .0.display())]
    Closed(PathBuf),
    /// An envelope to be logged that nobody trusted has signed.
    #[error("a statement to be logged is not signed by anybody trusted")]
    Untrusted(#[source] Box<VerifyError>),
    /// An envelope to be logged that is too large.
    #[error("a statement to be logged")]
    Envelope(#[source] EnvelopeError),
    /// A signature too large for a log entry.
    #[error("a statement to be logged")]
    Leaf(#[from] LeafError),
    /// A stored bundle that does not parse.
    #[error("reading the bundle of statement {payload}")]
    Bundle {
        /// The statement's payload.
        payload: Digest,
        /// What is wrong.
        #[source]
        source: BundleError,
    },
    /// A log entry that bundles don't have.
    #[error("making the bundle of statement {payload}")]
    Entry {
        /// The statement's payload.
        payload: Digest,
        /// What is wrong.
        #[source]
        source: BodyError,
    },
    /// The commit that took the statements along failed, or its task died. They may be logged all the same: the same
    /// call can be made again.
    #[error("logging statements together with others")]
    Together(#[source] Option<Arc<HomeError>>),
    /// A blob.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A tree.
    #[error(transparent)]
    Trees(#[from] TreesError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Another copy of the log, whose entries were to be taken over.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Home {
    /// Makes a data directory with a new log, and leaves it closed but unsealed. The directory may be there if it is
    /// empty. After a crash the same call can be made again: the directory is a home only once `VERSION` is there.
    pub async fn create(path: &Path, options: &Options, new: NewLog) -> Result<(), HomeError> {
        let (path, options) = (path.to_owned(), options.clone());
        blocking(move || {
            let disk = disk(&path, &options);
            disk.make_directories(&path)?;
            let version = path.join("VERSION");
            if version.exists() {
                return Err(HomeError::Exists(path));
            }
            if let Some(name) = durable::list(&path)?.into_iter().find(|name| !NAMES.contains(&name.as_str())) {
                return Err(HomeError::Occupied { path, name });
            }
            let mut lock = Lock::take(&path.join("lock"))?;
            Log::create(&path.join("log"), &options.heads, &disk, &new)?;
            disk.replace(&version, VERSION.as_bytes(), 0o644)?;
            disk.clear_scratch()?;
            Ok(lock.clear()?)
        })
        .await
    }

    /// Opens a data directory: takes its lock, compares it with its seal and removes that, finishes what an interrupted
    /// process left, and brings the ledger up to the log. Where something has changed, [`Held`] says what can be done.
    ///
    /// A log whose head outside is missing or newer can be read but not added to; see [`Home::ready`].
    pub async fn open(path: &Path, options: &Options) -> Result<Home, HomeError> {
        Held::take(path, &options.covered).await?.open(options).await
    }

    /// The same, with the ledger made again from log and blobs whatever is there: for one that is damaged.
    pub async fn open_reindexed(path: &Path, options: &Options) -> Result<Home, HomeError> {
        Held::take(path, &options.covered).await?.open_reindexed(options).await
    }

    /// Accepts the changes that [`Held::open_accepting`] has passed over: closing seals again.
    pub fn accept(&self) {
        self.inner.stale.store(false, Ordering::SeqCst);
    }

    /// Writes into the lock file where the server of this directory listens.
    pub fn announce(&self, address: &str) -> Result<(), HomeError> {
        match self.lock().as_mut() {
            Some(lock) => Ok(lock.announce(Some(address))?),
            None => Err(self.closed()),
        }
    }

    /// Returns the data directory.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Returns the blobs.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Returns the trees.
    pub fn trees(&self) -> &Trees {
        &self.inner.trees
    }

    /// Returns what reads the log.
    pub fn log(&self) -> &Reader {
        &self.inner.sources.log
    }

    /// Says whether the log can be added to, and if not, why.
    pub fn ready(&self) -> Result<(), HomeError> {
        Ok(self.inner.log.ready()?)
    }

    /// Makes this directory's head the one outside, whatever that was; see [`Log::adopt`].
    pub fn adopt(&self) -> Result<(), HomeError> {
        self.inner.log.adopt()?;
        Ok(certificates::adopt(self)?)
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.lock().is_none()
    }

    /// Takes over the entries, with their envelopes, that another copy of the same log has and this one lost; the ledger
    /// follows. See [`Log::recover`].
    pub async fn recover(&self, mut newer: Box<dyn Newer + Send>) -> Result<Recovered, HomeError> {
        let _committing = self.inner.committing.lock().await;
        if self.lock().is_none() {
            return Err(self.closed());
        }
        let home = self.clone();
        let recovered = blocking(move || {
            let blobs = home.blobs();
            home.inner.log.recover(&mut *newer, &mut |digest, bytes| {
                blobs.put(&mut &bytes[..], Some(digest), wire::dsse::SIZE_MAX as u64).map(drop).map_err(Into::into)
            })
        })
        .await?;
        self.inner.ledger.catch_up(&self.inner.sources).await?;
        Ok(recovered)
    }

    /// Keeps a checkpoint with cosignatures; see [`Log::keep_cosigned`].
    pub fn keep_cosigned(&self, text: &str) -> Result<bool, HomeError> {
        Ok(self.inner.log.keep_cosigned(text)?)
    }

    /// Returns the ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Returns the trust root that the ledger was made with.
    pub fn trust(&self) -> &Arc<Trust> {
        &self.inner.sources.trust
    }

    /// Returns what writes beside the blobs.
    pub fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    /// Returns the directory of the newest checkpoints, outside the data directory.
    pub fn heads(&self) -> &Path {
        &self.inner.heads
    }

    /// Returns the directory for the bytes of unfinished uploads.
    pub fn uploads(&self) -> PathBuf {
        self.inner.path.join("uploads")
    }

    /// Stores envelopes as blobs, logs them, and returns their receipts once they are durable and the ledger has them.
    ///
    /// All are logged or none. An envelope that was logged before keeps its entry and gets its receipt, so the same
    /// call can be made again after any error. Calls that come at the same time share one commit. Each must be signed
    /// by somebody trusted at `now`.
    pub async fn append(&self, envelopes: Vec<Envelope>, now: Timestamp) -> Result<Vec<Receipt>, HomeError> {
        self.check_count(envelopes.len())?;
        let trust = &self.inner.sources.trust;
        let entries = envelopes.iter().map(|envelope| Prepared::statement(envelope, trust, now));
        let placed = self.place(entries.collect::<Result<_, _>>()?).await?;
        let home = self.clone();
        blocking(move || {
            let receipt = |placed| match placed {
                Placed::New(receipt) => Ok(*receipt),
                Placed::Known(index) => Ok(home.log().receipt(index)?),
            };
            placed.into_iter().map(receipt).collect()
        })
        .await
    }

    /// Logs entries of anybody whose signature was checked, and says where they stand once they are durable and published;
    /// those with an envelope are in the ledger then, too, and the envelopes are blobs. What came without payload the ledger
    /// reads later: see [`Home::caught_up`]. All are logged or none; the same call can be made again after any error.
    ///
    /// Who may log, and whose entries count, is no concern of this call.
    pub async fn log_proposals(&self, proposals: &[Proposal], now: Timestamp) -> Result<Vec<Placed>, HomeError> {
        self.check_count(proposals.len())?;
        self.place(proposals.iter().map(|proposal| Prepared::proposal(proposal, now)).collect()).await
    }

    /// Returns the bundle of a statement: envelope and proof as of now; for one that was brought from another log, the
    /// bundle that it came with.
    pub async fn bundle(&self, statement: &StatementRow) -> Result<Bundle, HomeError> {
        let (home, statement) = (self.clone(), statement.clone());
        blocking(move || home.bundle_now(&statement)).await
    }

    /// Returns the envelope of a statement that is in this directory's own log.
    pub fn envelope(&self, statement: &StatementRow) -> Result<Envelope, HomeError> {
        let json = self.inner.blobs.read(&statement.envelope, wire::dsse::SIZE_MAX as u64)?;
        Envelope::parse(&json).map_err(HomeError::Envelope)
    }

    /// Makes again what is derived: hash tiles from the log's entries where they are damaged or missing, then the ledger
    /// from log and blobs. Returns how many log entries it has read, and which tiles it has written.
    pub async fn reindex(&self) -> Result<(u64, Vec<PathBuf>), HomeError> {
        let log = self.inner.log.clone();
        let repaired = match blocking(move || log.repair()).await {
            // That nothing may be signed is no reason not to read.
            Err(LogError::Refused(_)) => Vec::new(),
            repaired => repaired?,
        };
        let scratch = self.inner.path.join("reindex.sqlite");
        Ok((self.inner.ledger.reindex(&scratch, &self.inner.sources).await?, repaired))
    }

    /// Waits for a commit under way, writes the ledger into its one file, seals the directory and gives it up. Whoever
    /// uses it afterwards gets an error; closing again does nothing, or, after an error, tries again.
    pub async fn close(&self) -> Result<(), HomeError> {
        let _committing = self.inner.committing.lock().await;
        // Kept until it is sealed: what failed for want of space can be asked for again.
        if self.lock().is_none() {
            return Ok(());
        }
        self.inner.ledger.close().await?;
        let home = self.clone();
        blocking(move || {
            if let Some(lock) = home.lock().as_mut() {
                lock.clear()?;
            }
            home.seal()?;
            drop(home.lock().take());
            Ok(())
        })
        .await
    }

    fn seal(&self) -> Result<(), HomeError> {
        let Inner { path, covered, blobs, trees, disk, stale, .. } = &*self.inner;
        match stale.load(Ordering::SeqCst) {
            true => Ok(disk.settle()?),
            false => held::seal(path, covered, blobs, trees, disk),
        }
    }

    fn bundle_now(&self, statement: &StatementRow) -> Result<Bundle, HomeError> {
        if let Some(elsewhere) = &statement.elsewhere {
            let json = self.inner.blobs.read(&elsewhere.bundle, sigstore_bundle::SIZE_MAX as u64)?;
            let payload = statement.payload;
            return Bundle::parse(&json).map_err(|source| HomeError::Bundle { payload, source });
        }
        let envelope = self.envelope(statement)?;
        let receipt = self.log().receipt(statement.index)?;
        let hint = statement.key_id.map(|id| id.to_string()).unwrap_or_default();
        let payload = statement.payload;
        attest::bundle(&envelope, &receipt, &hint).map_err(|source| HomeError::Entry { payload, source })
    }

    fn closed(&self) -> HomeError {
        HomeError::Closed(self.inner.path.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Lock>> {
        self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the seal covers of a data directory: all but the seal itself and what has a better witness.
pub(crate) fn data_roots(path: &Path) -> Vec<Root> {
    let root = |name: &str, path: PathBuf, except: &[&str]| Root {
        name: name.to_owned(),
        path,
        except: except.iter().map(|name| (*name).to_owned()).collect(),
    };
    vec![
        root(ROOT, path.to_owned(), &["seal.json", "blobs", "trees", "log", "ct", "tmp"]),
        root("log", path.join("log"), &["tile"]),
        root("ct", path.join("ct"), &["tile", certificates::ENTRIES]),
    ]
}

fn disk(path: &Path, options: &Options) -> Disk {
    let scratch = path.join("tmp");
    match &options.faults {
        Some(faults) => Disk::with_faults(scratch, Arc::clone(faults)),
        None => Disk::new(scratch),
    }
}

/// Names the first of some changes, and how many more there are.
fn names(changes: &[Change]) -> String {
    const SHOWN: usize = 20;
    let mut text = changes.iter().take(SHOWN).map(Change::to_string).collect::<Vec<_>>().join(", ");
    if changes.len() > SHOWN {
        text.push_str(&format!(" and {} more", changes.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests;
