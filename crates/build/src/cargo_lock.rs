//! `Cargo.lock`, versions 3 and 4: which packages a Cargo project depends on, and their checksums.
//!
//! Format: <https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html> (the file's own version stands in it).
//!
//! ```toml
//! version = 4
//!
//! [[package]]
//! name = "serde"
//! version = "1.0.219"
//! source = "registry+https://github.com/rust-lang/crates.io-index"
//! checksum = "5f0e2c6ed6606019b4e29e69dbaba95b11854410e5347d525002456dbbb786b6"
//! ```
//!
//! The graph between packages is not read: a lock pins every package of the file, used or not.

use serde::Deserialize;
use wire::digest::Digest;

use crate::problem::Problem;

/// The name of the file in a project.
pub const FILE: &str = "Cargo.lock";

/// How large the file may be: the largest known workspaces have about 500 KiB.
pub const SIZE_MAX: usize = 16 * 1024 * 1024;

/// How many packages it may name.
pub const PACKAGES_MAX: usize = 20_000;

/// The index of crates.io, as `source` spells it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The same index, asked file by file.
const CRATES_IO_SPARSE: &str = "sparse+https://index.crates.io/";

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

#[derive(Deserialize)]
struct Document {
    version: Option<toml::Spanned<u32>>,
    #[serde(default)]
    package: Vec<toml::Spanned<RawPackage>>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// Reads a lock file; `file` is its name in messages. Packages are sorted by name and version.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Package>, Problem> {
    if bytes.len() > SIZE_MAX {
        let message = format!("the file has {} bytes, more than {SIZE_MAX}", bytes.len());
        return Err(Problem::at(file, "", 0, message, None));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::at(file, "", 0, "the file is not UTF-8 text".to_owned(), None))?;
    let document: Document = toml::from_str(text).map_err(|error| Problem::of_toml(file, text, &error))?;
    let problem =
        |offset: usize, message: String, hint: &str| Problem::at(file, text, offset, message, Some(hint.to_owned()));
    match &document.version {
        Some(version) if [3, 4].contains(version.get_ref()) => {}
        Some(version) => {
            let message = format!("lock file version {} is not known", version.get_ref());
            return Err(problem(version.span().start, message, "versions 3 and 4 are read"));
        }
        None => return Err(problem(0, "the lock file names no version".to_owned(), "run `cargo update --workspace`")),
    }
    if document.package.len() > PACKAGES_MAX {
        let message = format!("the file names {} packages, more than {PACKAGES_MAX}", document.package.len());
        return Err(Problem::at(file, text, 0, message, None));
    }
    let mut packages = Vec::with_capacity(document.package.len());
    for raw in document.package {
        let offset = raw.span().start;
        packages.push(package(raw.into_inner()).map_err(|message| problem(offset, message, RUN_CARGO))?);
    }
    packages.sort();
    Ok(packages)
}

const RUN_CARGO: &str = "run `cargo generate-lockfile` to write the file anew";

fn package(raw: RawPackage) -> Result<Package, String> {
    if !is_crate_name(&raw.name) || !is_version(&raw.version) {
        let shown: String = format!("{} {}", raw.name, raw.version).chars().take(80).collect();
        return Err(format!("`{shown}` is no name and version of a crate"));
    }
    let RawPackage { name, version, source, checksum } = raw;
    let origin = match source {
        None => Origin::Path,
        Some(source) if source.starts_with("git+") => {
            let Some((source, commit)) = source.split_once('#') else {
                return Err(format!("git dependency `{name}` names no commit"));
            };
            if !is_commit(commit) {
                return Err(format!("git dependency `{name}` names no commit of 40 or 64 hexadecimal digits"));
            }
            Origin::Git { source: source.to_owned(), commit: commit.to_owned() }
        }
        Some(source) if source.starts_with("registry+") || source.starts_with("sparse+") => {
            let value = checksum.ok_or_else(|| format!("`{name} {version}` has no checksum"))?;
            let checksum = Digest::from_parts("sha256", &value)
                .map_err(|_| format!("the checksum of `{name} {version}` is not 64 hexadecimal digits"))?;
            Origin::Registry { source, checksum }
        }
        Some(source) => {
            let shown: String = source.chars().take(80).collect();
            return Err(format!("`{name} {version}` comes from `{shown}`, neither a registry nor git"));
        }
    };
    Ok(Package { name, version, origin })
}

/// Whether `name` is a crate name: what becomes a path and part of a URL must be nothing else.
fn is_crate_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_version(version: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+');
    version.len() <= 128 && version.as_bytes().first().is_some_and(u8::is_ascii_digit) && version.bytes().all(allowed)
}

fn is_commit(commit: &str) -> bool {
    [40, 64].contains(&commit.len()) && commit.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests;
