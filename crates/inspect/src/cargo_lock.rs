//! Cargo's lock file, versions 1 to 4, as a list of packages that can be fetched and checked.
//!
//! Specification: cargo 1.95, `src/cargo/core/resolver/encode.rs`
//! <https://github.com/rust-lang/cargo/blob/0.96.0/src/cargo/core/resolver/encode.rs> (the format has no other).
//!
//! ```text
//! version = 4
//!
//! [[package]]
//! name = "itoa"
//! version = "1.0.18"
//! source = "registry+https://github.com/rust-lang/crates.io-index"
//! checksum = "8f42a60cbdf9a97f5d2305f08a87dc4e09308d1276d28c869c684d7777685682"
//! ```
//!
//! A registry package without a checksum is refused: nothing would pin its bytes. Unused patches are read over, as
//! they are no part of a build. Which features or targets a build takes is not decided here.

mod source;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;
use wire::digest::Digest;
use wire::purl::Purl;

pub use source::{GitReference, Source};

/// The largest lock file: that of rust-lang/rust has about 180 kB.
pub const LOCK_BYTES_MAX: usize = 16 << 20;

/// How many packages a lock file may name: the largest known ones have some 2,500.
pub const PACKAGES_MAX: usize = 50_000;

/// The longest package name: crates.io allows 64 characters.
const NAME_MAX: usize = 128;

/// The longest version: semantic versions with build metadata stay below 100 characters.
const VERSION_MAX: usize = 256;

/// A lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoLock {
    /// Format version, 1 to 4. Version 1 and 2 do not name themselves; 1 is what keeps checksums in `[metadata]`.
    pub version: u8,
    /// The packages, in the file's order.
    pub packages: Vec<Package>,
}

/// One package of a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// `itoa`
    pub name: String,
    /// `1.0.18`
    pub version: String,
    /// Where its bytes come from.
    pub source: Source,
    /// What it depends on: positions in [`CargoLock::packages`], in the file's order.
    pub dependencies: Vec<usize>,
    /// Line of its `[[package]]` header, from 1.
    pub line: usize,
}

/// Why a lock file was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CargoLockError {
    /// More than [`LOCK_BYTES_MAX`] bytes.
    #[error("the lock file has {size} bytes, more than the {LOCK_BYTES_MAX} allowed")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// More than [`PACKAGES_MAX`] packages.
    #[error("the lock file names {count} packages, more than the {PACKAGES_MAX} allowed")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// No TOML, or a key of another type than it should have.
    #[error("line {line}, column {column}: {message}")]
    Toml {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What the TOML parser says.
        message: String,
    },
    /// A format version that we do not know.
    #[error("line {line}: lock file version {version} is unknown: versions 1 to 4 are read")]
    Version {
        /// Line, from 1.
        line: usize,
        /// The version named.
        version: u64,
    },
    /// A package that cannot be used, and why.
    #[error("line {line}: package `{name}`: {problem}")]
    Package {
        /// Line of its header, from 1.
        line: usize,
        /// Its name as it stands.
        name: String,
        /// What is wrong with it.
        problem: PackageProblem,
    },
}

impl CargoLockError {
    /// Returns the line that the error speaks of, from 1; `None` if it is the file as a whole.
    pub fn line(&self) -> Option<usize> {
        match self {
            CargoLockError::TooLarge { .. } | CargoLockError::TooMany { .. } => None,
            CargoLockError::Toml { line, .. }
            | CargoLockError::Version { line, .. }
            | CargoLockError::Package { line, .. } => Some(*line),
        }
    }
}

/// What is wrong with a package.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PackageProblem {
    /// Empty, too long, or characters that no package name has.
    #[error("the name is no package name")]
    Name,
    /// Empty, too long, or characters that no version has.
    #[error("`{0}` is no version")]
    Version(String),
    /// A source of a kind that cannot be pinned, or malformed.
    #[error("source `{0}` is none that can be pinned: expected `registry+URL`, `sparse+URL` or `git+URL#COMMIT`")]
    Source(String),
    /// A registry package that nothing pins.
    #[error("it comes from a registry but has no checksum")]
    NoChecksum,
    /// A checksum that is no SHA-256, or on a package that comes from no registry.
    #[error("`{0}` is no checksum of a registry package")]
    Checksum(String),
    /// Two packages with the same name, version and source.
    #[error("it stands twice in the lock file")]
    Twice,
    /// A dependency that names no package of the file, or several.
    #[error("dependency `{0}` names no single package of the lock file")]
    Dependency(String),
}

impl Package {
    /// Returns the SHA-256 of the `.crate` file; `None` for packages that come from no registry.
    pub fn checksum(&self) -> Option<&Digest> {
        match &self.source {
            Source::Registry { checksum, .. } => Some(checksum),
            Source::Git { .. } | Source::Path => None,
        }
    }

    /// Returns the package URL, of type `cargo`.
    ///
    /// What is not on crates.io has a qualifier that says where it is from, so that it is never taken for the
    /// crates.io package of that name; for a path package that is `download_url=file://.`.
    pub fn purl(&self) -> Purl {
        let purl = Purl::new("cargo", &self.name, &self.version);
        match self.source.purl_qualifier() {
            Some((key, value)) => purl.with(key, &value),
            None => purl,
        }
    }
}

impl CargoLock {
    /// Returns the packages that come from a registry or from git: what must be fetched.
    pub fn fetched(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source != Source::Path)
    }
}

/// Parses the text of a `Cargo.lock`.
pub fn parse(text: &str) -> Result<CargoLock, CargoLockError> {
    if text.len() > LOCK_BYTES_MAX {
        return Err(CargoLockError::TooLarge { size: text.len() });
    }
    let file: File = toml::from_str(text).map_err(|error| toml_error(text, &error))?;
    let version = format_version(text, &file)?;
    let raw: Vec<&Spanned<RawPackage>> = file.root.iter().chain(&file.package).collect();
    if raw.len() > PACKAGES_MAX {
        return Err(CargoLockError::TooMany { count: raw.len() });
    }
    let checksums = metadata_checksums(&file.metadata);
    let lines = Lines::of(text);
    let mut packages = Vec::with_capacity(raw.len());
    for spanned in &raw {
        let line = lines.line(spanned.span().start);
        packages.push(package(spanned.get_ref(), line, version, &checksums)?);
    }
    refuse_twins(&packages, &raw)?;
    let dependencies = resolve(&packages, &raw)?;
    for (package, positions) in packages.iter_mut().zip(dependencies) {
        package.dependencies = positions;
    }
    Ok(CargoLock { version, packages })
}

/// The file as it stands. Unknown keys are let pass: cargo has added some within one version.
#[derive(Deserialize)]
struct File {
    version: Option<Spanned<u64>>,
    /// Before 2016 the package of the directory stood apart.
    root: Option<Spanned<RawPackage>>,
    #[serde(default)]
    package: Vec<Spanned<RawPackage>>,
    #[serde(default)]
    metadata: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

fn format_version(text: &str, file: &File) -> Result<u8, CargoLockError> {
    match &file.version {
        None if file.metadata.keys().any(|key| key.starts_with("checksum ")) => Ok(1),
        None => Ok(2),
        Some(version) => match version.get_ref() {
            3 => Ok(3),
            4 => Ok(4),
            other => Err(CargoLockError::Version { line: Lines::of(text).line(version.span().start), version: *other }),
        },
    }
}

/// Version 1 keeps checksums apart, as `"checksum NAME VERSION (SOURCE)" = "HEX"`.
fn metadata_checksums(metadata: &BTreeMap<String, toml::Value>) -> BTreeMap<&str, &str> {
    metadata.iter().filter_map(|(key, value)| Some((key.strip_prefix("checksum ")?, value.as_str()?))).collect()
}

fn package(
    raw: &RawPackage,
    line: usize,
    format: u8,
    checksums: &BTreeMap<&str, &str>,
) -> Result<Package, CargoLockError> {
    let refuse = |problem| CargoLockError::Package { line, name: raw.name.chars().take(NAME_MAX).collect(), problem };
    if !is_name(&raw.name) {
        return Err(refuse(PackageProblem::Name));
    }
    if !is_version(&raw.version) {
        return Err(refuse(PackageProblem::Version(raw.version.chars().take(VERSION_MAX).collect())));
    }
    let checksum = raw.checksum.as_deref().or_else(|| {
        let source = raw.source.as_deref()?;
        checksums.get(format!("{} {} ({source})", raw.name, raw.version).as_str()).copied()
    });
    let source = Source::parse(raw.source.as_deref(), checksum, format).map_err(refuse)?;
    Ok(Package { name: raw.name.clone(), version: raw.version.clone(), source, dependencies: Vec::new(), line })
}

/// Names and versions become parts of paths and of URLs, so nothing that could leave one is let in.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

fn is_version(version: &str) -> bool {
    version.len() <= VERSION_MAX
        && version.starts_with(|c: char| c.is_ascii_digit())
        && !version.contains("..")
        && version.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
}

fn refuse_twins(packages: &[Package], raw: &[&Spanned<RawPackage>]) -> Result<(), CargoLockError> {
    let mut seen = BTreeSet::new();
    for (package, raw) in packages.iter().zip(raw) {
        if !seen.insert((&package.name, &package.version, raw.get_ref().source.as_deref())) {
            let problem = PackageProblem::Twice;
            return Err(CargoLockError::Package { line: package.line, name: package.name.clone(), problem });
        }
    }
    Ok(())
}

/// Name, version and source, as far as a dependency says them.
type Called<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// Finds what each dependency means: `NAME`, `NAME VERSION` or `NAME VERSION (SOURCE)`, as short as is unambiguous.
fn resolve(packages: &[Package], raw: &[&Spanned<RawPackage>]) -> Result<Vec<Vec<usize>>, CargoLockError> {
    // `None` where several packages are called so: a file of 50,000 packages of one name takes no longer than another.
    let mut called: BTreeMap<Called<'_>, Option<usize>> = BTreeMap::new();
    for (position, (package, raw)) in packages.iter().zip(raw).enumerate() {
        let (name, version) = (package.name.as_str(), Some(package.version.as_str()));
        let source = raw.get_ref().source.as_deref();
        // From version 3 on, a git source in a dependency stands without its commit.
        let without_commit = source.and_then(|source| source.split_once('#')).map(|(before, _)| before);
        let short = [(name, None, None), (name, version, None)];
        let long = [source, without_commit].into_iter().flatten().map(|source| (name, version, Some(source)));
        for key in short.into_iter().chain(long) {
            called.entry(key).and_modify(|position| *position = None).or_insert(Some(position));
        }
    }
    let find = |wanted: &str| -> Option<usize> {
        let mut words = wanted.splitn(3, ' ');
        let name = words.next()?;
        let version = words.next();
        let source = match words.next() {
            Some(word) => Some(word.strip_prefix('(')?.strip_suffix(')')?),
            None => None,
        };
        *called.get(&(name, version, source))?
    };
    let mut all = Vec::with_capacity(packages.len());
    for (package, raw) in packages.iter().zip(raw) {
        let mut positions = Vec::new();
        for wanted in &raw.get_ref().dependencies {
            positions.push(find(wanted).ok_or_else(|| CargoLockError::Package {
                line: package.line,
                name: package.name.clone(),
                problem: PackageProblem::Dependency(wanted.chars().take(500).collect()),
            })?);
        }
        all.push(positions);
    }
    Ok(all)
}

fn toml_error(text: &str, error: &toml::de::Error) -> CargoLockError {
    let at = error.span().map_or(0, |span| span.start);
    let (line, column) = Lines::of(text).position(text, at);
    let message = error.message().lines().next().unwrap_or_default().chars().take(300).collect();
    CargoLockError::Toml { line, column, message }
}

/// Where each line begins.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        Lines(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// Returns the line of a byte offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|&start| start <= offset)
    }

    /// Returns line and column (in characters) of a byte offset, both from 1.
    fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let before = text.get(self.0[line - 1]..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests;
