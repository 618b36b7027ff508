//! pnpm's `pnpm-lock.yaml`, lockfile versions 6 and 9.
//!
//! Specification: pnpm, "lockfile" <https://github.com/pnpm/spec/tree/HEAD/lockfile>, and
//! `lockfile/types/src/index.ts` of pnpm 9 <https://github.com/pnpm/pnpm/blob/v9.15.9/lockfile/types/src/index.ts>.
//!
//! ```yaml
//! lockfileVersion: '9.0'
//! importers:
//!   .:
//!     dependencies:
//!       debug: { specifier: 4.3.4, version: 4.3.4 }
//! packages:
//!   debug@4.3.4:
//!     resolution: {integrity: sha512-PRWFHuSU3eDtQJPvnNY7Jcket1j0t5OuOsFzPPzsekD52Zl8qUfFIPEiswXqIvHWGVHOgX+7G/vCNNhehwxfkQ==}
//! snapshots:
//!   debug@4.3.4:
//!     dependencies: { ms: 2.1.2 }
//! ```
//!
//! One package may be installed several times, with other peers: it stands here once, with the dependencies of all.
//! The members of a workspace (`importers`) have no names in the file, so they are packages here only where another
//! member links to them by name.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Map, Node, text_of, yaml};
use super::finding::{PackageProblem, Position, Reason, Refusal, shorten};
use super::javascript::{Asked, Subject, git_at, is_package_name, locked, origin};
use super::pin::Origin;
use super::reading::{Digests, Reading, read};
use super::yarn::split_name;
use super::{Edge, Kind, LockFile, LockFileError, Need, Scope};

/// Parses a `pnpm-lock.yaml`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Pnpm, file, bytes, |reading, text| {
        let document = yaml(text)?;
        let root = document.map("")?;
        let version = root.get("lockfileVersion");
        let version = version.ok_or(Refusal::new(Position::START, Reason::Missing("lockfileVersion")))?;
        let format = version.scalar("lockfileVersion")?;
        let known = match format.split('.').next() {
            Some("6") => Format::Six,
            Some("9") => Format::Nine,
            _ => return Err(Refusal::new(version.at, Reason::Format { found: shorten(format), known: "6 and 9" })),
        };
        let mut list = List { format: known, positions: BTreeMap::new(), optional: Vec::new() };
        list.packages(reading, root)?;
        list.members(reading, root)?;
        list.edges(reading, root)?;
        list.needs(reading, root)?;
        Ok(Some(format.to_owned()))
    })
}

/// Returns what the members of the workspace ask for, as the file repeats it; `None` where overrides or hooks replace that.
pub fn asked(file: &str, bytes: &[u8]) -> Result<Option<Asked>, LockFileError> {
    let read = || {
        let document = yaml(text_of(bytes)?)?;
        let root = document.map("")?;
        if root.get("overrides").is_some() || root.get("pnpmfileChecksum").is_some() {
            return Ok(None);
        }
        let mut asked = Asked::new();
        for (directory, member) in importers(root)? {
            let mut names = BTreeMap::new();
            for group in ["dependencies", "optionalDependencies", "devDependencies"] {
                for (name, node) in member.members(group)? {
                    let specifier = node.map(name)?.text("specifier")?.unwrap_or_default();
                    names.insert(name.to_owned(), specifier.to_owned());
                }
            }
            asked.insert(directory.to_owned(), names);
        }
        Ok(Some(asked))
    };
    read().map_err(|refusal: Refusal| refusal.in_file(file))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Six,
    Nine,
}

struct List {
    format: Format,
    /// Packages by key without peers, and members of the workspace as `link:DIRECTORY`.
    positions: BTreeMap<String, usize>,
    /// For each package of version 9, whether all its snapshots are optional.
    optional: Vec<Option<bool>>,
}

/// Takes the peers off a key: `a@1.0.0(b@2.0.0)`.
fn without_peers(key: &str) -> &str {
    key.split('(').next().unwrap_or(key)
}

impl List {
    fn packages(&mut self, reading: &mut Reading<'_>, root: &Map) -> Result<(), Refusal> {
        for (key, node) in root.members("packages")? {
            let base = without_peers(key);
            let map = node.map(key)?;
            let (name, version) = self.identity(node, base, map)?;
            let subject = Subject { at: node.at, name };
            if !is_package_name(name) {
                return Err(subject.refuse(PackageProblem::Name));
            }
            let origin = resolution(reading, subject, map)?;
            let mut package = locked(subject, version, origin)?;
            package.scope = scope(map)?;
            match self.positions.get(base).map(|&position| &mut reading.packages[position]) {
                Some(held) if held.origin == package.origin => {
                    held.scope.need = held.scope.need.min(package.scope.need)
                }
                Some(_) => return Err(subject.refuse(PackageProblem::Twice)),
                None => {
                    let position = reading.push(node.at, package)?;
                    self.positions.insert(base.to_owned(), position);
                }
            }
        }
        Ok(())
    }

    /// Returns name and version: from the key for a registry's package, from the entry for others.
    fn identity<'a>(&self, node: &Node, base: &'a str, map: &'a Map) -> Result<(&'a str, &'a str), Refusal> {
        let named = map.text("name")?;
        let spelled = map.scalar("version")?;
        let plain = if self.format == Format::Six { base.strip_prefix('/') } else { Some(base) };
        match (named, plain.and_then(split_name)) {
            (Some(name), _) => Ok((name, spelled.unwrap_or_default())),
            (None, Some((name, rest))) => {
                let from_registry = !rest.contains([':', '/']);
                Ok((name, spelled.unwrap_or(if from_registry { rest } else { "" })))
            }
            (None, None) => Err(Refusal::package(node.at, base, PackageProblem::Name)),
        }
    }

    /// Makes packages of the members that another one links to.
    fn members(&mut self, reading: &mut Reading<'_>, root: &Map) -> Result<(), Refusal> {
        let directories: BTreeSet<&str> = root.members("importers")?.map(|(directory, _)| directory).collect();
        for (directory, node) in importers(root)? {
            for wanted in dependencies(node)? {
                let name = wanted.name;
                let Some(path) = wanted.text.strip_prefix("link:") else { continue };
                let subject = Subject { at: wanted.at, name };
                let Some(target) = joined(directory, path) else {
                    reading.path(wanted.at, name, &format!("{directory}/{path}"))?;
                    continue;
                };
                let key = format!("link:{target}");
                if self.positions.contains_key(&key) {
                    continue;
                }
                if !is_package_name(name) {
                    return Err(subject.refuse(PackageProblem::Name));
                }
                let origin = match directories.contains(target.as_str()) {
                    true if target == "." => Origin::Workspace(String::new()),
                    true => Origin::Workspace(target.clone()),
                    false => Origin::Path(target.clone()),
                };
                let position = reading.push(wanted.at, locked(subject, "", origin)?)?;
                self.positions.insert(key, position);
            }
        }
        Ok(())
    }

    /// Finds the package that `name: reference` of a member in `directory` means.
    fn find(&self, directory: &str, name: &str, reference: &str) -> Option<usize> {
        if let Some(path) = reference.strip_prefix("link:") {
            return self.positions.get(&format!("link:{}", joined(directory, path)?)).copied();
        }
        let reference = without_peers(reference);
        let of_name = match self.format {
            Format::Six => format!("/{name}@{reference}"),
            Format::Nine => format!("{name}@{reference}"),
        };
        // An alias names the key of the package itself.
        self.positions.get(&of_name).or_else(|| self.positions.get(reference)).copied()
    }

    fn edges(&mut self, reading: &mut Reading<'_>, root: &Map) -> Result<(), Refusal> {
        let key = if self.format == Format::Six { "packages" } else { "snapshots" };
        self.optional = vec![None; reading.packages.len()];
        let mut edges: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); reading.packages.len()];
        for (key, node) in root.members(key)? {
            let Some(&position) = self.positions.get(without_peers(key)) else {
                let problem = PackageProblem::Dependency(shorten(key));
                return Err(Refusal::package(node.at, key, problem));
            };
            let map = node.map(key)?;
            let optional = map.flag("optional")?;
            self.optional[position] = Some(self.optional[position].unwrap_or(true) && optional);
            for wanted in dependencies(map)? {
                let name = wanted.name;
                let optional = wanted.group == "optionalDependencies";
                match self.find(".", name, wanted.text) {
                    Some(to) => drop(edges[position].insert(to)),
                    None if optional || wanted.text.starts_with("link:") => {}
                    None => {
                        let problem = PackageProblem::Dependency(format!("{}@{}", shorten(name), shorten(wanted.text)));
                        return Err(Refusal::package(wanted.at, &reading.packages[position].name, problem));
                    }
                }
            }
        }
        for (directory, node) in importers(root)? {
            let Some(&position) = self.positions.get(&format!("link:{directory}")) else { continue };
            for wanted in dependencies(node)? {
                edges[position].extend(self.find(directory, wanted.name, wanted.text));
            }
        }
        for (package, edges) in reading.packages.iter_mut().zip(edges) {
            package.dependencies = edges.into_iter().map(Edge::to).collect();
        }
        Ok(())
    }

    /// Version 9 does not say what is for development only, so it is what no other dependency leads to.
    fn needs(&self, reading: &mut Reading<'_>, root: &Map) -> Result<(), Refusal> {
        if self.format == Format::Six {
            return Ok(());
        }
        let mut always = vec![false; reading.packages.len()];
        let mut next: Vec<usize> = Vec::new();
        for (directory, node) in importers(root)? {
            for wanted in dependencies(node)?.iter().filter(|wanted| wanted.group != "devDependencies") {
                next.extend(self.find(directory, wanted.name, wanted.text));
            }
        }
        while let Some(position) = next.pop() {
            if !std::mem::replace(&mut always[position], true) {
                next.extend(reading.packages[position].dependencies.iter().map(|edge| edge.to));
            }
        }
        for (position, package) in reading.packages.iter_mut().enumerate() {
            let optional = self.optional[position] == Some(true);
            package.scope.need = match (always[position], optional) {
                (true, false) => Need::Always,
                (true, true) => Need::Optional,
                (false, false) => Need::Dev,
                (false, true) => Need::DevAndOptional,
            };
        }
        Ok(())
    }
}

/// Returns the members of the workspace; a file of version 6 without any keeps the only one at the top.
fn importers(root: &Map) -> Result<Vec<(&str, &Map)>, Refusal> {
    match root.map("importers")? {
        Some(importers) => importers.iter().map(|(directory, node)| Ok((directory, node.map(directory)?))).collect(),
        None => Ok(vec![(".", root)]),
    }
}

/// What a dependency names, and in which group.
struct Wanted<'a> {
    at: Position,
    name: &'a str,
    group: &'static str,
    text: &'a str,
}

/// Lists the dependencies of a member or package: in a member they are tables, in a package texts.
fn dependencies(map: &Map) -> Result<Vec<Wanted<'_>>, Refusal> {
    let mut out = Vec::new();
    for group in ["dependencies", "optionalDependencies", "devDependencies"] {
        for (name, node) in map.members(group)? {
            let text = match &node.value {
                super::document::Value::Map(map) => map.scalar("version")?.unwrap_or_default(),
                _ => node.scalar(name)?,
            };
            out.push(Wanted { at: node.at, name, group, text });
        }
    }
    Ok(out)
}

/// Joins a path to the directory of a member; `None` if it leads out of the project.
fn joined(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    if path.starts_with('/') {
        return None;
    }
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

fn resolution(reading: &mut Reading<'_>, subject: Subject<'_>, map: &Map) -> Result<Origin, Refusal> {
    let node = map.get("resolution").ok_or(Refusal::new(subject.at, Reason::Missing("resolution")))?;
    let resolution = node.map("resolution")?;
    if let Some(repository) = resolution.text("repo")? {
        let url = reading.address(subject.at, subject.name, &super::javascript::git_url(repository))?;
        let path = resolution.text("path")?.map(|path| path.trim_matches('/').to_owned());
        return git_at(reading, subject, url, resolution.scalar("commit")?.unwrap_or_default(), path);
    }
    if let Some(path) = resolution.text("directory")? {
        return Ok(Origin::Path(reading.path(subject.at, subject.name, path)?));
    }
    let digests = resolution.text("integrity")?.map(Digests::of_sri).transpose();
    let digests = digests.map_err(|problem| subject.refuse(problem))?;
    origin(reading, subject, resolution.text("tarball")?, digests.unwrap_or_default())
}

fn scope(map: &Map) -> Result<Scope, Refusal> {
    let need = match (map.flag("dev")?, map.flag("optional")?) {
        (false, false) => Need::Always,
        (true, false) => Need::Dev,
        (false, true) => Need::Optional,
        (true, true) => Need::DevAndOptional,
    };
    let language = super::npm::engine(map);
    Ok(Scope {
        need,
        os: map.texts("os")?,
        cpu: map.texts("cpu")?,
        libc: map.texts("libc")?,
        language,
        ..Scope::default()
    })
}

#[cfg(test)]
mod tests;
