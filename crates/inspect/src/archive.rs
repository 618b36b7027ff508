//! Reading tar archives that somebody else made, strictly.
//!
//! Specification: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Interchange Format"
//! <https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>, with GNU tar's long names (`L` and `K`).
//!
//! Two programs that read one archive differently are how archives attack, so whatever could be read in two ways is
//! refused: a pax size that contradicts the header, a path that stands twice, a file below a link, global headers that
//! rename, bytes after the end. Device files, fifos and sparse files are refused too. Nothing is written to disk here.

mod member;
mod path;

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use member::{Block, Extensions};
pub use member::{Kind, Member};

/// The most zeros after the end mark: GNU tar pads to 10 KiB, and to 1 MiB with the largest factor in use.
const PADDING_MAX: u64 = 1 << 20;

/// What an archive may at most be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many members.
    pub members_max: usize,
    /// Sum of the sizes of all files.
    pub bytes_max: u64,
    /// Which symbolic and hard links are taken.
    pub links: Links,
    /// Whether device files and fifos are shown, as [`Kind::Special`]; else they are refused.
    pub specials: bool,
}

/// Which links an archive may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// None.
    Refused,
    /// Those that stay inside the archive; hard links to a file of it that came before.
    Inside,
    /// All: the archive is one of several that make a root, out of which no link leads. Whoever puts them together
    /// resolves hard links.
    Layered,
}

impl Limits {
    /// For `.crate` files. crates.io takes 10 MiB packed and 512 MiB unpacked; the largest crates have 30,000 files.
    pub const CRATE: Limits =
        Limits { members_max: 100_000, bytes_max: 512 << 20, links: Links::Refused, specials: false };
    /// For a layer of an image: larger ones than 16 GiB exist, but not in service images.
    pub const LAYER: Limits =
        Limits { members_max: 2_000_000, bytes_max: 16 << 30, links: Links::Inside, specials: false };
    /// For a layer that is put upon others to make a root file system.
    pub const ROOT_LAYER: Limits = Limits { links: Links::Layered, specials: true, ..Limits::LAYER };
}

/// A file of a `.crate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path inside the crate, without `NAME-VERSION/`.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes could not be read or decompressed.
    #[error("reading the archive")]
    Read(#[source] io::Error),
    /// It ends before its end mark, or inside a member.
    #[error("the archive is cut off after {0} members")]
    Truncated(usize),
    /// Something other than zeros after the end mark, or more zeros than any program writes.
    #[error("the archive goes on after its end mark")]
    Trailing,
    /// A header that is none: checksum, number or text malformed.
    #[error("member {index}: malformed {field}")]
    Header {
        /// Position of the member, from 0.
        index: usize,
        /// Which field.
        field: &'static str,
    },
    /// A path that is absolute, climbs, is too long, or is no UTF-8.
    #[error("member {index}: `{path}` is no path inside the archive")]
    Path {
        /// Position of the member, from 0.
        index: usize,
        /// The path, shortened, with what is no UTF-8 replaced.
        path: String,
    },
    /// A member outside the directory that all must lie in.
    #[error("`{path}` does not lie below `{prefix}`")]
    Outside {
        /// The member's path.
        path: String,
        /// Where it should lie.
        prefix: String,
    },
    /// The same path twice, but for a directory.
    #[error("`{0}` stands twice in the archive")]
    Twice(String),
    /// A member below something that is no directory.
    #[error("`{0}` lies below something that is no directory")]
    NotADirectory(String),
    /// A link where none is taken, or one that leads out of the root, or a hard link to no file of the archive.
    #[error("`{path}` links to `{target}`, which is not allowed")]
    Link {
        /// The member's path.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A device file, fifo, sparse file or a kind that we do not know.
    #[error("`{path}` is of kind `{kind}`: only files, directories and links are read")]
    Kind {
        /// The member's path.
        path: String,
        /// The type flag as it stands in the header.
        kind: char,
    },
    /// The pax header says another size than the ustar header.
    #[error("`{path}` has two sizes: {ustar} in its header and {pax} in its pax header")]
    Sizes {
        /// The member's path.
        path: String,
        /// Size in the ustar header.
        ustar: u64,
        /// Size in the pax header.
        pax: u64,
    },
    /// More members than allowed.
    #[error("the archive has more than {0} members")]
    Members(usize),
    /// More bytes than allowed.
    #[error("the archive holds more than {0} bytes")]
    Bytes(u64),
}

/// Unpacks a `.crate` file: a gzipped tar whose members all lie below `prefix` (`NAME-VERSION/`).
///
/// The result is sorted by path and holds files only. Links are refused: `cargo package` never makes them.
pub fn crate_files(gzip: &[u8], prefix: &str) -> Result<Vec<File>, ArchiveError> {
    let mut files = Vec::new();
    let directory = prefix.trim_end_matches('/');
    let mut tar = MultiGzDecoder::new(gzip);
    read(&mut tar, &Limits::CRATE, &mut |member, content| {
        let inside = match member.path.strip_prefix(directory) {
            Some("") if member.kind == Kind::Directory => return Ok(()),
            Some(rest) => rest.strip_prefix('/').filter(|rest| !rest.is_empty()),
            None => None,
        };
        let Some(path) = inside else {
            return Err(ArchiveError::Outside { path: member.path.clone(), prefix: prefix.to_owned() });
        };
        if let Kind::File { size } = member.kind {
            let mut bytes = Vec::with_capacity(size.min(1 << 20) as usize);
            content.read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
            files.push(File { path: path.to_owned(), bytes, executable: member.mode & 0o100 != 0 });
        }
        Ok(())
    })?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// What is done with each member; the reader yields a file's bytes and need not be read.
pub type Visit<'a> = dyn FnMut(&Member, &mut dyn Read) -> Result<(), ArchiveError> + 'a;

/// Walks the members of an uncompressed tar archive in their order and checks each before it is shown.
pub fn read(tar: &mut dyn Read, limits: &Limits, visit: &mut Visit<'_>) -> Result<(), ArchiveError> {
    let mut extensions = Extensions::default();
    let mut tree = Seen::default();
    let mut bytes_left = limits.bytes_max;
    let mut index = 0;
    while let Some(block) = next_block(tar, index)? {
        if index >= limits.members_max {
            return Err(ArchiveError::Members(limits.members_max));
        }
        if block.is_extension() {
            let mut content = Content::new(tar, block.size);
            extensions.take(&block, index, &mut content)?;
            content.skip().map_err(|error| cut_off(error, index))?;
            index += 1;
            continue;
        }
        let member = block.member(index, std::mem::take(&mut extensions))?;
        tree.admit(&member, limits)?;
        let size = if let Kind::File { size } = member.kind { size } else { 0 };
        bytes_left = bytes_left.checked_sub(size).ok_or(ArchiveError::Bytes(limits.bytes_max))?;
        let mut content = Content::new(tar, size);
        visit(&member, &mut content)?;
        content.skip().map_err(|error| cut_off(error, index))?;
        index += 1;
    }
    if !extensions.is_empty() {
        return Err(ArchiveError::Truncated(index));
    }
    expect_zeros(tar)
}

/// Reads one header; `None` at the end mark (two blocks of zeros).
fn next_block(tar: &mut dyn Read, index: usize) -> Result<Option<Block>, ArchiveError> {
    let mut bytes = [0; 512];
    tar.read_exact(&mut bytes).map_err(|error| cut_off(error, index))?;
    if bytes.iter().any(|&byte| byte != 0) {
        return Block::parse(&bytes, index).map(Some);
    }
    tar.read_exact(&mut bytes).map_err(|error| cut_off(error, index))?;
    if bytes.iter().all(|&byte| byte == 0) { Ok(None) } else { Err(ArchiveError::Trailing) }
}

/// Archives are padded with zeros to a round size; anything else there would be content that others might see.
fn expect_zeros(tar: &mut dyn Read) -> Result<(), ArchiveError> {
    let mut padding = Vec::new();
    tar.take(PADDING_MAX + 1).read_to_end(&mut padding).map_err(ArchiveError::Read)?;
    let fine = padding.len() as u64 <= PADDING_MAX && padding.iter().all(|&byte| byte == 0);
    if fine { Ok(()) } else { Err(ArchiveError::Trailing) }
}

fn cut_off(error: io::Error, index: usize) -> ArchiveError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        ArchiveError::Truncated(index)
    } else {
        ArchiveError::Read(error)
    }
}

/// The bytes of one member, and the padding after them.
struct Content<'a> {
    tar: &'a mut dyn Read,
    left: u64,
    padding: u64,
}

impl<'a> Content<'a> {
    fn new(tar: &'a mut dyn Read, size: u64) -> Content<'a> {
        Content { tar, left: size, padding: size.next_multiple_of(512) - size }
    }

    /// Reads over what nobody read, and the padding.
    fn skip(mut self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        while self.read(&mut buffer)? != 0 {}
        self.tar.read_exact(&mut buffer[..self.padding as usize])
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        match self.tar.read(&mut buffer[..wanted])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

/// What the archive has put where so far.
#[derive(Default)]
struct Seen(BTreeMap<String, What>);

#[derive(Clone, Copy, PartialEq)]
enum What {
    File,
    Link,
    Directory,
}

impl Seen {
    fn admit(&mut self, member: &Member, limits: &Limits) -> Result<(), ArchiveError> {
        let path = member.path.as_str();
        let refuse = |target: &str| ArchiveError::Link { path: path.to_owned(), target: target.to_owned() };
        let what = match (&member.kind, limits.links) {
            (Kind::File { .. }, _) => What::File,
            (Kind::Directory, _) => What::Directory,
            (Kind::Link { target }, Links::Inside) if path::stays_inside(path, target) => What::Link,
            (Kind::Link { target }, Links::Layered) if path::is_target(target) => What::Link,
            (Kind::HardLink { target }, Links::Inside) if self.0.get(target) == Some(&What::File) => What::File,
            (Kind::HardLink { .. }, Links::Layered) => What::File,
            (Kind::Link { target } | Kind::HardLink { target }, _) => return Err(refuse(target)),
            (Kind::Special { .. }, _) if limits.specials => What::File,
            (Kind::Special { flag }, _) => return Err(ArchiveError::Kind { path: path.to_owned(), kind: *flag }),
        };
        for (at, _) in path.match_indices('/') {
            let above = self.0.entry(path[..at].to_owned()).or_insert(What::Directory);
            if *above != What::Directory {
                return Err(ArchiveError::NotADirectory(path.to_owned()));
            }
        }
        match self.0.insert(path.to_owned(), what) {
            None => Ok(()),
            Some(What::Directory) if what == What::Directory => Ok(()),
            Some(_) => Err(ArchiveError::Twice(path.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
