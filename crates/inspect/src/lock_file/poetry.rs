//! Poetry's `poetry.lock`, lock versions 1.0 to 2.1.
//!
//! Specification: poetry, `src/poetry/packages/locker.py`
//! <https://github.com/python-poetry/poetry/blob/2.2.1/src/poetry/packages/locker.py> (the format has no other).
//!
//! ```text
//! [[package]]
//! name = "iniconfig"
//! version = "2.0.0"
//! optional = true
//! groups = ["main"]
//! files = [
//!     {file = "iniconfig-2.0.0-py3-none-any.whl", hash = "sha256:b6a8…"},
//!     {file = "iniconfig-2.0.0.tar.gz", hash = "sha256:2d91…"},
//! ]
//!
//! [metadata]
//! lock-version = "2.1"
//! ```
//!
//! Files have names but no addresses: the index is asked for those. Versions 1.x keep the files of all versions of a
//! package under its name alone; they are told apart by the version in the file's name. A dependency may fit several
//! packages of one name, chosen by marker, so it becomes an edge to each.

use std::collections::BTreeMap;

use super::document::{Map, Node, Value, toml};
use super::finding::{PackageProblem, Position, Reason, Refusal, shorten};
use super::pin::{Artifact, GitReference, Origin};
use super::python::{Git, locked, normalized, pinned, version_of_file};
use super::reading::{Digests, Reading, by_name, file_of, read};
use super::{Edge, Kind, LockFile, LockFileError, Locked, Need};

/// How many dependencies a file may have, each counted for each package that it fits.
const EDGES_MAX: usize = 1_000_000;

/// Parses a `poetry.lock`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Poetry, file, bytes, |reading, text| {
        let document = toml(text)?;
        let root = document.map("")?;
        let node = root.get("metadata").ok_or(Refusal::new(Position::START, Reason::Missing("metadata")))?;
        let metadata = node.map("metadata")?;
        let format = metadata.required("lock-version", node.at)?;
        if !matches!(format.split('.').next(), Some("1" | "2")) {
            let reason = Reason::Format { found: shorten(format), known: "1 and 2" };
            return Err(Refusal::new(node.at, reason));
        }
        let shared = Shared::of(metadata)?;
        for node in root.list("package")? {
            let package = package(reading, node, &shared)?;
            reading.push(node.at, package)?;
        }
        edges(reading, root.list("package")?)?;
        Ok(Some(format.to_owned()))
    })
}

/// The files of versions 1.x, by name of the package.
struct Shared<'a> {
    files: BTreeMap<String, &'a [Node]>,
}

impl<'a> Shared<'a> {
    fn of(metadata: &'a Map) -> Result<Shared<'a>, Refusal> {
        let mut files = BTreeMap::new();
        for key in ["files", "hashes"] {
            for (name, node) in metadata.members(key)? {
                files.insert(normalized(name), node.list(key)?);
            }
        }
        Ok(Shared { files })
    }
}

fn package(reading: &mut Reading<'_>, node: &Node, shared: &Shared<'_>) -> Result<Locked, Refusal> {
    let at = node.at;
    let map = node.map("package")?;
    let name = map.required("name", at)?;
    let version = map.required("version", at)?;
    let origin = match map.map("source")? {
        None => Origin::Registry { registry: None, artifacts: files(reading, at, name, version, map, shared)? },
        Some(source) => {
            let kind = source.required("type", at)?;
            let url = source.required("url", at)?;
            match kind {
                "legacy" => {
                    let registry = reading.address(at, name, url)?;
                    let artifacts = files(reading, at, name, version, map, shared)?;
                    Origin::Registry { registry: Some(registry), artifacts }
                }
                "git" => Git {
                    url,
                    commit: source.text("resolved_reference")?,
                    reference: source
                        .text("reference")?
                        .map_or(GitReference::Default, |one| GitReference::Rev(one.to_owned())),
                    subdirectory: source.text("subdirectory")?,
                }
                .origin(reading, at, name)?,
                "url" => {
                    let url = reading.address(at, name, url)?;
                    let artifact = files(reading, at, name, version, map, shared)?.pop().unwrap_or_default();
                    Origin::Url(Artifact { file: file_of(&url), url: Some(url), ..artifact })
                }
                "file" | "directory" => Origin::Path(reading.path(at, name, url)?),
                other => {
                    let expected = "`legacy`, `git`, `url`, `file` or `directory`";
                    let problem = PackageProblem::Origin { found: shorten(other), expected };
                    return Err(Refusal::package(at, name, problem));
                }
            }
        }
    };
    let mut package = locked(at, name, version, origin)?;
    let scope = &mut package.scope;
    scope.groups = map.texts("groups")?;
    scope.groups.extend(map.text("category")?.map(str::to_owned));
    let main = scope.groups.is_empty() || scope.groups.iter().any(|group| group == "main");
    scope.need = match (main, map.flag("optional")?) {
        (true, false) => Need::Always,
        (true, true) => Need::Optional,
        (false, false) => Need::Dev,
        (false, true) => Need::DevAndOptional,
    };
    scope.marker = marker(map)?;
    scope.language = map.text("python-versions")?.filter(|versions| *versions != "*").map(str::to_owned);
    Ok(package)
}

/// A marker is one text, or one for each group.
fn marker(map: &Map) -> Result<Option<String>, Refusal> {
    match map.get("markers") {
        Some(Node { value: Value::Map(by_group), .. }) => {
            let all: Vec<String> = by_group
                .iter()
                .map(|(_, node)| Ok(format!("({})", node.text("markers")?)))
                .collect::<Result<_, Refusal>>()?;
            Ok(Some(all.join(" or ")))
        }
        _ => Ok(map.text("markers")?.map(str::to_owned)),
    }
}

fn files(
    reading: &mut Reading<'_>,
    at: Position,
    name: &str,
    version: &str,
    map: &Map,
    shared: &Shared<'_>,
) -> Result<Vec<Artifact>, Refusal> {
    let list = match map.get("files") {
        Some(node) => node.list("files")?,
        None => shared.files.get(&normalized(name)).copied().unwrap_or_default(),
    };
    let mut artifacts = Vec::new();
    for node in list {
        let (file, hash) = match &node.value {
            // Version 1.0 has bare SHA-256s.
            Value::Text(hex) => (None, format!("sha256:{hex}")),
            _ => {
                let held = node.map("files")?;
                (held.text("file")?, held.required("hash", node.at)?.to_owned())
            }
        };
        let other = |file: &str| version_of_file(file, name).is_some_and(|held| !same_version(&held, version));
        if file.is_some_and(other) {
            continue;
        }
        let digests = Digests::of_hex(&hash).map_err(|problem| Refusal::package(node.at, name, problem))?;
        artifacts.push((Artifact { file: file.map(str::to_owned), ..Artifact::default() }, digests));
    }
    Ok(pinned(reading, at, name, artifacts))
}

/// File names spell some versions otherwise: `1.0+local` as `1.0_local`, `1.0.post1` as `1.0-1`.
fn same_version(held: &str, wanted: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['+', '-', '_'], ".");
    plain(held) == plain(wanted)
}

fn edges(reading: &mut Reading<'_>, list: &[Node]) -> Result<(), Refusal> {
    let by_name = by_name(&reading.packages, |package| normalized(&package.name))?;
    let mut count = 0;
    for (position, node) in list.iter().enumerate() {
        let mut edges = Vec::new();
        for (name, constraint) in node.map("package")?.members("dependencies")? {
            let candidates = by_name.get(&normalized(name)).map(Vec::as_slice).unwrap_or_default();
            let marker = match &constraint.value {
                Value::Map(map) => map.text("markers")?.map(str::to_owned),
                _ => None,
            };
            count += candidates.len();
            if count > EDGES_MAX {
                return Err(Refusal::new(constraint.at, Reason::TooMany { what: "dependencies", max: EDGES_MAX }));
            }
            edges.extend(candidates.iter().map(|&to| Edge { to, marker: marker.clone(), only: None }));
        }
        reading.packages[position].dependencies = edges;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
