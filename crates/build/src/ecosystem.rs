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

pub mod go;

pub mod node;

pub mod python;

pub mod recorded;

pub use node::tool::Tool;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use inspect::lock_file::{Problem as LockProblem, Role, pnpm, yarn};
use model::recipe::Settings;
use sandbox::plan::{Mount, is_within};
use serde::Deserialize;
use wire::digest::Digest;

use crate::lock::{self, Dependency, Lock};
use crate::pin::{PinError, World};
use crate::plan::HOME;
use crate::problem::Problem;
use crate::spec::Spec;

/// How large a lock file may be: 300 bytes for each of 50,000 packages.
pub const LOCK_FILE_SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Space for dependencies that a tool wants to have writable. It counts as memory only as far as it is used.
const COPY_BYTES: u64 = 4 << 30;

/// A family of packages with its own registry, lock files and build tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// Rust.
    Cargo,
    /// Go.
    Go,
    /// JavaScript with Node.js.
    Node,
    /// Python.
    Python,
    /// Whatever a recorded command fetched.
    Recorded,
}

/// A format of lock files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockFileKind {
    /// `Cargo.lock`
    Cargo,
    /// `go.sum`, with the `go.mod` and `vendor/modules.txt` beside it
    GoSum,
    /// `package-lock.json`
    Npm,
    /// `requirements.txt`, or any name with `requirements` in it that ends in `.txt`
    Requirements,
    /// `uv.lock`
    Uv,
    /// `poetry.lock`
    Poetry,
    /// `pylock.toml`
    Pylock,
    /// `pnpm-lock.yaml`
    Pnpm,
    /// `yarn.lock` of yarn 1
    Yarn,
    /// `yarn.lock` of yarn 2 and newer
    YarnBerry,
    /// `assay.record`
    Record,
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

const FORMATS: [Format; 11] = [
    Format {
        kind: LockFileKind::Cargo,
        name: "cargo",
        ecosystem: Ecosystem::Cargo,
        file: "Cargo.lock",
        mend: "cargo generate-lockfile",
    },
    Format { kind: LockFileKind::GoSum, name: "go-sum", ecosystem: Ecosystem::Go, file: "go.sum", mend: "go mod tidy" },
    Format {
        kind: LockFileKind::Npm,
        name: "npm",
        ecosystem: Ecosystem::Node,
        file: "package-lock.json",
        mend: "npm install --package-lock-only",
    },
    Format {
        kind: LockFileKind::Requirements,
        name: "requirements",
        ecosystem: Ecosystem::Python,
        file: "requirements.txt",
        mend: "pip-compile --generate-hashes",
    },
    Format { kind: LockFileKind::Uv, name: "uv", ecosystem: Ecosystem::Python, file: "uv.lock", mend: "uv lock" },
    Format {
        kind: LockFileKind::Poetry,
        name: "poetry",
        ecosystem: Ecosystem::Python,
        file: "poetry.lock",
        mend: "poetry lock",
    },
    Format {
        kind: LockFileKind::Pylock,
        name: "pylock",
        ecosystem: Ecosystem::Python,
        file: "pylock.toml",
        mend: "pip lock",
    },
    Format {
        kind: LockFileKind::Yarn,
        name: "yarn",
        ecosystem: Ecosystem::Node,
        file: "yarn.lock",
        mend: "yarn install",
    },
    Format {
        kind: LockFileKind::YarnBerry,
        name: "yarn-berry",
        ecosystem: Ecosystem::Node,
        file: "yarn.lock",
        mend: "yarn install --mode=update-lockfile",
    },
    Format {
        kind: LockFileKind::Pnpm,
        name: "pnpm",
        ecosystem: Ecosystem::Node,
        file: "pnpm-lock.yaml",
        mend: "pnpm install --lockfile-only",
    },
    Format {
        kind: LockFileKind::Record,
        name: "record",
        ecosystem: Ecosystem::Recorded,
        file: recorded::FILE,
        mend: "assay lock --record -- COMMAND",
    },
];

impl LockFileKind {
    /// Returns the format of a file, by its name; `None` for what is no lock file that is read.
    pub fn of_path(path: &str) -> Option<LockFileKind> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_requirements = name.contains("requirements") && name.ends_with(".txt");
        let known = FORMATS.iter().find(|format| format.file == name).map(|format| format.kind);
        known.or(is_requirements.then_some(LockFileKind::Requirements))
    }

    /// Returns the format of a file, by its name and its bytes: yarn's two share a name.
    pub fn of_file(path: &str, bytes: &[u8]) -> Option<LockFileKind> {
        match LockFileKind::of_path(path)? {
            LockFileKind::Yarn if yarn::is_berry(bytes) => Some(LockFileKind::YarnBerry),
            kind => Some(kind),
        }
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
    let mut names: Vec<&str> = FORMATS.iter().map(|format| format.file).collect();
    names.dedup();
    names
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
    /// Files of the same directory that only together with it say what a build takes, by their path.
    pub beside: Vec<(String, Vec<u8>)>,
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
            LockFileKind::GoSum => self.read_go(),
            LockFileKind::Npm => inspect::lock_file::npm::parse(path, bytes),
            LockFileKind::Requirements => inspect::lock_file::requirements::parse(path, bytes),
            LockFileKind::Uv => inspect::lock_file::uv::parse(path, bytes),
            LockFileKind::Poetry => inspect::lock_file::poetry::parse(path, bytes),
            LockFileKind::Pylock => inspect::lock_file::pylock::parse(path, bytes),
            LockFileKind::Pnpm => pnpm::parse(path, bytes),
            LockFileKind::Record => inspect::lock_file::record::parse(path, bytes),
            LockFileKind::Yarn | LockFileKind::YarnBerry => yarn::parse(path, bytes),
        };
        let mut lock = read.map_err(|error| Problem::of_lock_file(self.text_of(&error.file), &error))?;
        // Its digests are of yarn's own zips: yarn checks those in the build, and `node::berry` pins the registry's files.
        lock.findings.retain(|finding| finding.problem != LockProblem::Repacked);
        Ok(lock)
    }

    /// The bytes of the file itself, or of one beside it.
    pub(crate) fn text_of(&self, path: &str) -> &[u8] {
        let beside = self.beside.iter().find(|(beside, _)| beside == path);
        beside.map_or(self.bytes.as_slice(), |(_, bytes)| bytes.as_slice())
    }

    fn read_go(&self) -> Result<inspect::lock_file::LockFile, inspect::lock_file::LockFileError> {
        let beside = |name: &str| {
            let found = self.beside.iter().find(|(path, _)| path.ends_with(name));
            found.map(|(path, bytes)| inspect::lock_file::go::Input { file: path, bytes })
        };
        let empty = inspect::lock_file::go::Input { file: "go.mod", bytes: &[] };
        let sums = inspect::lock_file::go::Input { file: &self.path, bytes: &self.bytes };
        inspect::lock_file::go::parse(beside("go.mod").unwrap_or(empty), Some(sums), beside("modules.txt"))
    }

    /// Whether its packages lie in the project, so that nothing is fetched.
    pub fn is_vendored(&self) -> bool {
        self.beside.iter().any(|(path, bytes)| match self.kind {
            LockFileKind::Cargo => cargo::vendored::directory(bytes).is_some(),
            _ => path.ends_with("modules.txt"),
        })
    }

    /// Reads it, and refuses one that leaves open which bytes are meant.
    pub(crate) fn parse(&self) -> Result<inspect::lock_file::LockFile, PinError> {
        let lock = self.read().map_err(|problem| PinError::LockFile(Box::new(problem)))?;
        if let Some(finding) = lock.open().next() {
            return Err(PinError::LockFile(Box::new(Problem::of_finding(self.text_of(&finding.file), finding))));
        }
        Ok(lock)
    }

    /// Returns `name version` of every package that must be fetched.
    pub fn names(&self) -> Result<BTreeSet<String>, Problem> {
        if self.is_vendored() {
            return Ok(BTreeSet::new());
        }
        let lock = self.read()?;
        // Of a module that `go.sum` names for its requirements alone, no code is fetched.
        let has_code = |package: &&inspect::lock_file::Locked| {
            self.kind != LockFileKind::GoSum || package.origin.artifacts().iter().any(|a| a.role == Role::Package)
        };
        let tool = self.tool()?.map(|tool| format!("{} {}", tool.name, tool.version));
        let packages = lock.fetched().filter(has_code).map(|package| format!("{} {}", package.name, package.version));
        Ok(packages.chain(tool).collect())
    }

    /// Returns the package manager that the project names beside it, with its digest.
    pub fn tool(&self) -> Result<Option<Tool>, Problem> {
        node::tool::of(self)
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
            let kind = LockFileKind::of_file(&path, &bytes).unwrap_or(kind);
            let beside = beside(project, &path, kind)?;
            Ok(ProjectFile { path, kind, bytes, beside })
        })
        .collect()
}

/// The files that are read together with a lock file.
pub(crate) fn beside(
    project: &Path,
    path: &str,
    kind: LockFileKind,
) -> Result<Vec<(String, Vec<u8>)>, ProjectFileError> {
    match kind {
        LockFileKind::GoSum => {}
        LockFileKind::Cargo => {
            let directory = path.strip_suffix(cargo::lock_file::FILE).unwrap_or("");
            let names = cargo::vendored::CONFIGS.iter().map(|name| format!("{directory}{name}"));
            let there = names.filter(|name| project.join(name).is_file());
            return there.take(1).map(|name| Ok((name.clone(), read(project, &name, kind)?))).collect();
        }
        LockFileKind::Pnpm | LockFileKind::Yarn | LockFileKind::YarnBerry => {
            let directory = path.rfind('/').map_or("", |end| &path[..=end]);
            let names = node::BESIDE.iter().map(|name| format!("{directory}{name}"));
            let there = names.filter(|name| project.join(name).is_file());
            return there.map(|name| Ok((name.clone(), read(project, &name, kind)?))).collect();
        }
        _ => return Ok(Vec::new()),
    }
    let directory = path.strip_suffix("go.sum").unwrap_or("");
    let go_mod = format!("{directory}go.mod");
    let bytes = read(project, &go_mod, kind)?;
    let mut beside = vec![(go_mod, bytes)];
    let modules = format!("{directory}vendor/modules.txt");
    if project.join(&modules).is_file() {
        let bytes = read(project, &modules, kind)?;
        beside.push((modules, bytes));
    }
    Ok(beside)
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
    /// Directories that programs are looked for in before all others.
    pub path: Vec<String>,
}

impl Ecosystem {
    /// All of them, in the order in which they are pinned.
    pub const ALL: [Ecosystem; 5] =
        [Ecosystem::Cargo, Ecosystem::Go, Ecosystem::Node, Ecosystem::Python, Ecosystem::Recorded];

    /// Returns the name that stands in `assay.lock`; also the type of its package URLs where there is one.
    pub fn name(self) -> &'static str {
        match self {
            Ecosystem::Cargo => "cargo",
            Ecosystem::Go => "go",
            Ecosystem::Node => "node",
            Ecosystem::Python => "python",
            Ecosystem::Recorded => "recorded",
        }
    }

    /// Returns what a plan calls the tree of its dependencies.
    pub fn tree_key(self) -> &'static str {
        match self {
            Ecosystem::Cargo => "vendor",
            Ecosystem::Go => "go-modules",
            Ecosystem::Node => "node-packages",
            Ecosystem::Python => "python-packages",
            Ecosystem::Recorded => recorded::TREE,
        }
    }

    /// Returns where the tree of its dependencies is inside: read-only, or a writable copy in the builder's home. Cargo's
    /// keeps the place that programs built before name.
    pub fn directory(self) -> &'static str {
        match self {
            Ecosystem::Cargo => "/vendor",
            Ecosystem::Go => "/dependencies/go",
            Ecosystem::Node => "/home/builder/.npm",
            Ecosystem::Python => "/dependencies/python",
            Ecosystem::Recorded => recorded::DIRECTORY,
        }
    }

    /// Fetches, verifies and keeps the dependencies of its lock files, and makes their tree.
    pub(crate) fn pin(self, request: &Request<'_>, world: &World<'_>) -> Result<Pinned, PinError> {
        match self {
            Ecosystem::Cargo => cargo::pin(request, world),
            Ecosystem::Go => go::pin(request, world),
            Ecosystem::Node => node::pin(request, world),
            Ecosystem::Python => python::pin(request, world),
            Ecosystem::Recorded => recorded::pin(request, world),
        }
    }

    /// Whether a build of this lock uses it: by a lock file, or by its tools in the base.
    pub(crate) fn is_used(self, lock: &Lock) -> bool {
        let package = |name: &str| lock.base.packages.iter().any(|package| package.name == name);
        lock.has(self)
            || match self {
                Ecosystem::Cargo | Ecosystem::Recorded => false,
                Ecosystem::Go => package("golang-go"),
                Ecosystem::Node => lock.toolchains.iter().any(|t| t.name == "node") || package("npm"),
                Ecosystem::Python => package("python3-pip"),
            }
    }

    /// Returns what it adds to a plan of a build that uses it.
    pub(crate) fn contribute(self, lock: &Lock, settings: &Settings) -> Contribution {
        let mut contribution = match self {
            Ecosystem::Cargo => cargo::contribute(lock, settings),
            Ecosystem::Go => go::contribute(lock, settings),
            Ecosystem::Node => node::contribute(lock, settings),
            Ecosystem::Python => python::contribute(lock, settings),
            Ecosystem::Recorded => recorded::contribute(lock),
        };
        if lock.tree_of(self).is_some() {
            let (target, source) = (self.directory().to_owned(), self.tree_key().to_owned());
            match is_within(&target, HOME) {
                true => contribution.home.push(Mount::Copy {
                    target,
                    source,
                    mtime_unix_s: settings.epoch_unix_s,
                    size_bytes: COPY_BYTES,
                }),
                false => contribution.mounts.insert(0, Mount::Tree { target, source }),
            }
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
    if let Some(image) = &base.image {
        return image.platform.rsplit('/').next().unwrap_or("amd64");
    }
    let own = base.packages.iter().map(|package| package.architecture.as_str());
    own.into_iter().find(|architecture| *architecture != "all").unwrap_or("amd64")
}

#[cfg(test)]
mod tests;
