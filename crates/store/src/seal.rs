//! The seal: what every changeable file was at the last clean stop, and which unchanging files there were.
//!
//! ```text
//! {"blobs":["sha256:…"],"files":[{"digest":"sha256:…","path":"VERSION","root":"data"},…],
//!  "seal":"sha256:…","trees":["sha256:…"],"version":1}
//! ```
//!
//! `seal` is the digest of the document without it, so that a changed byte of the seal itself is found. A seal proves
//! nothing against somebody who can write it anew: that is what the log and its head outside the directory are for.
//! It finds what a disk, a copy or a careless hand did.
//!
//! It works on a list of roots: the data directory, and whatever else belongs to the same home. Files that have a
//! better witness stand as names only (blobs and trees: their digest) or not at all (log tiles: the log's root).

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::digest::{Algorithm, Digest};

use crate::blobs;
use crate::durable::{self, FileError, Operation};

/// The largest seal that is read: a million blobs take 75 MB.
pub const SIZE_MAX: u64 = 1 << 30;

/// Version of the document.
const VERSION: u32 = 1;

/// A directory whose files are covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its name in the seal: `data`, `home`.
    pub name: String,
    /// Where it is now.
    pub path: PathBuf,
    /// Names directly below it that have another witness, or none by intent.
    pub except: Vec<String>,
}

/// A sealed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Blobs that were there.
    pub blobs: Vec<Digest>,
    /// Files that may change between seals, sorted by root and path.
    pub files: Vec<Sealed>,
    /// Trees that were there.
    pub trees: Vec<Digest>,
    /// Version of the document.
    pub version: u32,
}

/// One file of a seal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sealed {
    /// Name of its root.
    pub root: String,
    /// Path below the root; for a symbolic link, the digest is that of its target.
    pub path: String,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// A file that is not what its seal says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Where it is, or should be.
    pub path: PathBuf,
    /// Name of its root.
    pub root: String,
    /// Path below the root.
    pub name: String,
    /// Digest of its bytes by the seal; `None` if it was not there.
    pub was: Option<Digest>,
    /// What it is now.
    pub now: Seen,
}

/// What was seen of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// It is missing.
    Missing,
    /// It has bytes of this digest.
    Bytes(Digest),
    /// It could not be read.
    Unreadable(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.path.display())?;
        match (&self.now, self.was) {
            (Seen::Missing, _) => f.write_str("is missing"),
            (Seen::Bytes(_), Some(_)) => f.write_str("has changed"),
            (Seen::Bytes(_), None) => f.write_str("does not belong here"),
            (Seen::Unreadable(why), _) => write!(f, "can't be read: {why}"),
        }
    }
}

/// Why there is no seal to go by.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No file: the directory is in use, or was not closed.
    #[error("there is no seal: the directory is in use or was not closed cleanly")]
    Missing,
    /// Bytes that no seal of ours has.
    #[error("the seal is damaged")]
    Damaged,
    /// A later version.
    #[error("the seal has version {0}, and this program knows only {VERSION}")]
    Version(u32),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(flatten)]
    seal: Seal,
    #[serde(rename = "seal")]
    digest: Digest,
}

impl Seal {
    /// Makes the seal of what is there now. Nobody may write meanwhile.
    pub fn make(roots: &[Root], blobs: Vec<Digest>, trees: Vec<Digest>) -> Result<Seal, FileError> {
        let mut files = Vec::new();
        for root in roots {
            for path in walk(root)? {
                let digest = file_digest(&root.path.join(&path))?;
                files.push(Sealed { root: root.name.clone(), path, digest });
            }
        }
        files.sort_unstable();
        Ok(Seal { blobs, files, trees, version: VERSION })
    }

    /// Returns the bytes of the seal's file.
    pub fn to_json(&self) -> Vec<u8> {
        let digest = Digest::of(&wire::jcs::to_vec(self));
        let mut json = wire::jcs::to_vec(&Document { seal: self.clone(), digest });
        json.push(b'\n');
        json
    }

    /// Parses a seal; only the exact bytes that [`Seal::to_json`] writes are taken.
    pub fn parse(json: &[u8]) -> Result<Seal, SealError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let versioned: Versioned = serde_json::from_slice(json).map_err(|_| SealError::Damaged)?;
        let document = serde_json::from_slice::<Document>(json).ok();
        match document.filter(|document| document.seal.to_json() == json) {
            Some(document) if document.seal.version == VERSION => Ok(document.seal),
            Some(document) => Err(SealError::Version(document.seal.version)),
            // A later version may have other fields; a damaged one of ours says 1.
            None if versioned.version > VERSION && versioned.version < 1000 => {
                Err(SealError::Version(versioned.version))
            }
            None => Err(SealError::Damaged),
        }
    }

    /// Reads a seal's file.
    pub fn read(path: &Path) -> Result<Seal, SealError> {
        let json = durable::read_optional(path, SIZE_MAX)?.ok_or(SealError::Missing)?;
        Seal::parse(&json)
    }

    /// Compares the files below a root with what they were, and returns those that differ.
    pub fn changes(&self, root: &Root) -> Result<Vec<Change>, FileError> {
        let mut sealed = self.files_of(&root.name);
        let mut changes = Vec::new();
        let change =
            |name: String, was, now| Change { path: root.path.join(&name), root: root.name.clone(), name, was, now };
        for name in walk(root)? {
            let was = sealed.remove(name.as_str());
            match file_digest(&root.path.join(&name)) {
                Ok(digest) if was == Some(digest) => {}
                Ok(digest) => changes.push(change(name, was, Seen::Bytes(digest))),
                Err(error) => changes.push(change(name, was, Seen::Unreadable(error.to_string()))),
            }
        }
        changes.extend(sealed.into_iter().map(|(name, was)| change(name.to_owned(), Some(was), Seen::Missing)));
        Ok(changes)
    }

    /// Returns the sealed files of one root, by path.
    pub fn files_of(&self, root: &str) -> BTreeMap<&str, Digest> {
        self.files.iter().filter(|file| file.root == root).map(|file| (file.path.as_str(), file.digest)).collect()
    }
}

/// Returns the paths of all files and links below a root, sorted, but for those excepted.
pub fn walk(root: &Root) -> Result<Vec<String>, FileError> {
    let mut paths = Vec::new();
    for name in durable::list(&root.path)? {
        if !root.except.contains(&name) {
            walk_entry(&root.path, name, &mut paths)?;
        }
    }
    Ok(paths)
}

fn walk_entry(root: &Path, path: String, paths: &mut Vec<String>) -> Result<(), FileError> {
    let at = root.join(&path);
    let metadata = fs::symlink_metadata(&at).map_err(|error| FileError::new(Operation::Read, &at, error))?;
    if !metadata.is_dir() {
        paths.push(path);
        return Ok(());
    }
    durable::list(&at)?.into_iter().try_for_each(|name| walk_entry(root, format!("{path}/{name}"), paths))
}

/// Returns the digest of a file's bytes, or of a link's target; of anything else, that of nothing.
pub fn file_digest(path: &Path) -> Result<Digest, FileError> {
    let wrap = |error| FileError::new(Operation::Read, path, error);
    let metadata = fs::symlink_metadata(path).map_err(wrap)?;
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(wrap)?;
        return Ok(Digest::of(target.as_os_str().as_encoded_bytes()));
    }
    if !metadata.is_file() {
        return Ok(Digest::of(b""));
    }
    let mut file = File::open(path).map_err(wrap)?;
    Ok(blobs::hash(&mut file, Algorithm::Sha256).map_err(wrap)?.0)
}

#[cfg(test)]
mod tests;
