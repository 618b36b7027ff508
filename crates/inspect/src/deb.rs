//! Debian binary packages: what they bring, and the scripts that would run when they are installed.
//!
//! Format: `deb(5)` <https://man7.org/linux/man-pages/man5/deb.5.html>, version 2.0.
//!
//! ```text
//! !<arch>
//! debian-binary   1672924800  0     0     100644  4         `
//! 2.0
//! control.tar.xz … data.tar.xz …
//! ```
//!
//! Nothing is run and nothing is written here. Members may be plain, gzip, xz or Zstandard; another name is refused.

use std::collections::BTreeMap;
use std::io::Read;

use crate::archive::{self, ArchiveError, Kind, Limits, Links, Visit};
use crate::compressed::Compression;

const MAGIC: &[u8] = b"!<arch>\n";

/// The length of a member's header.
const HEADER: usize = 60;

/// The largest script of a maintainer that is read.
const SCRIPT_MAX: u64 = 1 << 20;

/// Names of the scripts that run when a package is installed.
const SCRIPTS: [&str; 2] = ["preinst", "postinst"];

/// What the control part may hold: a few texts, and lists of files.
const CONTROL: Limits = Limits { members_max: 1_000, bytes_max: 64 << 20, links: Links::Refused, specials: false };

/// A package.
#[derive(Clone, Debug)]
pub struct Deb<'a> {
    control: (&'a [u8], Compression),
    data: (&'a [u8], Compression),
}

/// Why a package was refused.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The outer archive is malformed.
    #[error("this is no Debian package: {0}")]
    Form(&'static str),
    /// A part is no sound tar archive.
    #[error("reading `{part}` of the package")]
    Part {
        /// `control.tar` or `data.tar`.
        part: &'static str,
        /// Why.
        #[source]
        source: ArchiveError,
    },
}

impl<'a> Deb<'a> {
    /// Finds the parts of a package.
    pub fn parse(bytes: &'a [u8]) -> Result<Deb<'a>, DebError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(DebError::Form("it does not begin as an archive of `ar`"))?;
        let version = member(&mut rest)?;
        if version.0 != "debian-binary" || !version.1.starts_with(b"2.") {
            return Err(DebError::Form("its first member is no `debian-binary` of version 2"));
        }
        let control = part(member(&mut rest)?, "control.tar")?;
        let data = part(member(&mut rest)?, "data.tar")?;
        match rest {
            [] => Ok(Deb { control, data }),
            _ => Err(DebError::Form("something follows `data.tar`")),
        }
    }

    /// Walks the files that it brings, their paths without `./`. Links may lead anywhere; hard links lead to a path of
    /// the package.
    pub fn files(&self, visit: &mut Visit<'_>) -> Result<(), DebError> {
        let mut tar = self.data.1.unpack(self.data.0);
        archive::read(&mut tar, &Limits::ROOT_LAYER, visit)
            .map_err(|source| DebError::Part { part: "data.tar", source })
    }

    /// Returns the scripts that would run when it is installed, by name.
    pub fn scripts(&self) -> Result<BTreeMap<String, String>, DebError> {
        let mut scripts = BTreeMap::new();
        let mut tar = self.control.1.unpack(self.control.0);
        let read = archive::read(&mut tar, &CONTROL, &mut |member, content| {
            if SCRIPTS.contains(&member.path.as_str()) && matches!(member.kind, Kind::File { .. }) {
                let mut bytes = Vec::new();
                content.take(SCRIPT_MAX).read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
                scripts.insert(member.path.clone(), String::from_utf8_lossy(&bytes).into_owned());
            }
            Ok(())
        });
        read.map_err(|source| DebError::Part { part: "control.tar", source })?;
        Ok(scripts)
    }
}

/// Takes the next member: its name and its bytes.
fn member<'a>(rest: &mut &'a [u8]) -> Result<(&'a str, &'a [u8]), DebError> {
    let malformed = DebError::Form("a member's header is malformed");
    let Some((header, content)) = rest.split_at_checked(HEADER) else { return Err(DebError::Form("it is cut off")) };
    let text = |range: std::ops::Range<usize>| std::str::from_utf8(&header[range]).ok().map(str::trim_end);
    let (Some(name), Some(size)) = (text(0..16), text(48..58)) else { return Err(malformed) };
    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    let Some(size) = size.parse::<usize>().ok().filter(|_| digits && header.ends_with(b"`\n")) else {
        return Err(malformed);
    };
    let Some((bytes, after)) = content.split_at_checked(size) else { return Err(DebError::Form("it is cut off")) };
    // A member of odd length is followed by a byte that is none of it, but for the last, which some writers leave out.
    *rest = if size % 2 == 1 { after.get(1..).unwrap_or_default() } else { after };
    Ok((name.strip_suffix('/').unwrap_or(name), bytes))
}

fn part<'a>((name, bytes): (&str, &'a [u8]), wanted: &'static str) -> Result<(&'a [u8], Compression), DebError> {
    let compression = match name.strip_prefix(wanted) {
        Some("") => Compression::Plain,
        Some(".gz") => Compression::Gzip,
        Some(".xz") => Compression::Xz,
        Some(".zst") => Compression::Zstd,
        Some(_) => return Err(DebError::Form("a part is compressed in a way that is not read")),
        None => return Err(DebError::Form("`control.tar` and `data.tar` do not follow one another")),
    };
    Ok((bytes, compression))
}

#[cfg(test)]
mod tests;
