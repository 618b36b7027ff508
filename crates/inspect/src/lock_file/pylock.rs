//! `pylock.toml`, the lock file that Python's tools have in common, version 1.
//!
//! Specification: PyPA, "pylock.toml" <https://packaging.python.org/en/latest/specifications/pylock-toml/> (PEP 751).
//!
//! ```text
//! lock-version = "1.0"
//! created-by = "uv"
//!
//! [[packages]]
//! name = "iniconfig"
//! version = "2.0.0"
//! index = "https://pypi.org/simple"
//! wheels = [{ url = "https://files.pythonhosted.org/packages/ef/a6/…/iniconfig-2.0.0-py3-none-any.whl", hashes = { sha256 = "b6a8…" } }]
//! ```

use super::document::{Map, Node, toml};
use super::finding::{PackageProblem, Position, Reason, Refusal, shorten};
use super::pin::{Artifact, GitReference, Origin};
use super::python::{Git, locked, normalized, pinned};
use super::reading::{Digests, Reading, by_name, file_of, read};
use super::{Edge, Kind, LockFile, LockFileError, Locked};

/// Parses a `pylock.toml`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Pylock, file, bytes, |reading, text| {
        let document = toml(text)?;
        let root = document.map("")?;
        let format = root.required("lock-version", Position::START)?;
        if format.split('.').next() != Some("1") {
            return Err(Refusal::new(Position::START, Reason::Format { found: shorten(format), known: "1" }));
        }
        let list = root.list("packages")?;
        for node in list {
            let package = package(reading, node)?;
            reading.push(node.at, package)?;
        }
        edges(reading, list)?;
        Ok(Some(format.to_owned()))
    })
}

fn package(reading: &mut Reading<'_>, node: &Node) -> Result<Locked, Refusal> {
    let at = node.at;
    let map = node.map("packages")?;
    let name = map.required("name", at)?;
    let origin = if let Some(vcs) = map.map("vcs")? {
        vcs_origin(reading, at, name, vcs)?
    } else if let Some(directory) = map.map("directory")? {
        Origin::Path(reading.path(at, name, directory.required("path", at)?)?)
    } else if let Some(archive) = map.get("archive") {
        match archive.map("archive")?.text("path")? {
            Some(path) => Origin::Path(reading.path(archive.at, name, path)?),
            None => {
                let files = vec![file(reading, archive, name)?];
                Origin::Url(pinned(reading, at, name, files).pop().unwrap_or_default())
            }
        }
    } else {
        let registry = map.text("index")?.map(|url| reading.address(at, name, url)).transpose()?;
        let mut files = Vec::new();
        for node in map.get("sdist").into_iter().chain(map.list("wheels")?) {
            files.push(file(reading, node, name)?);
        }
        Origin::Registry { registry, artifacts: pinned(reading, at, name, files) }
    };
    let mut package = locked(at, name, map.text("version")?.unwrap_or_default(), origin)?;
    package.scope.marker = map.text("marker")?.map(str::to_owned);
    package.scope.language = map.text("requires-python")?.map(str::to_owned);
    Ok(package)
}

fn vcs_origin(reading: &mut Reading<'_>, at: Position, name: &str, vcs: &Map) -> Result<Origin, Refusal> {
    let kind = vcs.required("type", at)?;
    if kind != "git" {
        let problem = PackageProblem::Origin { found: shorten(kind), expected: "`git`" };
        return Err(Refusal::package(at, name, problem));
    }
    if let Some(path) = vcs.text("path")? {
        return Ok(Origin::Path(reading.path(at, name, path)?));
    }
    Git {
        url: vcs.required("url", at)?,
        commit: vcs.text("commit-id")?,
        reference: vcs
            .text("requested-revision")?
            .map_or(GitReference::Default, |one| GitReference::Rev(one.to_owned())),
        subdirectory: vcs.text("subdirectory")?,
    }
    .origin(reading, at, name)
}

/// Reads a file: its address or path, its name if the address does not end in it, its hashes.
fn file(reading: &mut Reading<'_>, node: &Node, name: &str) -> Result<(Artifact, Digests), Refusal> {
    let map = node.map("wheels")?;
    let url = map.text("url")?.map(|url| reading.address(node.at, name, url)).transpose()?;
    let path = map.text("path")?.map(|path| reading.path(node.at, name, path)).transpose()?;
    let file = map.text("name")?.map(str::to_owned).or_else(|| file_of(url.as_deref().or(path.as_deref())?));
    let mut digests = Digests::default();
    for (algorithm, value) in map.members("hashes")? {
        let value = value.text("hashes")?;
        digests.add(algorithm, value).map_err(|problem| Refusal::package(node.at, name, problem))?;
    }
    Ok((Artifact { file, url, size: map.size("size")?, ..Artifact::default() }, digests))
}

/// A dependency is a table whose keys, taken together, fit exactly one package.
fn edges(reading: &mut Reading<'_>, list: &[Node]) -> Result<(), Refusal> {
    let by_name = by_name(&reading.packages, |package| normalized(&package.name))?;
    for (position, node) in list.iter().enumerate() {
        let mut edges = Vec::new();
        for wanted in node.map("packages")?.list("dependencies")? {
            let held = wanted.map("dependencies")?;
            let name = held.required("name", wanted.at)?;
            let version = held.text("version")?;
            let candidates = by_name.get(&normalized(name)).map(Vec::as_slice).unwrap_or_default();
            let fits = |&to: &usize| version.is_none_or(|version| reading.packages[to].version == version);
            let mut fitting = candidates.iter().copied().filter(fits);
            let (Some(to), None) = (fitting.next(), fitting.next()) else {
                let problem = PackageProblem::Dependency(shorten(name));
                return Err(Refusal::package(wanted.at, &reading.packages[position].name, problem));
            };
            edges.push(Edge::to(to));
        }
        reading.packages[position].dependencies = edges;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
