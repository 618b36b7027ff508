//! Go: `go.sum` with the `go.mod` beside it, modules by their `h1:` hash, laid out as a proxy has them.
//!
//! ```text
//! github.com/!burnt!sushi/toml/@v/v1.2.0.info
//! github.com/!burnt!sushi/toml/@v/v1.2.0.mod
//! github.com/!burnt!sushi/toml/@v/v1.2.0.zip
//! ```
//!
//! Protocol: <https://go.dev/ref/mod#goproxy-protocol>. A hash is over the files in a zip, so each zip is read before it
//! is kept; the `.info` is written here, since `go.sum` pins none. `go` checks all of it again. With a `vendor` directory
//! nothing is fetched: the modules are part of the source. Neither git nor the checksum database is asked.

use std::collections::BTreeMap;

use inspect::lock_file::go::escaped;
use inspect::lock_file::{Artifact, Locked, Origin, Pin, Role};
use model::recipe::Settings;
use wire::digest::Digest;

use super::download::{self, Integrity, Wanted};
use super::{Contribution, Ecosystem, Pinned, ProjectFile, Request};
use crate::inputs::{Host, TreeEntry, TreeSource};
use crate::lock::{Dependency, DependencyKind, Lock};
use crate::pin::{PinError, World};

/// The public proxy.
const PUBLIC: &str = "https://proxy.golang.org";

/// A file of a module.
struct File<'a> {
    package: &'a Locked,
    file: &'a ProjectFile,
    /// Below a proxy's address.
    path: String,
    integrity: Integrity,
    is_code: bool,
}

/// Pins the modules of all lock files.
pub(super) fn pin(request: &Request<'_>, world: &World<'_>) -> Result<Pinned, PinError> {
    let mut locks = Vec::new();
    for file in request.files.iter().filter(|file| !file.is_vendored()) {
        locks.push((*file, file.parse()?));
    }
    let mut files: BTreeMap<String, File<'_>> = BTreeMap::new();
    for (file, lock) in &locks {
        for package in lock.fetched() {
            for artifact in package.origin.artifacts() {
                let Some(found) = self::file(file, package, artifact) else { continue };
                if files.get(&found.path).is_some_and(|other| other.integrity != found.integrity) {
                    let message = format!("`{}` has two hashes in two lock files", package.name);
                    return Err(super::refuse(file, package.line, message, "run `go mod tidy` in both"));
                }
                files.insert(found.path.clone(), found);
            }
        }
    }
    if files.is_empty() {
        return Ok(Pinned { tree: None, dependencies: Vec::new(), counts: download::Counts::default() });
    }
    let files: Vec<File<'_>> = files.into_values().collect();
    let proxy = proxy(world.host)?;
    let wanted: Vec<Wanted> = files.iter().map(|file| wanted(file, &proxy)).collect();
    let (digests, counts) = download::bring(&wanted, world)?;
    let tree = Some(world.inputs.import(layout(&files, &digests))?.digest());
    let code = files.iter().zip(&digests).filter(|(file, _)| file.is_code);
    let dependencies = code.map(|(file, digest)| dependency(file, digest)).collect();
    Ok(Pinned { tree, dependencies, counts })
}

fn file<'a>(file: &'a ProjectFile, package: &'a Locked, artifact: &Artifact) -> Option<File<'a>> {
    let integrity = artifact.pins.iter().find_map(|pin| match pin {
        Pin::GoTree(digest) => Some(Integrity::GoTree(*digest)),
        Pin::GoMod(digest) => Some(Integrity::GoMod(*digest)),
        _ => None,
    })?;
    let path = artifact.file.clone()?;
    Some(File { package, file, path, integrity, is_code: artifact.role == Role::Package })
}

fn wanted(file: &File<'_>, proxy: &str) -> Wanted {
    Wanted {
        what: format!("module `{} {}`", file.package.name, file.package.version),
        url: format!("{proxy}/{}", file.path),
        integrity: file.integrity.clone(),
        stated_by: file.file.path.clone(),
    }
}

/// The first proxy of this machine's `GOPROXY` that is an address; the public one if the variable is not set.
fn proxy(host: &Host) -> Result<String, PinError> {
    let Some(list) = host.variables.get("GOPROXY").filter(|list| !list.is_empty()) else {
        return Ok(PUBLIC.to_owned());
    };
    let is_address = |proxy: &&str| proxy.starts_with("https://") || proxy.starts_with("http://");
    let proxy = list.split([',', '|']).find(is_address).ok_or_else(|| PinError::NoProxy(list.clone()))?;
    Ok(proxy.trim_end_matches('/').to_owned())
}

/// A proxy's files, with an `.info` for each version.
fn layout(files: &[File<'_>], digests: &[Digest]) -> Vec<TreeEntry> {
    let mut entries = BTreeMap::new();
    for (file, digest) in files.iter().zip(digests) {
        entries.insert(file.path.clone(), TreeSource::Held { digest: *digest, executable: false });
        let (name, version) = (&file.package.name, &file.package.version);
        let info = format!("{}/@v/{}.info", escaped(name), escaped(version));
        let bytes = serde_json::json!({"Version": version}).to_string().into_bytes();
        entries.insert(info, TreeSource::Bytes { bytes, executable: false });
    }
    entries.into_iter().map(|(path, source)| TreeEntry { path, source }).collect()
}

/// Its source is its path: which proxy answered is this machine's affair, and the lock is the same everywhere.
fn dependency(file: &File<'_>, digest: &Digest) -> Dependency {
    let package = file.package;
    let tree = if let Integrity::GoTree(tree) = &file.integrity { Some(*tree) } else { None };
    Dependency {
        ecosystem: Some(Ecosystem::Go),
        name: package.name.clone(),
        version: package.version.clone(),
        source: package.name.clone(),
        file: None,
        kind: match package.origin {
            Origin::Registry { .. } => DependencyKind::Registry,
            _ => DependencyKind::Url,
        },
        commit: None,
        integrity: tree,
        digest: *digest,
        purl: package.purl.to_string(),
    }
}

/// Go's variables. `GOFLAGS` may be set anew by a specification.
pub(super) fn contribute(lock: &Lock, _settings: &Settings) -> Contribution {
    let proxy = match lock.tree_of(Ecosystem::Go) {
        Some(_) => format!("file://{}", Ecosystem::Go.directory()),
        None => "off".to_owned(),
    };
    let variables = [
        ("GOENV", "off"),
        ("GOFLAGS", "-trimpath"),
        ("GOPROXY", &proxy),
        ("GOSUMDB", "off"),
        ("GOTELEMETRY", "off"),
        ("GOTOOLCHAIN", "local"),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Contribution { variables: variables.collect(), ..Contribution::default() }
}

#[cfg(test)]
mod tests;
