//! Scratch of running commands, below the home's `runs/`: one directory each, and beside it a lock that says who runs.
//!
//! ```text
//! runs/5f0c…/        what a build collects, a lock unpacks, a remote session stores on the way
//!      5f0c….lock    locked by its process; the kernel gives it up when that dies
//! ```
//!
//! Who makes one first removes what dead processes have left, so a killed command costs space only until the next.
//! Commands may run at the same time, also while a server holds the home.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Context as _, Result};
use crate::home::private_directory;
use crate::machine;

/// What ends the name of a lock.
const LOCK: &str = ".lock";

/// How many directories of the dead one command removes at most, so that none waits long for others.
const SWEPT_MAX: usize = 100;

/// A directory that is removed when dropped, or by the next command.
#[derive(Debug)]
pub(crate) struct Run {
    name: String,
    path: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Run {
    /// Makes an empty directory of a random name below `runs`.
    pub(crate) fn new(runs: &Path) -> Result<Run> {
        private_directory(runs)?;
        sweep(runs);
        let name = machine::random_name()?;
        let lock = runs.join(format!("{name}{LOCK}"));
        let doing = || format!("locking `{}`", lock.display());
        let held = loop {
            let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&lock);
            let file = file.context("run", doing())?;
            file.lock().context("run", doing())?;
            // Between the two lines somebody may have taken it for left behind, and removed it.
            let here = fs::metadata(&lock).is_ok_and(|named| file.metadata().is_ok_and(|own| own.ino() == named.ino()));
            if here {
                break file;
            }
        };
        let path = runs.join(&name);
        private_directory(&path)?;
        Ok(Run { name, path, lock, _held: held })
    }

    /// Its name, which no other run has.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        remove(&self.path);
        // Last: without it nobody would know that the directory may go.
        if !self.path.exists() {
            let _kept = fs::remove_file(&self.lock);
        }
    }
}

/// Removes what dead processes have left. What cannot be removed stays for another time.
fn sweep(runs: &Path) {
    let Ok(entries) = fs::read_dir(runs) else { return };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    for name in names.filter_map(|name| Some(name.strip_suffix(LOCK)?.to_owned())).take(SWEPT_MAX) {
        let lock = runs.join(format!("{name}{LOCK}"));
        let Ok(file) = File::options().write(true).open(&lock) else { continue };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => continue,
        }
        let path = runs.join(&name);
        remove(&path);
        if !path.exists() {
            let _kept = fs::remove_file(&lock);
        }
    }
}

/// Removes a tree whose directories may be read-only, as those of a copied input are.
fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_ok() || !path.exists() {
        return;
    }
    open_up(path);
    let _left = fs::remove_dir_all(path);
}

fn open_up(path: &Path) {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if !is_directory || fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_err() {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}

#[cfg(test)]
mod tests;
