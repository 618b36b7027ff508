//! `Cargo.lock` as fetching sees it: which packages there are, and what pins the bytes of each.
//!
//! The file is read by [`inspect::lock_file::cargo`]. The graph between packages is not used here: a lock pins every package
//! of the file, used or not.

use inspect::lock_file;
use wire::digest::Digest;

use crate::problem::Problem;

/// The name of the file in a project.
pub const FILE: &str = "Cargo.lock";

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
    lock_file::cargo::is_crates_io(source)
}

/// Reads a lock file; `file` is its name in messages. Packages are sorted by name and version.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Package>, Problem> {
    let lock = lock_file::cargo::parse(file, bytes).map_err(|error| Problem::of_lock_file(bytes, &error))?;
    if let Some(finding) = lock.open().next() {
        return Err(Problem::of_finding(bytes, finding));
    }
    let mut packages: Vec<Package> = lock.packages.into_iter().filter_map(package).collect();
    packages.sort();
    Ok(packages)
}

/// `None` for what Cargo's lock files never name.
fn package(locked: lock_file::Locked) -> Option<Package> {
    let origin = match &locked.origin {
        lock_file::Origin::Path(_) | lock_file::Origin::Workspace(_) => Origin::Path,
        lock_file::Origin::Registry { registry, .. } => {
            Origin::Registry { source: registry.clone()?, checksum: *locked.origin.digests().next()? }
        }
        lock_file::Origin::Git { url, reference, commit, .. } => {
            Origin::Git { source: git_source(url, reference), commit: commit.to_string() }
        }
        lock_file::Origin::Url(_) | lock_file::Origin::Bundled(_) => return None,
    };
    Some(Package { name: locked.name, version: locked.version, origin })
}

/// `git+https://git.example.org/inner?branch=feature%2Fx`
fn git_source(url: &str, reference: &lock_file::GitReference) -> String {
    let (key, value) = match reference {
        lock_file::GitReference::Default => return format!("git+{url}"),
        lock_file::GitReference::Branch(name) => ("branch", name),
        lock_file::GitReference::Tag(name) => ("tag", name),
        lock_file::GitReference::Rev(name) => ("rev", name),
    };
    format!("git+{url}?{key}={}", encoded(value))
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests;
