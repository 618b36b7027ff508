//! One header of a tar archive, and what pax and GNU headers before it say about it.

use std::io::Read;

use super::{ArchiveError, path};

/// The longest header that speaks about the next one: a path of 4,096 bytes, a link target and some times.
const EXTENSION_MAX: u64 = 64 << 10;

/// A member, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Relative path, without `./` before or `/` after it; empty for the root directory.
    pub path: String,
    /// Permission bits, with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// Owner's number.
    pub uid: u64,
    /// Group's number.
    pub gid: u64,
    /// Seconds since the epoch.
    pub mtime_unix_s: u64,
    /// What it is.
    pub kind: Kind,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Size in bytes.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// Its target, as it stands in the archive.
        target: String,
    },
    /// Another name for a file that came before.
    HardLink {
        /// That file's path.
        target: String,
    },
    /// A device file or a fifo.
    Special {
        /// The type flag: `3` is a character device, `4` a block device, `6` a fifo.
        flag: char,
    },
}

/// A header of 512 bytes, its checksum verified.
pub(super) struct Block {
    header: tar::Header,
    pub(super) size: u64,
}

/// What headers of kind `x`, `L` and `K` say about the member that follows.
#[derive(Default)]
pub(super) struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Block {
    pub(super) fn parse(bytes: &[u8; 512], index: usize) -> Result<Block, ArchiveError> {
        let malformed = |field| ArchiveError::Header { index, field };
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(bytes);
        let sum: u32 =
            bytes.iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { u32::from(b) }).sum();
        if header.cksum().ok() != Some(sum) {
            return Err(malformed("checksum"));
        }
        let size = header.entry_size().map_err(|_| malformed("size"))?;
        if size > 1 << 40 {
            return Err(malformed("size"));
        }
        Ok(Block { header, size })
    }

    fn flag(&self) -> u8 {
        self.header.as_bytes()[156]
    }

    /// Reads a number; cargo leaves owner and group empty, which counts as 0.
    fn number<N: Default>(
        &self,
        field: std::ops::Range<usize>,
        read: fn(&tar::Header) -> std::io::Result<N>,
    ) -> Option<N> {
        if self.header.as_bytes()[field].iter().all(|byte| matches!(byte, 0 | b' ')) {
            return Some(N::default());
        }
        read(&self.header).ok()
    }

    /// Whether this header speaks about the next one.
    pub(super) fn is_extension(&self) -> bool {
        matches!(self.flag(), b'x' | b'g' | b'L' | b'K')
    }

    pub(super) fn member(&self, index: usize, extensions: Extensions) -> Result<Member, ArchiveError> {
        let malformed = |field| ArchiveError::Header { index, field };
        let directory = self.flag() == b'5';
        let raw_path = extensions.path.unwrap_or_else(|| self.header.path_bytes().into_owned());
        let shown = || String::from_utf8_lossy(&raw_path).chars().take(200).collect::<String>();
        let path = path::clean(&raw_path, directory).ok_or_else(|| ArchiveError::Path { index, path: shown() })?;
        if let Some(pax) = extensions.size.filter(|&pax| pax != self.size) {
            return Err(ArchiveError::Sizes { path, ustar: self.size, pax });
        }
        let raw_target = extensions.link.or_else(|| self.header.link_name_bytes().map(|bytes| bytes.into_owned()));
        let target = || {
            let bytes = raw_target.clone().unwrap_or_default();
            String::from_utf8(bytes).map_err(|_| malformed("link target"))
        };
        let kind = match self.flag() {
            b'0' | 0 => Kind::File { size: self.size },
            b'5' => Kind::Directory,
            b'2' => Kind::Link { target: target()? },
            b'1' => {
                let target = target()?;
                let clean = path::clean(target.as_bytes(), false);
                Kind::HardLink { target: clean.ok_or(ArchiveError::Link { path: path.clone(), target })? }
            }
            special @ (b'3' | b'4' | b'6') => Kind::Special { flag: char::from(special) },
            other => return Err(ArchiveError::Kind { path, kind: char::from(other) }),
        };
        if self.size != 0 && !matches!(kind, Kind::File { .. }) {
            return Err(malformed("size"));
        }
        let mode = self.number(100..108, tar::Header::mode).ok_or(malformed("mode"))? & 0o7777;
        let uid = self.number(108..116, tar::Header::uid).ok_or(malformed("uid"))?;
        let gid = self.number(116..124, tar::Header::gid).ok_or(malformed("gid"))?;
        let mtime_unix_s = self.number(136..148, tar::Header::mtime).ok_or(malformed("mtime"))?;
        Ok(Member { path, mode, uid, gid, mtime_unix_s, kind })
    }
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        self.path.is_none() && self.link.is_none() && self.size.is_none()
    }

    /// Takes in a header that speaks about the next one, reading its content.
    pub(super) fn take(&mut self, block: &Block, index: usize, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let malformed = |field| ArchiveError::Header { index, field };
        if block.size > EXTENSION_MAX {
            return Err(malformed("extension size"));
        }
        let mut bytes = vec![0; block.size as usize];
        content.read_exact(&mut bytes).map_err(|error| super::cut_off(error, index))?;
        let once = |slot: &mut Option<Vec<u8>>, bytes: Vec<u8>| match slot.replace(bytes) {
            None => Ok(()),
            Some(_) => Err(malformed("extension: given twice")),
        };
        match block.flag() {
            b'L' => once(&mut self.path, until_nul(bytes)),
            b'K' => once(&mut self.link, until_nul(bytes)),
            kind => {
                for (key, value) in records(&bytes).ok_or(malformed("pax header"))? {
                    let speaks_of_content =
                        matches!(key, "path" | "linkpath" | "size") || key.starts_with("GNU.sparse");
                    if kind == b'g' && speaks_of_content {
                        return Err(malformed("global pax header"));
                    }
                    match key {
                        "path" => once(&mut self.path, value.to_vec())?,
                        "linkpath" => once(&mut self.link, value.to_vec())?,
                        "size" => {
                            let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                            self.size = Some(size.ok_or(malformed("pax size"))?);
                        }
                        key if key.starts_with("GNU.sparse") => return Err(malformed("sparse file")),
                        _ => {}
                    }
                }
                Ok(())
            }
        }
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|&byte| byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// Parses `LENGTH KEY=VALUE\n` records; `None` if any is malformed.
fn records(mut bytes: &[u8]) -> Option<Vec<(&str, &[u8])>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&byte| byte == b' ')?;
        let digits = std::str::from_utf8(&bytes[..space]).ok()?;
        let length: usize =
            if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok()? } else { return None };
        let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        out.push((std::str::from_utf8(&record[..equals]).ok()?, &record[equals + 1..]));
        bytes = &bytes[length..];
    }
    Some(out)
}
