//! Back-ups: a copy of what can't be made again, taken beside whoever is at work, and put back whole or not at all.
//!
//! ```text
//! BACKUP/backup.json      what belongs to the newest back-up; replaced last
//!        blobs/ trees/    as in a data directory, shared by all back-ups to the same place
//!        log/tile/ ct/    tiles and entry bundles up to the checkpoints; precertificates
//!        files/<digest>   keys, trust root, the log's small files; only their owner reads them
//!        lock tmp/
//! ```
//!
//! The checkpoints are read first and everything else after them: what its entries name was durable before it was published,
//! so the copy is consistent though nobody waits for it. Not in it: the ledger, which is made again from log and blobs,
//! unfinished uploads, and the head outside the data directory, which is what tells an old copy from the newest.
//!
//! A second back-up to the same place copies only what is new. Until `backup.json` is replaced, the one before stands.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::tree::{Entry, Tree};
use tlog::merkle::{self, Hash};
use tlog::tile::TilePath;
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::blobs::{self, BlobError, Blobs};
use crate::certificates::{DIRECTORY, ENTRIES, ENTRY_SIZE_MAX, decode, entry_path};
use crate::durable::{self, Batch, Disk, FileError, Operation};
use crate::home::data_roots;
use crate::lock::{Lock, LockError};
use crate::log::{LogError, Reader};
use crate::seal::{self, Root};
use crate::trees::{self, Trees, TreesError};

mod copy;

mod manifest;

mod restore;

pub use copy::{Copy, take_missing};
pub use manifest::{Kept, KeptLog, MANIFEST, Manifest, ManifestError};
pub use restore::{Place, restore};

/// The largest of the small files that is taken: the largest trust root.
const FILE_MAX: u64 = 64 << 20;

/// How many tiles are written by one batch, which holds each open.
const TILES_MAX: usize = 128;

/// Names of the data directory that are not taken as files: made again, taken in another way, or safe to lose.
const NOT_TAKEN: [&str; 10] = [
    "lock",
    "blobs",
    "trees",
    "ledger.sqlite",
    "ledger.sqlite-wal",
    "ledger.sqlite-shm",
    "ledger.sqlite-journal",
    "uploads",
    "reindex.sqlite",
    "seal.json",
];

/// Names of a log's directory that are not taken as files; the checkpoint stands in the manifest.
const LOG_NOT_TAKEN: [&str; 5] = ["tile", ENTRIES, "staging", "head", "checkpoint"];

/// Directories of logs: of statements, of certificates.
const LOGS: [&str; 2] = ["log", DIRECTORY];

/// What is taken.
#[derive(Clone, Debug)]
pub struct Source {
    /// The data directory.
    pub data: PathBuf,
    /// The directories beside it that belong to the same home, such as that of the keys.
    pub covered: Vec<Root>,
}

/// What a back-up took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Log entries that it holds.
    pub entries: u64,
    /// Blobs that were copied, and those that were there.
    pub blobs: Counted,
    /// Trees that were copied, and those that were there.
    pub trees: Counted,
    /// Bytes that were copied.
    pub bytes: u64,
    /// What is damaged or missing in the source and could not be taken.
    pub damaged: Vec<String>,
}

/// How many are new, and how many were there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Copied.
    pub copied: u64,
    /// There already.
    pub there: u64,
}

/// Why a back-up could not be taken or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Not an empty directory, and no back-up.
    #[error("`{}` holds `{name}`, and no back-up: choose an empty directory", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        name: String,
    },
    /// Inside of what is to be taken.
    #[error("`{}` lies within `{}`: a back-up must lie outside of the home", path.display(), home.display())]
    Inside {
        /// The directory.
        path: PathBuf,
        /// What is to be taken.
        home: PathBuf,
    },
    /// A back-up of another log.
    #[error("`{}` is a back-up of the log `{found}`, and this is `{expected}`: choose another directory", path.display())]
    OtherLog {
        /// The directory.
        path: PathBuf,
        /// Origin of the log in it.
        found: String,
        /// Origin of the log to be taken.
        expected: String,
    },
    /// A back-up of a later state of the same log.
    #[error(
        "`{}` holds {found} entries of this log, and the log has only {here}: this is an old copy of the log, or another \
         history of it; the back-up is left as it is", path.display()
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Entries in it.
        found: u64,
        /// Entries of the log.
        here: u64,
    },
    /// A home is there already.
    #[error("`{}` is in use already: a back-up is put back into an empty directory", .0.display())]
    Exists(PathBuf),
    /// Something in the back-up is not what its manifest says.
    #[error("the back-up is damaged: {what}")]
    Damaged {
        /// What.
        what: String,
    },
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Another process writes to the same place.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A blob.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A tree.
    #[error(transparent)]
    Trees(#[from] TreesError),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Takes a back-up into `to`, which is made if need be. The home may be in use by anybody. `told` hears what is being done.
///
/// A blob or tree that is damaged in the source is named in the answer, and everything else is taken all the same; where
/// the back-up has an intact copy from before, that one is kept.
pub fn back_up(source: &Source, to: &Path, now: Timestamp, told: &mut dyn FnMut(&str)) -> Result<Taken, BackupError> {
    write(source, to, now, told, Disk::new(to.join("tmp")))
}

fn write(
    source: &Source,
    to: &Path,
    now: Timestamp,
    told: &mut dyn FnMut(&str),
    disk: Disk,
) -> Result<Taken, BackupError> {
    outside(to, source)?;
    let logs = open_logs(&source.data)?;
    let (before, _lock) = prepare(to, &disk, &logs)?;
    let mut kept: Vec<KeptLog> = logs.iter().map(|(name, log)| kept_log(name, log)).collect();
    let mut taken = Taken { entries: logs[0].1.size(), ..Taken::default() };
    for (name, log) in &logs {
        told(&format!("{} entries of `{name}`", log.size()));
        copy_log(log, &to.join(name), &disk)?;
    }
    for ((name, log), kept) in logs.iter().zip(&mut kept).filter(|((name, _), _)| *name == DIRECTORY) {
        kept.beside = Some(copy_certificates(&source.data.join(name), log, &to.join(name), &disk)?);
    }
    let from = Blobs::new(source.data.join("blobs"), disk.clone());
    let into = Blobs::new(to.join("blobs"), disk.clone());
    let digests = from.list()?;
    told(&format!("{} blobs", digests.len()));
    let blobs = copy_blobs(&from, &into, &digests, &mut taken)?;
    let from = Trees::new(source.data.join("trees"), from, disk.clone());
    let into = Trees::new(to.join("trees"), into, disk.clone());
    let digests = from.list()?;
    told(&format!("{} trees", digests.len()));
    let trees = copy_trees(&from, &into, &digests, &mut taken)?;
    let files = copy_files(source, to, &disk)?;
    let manifest = Manifest { blobs, files, logs: kept, made: now, trees, version: manifest::VERSION };
    disk.replace(&to.join(MANIFEST), &manifest.to_json(), 0o600)?;
    forget(to, &disk, before.as_ref(), &manifest, &logs)?;
    disk.clear_scratch()?;
    Ok(taken)
}

/// The logs as they are published now, by their directories.
type Logs = Vec<(&'static str, Reader)>;

fn open_logs(data: &Path) -> Result<Logs, BackupError> {
    let there = LOGS.into_iter().filter(|name| *name == "log" || data.join(name).join("VERSION").is_file());
    there.map(|name| Ok((name, Reader::open(&data.join(name))?))).collect()
}

fn kept_log(name: &str, log: &Reader) -> KeptLog {
    let (name, origin) = (name.to_owned(), log.origin().to_owned());
    KeptLog { name, origin, checkpoint: log.checkpoint().to_string(), beside: None }
}

/// Refuses a place within what is taken: the next back-up would take the one before.
fn outside(to: &Path, source: &Source) -> Result<(), BackupError> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let nearest = to.ancestors().find(|above| above.exists()).map_or_else(|| to.to_owned(), real);
    let homes = source.covered.iter().map(|root| &root.path).chain([&source.data]);
    for home in homes {
        if nearest.starts_with(real(home)) {
            return Err(BackupError::Inside { path: to.to_owned(), home: home.clone() });
        }
    }
    Ok(())
}

/// Takes the place for this back-up; returns the manifest of the one before, and the lock.
fn prepare(to: &Path, disk: &Disk, logs: &Logs) -> Result<(Option<Manifest>, Lock), BackupError> {
    let names = durable::list(to)?;
    let ours = names.iter().any(|name| name == MANIFEST || name == "lock");
    if let (false, Some(name)) = (ours, names.first()) {
        return Err(BackupError::Occupied { path: to.to_owned(), name: name.clone() });
    }
    disk.make_directories(to)?;
    // Keys lie below.
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))
        .map_err(|error| FileError::new(Operation::SetAttributes, to, error))?;
    let lock = Lock::take(&to.join("lock"))?;
    disk.clear_scratch()?;
    let before = match Manifest::read(&to.join(MANIFEST)) {
        Err(ManifestError::Missing(_)) => None,
        read => Some(read?),
    };
    for kept in before.iter().flat_map(|before| &before.logs) {
        continues(to, kept, logs)?;
    }
    Ok((before, lock))
}

/// Refuses to replace the back-up of another log, of a longer one, or of another history of this one.
fn continues(to: &Path, before: &KeptLog, logs: &Logs) -> Result<(), BackupError> {
    let other = |expected: &str| {
        let (found, expected) = (before.origin.clone(), expected.to_owned());
        BackupError::OtherLog { path: to.to_owned(), found, expected }
    };
    let log = logs.iter().find(|(name, _)| *name == before.name);
    let (_, log) = log.ok_or_else(|| other(&format!("a home without `{}`", before.name)))?;
    if before.origin != log.origin() {
        return Err(other(log.origin()));
    }
    let checkpoint = before.signed_by(log.note_key())?;
    let here = log.size();
    if checkpoint.size > here || log.root_at(checkpoint.size)? != checkpoint.root {
        return Err(BackupError::Newer { path: to.to_owned(), found: checkpoint.size, here });
    }
    Ok(())
}

/// Copies the tiles that are not there. A full tile never changes; partial ones carry their width in their names.
fn copy_log(log: &Reader, to: &Path, disk: &Disk) -> Result<(), BackupError> {
    let mut batch = Batch::new(disk);
    let mut count = 0;
    for tile in TilePath::all(log.size()) {
        let name = tile.to_string();
        let path = to.join(&name);
        if path.is_file() {
            continue;
        }
        let missing = || BackupError::Damaged { what: format!("the log to be taken has no `{name}`") };
        batch.write(path, &log.tile(&name)?.ok_or_else(missing)?, 0o444)?;
        count += 1;
        if count == TILES_MAX {
            std::mem::replace(&mut batch, Batch::new(disk)).commit()?;
            count = 0;
        }
    }
    Ok(batch.commit()?)
}

/// Copies the files of precertificates that are not there; returns the digest of all.
fn copy_certificates(from: &Path, log: &Reader, to: &Path, disk: &Disk) -> Result<Digest, BackupError> {
    let mut batch = Batch::new(disk);
    let mut digests = Vec::new();
    let mut count = 0;
    for index in 0..log.size() {
        let hash = log.leaf_hash(index)?;
        let path = entry_path(to, &hash);
        let is_there = path.is_file();
        let bytes = read_certificate(if is_there { &path } else { from }, index, &hash)?;
        digests.extend_from_slice(Digest::of(&bytes).bytes());
        if is_there {
            continue;
        }
        batch.write(path, &bytes, 0o444)?;
        count += 1;
        if count % TILES_MAX == 0 {
            std::mem::replace(&mut batch, Batch::new(disk)).commit()?;
        }
    }
    batch.commit()?;
    Ok(Digest::of(&digests))
}

/// Reads the file of a precertificate, which is `at` or lies in that log, and checks that it is that of its leaf.
fn read_certificate(at: &Path, index: u64, hash: &Hash) -> Result<Vec<u8>, BackupError> {
    let path = if at.is_dir() { entry_path(at, hash) } else { at.to_owned() };
    let bytes = durable::read(&path, ENTRY_SIZE_MAX)?;
    match decode(&bytes).is_some_and(|entry| entry.index == index && merkle::leaf_hash(&entry.leaf) == *hash) {
        true => Ok(bytes),
        false => Err(BackupError::Damaged { what: format!("`{}` is not the file of its leaf", path.display()) }),
    }
}

fn copy_blobs(from: &Blobs, to: &Blobs, digests: &[Digest], taken: &mut Taken) -> Result<Vec<Digest>, BackupError> {
    let mut whole = Vec::with_capacity(digests.len());
    for digest in digests {
        if to.has(digest)? {
            taken.blobs.there += 1;
            whole.push(*digest);
            continue;
        }
        match copy_blob(from, to, digest) {
            Ok(size) => {
                taken.blobs.copied += 1;
                taken.bytes += size;
                whole.push(*digest);
            }
            Err(error @ (BlobError::Mismatch { .. } | BlobError::Source(_))) => {
                taken.damaged.push(format!("`{}`: {error}", from.path(digest).display()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(whole)
}

fn copy_blob(from: &Blobs, to: &Blobs, digest: &Digest) -> Result<u64, BlobError> {
    Ok(to.put(&mut from.open(digest)?, Some(digest), blobs::SIZE_MAX)?.1)
}

fn copy_trees(from: &Trees, to: &Trees, digests: &[Digest], taken: &mut Taken) -> Result<Vec<Digest>, BackupError> {
    let mut whole = Vec::with_capacity(digests.len());
    to.clear_staging()?;
    for digest in digests {
        if to.has(digest) {
            taken.trees.there += 1;
            whole.push(*digest);
            continue;
        }
        match copy_tree(from, to, digest) {
            Ok(size) => {
                taken.trees.copied += 1;
                taken.bytes += size;
                whole.push(*digest);
            }
            // What lies there is not what its manifest says: the copy is not made, and the rest goes on.
            Err(error @ (TreesError::Mismatch { .. } | TreesError::NotAFile(_) | TreesError::Missing(_))) => {
                taken.damaged.push(format!("`{}`: {error}", from.path(digest).display()));
            }
            Err(TreesError::File(error)) if error.is_missing() => {
                taken.damaged.push(format!("`{}`: {error}", from.path(digest).display()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(whole)
}

/// Copies a tree by its manifest, hashing every file on the way; returns its size.
fn copy_tree(from: &Trees, to: &Trees, digest: &Digest) -> Result<u64, TreesError> {
    let tree = from.tree(digest)?;
    to.import(sources(&from.path(digest), &tree), Some(digest))?;
    let size = |entry: &Entry| if let Entry::File { size, .. } = entry { *size } else { 0 };
    Ok(tree.entries().map(|(_, entry)| size(entry)).sum())
}

fn sources<'a>(root: &'a Path, tree: &'a Tree) -> impl Iterator<Item = (String, trees::Source)> + 'a {
    tree.entries().map(|(path, entry)| {
        let source = match entry {
            Entry::File { executable, .. } => trees::Source::File { path: root.join(path), executable: *executable },
            Entry::Link { target } => trees::Source::Link { target: target.clone() },
            Entry::Directory => trees::Source::Directory,
        };
        (path.to_owned(), source)
    })
}

/// Copies the small files, each under its digest.
fn copy_files(source: &Source, to: &Path, disk: &Disk) -> Result<Vec<Kept>, BackupError> {
    let mut roots = data_roots(&source.data);
    for root in &mut roots {
        let names: &[&str] = if LOGS.contains(&root.name.as_str()) { &LOG_NOT_TAKEN } else { &NOT_TAKEN };
        root.except.extend(names.iter().map(|name| (*name).to_owned()));
    }
    roots.extend(source.covered.iter().cloned());
    let mut kept = Vec::new();
    let mut batch = Batch::new(disk);
    let mut written = BTreeSet::new();
    for root in &roots {
        for name in seal::walk(root)? {
            let path = root.path.join(&name);
            let wrap = |error| FileError::new(Operation::Read, &path, error);
            let metadata = fs::symlink_metadata(&path).map_err(wrap)?;
            if !metadata.is_file() {
                return Err(BackupError::Damaged { what: format!("`{}` is no regular file", path.display()) });
            }
            let bytes = durable::read(&path, FILE_MAX)?;
            let digest = Digest::of(&bytes);
            let at = to.join("files").join(digest.hex());
            if !at.is_file() && written.insert(digest) {
                batch.write(at, &bytes, 0o600)?;
            }
            let mode = metadata.mode() & 0o777;
            kept.push(Kept { digest, mode, path: name, root: root.name.clone() });
        }
    }
    batch.commit()?;
    kept.sort_unstable();
    Ok(kept)
}

/// Removes what only the back-up before needed: small files, and partial tiles.
fn forget(to: &Path, disk: &Disk, before: Option<&Manifest>, now: &Manifest, logs: &Logs) -> Result<(), BackupError> {
    let needed: BTreeSet<&Digest> = now.files.iter().map(|file| &file.digest).collect();
    for file in before.iter().flat_map(|before| &before.files).filter(|file| !needed.contains(&file.digest)) {
        disk.remove(&to.join("files").join(file.digest.hex()))?;
    }
    for (name, log) in logs {
        let listed: BTreeSet<String> = TilePath::all(log.size()).map(|path| path.to_string()).collect();
        let root = Root { name: String::new(), path: to.join(name), except: vec![ENTRIES.to_owned()] };
        for path in seal::walk(&root)?.into_iter().filter(|path| !listed.contains(path)) {
            disk.remove(&root.path.join(path))?;
        }
    }
    Ok(())
}

/// Reads a tile of a back-up; while the next one is being taken, one that is superseded is cut out of a wider one.
fn read_tile(log: &Path, path: &str) -> Result<Vec<u8>, FileError> {
    crate::log::read_tile(log, path)
}

#[cfg(test)]
mod tests;
