//! Lock files of package managers, as lists of packages that can be fetched and checked.
//!
//! One module for each kind of file; all give one shape, [`LockFile`], that can be acted on without knowing the
//! ecosystem's syntax:
//!
//! ```text
//! express 4.18.2                              a Locked: line 1204 of package-lock.json
//!   purl    pkg:npm/express@4.18.2
//!   origin  Registry, one Artifact: its URL, and Pin::Bytes(sha512:…)
//!   needs   accepts, body-parser, …           Edges: positions in LockFile::packages
//! ```
//!
//! What is malformed is an error and gives no [`LockFile`]. What is well-formed but does not pin what it names, or pins
//! it badly, is a [`Finding`]; those that leave bytes open say so ([`Problem::leaves_open`]), and a caller that fetches
//! must refuse them. Which packages apply to a machine, a Python or a feature is the caller's decision: limits stand in
//! [`Scope`] as the file has them.
//!
//! Digests by MD5 and SHA-1 are never pins. SHA-384 is not computed here, so it is none either.

pub mod cargo;
pub mod go;
pub mod gradle;
pub mod maven;
pub mod npm;
pub mod observed;
pub mod pipfile;
pub mod pnpm;
pub mod poetry;
pub mod pylock;
pub mod record;
pub mod requirements;
pub mod uv;
pub mod yarn;

mod document;
mod finding;
mod javascript;
mod jvm;
mod pin;
pub mod python;
mod reading;
#[cfg(test)]
mod shown;

use wire::purl::Purl;

pub use finding::{Finding, LockFileError, PackageProblem, Position, Problem, Reason, WeakAlgorithm};
pub use javascript::Asked;
pub use pin::{Artifact, Commit, GitReference, Origin, Pin, Role};

/// Returns an address without user and password, for messages; what is no address comes back as it is.
pub(crate) fn without_password(text: &str) -> String {
    reading::address(text).map_or_else(|| text.to_owned(), |(address, _)| address)
}

/// The largest lock file: the largest known ones, of JavaScript monorepos, have about 5 MB.
pub const LOCK_BYTES_MAX: usize = 32 << 20;

/// How many packages a lock file may name: the largest known ones have some 10,000.
pub const PACKAGES_MAX: usize = 50_000;

/// The longest name of a package; npm allows 214 characters, Maven's coordinates have no limit of their own.
pub const NAME_MAX: usize = 400;

/// The longest version: Go's pseudo-versions and semantic versions with build metadata stay below 100 characters.
pub const VERSION_MAX: usize = 256;

/// The kinds of lock file that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `Cargo.lock`
    Cargo,
    /// `package-lock.json` or `npm-shrinkwrap.json`
    Npm,
    /// `requirements.txt`
    Requirements,
    /// `uv.lock`
    Uv,
    /// `poetry.lock`
    Poetry,
    /// `Pipfile.lock`
    Pipfile,
    /// `pylock.toml`
    Pylock,
    /// `go.mod` and `go.sum`
    Go,
    /// `pnpm-lock.yaml`
    Pnpm,
    /// `yarn.lock`
    Yarn,
    /// `gradle.lockfile` and `gradle/verification-metadata.xml`
    Gradle,
    /// `lockfile.json` of maven-lockfile
    Maven,
    /// `assay.record`
    Record,
}

impl Kind {
    /// Returns the usual name of the file, as a project has it.
    pub fn file(self) -> &'static str {
        match self {
            Kind::Cargo => "Cargo.lock",
            Kind::Npm => "package-lock.json",
            Kind::Requirements => "requirements.txt",
            Kind::Uv => "uv.lock",
            Kind::Poetry => "poetry.lock",
            Kind::Pipfile => "Pipfile.lock",
            Kind::Pylock => "pylock.toml",
            Kind::Go => "go.sum",
            Kind::Pnpm => "pnpm-lock.yaml",
            Kind::Yarn => "yarn.lock",
            Kind::Gradle => "gradle.lockfile",
            Kind::Maven => "lockfile.json",
            Kind::Record => "assay.record",
        }
    }

    /// Returns what makes the package manager write the file so that it pins.
    fn write_anew(self) -> &'static str {
        match self {
            Kind::Cargo => "run `cargo generate-lockfile` to write the file anew",
            Kind::Npm => "remove the file and `node_modules`, and run `npm install` with npm 7 or newer",
            Kind::Requirements => {
                "write the file with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`"
            }
            Kind::Uv => "run `uv lock` against an index that has hashes",
            Kind::Poetry => "run `poetry lock` to write the file anew",
            Kind::Pipfile => "run `pipenv lock` to write the file anew",
            Kind::Pylock => "write the file with `uv export --format pylock.toml` or `pip lock`",
            Kind::Go => "run `go mod tidy` to complete `go.sum`",
            Kind::Pnpm => "remove the file, and run `pnpm install --lockfile-only`",
            Kind::Gradle => "run `./gradlew --write-verification-metadata sha256 build`, and check what it wrote",
            Kind::Maven => "run `mvn io.github.chains-project:maven-lockfile:generate`",
            Kind::Record => "run `assay lock --record -- COMMAND`",
            Kind::Yarn => "remove the file and the entries of yarn's cache, and run `yarn install`",
        }
    }
}

/// What a lock file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile {
    /// Which kind of file it is.
    pub kind: Kind,
    /// The format's version as the file names it, `4` or `9.0`; `None` if it names none.
    pub format: Option<String>,
    /// The packages, in the file's order; packages of the project itself are among them.
    pub packages: Vec<Locked>,
    /// What does not pin, or pins badly, in the file's order.
    pub findings: Vec<Finding>,
}

impl LockFile {
    /// Returns the packages whose bytes are not part of the source tree: what must be fetched.
    pub fn fetched(&self) -> impl Iterator<Item = &Locked> {
        self.packages.iter().filter(|package| package.origin.is_fetched())
    }

    /// Returns the findings that leave open which bytes are meant.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.problem.leaves_open())
    }
}

/// One package that a lock file pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// As the ecosystem spells it: `serde`, `@babel/core`, `golang.org/x/text`, `org.slf4j:slf4j-api`.
    pub name: String,
    /// As the ecosystem spells it; empty for a package of the project that has none, and where the file does not tell.
    pub version: String,
    /// The package URL. What does not come from the ecosystem's public registry has a qualifier that says where it is
    /// from, so that it is never taken for the public package of that name.
    pub purl: Purl,
    /// Where its bytes come from, and what pins them.
    pub origin: Origin,
    /// What it needs, where the file has that, in the file's order.
    pub dependencies: Vec<Edge>,
    /// When it is needed.
    pub scope: Scope,
    /// Where the package manager puts it, relative to the project, if the file says so:
    /// `node_modules/a/node_modules/b`, `vendor/golang.org/x/text`.
    pub installed: Option<String>,
    /// The line that it stands on, from 1.
    pub line: usize,
}

/// One dependency between packages of a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Position in [`LockFile::packages`].
    pub to: usize,
    /// The condition, as the file has it: a PEP 508 marker.
    pub marker: Option<String>,
    /// What must be asked of the package that it starts from; `None`: nothing.
    pub only: Option<Condition>,
}

/// What makes a dependency take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// An extra of Python's packages, or a feature.
    Extra(String),
    /// A group of dependencies: `dev`.
    Group(String),
}

impl Edge {
    /// Returns a dependency without a condition.
    pub fn to(position: usize) -> Edge {
        Edge { to: position, marker: None, only: None }
    }
}

/// When a package is needed. The default is: always, everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Whether it may be left out.
    pub need: Need,
    /// Whether only a peer dependency leads to it.
    pub peer: bool,
    /// Groups that it belongs to, where the ecosystem has them: `dev`, `compileClasspath`. Empty where it has none.
    pub groups: Vec<String>,
    /// Operating systems as the file has them; npm's `!win32` means all but that one. Empty: all.
    pub os: Vec<String>,
    /// Processors, likewise.
    pub cpu: Vec<String>,
    /// C libraries, likewise.
    pub libc: Vec<String>,
    /// An environment marker of PEP 508, or yarn's `conditions`, as it stands.
    pub marker: Option<String>,
    /// Versions of the language that it is for, as it stands: `>=3.8`.
    pub language: Option<String>,
}

/// Whether a package may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It may not.
    #[default]
    Always,
    /// When nobody develops or tests.
    Dev,
    /// When it cannot be had or does not fit the machine.
    Optional,
    /// An optional dependency of what is needed for development only: when either is left out.
    DevAndOptional,
    /// Both a development dependency and an optional one of something else: only when both are left out.
    DevOrOptional,
}
