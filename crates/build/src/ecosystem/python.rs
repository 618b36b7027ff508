//! Python: `requirements.txt` with hashes, `uv.lock`, `poetry.lock`, `pylock.toml`; wheels and source archives by SHA-256,
//! as one flat directory that pip is pointed at.
//!
//! ```text
//! click-8.1.7-py3-none-any.whl
//! markupsafe-3.0.2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
//! locked/uv.lock.txt              click==8.1.7 --hash=sha256:ae74fb96…
//! ```
//!
//! Of each version those wheels are kept that fit the base's Python, machine and C library; the source archive where no
//! wheel does. An index is asked only for the addresses of files whose digest the lock file names. Files below `locked/`
//! say what a lock file pins in the form that pip reads; pip cannot read the others.
//!
//! `PIP_REQUIRE_HASHES` is left unset: it would forbid `pip wheel .`, and every file in the directory has been verified.

mod index;

mod wheel;

use std::collections::{BTreeMap, BTreeSet};

use inspect::lock_file::python::normalized;
use inspect::lock_file::{self, Artifact, Locked, Origin, Pin};
use model::recipe::Settings;
use wire::digest::Digest;

use super::download::{self, Integrity, Wanted};
use super::{Contribution, Ecosystem, LockFileKind, Pinned, ProjectFile, Request, refuse};
use crate::inputs::{TreeEntry, TreeSource};
use crate::lock::{Dependency, DependencyKind, Lock};
use crate::pin::{PinError, World};

use index::Index;
use wheel::Interpreter;

/// The directory of the tree that holds requirements files made from lock files.
const LOCKED: &str = "locked";

/// A file that is fetched.
struct File<'a> {
    package: &'a Locked,
    file: &'a ProjectFile,
    name: String,
    url: String,
    digest: Digest,
}

/// Pins the files of all lock files.
pub(super) fn pin(request: &Request<'_>, world: &World<'_>) -> Result<Pinned, PinError> {
    let interpreter = Interpreter::of(request.base).ok_or(PinError::NoPython)?;
    let mut locks = Vec::new();
    for file in request.files {
        locks.push((*file, file.parse()?));
    }
    let mut index = Index::default();
    let mut files: BTreeMap<String, File<'_>> = BTreeMap::new();
    let mut entries = Vec::new();
    for (file, lock) in &locks {
        let indexes = indexes(lock);
        let mut requirements = BTreeSet::new();
        for package in lock.fetched() {
            let chosen = choose(file, package, &interpreter, &indexes, &mut index, world)?;
            if !chosen.is_empty() {
                requirements.insert(requirement(package, &chosen));
            }
            for one in chosen {
                add(one, &mut files)?;
            }
        }
        if file.kind != LockFileKind::Requirements && !requirements.is_empty() {
            let path = format!("{LOCKED}/{}.txt", file.path.replace('/', "-"));
            let bytes = requirements.into_iter().collect::<String>().into_bytes();
            entries.push(TreeEntry { path, source: TreeSource::Bytes { bytes, executable: false } });
        }
    }
    let files: Vec<File<'_>> = files.into_values().collect();
    let wanted: Vec<Wanted> = files.iter().map(wanted).collect();
    let (digests, counts) = download::bring(&wanted, world)?;
    for (file, digest) in files.iter().zip(&digests) {
        let source = TreeSource::Held { digest: *digest, executable: false };
        entries.push(TreeEntry { path: file.name.clone(), source });
    }
    let tree = if entries.is_empty() { None } else { Some(world.inputs.import(entries)?.digest()) };
    let dependencies = files.iter().zip(&digests).map(|(file, digest)| dependency(file, digest)).collect();
    Ok(Pinned { tree, dependencies, counts })
}

/// The indexes that a requirements file names; the digests decide, whatever they answer.
fn indexes(lock: &lock_file::LockFile) -> Vec<String> {
    let mut indexes = vec![index::PUBLIC.to_owned()];
    for finding in &lock.findings {
        match &finding.problem {
            lock_file::Problem::Index { option: "--index-url" | "--pypi-url", value } => indexes[0] = value.clone(),
            lock_file::Problem::Index { option: "--extra-index-url", value } => indexes.push(value.clone()),
            _ => {}
        }
    }
    indexes
}

/// The files of a package that fit: all wheels that do, else the source archive.
fn choose<'a>(
    file: &'a ProjectFile,
    package: &'a Locked,
    interpreter: &Interpreter,
    indexes: &[String],
    index: &mut Index,
    world: &World<'_>,
) -> Result<Vec<File<'a>>, PinError> {
    let artifacts = match &package.origin {
        Origin::Registry { artifacts, .. } => artifacts.clone(),
        Origin::Url(artifact) => vec![artifact.clone()],
        _ => {
            let message = format!("`{}` comes from git, which is not fetched for Python", package.name);
            return Err(refuse(
                file,
                package.line,
                message,
                "depend on a release, or on an archive by its https address",
            ));
        }
    };
    let own = match &package.origin {
        Origin::Registry { registry: Some(registry), .. } => vec![registry.clone()],
        _ => indexes.to_vec(),
    };
    let mut wheels = Vec::new();
    let mut sources = Vec::new();
    for (name, url, digest) in located(&artifacts, package, &own, index, world)? {
        let found = File { package, file, url, digest, name };
        match found.name.ends_with(".whl") {
            true if interpreter.takes(&found.name) => wheels.push(found),
            true => {}
            false => sources.push(found),
        }
    }
    let chosen = if wheels.is_empty() { sources } else { wheels };
    // A package for other systems only may have no file for this one; any other must.
    if chosen.is_empty() && package.scope.marker.is_none() {
        let message = format!("no file of `{} {}` fits {interpreter}", package.name, package.version);
        let mend = "let the lock file name its source archive as well, or take another version";
        return Err(refuse(file, package.line, message, mend));
    }
    Ok(chosen)
}

/// Name, address and digest of every file; an index is asked where the lock file has no address.
fn located(
    artifacts: &[Artifact],
    package: &Locked,
    indexes: &[String],
    index: &mut Index,
    world: &World<'_>,
) -> Result<Vec<(String, String, Digest)>, PinError> {
    let mut found = Vec::new();
    let mut wanted = BTreeSet::new();
    for artifact in artifacts {
        let pin = artifact.pins.iter().find_map(|pin| if let Pin::Bytes(digest) = pin { Some(*digest) } else { None });
        let Some(digest) = pin else { continue };
        let name = artifact.file.clone().or_else(|| index::file_name(artifact.url.as_deref()?));
        match (name, &artifact.url) {
            (Some(name), Some(url)) if index::is_file_name(&name) => found.push((name, url.clone(), digest)),
            _ => drop(wanted.insert(digest)),
        }
    }
    if !wanted.is_empty() {
        found.extend(index.files(&package.name, &wanted, indexes, world)?);
    }
    Ok(found)
}

/// Two lock files may name the same file; other bytes under one name cannot stand in one directory.
fn add<'a>(file: File<'a>, files: &mut BTreeMap<String, File<'a>>) -> Result<(), PinError> {
    match files.get(&file.name) {
        Some(other) if other.digest != file.digest => {
            let message =
                format!("`{}` is {} here and {} in {}", file.name, file.digest, other.digest, other.file.path);
            Err(refuse(file.file, file.package.line, message, "let both lock files name the same file"))
        }
        _ => {
            files.insert(file.name.clone(), file);
            Ok(())
        }
    }
}

/// `click==8.1.7 ; python_version > "3" --hash=sha256:ae74fb96…`
fn requirement(package: &Locked, files: &[File<'_>]) -> String {
    let marker = package.scope.marker.as_ref().map_or(String::new(), |marker| format!(" ; {marker}"));
    let hashes: String = files.iter().map(|file| format!(" --hash={}", file.digest)).collect();
    format!("{}=={}{marker}{hashes}\n", package.name, package.version)
}

fn wanted(file: &File<'_>) -> Wanted {
    Wanted {
        what: format!("package `{} {}` ({})", file.package.name, file.package.version, file.name),
        url: file.url.clone(),
        integrity: Integrity::Bytes(vec![file.digest]),
        stated_by: file.file.path.clone(),
    }
}

fn dependency(file: &File<'_>, digest: &Digest) -> Dependency {
    let package = file.package;
    let (kind, purl) = match &package.origin {
        // A requirements file says nothing of its index; which one answered is in the address.
        Origin::Registry { .. } if index::is_public(&file.url) => {
            let name = normalized(&package.name);
            (DependencyKind::Registry, wire::purl::Purl::new("pypi", &name, &package.version))
        }
        Origin::Registry { registry: None, .. } => {
            (DependencyKind::Registry, package.purl.clone().with("download_url", &file.url))
        }
        Origin::Registry { .. } => (DependencyKind::Registry, package.purl.clone()),
        _ => (DependencyKind::Url, package.purl.clone()),
    };
    Dependency {
        ecosystem: Some(Ecosystem::Python),
        name: package.name.clone(),
        version: package.version.clone(),
        source: file.url.clone(),
        file: Some(file.name.clone()),
        kind,
        commit: None,
        integrity: (file.digest != *digest).then_some(file.digest),
        digest: *digest,
        purl: purl.to_string(),
    }
}

/// pip's and Python's variables.
pub(super) fn contribute(lock: &Lock, _settings: &Settings) -> Contribution {
    let variables = [
        ("PIP_CONFIG_FILE", "/dev/null"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_NO_INDEX", "1"),
        ("PIP_NO_INPUT", "1"),
        // Compiled modules hold times and hash orders; sets and dictionaries of strings are ordered by the seed.
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONNOUSERSITE", "1"),
    ];
    let places = lock.tree_of(Ecosystem::Python).map(|_| ("PIP_FIND_LINKS", Ecosystem::Python.directory()));
    let variables = variables.into_iter().chain(places);
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Contribution { variables: variables.collect(), ..Contribution::default() }
}

#[cfg(test)]
mod tests;
