//! `Cargo.lock` as fetching sees it: which packages there are, and what pins the bytes of each.
//!
//! The file is read by [`inspect::cargo_lock`]. The graph between packages is not used here: a lock pins every package
//! of the file, used or not.

use inspect::cargo_lock::{self, CargoLockError, Source};
use wire::digest::Digest;

use crate::problem::Problem;

/// The name of the file in a project.
pub const FILE: &str = "Cargo.lock";

/// The index of crates.io, as `source` spells it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The same index, asked file by file.
const CRATES_IO_SPARSE: &str = "sparse+https://index.crates.io/";

/// The command that mends a damaged file.
const MEND: &str = "run `cargo generate-lockfile` to write the file anew";

/// A package of the lock file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Crate name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Where its bytes come from.
    pub origin: Origin,
}

/// Where a package's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The project itself: a path below it.
    Path,
    /// A registry.
    Registry {
        /// As `source` spells it.
        source: String,
        /// SHA-256 of the `.crate` file.
        checksum: Digest,
    },
    /// A git repository.
    Git {
        /// As `source` spells it, without the commit: `git+https://…?branch=main`.
        source: String,
        /// The commit.
        commit: String,
    },
}

impl Origin {
    /// Whether the origin is crates.io.
    pub fn is_crates_io(&self) -> bool {
        matches!(self, Origin::Registry { source, .. } if is_crates_io(source))
    }
}

/// Whether a source, as lock files spell it, is crates.io.
pub(crate) fn is_crates_io(source: &str) -> bool {
    source == CRATES_IO || source == CRATES_IO_SPARSE
}

/// Reads a lock file; `file` is its name in messages. Packages are sorted by name and version.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Package>, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::at(file, "", 0, "the file is not UTF-8 text".to_owned(), None))?;
    let lock = cargo_lock::parse(text).map_err(|error| problem(file, text, &error))?;
    let package = |package: cargo_lock::Package| Package {
        name: package.name,
        version: package.version,
        origin: match package.source {
            Source::Path => Origin::Path,
            Source::Registry { index, checksum } => Origin::Registry { source: index, checksum },
            Source::Git { commit, id, .. } => {
                let source = id.split_once('#').map_or(id.as_str(), |(source, _)| source).to_owned();
                Origin::Git { source, commit }
            }
        },
    };
    let mut packages: Vec<Package> = lock.packages.into_iter().map(package).collect();
    packages.sort();
    Ok(packages)
}

fn problem(file: &str, text: &str, error: &CargoLockError) -> Problem {
    let mend = || Some(MEND.to_owned());
    match error {
        CargoLockError::TooLarge { .. } | CargoLockError::TooMany { .. } => {
            Problem::at(file, text, 0, error.to_string(), None)
        }
        CargoLockError::Toml { line, column, message } => {
            let mut problem = Problem::at(file, text, offset_of_line(text, *line), message.clone(), None);
            problem.column = *column;
            problem
        }
        CargoLockError::Version { line, version } => {
            let message = format!("lock file version {version} is not known");
            let allowed = Some("versions 1 to 4 are read".to_owned());
            Problem::at(file, text, offset_of_line(text, *line), message, allowed)
        }
        CargoLockError::Package { line, name, problem } => {
            Problem::at(file, text, offset_of_line(text, *line), format!("package `{name}`: {problem}"), mend())
        }
    }
}

fn offset_of_line(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
}

#[cfg(test)]
mod tests;
