//! Files that are there after a crash, or were never there.
//!
//! Every write goes the same way: a new file in the scratch directory of the same file system, its bytes, `fsync`,
//! `rename` over the final name, `fsync` of the directory. A reader sees the old bytes or the new ones, never a mix;
//! a crash leaves at most a file in the scratch directory, which the next opening removes.
//!
//! Several files that belong together go as a [`Batch`], with as few syncs as one.
//!
//! [`Disk`] is the only thing in this crate that changes files, so that a test can make each single step fail
//! ([`Disk::with_faults`]). There is no trait and no in-memory disk: tests run on the real file system.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

mod batch;

pub use batch::{AT_ONCE_MAX, Batch, place_all, sync_written};

/// The steps that can fail, and what a message calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Creating a scratch file.
    Create,
    /// Writing bytes to it.
    Write,
    /// `fsync` of a file.
    SyncFile,
    /// `rename` to the final name.
    Rename,
    /// `fsync` of a directory.
    SyncDirectory,
    /// `syncfs`.
    SyncFileSystem,
    /// Making a directory.
    MakeDirectory,
    /// Removing a file or a tree.
    Remove,
    /// Setting mode or time.
    SetAttributes,
    /// Opening a file to read.
    Open,
    /// Reading from it.
    Read,
    /// Listing a directory.
    List,
    /// Taking a lock.
    Lock,
}

/// What a fault injector wants of the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It goes its way.
    None,
    /// It fails and has no effect (a write has half of it).
    Fails,
    /// It fails, though its effect is there: the answer was lost, not the work.
    FailsButPersists,
}

/// Decides about each changing step before it is taken. Called from any thread.
pub type Faults = dyn Fn(Operation, &Path) -> Fault + Send + Sync;

/// A step on a file that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} `{}`", path.display())]
pub struct FileError {
    /// What was being done.
    pub operation: Operation,
    /// To what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Makes an error of an I/O error and what was being done.
    pub fn new(operation: Operation, path: &Path, source: io::Error) -> FileError {
        FileError { operation, path: path.to_owned(), source }
    }

    /// Whether the file was not there.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Create => "creating",
            Operation::Write => "writing",
            Operation::SyncFile => "making durable",
            Operation::Rename => "moving into place",
            Operation::SyncDirectory => "making durable the directory",
            Operation::SyncFileSystem => "making durable the file system of",
            Operation::MakeDirectory => "making the directory",
            Operation::Remove => "removing",
            Operation::SetAttributes => "setting mode and time of",
            Operation::Open => "opening",
            Operation::Read => "reading",
            Operation::List => "listing",
            Operation::Lock => "locking",
        })
    }
}

/// A place to write to. Clones share the scratch directory; any number of threads may write at once.
#[derive(Clone)]
pub struct Disk {
    inner: Arc<Inner>,
}

struct Inner {
    scratch: PathBuf,
    /// Names scratch files; the directory belongs to one process (under its lock), so that a number is enough.
    next: AtomicU64,
    faults: Option<Arc<Faults>>,
    /// Directories that this process knows to be durable. The lock is held while one is made, so that no thread
    /// puts a file into a directory whose own name could still be lost.
    made: Mutex<BTreeSet<PathBuf>>,
    /// Directories with names that were placed or removed, and not made durable.
    loose: Mutex<BTreeSet<PathBuf>>,
}

impl Disk {
    /// Writes through `scratch`, a directory on the same file system that nobody else writes to. It is made when
    /// first needed.
    pub fn new(scratch: PathBuf) -> Disk {
        Disk::build(scratch, None)
    }

    /// The same, asking `faults` before each step that changes something.
    pub fn with_faults(scratch: PathBuf, faults: Arc<Faults>) -> Disk {
        Disk::build(scratch, Some(faults))
    }

    /// Another place with the same faults, for a file that lies on another file system.
    pub fn elsewhere(&self, scratch: PathBuf) -> Disk {
        Disk::build(scratch, self.inner.faults.clone())
    }

    fn build(scratch: PathBuf, faults: Option<Arc<Faults>>) -> Disk {
        let (made, loose) = (Mutex::default(), Mutex::default());
        Disk { inner: Arc::new(Inner { scratch, next: AtomicU64::new(0), faults, made, loose }) }
    }

    /// Returns the scratch directory.
    pub fn scratch(&self) -> &Path {
        &self.inner.scratch
    }

    /// Returns a scratch path that no other caller gets.
    pub fn scratch_path(&self) -> PathBuf {
        self.inner.scratch.join(format!("{:08}", self.inner.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Removes what an interrupted process left in the scratch directory. Only before anything else is written.
    pub fn clear_scratch(&self) -> Result<(), FileError> {
        remove_tree(&self.inner.scratch)
    }

    /// The same, but for the directory itself, which is about to be used again.
    pub fn empty_scratch(&self) -> Result<(), FileError> {
        let left = list(&self.inner.scratch)?;
        left.iter().try_for_each(|name| remove_tree(&self.inner.scratch.join(name)))
    }

    /// Makes `bytes` the content of `path`, atomically and durably. The directory must be there.
    pub fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
        let mut writer = self.writer(mode)?;
        writer.write(bytes)?;
        writer.commit(path)
    }

    /// Starts a file that is written piece by piece; dropped before [`Writer::commit`] it leaves nothing.
    pub fn writer(&self, mode: u32) -> Result<Writer, FileError> {
        let path = self.scratch_path();
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = self.step(Operation::Create, &path, || match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.inner.scratch)?;
                create()
            }
            other => other,
        })?;
        Ok(Writer { disk: self.clone(), path, file, mode, placed: false })
    }

    /// Makes a directory and those above it that are missing, durably.
    pub fn make_directories(&self, path: &Path) -> Result<(), FileError> {
        let mut made = self.inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.contains(path) {
            return Ok(());
        }
        let mut missing: Vec<&Path> = path.ancestors().take_while(|above| !above.is_dir()).collect();
        // What is there may have been made by a process that died before it was durable.
        missing.extend(path.is_dir().then_some(path));
        for directory in missing.into_iter().rev().filter(|directory| !directory.as_os_str().is_empty()) {
            self.make_directory(directory)?;
            self.sync_directory(parent(directory))?;
        }
        made.insert(path.to_owned());
        Ok(())
    }

    fn make_directory(&self, path: &Path) -> Result<(), FileError> {
        self.step(Operation::MakeDirectory, path, || match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        })
    }

    /// Whether this process knows a directory to be durable.
    fn knows(&self, directory: &Path) -> bool {
        self.inner.made.lock().unwrap_or_else(PoisonError::into_inner).contains(directory)
    }

    fn remember(&self, directories: BTreeSet<PathBuf>) {
        self.inner.made.lock().unwrap_or_else(PoisonError::into_inner).extend(directories);
    }

    fn loosen(&self, directories: impl IntoIterator<Item = PathBuf>) {
        self.inner.loose.lock().unwrap_or_else(PoisonError::into_inner).extend(directories);
    }

    fn loose(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut *self.inner.loose.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Removes a file, durably; one that is not there is as good as removed.
    pub fn remove(&self, path: &Path) -> Result<(), FileError> {
        self.remove_file(path)?;
        self.sync_directory(parent(path))
    }

    fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        self.step(Operation::Remove, path, || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    /// Removes an empty directory; one that is not there is as good as removed.
    pub fn remove_directory(&self, path: &Path) -> Result<(), FileError> {
        self.inner.made.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        self.step(Operation::Remove, path, || match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    /// Gives a finished directory its final name, durably.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.step(Operation::Rename, to, || fs::rename(from, to))?;
        self.sync_directory(parent(to))
    }

    /// Makes the names in a directory durable.
    pub fn sync_directory(&self, path: &Path) -> Result<(), FileError> {
        self.step(Operation::SyncDirectory, path, || File::open(path)?.sync_all())
    }

    /// Makes all that was written to the file system of `path` durable: for many files, one call instead of one each.
    pub fn sync_file_system(&self, path: &Path) -> Result<(), FileError> {
        self.step(Operation::SyncFileSystem, path, || Ok(rustix::fs::syncfs(File::open(path)?)?))
    }

    /// Takes one step, or fails as the injector wants.
    pub(crate) fn step<T>(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, FileError> {
        let result = self::act(self.fault(operation, path), act);
        result.map_err(|source| FileError::new(operation, path, source))
    }

    fn fault(&self, operation: Operation, path: &Path) -> Fault {
        self.inner.faults.as_ref().map_or(Fault::None, |faults| faults(operation, path))
    }
}

/// Does something as the injector wants.
fn act<T>(fault: Fault, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match fault {
        Fault::None => act(),
        Fault::Fails => Err(io::Error::other("injected fault")),
        Fault::FailsButPersists => act().and(Err(io::Error::other("injected fault after the effect"))),
    }
}

/// A file on its way. It lies in the scratch directory until [`Writer::commit`].
pub struct Writer {
    disk: Disk,
    path: PathBuf,
    file: File,
    mode: u32,
    placed: bool,
}

impl Writer {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let fault = self.disk.fault(Operation::Write, &self.path);
        let written = if fault == Fault::Fails { &bytes[..bytes.len() / 2] } else { bytes };
        let result = self.file.write_all(written);
        let result = match fault {
            Fault::None => result,
            Fault::Fails | Fault::FailsButPersists => result.and(Err(io::Error::other("injected fault"))),
        };
        result.map_err(|source| FileError::new(Operation::Write, &self.path, source))
    }

    /// Makes the bytes durable and gives them their name, over what had it before. The directory must be there.
    pub fn commit(self, path: &Path) -> Result<(), FileError> {
        self.sync()?;
        let disk = self.disk.clone();
        self.rename(path)?;
        disk.sync_directory(parent(path))
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> &File {
        &self.file
    }

    fn set_mode(&self) -> Result<(), FileError> {
        let set = self.file.set_permissions(fs::Permissions::from_mode(self.mode));
        set.map_err(|source| FileError::new(Operation::SetAttributes, &self.path, source))
    }

    fn sync(&self) -> Result<(), FileError> {
        self.set_mode()?;
        self.disk.step(Operation::SyncFile, &self.path, || self.file.sync_all())
    }

    fn rename(mut self, path: &Path) -> Result<(), FileError> {
        self.disk.step(Operation::Rename, path, || fs::rename(&self.path, path))?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.placed {
            // What can't be removed now is removed at the next opening.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Returns the directory that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Reads a file of at most `size_max` bytes.
pub fn read(path: &Path, size_max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(|source| FileError::new(Operation::Open, path, source))?;
    let mut bytes = Vec::new();
    let read = file.take(size_max.saturating_add(1)).read_to_end(&mut bytes);
    let checked = read.and_then(|size| match size as u64 > size_max {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {size_max} bytes"))),
        false => Ok(bytes),
    });
    checked.map_err(|source| FileError::new(Operation::Read, path, source))
}

/// Reads a file that may be missing.
pub fn read_optional(path: &Path, size_max: u64) -> Result<Option<Vec<u8>>, FileError> {
    match read(path, size_max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the names in a directory, sorted; none when it is missing. A name that is no UTF-8 is shown lossily.
pub fn list(path: &Path) -> Result<Vec<String>, FileError> {
    let wrap = |source| FileError::new(Operation::List, path, source);
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(wrap)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(wrap)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes a tree whose directories may be read-only; not durable, and no error when it is missing.
pub(crate) fn remove_tree(path: &Path) -> Result<(), FileError> {
    let wrap = |source| FileError::new(Operation::Remove, path, source);
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(wrap)?.file_type(),
    };
    if kind.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(wrap)?;
        for entry in fs::read_dir(path).map_err(wrap)? {
            remove_tree(&entry.map_err(wrap)?.path())?;
        }
        return fs::remove_dir(path).map_err(wrap);
    }
    fs::remove_file(path).map_err(wrap)
}

#[cfg(test)]
mod tests;
