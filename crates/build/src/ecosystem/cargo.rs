//! Rust: `Cargo.lock`, crates by their checksum, one directory source for all of them.
//!
//! Cargo itself is asked, without a network and without running code of the project, whether each lock file fits its
//! manifests. Where a project holds its crates itself, nothing is fetched, and Cargo finds them as it would without us.

mod config;

pub mod crates;

pub mod git;

pub mod lock_file;

pub mod vendor;

pub(crate) mod vendored;

use std::fs;
use std::path::{Path, PathBuf};

use model::recipe::Settings;
use sandbox::plan::Mount;
use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::purl::Purl;

use super::{Contribution, Ecosystem, Pinned, ProjectFile, Request, download};
use crate::inputs::{InputsError, Scratch};
use crate::lock::{self, Dependency, DependencyKind, Lock};
use crate::pin::cache::Cache;
use crate::pin::{PinError, World};
use crate::plan::HOME;

use lock_file::{Origin, Package};
use vendor::Vendored;

/// Where Cargo looks for configuration from any directory. It stands at the root, so that the relative path in it holds
/// also where the sandbox has no mounts and another directory stands for `/`.
const CONFIG: &str = "/.cargo/config.toml";

/// The tree's directory as [`CONFIG`] names it.
const RELATIVE: &str = "vendor";

/// Pins the crates of all lock files.
pub(super) fn pin(request: &Request<'_>, world: &World<'_>) -> Result<Pinned, PinError> {
    if request.spec.base.toolchains.iter().all(|name| name != "rust")
        && !request.spec.base.root.packages().iter().any(|package| package.name == "cargo")
    {
        return Err(PinError::NoToolchain);
    }
    let mut of_files = Vec::new();
    for file in request.files {
        let packages = lock_file::parse(&file.path, &file.bytes).map_err(|p| PinError::LockFile(Box::new(p)))?;
        of_files.push((*file, packages));
    }
    let (own, of_files): (Vec<_>, Vec<_>) = of_files.into_iter().partition(|(file, _)| file.is_vendored());
    for (file, packages) in &own {
        check_manifests(&request.project.join(file.directory()), packages, None, world)?;
    }
    let (vendored, counts) = vendor_all(request, &of_files, world)?;
    for (file, packages) in &of_files {
        check_manifests(&request.project.join(file.directory()), packages, vendored.as_ref(), world)?;
    }
    let all = of_files.iter().flat_map(|(_, packages)| packages);
    Ok(Pinned {
        dependencies: all.filter_map(|package| dependency(package, vendored.as_ref())).collect(),
        tree: vendored.map(|vendored| vendored.tree),
        counts,
    })
}

/// What the cache keeps of a tree of dependencies.
#[derive(Serialize, Deserialize)]
struct KnownVendor {
    tree: Digest,
    git: Vec<(String, Digest)>,
}

/// What decides the tree of dependencies: the lock files, and for git packages the Cargo that writes their manifests.
fn fingerprint(of_files: &[(&ProjectFile, Vec<Package>)], toolchains: &[lock::Toolchain]) -> Digest {
    let mut text = format!("vendor {}", vendor::LAYOUT);
    for (file, _) in of_files {
        text.push_str(&format!(" {}", file.digest()));
    }
    text.push('\n');
    let has_git = |packages: &Vec<Package>| packages.iter().any(|p| matches!(p.origin, Origin::Git { .. }));
    if of_files.iter().any(|(_, packages)| has_git(packages)) {
        toolchains.iter().for_each(|toolchain| text.push_str(&format!("{}\n", toolchain.version)));
    }
    Digest::of(text.as_bytes())
}

fn vendor_all(
    request: &Request<'_>,
    of_files: &[(&ProjectFile, Vec<Package>)],
    world: &World<'_>,
) -> Result<(Option<Vendored>, download::Counts), PinError> {
    let mut packages: Vec<Package> = of_files.iter().flat_map(|(_, packages)| packages.clone()).collect();
    packages.sort();
    packages.dedup();
    if packages.iter().all(|package| package.origin == Origin::Path) {
        return Ok((None, download::Counts::default()));
    }
    let cache = Cache::new(&world.host.cache, "vendor", &fingerprint(of_files, request.toolchains));
    if let Some(known) = cache.load::<KnownVendor>()
        && world.inputs.tree(&known.tree)?.is_some()
    {
        return Ok((Some(Vendored { tree: known.tree, git: known.git }), download::Counts::default()));
    }
    refuse_twins(&packages)?;
    let home = world.host.cargo_home.as_deref();
    let counts = crates::bring(&packages, home, world.inputs, world.fetch, world.progress)?;
    let directory = |file: &ProjectFile| request.project.join(file.directory());
    let projects: Vec<(PathBuf, &[Package])> =
        of_files.iter().map(|(file, packages)| (directory(file), packages.as_slice())).collect();
    let vendored = vendor::make(&packages, &projects, world.host, world.inputs, world.progress)?;
    cache.save(&KnownVendor { tree: vendored.tree, git: vendored.git.clone() });
    Ok((Some(vendored), counts))
}

/// A directory source holds one package of a name and version, whatever lock file it is from.
fn refuse_twins(packages: &[Package]) -> Result<(), PinError> {
    let external: Vec<&Package> = packages.iter().filter(|package| package.origin != Origin::Path).collect();
    let twin = external.windows(2).find(|two| (&two[0].name, &two[0].version) == (&two[1].name, &two[1].version));
    match twin {
        None => Ok(()),
        Some(two) => Err(PinError::Twins { name: two[0].name.clone(), version: two[0].version.clone() }),
    }
}

/// Asks Cargo, without a network and from the pinned tree alone, whether `Cargo.lock` fits the manifests. This runs no
/// code of the project.
fn check_manifests(
    directory: &Path,
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
    let config = config::text(sources, tree.as_deref().and_then(Path::to_str));
    fs::write(home.path().join("config.toml"), config).map_err(scratch)?;
    let mut command = world.host.cargo("metadata", directory, home.path()).map_err(scratch)?;
    command.args(["--format-version", "1", "--locked", "--offline", "--quiet"]);
    let output = command.output().map_err(PinError::Start)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(PinError::Mismatch { output: said.trim().chars().take(4000).collect() })
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
            let purl = purl.with("vcs_url", &format!("{url}@{commit}"));
            (DependencyKind::Git, source, Some(commit.clone()), digest, purl)
        }
    };
    Some(Dependency {
        ecosystem: Some(Ecosystem::Cargo),
        name: package.name.clone(),
        version: package.version.clone(),
        kind,
        source: source.clone(),
        file: None,
        commit,
        integrity: None,
        digest,
        purl: purl.to_string(),
    })
}

/// Cargo's configuration and variables.
pub(super) fn contribute(lock: &Lock, settings: &Settings) -> Contribution {
    let own = lock.dependencies.iter().filter(|dependency| dependency.ecosystem == Some(Ecosystem::Cargo));
    let sources = own.map(|dependency| dependency.source.as_str());
    let content = config::text(sources, lock.tree_of(Ecosystem::Cargo).map(|_| RELATIVE));
    let variables = [
        ("CARGO_BUILD_JOBS", settings.cpus.to_string()),
        ("CARGO_HOME", format!("{HOME}/.cargo")),
        ("CARGO_INCREMENTAL", "0".to_owned()),
        ("CARGO_NET_OFFLINE", "true".to_owned()),
    ];
    Contribution {
        mounts: vec![Mount::File { target: CONFIG.to_owned(), content, executable: false }],
        variables: variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..Contribution::default()
    }
}
