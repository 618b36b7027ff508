//! The exclusive lock of a data directory, and who holds it.
//!
//! ```text
//! {"address":"http://127.0.0.1:8470","pid":4711,"version":1}
//! ```
//!
//! The lock is `flock` on the file `lock`: the kernel gives it up when its holder dies, so that no stale lock is ever
//! in the way. The content is only for messages, and for finding the server that holds the directory; it is empty
//! when nobody does.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{FileError, Operation};

/// The most that is read of a lock file: its content is one short line.
const SIZE_MAX: u64 = 4096;

/// Version of the content.
const VERSION: u32 = 1;

/// A held lock; given up when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Who holds a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Server address, once it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Process id; 0 if the holder has not said yet.
    #[serde(default)]
    pub pid: u32,
    /// Version of the file.
    #[serde(default)]
    pub version: u32,
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("`{}` is in use by process {}{}", path.display(), holder.pid, at(holder))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

fn at(holder: &Holder) -> String {
    holder.address.as_ref().map(|address| format!(", a server at {address}")).unwrap_or_default()
}

impl Lock {
    /// Takes the lock at `path`, or says who holds it. Doesn't wait.
    pub fn take(path: &Path) -> Result<Lock, LockError> {
        let wrap = |error| FileError::new(Operation::Lock, path, error);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(wrap)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { path: path.to_owned(), holder: holder(path)?.unwrap_or_default() });
            }
            Err(TryLockError::Error(error)) => return Err(wrap(error).into()),
        }
        let mut lock = Lock { file, path: path.to_owned() };
        lock.announce(None)?;
        Ok(lock)
    }

    /// Writes down who holds the lock, and where he listens.
    pub fn announce(&mut self, address: Option<&str>) -> Result<(), FileError> {
        let holder = Holder { address: address.map(str::to_owned), pid: std::process::id(), version: VERSION };
        let mut line = wire::jcs::to_vec(&holder);
        line.push(b'\n');
        self.write(&line)
    }

    /// Empties the file before the lock is given up.
    pub fn clear(&mut self) -> Result<(), FileError> {
        self.write(b"")?;
        self.file.sync_all().map_err(|error| FileError::new(Operation::SyncFile, &self.path, error))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .and_then(|_| self.file.write_all(bytes));
        written.map_err(|error| FileError::new(Operation::Write, &self.path, error))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child process that was forked a moment ago and has not come to its
        // `exec`. What can't be unlocked is unlocked when the last copy is closed.
        drop(self.file.unlock());
    }
}

/// Returns what a lock file says of its holder; `None` if it says nothing. Doesn't look whether it is held.
pub fn holder(path: &Path) -> Result<Option<Holder>, FileError> {
    let mut text = String::new();
    match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::new(Operation::Open, path, error)),
        Ok(file) => {
            // Anything unreadable is no reason to fail: the content is a hint.
            drop(file.take(SIZE_MAX).read_to_string(&mut text));
        }
    }
    Ok(serde_json::from_str::<Holder>(&text).ok().filter(|holder| holder.version == VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_second_taker_hears_who_has_it() {
        let scratch = Scratch::new("lock");
        let path = scratch.path().join("lock");
        let mut lock = Lock::take(&path).expect("free");
        lock.announce(Some("http://127.0.0.1:8470")).expect("written");
        let Err(LockError::Held { holder, .. }) = Lock::take(&path) else { panic!("held") };
        assert_eq!(holder.pid, std::process::id());
        assert_eq!(holder.address.as_deref(), Some("http://127.0.0.1:8470"));
        lock.clear().expect("emptied");
        drop(lock);
        assert_eq!(super::holder(&path).expect("readable"), None);
        drop(Lock::take(&path).expect("free again"));
    }

    #[test]
    fn garbage_in_the_file_is_no_obstacle() {
        let scratch = Scratch::new("lock");
        let path = scratch.path().join("lock");
        std::fs::write(&path, b"\xff{\"pid\":true}").expect("written");
        assert_eq!(super::holder(&path).expect("readable"), None);
        drop(Lock::take(&path).expect("free"));
    }
}
