//! Trees by digest: a directory that is exactly what a manifest says, to be mounted and never written.
//!
//! ```text
//! trees/sha256/<64 hex>/usr/bin/cc      files 0444 or 0555, directories 0555, every time 315532800
//! blobs/sha256/…                        the manifest, as the blob of the same digest
//! ```
//!
//! The digest and the manifest's form are [`model::tree`]'s. A tree has its final name only when all of it and its
//! manifest are durable: it is there whole, or not at all.
//!
//! Files are copied and hashed in one pass by two threads. They are made durable together, by one `syncfs` before the
//! rename: 60,000 single calls of `fsync` would take minutes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use model::tree::{Entry, Tree, TreeError};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use wire::digest::{Algorithm, Digest, Hasher};

use crate::blobs::{BlobError, Blobs};
use crate::durable::{self, Disk, FileError, Operation};

mod provision;

mod verify;

pub use verify::{Difference, What};

/// The time of every entry: 1980-01-01T00:00:00Z, the earliest that zip archives can hold too.
pub const TIME_UNIX_S: i64 = 315_532_800;

/// The largest file that is imported: 16 GiB, above any compiler or base file.
pub const FILE_MAX: u64 = 16 << 30;

/// The largest manifest that is read: 2,000,000 entries of 512 bytes.
pub const MANIFEST_MAX: u64 = 1 << 30;

/// Threads that copy. More would only wait for one another on a small machine.
const THREADS: usize = 2;

/// Where the content of one entry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A regular file of this machine.
    File {
        /// Where it lies; a symbolic link is not followed.
        path: PathBuf,
        /// Whether it may be executed in the tree.
        executable: bool,
    },
    /// These bytes.
    Bytes {
        /// The content.
        bytes: Vec<u8>,
        /// Whether it may be executed in the tree.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Its target, as it shall stand in the link.
        target: String,
    },
    /// A directory; those above an entry need not be named.
    Directory,
}

/// The tree store of a data directory. Clones share it; any number of threads may import and read at once.
#[derive(Clone)]
pub struct Trees {
    root: PathBuf,
    blobs: Blobs,
    disk: Disk,
}

/// Why a tree could not be imported or had.
#[derive(Debug, thiserror::Error)]
pub enum TreesError {
    /// A path that can't stand in a tree, or a manifest that is none.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// What came is not the tree that was announced. Nothing was stored.
    #[error("expected tree {expected} but what was imported is {found}")]
    Mismatch {
        /// The digest that was announced.
        expected: Digest,
        /// That of what came.
        found: Digest,
    },
    /// A host path that is no regular file, or is too large.
    #[error("`{}` is no regular file of at most {FILE_MAX} bytes", .0.display())]
    NotAFile(PathBuf),
    /// There is no such tree.
    #[error("no tree {0} is stored here")]
    Missing(Digest),
    /// A file, link or directory of a stored tree that is not as its manifest says.
    #[error("`{path}` of tree {tree} is missing or damaged")]
    Damaged {
        /// The tree.
        tree: Digest,
        /// Path in it.
        path: String,
    },
    /// A place for a tree where something is already.
    #[error("`{}` is there already, and is no empty directory", .0.display())]
    Occupied(PathBuf),
    /// The manifest could not be stored or had.
    #[error("the manifest of the tree")]
    Manifest(#[source] BlobError),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Trees {
    /// The trees below `root`, with their manifests in `blobs`.
    pub fn new(root: PathBuf, blobs: Blobs, disk: Disk) -> Trees {
        Trees { root, blobs, disk }
    }

    /// Imports a tree and returns its digest and manifest once all of it is durable.
    ///
    /// With `expected`, a tree that is here already is not read again, and another tree is refused. Without, entries
    /// are copied in any case, and the copy is dropped if that tree is here. Two threads may import the same tree.
    pub fn import(
        &self,
        entries: impl IntoIterator<Item = (String, Source)>,
        expected: Option<&Digest>,
    ) -> Result<(Digest, Tree), TreesError> {
        if let Some(expected) = expected
            && self.has(expected)
        {
            return Ok((*expected, self.tree(expected)?));
        }
        let sources = shape(entries)?;
        let staging = Staging(self.staging_path()?);
        let tree = fill(&staging.0, &sources)?;
        let manifest = tree.manifest();
        let digest = Digest::of(&manifest);
        if let Some(expected) = expected
            && digest != *expected
        {
            return Err(TreesError::Mismatch { expected: *expected, found: digest });
        }
        self.blobs.put_bytes(&manifest).map_err(TreesError::Manifest)?;
        self.place(&staging, &digest)?;
        Ok((digest, tree))
    }

    /// Whether a tree is here, whole.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_dir()
    }

    /// Returns where a tree lies, or would lie: mount it read-only.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.algorithm()).join(digest.hex())
    }

    /// Returns what a tree holds, by its manifest.
    pub fn tree(&self, digest: &Digest) -> Result<Tree, TreesError> {
        let manifest = self.blobs.read(digest, MANIFEST_MAX).map_err(|error| match error {
            BlobError::Missing(digest) => TreesError::Missing(digest),
            other => TreesError::Manifest(other),
        })?;
        Ok(Tree::parse(&manifest)?)
    }

    /// Reads a whole tree again, and returns what is not as its manifest says; none means it is intact.
    pub fn verify(&self, digest: &Digest) -> Result<Vec<Difference>, TreesError> {
        let tree = self.tree(digest)?;
        if !self.has(digest) {
            return Err(TreesError::Missing(*digest));
        }
        Ok(verify::compare(&self.path(digest), &tree)?)
    }

    /// Returns the digests of all trees, sorted.
    pub fn list(&self) -> Result<Vec<Digest>, TreesError> {
        let names = durable::list(&self.root.join("sha256"))?;
        Ok(names.iter().filter_map(|hex| Digest::from_parts("sha256", hex).ok()).collect())
    }

    /// Removes what interrupted imports left. Only before anything is imported.
    pub fn clear_staging(&self) -> Result<(), FileError> {
        let directory = self.root.join("sha256");
        let left = durable::list(&directory)?;
        left.iter()
            .filter(|name| name.starts_with(STAGING))
            .try_for_each(|name| durable::remove_tree(&directory.join(name)))
    }

    /// Staging lies beside the trees: a read-only directory can be renamed only within its own parent.
    fn staging_path(&self) -> Result<PathBuf, FileError> {
        let directory = self.root.join("sha256");
        self.disk.make_directories(&directory)?;
        let scratch = self.disk.scratch_path();
        let number = scratch.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(directory.join(format!("{STAGING}{number}")))
    }

    fn place(&self, staging: &Staging, digest: &Digest) -> Result<(), TreesError> {
        self.disk.sync_file_system(&staging.0)?;
        match self.disk.rename(&staging.0, &self.path(digest)) {
            // Another import of the same tree was there first.
            Err(_) if self.has(digest) => Ok(self.disk.sync_directory(&self.root.join("sha256"))?),
            other => Ok(other?),
        }
    }
}

/// What names of unfinished trees begin with; no digest does.
const STAGING: &str = "staging-";

/// A tree on its way in; what is left of it when dropped is removed.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        // What can't be removed now is removed at the next opening.
        drop(durable::remove_tree(&self.0));
    }
}

/// Checks all paths before anything is written: none leaves the tree, none passes through a link.
fn shape(entries: impl IntoIterator<Item = (String, Source)>) -> Result<BTreeMap<String, Source>, TreesError> {
    let mut shape = Tree::default();
    let mut sources = BTreeMap::new();
    for (path, source) in entries {
        let entry = match &source {
            Source::Link { target } => Entry::Link { target: target.clone() },
            Source::Directory => Entry::Directory,
            _ => Entry::File { digest: Digest::Sha256([0; 32]), size: 0, executable: false },
        };
        shape.insert(&path, entry)?;
        sources.insert(path, source);
    }
    for (path, entry) in shape.entries() {
        if *entry == Entry::Directory {
            sources.insert(path.to_owned(), Source::Directory);
        }
    }
    Ok(sources)
}

/// Writes the entries below `root` and returns what they are.
fn fill(root: &Path, sources: &BTreeMap<String, Source>) -> Result<Tree, TreesError> {
    make_directory(root)?;
    for (path, source) in sources {
        match source {
            Source::Directory => make_directory(&root.join(path))?,
            Source::Link { target } => make_link(&root.join(path), target)?,
            _ => {}
        }
    }
    let mut tree = Tree::default();
    for (path, entry) in copy_files(root, sources)? {
        tree.insert(path, entry)?;
    }
    for (path, source) in sources.iter().rev() {
        match source {
            Source::Directory => {
                finish_directory(&root.join(path))?;
                tree.insert(path, Entry::Directory)?;
            }
            Source::Link { target } => tree.insert(path, Entry::Link { target: target.clone() })?,
            _ => {}
        }
    }
    finish_directory(root)?;
    Ok(tree)
}

/// Copies and hashes all files, on [`THREADS`] threads; the first error stops them all.
fn copy_files<'a>(root: &Path, sources: &'a BTreeMap<String, Source>) -> Result<Vec<(&'a str, Entry)>, TreesError> {
    let files: Vec<(&str, &Source)> = sources
        .iter()
        .filter(|(_, source)| matches!(source, Source::File { .. } | Source::Bytes { .. }))
        .map(|(path, source)| (path.as_str(), source))
        .collect();
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        let mut buffer = vec![0; 256 * 1024];
        let mut done = Vec::new();
        while let Some((path, source)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            match copy_file(&root.join(path), source, &mut buffer) {
                Ok(entry) => done.push((*path, entry)),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS.min(files.len())).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::with_capacity(files.len());
        for worker in workers {
            all.extend(worker.join().expect("a copying thread does not panic")?);
        }
        Ok(all)
    })
}

fn copy_file(to: &Path, source: &Source, buffer: &mut [u8]) -> Result<Entry, TreesError> {
    let write_error = |source| FileError::new(Operation::Write, to, source);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(write_error)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let (size, executable) = match source {
        Source::Bytes { bytes, executable } => {
            hasher.update(bytes);
            file.write_all(bytes).map_err(write_error)?;
            (bytes.len() as u64, *executable)
        }
        Source::File { path, executable } => {
            let mut from = open_regular(path)?;
            let mut size = 0;
            loop {
                let read = from.read(buffer).map_err(|error| FileError::new(Operation::Read, path, error))?;
                if read == 0 {
                    break (size, *executable);
                }
                size += read as u64;
                if size > FILE_MAX {
                    return Err(TreesError::NotAFile(path.clone()));
                }
                hasher.update(&buffer[..read]);
                file.write_all(&buffer[..read]).map_err(write_error)?;
            }
        }
        Source::Link { .. } | Source::Directory => unreachable!("only files are copied"),
    };
    let mode = if executable { 0o555 } else { 0o444 };
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(write_error)?;
    rustix::fs::futimens(&file, &times()).map_err(|error| write_error(error.into()))?;
    Ok(Entry::File { digest: hasher.finish(), size, executable })
}

/// Opens a regular file; never waits at a pipe, never follows a link.
fn open_regular(path: &Path) -> Result<File, TreesError> {
    let metadata = fs::symlink_metadata(path).map_err(|error| FileError::new(Operation::Open, path, error))?;
    if !metadata.is_file() || metadata.len() > FILE_MAX {
        return Err(TreesError::NotAFile(path.to_owned()));
    }
    Ok(File::open(path).map_err(|error| FileError::new(Operation::Open, path, error))?)
}

fn make_directory(path: &Path) -> Result<(), FileError> {
    fs::create_dir(path).map_err(|error| FileError::new(Operation::MakeDirectory, path, error))
}

fn make_link(path: &Path, target: &str) -> Result<(), FileError> {
    let made = std::os::unix::fs::symlink(target, path)
        .and_then(|()| Ok(utimensat(CWD, path, &times(), AtFlags::SYMLINK_NOFOLLOW)?));
    made.map_err(|error| FileError::new(Operation::Write, path, error))
}

/// Closes a directory that nothing is added to any more.
pub(crate) fn finish_directory(path: &Path) -> Result<(), FileError> {
    let finished = fs::set_permissions(path, fs::Permissions::from_mode(0o555))
        .and_then(|()| Ok(utimensat(CWD, path, &times(), AtFlags::SYMLINK_NOFOLLOW)?));
    finished.map_err(|error: io::Error| FileError::new(Operation::SetAttributes, path, error))
}

fn times() -> Timestamps {
    let time = Timespec { tv_sec: TIME_UNIX_S, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

#[cfg(test)]
mod tests;
