//! Tiles: the tree and its entries cut into files that never change.
//!
//! Specification: C2SP tlog-tiles <https://c2sp.org/tlog-tiles>.
//!
//! ```text
//! tile/0/x001/x234/067          256 leaf hashes; level 1 holds the roots of 256 full tiles of level 0
//! tile/1/000.p/17               17 hashes, while the tile is not full
//! tile/entries/x001/x234/067    256 entries, each with its length in two bytes before it, big-endian
//! ```

mod reader;

use std::fmt;
use std::str::FromStr;

use crate::merkle::Hash;

pub use reader::{TileError, Tiles};

/// How many hashes or entries a full tile holds.
pub const WIDTH: u64 = 256;

/// The number of levels of a tile, as a power of two.
const HEIGHT: u32 = 8;

/// The largest entry bundle: 256 entries of the largest size.
pub const BUNDLE_SIZE_MAX: usize = WIDTH as usize * (2 + crate::LEAF_SIZE_MAX);

/// The highest level that the path grammar allows.
const LEVEL_MAX: u8 = 63;

/// Which file: a tile of hashes or a bundle of entries, whole or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TilePath {
    kind: Kind,
    index: u64,
    width: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Hashes(u8),
    Entries,
}

/// The text is no path of a tile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the path of a tile")]
pub struct PathError(String);

/// An entry bundle is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry bundle does not hold exactly {width} entries")]
pub struct BundleError {
    /// How many it should hold.
    pub width: u16,
}

impl TilePath {
    /// Names the tile of hashes at `level` that covers position `index` (counted in tiles) in a log of `size`
    /// entries; `None` if the log does not reach it.
    pub fn hashes(level: u8, index: u64, size: u64) -> Option<TilePath> {
        if level > LEVEL_MAX {
            return None;
        }
        let count = size.checked_shr(u32::from(level) * HEIGHT).unwrap_or(0);
        TilePath::of(Kind::Hashes(level), index, count)
    }

    /// Names the entry bundle at `index` (counted in bundles) in a log of `size` entries; `None` if the log does
    /// not reach it.
    pub fn entries(index: u64, size: u64) -> Option<TilePath> {
        TilePath::of(Kind::Entries, index, size)
    }

    fn of(kind: Kind, index: u64, count: u64) -> Option<TilePath> {
        let width = count.saturating_sub(index.checked_mul(WIDTH)?).min(WIDTH) as u16;
        (width > 0).then_some(TilePath { kind, index, width })
    }

    /// Returns the level of a tile of hashes; `None` for an entry bundle.
    pub fn level(self) -> Option<u8> {
        match self.kind {
            Kind::Hashes(level) => Some(level),
            Kind::Entries => None,
        }
    }

    /// Returns the position among the tiles of its level, or among the bundles.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Returns how many hashes or entries it holds.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Whether it can still be superseded by a wider one.
    pub fn is_partial(self) -> bool {
        u64::from(self.width) < WIDTH
    }

    /// Returns the same tile when full.
    pub fn full(self) -> TilePath {
        TilePath { width: WIDTH as u16, ..self }
    }

    /// Returns the directory of the tile's partial forms, which may go once the full one is durable.
    pub fn partial_directory(self) -> String {
        format!("{}.p", self.full())
    }

    /// Returns all files that a log of `size` entries consists of, leaves first, the partial ones of its edge included.
    pub fn all(size: u64) -> impl Iterator<Item = TilePath> {
        let entries = (0..size.div_ceil(WIDTH)).filter_map(move |index| TilePath::entries(index, size));
        let levels = (0..=7u8).map(move |level| (level, size >> (u32::from(level) * HEIGHT)));
        let hashes = levels.flat_map(move |(level, count)| {
            (0..count.div_ceil(WIDTH)).filter_map(move |index| TilePath::hashes(level, index, size))
        });
        entries.chain(hashes)
    }

    /// Returns the partial files of a log of `size` entries: the last bundle, and the last tile of each level.
    pub fn edge(size: u64) -> impl Iterator<Item = TilePath> {
        let hashes = (0..=7u8)
            .filter_map(move |level| TilePath::hashes(level, (size >> (u32::from(level) * HEIGHT)) / WIDTH, size));
        TilePath::entries(size / WIDTH, size).into_iter().chain(hashes)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Hashes(level) => write!(f, "tile/{level}/")?,
            Kind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        f.write_str(&groups.join("/"))?;
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<TilePath, PathError> {
        // One path has one spelling: what parses must print the same.
        let path = parse_path(text).filter(|path| path.to_string() == text);
        path.ok_or_else(|| PathError(text.chars().take(100).collect()))
    }
}

fn parse_path(text: &str) -> Option<TilePath> {
    let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => Kind::Entries,
        level => Kind::Hashes(level.parse().ok().filter(|level| *level <= LEVEL_MAX)?),
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| (1..WIDTH as u16).contains(width))?),
        None => (rest, WIDTH as u16),
    };
    let mut number: u64 = 0;
    for group in index.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(TilePath { kind, index: number, width })
}

/// Returns the bytes of an entry bundle.
///
/// # Panics
/// If an entry is larger than [`crate::LEAF_SIZE_MAX`]; a [`crate::Leaf`] is not.
pub fn encode_bundle(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.iter().map(|entry| entry.len() + 2).sum());
    for entry in entries {
        let len = u16::try_from(entry.len()).expect("the size of an entry is checked when it becomes a leaf");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(entry);
    }
    out
}

/// Returns the entries of a bundle that holds `width` of them.
pub fn parse_bundle(bytes: &[u8], width: u16) -> Result<Vec<Vec<u8>>, BundleError> {
    let error = BundleError { width };
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(error)?;
        if entries.len() == usize::from(width) {
            return Err(error);
        }
        entries.push(entry.to_vec());
        rest = tail;
    }
    if rest.is_empty() && entries.len() == usize::from(width) { Ok(entries) } else { Err(error) }
}

/// Returns the hashes of a tile that holds `width` of them; `None` if its size is wrong.
pub fn parse_hashes(bytes: &[u8], width: u16) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && hashes.len() == usize::from(width)).then(|| hashes.to_vec())
}

#[cfg(test)]
mod tests;
