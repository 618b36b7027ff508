//! Making a lock: the only phase with a network, and the one that reads this machine.
//!
//! In order: the base, the toolchains, every crate by its checksum, the tree of all dependencies. Each is kept in the
//! store before the next begins, and found there again, so an interrupted run resumes. What did not change since the
//! last run is known by a fingerprint (package versions and file lists; sizes and times of a toolchain's files; the
//! lock file's digest) in a cache outside of everything that is pinned: a lost or wrong cache costs time only, since
//! a tree is used only if the store holds it.

mod cache;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::purl::Purl;

use crate::base::{self, BaseError};
use crate::cargo_config;
use crate::cargo_lock::{self, Origin, Package};
use crate::crates::{self, CratesError};
use crate::inputs::{Fetch, Host, Inputs, InputsError, Scratch};
use crate::lock::{self, Dependency, DependencyKind, Lock, Pins};
use crate::problem::Problem;
use crate::spec::Spec;
use crate::toolchain::{self, ToolchainError};
use crate::vendor::{self, VendorError, Vendored};

use cache::Cache;

/// Why a lock could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A Cargo project without a lock file.
    #[error("`{}` is missing; run `cargo generate-lockfile`", .0.display())]
    NoCargoLock(PathBuf),
    /// A Cargo project, but no toolchain to build it.
    #[error("this is a Cargo project, but neither `toolchains` holds `rust` nor `packages` holds `cargo`")]
    NoToolchain,
    /// A malformed lock file.
    #[error("{0}")]
    CargoLock(Box<Problem>),
    /// `Cargo.lock` does not fit the manifests.
    #[error("Cargo.lock does not fit Cargo.toml; run `cargo update --workspace`\n{output}")]
    Mismatch {
        /// What Cargo said.
        output: String,
    },
    /// A file could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Cargo could not be started.
    #[error("starting `cargo metadata`")]
    Start(#[source] io::Error),
    /// The base.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A toolchain.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// A crate.
    #[error(transparent)]
    Crates(#[from] CratesError),
    /// The dependencies' tree.
    #[error(transparent)]
    Vendor(#[from] VendorError),
    /// The store.
    #[error("asking the store")]
    Inputs(#[from] InputsError),
    /// What this machine has is not what the lock pins, and the store does not hold it.
    #[error("this machine differs from the lock: {}; run `assay lock` to pin what is here", .0.join(", "))]
    Differs(Vec<String>),
}

/// What was done for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The lock.
    pub lock: Lock,
    /// Where its crates came from; all 0 if the dependencies were unchanged.
    pub crates: crates::Fetched,
    /// Trees that were imported, not found.
    pub imported: Vec<&'static str>,
}

/// Everything that making a lock asks.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The store.
    pub inputs: &'a dyn Inputs,
    /// The network.
    pub fetch: &'a dyn Fetch,
    /// This machine.
    pub host: &'a Host,
    /// Told, in a few words, what goes on.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

/// Makes the lock of a project. Nothing is written in the project's directory.
pub fn make(project: &Path, spec: &Spec, world: &World<'_>) -> Result<Made, PinError> {
    let cargo_lock = read_cargo_lock(project)?;
    let mut imported = Vec::new();
    if cargo_lock.is_some() && spec.base.toolchains.is_empty() && !spec.base.packages.iter().any(|p| p == "cargo") {
        return Err(PinError::NoToolchain);
    }
    let base = pin_base(spec, world, &mut imported)?;
    let toolchains = pin_toolchains(project, spec, world, &mut imported)?;
    let mut pins = Pins { cargo_lock: None, vendor: None, base, toolchains, dependencies: Vec::new() };
    let mut fetched = crates::Fetched::default();
    if let Some(bytes) = cargo_lock {
        let packages = cargo_lock::parse(cargo_lock::FILE, &bytes).map_err(|p| PinError::CargoLock(Box::new(p)))?;
        let digest = Digest::of(&bytes);
        let fingerprint = vendor_fingerprint(&digest, &packages, &pins.toolchains);
        let (vendored, from) = pin_dependencies(project, &fingerprint, &packages, world, &mut imported)?;
        fetched = from;
        check_manifests(project, &packages, vendored.as_ref(), world)?;
        pins.cargo_lock = Some(digest);
        pins.dependencies = dependencies(&packages, vendored.as_ref());
        pins.vendor = vendored.map(|vendored| vendored.tree);
    }
    Ok(Made { lock: Lock::new(spec, pins), crates: fetched, imported })
}

/// Brings all that a lock pins into the store, as for a fresh clone. What the store holds is not asked of this machine.
pub fn restore(project: &Path, spec: &Spec, lock: &Lock, world: &World<'_>) -> Result<(), PinError> {
    let held = |digest: &Digest| Ok::<bool, PinError>(world.inputs.tree(digest)?.is_some());
    let mut differences = Vec::new();
    if !held(&lock.base.tree)? {
        let found = base::compare(&lock.base, world.host)?;
        differences.extend(found.iter().map(ToString::to_string));
        if found.is_empty() && pin_base(spec, world, &mut Vec::new())?.tree != lock.base.tree {
            differences.push("the base: same package versions, other files".to_owned());
        }
    }
    for locked in &lock.toolchains {
        if held(&locked.tree)? {
            continue;
        }
        let found = toolchain::resolve(project, &spec.base.targets, world.host)?;
        if found.version != locked.version {
            differences.push(format!("{} {} ≠ {}", locked.name, locked.version, found.version));
        } else if toolchain::import(&found, world.inputs)?.tree != locked.tree {
            differences.push(format!("{} {}: same version, other files", locked.name, locked.version));
        }
    }
    if let Some(vendor) = &lock.vendor
        && !held(vendor)?
        && let Some(bytes) = read_cargo_lock(project)?
    {
        let packages = cargo_lock::parse(cargo_lock::FILE, &bytes).map_err(|p| PinError::CargoLock(Box::new(p)))?;
        let fingerprint = vendor_fingerprint(&Digest::of(&bytes), &packages, &lock.toolchains);
        let (vendored, _) = pin_dependencies(project, &fingerprint, &packages, world, &mut Vec::new())?;
        if vendored.map(|vendored| vendored.tree) != Some(*vendor) {
            differences.push("the tree of dependencies: other files".to_owned());
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(PinError::Differs(differences)) }
}

/// `None` for a project without Cargo.
fn read_cargo_lock(project: &Path) -> Result<Option<Vec<u8>>, PinError> {
    let path = project.join(cargo_lock::FILE);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.len() > cargo_lock::SIZE_MAX as u64 => {
            let source = io::Error::other(format!("larger than {} bytes", cargo_lock::SIZE_MAX));
            Err(PinError::Read { path, source })
        }
        Ok(_) => fs::read(&path).map(Some).map_err(|source| PinError::Read { path, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if project.join("Cargo.toml").exists() {
                Err(PinError::NoCargoLock(path))
            } else {
                Ok(None)
            }
        }
        Err(source) => Err(PinError::Read { path, source }),
    }
}

fn pin_base(spec: &Spec, world: &World<'_>, imported: &mut Vec<&'static str>) -> Result<lock::Base, PinError> {
    let resolved = base::resolve(world.host, &spec.base.packages)?;
    let cache = Cache::new(&world.host.cache, "base", &base::fingerprint(&resolved, world.host)?);
    if let Some(known) = cache.load::<lock::Base>()
        && world.inputs.tree(&known.tree)?.is_some()
    {
        return Ok(known);
    }
    (world.progress)("importing the base");
    let base = base::import(&resolved, world.host, world.inputs)?;
    cache.save(&base);
    imported.push("base");
    Ok(base)
}

fn pin_toolchains(
    project: &Path,
    spec: &Spec,
    world: &World<'_>,
    imported: &mut Vec<&'static str>,
) -> Result<Vec<lock::Toolchain>, PinError> {
    if spec.base.toolchains.is_empty() {
        return Ok(Vec::new());
    }
    let resolved = toolchain::resolve(project, &spec.base.targets, world.host)?;
    let cache = Cache::new(&world.host.cache, "rust", &toolchain::fingerprint(&resolved));
    if let Some(known) = cache.load::<lock::Toolchain>()
        && world.inputs.tree(&known.tree)?.is_some()
    {
        return Ok(vec![known]);
    }
    (world.progress)(&format!("importing {}", resolved.version));
    let toolchain = toolchain::import(&resolved, world.inputs)?;
    cache.save(&toolchain);
    imported.push("rust");
    Ok(vec![toolchain])
}

/// What the cache keeps of a tree of dependencies.
#[derive(Serialize, Deserialize)]
struct KnownVendor {
    tree: Digest,
    git: Vec<(String, Digest)>,
}

/// What decides the tree of dependencies: the lock file, and for git packages the Cargo that writes their manifests.
fn vendor_fingerprint(cargo_lock: &Digest, packages: &[Package], toolchains: &[lock::Toolchain]) -> Digest {
    let mut text = format!("vendor {} {cargo_lock}\n", vendor::LAYOUT);
    if packages.iter().any(|package| matches!(package.origin, Origin::Git { .. })) {
        toolchains.iter().for_each(|toolchain| text.push_str(&format!("{}\n", toolchain.version)));
    }
    Digest::of(text.as_bytes())
}

fn pin_dependencies(
    project: &Path,
    fingerprint: &Digest,
    packages: &[Package],
    world: &World<'_>,
    imported: &mut Vec<&'static str>,
) -> Result<(Option<Vendored>, crates::Fetched), PinError> {
    if packages.iter().all(|package| package.origin == Origin::Path) {
        return Ok((None, crates::Fetched::default()));
    }
    let cache = Cache::new(&world.host.cache, "vendor", fingerprint);
    if let Some(known) = cache.load::<KnownVendor>()
        && world.inputs.tree(&known.tree)?.is_some()
    {
        return Ok((Some(Vendored { tree: known.tree, git: known.git }), crates::Fetched::default()));
    }
    let home = world.host.cargo_home.as_deref();
    let fetched = crates::bring(packages, home, world.inputs, world.fetch, world.progress)?;
    let vendored = vendor::make(project, packages, world.host, world.inputs, world.progress)?;
    cache.save(&KnownVendor { tree: vendored.tree, git: vendored.git.clone() });
    imported.push("vendor");
    Ok((Some(vendored), fetched))
}

/// Asks Cargo, without a network and from the pinned tree alone, whether `Cargo.lock` fits the manifests. This runs no
/// code of the project.
fn check_manifests(
    project: &Path,
    packages: &[Package],
    vendored: Option<&Vendored>,
    world: &World<'_>,
) -> Result<(), PinError> {
    let scratch = |source| PinError::Read { path: world.host.scratch.clone(), source };
    let home = Scratch::new(world.host, "metadata").map_err(scratch)?;
    let tree = match vendored {
        Some(vendored) => Some(world.inputs.tree(&vendored.tree)?.ok_or(InputsError::Absent(vendored.tree))?),
        None => None,
    };
    let sources = packages.iter().filter_map(|package| match &package.origin {
        Origin::Path => None,
        Origin::Registry { source, .. } | Origin::Git { source, .. } => Some(source.as_str()),
    });
    let config = cargo_config::text(sources, tree.as_deref().and_then(Path::to_str));
    fs::write(home.path().join("config.toml"), config).map_err(scratch)?;
    let mut command = world.host.cargo("metadata", project, home.path()).map_err(scratch)?;
    command.args(["--format-version", "1", "--locked", "--offline", "--quiet"]);
    let output = command.output().map_err(PinError::Start)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(PinError::Mismatch { output: said.trim().chars().take(4000).collect() })
}

fn dependencies(packages: &[Package], vendored: Option<&Vendored>) -> Vec<Dependency> {
    packages.iter().filter_map(|package| dependency(package, vendored)).collect()
}

fn dependency(package: &Package, vendored: Option<&Vendored>) -> Option<Dependency> {
    let purl = Purl::new("cargo", &package.name, &package.version);
    let (kind, source, commit, digest, purl) = match &package.origin {
        Origin::Path => return None,
        Origin::Registry { source, checksum } => {
            let purl = match package.origin.is_crates_io() {
                true => purl,
                false => purl.with("repository_url", source.trim_start_matches("registry+")),
            };
            (DependencyKind::Registry, source, None, *checksum, purl)
        }
        Origin::Git { source, commit } => {
            let directory = vendor::directory_of(package);
            let digest = vendored?.git.iter().find(|(name, _)| *name == directory).map(|(_, digest)| *digest)?;
            let url = source.split('?').next().unwrap_or(source);
            (
                DependencyKind::Git,
                source,
                Some(commit.clone()),
                digest,
                purl.with("vcs_url", &format!("{url}@{commit}")),
            )
        }
    };
    Some(Dependency {
        name: package.name.clone(),
        version: package.version.clone(),
        kind,
        source: source.clone(),
        commit,
        digest,
        purl: purl.to_string(),
    })
}

#[cfg(test)]
mod tests;
