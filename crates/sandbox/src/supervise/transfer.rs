//! A host tree as a stream: the supervisor, who may read it, sends; init, who owns what is made, writes.
//!
//! Entries come in sorted order, a directory before what is in it, so that the same tree makes the same tmpfs. One entry:
//! kind (`d`, `f`, `x` an executable file, `l`, `.` the end), path length (4 bytes, little-endian), path, and for files and links
//! a length (8 bytes) and the bytes. Only files, directories and links exist; modes become 0755 and 0644.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::sys;

#[cfg(test)]
mod tests;

/// The kernel's own limit.
const PATH_MAX: u32 = 4096;

/// An error with the path that it is about.
#[derive(Debug)]
pub(super) struct TransferError {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

impl TransferError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self { path: path.to_owned(), error }
    }
}

/// Sends the tree at `root`.
pub(super) fn send(root: &Path, to: &mut dyn Write) -> Result<(), TransferError> {
    send_directory(root, Path::new(""), to)?;
    entry(to, b'.', Path::new("")).map_err(TransferError::at(root))
}

fn send_directory(root: &Path, below: &Path, to: &mut dyn Write) -> Result<(), TransferError> {
    let here = root.join(below);
    let listed = fs::read_dir(&here).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut names: Vec<_> = listed.map_err(TransferError::at(&here))?.iter().map(fs::DirEntry::file_name).collect();
    names.sort();
    for name in names {
        let below = below.join(name);
        let path = root.join(&below);
        let about = fs::symlink_metadata(&path).map_err(TransferError::at(&path))?;
        if about.is_dir() {
            entry(to, b'd', &below).map_err(TransferError::at(&path))?;
            send_directory(root, &below, to)?;
        } else {
            send_leaf(&path, &below, &about, to).map_err(TransferError::at(&path))?;
        }
    }
    Ok(())
}

fn send_leaf(path: &Path, below: &Path, about: &fs::Metadata, to: &mut dyn Write) -> io::Result<()> {
    if about.is_symlink() {
        let target = fs::read_link(path)?;
        let bytes = target.as_os_str().as_bytes();
        entry(to, b'l', below)?;
        to.write_all(&(bytes.len() as u64).to_le_bytes())?;
        return to.write_all(bytes);
    }
    if !about.is_file() {
        return Err(io::Error::other("neither file, directory nor link"));
    }
    let mut file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    entry(to, if about.mode() & 0o100 == 0 { b'f' } else { b'x' }, below)?;
    to.write_all(&about.len().to_le_bytes())?;
    let copied = io::copy(&mut (&mut file).take(about.len()), to)?;
    if copied == about.len() { Ok(()) } else { Err(io::Error::other("became shorter while it was copied")) }
}

fn entry(to: &mut dyn Write, kind: u8, path: &Path) -> io::Result<()> {
    let bytes = path.as_os_str().as_bytes();
    to.write_all(&[kind])?;
    to.write_all(&(bytes.len() as u32).to_le_bytes())?;
    to.write_all(bytes)
}

/// Writes a tree that was sent into the existing directory `root`, all with this modification time.
pub(super) fn receive(root: &Path, mtime_unix_s: i64, from: &mut dyn Read) -> Result<(), TransferError> {
    let mut directories = vec![root.to_owned()];
    loop {
        let (kind, below) = receive_entry(from).map_err(TransferError::at(root))?;
        if kind == b'.' {
            break;
        }
        let path = root.join(below);
        receive_one(kind, &path, from).map_err(TransferError::at(&path))?;
        if kind == b'd' {
            directories.push(path);
        } else {
            sys::set_times(&path, mtime_unix_s).map_err(TransferError::at(&path))?;
        }
    }
    // Last, and deepest first: making an entry changes its directory's time.
    directories.iter().rev().try_for_each(|path| sys::set_times(path, mtime_unix_s).map_err(TransferError::at(path)))
}

fn receive_entry(from: &mut dyn Read) -> io::Result<(u8, PathBuf)> {
    let (mut kind, mut length) = ([0_u8; 1], [0_u8; 4]);
    from.read_exact(&mut kind)?;
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > PATH_MAX {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    let mut path = vec![0_u8; length as usize];
    from.read_exact(&mut path)?;
    Ok((kind[0], PathBuf::from(OsStr::from_bytes(&path))))
}

fn receive_one(kind: u8, path: &Path, from: &mut dyn Read) -> io::Result<()> {
    if kind == b'd' {
        return make_directory(path);
    }
    let mut length = [0_u8; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    match kind {
        b'f' | b'x' => {
            let mut file = File::options().write(true).create_new(true).open(path)?;
            file.set_permissions(Permissions::from_mode(if kind == b'x' { 0o755 } else { 0o644 }))?;
            let copied = io::copy(&mut from.take(length), &mut file)?;
            if copied == length { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
        }
        b'l' if length <= u64::from(PATH_MAX) => {
            let mut target = vec![0_u8; length as usize];
            from.read_exact(&mut target)?;
            std::os::unix::fs::symlink(OsStr::from_bytes(&target), path)
        }
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// Makes a directory with mode 0755, or takes the one that a mount's place made already.
fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o755)),
    }
}
