//! A tree as an ordinary directory, and a tree out of another store.
//!
//! Files are 0644 or 0755, directories 0755, and every time is that of the store, so that two copies are equal whatever
//! compares them. Each byte is hashed as it is read from the store, and all of it once more as it lies in the directory.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use model::tree::{Entry, Tree};
use wire::digest::{Algorithm, Digest, Hasher};

use super::{Source, Trees, TreesError, What, copy_file, make_directory, make_link, open_regular, times, verify};
use crate::durable::{self, FileError, Operation};

impl Trees {
    /// Writes a tree to `to`, which is not there yet or is an empty directory, and returns its manifest.
    ///
    /// It appears there whole, or not at all.
    pub fn provision(&self, digest: &Digest, to: &Path) -> Result<Tree, TreesError> {
        let tree = self.tree(digest)?;
        if !self.has(digest) {
            return Err(TreesError::Missing(*digest));
        }
        if durable::list(to).is_ok_and(|names| !names.is_empty()) || fs::symlink_metadata(to).is_ok_and(|m| !m.is_dir())
        {
            return Err(TreesError::Occupied(to.to_owned()));
        }
        let staging = Staging::beside(to)?;
        write(&self.path(digest), &tree, &staging.0)?;
        let found = read(&staging.0)?.digest();
        if found != *digest {
            return Err(TreesError::Mismatch { expected: *digest, found });
        }
        self.disk.sync_file_system(&staging.0)?;
        self.disk.rename(&staging.0, to)?;
        Ok(tree)
    }

    /// Takes a tree over from another store, reading every byte of it. One that is here already is not read again.
    pub fn take_from(&self, other: &Trees, digest: &Digest) -> Result<(), TreesError> {
        if self.has(digest) {
            return Ok(());
        }
        let tree = other.tree(digest)?;
        if !other.has(digest) {
            return Err(TreesError::Missing(*digest));
        }
        let root = other.path(digest);
        let source = |(path, entry): (&str, &Entry)| {
            let source = match entry {
                Entry::File { executable, .. } => Source::File { path: root.join(path), executable: *executable },
                Entry::Link { target } => Source::Link { target: target.clone() },
                Entry::Directory => Source::Directory,
            };
            (path.to_owned(), source)
        };
        match self.import(tree.entries().map(source), Some(digest)) {
            Ok(_) => Ok(()),
            // Which file it is: the other store's tree is read once more, to name it.
            Err(error @ (TreesError::Mismatch { .. } | TreesError::File(_) | TreesError::NotAFile(_))) => {
                let matters = |what| matches!(what, What::Missing | What::Type | What::Content);
                let first = verify::compare(&root, &tree)?.into_iter().find(|difference| matters(difference.what));
                Err(first.map_or(error, |first| TreesError::Damaged { tree: *digest, path: first.path }))
            }
            Err(error) => Err(error),
        }
    }
}

/// A directory on its way to its name; what is left of it when dropped is removed.
struct Staging(PathBuf);

impl Staging {
    fn beside(to: &Path) -> Result<Staging, TreesError> {
        let name = to.file_name().ok_or_else(|| TreesError::Occupied(to.to_owned()))?;
        let path = to.with_file_name(format!(".{}.partial-{}", name.to_string_lossy(), std::process::id()));
        durable::remove_tree(&path)?;
        Ok(Staging(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        drop(durable::remove_tree(&self.0));
    }
}

/// Copies a stored tree, comparing each entry with its manifest.
fn write(from: &Path, tree: &Tree, to: &Path) -> Result<(), TreesError> {
    make_directory(to)?;
    let mut buffer = vec![0; 256 * 1024];
    let refuse = |path: &str| TreesError::Damaged { tree: tree.digest(), path: path.to_owned() };
    for (path, entry) in tree.entries() {
        let (stored, place) = (from.join(path), to.join(path));
        match entry {
            Entry::Directory => make_directory(&place)?,
            Entry::Link { target } => {
                if fs::read_link(&stored).ok().as_deref() != Some(Path::new(target)) {
                    return Err(refuse(path));
                }
                make_link(&place, target)?;
            }
            Entry::File { executable, .. } => {
                let source = Source::File { path: stored, executable: *executable };
                match copy_file(&place, &source, &mut buffer) {
                    Ok(copied) if copied == *entry => {}
                    Ok(_) | Err(TreesError::NotAFile(_)) => return Err(refuse(path)),
                    Err(TreesError::File(error)) if error.is_missing() => return Err(refuse(path)),
                    Err(error) => return Err(error),
                }
                set_mode(&place, if *executable { 0o755 } else { 0o644 })?;
            }
        }
    }
    let directories = tree.entries().filter(|(_, entry)| **entry == Entry::Directory).map(|(path, _)| to.join(path));
    let directories: Vec<PathBuf> = std::iter::once(to.to_owned()).chain(directories).collect();
    directories.iter().rev().try_for_each(|path| set_mode(path, 0o755))
}

/// Sets mode, and then the time, of a file or directory.
fn set_mode(path: &Path, mode: u32) -> Result<(), TreesError> {
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode)).and_then(|()| {
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::utimensat(rustix::fs::CWD, path, &times(), flags)?)
    });
    Ok(set.map_err(|error| FileError::new(Operation::SetAttributes, path, error))?)
}

/// Reads a directory as a tree.
fn read(root: &Path) -> Result<Tree, TreesError> {
    let mut tree = Tree::default();
    let mut left = vec![String::new()];
    while let Some(directory) = left.pop() {
        for name in durable::list(&root.join(&directory))? {
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            let entry = entry(&root.join(&path))?;
            if entry == Entry::Directory {
                left.push(path.clone());
            }
            tree.insert(&path, entry)?;
        }
    }
    Ok(tree)
}

fn entry(path: &Path) -> Result<Entry, TreesError> {
    let failed = |error| FileError::new(Operation::Read, path, error);
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Ok(Entry::Directory);
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(failed)?;
        let target = target.into_os_string().into_string();
        return Ok(Entry::Link { target: target.map_err(|_| failed(io::ErrorKind::InvalidData.into()))? });
    }
    let mut file = open_regular(path)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(Entry::File { digest: hasher.finish(), size, executable: metadata.permissions().mode() & 0o100 != 0 })
}

#[cfg(test)]
mod tests;
