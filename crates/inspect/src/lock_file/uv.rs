//! uv's `uv.lock`, version 1.
//!
//! Specification: uv, `crates/uv-resolver/src/lock/mod.rs`
//! <https://github.com/astral-sh/uv/blob/0.9.0/crates/uv-resolver/src/lock/mod.rs> (the format has no other).
//!
//! ```text
//! version = 1
//!
//! [[package]]
//! name = "iniconfig"
//! version = "2.0.0"
//! source = { registry = "https://pypi.org/simple" }
//! sdist = { url = "https://files.pythonhosted.org/packages/d7/4b/…/iniconfig-2.0.0.tar.gz", hash = "sha256:2d91…" }
//! wheels = [
//!     { url = "https://files.pythonhosted.org/packages/ef/a6/…/iniconfig-2.0.0-py3-none-any.whl", hash = "sha256:b6a8…" },
//! ]
//! ```
//!
//! Files without a hash, as some indexes have them, are left out where another file of the package has one.

use super::document::{Map, Node, toml};
use super::finding::{PackageProblem, Position, Reason, Refusal, shorten};
use super::pin::{Artifact, GitReference, Origin};
use super::python::{Git, locked, normalized, pinned};
use super::reading::{Digests, Reading, by_name, file_of, read};
use super::{Condition, Edge, Kind, LockFile, LockFileError};

/// Parses a `uv.lock`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Uv, file, bytes, |reading, text| {
        let document = toml(text)?;
        let root = document.map("")?;
        let version = root.get("version").ok_or(Refusal::new(Position::START, Reason::Missing("version")))?;
        if version.scalar("version")? != "1" {
            let found = shorten(version.scalar("version")?);
            return Err(Refusal::new(version.at, Reason::Format { found, known: "1" }));
        }
        let list = root.list("package")?;
        let mut sources = Vec::with_capacity(list.len());
        for node in list {
            let map = node.map("package")?;
            let source = Source::of(node, map)?;
            let package = package(reading, node, map, &source)?;
            reading.push(node.at, package)?;
            sources.push(source);
        }
        edges(reading, list, &sources)?;
        Ok(Some("1".to_owned()))
    })
}

/// What a package is told by, where name and version are not enough.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Source<'a> {
    kind: &'a str,
    value: &'a str,
    subdirectory: Option<&'a str>,
}

const KINDS: [&str; 7] = ["registry", "git", "url", "path", "directory", "editable", "virtual"];

impl<'a> Source<'a> {
    fn of(node: &Node, map: &'a Map) -> Result<Source<'a>, Refusal> {
        let held = map.get("source").ok_or(Refusal::new(node.at, Reason::Missing("source")))?;
        let source = held.map("source")?;
        for kind in KINDS {
            if let Some(value) = source.text(kind)? {
                return Ok(Source { kind, value, subdirectory: source.text("subdirectory")? });
            }
        }
        let name = map.text("name")?.unwrap_or_default();
        let found = source.iter().map(|(key, _)| key).collect::<Vec<_>>().join(", ");
        let expected = "`registry`, `git`, `url`, `path`, `directory`, `editable` or `virtual`";
        Err(Refusal::package(held.at, name, PackageProblem::Origin { found: shorten(&found), expected }))
    }
}

fn package(reading: &mut Reading<'_>, node: &Node, map: &Map, source: &Source<'_>) -> Result<super::Locked, Refusal> {
    let at = node.at;
    let name = map.required("name", at)?;
    let version = map.text("version")?.unwrap_or_default();
    let origin = match source.kind {
        "registry" => {
            let registry = match source.value.contains("://") {
                true => reading.address(at, name, source.value)?,
                false => reading.path(at, name, source.value)?,
            };
            let files = files(reading, name, map)?;
            Origin::Registry { registry: Some(registry), artifacts: pinned(reading, at, name, files) }
        }
        "git" => git(reading, at, name, source)?,
        "url" => {
            let url = reading.address(at, name, source.value)?;
            let files = files(reading, name, map)?;
            let artifact = pinned(reading, at, name, files).pop().unwrap_or_default();
            Origin::Url(Artifact { file: file_of(&url), url: Some(url), ..artifact })
        }
        "path" | "directory" => Origin::Path(reading.path(at, name, source.value)?),
        _ => {
            let path = reading.path(at, name, source.value)?;
            Origin::Workspace(if path == "." { String::new() } else { path })
        }
    };
    let mut package = locked(at, name, version, origin)?;
    let markers = map.texts("resolution-markers")?;
    package.scope.marker = match &markers[..] {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(several.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" or ")),
    };
    Ok(package)
}

/// Reads the source archive and the wheels.
fn files(reading: &mut Reading<'_>, name: &str, map: &Map) -> Result<Vec<(Artifact, Digests)>, Refusal> {
    let mut files = Vec::new();
    for node in map.get("sdist").into_iter().chain(map.list("wheels")?) {
        let held = node.map("wheels")?;
        let url = held.text("url")?.map(|url| reading.address(node.at, name, url)).transpose()?;
        let path = held.text("path")?.map(|path| reading.path(node.at, name, path)).transpose()?;
        let file = held.text("filename")?.map(str::to_owned).or_else(|| file_of(url.as_deref().or(path.as_deref())?));
        let digests = match held.text("hash")? {
            Some(hash) => Digests::of_hex(hash).map_err(|problem| Refusal::package(node.at, name, problem))?,
            None => Digests::default(),
        };
        files.push((Artifact { file, url, size: held.size("size")?, ..Artifact::default() }, digests));
    }
    Ok(files)
}

/// Reads `URL?branch=NAME&subdirectory=DIR#COMMIT`.
fn git(reading: &mut Reading<'_>, at: Position, name: &str, source: &Source<'_>) -> Result<Origin, Refusal> {
    let (address, commit) =
        source.value.split_once('#').map_or((source.value, None), |(url, commit)| (url, Some(commit)));
    let (url, query) = address.split_once('?').unwrap_or((address, ""));
    let mut git = Git { url, commit, reference: GitReference::Default, subdirectory: source.subdirectory };
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("branch", value)) => git.reference = GitReference::Branch(value.to_owned()),
            Some(("tag", value)) => git.reference = GitReference::Tag(value.to_owned()),
            Some(("rev", value)) => git.reference = GitReference::Rev(value.to_owned()),
            Some(("subdirectory", value)) => git.subdirectory = Some(value),
            _ => {}
        }
    }
    git.origin(reading, at, name)
}

fn edges(reading: &mut Reading<'_>, list: &[Node], sources: &[Source<'_>]) -> Result<(), Refusal> {
    let by_name = by_name(&reading.packages, |package| normalized(&package.name))?;
    for (position, node) in list.iter().enumerate() {
        let map = node.map("package")?;
        let mut wanted: Vec<(&Node, Option<Condition>)> =
            map.list("dependencies")?.iter().map(|one| (one, None)).collect();
        for (key, condition) in [
            ("optional-dependencies", Condition::Extra as fn(String) -> Condition),
            ("dev-dependencies", Condition::Group),
        ] {
            for (name, members) in map.members(key)? {
                wanted.extend(members.list(key)?.iter().map(|one| (one, Some(condition(name.to_owned())))));
            }
        }
        let mut edges = Vec::with_capacity(wanted.len());
        for (node, only) in wanted {
            let held = node.map("dependencies")?;
            let name = held.required("name", node.at)?;
            let version = held.text("version")?;
            let source = held.get("source").map(|_| Source::of(node, held)).transpose()?;
            let fitting = |&position: &usize| {
                version.is_none_or(|version| reading.packages[position].version == version)
                    && source.is_none_or(|source| sources[position] == source)
            };
            let candidates = by_name.get(&normalized(name)).map(Vec::as_slice).unwrap_or_default();
            let mut fitting = candidates.iter().copied().filter(fitting);
            let (Some(to), None) = (fitting.next(), fitting.next()) else {
                let problem = PackageProblem::Dependency(shorten(name));
                return Err(Refusal::package(node.at, &reading.packages[position].name, problem));
            };
            edges.push(Edge { to, marker: held.text("marker")?.map(str::to_owned), only });
        }
        reading.packages[position].dependencies = edges;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
