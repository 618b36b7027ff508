//! Package ecosystems: which lock files are read, what is fetched, how it is laid out, what it adds to a plan.
//!
//! ```text
//! Cargo.lock ─ pin ─ packages by digest ─ layout ─ one tree ─ contribution ─ mounts, variables, files of a plan
//! ```
//!
//! A closed set, one module each. Lock files are read, never resolved: a package without a digest is refused, and so is a
//! lock file that does not fit its manifest, with the command that mends it. The lock files of one ecosystem share one
//! tree of dependencies, since every layout here holds several versions side by side; so a project may have several.

pub mod cargo;

pub mod download;

pub mod fetched;

pub mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::recipe::Settings;
use sandbox::plan::Mount;
use serde::Deserialize;
use wire::digest::Digest;

use crate::lock::{self, Dependency, Lock};
use crate::pin::{PinError, World};
use crate::problem::Problem;
use crate::spec::Spec;

/// How large a lock file may be: 300 bytes for each of 50,000 packages.
pub const LOCK_FILE_SIZE_MAX: u64 = 16 * 1024 * 1024;

/// A family of packages with its own registry, lock files and build tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// Rust.
    Cargo,
    /// JavaScript with Node.js.
    Node,
}

/// A format of lock files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockFileKind {
    /// `Cargo.lock`
    Cargo,
    /// `package-lock.json`
    Npm,
}

/// What is known of a format of lock files beside how to read it.
struct Format {
    kind: LockFileKind,
    name: &'static str,
    ecosystem: Ecosystem,
    /// The usual name of such a file.
    file: &'static str,
    /// The command that writes it.
    mend: &'static str,
}

const FORMATS: [Format; 2] = [
    Format {
        kind: LockFileKind::Cargo,
        name: "cargo",
        ecosystem: Ecosystem::Cargo,
        file: "Cargo.lock",
        mend: "cargo generate-lockfile",
    },
    Format {
        kind: LockFileKind::Npm,
        name: "npm",
        ecosystem: Ecosystem::Node,
        file: "package-lock.json",
        mend: "npm install --package-lock-only",
    },
];

impl LockFileKind {
    /// Returns the format of a file, by its name; `None` for what is no lock file that is read.
    pub fn of_path(path: &str) -> Option<LockFileKind> {
        let name = path.rsplit('/').next().unwrap_or(path);
        FORMATS.iter().find(|format| format.file == name).map(|format| format.kind)
    }

    /// Returns the name that stands in `assay.lock`.
    pub fn name(self) -> &'static str {
        self.format().name
    }

    /// Returns whose packages such a file names.
    pub fn ecosystem(self) -> Ecosystem {
        self.format().ecosystem
    }

    /// Returns the command that writes such a file.
    pub fn mend(self) -> &'static str {
        self.format().mend
    }

    fn format(self) -> &'static Format {
        FORMATS.iter().find(|format| format.kind == self).expect("every kind has its line")
    }
}

/// Returns the usual names of all lock files that are read.
pub fn lock_file_names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.file).collect()
}

/// A lock file of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFile {
    /// Path below the project's root.
    pub path: String,
    /// Its format.
    pub kind: LockFileKind,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why a lock file of the project could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ProjectFileError {
    /// It is not there.
    #[error("`{path}` is missing; run `{mend}`")]
    Missing {
        /// Path below the project's root.
        path: String,
        /// The command that writes it.
        mend: &'static str,
    },
    /// It could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ProjectFile {
    /// Returns the digest of its bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Returns the directory that it lies in, below the project's root; `""` for the root itself.
    pub fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// Reads it as it is, with its findings.
    pub fn read(&self) -> Result<inspect::lock_file::LockFile, Problem> {
        let (path, bytes) = (self.path.as_str(), self.bytes.as_slice());
        let read = match self.kind {
            LockFileKind::Cargo => inspect::lock_file::cargo::parse(path, bytes),
            LockFileKind::Npm => inspect::lock_file::npm::parse(path, bytes),
        };
        read.map_err(|error| Problem::of_lock_file(bytes, &error))
    }

    /// Reads it, and refuses one that leaves open which bytes are meant.
    pub(crate) fn parse(&self) -> Result<inspect::lock_file::LockFile, PinError> {
        let lock = self.read().map_err(|problem| PinError::LockFile(Box::new(problem)))?;
        if let Some(finding) = lock.open().next() {
            return Err(PinError::LockFile(Box::new(Problem::of_finding(&self.bytes, finding))));
        }
        Ok(lock)
    }

    /// Returns `name version` of every package that must be fetched.
    pub fn names(&self) -> Result<BTreeSet<String>, Problem> {
        Ok(self.read()?.fetched().map(|package| format!("{} {}", package.name, package.version)).collect())
    }
}

/// Reads the lock files of a project: those that `assay.toml` names, else the root's `Cargo.lock`. A file that is named
/// and absent is an error, and so is a Cargo project without its lock file.
pub fn project_files(project: &Path, spec: &Spec) -> Result<Vec<ProjectFile>, ProjectFileError> {
    let named = match &spec.base.lock_files {
        Some(paths) => paths.clone(),
        None if project.join("Cargo.toml").exists() || project.join("Cargo.lock").exists() => {
            vec!["Cargo.lock".to_owned()]
        }
        None => Vec::new(),
    };
    named
        .into_iter()
        .map(|path| {
            let kind = LockFileKind::of_path(&path).expect("the specification was refused otherwise");
            let bytes = read(project, &path, kind)?;
            Ok(ProjectFile { path, kind, bytes })
        })
        .collect()
}

fn read(project: &Path, path: &str, kind: LockFileKind) -> Result<Vec<u8>, ProjectFileError> {
    let host = project.join(path);
    match fs::metadata(&host) {
        Ok(metadata) if metadata.len() > LOCK_FILE_SIZE_MAX => {
            let source = io::Error::other(format!("larger than {LOCK_FILE_SIZE_MAX} bytes"));
            Err(ProjectFileError::Read { path: host, source })
        }
        Ok(_) => fs::read(&host).map_err(|source| ProjectFileError::Read { path: host, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ProjectFileError::Missing { path: path.to_owned(), mend: kind.mend() })
        }
        Err(source) => Err(ProjectFileError::Read { path: host, source }),
    }
}

/// The dependencies of one ecosystem, pinned and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Digest of their tree; `None` if there are none.
    pub tree: Option<Digest>,
    /// The dependencies.
    pub dependencies: Vec<Dependency>,
    /// Where their bytes came from.
    pub counts: download::Counts,
}

/// What one ecosystem's dependencies are pinned from.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The project's directory.
    pub project: &'a Path,
    /// The specification.
    pub spec: &'a Spec,
    /// The ecosystem's lock files; at least one.
    pub files: &'a [&'a ProjectFile],
    /// The base, pinned.
    pub base: &'a lock::Base,
    /// The toolchains, pinned.
    pub toolchains: &'a [lock::Toolchain],
}

/// What an ecosystem adds to a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contribution {
    /// Mounts, after those of base and toolchains.
    pub mounts: Vec<Mount>,
    /// Mounts that must lie over the builder's home.
    pub home: Vec<Mount>,
    /// Variables of every step.
    pub variables: BTreeMap<String, String>,
}

impl Ecosystem {
    /// All of them, in the order in which they are pinned.
    pub const ALL: [Ecosystem; 2] = [Ecosystem::Cargo, Ecosystem::Node];

    /// Returns the name that stands in `assay.lock`; also the type of its package URLs where there is one.
    pub fn name(self) -> &'static str {
        match self {
            Ecosystem::Cargo => "cargo",
            Ecosystem::Node => "node",
        }
    }

    /// Returns what a plan calls the tree of its dependencies.
    pub fn tree_key(self) -> &'static str {
        match self {
            Ecosystem::Cargo => "vendor",
            Ecosystem::Node => "node-packages",
        }
    }

    /// Returns where the tree of its dependencies is inside. Cargo's keeps the place that programs built before name.
    pub fn directory(self) -> &'static str {
        match self {
            Ecosystem::Cargo => "/vendor",
            Ecosystem::Node => "/dependencies/node",
        }
    }

    /// Fetches, verifies and keeps the dependencies of its lock files, and makes their tree.
    pub(crate) fn pin(self, request: &Request<'_>, world: &World<'_>) -> Result<Pinned, PinError> {
        match self {
            Ecosystem::Cargo => cargo::pin(request, world),
            Ecosystem::Node => node::pin(request, world),
        }
    }

    /// Returns what it adds to a plan whose lock has one of its lock files.
    pub(crate) fn contribute(self, lock: &Lock, settings: &Settings) -> Contribution {
        let mut contribution = match self {
            Ecosystem::Cargo => cargo::contribute(lock, settings),
            Ecosystem::Node => node::contribute(lock, settings),
        };
        if lock.tree_of(self).is_some() {
            let tree = Mount::Tree { target: self.directory().to_owned(), source: self.tree_key().to_owned() };
            contribution.mounts.insert(0, tree);
        }
        contribution
    }
}

/// A lock file that says what cannot be fetched, at a line of it.
fn refuse(file: &ProjectFile, line: usize, message: String, mend: &str) -> PinError {
    PinError::LockFile(Box::new(Problem::at_line(&file.path, &file.bytes, line, message, Some(mend.to_owned()))))
}

/// Debian's name of the machine that a base is for: `amd64`.
fn architecture(base: &lock::Base) -> &str {
    let own = base.packages.iter().map(|package| package.architecture.as_str());
    own.into_iter().find(|architecture| *architecture != "all").unwrap_or("amd64")
}

#[cfg(test)]
mod tests;
