//! Directories in order of name: `getdents64` answered from a sorted copy of the whole directory.
//!
//! The copy is made when a program reads from the beginning, through its own open file. Afterwards that file's position, which the kernel keeps for
//! us, counts entries: so `d_off`, `lseek`, `telldir`, `seekdir` and copies of the descriptor mean what they should, and a file removed
//! while the directory is read is not skipped over. Copies are dropped at the end of the directory, with their process, and the oldest
//! when together they are too large; whoever then reads on gets the rest by count from a fresh copy.
//! Reference: `getdents(2)`; `.` and `..` come first.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use libc::pid_t;

use crate::sys::process as sys;

#[cfg(test)]
mod tests;

/// What all copies together may hold: a hundred directories of 100 000 files.
const BYTES_MAX: usize = 256 << 20;
/// Open directories that are read at the same time.
const COPIES_MAX: usize = 256;
/// Read from the kernel in one piece.
const PIECE_BYTES: usize = 64 << 10;
/// Inode (8), offset (8), length (2), type (1) stand before the name.
const HEADER_BYTES: usize = 19;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    inode: u64,
    kind: u8,
    name: Box<[u8]>,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `getdents64`: the type stands before the name.
    Wide,
    /// `getdents`: the type is the last byte.
    Narrow,
}

struct Copy {
    directory: OwnedFd,
    entries: Vec<Entry>,
    bytes: usize,
    age: u64,
}

/// The directories that are being read.
#[derive(Default)]
pub(super) struct Listings {
    copies: HashMap<(pid_t, i64), Copy>,
    bytes: usize,
    age: u64,
}

/// The answer to one call.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// The first entry in it, and the one after the last: where the open file is to stand.
    first: u64,
    next: u64,
}

impl Listings {
    /// Returns the next entries of an open directory, or the error that the program is to see.
    pub(super) fn read(&mut self, process: pid_t, number: i64, size: usize, form: Form) -> io::Result<Answer> {
        let key = (process, number);
        let opened = sys::descriptor_of(process, number)?;
        let position = sys::position(opened.as_fd())?;
        let known = self.copies.get(&key).is_some_and(|copy| is_same(&copy.directory, &opened));
        if position == 0 || !known {
            sys::set_position(opened.as_fd(), 0)?;
            let entries = read_all(&opened).inspect_err(|_| {
                sys::set_position(opened.as_fd(), position).ok();
            })?;
            self.insert(key, opened, entries);
        }
        let copy = self.copies.get(&key).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        let first = usize::try_from(position).unwrap_or(usize::MAX).min(copy.entries.len());
        let (bytes, count) = write(&copy.entries[first..], position.min(copy.entries.len() as u64), size, form);
        if count == 0 && first < copy.entries.len() {
            sys::set_position(copy.directory.as_fd(), position)?;
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let next = (first + count) as u64;
        if count == 0 {
            sys::set_position(copy.directory.as_fd(), next.max(position))?;
            self.remove(key);
        }
        Ok(Answer { bytes, first: position, next })
    }

    /// Moves the program's open file on, or back if it could not take the answer.
    pub(super) fn advance(&mut self, process: pid_t, number: i64, answer: &Answer, taken: bool) -> io::Result<()> {
        match self.copies.get(&(process, number)) {
            Some(copy) => sys::set_position(copy.directory.as_fd(), if taken { answer.next } else { answer.first }),
            None => Ok(()),
        }
    }

    /// A process ended, or became another program.
    pub(super) fn end(&mut self, process: pid_t) {
        if self.copies.is_empty() {
            return;
        }
        let theirs: Vec<_> = self.copies.keys().filter(|key| key.0 == process).copied().collect();
        theirs.into_iter().for_each(|key| self.remove(key));
    }

    fn remove(&mut self, key: (pid_t, i64)) {
        if let Some(copy) = self.copies.remove(&key) {
            self.bytes -= copy.bytes;
        }
    }

    fn insert(&mut self, key: (pid_t, i64), directory: OwnedFd, entries: Vec<Entry>) {
        self.remove(key);
        let bytes = entries.iter().map(|entry| entry.name.len() + size_of::<Entry>()).sum();
        while !self.copies.is_empty() && (self.bytes + bytes > BYTES_MAX || self.copies.len() >= COPIES_MAX) {
            let oldest = self.copies.iter().min_by_key(|(_, copy)| copy.age).map(|(key, _)| *key);
            oldest.into_iter().for_each(|key| self.remove(key));
        }
        self.age += 1;
        self.bytes += bytes;
        self.copies.insert(key, Copy { directory, entries, bytes, age: self.age });
    }
}

/// Whether two descriptors mean the same directory; that the number was closed and opened again for it shows in the position.
fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |fd: &OwnedFd| {
        let metadata = std::fs::File::from(fd.try_clone().ok()?).metadata().ok()?;
        Some((metadata.dev(), metadata.ino(), sys::position(fd.as_fd()).ok()?))
    };
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// Reads a directory from where it stands to its end, and sorts it.
fn read_all(directory: &OwnedFd) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut piece = vec![0_u8; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let count = sys::read_directory(directory.as_fd(), &mut piece)?;
        if count == 0 {
            break;
        }
        bytes += count;
        if bytes > BYTES_MAX {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        parse(&piece[..count], &mut entries);
    }
    entries.sort_unstable_by(|a: &Entry, b| rank(a).cmp(&rank(b)));
    Ok(entries)
}

fn rank(entry: &Entry) -> (u8, &[u8]) {
    let place = match &*entry.name {
        b"." => 0,
        b".." => 1,
        _ => 2,
    };
    (place, &entry.name)
}

/// Reads what the kernel wrote.
fn parse(mut bytes: &[u8], entries: &mut Vec<Entry>) {
    while bytes.len() > HEADER_BYTES {
        let word = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        let length = usize::from(u16::from_ne_bytes([bytes[16], bytes[17]]));
        let Some(name) = bytes.get(HEADER_BYTES..length) else { return };
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        entries.push(Entry { inode: word(0), kind: bytes[18], name: name[..end].into() });
        bytes = &bytes[length..];
    }
}

/// Writes as many entries as fit, numbered from `first`; returns bytes and count.
fn write(entries: &[Entry], first: u64, size: usize, form: Form) -> (Vec<u8>, usize) {
    let mut bytes = Vec::with_capacity(size.min(PIECE_BYTES));
    for (index, entry) in entries.iter().enumerate() {
        let header = if form == Form::Wide { HEADER_BYTES } else { HEADER_BYTES - 1 };
        // The name ends with zero; in the narrow form the type stands in the last byte.
        let end = header + entry.name.len() + if form == Form::Wide { 1 } else { 2 };
        let length = end.next_multiple_of(8);
        if bytes.len() + length > size {
            return (bytes, index);
        }
        let start = bytes.len();
        bytes.resize(start + length, 0);
        let record = &mut bytes[start..];
        record[..8].copy_from_slice(&entry.inode.to_ne_bytes());
        record[8..16].copy_from_slice(&(first + index as u64 + 1).to_ne_bytes());
        record[16..18].copy_from_slice(&(length as u16).to_ne_bytes());
        record[header..header + entry.name.len()].copy_from_slice(&entry.name);
        match form {
            Form::Wide => record[18] = entry.kind,
            Form::Narrow => record[length - 1] = entry.kind,
        }
    }
    (bytes, entries.len())
}
