//! `assay.lock`, versions 2 and 3: the machine-written pin of everything that a build reads beside its source.
//!
//! ```toml
//! # Written by `assay lock`; do not edit. Run `assay lock` to write it anew.
//! version = 2
//! spec = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! tier = "T0"
//! cpus = 2
//! output-format = 1
//!
//! [base]
//! distribution = "debian 12"
//! tree = "sha256:…"
//!
//! [[base.package]]
//! name = "gcc-12"
//! version = "12.2.0-14+deb12u1"
//! architecture = "amd64"
//! digest = "sha256:…"
//! purl = "pkg:deb/debian/gcc-12@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
//!
//! [[toolchain]]
//! name = "rust"
//! version = "rustc 1.95.0 (59807616e 2026-04-14)"
//! tree = "sha256:…"
//!
//! [[lock-file]]
//! path = "Cargo.lock"
//! kind = "cargo"
//! digest = "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
//! tree = "sha256:fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13"
//!
//! [[dependency]]
//! name = "serde"
//! version = "1.0.219"
//! ecosystem = "cargo"
//! kind = "registry"
//! source = "registry+https://github.com/rust-lang/crates.io-index"
//! digest = "sha256:…"
//! purl = "pkg:cargo/serde@1.0.219"
//! ```
//!
//! The lock files of one ecosystem share one tree of dependencies, so each of them names the same. A dependency that two
//! lock files of an ecosystem name stands once.
//!
//! Where `[base]` is an image, the version is 3 and the section goes on:
//!
//! ```toml
//! [base.image]
//! reference = "docker.io/library/debian:12@sha256:…"
//! digest = "sha256:…"
//! platform = "linux/amd64"
//! config = "sha256:…"
//! layers = [
//!     "sha256:…",
//! ]
//! variables = [
//!     "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
//! ]
//! ```
//!
//! It holds no path of a machine, no time, no user. Only the exact bytes that [`Lock::to_text`] writes are read back, so
//! an edit by hand, or a merge gone wrong, is refused rather than guessed at.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use wire::digest::Digest;

use crate::ecosystem::{Ecosystem, LockFileKind, ProjectFile};
use crate::image::OUTPUT_FORMAT;
use crate::problem::Problem;
use crate::spec::Spec;

/// The name of the file in a project.
pub const FILE: &str = "assay.lock";

/// How large the file may be: 300 bytes for each of 20,000 dependencies.
pub const SIZE_MAX: usize = 16 * 1024 * 1024;

const HEADER: &str = "# Written by `assay lock`; do not edit. Run `assay lock` to write it anew.\n";

/// The newest version that is written and read: 3 has a base that is an image, or packages by their files.
const VERSION: u32 = 3;

/// The version of a lock without what came later: such a lock keeps its bytes.
const VERSION_PLAIN: u32 = 2;

/// What a plan calls the tree of what `[[fetch]]` names.
pub(crate) const FETCHED_KEY: &str = "fetched";

/// The command that mends a stale lock.
const MEND: &str = "run `assay lock`";

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// Digest of the bytes of `assay.toml`.
    pub spec: Digest,
    /// Digest of the tree of what `[[fetch]]` names; `None` if there is none.
    pub fetched: Option<Digest>,
    /// Determinism tier.
    pub tier: String,
    /// How many CPUs a build sees.
    pub cpus: u32,
    /// Version of our packing.
    pub output_format: u32,
    /// The base.
    pub base: Base,
    /// Toolchains, by name.
    #[serde(default, rename = "toolchain")]
    pub toolchains: Vec<Toolchain>,
    /// Lock files of the project, by path.
    #[serde(default, rename = "lock-file")]
    pub lock_files: Vec<LockFile>,
    /// Dependencies, by ecosystem, name and version.
    #[serde(default, rename = "dependency")]
    pub dependencies: Vec<Dependency>,
    /// What stages with a base of their own see in place of all that, in the order of the stages.
    #[serde(default, rename = "stage")]
    pub stages: Vec<StagePins>,
}

/// What a stage with a base of its own sees.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StagePins {
    /// Name of the stage.
    pub name: String,
    /// Its base.
    pub base: Base,
    /// Toolchains, by name.
    #[serde(default, rename = "toolchain")]
    pub toolchains: Vec<Toolchain>,
    /// Lock files, by path.
    #[serde(default, rename = "lock-file")]
    pub lock_files: Vec<LockFile>,
    /// Dependencies, by ecosystem, name and version.
    #[serde(default, rename = "dependency")]
    pub dependencies: Vec<Dependency>,
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The pinned base.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// `debian 12`
    pub distribution: String,
    /// Digest of its tree.
    pub tree: Digest,
    /// The image that it is; `None` for a base of packages.
    #[serde(default)]
    pub image: Option<Image>,
    /// Its packages, by name.
    #[serde(default, rename = "package")]
    pub packages: Vec<BasePackage>,
}

/// A pinned image: its manifest, config and layers are blobs of the store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// As it is named: `registry.example.org/team/base:1@sha256:…`
    pub reference: String,
    /// Digest of its manifest: of the one for this platform, if the reference leads to several.
    pub digest: Digest,
    /// `linux/amd64`
    pub platform: String,
    /// Digest of its config.
    pub config: Digest,
    /// Digests of its layers as they are stored, lowest first.
    pub layers: Vec<Digest>,
    /// `NAME=VALUE`, in the image's order: variables that the image gives to every step.
    pub variables: Vec<String>,
}

impl Base {
    /// Whether its tree can be made again of blobs: of an image's layers, or of packages' files.
    pub fn is_of_blobs(&self) -> bool {
        self.image.is_some() || self.packages.iter().any(|package| package.deb.is_some())
    }

    /// Returns the directories that programs are found in: those of the image, as far as they are absolute, or the
    /// distribution's.
    pub(crate) fn search_path(&self) -> Vec<String> {
        let variables = self.image_variables();
        let own = variables.get("PATH").map_or("", String::as_str);
        let own: Vec<String> = own.split(':').filter(|part| part.starts_with('/')).map(str::to_owned).collect();
        match own.is_empty() {
            true => ["/usr/bin", "/bin", "/usr/sbin"].map(str::to_owned).to_vec(),
            false => own,
        }
    }

    /// Returns the variables that the image gives to every step; of two with one name, the later.
    pub fn image_variables(&self) -> BTreeMap<String, String> {
        let all = self.image.iter().flat_map(|image| &image.variables).filter_map(|line| line.split_once('='));
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// A system package of the base.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct BasePackage {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture.
    pub architecture: String,
    /// Digest of the tree of its files.
    pub digest: Digest,
    /// SHA-256 of its `.deb`, a blob of the store; `None` where it was installed.
    #[serde(default)]
    pub deb: Option<Digest>,
    /// Where that was fetched.
    #[serde(default)]
    pub url: Option<String>,
    /// Package URL.
    pub purl: String,
}

/// A pinned toolchain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// `rust`
    pub name: String,
    /// As it names itself.
    pub version: String,
    /// Digest of its tree.
    pub tree: Digest,
}

/// A lock file of the project.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    /// Path below the project's root.
    pub path: String,
    /// Its format.
    pub kind: LockFileKind,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Digest of the tree of all dependencies of its ecosystem; `None` if there are none.
    pub tree: Option<Digest>,
}

/// A pinned dependency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Whose it is; `None` for what `[[fetch]]` names.
    pub ecosystem: Option<Ecosystem>,
    /// Package name; the path inside for what `[[fetch]]` names.
    pub name: String,
    /// Version; empty where there is none.
    pub version: String,
    /// As the lock file spells it: a registry, a repository, a URL.
    pub source: String,
    /// File name, where a version has several files.
    pub file: Option<String>,
    /// Where its bytes come from.
    pub kind: DependencyKind,
    /// Commit of a git dependency.
    pub commit: Option<String>,
    /// What the lock file pins its bytes by, where that is not `digest` itself.
    pub integrity: Option<Digest>,
    /// SHA-256 of the bytes that are kept; of the package's tree for a git dependency.
    pub digest: Digest,
    /// Package URL.
    pub purl: String,
}

/// Where a dependency's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DependencyKind {
    /// A package registry.
    Registry,
    /// A git repository.
    Git,
    /// A URL that the lock file or `[[fetch]]` names.
    Url,
}

impl DependencyKind {
    /// Returns `registry`, `git` or `url`.
    pub fn name(self) -> &'static str {
        match self {
            DependencyKind::Registry => "registry",
            DependencyKind::Git => "git",
            DependencyKind::Url => "url",
        }
    }
}

/// What a lock is made of; everything else follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    /// Digest of the tree of what `[[fetch]]` names.
    pub fetched: Option<Digest>,
    /// The base.
    pub base: Base,
    /// Toolchains.
    pub toolchains: Vec<Toolchain>,
    /// Lock files.
    pub lock_files: Vec<LockFile>,
    /// Dependencies.
    pub dependencies: Vec<Dependency>,
}

impl Lock {
    /// Makes the lock of a specification and the pins found for it.
    pub fn new(spec: &Spec, mut pins: Pins) -> Lock {
        pins.base.packages.sort_by(|a, b| a.name.cmp(&b.name));
        pins.toolchains.sort_by(|a, b| a.name.cmp(&b.name));
        pins.lock_files.sort_by(|a, b| a.path.cmp(&b.path));
        pins.dependencies.sort();
        pins.dependencies.dedup();
        let mut lock = Lock {
            version: VERSION_PLAIN,
            spec: spec.digest,
            fetched: pins.fetched,
            tier: spec.build.tier.name().to_owned(),
            cpus: spec.build.cpus,
            output_format: OUTPUT_FORMAT,
            base: pins.base,
            toolchains: pins.toolchains,
            lock_files: pins.lock_files,
            dependencies: pins.dependencies,
            stages: Vec::new(),
        };
        lock.version = lock.least_version();
        lock
    }

    /// The oldest version that says all of it, so that a lock keeps its bytes when a newer assay writes it.
    fn least_version(&self) -> u32 {
        if self.base.is_of_blobs() || !self.stages.is_empty() { VERSION } else { VERSION_PLAIN }
    }

    /// Adds what a stage with a base of its own sees: the lock that was made of it alone.
    pub fn add_stage(&mut self, name: &str, own: Lock) {
        let Lock { base, toolchains, lock_files, dependencies, .. } = own;
        self.stages.push(StagePins { name: name.to_owned(), base, toolchains, lock_files, dependencies });
        self.version = self.least_version();
    }

    /// Returns what one stage sees of the lock.
    pub fn of_stage(&self, name: &str) -> Lock {
        let whole = Lock { stages: Vec::new(), ..self.clone() };
        let mut seen = match self.stages.iter().find(|stage| stage.name == name) {
            None => whole,
            Some(own) => Lock {
                fetched: None,
                base: own.base.clone(),
                toolchains: own.toolchains.clone(),
                lock_files: own.lock_files.clone(),
                dependencies: own.dependencies.clone(),
                ..whole
            },
        };
        seen.version = seen.least_version();
        seen
    }

    /// Returns the digest of the lock's bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_text().as_bytes())
    }

    /// Returns the file's text.
    pub fn to_text(&self) -> String {
        let mut out = HEADER.to_owned();
        out.push_str(&format!("version = {}\n", self.version));
        line(&mut out, "spec", &self.spec);
        optional(&mut out, "fetched", self.fetched.as_ref());
        line(&mut out, "tier", &self.tier);
        out.push_str(&format!("cpus = {}\noutput-format = {}\n", self.cpus, self.output_format));
        pins(&mut out, "", &self.base, &self.toolchains, &self.lock_files, &self.dependencies);
        for stage in &self.stages {
            out.push_str("\n[[stage]]\n");
            line(&mut out, "name", &stage.name);
            pins(&mut out, "stage.", &stage.base, &stage.toolchains, &stage.lock_files, &stage.dependencies);
        }
        out
    }

    /// Reads a lock; `file` is its name in messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Lock, Problem> {
        let mend = || Some(MEND.to_owned());
        if bytes.len() > SIZE_MAX {
            let message = format!("the file has {} bytes, more than {SIZE_MAX}", bytes.len());
            return Err(Problem::at(file, "", 0, message, mend()));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Problem::at(file, "", 0, "the file is not UTF-8 text".to_owned(), mend()))?;
        let of_toml = |error| Problem { allowed: mend(), ..Problem::of_toml(file, text, &error) };
        let version = toml::from_str::<Versioned>(text).map_err(of_toml)?.version;
        if !(VERSION_PLAIN..=VERSION).contains(&version) {
            let known = format!("this one reads {VERSION_PLAIN} to {VERSION}");
            let message = match version < VERSION_PLAIN {
                true => format!("lock version {version} was written by an older assay: {known}"),
                false => format!("lock version {version} was written by a newer assay: {known}"),
            };
            return Err(Problem::at(file, text, text.find("version").unwrap_or(0), message, mend()));
        }
        let lock: Lock = toml::from_str(text).map_err(of_toml)?;
        let written = Lock { version: lock.least_version(), ..lock.clone() }.to_text();
        if written != text {
            let same = written.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            let message = "this is not what `assay lock` writes: the file was edited".to_owned();
            return Err(Problem::at(file, text, same, message, mend()));
        }
        Ok(lock)
    }

    /// Returns why the lock does not fit the specification and the project's lock files; empty if it does.
    pub fn stale(&self, spec: &Spec, lock_files: &[ProjectFile]) -> Vec<Stale> {
        let mut reasons = Vec::new();
        if self.tier != spec.build.tier.name() || self.cpus != spec.build.cpus {
            let locked = format!("tier {}, {} CPUs", self.tier, self.cpus);
            let wanted = format!("tier {}, {} CPUs", spec.build.tier.name(), spec.build.cpus);
            reasons.push(Stale::Settings { locked, wanted });
        } else if self.spec != spec.digest {
            reasons.push(Stale::Spec { locked: self.spec, found: spec.digest });
        }
        if self.output_format != OUTPUT_FORMAT {
            reasons.push(Stale::OutputFormat { locked: self.output_format });
        }
        for file in lock_files {
            let locked = self.lock_files.iter().find(|locked| locked.path == file.path);
            if locked.is_none_or(|locked| locked.digest != file.digest() || locked.kind != file.kind) {
                reasons.push(Stale::LockFile { path: file.path.clone(), changes: self.changes(file) });
            } else if let Ok(Some(tool)) = file.tool()
                && !self.dependencies.iter().any(|held| tool.is(held))
            {
                let changes = vec![format!("{} {} is new", tool.name, tool.version)];
                reasons.push(Stale::LockFile { path: tool.stated_by, changes });
            }
        }
        for locked in &self.lock_files {
            if !lock_files.iter().any(|file| file.path == locked.path) {
                reasons.push(Stale::LockFile { path: locked.path.clone(), changes: Vec::new() });
            }
        }
        reasons
    }

    /// What a lock file has and the lock has not and, where it is the only one of its ecosystem, the other way round;
    /// empty if it does not parse.
    fn changes(&self, file: &ProjectFile) -> Vec<String> {
        const SHOWN_MAX: usize = 10;
        let ecosystem = file.kind.ecosystem();
        let Ok(now) = file.names() else { return Vec::new() };
        let own = self.dependencies.iter().filter(|dependency| dependency.ecosystem == Some(ecosystem));
        let then: BTreeSet<String> = own.map(|d| format!("{} {}", d.name, d.version)).collect();
        let is_only = self.lock_files.iter().filter(|locked| locked.kind.ecosystem() == ecosystem).count() == 1;
        let new = now.difference(&then).map(|name| format!("{name} is new"));
        let gone = then.difference(&now).filter(|_| is_only).map(|name| format!("{name} is gone"));
        new.chain(gone).take(SHOWN_MAX).collect()
    }

    /// Whether the project has a lock file of that ecosystem.
    pub fn has(&self, ecosystem: Ecosystem) -> bool {
        self.lock_files.iter().any(|file| file.kind.ecosystem() == ecosystem)
    }

    /// Returns the tree of an ecosystem's dependencies.
    pub fn tree_of(&self, ecosystem: Ecosystem) -> Option<Digest> {
        self.lock_files.iter().find(|file| file.kind.ecosystem() == ecosystem)?.tree
    }

    /// Returns the trees that a build mounts, by the names that a plan gives them.
    pub fn trees(&self) -> BTreeMap<String, Digest> {
        let mut trees = BTreeMap::from([("base".to_owned(), self.base.tree)]);
        trees.extend(self.toolchains.iter().map(|toolchain| (toolchain.name.clone(), toolchain.tree)));
        let of_ecosystem = |ecosystem: Ecosystem| Some((ecosystem.tree_key().to_owned(), self.tree_of(ecosystem)?));
        trees.extend(Ecosystem::ALL.into_iter().filter_map(of_ecosystem));
        trees.extend(self.fetched.map(|fetched| (FETCHED_KEY.to_owned(), fetched)));
        trees
    }
}

/// Why a lock does not fit its project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// `assay.toml` changed.
    Spec {
        /// Digest in the lock.
        locked: Digest,
        /// Digest of the file.
        found: Digest,
    },
    /// Tier or CPU count changed.
    Settings {
        /// In the lock.
        locked: String,
        /// In `assay.toml`.
        wanted: String,
    },
    /// The lock was made for another version of our packing.
    OutputFormat {
        /// In the lock.
        locked: u32,
    },
    /// A lock file changed, came or went.
    LockFile {
        /// Its path.
        path: String,
        /// `serde 1.0.220 is new`, …; empty where no package changed.
        changes: Vec<String>,
    },
}

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stale::Spec { locked, found } => {
                let (locked, found) = (locked.short(), found.short());
                write!(f, "assay.toml changed since the lock was made ({locked} ≠ {found}); {MEND}")
            }
            Stale::Settings { locked, wanted } => {
                write!(f, "the lock is for {locked}, assay.toml for {wanted}; {MEND}")
            }
            Stale::OutputFormat { locked } => {
                write!(f, "the lock is for output format {locked}, this assay writes {OUTPUT_FORMAT}; {MEND}")
            }
            Stale::LockFile { path, changes } if changes.is_empty() => {
                write!(f, "{path} changed since the lock was made; {MEND}")
            }
            Stale::LockFile { path, changes } => {
                write!(f, "{path} changed since the lock was made ({}); {MEND}", changes.join(", "))
            }
        }
    }
}

/// Writes what a build, or a stage with a base of its own, is pinned to; `within` is empty or `stage.`.
fn pins(
    out: &mut String,
    within: &str,
    base: &Base,
    toolchains: &[Toolchain],
    lock_files: &[LockFile],
    dependencies: &[Dependency],
) {
    out.push_str(&format!("\n[{within}base]\n"));
    line(out, "distribution", &base.distribution);
    line(out, "tree", &base.tree);
    if let Some(image) = &base.image {
        out.push_str(&format!("\n[{within}base.image]\n"));
        line(out, "reference", &image.reference);
        line(out, "digest", &image.digest);
        line(out, "platform", &image.platform);
        line(out, "config", &image.config);
        list(out, "layers", &image.layers);
        list(out, "variables", &image.variables);
    }
    for package in &base.packages {
        out.push_str(&format!("\n[[{within}base.package]]\n"));
        line(out, "name", &package.name);
        line(out, "version", &package.version);
        line(out, "architecture", &package.architecture);
        line(out, "digest", &package.digest);
        optional(out, "deb", package.deb.as_ref());
        optional(out, "url", package.url.as_ref());
        line(out, "purl", &package.purl);
    }
    for toolchain in toolchains {
        out.push_str(&format!("\n[[{within}toolchain]]\n"));
        line(out, "name", &toolchain.name);
        line(out, "version", &toolchain.version);
        line(out, "tree", &toolchain.tree);
    }
    for file in lock_files {
        out.push_str(&format!("\n[[{within}lock-file]]\n"));
        line(out, "path", &file.path);
        line(out, "kind", &file.kind.name());
        line(out, "digest", &file.digest);
        optional(out, "tree", file.tree.as_ref());
    }
    for dependency in dependencies {
        out.push_str(&format!("\n[[{within}dependency]]\n"));
        line(out, "name", &dependency.name);
        line(out, "version", &dependency.version);
        optional(out, "ecosystem", dependency.ecosystem.map(Ecosystem::name).as_ref());
        line(out, "kind", &dependency.kind.name());
        line(out, "source", &dependency.source);
        optional(out, "file", dependency.file.as_ref());
        optional(out, "commit", dependency.commit.as_ref());
        optional(out, "integrity", dependency.integrity.as_ref());
        line(out, "digest", &dependency.digest);
        line(out, "purl", &dependency.purl);
    }
}

fn line(out: &mut String, key: &str, value: &dyn std::fmt::Display) {
    out.push_str(&format!("{key} = {}\n", basic_string(&value.to_string())));
}

/// A list, one item a line.
fn list<T: std::fmt::Display>(out: &mut String, key: &str, values: &[T]) {
    let items: String = values.iter().map(|value| format!("    {},\n", basic_string(&value.to_string()))).collect();
    out.push_str(&match items.is_empty() {
        true => format!("{key} = []\n"),
        false => format!("{key} = [\n{items}]\n"),
    });
}

fn optional<T: std::fmt::Display>(out: &mut String, key: &str, value: Option<&T>) {
    if let Some(value) = value {
        line(out, key, value);
    }
}

/// A TOML basic string: quotes, backslashes and control characters escaped.
pub(crate) fn basic_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
pub(crate) mod tests;
