//! `assay.toml`, version 1: the single source of truth of how a project is built, tested and deployed.
//!
//! ```toml
//! version = 1
//!
//! [project]
//! name = "greeter"
//! owners = ["ada@example.org"]
//!
//! [base]
//! packages = ["gcc", "libc6-dev"]
//! toolchains = ["rust"]
//! lock-files = ["Cargo.lock"]
//!
//! [[fetch]]
//! url = "https://example.org/words.txt"
//! digest = "sha256:9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23"
//! path = "/fetched/words.txt"
//!
//! [build]
//! tier = "T0"
//! cpus = 2
//!
//! [[step]]
//! name = "compile"
//! run = ["cargo", "build", "--release", "--locked"]
//!
//! [[artifact]]
//! name = "greeter"
//! path = "target/release/greeter"
//!
//! [image]
//! name = "greeter"
//! artifacts = ["greeter"]
//! entrypoint = ["/greeter"]
//!
//! [[test]]
//! name = "unit"
//! run = ["cargo", "test", "--release", "--locked"]
//!
//! [environment.staging]
//! policy = "policies/staging.toml"
//! kind = "service"
//! run = ["greeter"]
//! health = "http://127.0.0.1:8080/health"
//! ```
//!
//! There is no way to give a step a network, and no key that holds a secret. Reading collects every problem with its
//! line and column; a [`Spec`] exists only for a file without one.

use std::collections::BTreeMap;

use sandbox::script::Scripts;
use sandbox::tier::{Randomness, Tier};
use wire::digest::Digest;

use crate::base::reference::ImageReference;
use crate::normalise::Kind;
use crate::problem::Problem;

mod base;

pub mod limits;

mod normalise;

mod read;

mod dockerfile;

mod stages;

/// The name of the file in a project.
pub const FILE: &str = "assay.toml";

/// How large the file may be: a real one has a few KiB.
pub const SIZE_MAX: usize = 1024 * 1024;

/// How many CPUs a build may be given.
pub const CPUS_MAX: u32 = 256;

/// How often a test may be repeated.
pub const REPETITIONS_MAX: u32 = 100;

/// Variables that the sandbox constructs, and that no table of variables may set.
pub const CONSTRUCTED: [&str; 25] = [
    "CARGO_BUILD_JOBS",
    "CARGO_HOME",
    "CARGO_INCREMENTAL",
    "CARGO_NET_OFFLINE",
    "GOENV",
    "GOPROXY",
    "GOSUMDB",
    "GOTOOLCHAIN",
    "HOME",
    "LC_ALL",
    "PATH",
    "PIP_CONFIG_FILE",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHASHSEED",
    "PYTHONNOUSERSITE",
    "SOURCE_DATE_EPOCH",
    "TMPDIR",
    "TZ",
    "USER",
    "npm_config_cache",
    "npm_config_nodedir",
    "npm_config_offline",
    "npm_config_update_notifier",
];

/// Where what `[[fetch]]` names is inside.
pub const FETCHED: &str = "/fetched";

/// How many files `[[fetch]]` may name.
pub const FETCHES_MAX: usize = 1_000;

/// Where what a stage takes from others is inside.
pub const STAGE_INPUTS: &str = "/in";

/// How many stages a build may have.
pub const STAGES_MAX: usize = 100;

/// Parts of variable names whose values are secrets.
const SECRET_PARTS: [&str; 6] = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL", "PRIVATE_KEY"];

/// A specification without problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// `[project]`
    pub project: Project,
    /// `[base]`
    pub base: Base,
    /// `[[fetch]]`, in order.
    pub fetches: Vec<Fetch>,
    /// `[build]`
    pub build: Build,
    /// `[limits]`
    pub limits: limits::Limits,
    /// `[[stage]]`, in the order in which they run; none where the build is one stage without a name.
    pub stages: Vec<Stage>,
    /// `[[step]]`, in order; at least one.
    pub steps: Vec<Step>,
    /// `[[artifact]]`, in order; at least one.
    pub artifacts: Vec<Artifact>,
    /// `[[normalise]]`, for each artifact that one names, in the order of the artifacts.
    pub normalise: Vec<Normalise>,
    /// `[image]`
    pub image: Option<Image>,
    /// `[[test]]`, in order.
    pub tests: Vec<Test>,
    /// `[environment.NAME]`, by name.
    pub environments: BTreeMap<String, Environment>,
}

/// `[project]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Name: lower-case letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Who answers for it: addresses or names.
    pub owners: Vec<String>,
}

/// `[base]`: what the build sees beside the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// What its root file system is made of.
    pub root: Root,
    /// Toolchains imported from this machine: `rust`, `node`.
    pub toolchains: Vec<String>,
    /// Rust targets beside the machine's own, as `x86_64-unknown-linux-musl`.
    pub targets: Vec<String>,
    /// Lock files whose packages are fetched, below the project's root. `None` where nothing is said: then it is the
    /// root's `Cargo.lock`, if there is one.
    pub lock_files: Option<Vec<String>>,
}

/// What the root file system of a build is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// Debian packages that are installed; what they depend on comes with them.
    Packages(Vec<NamedPackage>),
    /// The same, out of their files as apt would fetch them.
    Archive(Vec<NamedPackage>),
    /// An image, whole.
    Image(ImageReference),
}

/// A package as `assay.toml` names it: `gcc`, or `gcc=4:12.2.0-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPackage {
    /// Its name.
    pub name: String,
    /// The only version that will do.
    pub version: Option<String>,
}

impl std::fmt::Display for NamedPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}={version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Root {
    /// Returns the packages that are named; none for an image.
    pub fn packages(&self) -> &[NamedPackage] {
        match self {
            Root::Packages(packages) | Root::Archive(packages) => packages,
            Root::Image(_) => &[],
        }
    }
}

/// `[[fetch]]`: a file by URL and digest, for any command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// An `https://` or `http://` URL.
    pub url: String,
    /// What its bytes must be.
    pub digest: Digest,
    /// Where it is inside: `/fetched/…`.
    pub path: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// Whether it is an archive whose files are wanted.
    pub unpack: bool,
}

/// `[build]` `dockerfile` and what belongs to it: a build that a Dockerfile says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Path of the file below the project's root.
    pub path: String,
    /// The stage that is the image; the last one where nothing is said.
    pub target: Option<String>,
    /// Values of `ARG`.
    pub arguments: BTreeMap<String, String>,
    /// What names of images in it mean.
    pub images: BTreeMap<String, ImageReference>,
}

/// `[build]`: settings that can change the bytes of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// How much determinism the sandbox gives, where a step doesn't choose.
    pub tier: Tier,
    /// How many CPUs every step sees.
    pub cpus: u32,
    /// Whether shell scripts are traced, where a step doesn't choose.
    pub scripts: Scripts,
    /// Of how many former builds that would be the answer one is built again and compared; 0: none.
    pub recheck: u32,
    /// Variables of every step.
    pub variables: BTreeMap<String, String>,
    /// The Dockerfile that says the build, in place of steps.
    pub dockerfile: Option<Dockerfile>,
}

/// `[[stage]]`: steps that run in a sandbox of their own and see only what the stage declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Unique name.
    pub name: String,
    /// Its own base; `None` means that of the project.
    pub base: Option<Base>,
    /// Whether it sees the source.
    pub source: bool,
    /// What it takes from stages above it.
    pub inputs: Vec<StageInput>,
}

/// An entry of `inputs`: a file or directory that another stage left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// The stage that leaves it.
    pub stage: String,
    /// Where it leaves it, below its project directory.
    pub path: String,
    /// Where it is found: `/in/…`.
    pub at: String,
}

/// `[[step]]`: one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Unique name.
    pub name: String,
    /// The stage it belongs to; `None` where there are no stages.
    pub stage: Option<String>,
    /// Program and arguments; no shell.
    pub run: Vec<String>,
    /// Directory below the project's root; `""` is the root itself.
    pub cwd: String,
    /// Variables, over those of `[build]`.
    pub variables: BTreeMap<String, String>,
    /// Instead of that of `[build]`.
    pub tier: Option<Tier>,
    /// Where its randomness comes from.
    pub randomness: Randomness,
    /// Instead of that of `[build]`.
    pub scripts: Option<Scripts>,
}

/// `[[artifact]]`: a file that the steps leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Unique name.
    pub name: String,
    /// The stage that leaves it; `None` where there are no stages.
    pub stage: Option<String>,
    /// Path below the project's root.
    pub path: String,
}

/// `[[normalise]]`: an artifact that is put into its normal form after the steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalise {
    /// Path of the artifact, below the project's root.
    pub path: String,
    /// The kind of archive; told from name and bytes when absent.
    pub kind: Option<Kind>,
    /// Whether the build fails when it is not in its normal form, in place of changing it.
    pub check: bool,
    /// Whether compressed data is written anew.
    pub recompress: bool,
}

/// `[image]`: an OCI image made of artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Name; differs from every artifact's.
    pub name: String,
    /// Names of the artifacts in it, each at `/NAME`.
    pub artifacts: Vec<String>,
    /// Program and arguments that it starts.
    pub entrypoint: Vec<String>,
    /// Which libraries are packed beside the artifacts.
    pub libraries: Libraries,
    /// `UID:GID` that it runs as.
    pub user: String,
    /// TCP ports that it listens on.
    pub ports: Vec<u16>,
    /// Variables of the container.
    pub variables: BTreeMap<String, String>,
}

/// Which shared libraries an image gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libraries {
    /// All that the artifacts need, from the base.
    Closure,
    /// None: the artifacts are static.
    None,
    /// All of the base: it is a layer of its own below the artifacts.
    Base,
}

/// `[[test]]`: a command that tests, run in the same sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Unique name.
    pub name: String,
    /// The stage whose base, source and inputs it sees; `None` where there are no stages.
    pub stage: Option<String>,
    /// Program and arguments.
    pub run: Vec<String>,
    /// Directory below the project's root; `""` is the root itself.
    pub cwd: String,
    /// Variables, over those of `[build]`.
    pub variables: BTreeMap<String, String>,
    /// How often it runs; outcomes that differ are a failure.
    pub repetitions: u32,
    /// How its output is read.
    pub format: TestFormat,
}

/// How a test's output is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestFormat {
    /// What `cargo test` prints.
    Cargo,
    /// One case, by the exit code.
    Exit,
}

/// `[environment.NAME]`: where and how a release is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Path of its policy, below the project's root.
    pub policy: String,
    /// What is deployed.
    pub kind: EnvironmentKind,
    /// Steps that run after the release was unpacked and before it goes live, in order.
    pub runbook: Vec<RunbookStep>,
}

/// What is deployed to an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentKind {
    /// A process that stays.
    Service {
        /// Program (a path below the release directory) and arguments.
        run: Vec<String>,
        /// How its health is asked.
        health: Health,
        /// Signal that stops it, as `SIGTERM`.
        stop: String,
        /// Its variables.
        variables: BTreeMap<String, String>,
    },
    /// A directory, checked by a command.
    Release {
        /// Program (a path below the release directory) and arguments; exit code 0 is good.
        check: Vec<String>,
    },
}

/// How a service's health is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// An `http://` URL that answers 200 to 299.
    Url(String),
    /// A command whose exit code is 0.
    Command(Vec<String>),
}

/// `[[environment.NAME.runbook]]`: one more step of a deployment; it may be run again after an interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunbookStep {
    /// Unique name within the runbook.
    pub name: String,
    /// Program and arguments.
    pub run: Vec<String>,
}

impl Spec {
    /// Reads a specification; `file` is its name in messages. Returns every problem found.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Spec, Vec<Problem>> {
        read::spec(file, bytes)
    }

    /// Returns what one stage sees of the specification: its own base, and of steps, artifacts, normal forms and tests those
    /// that are its own. A stage with a base of its own sees no file of `[[fetch]]`.
    pub fn of_stage(&self, stage: &Stage) -> Spec {
        let is_own = |name: &Option<String>| name.as_ref() == Some(&stage.name);
        let artifacts: Vec<Artifact> =
            self.artifacts.iter().filter(|artifact| is_own(&artifact.stage)).cloned().collect();
        let is_left = |path: &str| artifacts.iter().any(|artifact| artifact.path == path);
        Spec {
            base: stage.base.clone().unwrap_or_else(|| self.base.clone()),
            fetches: if stage.base.is_some() { Vec::new() } else { self.fetches.clone() },
            stages: Vec::new(),
            steps: self.steps.iter().filter(|step| is_own(&step.stage)).cloned().collect(),
            normalise: self.normalise.iter().filter(|file| is_left(&file.path)).cloned().collect(),
            tests: self.tests.iter().filter(|test| is_own(&test.stage)).cloned().collect(),
            image: None,
            artifacts,
            ..self.clone()
        }
    }

    /// Returns the stage of that name.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

/// Returns the file's text, or the one problem that keeps it from being text of a sane size.
pub(crate) fn text_of<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Problem> {
    if bytes.len() > SIZE_MAX {
        let message = format!("the file has {} bytes", bytes.len());
        return Err(Problem::at(file, "", 0, message, Some(format!("at most {SIZE_MAX} are read"))));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there");
        Problem::at(file, good, good.len(), "the text is not UTF-8 from here".to_owned(), None)
    })
}

/// Whether a variable of that name holds a secret.
pub(crate) fn looks_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET_PARTS.iter().any(|part| upper.contains(part)) || upper.ends_with("_KEY") || upper.ends_with("APIKEY")
}

#[cfg(test)]
pub(crate) mod tests;
