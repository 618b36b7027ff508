//! A data directory held before it is opened: nobody else has it, and what its seal covers was compared.
//!
//! The comparison comes before the seal is removed: whoever opened a directory that was tampered with would otherwise
//! seal the tampered state when he closes it, and no `fsck` could tell afterwards. It reads the same bytes that closing
//! has hashed. Blobs, trees and tiles have their own witnesses and stay out of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::ahead::Ahead;
use super::{Home, HomeError, Inner, Options, ROOT, VERSION, data_roots};
use crate::blobs::Blobs;
use crate::durable::{self, Disk, FileError};
use crate::ledger::{self, Ledger, Sources, blocking};
use crate::lock::Lock;
use crate::log::Log;
use crate::seal::{Change, Root, Seal, SealError, Seen};
use crate::trees::Trees;

/// The name of the lock file: it is written before anything can be compared, and says nothing that counts.
const LOCK: &str = "lock";

/// A data directory that this process has to itself. Dropped before it is opened, it is given up as it was found.
pub struct Held {
    path: PathBuf,
    covered: Vec<Root>,
    /// `None` once it was handed to a [`Home`].
    lock: Option<Lock>,
    changes: Vec<Change>,
}

impl Held {
    /// Takes a data directory's lock and compares what its seal covers; `covered` are further directories, as in
    /// [`Options`]. Nothing is changed. A directory without a seal (in use a moment ago, after a crash) has no changes.
    pub async fn take(path: &Path, covered: &[Root]) -> Result<Held, HomeError> {
        let (path, covered) = (path.to_owned(), covered.to_vec());
        blocking(move || {
            let seal = path.join("seal.json");
            if !path.join("VERSION").exists() && !seal.exists() {
                return Err(HomeError::NotAHome(path));
            }
            let lock = Lock::take(&path.join(LOCK))?;
            let mut held = Held { path, covered, lock: Some(lock), changes: Vec::new() };
            held.changes = match Seal::read(&seal) {
                Ok(seal) => held.compare(&seal)?,
                Err(SealError::Missing) => Vec::new(),
                Err(SealError::File(error)) => return Err(error.into()),
                // A later program's directory may have a later seal, too.
                Err(error) => check_version(&held.path).map(|()| vec![unreadable_seal(seal, &error)])?,
            };
            Ok(held)
        })
        .await
    }

    fn compare(&self, seal: &Seal) -> Result<Vec<Change>, FileError> {
        let mut changes = Vec::new();
        for root in self.roots() {
            changes.extend(seal.changes(&root)?);
        }
        changes.retain(|change| change.root != ROOT || change.name != LOCK);
        changes.sort_unstable();
        Ok(changes)
    }

    fn roots(&self) -> Vec<Root> {
        let mut roots = data_roots(&self.path);
        roots.extend(self.covered.iter().cloned());
        roots
    }

    /// Returns the files that are not what the seal says, sorted by path.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Refuses a directory in which anything has changed.
    pub fn unchanged(&self) -> Result<(), HomeError> {
        match self.changes.is_empty() {
            true => Ok(()),
            false => Err(HomeError::Changed { path: self.path.clone(), changes: self.changes.clone() }),
        }
    }

    /// Removes the seal, durably: before files that it covers are written, or a crash would leave a false accusation.
    pub fn unseal(&self) -> Result<(), HomeError> {
        self.unchanged()?;
        Ok(self.disk().remove(&self.path.join("seal.json"))?)
    }

    /// Seals the directory again, for one who has written files that the seal covers and does not open it.
    pub async fn reseal(mut self) -> Result<(), HomeError> {
        self.unchanged()?;
        blocking(move || {
            let disk = self.disk();
            let blobs = Blobs::new(self.path.join("blobs"), disk.clone());
            let trees = Trees::new(self.path.join("trees"), blobs.clone(), disk.clone());
            if let Some(lock) = &mut self.lock {
                lock.clear()?;
            }
            seal(&self.path, &self.covered, &blobs, &trees, &disk)
        })
        .await
    }

    fn disk(&self) -> Disk {
        Disk::new(self.path.join("tmp"))
    }

    /// Opens the directory; see [`Home::open`].
    pub async fn open(self, options: &Options) -> Result<Home, HomeError> {
        self.unchanged()?;
        self.open_anyway(options, false, false).await
    }

    /// The same, with the ledger made again from log and blobs: whatever has changed of it is gone then. Other changes
    /// are refused.
    pub async fn open_reindexed(mut self, options: &Options) -> Result<Home, HomeError> {
        self.changes.retain(|change| !is_ledger(change));
        self.unchanged()?;
        self.open_anyway(options, true, false).await
    }

    /// The same whatever has changed, for an administrator who knows why. The seal stays as it is, so that the changes
    /// are refused again, until [`Home::accept`] says that they are on record.
    pub async fn open_accepting(self, options: &Options) -> Result<Home, HomeError> {
        let stale = !self.changes.is_empty();
        let fresh_ledger = self.changes.iter().any(is_ledger);
        self.open_anyway(options, fresh_ledger, stale).await
    }

    /// Whether nothing but the ledger has changed: [`Held::open_reindexed`] mends that.
    pub fn only_ledger_changed(&self) -> bool {
        Held::is_only_ledger(&self.changes)
    }

    /// The same of changes that were returned.
    pub fn is_only_ledger(changes: &[Change]) -> bool {
        !changes.is_empty() && changes.iter().all(is_ledger)
    }

    async fn open_anyway(mut self, options: &Options, fresh_ledger: bool, stale: bool) -> Result<Home, HomeError> {
        let (path, opened) = (self.path.clone(), options.clone());
        check_version(&path)?;
        if fresh_ledger {
            // Before the seal goes: a ledger that it accuses is never taken for a good one.
            ledger::remove_database(&path.join("ledger.sqlite"))?;
            ledger::remove_database(&path.join("reindex.sqlite"))?;
        }
        let (disk, log) = blocking(move || open_files(&path, &opened, stale)).await?;
        let path = &self.path;
        let blobs = Blobs::new(path.join("blobs"), disk.clone());
        let trees = Trees::new(path.join("trees"), blobs.clone(), disk.clone());
        trees.clear_staging()?;
        let sources = Sources { log: log.reader().clone(), blobs: blobs.clone(), trust: Arc::clone(&options.trust) };
        let ledger = Ledger::open(&path.join("ledger.sqlite"), &sources).await?;
        let ahead = Ahead::new(sources.log.size());
        let inner = Inner {
            path: path.to_owned(),
            disk,
            blobs,
            trees,
            log,
            sources,
            ledger,
            covered: options.covered.clone(),
            heads: options.heads.clone(),
            lock: Mutex::new(self.lock.take()),
            stale: AtomicBool::new(stale),
            waiting: Mutex::default(),
            ahead,
            committing: tokio::sync::Mutex::new(()),
        };
        Ok(Home { inner: Arc::new(inner) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lock) = &mut self.lock {
            // A name that is left in it is no more than a wrong hint.
            drop(lock.clear());
        }
    }
}

/// Writes the seal of a directory that nobody writes to.
pub(super) fn seal(path: &Path, covered: &[Root], blobs: &Blobs, trees: &Trees, disk: &Disk) -> Result<(), HomeError> {
    disk.clear_scratch()?;
    disk.settle()?;
    let mut roots = data_roots(path);
    roots.extend(covered.iter().cloned());
    let seal = Seal::make(&roots, blobs.list()?, trees.list()?)?;
    disk.replace(&path.join("seal.json"), &seal.to_json(), 0o600)?;
    Ok(disk.clear_scratch()?)
}

fn is_ledger(change: &Change) -> bool {
    let name = change.name.as_str();
    change.root == ROOT && ["ledger.sqlite", "reindex.sqlite"].iter().any(|database| name.starts_with(database))
}

fn unreadable_seal(path: PathBuf, error: &SealError) -> Change {
    let now = Seen::Unreadable(error.to_string());
    Change { path, root: ROOT.to_owned(), name: "seal.json".to_owned(), was: None, now }
}

fn check_version(path: &Path) -> Result<(), HomeError> {
    let version = path.join("VERSION");
    let Some(found) = durable::read_optional(&version, 4096)? else {
        return Err(HomeError::NotAHome(path.to_owned()));
    };
    if found != VERSION.as_bytes() {
        let found = String::from_utf8_lossy(&found).lines().next().unwrap_or_default().chars().take(60).collect();
        return Err(HomeError::Version { path: version, found });
    }
    Ok(())
}

fn open_files(path: &Path, options: &Options, stale: bool) -> Result<(Disk, Log), HomeError> {
    let disk = super::disk(path, options);
    if !stale {
        // Whatever happens from here on, nobody takes the directory for unchanged.
        disk.remove(&path.join("seal.json"))?;
    }
    disk.clear_scratch()?;
    let log = Log::open(&path.join("log"), &options.heads, &disk)?;
    Ok((disk, log))
}

#[cfg(test)]
mod tests;
