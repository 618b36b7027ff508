//! Taking out of an archive what its packer put in by chance: times, owners, order, names of machines.
//!
//! ```text
//! dist/greeter-1.0-py3-none-any.whl   greeter/__init__.py   time    2026-11-25 08:00:12 → 2023-11-14 22:13:20
//!                                                           order   as written → sorted
//! ```
//!
//! Bytes in, bytes out, and a list of what was changed ([`Report`]); [`check`] lists the same and writes nothing. What is
//! written is a function of the input, the [`Kind`] and the [`Settings`] alone, is fixed by [`NORMALISE_FORMAT`], and is
//! its own normal form: normalising twice is normalising once. `docs/formats/normalise.md` tells each rule.
//!
//! What no rule touches: names, mode bits, link targets and contents of members. A container inside a container is
//! looked into only where it is a part of the format (a `.deb` is tars in an ar, a `.tar.gz` is a tar), never a `.jar` in
//! a `.jar`. What is signed is refused, since it would be broken; so is what is damaged, unknown, or readable in two ways.
//! Nothing is ever half-written as long as the caller drops the output when there is an error.

mod ar;
mod compressed;
mod date;
mod deb;
mod gettext;
mod gzip;
mod javadoc;
mod kind;
mod png;
mod pyc;
mod report;
mod rpm;
mod tar;
mod zip;

use std::io::{self, Read, Seek, Write};

pub use kind::{HEAD_BYTES, Kind, detect};
pub use report::{Change, Changes, LISTED_MAX, Report};

/// The version of the bytes that [`normalise`] writes. It rises with every change of a rule or of the pinned encoders;
/// the digests of version 1 stand in the tests.
pub const NORMALISE_FORMAT: u32 = 1;

/// The deflate that [`Settings::recompress`] writes with, as it stands in reports: encoder and level.
pub const DEFLATE: &str = "zlib-rs level 6";

/// The xz that [`Settings::recompress`] writes with, as it stands in reports: encoder and preset.
pub const XZ: &str = "lzma-rust2 preset 6";

/// Where an archive is read from; some kinds are read twice, none is held in memory as a whole unless compressed whole.
pub trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// What normalising is told beside the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The time that later ones become: seconds since 1970, as in `SOURCE_DATE_EPOCH`; 32 bits, as in gzip and `.pyc`.
    pub epoch_unix_s: u32,
    /// Whether compressed data is written anew with the pinned encoders ([`DEFLATE`], [`XZ`]). Without it, an archive
    /// whose compressed content would change is refused. Members of zip archives are never compressed anew.
    pub recompress: bool,
    /// What becomes of a `.pyc` file that names its source by time.
    pub pyc: Pyc,
    /// What an archive may at most be.
    pub limits: Limits,
}

impl Settings {
    /// The defaults, with the given time.
    pub fn at(epoch_unix_s: u32) -> Settings {
        Settings { epoch_unix_s, recompress: false, pyc: Pyc::Clamp, limits: Limits::default() }
    }
}

/// What becomes of a `.pyc` file that names its source by time (PEP 552).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pyc {
    /// A time later than the epoch becomes the epoch. Python takes the file while its source carries the same time: so
    /// it does when the source's time goes through the same clamp, as in a tar of both. Else it compiles again.
    Clamp,
    /// The time gives way to the hash of the source, and no time matters any more.
    Hash {
        /// Whether Python compares the hash with the source at each import (`true`), or trusts it (`false`).
        checked: bool,
        /// The source's bytes.
        source: Vec<u8>,
    },
}

/// What an archive may at most be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sum of the sizes of all members, unpacked; also the size of the archive itself.
    pub bytes_max: u64,
    /// How many members.
    pub members_max: usize,
    /// The largest thing that must be held in memory: a tar that is compressed whole, a `.pyc`, a page.
    pub memory_bytes_max: u64,
}

impl Default for Limits {
    /// 64 GiB, 500,000 members (the largest source trees have 100,000 files), 1 GiB in memory.
    fn default() -> Limits {
        Limits { bytes_max: 64 << 30, members_max: 500_000, memory_bytes_max: 1 << 30 }
    }
}

/// How far data may unpack to before its ratio counts: below, no ratio does harm.
const EXPANSION_FREE_BYTES: u64 = 256 << 20;

/// How many times its packed size data may unpack to, beyond [`EXPANSION_FREE_BYTES`]. Deflate reaches 1032.
const EXPANSION_MAX: u64 = 200;

/// Why an archive was refused. Nothing of what was written until then is of use.
#[derive(Debug, thiserror::Error)]
pub enum NormaliseError {
    /// The archive could not be read.
    #[error("reading the archive")]
    Read(#[source] io::Error),
    /// The result could not be written.
    #[error("writing the normalised archive")]
    Write(#[source] io::Error),
    /// Neither name nor bytes tell what it is.
    #[error("`{0}` is of no kind that can be normalised")]
    Unknown(String),
    /// It contradicts its format, or could be read in two ways.
    #[error("{}: {what}", place(path, *at))]
    Damaged {
        /// Byte of the archive, from 0.
        at: u64,
        /// The member; empty for the archive itself.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// Well-formed, but of a kind that no rule covers.
    #[error("{}: {what}", place(path, *at))]
    Unsupported {
        /// Byte of the archive, from 0.
        at: u64,
        /// The member; empty for the archive itself.
        path: String,
        /// What it is, and what can be done instead.
        what: String,
    },
    /// It is signed.
    #[error("`{path}` signs the archive, and the signature would not hold any more: normalise before signing")]
    Signed {
        /// The member or field that holds the signature.
        path: String,
    },
    /// A limit was passed.
    #[error("{}: more than {max} {what}", place(path, *at))]
    Limit {
        /// Byte of the archive, from 0.
        at: u64,
        /// The member; empty for the archive itself.
        path: String,
        /// Of what: `bytes`, `members`, …
        what: &'static str,
        /// How many are allowed.
        max: u64,
    },
    /// The content of a compressed archive would change, which was not allowed.
    #[error("the content of `{path}` would change, and then must be compressed anew with {encoder}")]
    Recompress {
        /// The compressed member, or the archive's kind.
        path: String,
        /// With what.
        encoder: &'static str,
    },
}

fn place(path: &str, at: u64) -> String {
    if path.is_empty() { format!("byte {at}") } else { format!("`{path}`, byte {at}") }
}

impl NormaliseError {
    fn damaged(at: u64, path: &str, what: impl Into<String>) -> NormaliseError {
        NormaliseError::Damaged { at, path: path.to_owned(), what: what.into() }
    }

    fn unsupported(at: u64, path: &str, what: impl Into<String>) -> NormaliseError {
        NormaliseError::Unsupported { at, path: path.to_owned(), what: what.into() }
    }

    /// An end of the input is damage, anything else is the world's.
    fn reading(error: io::Error, at: u64, path: &str) -> NormaliseError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => NormaliseError::damaged(at, path, "the archive is cut off here"),
            _ => NormaliseError::Read(error),
        }
    }

    /// Says of a place inside a member where that member is; offsets then count in the member's own bytes.
    fn inside(self, outer: &str) -> NormaliseError {
        let join = |path: String| if path.is_empty() { outer.to_owned() } else { format!("{outer}/{path}") };
        match self {
            NormaliseError::Damaged { at, path, what } => NormaliseError::Damaged { at, path: join(path), what },
            NormaliseError::Unsupported { at, path, what } => {
                NormaliseError::Unsupported { at, path: join(path), what }
            }
            NormaliseError::Signed { path } => NormaliseError::Signed { path: join(path) },
            NormaliseError::Limit { at, path, what, max } => NormaliseError::Limit { at, path: join(path), what, max },
            other => other,
        }
    }
}

/// Writes the normal form of an archive, and tells what was changed; without changes, the bytes are the input's.
pub fn normalise(
    input: &mut dyn Source,
    kind: Kind,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<Report, NormaliseError> {
    let mut report = Report::empty(kind);
    let size = input.seek(io::SeekFrom::End(0)).map_err(NormaliseError::Read)?;
    input.rewind().map_err(NormaliseError::Read)?;
    if size > settings.limits.bytes_max {
        let max = settings.limits.bytes_max;
        return Err(NormaliseError::Limit { at: max, path: String::new(), what: "bytes", max });
    }
    match kind {
        Kind::Tar => tar::normalise(input, tar::Order::Sorted, settings, out, &mut report)?,
        Kind::Gzip => gzip::normalise(input, settings, out, &mut report)?,
        Kind::TarGz => compressed::tar_gz(input, tar::Order::Sorted, settings, out, &mut report)?,
        Kind::TarXz => compressed::tar_xz(input, tar::Order::Sorted, settings, out, &mut report)?,
        Kind::Zip | Kind::Jar | Kind::Wheel => zip::normalise(input, kind, settings, out, &mut report)?,
        Kind::Ar => ar::normalise(input, settings, out, &mut report)?,
        Kind::Deb => deb::normalise(input, settings, out, &mut report)?,
        Kind::Rpm => {
            let mut head = Vec::new();
            input.take(rpm::HEAD_BYTES).read_to_end(&mut head).map_err(NormaliseError::Read)?;
            return Err(rpm::refuse(&head));
        }
        Kind::Pyc | Kind::Mo | Kind::Po | Kind::Javadoc | Kind::Png => {
            let mut bytes = whole(input, settings)?;
            in_place(&mut bytes, kind, settings, &mut report)?;
            out.write_all(&bytes).map_err(NormaliseError::Write)?;
        }
    }
    Ok(report)
}

/// Tells what [`normalise`] would change, and writes nothing. What needs [`Settings::recompress`] is told, too.
pub fn check(input: &mut dyn Source, kind: Kind, settings: &Settings) -> Result<Report, NormaliseError> {
    match normalise(input, kind, settings, &mut io::sink()) {
        Err(NormaliseError::Recompress { path, encoder }) => {
            let settings = Settings { recompress: true, ..settings.clone() };
            let mut report = normalise(input, kind, &settings, &mut io::sink())?;
            report.note(format!("`{path}` would have to be compressed anew with {encoder}, which was not allowed"));
            Ok(report)
        }
        answer => answer,
    }
}

/// Reads something that must be held in memory.
fn whole(input: &mut dyn Source, settings: &Settings) -> Result<Vec<u8>, NormaliseError> {
    let max = settings.limits.memory_bytes_max;
    let mut bytes = Vec::new();
    input.take(max + 1).read_to_end(&mut bytes).map_err(NormaliseError::Read)?;
    if bytes.len() as u64 > max {
        return Err(NormaliseError::Limit { at: max, path: String::new(), what: "bytes in memory", max });
    }
    Ok(bytes)
}

/// The kinds that are small enough to be changed in memory.
fn in_place(bytes: &mut Vec<u8>, kind: Kind, settings: &Settings, report: &mut Report) -> Result<(), NormaliseError> {
    match kind {
        Kind::Pyc => pyc::normalise(bytes, settings, report),
        Kind::Mo => gettext::compiled(bytes, settings, report),
        Kind::Po => gettext::text(bytes, settings, report),
        Kind::Javadoc => javadoc::normalise(bytes, settings, report),
        Kind::Png => png::normalise(bytes, settings, report),
        _ => Err(NormaliseError::Unknown(kind.name().to_owned())),
    }
}

/// Copies exactly so many bytes.
fn copy(input: &mut dyn Read, out: &mut dyn Write, mut left: u64, at: u64, path: &str) -> Result<(), NormaliseError> {
    let mut buffer = [0; 32 * 1024];
    while left > 0 {
        let part = &mut buffer[..left.min(32 * 1024) as usize];
        input.read_exact(part).map_err(|error| NormaliseError::reading(error, at, path))?;
        out.write_all(part).map_err(NormaliseError::Write)?;
        left -= part.len() as u64;
    }
    Ok(())
}

/// Whether data has unpacked to more than it may.
fn expanded(packed: u64, unpacked: u64) -> bool {
    unpacked > EXPANSION_FREE_BYTES && unpacked > packed.saturating_mul(EXPANSION_MAX)
}

#[cfg(test)]
mod tests;
