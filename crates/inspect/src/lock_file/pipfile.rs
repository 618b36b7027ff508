//! Pipenv's `Pipfile.lock`, specification 6.
//!
//! Specification: pipenv, "Pipfile.lock" <https://github.com/pypa/pipfile/blob/v0.0.2/README.rst#pipfilelock>.
//!
//! ```json
//! {
//!   "_meta": { "pipfile-spec": 6, "sources": [ { "name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": true } ] },
//!   "default": { "six": { "hashes": [ "sha256:1e61…", "sha256:8abb…" ], "index": "pypi", "version": "==1.16.0" } },
//!   "develop": {}
//! }
//! ```
//!
//! Each hash is that of another file of the version; names and addresses are the index's affair. A package that stands
//! in several categories with the same origin is one package of all of them.

use std::collections::BTreeMap;

use super::document::{Map, Node, json};
use super::finding::{Position, Problem, Reason, Refusal, shorten};
use super::pin::{Artifact, GitReference, Origin};
use super::python::{Git, alternatives, locked};
use super::reading::{Reading, file_of, read};
use super::{Kind, LockFile, LockFileError, Locked, Need};

/// Parses a `Pipfile.lock`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Pipfile, file, bytes, |reading, text| {
        let document = json(text)?;
        let root = document.map("")?;
        let meta = root.map("_meta")?.ok_or(Refusal::new(Position::START, Reason::Missing("_meta")))?;
        let format = meta.scalar("pipfile-spec")?.unwrap_or_default();
        if format != "6" {
            let reason = Reason::Format { found: shorten(format), known: "6" };
            return Err(Refusal::new(Position::START, reason));
        }
        let sources = sources(reading, meta)?;
        let mut seen = Seen::new();
        for (category, node) in root.iter().filter(|(key, _)| *key != "_meta") {
            for (name, node) in node.map(category)?.iter() {
                let Some(mut package) = package(reading, name, node, &sources)? else { continue };
                package.scope.groups = vec![category.to_owned()];
                package.scope.need = if category == "default" { Need::Always } else { Need::Dev };
                add(reading, &mut seen, node.at, package)?;
            }
        }
        Ok(Some(format.to_owned()))
    })
}

/// Reads names and addresses of the indexes.
fn sources(reading: &mut Reading<'_>, meta: &Map) -> Result<Vec<(String, String)>, Refusal> {
    let mut sources = Vec::new();
    for node in meta.list("sources")? {
        let map = node.map("sources")?;
        let url = map.required("url", node.at)?;
        // pipenv fills variables of the environment in, to keep passwords out of the file.
        let url = if url.contains("${") { shorten(url) } else { reading.address(node.at, "", url)? };
        sources.push((map.text("name")?.unwrap_or_default().to_owned(), url));
    }
    Ok(sources)
}

fn package(
    reading: &mut Reading<'_>,
    name: &str,
    node: &Node,
    sources: &[(String, String)],
) -> Result<Option<Locked>, Refusal> {
    let at = node.at;
    let map = node.map(name)?;
    let hashes = map.texts("hashes")?;
    let mut hashes = hashes.iter().map(String::as_str);
    let spelled = map.text("version")?;
    let version = spelled.and_then(|version| version.strip_prefix("===").or_else(|| version.strip_prefix("==")));
    if map.flag("editable")? {
        reading.found(at, name, Problem::Editable { wanted: shorten(name) });
    }
    let origin = if let Some(url) = map.text("git")? {
        let subdirectory = map.text("subdirectory")?;
        Git { url, commit: map.text("ref")?, reference: GitReference::Default, subdirectory }
            .origin(reading, at, name)?
    } else if let Some(path) = map.text("path")? {
        Origin::Path(reading.path(at, name, path)?)
    } else if let Some(url) = map.text("file")? {
        let url = reading.address(at, name, url)?;
        let artifact = alternatives(reading, at, name, &mut hashes)?.pop().unwrap_or_default();
        Origin::Url(Artifact { file: file_of(&url), url: Some(url), ..artifact })
    } else if version.is_none_or(|version| version.contains('*')) {
        reading.found(at, name, Problem::Unpinned { wanted: shorten(spelled.unwrap_or("*")) });
        return Ok(None);
    } else {
        let index = map.text("index")?;
        let named = sources.iter().find(|(held, _)| index == Some(held.as_str())).map(|(_, url)| url.clone());
        Origin::Registry { registry: named, artifacts: alternatives(reading, at, name, &mut hashes)? }
    };
    let mut package = locked(at, name, version.unwrap_or_default(), origin)?;
    package.scope.marker = map.text("markers")?.map(str::to_owned);
    Ok(Some(package))
}

/// Packages by what makes them the same in another category.
type Seen = BTreeMap<(String, Option<String>), usize>;

fn add(reading: &mut Reading<'_>, seen: &mut Seen, at: Position, package: Locked) -> Result<(), Refusal> {
    let key = (package.purl.to_string(), package.scope.marker.clone());
    match seen.get(&key).map(|&position| &mut reading.packages[position]) {
        Some(held) if held.origin == package.origin => {
            held.scope.need = held.scope.need.min(package.scope.need);
            held.scope.groups.extend(package.scope.groups);
        }
        _ => {
            let position = reading.push(at, package)?;
            seen.insert(key, position);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
