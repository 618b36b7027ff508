//! The layer: a tar archive whose every byte is decided here.
//!
//! Specification: POSIX.1-2017 `pax`, "ustar Interchange Format"
//! <https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>; RFC 1952 for gzip.
//!
//! The header is written by hand, not by a library, because its bytes must never change: ustar, and a pax header only
//! for a path or link target that ustar cannot hold.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder, write::GzEncoder};
use wire::digest::{Algorithm, Digest, Hasher};
use wire::timestamp::Timestamp;

use super::{Bytes, Content, Entry, ImageError, LAYER_BYTES_MAX};

/// The longest path, as Linux has it.
const PATH_MAX: usize = 4096;

/// What eleven octal digits can hold: the year 2242 as a time, 8 GiB as a size.
const OCTAL_MAX: u64 = 0o77_777_777_777;

/// zlib's own default; part of the output format.
const LEVEL: u32 = 6;

/// What the name of something that is gone begins with.
///
/// Specification: OCI image 1.1, layer changesets <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>.
const WHITEOUT: &str = ".wh.";

/// RFC 1952: "unknown operating system".
const OS_UNKNOWN: u8 = 255;

const BLOCK: usize = 512;

/// A finished layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the uncompressed tar: its identity.
    pub diff_id: Digest,
    /// The bytes that are stored.
    pub gzip: Vec<u8>,
}

/// Packs the entries, and the directories above them, sorted by path. Directories that layers below have are not named again, since
/// that would change their modes: `is_there` says which.
pub(super) fn pack(entries: &[Entry], is_there: &dyn Fn(&str) -> bool, time: Timestamp) -> Result<Layer, ImageError> {
    let mtime = u64::try_from(time.unix_s()).ok().filter(|&mtime| mtime <= OCTAL_MAX);
    let mtime = mtime.ok_or(ImageError::Epoch(time.unix_s()))?;
    let mut tar = Packer::new(mtime);
    for (path, content) in arrange(entries)? {
        if std::ptr::eq(content, &PLAIN_DIRECTORY) && is_there(&path) {
            continue;
        }
        tar.entry(&path, content)?;
    }
    tar.finish()
}

/// A directory that no entry asks for.
static PLAIN_DIRECTORY: Content = Content::Directory { shared: false };

/// Sorts the entries and adds the directories above them.
fn arrange(entries: &[Entry]) -> Result<BTreeMap<String, &Content>, ImageError> {
    let mut all: BTreeMap<String, &Content> = BTreeMap::new();
    for entry in entries {
        check(entry)?;
        let refuse = |problem| ImageError::Path { path: entry.path.clone(), problem };
        if let Some(earlier) = all.insert(entry.path.clone(), &entry.content)
            && *earlier != entry.content
        {
            return Err(refuse("it stands there twice"));
        }
    }
    for entry in entries {
        for (at, _) in entry.path.match_indices('/') {
            let above = all.entry(entry.path[..at].to_owned()).or_insert(&PLAIN_DIRECTORY);
            if !matches!(above, Content::Directory { .. }) {
                let problem = "it lies below something that is no directory";
                return Err(ImageError::Path { path: entry.path.clone(), problem });
            }
        }
    }
    Ok(all)
}

fn check(entry: &Entry) -> Result<(), ImageError> {
    let refuse = |problem| Err(ImageError::Path { path: entry.path.clone(), problem });
    let parts = || entry.path.split('/');
    if entry.path.len() > PATH_MAX || entry.path.contains(char::is_control) {
        return refuse("it is too long or holds control characters");
    }
    if parts().any(|part| part.is_empty() || part == "." || part == "..") {
        return refuse("it is no relative path without `.` and `..`");
    }
    if parts().any(|part| part.starts_with(WHITEOUT)) {
        return refuse("names that begin with `.wh.` mean deletion in a layer");
    }
    match &entry.content {
        Content::Link { target } if target.is_empty() || target.len() > PATH_MAX => {
            refuse("the link's target is empty or too long")
        }
        Content::Link { target } if target.contains(char::is_control) => {
            refuse("the link's target holds control characters")
        }
        _ => Ok(()),
    }
}

/// Writes the tar, its digest and its gzip form at once.
struct Packer {
    gzip: GzEncoder<Vec<u8>>,
    hasher: Hasher,
    written: u64,
    mtime: u64,
}

/// The fields of a header that differ between members.
struct Header<'a> {
    path: &'a str,
    mode: u32,
    size: u64,
    kind: u8,
    target: &'a str,
}

impl Packer {
    fn new(mtime: u64) -> Packer {
        let gzip = GzBuilder::new().mtime(0).operating_system(OS_UNKNOWN);
        Packer {
            gzip: gzip.write(Vec::new(), Compression::new(LEVEL)),
            hasher: Hasher::new(Algorithm::Sha256),
            written: 0,
            mtime,
        }
    }

    fn entry(&mut self, path: &str, content: &Content) -> Result<(), ImageError> {
        match content {
            Content::Directory { shared } => {
                let mode = if *shared { 0o1777 } else { 0o755 };
                self.header(&Header { path: &format!("{path}/"), mode, size: 0, kind: b'5', target: "" })
            }
            Content::Gone => {
                let (above, name) = path.rsplit_once('/').map_or(("", path), |(above, name)| (above, name));
                let slash = if above.is_empty() { "" } else { "/" };
                let path = format!("{above}{slash}{WHITEOUT}{name}");
                self.header(&Header { path: &path, mode: 0o644, size: 0, kind: b'0', target: "" })
            }
            Content::Link { target } => self.header(&Header { path, mode: 0o777, size: 0, kind: b'2', target }),
            Content::File { bytes, executable } => {
                let mode = if *executable { 0o755 } else { 0o644 };
                match bytes {
                    Bytes::Here(bytes) => {
                        self.header(&Header { path, mode, size: bytes.len() as u64, kind: b'0', target: "" })?;
                        self.content(&mut bytes.as_slice(), bytes.len() as u64, Path::new(path))
                    }
                    Bytes::File(host) => {
                        let read = |cause| ImageError::Read { path: host.clone(), cause };
                        let mut file = File::open(host).map_err(read)?;
                        let size = file.metadata().map_err(read)?.len();
                        self.header(&Header { path, mode, size, kind: b'0', target: "" })?;
                        self.content(&mut file, size, host)
                    }
                }
            }
        }
    }

    /// Writes a header, and a pax header before it if ustar cannot hold the path or the link's target.
    fn header(&mut self, header: &Header<'_>) -> Result<(), ImageError> {
        if header.size > LAYER_BYTES_MAX.min(OCTAL_MAX) {
            return Err(ImageError::TooLarge);
        }
        let name = split(header.path);
        let mut records = Vec::new();
        if name.is_none() {
            records.extend(record("path", header.path));
        }
        if header.target.len() > 100 {
            records.extend(record("linkpath", header.target));
        }
        if !records.is_empty() {
            let size = records.len() as u64;
            let pax = Header { path: "pax", mode: 0o644, size, kind: b'x', target: "" };
            self.write(&block(&pax, ("", pax.path), self.mtime))?;
            self.write(&records)?;
            self.pad(size)?;
        }
        let name = name.unwrap_or_else(|| ("", cut(header.path, 100)));
        self.write(&block(header, name, self.mtime))
    }

    /// Copies exactly `size` bytes: a file that grows or shrinks meanwhile is refused.
    fn content(&mut self, reader: &mut dyn Read, size: u64, host: &Path) -> Result<(), ImageError> {
        let mut buffer = vec![0; 128 * 1024];
        let mut copied = 0;
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(ImageError::Read { path: host.to_owned(), cause }),
            };
            copied += read as u64;
            if copied > size {
                break;
            }
            self.write(&buffer[..read])?;
        }
        if copied != size {
            return Err(ImageError::Changed(host.to_owned()));
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<(), ImageError> {
        let padding = (size.next_multiple_of(BLOCK as u64) - size) as usize;
        self.write(&[0; BLOCK][..padding])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.written += bytes.len() as u64;
        if self.written > LAYER_BYTES_MAX {
            return Err(ImageError::TooLarge);
        }
        self.hasher.update(bytes);
        self.gzip.write_all(bytes).expect("a vector takes every byte");
        Ok(())
    }

    fn finish(mut self) -> Result<Layer, ImageError> {
        self.write(&[0; 2 * BLOCK])?;
        let gzip = self.gzip.finish().expect("a vector takes every byte");
        Ok(Layer { diff_id: self.hasher.finish(), gzip })
    }
}

/// Returns one ustar header.
fn block(header: &Header<'_>, (prefix, name): (&str, &str), mtime: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, format!("{:07o}\0", header.mode).as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", header.size).as_bytes());
    put(136, format!("{mtime:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, &[header.kind]);
    put(157, cut(header.target, 100).as_bytes());
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Splits a path into ustar's prefix (155 bytes) and name (100 bytes); `None` if it does not fit.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    // The first slash that leaves a name short enough, so that the cut is the same for every reader of this line.
    let fits = |at: &usize| *at <= 155 && *at > 0 && (1..=100).contains(&(path.len() - at - 1));
    path.match_indices('/').map(|(at, _)| at).find(fits).map(|at| (&path[..at], &path[at + 1..]))
}

/// Returns a pax record, `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length = length.to_string().len() + rest;
    }
    format!("{length} {key}={value}\n").into_bytes()
}

/// Returns as much of the text as fits into `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}
