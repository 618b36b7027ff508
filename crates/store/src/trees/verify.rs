//! Compares a directory with a manifest, entry by entry, reading every byte.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::tree::{Entry, Tree};
use wire::digest::Algorithm;

use super::TIME_UNIX_S;
use crate::blobs;
use crate::durable::{FileError, Operation};

/// Something in a tree that is not as its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Path inside the tree.
    pub path: String,
    /// What is wrong there.
    pub what: What,
}

/// The ways in which an entry can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The manifest has it, the directory has not.
    Missing,
    /// The directory has it, the manifest has not.
    Unlisted,
    /// A file instead of a link, or the like.
    Type,
    /// Other bytes, or another link target.
    Content,
    /// Another mode than 0444 or 0555.
    Mode,
    /// Another time than every entry has.
    Time,
}

/// Returns all differences between the directory `root` and `tree`, in path order.
pub(super) fn compare(root: &Path, tree: &Tree) -> Result<Vec<Difference>, FileError> {
    let mut differences = Vec::new();
    let mut listed = BTreeSet::new();
    for (path, entry) in tree.entries() {
        listed.insert(PathBuf::from(path));
        if let Some(what) = compare_entry(&root.join(path), entry)? {
            differences.push(Difference { path: path.to_owned(), what });
        }
    }
    find_unlisted(root, Path::new(""), &listed, &mut differences)?;
    differences.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(differences)
}

fn compare_entry(path: &Path, entry: &Entry) -> Result<Option<What>, FileError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Some(What::Missing));
        }
        other => other.map_err(|error| FileError::new(Operation::Read, path, error))?,
    };
    let (same_type, same_content, mode) = match entry {
        Entry::File { digest, size, executable } => {
            let same = metadata.is_file() && metadata.len() == *size && file_digest(path)? == *digest;
            (metadata.is_file(), same, if *executable { 0o555 } else { 0o444 })
        }
        Entry::Link { target } => {
            let same = metadata.is_symlink() && fs::read_link(path).is_ok_and(|found| found == Path::new(target));
            (metadata.is_symlink(), same, 0o777)
        }
        Entry::Directory => (metadata.is_dir(), true, 0o555),
    };
    Ok(match () {
        () if !same_type => Some(What::Type),
        () if !same_content => Some(What::Content),
        () if metadata.permissions().mode() & 0o7777 != mode => Some(What::Mode),
        () if metadata.mtime() != TIME_UNIX_S || metadata.mtime_nsec() != 0 => Some(What::Time),
        () => None,
    })
}

fn file_digest(path: &Path) -> Result<wire::digest::Digest, FileError> {
    let mut file = File::open(path).map_err(|error| FileError::new(Operation::Open, path, error))?;
    let hashed = blobs::hash(&mut file, Algorithm::Sha256);
    Ok(hashed.map_err(|error| FileError::new(Operation::Read, path, error))?.0)
}

fn find_unlisted(
    root: &Path,
    directory: &Path,
    listed: &BTreeSet<PathBuf>,
    differences: &mut Vec<Difference>,
) -> Result<(), FileError> {
    let at = root.join(directory);
    let wrap = |error| FileError::new(Operation::List, &at, error);
    for entry in fs::read_dir(&at).map_err(wrap)? {
        let entry = entry.map_err(wrap)?;
        let path = directory.join(entry.file_name());
        if !listed.contains(&path) {
            differences.push(Difference { path: path.to_string_lossy().into_owned(), what: What::Unlisted });
        } else if entry.file_type().map_err(wrap)?.is_dir() {
            find_unlisted(root, &path, listed, differences)?;
        }
    }
    Ok(())
}
