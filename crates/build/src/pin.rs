//! Making a lock: the only phase with a network, and the one that reads this machine.
//!
//! In order: the base, the toolchains, what `[[fetch]]` names, the dependencies of each ecosystem and their tree. Each is
//! kept in the store before the next begins, and found there again, so an interrupted run resumes. What did not change since the
//! last run is known by a fingerprint (package versions and file lists; sizes and times of a toolchain's files; the
//! lock file's digest) in a cache outside of everything that is pinned: a lost or wrong cache costs time only, since
//! a tree is used only if the store holds it.

pub(crate) mod cache;

use std::io;
use std::path::{Path, PathBuf};

use wire::digest::Digest;

use crate::base::debs::{self, DebsError};
use crate::base::image::{self, BaseImageError};
use crate::base::reference::{ImageReference, ImageReferenceError};
use crate::base::{self, BaseError};
use crate::ecosystem::cargo::crates::CratesError;
use crate::ecosystem::cargo::vendor::VendorError;
use crate::ecosystem::download::{self, Counts, DownloadError};
use crate::ecosystem::fetched::{self, FetchedError};
use crate::ecosystem::{self, Ecosystem, Pinned, ProjectFile, ProjectFileError, Request};
use crate::inputs::{Fetch, Host, Images, Inputs, InputsError};
use crate::lock::{self, Lock, LockFile, Pins};
use crate::problem::Problem;
use crate::spec::{Root, Spec};
use crate::toolchain::{self, ToolchainError};

use cache::Cache;

/// Why a lock could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A lock file that is not there, or cannot be read.
    #[error(transparent)]
    ProjectFile(#[from] ProjectFileError),
    /// A Cargo project, but no toolchain to build it.
    #[error("this is a Cargo project, but neither `toolchains` holds `rust` nor `packages` holds `cargo`")]
    NoToolchain,
    /// A malformed lock file.
    #[error("{0}")]
    LockFile(Box<Problem>),
    /// Two lock files that cannot stand in one directory source.
    #[error("two lock files name `{name} {version}` from different sources; build them as two projects")]
    Twins {
        /// Crate name.
        name: String,
        /// Version.
        version: String,
    },
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
    /// The image that is the base.
    #[error(transparent)]
    BaseImage(#[from] BaseImageError),
    /// The packages that are the base.
    #[error(transparent)]
    Debs(#[from] DebsError),
    /// A toolchain.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// A crate.
    #[error(transparent)]
    Crates(#[from] CratesError),
    /// The dependencies' tree.
    #[error(transparent)]
    Vendor(#[from] VendorError),
    /// Python packages, but no Python to install them.
    #[error("a lock file of Python is named, but no package of the base is a Python; add `python3` to `packages`")]
    NoPython,
    /// Two lock files whose projects name different versions of one package manager.
    #[error("two package managers would have one name: `{name}` {first}, and {second}; name one version in both")]
    TwoTools {
        /// `pnpm`
        name: String,
        /// One version, and who says so.
        first: String,
        /// The other.
        second: String,
    },
    /// A package manager that is none.
    #[error("`{name} {version}` cannot be used: {reason}")]
    Tool {
        /// `pnpm`
        name: String,
        /// Its version.
        version: String,
        /// What is wrong with its tarball.
        reason: String,
    },
    /// A `GOPROXY` that leads nowhere.
    #[error("`GOPROXY` is `{0}`, which names no http address to fetch modules from; set it to a proxy's address")]
    NoProxy(String),
    /// An index that does not have what a lock file names.
    #[error("no file of `{project}` with a digest of the lock file is in {}", indexes.join(", "))]
    NotInIndex {
        /// The project.
        project: String,
        /// The indexes that were asked.
        indexes: Vec<String>,
    },
    /// A file that a lock file names.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// What `[[fetch]]` names.
    #[error(transparent)]
    Fetched(#[from] FetchedError),
    /// A name of an image that is none.
    #[error("image `{0}`: {1}")]
    Reference(String, ImageReferenceError),
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
    /// Where the dependencies came from; all 0 if they were unchanged.
    pub counts: Counts,
    /// Base and toolchains that were imported, not found.
    pub imported: Vec<&'static str>,
    /// What the user should know of the base.
    pub notes: Vec<String>,
}

/// Everything that making a lock asks.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The store.
    pub inputs: &'a dyn Inputs,
    /// The network.
    pub fetch: &'a dyn Fetch,
    /// Registries of images.
    pub images: &'a dyn Images,
    /// This machine.
    pub host: &'a Host,
    /// Told, in a few words, what goes on.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

/// Makes the lock of a project: what it names for all stages, and then for each stage with a base of its own. Nothing is
/// written in the project's directory.
pub fn make(project: &Path, spec: &Spec, world: &World<'_>) -> Result<Made, PinError> {
    let mut made = make_one(project, spec, world)?;
    for stage in spec.stages.iter().filter(|stage| stage.base.is_some()) {
        let own = make_one(project, &spec.of_stage(stage), world)?;
        made.lock.add_stage(&stage.name, own.lock);
        made.counts.add(own.counts);
        made.imported.extend(own.imported.into_iter().filter(|what| *what == "base"));
        made.notes.extend(own.notes);
    }
    Ok(made)
}

/// Makes the lock of a build that a Dockerfile says: what its images are, by their references.
pub fn make_of_images(project: &Path, spec: &Spec, images: &[String], world: &World<'_>) -> Result<Made, PinError> {
    let fetched = fetched::pin(&spec.fetches, world)?;
    let tree = world.inputs.import(Vec::new())?.digest();
    let nothing = lock::Base { distribution: String::new(), tree, image: None, packages: Vec::new() };
    let pins = |base, fetched, dependencies| Pins {
        fetched,
        base,
        toolchains: Vec::new(),
        lock_files: Vec::new(),
        dependencies,
    };
    let mut lock = Lock::new(spec, pins(nothing, fetched.tree, fetched.dependencies));
    let mut imported = Vec::new();
    for reference in images {
        let (base, is_new) = pin_image(project, reference, world)?;
        imported.extend(is_new.then_some("base"));
        lock.add_stage(reference, Lock::new(spec, pins(base, None, Vec::new())));
    }
    Ok(Made { lock, counts: fetched.counts, imported, notes: Vec::new() })
}

fn pin_image(project: &Path, reference: &str, world: &World<'_>) -> Result<(lock::Base, bool), PinError> {
    let parsed = ImageReference::parse(reference).map_err(|error| PinError::Reference(reference.to_owned(), error))?;
    Ok(image::pin(&parsed, project, world)?)
}

/// As [`restore`], for the images of a Dockerfile.
pub fn restore_images(project: &Path, spec: &Spec, lock: &Lock, world: &World<'_>) -> Result<(), PinError> {
    let mut differences = Vec::new();
    // Beside its images such a build sees nothing.
    world.inputs.import(Vec::new())?;
    for stage in &lock.stages {
        if world.inputs.tree(&stage.base.tree)?.is_none() && pin_image(project, &stage.name, world)?.0 != stage.base {
            differences.push(format!("image {}: other files", stage.name));
        }
    }
    if let Some(tree) = &lock.fetched
        && world.inputs.tree(tree)?.is_none()
        && fetched::pin(&spec.fetches, world)?.tree != Some(*tree)
    {
        differences.push("what `[[fetch]]` names: other files".to_owned());
    }
    if differences.is_empty() { Ok(()) } else { Err(PinError::Differs(differences)) }
}

fn make_one(project: &Path, spec: &Spec, world: &World<'_>) -> Result<Made, PinError> {
    let files = ecosystem::project_files(project, spec)?;
    let mut imported = Vec::new();
    let mut notes = Vec::new();
    let base = pin_base(project, spec, world, &mut imported, &mut notes)?;
    let toolchains = pin_toolchains(project, spec, world, &mut imported)?;
    let fetched = fetched::pin(&spec.fetches, world)?;
    let mut counts = fetched.counts;
    let mut dependencies = fetched.dependencies;
    let mut lock_files = Vec::new();
    for ecosystem in Ecosystem::ALL {
        let own = of_ecosystem(&files, ecosystem);
        if own.is_empty() {
            continue;
        }
        let request = Request { project, spec, files: &own, base: &base, toolchains: &toolchains };
        let pinned = ecosystem.pin(&request, world)?;
        counts.add(pinned.counts);
        lock_files.extend(own.iter().map(|file| lock_file(file, &pinned)));
        dependencies.extend(pinned.dependencies);
    }
    let pins = Pins { fetched: fetched.tree, base, toolchains, lock_files, dependencies };
    Ok(Made { lock: Lock::new(spec, pins), counts, imported, notes })
}

fn of_ecosystem(files: &[ProjectFile], ecosystem: Ecosystem) -> Vec<&ProjectFile> {
    files.iter().filter(|file| file.kind.ecosystem() == ecosystem).collect()
}

fn lock_file(file: &ProjectFile, pinned: &Pinned) -> LockFile {
    LockFile { path: file.path.clone(), kind: file.kind, digest: file.digest(), tree: pinned.tree }
}

/// Brings all that a lock pins into the store, as for a fresh clone. What the store holds is not asked of this machine.
pub fn restore(project: &Path, spec: &Spec, lock: &Lock, world: &World<'_>) -> Result<(), PinError> {
    restore_one(project, spec, lock, world)?;
    let own = spec.stages.iter().filter(|stage| stage.base.is_some());
    own.into_iter()
        .try_for_each(|stage| restore_one(project, &spec.of_stage(stage), &lock.of_stage(&stage.name), world))
}

fn restore_one(project: &Path, spec: &Spec, lock: &Lock, world: &World<'_>) -> Result<(), PinError> {
    let held = |digest: &Digest| Ok::<bool, PinError>(world.inputs.tree(digest)?.is_some());
    let mut differences = Vec::new();
    if !held(&lock.base.tree)? {
        differences.extend(restore_base(project, spec, &lock.base, world)?);
    }
    for locked in &lock.toolchains {
        if held(&locked.tree)? {
            continue;
        }
        let found = toolchain::resolve(&locked.name, project, &spec.base.targets, world.host)?;
        if found.version != locked.version {
            differences.push(format!("{} {} ≠ {}", locked.name, locked.version, found.version));
        } else if toolchain::import(&found, world.inputs)?.tree != locked.tree {
            differences.push(format!("{} {}: same version, other files", locked.name, locked.version));
        }
    }
    download::remember(&lock.dependencies, world);
    if let Some(tree) = &lock.fetched
        && !held(tree)?
        && fetched::pin(&spec.fetches, world)?.tree != Some(*tree)
    {
        differences.push("what `[[fetch]]` names: other files".to_owned());
    }
    for ecosystem in Ecosystem::ALL {
        let Some(tree) = lock.tree_of(ecosystem) else { continue };
        if held(&tree)? {
            continue;
        }
        let files = ecosystem::project_files(project, spec)?;
        let own = of_ecosystem(&files, ecosystem);
        let request = Request { project, spec, files: &own, base: &lock.base, toolchains: &lock.toolchains };
        if ecosystem.pin(&request, world)?.tree != Some(tree) {
            differences.push(format!("the tree of {} dependencies: other files", ecosystem.name()));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(PinError::Differs(differences)) }
}

/// Makes the base of a lock again, of what the store holds as far as it does; returns in what it differs.
pub fn restore_base(
    project: &Path,
    spec: &Spec,
    locked: &lock::Base,
    world: &World<'_>,
) -> Result<Vec<String>, PinError> {
    if let Root::Packages(_) = spec.base.root {
        let found = base::compare(locked, world.host)?;
        if !found.is_empty() {
            return Ok(found.iter().map(ToString::to_string).collect());
        }
    }
    let made = match spec.base.root {
        Root::Archive(_) => debs::again(locked, world)?,
        _ => pin_base(project, spec, world, &mut Vec::new(), &mut Vec::new())?,
    };
    Ok(match made.tree == locked.tree {
        true => Vec::new(),
        false if matches!(spec.base.root, Root::Archive(_)) => {
            vec!["the base: the packages have other files".to_owned()]
        }
        false if made.image.is_some() => vec!["the base: the image has other files".to_owned()],
        false => vec!["the base: same package versions, other files".to_owned()],
    })
}

fn pin_base(
    project: &Path,
    spec: &Spec,
    world: &World<'_>,
    imported: &mut Vec<&'static str>,
    notes: &mut Vec<String>,
) -> Result<lock::Base, PinError> {
    let packages = match &spec.base.root {
        Root::Packages(packages) => packages,
        Root::Archive(packages) => {
            let (pinned, is_new) = debs::pin(packages, world)?;
            imported.extend(is_new.then_some("base"));
            notes.extend(pinned.notes);
            return Ok(pinned.base);
        }
        Root::Image(reference) => {
            let (base, is_new) = image::pin(reference, project, world)?;
            imported.extend(is_new.then_some("base"));
            return Ok(base);
        }
    };
    let resolved = base::resolve(world.host, packages)?;
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
    let mut toolchains = Vec::new();
    for name in &spec.base.toolchains {
        let resolved = toolchain::resolve(name, project, &spec.base.targets, world.host)?;
        let cache = Cache::new(&world.host.cache, resolved.name, &toolchain::fingerprint(&resolved));
        if let Some(known) = cache.load::<lock::Toolchain>()
            && world.inputs.tree(&known.tree)?.is_some()
        {
            toolchains.push(known);
            continue;
        }
        (world.progress)(&format!("importing {}", resolved.version));
        let toolchain = toolchain::import(&resolved, world.inputs)?;
        cache.save(&toolchain);
        imported.push(resolved.name);
        toolchains.push(toolchain);
    }
    Ok(toolchains)
}

#[cfg(test)]
mod tests;
