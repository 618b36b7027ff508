//! All dependencies of a Cargo project as one tree: a directory source that Cargo builds from without a network.
//!
//! Specification: <https://doc.rust-lang.org/cargo/reference/source-replacement.html#directory-sources>.
//!
//! ```text
//! serde-1.0.219/Cargo.toml
//! serde-1.0.219/src/lib.rs
//! serde-1.0.219/.cargo-checksum.json     {"files":{},"package":"5f0e2c6e…"}
//! ```
//!
//! The checksums of single files are left out: the tree is mounted read-only under its own digest, which covers them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use model::tree::{Entry, Tree};
use wire::digest::Digest;

use super::lock_file::{Origin, Package};
use crate::inputs::{Host, Inputs, InputsError, Scratch, TreeEntry, TreeSource};

/// How large one crate may be unpacked: the largest in use have about 300 MiB.
const UNPACKED_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// How many files one crate may have.
const FILES_MAX: usize = 200_000;

/// Files up to this size are kept in memory on their way into the store; larger ones go by the disk.
const MEMORY_FILE_MAX: u64 = 64 * 1024;

/// Version of how the tree is laid out; a fingerprint of an older version is not used.
pub(crate) const LAYOUT: u32 = 1;

/// Why the tree could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// A crate that is no archive, or one that tries to leave its directory.
    #[error("crate `{name} {version}`: {reason}")]
    Archive {
        /// Crate name.
        name: String,
        /// Version.
        version: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A crate's archive is damaged.
    #[error("unpacking crate `{name} {version}`")]
    Unpack {
        /// Crate name.
        name: String,
        /// Version.
        version: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A git dependency's directory could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The scratch directory could not be used.
    #[error("writing below `{}`", path.display())]
    Scratch {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Git dependencies.
    #[error("fetching git dependencies")]
    Git(#[from] super::git::GitError),
    /// The store failed.
    #[error("keeping the vendor tree")]
    Inputs(#[from] InputsError),
}

/// The tree, and the digest of each package in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendored {
    /// Digest of the whole tree.
    pub tree: Digest,
    /// Digest of each git package's own tree, by `NAME-VERSION`.
    pub git: Vec<(String, Digest)>,
}

/// Makes the tree of all packages; every registry crate is in the store already. `projects` are the directories with a
/// lock file, and what each names.
pub fn make(
    packages: &[Package],
    projects: &[(PathBuf, &[Package])],
    host: &Host,
    inputs: &dyn Inputs,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vendored, VendorError> {
    let scratch = scratch(host, "crates")?;
    let mut entries = Vec::new();
    for package in packages {
        if let Origin::Registry { checksum, .. } = &package.origin {
            unpack(package, inputs.open(checksum)?, checksum, scratch.path(), &mut entries)?;
        }
    }
    let crates = entries.clone();
    let mut scratches = Vec::new(); // until the tree is imported
    for (number, (project, packages)) in projects.iter().enumerate() {
        if packages.iter().any(|package| matches!(package.origin, Origin::Git { .. })) {
            progress("fetching git dependencies");
            let scratch = self::scratch(host, &format!("git-{number}"))?;
            let git = git_entries(project, packages, crates.clone(), scratch.path(), host, inputs)?;
            let known: BTreeSet<String> = entries.iter().map(|entry: &TreeEntry| entry.path.clone()).collect();
            entries.extend(git.into_iter().filter(|entry| !known.contains(&entry.path)));
            scratches.push(scratch);
        }
    }
    progress("keeping the dependencies' tree");
    let tree = inputs.import(entries)?;
    let git = packages
        .iter()
        .filter(|package| matches!(package.origin, Origin::Git { .. }))
        .map(|package| {
            let directory = directory_of(package);
            let digest = below(&tree, &directory).digest();
            (directory, digest)
        })
        .collect();
    Ok(Vendored { tree: tree.digest(), git })
}

/// The directory of a package in the tree.
pub(crate) fn directory_of(package: &Package) -> String {
    format!("{}-{}", package.name, package.version)
}

fn scratch(host: &Host, name: &str) -> Result<Scratch, VendorError> {
    Scratch::new(host, name).map_err(|source| VendorError::Scratch { path: host.scratch.join(name), source })
}

/// Has Cargo vendor the git packages, with the registry crates taken from a tree in the store.
fn git_entries(
    project: &Path,
    packages: &[Package],
    crates: Vec<TreeEntry>,
    scratch: &Path,
    host: &Host,
    inputs: &dyn Inputs,
) -> Result<Vec<TreeEntry>, VendorError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| VendorError::Scratch { path, source }
    };
    // A directory source must exist, also when no crate comes from a registry.
    let empty = scratch.join("empty");
    let cargo_home = scratch.join("cargo");
    for directory in [&empty, &cargo_home] {
        fs::create_dir(directory).map_err(failed(directory))?;
    }
    let crates = match crates.is_empty() {
        true => empty,
        false => {
            let tree = inputs.import(crates)?.digest();
            inputs.tree(&tree)?.ok_or(InputsError::Absent(tree))?
        }
    };
    let destination = scratch.join("vendor");
    let mut entries = Vec::new();
    for (package, path) in super::git::vendor(project, packages, &crates, &cargo_home, &destination, host)? {
        directory_entries(&path, &directory_of(package), &mut entries)?;
    }
    Ok(entries)
}

/// Lists the files of a directory on disk as entries below `prefix`.
fn directory_entries(path: &Path, prefix: &str, entries: &mut Vec<TreeEntry>) -> Result<(), VendorError> {
    let failed = |source| VendorError::Read { path: path.to_owned(), source };
    for item in fs::read_dir(path).map_err(failed)? {
        let item = item.map_err(failed)?;
        let name = item.file_name();
        let name = name.to_str().ok_or_else(|| failed(io::Error::other("a file name is not UTF-8")))?;
        let inside = format!("{prefix}/{name}");
        let kind = item.file_type().map_err(failed)?;
        if kind.is_dir() {
            directory_entries(&item.path(), &inside, entries)?;
        } else if let Some(source) = TreeSource::of_path(&item.path()).map_err(failed)? {
            entries.push(TreeEntry { path: inside, source });
        }
    }
    Ok(())
}

/// Unpacks a `.crate` archive into entries; all must be regular files below `NAME-VERSION/`.
fn unpack(
    package: &Package,
    archive: Box<dyn Read + Send>,
    checksum: &Digest,
    scratch: &Path,
    entries: &mut Vec<TreeEntry>,
) -> Result<(), VendorError> {
    let refuse = |reason| VendorError::Archive { name: package.name.clone(), version: package.version.clone(), reason };
    let damaged = |source| VendorError::Unpack { name: package.name.clone(), version: package.version.clone(), source };
    let root = directory_of(package);
    let mut seen = BTreeSet::new();
    let mut left = UNPACKED_MAX;
    let limited = flate2::read::GzDecoder::new(archive).take(UNPACKED_MAX + UNPACKED_MAX / 4);
    let mut archive = tar::Archive::new(limited);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        if !kind.is_file() {
            return Err(refuse("the archive holds something that is neither a file nor a directory"));
        }
        let path = entry.path().map_err(damaged)?.into_owned();
        let path = inside(&path, &root).ok_or_else(|| refuse("a file of the archive lies outside its directory"))?;
        if path == format!("{root}/.cargo-checksum.json") || path == format!("{root}/.cargo-ok") {
            continue; // Cargo's own marks: never part of what was published
        }
        let size = entry.size();
        left = left.checked_sub(size).ok_or_else(|| refuse("the archive is too large unpacked"))?;
        if seen.len() == FILES_MAX {
            return Err(refuse("the archive has too many files"));
        }
        if !seen.insert(path.clone()) {
            return Err(refuse("the archive holds a file twice"));
        }
        let executable = entry.header().mode().map_err(damaged)? & 0o100 != 0;
        let source = content(&mut entry, size, executable, &scratch.join(&path)).map_err(damaged)?;
        entries.push(TreeEntry { path, source });
    }
    if !seen.contains(&format!("{root}/Cargo.toml")) {
        return Err(refuse("the archive has no Cargo.toml"));
    }
    let mark = format!("{{\"files\":{{}},\"package\":\"{}\"}}", checksum.hex()).into_bytes();
    let source = TreeSource::Bytes { bytes: mark, executable: false };
    entries.push(TreeEntry { path: format!("{root}/.cargo-checksum.json"), source });
    Ok(())
}

fn content(entry: &mut dyn Read, size: u64, executable: bool, path: &Path) -> io::Result<TreeSource> {
    if size <= MEMORY_FILE_MAX {
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        return Ok(TreeSource::Bytes { bytes, executable });
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    io::copy(entry, &mut fs::File::create(path)?)?;
    Ok(TreeSource::File { path: path.to_owned(), executable })
}

/// Returns the path as text if it lies below `root` and nowhere else.
fn inside(path: &Path, root: &str) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (parts.len() > 1 && parts[0] == root).then(|| parts.join("/"))
}

/// The part of a tree below a directory, as a tree of its own.
pub(crate) fn below(tree: &Tree, directory: &str) -> Tree {
    let prefix = format!("{directory}/");
    let mut part = Tree::default();
    for (path, entry) in tree.entries() {
        if let Some(path) = path.strip_prefix(&prefix) {
            part.insert(path, Entry::clone(entry)).expect("a part of a tree is a tree");
        }
    }
    part
}

#[cfg(test)]
mod tests;
