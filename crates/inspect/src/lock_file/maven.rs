//! maven-lockfile's `lockfile.json`, format 1.
//!
//! Specification: `io.github.chains-project:maven-lockfile` 5
//! <https://github.com/chains-project/maven-lockfile/blob/v5.14.2/README.md> (the format has no other).
//!
//! ```json
//! {
//!   "artifactId": "app", "groupId": "org.example", "version": "1", "lockFileVersion": 1,
//!   "dependencies": [
//!     { "groupId": "org.opentest4j", "artifactId": "opentest4j", "version": "1.2.0",
//!       "checksumAlgorithm": "SHA-256", "checksum": "58812de60898d976fb81ef3b62da05c6604c18fd4a249f5044282479fc286af2",
//!       "resolved": "https://repo.maven.apache.org/maven2/org/opentest4j/opentest4j/1.2.0/opentest4j-1.2.0.jar",
//!       "id": "org.opentest4j:opentest4j:1.2.0", "included": true, "children": [] }
//!   ]
//! }
//! ```
//!
//! **Maven itself has no lock file**: a `pom.xml` names versions (or ranges, or what a parent or BOM decides), and no
//! digests. What stands in for one is this file, which a plugin writes; without it, versions written out for every
//! dependency and plugin, and a recording of what a build of it fetches. And this file pins less than a build reads: the JARs,
//! and since version 5.12 parents and BOMs; not the POM of each dependency, and plugins only if it is asked for
//! them. So a fetch for a build without a network must add those, and pin them itself.
//!
//! The tree of the file comes to a list in which each file stands once. What another version displaced (`included`:
//! false everywhere) is left out.

use std::collections::BTreeMap;

use super::document::{Map, Node, json};
use super::finding::{PackageProblem, Position, Problem, Reason, Refusal, shorten};
use super::jvm::Coordinates;
use super::pin::{Artifact, Origin, Role};
use super::reading::{Digests, Reading, file_of, is_name, read};
use super::{Edge, Kind, LockFile, LockFileError, Need};

/// Where Maven looks unless a POM or its settings say otherwise.
const CENTRAL: [&str; 2] = ["https://repo.maven.apache.org/maven2", "https://repo1.maven.org/maven2"];

/// Parses a `lockfile.json`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Maven, file, bytes, |reading, text| {
        let document = json(text)?;
        let root = document.map("")?;
        let node =
            root.get("lockFileVersion").ok_or(Refusal::new(Position::START, Reason::Missing("lockFileVersion")))?;
        let format = node.scalar("lockFileVersion")?;
        if format != "1" {
            return Err(Refusal::new(node.at, Reason::Format { found: shorten(format), known: "1" }));
        }
        let mut list = List::default();
        // Until version 5.4 these two ended in capitals.
        let project = Entry {
            at: Position::START,
            group: root.text("groupId")?.or(root.text("groupID")?).unwrap_or_default(),
            artifact: root.text("artifactId")?.or(root.text("artifactID")?).unwrap_or_default(),
            version: root.text("version")?.unwrap_or_default(),
            classifier: "",
            kind: "",
        };
        list.project(reading, project)?;
        list.children(reading, 0, root.list("dependencies")?, &[])?;
        for plugin in root.list("mavenPlugins")? {
            list.child(reading, 0, plugin, &["plugin"])?;
        }
        if let Some(pom) = root.map("pom")? {
            list.descriptions(reading, 0, pom)?;
        }
        list.finish(reading);
        Ok(Some(format.to_owned()))
    })
}

/// Coordinates with what tells files of one version apart.
#[derive(Clone, Copy)]
struct Entry<'a> {
    at: Position,
    group: &'a str,
    artifact: &'a str,
    version: &'a str,
    classifier: &'a str,
    kind: &'a str,
}

impl<'a> Entry<'a> {
    fn of(node: &'a Node, kind: &'static str) -> Result<Entry<'a>, Refusal> {
        let map = node.map("dependencies")?;
        Ok(Entry {
            at: node.at,
            group: map.required("groupId", node.at)?,
            artifact: map.required("artifactId", node.at)?,
            version: map.required("version", node.at)?,
            classifier: map.text("classifier")?.unwrap_or_default(),
            kind: map.text("type")?.unwrap_or(kind),
        })
    }

    fn key(&self) -> String {
        [self.group, self.artifact, self.version, self.classifier, self.kind].join(":")
    }
}

/// Packages of the tree, by [`Entry::key`].
#[derive(Default)]
struct List {
    positions: BTreeMap<String, usize>,
    /// Whether any of its places in the tree takes part.
    included: Vec<bool>,
    /// Why its file is not pinned.
    problems: Vec<Option<(Position, Problem)>>,
    edges: Vec<Vec<usize>>,
}

impl List {
    fn project(&mut self, reading: &mut Reading<'_>, entry: Entry<'_>) -> Result<(), Refusal> {
        let coordinates = Coordinates::checked(entry.at, entry.group, entry.artifact, entry.version)?;
        let mut package = coordinates.locked(reading, entry.at, Origin::Workspace(String::new()));
        package.line = 1;
        let position = reading.push(entry.at, package)?;
        self.positions.insert(entry.key(), position);
        self.included.push(true);
        self.problems.push(None);
        self.edges.push(Vec::new());
        Ok(())
    }

    fn children(
        &mut self,
        reading: &mut Reading<'_>,
        parent: usize,
        nodes: &[Node],
        groups: &[&str],
    ) -> Result<(), Refusal> {
        nodes.iter().try_for_each(|node| self.child(reading, parent, node, groups))
    }

    /// Reads a package of the tree with what is below it; how deep that goes is limited where the document is read.
    fn child(&mut self, reading: &mut Reading<'_>, parent: usize, node: &Node, groups: &[&str]) -> Result<(), Refusal> {
        let map = node.map("dependencies")?;
        let entry = Entry::of(node, "")?;
        let position = self.add(reading, entry, map, Role::Package)?;
        self.included[position] |= map.get("included").is_none() || map.flag("included")?;
        self.edges[parent].push(position);
        let scope = map.text("scope")?.filter(|scope| !scope.is_empty());
        let scopes = &mut reading.packages[position].scope.groups;
        for group in scope.into_iter().chain(groups.iter().copied()) {
            if !scopes.iter().any(|held| held == group) {
                scopes.push(group.to_owned());
            }
        }
        self.children(reading, position, map.list("children")?, groups)?;
        // Plugins have theirs under another name.
        self.children(reading, position, map.list("dependencies")?, groups)?;
        self.descriptions(reading, position, map)
    }

    /// Reads parents and BOMs, of which only the POM is needed.
    fn descriptions(&mut self, reading: &mut Reading<'_>, parent: usize, map: &Map) -> Result<(), Refusal> {
        let parents = ["parentPom", "parent"].into_iter().filter_map(|key| map.get(key));
        // In the tree, `parent` is the name of what is above.
        let parents = parents.filter(|node| matches!(node.value, super::document::Value::Map(_)));
        for node in parents.chain(map.list("boms")?) {
            let held = node.map("boms")?;
            if held.text("relativePath")?.is_some_and(|path| !path.is_empty()) && held.text("resolved")?.is_none() {
                self.descriptions(reading, parent, held)?;
                continue;
            }
            let position = self.add(reading, Entry::of(node, "pom")?, held, Role::Description)?;
            self.included[position] = true;
            self.edges[parent].push(position);
            self.descriptions(reading, position, held)?;
        }
        Ok(())
    }

    fn add(&mut self, reading: &mut Reading<'_>, entry: Entry<'_>, map: &Map, role: Role) -> Result<usize, Refusal> {
        let at = entry.at;
        let coordinates = Coordinates::checked(at, entry.group, entry.artifact, entry.version)?;
        let refuse = |problem| Refusal::package(at, &coordinates.name(), problem);
        if [entry.classifier, entry.kind].iter().any(|text| !text.is_empty() && (!is_name(text) || text.contains('/')))
        {
            return Err(refuse(PackageProblem::Name));
        }
        let mut digests = Digests::default();
        let checksum = map.text("checksum")?.unwrap_or_default();
        if !checksum.is_empty() {
            let algorithm = map.text("checksumAlgorithm")?.unwrap_or("SHA-256").to_lowercase().replace('-', "");
            digests.add(&algorithm, checksum).map_err(refuse)?;
        }
        if let Some(&position) = self.positions.get(&entry.key()) {
            let held: Vec<_> = reading.packages[position].origin.digests().copied().collect();
            let is_project = matches!(reading.packages[position].origin, Origin::Workspace(_));
            if !is_project && digests.problem().is_none() && !held.is_empty() && !digests.are(&held) {
                return Err(refuse(PackageProblem::Digest(shorten(checksum))));
            }
            return Ok(position);
        }
        let url = map.text("resolved")?.filter(|url| !url.is_empty());
        let url = url.map(|url| reading.address(at, &coordinates.name(), url)).transpose()?;
        let problem = digests.problem().map(|problem| (at, problem));
        let pins = if problem.is_none() { reading.pins(at, &coordinates.name(), digests) } else { Vec::new() };
        let registry = url.as_deref().and_then(|url| registry_of(url, coordinates)).map(str::to_owned);
        let file = url.as_deref().and_then(file_of);
        // An address that no repository would have for it says itself where the file is from.
        let elsewhere = url.is_some() && registry.is_none();
        let artifact = Artifact { role, file, url, size: None, pins };
        let origin = match elsewhere {
            true => Origin::Url(artifact),
            false => Origin::Registry {
                registry: registry.filter(|registry| !CENTRAL.contains(&registry.as_str())),
                artifacts: vec![artifact],
            },
        };
        let mut package = coordinates.locked(reading, at, origin);
        for (key, value) in [("classifier", entry.classifier), ("type", entry.kind)] {
            if !value.is_empty() {
                package.purl = package.purl.with(key, value);
            }
        }
        let position = reading.push(at, package)?;
        self.positions.insert(entry.key(), position);
        self.included.push(false);
        self.problems.push(problem);
        self.edges.push(Vec::new());
        Ok(position)
    }

    /// Takes out what is nowhere included, and turns places of the tree into edges.
    fn finish(self, reading: &mut Reading<'_>) {
        let mut kept = 0;
        let new: Vec<Option<usize>> = self
            .included
            .iter()
            .map(|&included| {
                kept += usize::from(included);
                included.then(|| kept - 1)
            })
            .collect();
        let packages = std::mem::take(&mut reading.packages);
        let rest = self.edges.into_iter().zip(self.problems);
        for ((mut package, (mut edges, problem)), position) in packages.into_iter().zip(rest).zip(&new) {
            if position.is_none() {
                continue;
            }
            if let Some((at, problem)) = problem {
                reading.found(at, &package.name, problem);
            }
            edges.sort_unstable();
            edges.dedup();
            package.dependencies = edges.into_iter().filter_map(|to| new[to]).map(Edge::to).collect();
            let only_tests =
                !package.scope.groups.is_empty() && package.scope.groups.iter().all(|group| group == "test");
            package.scope.need = if only_tests { Need::Dev } else { Need::Always };
            reading.packages.push(package);
        }
    }
}

/// Repositories keep files at `REPOSITORY/GROUP/AS/PATH/ARTIFACT/VERSION/…`.
fn registry_of<'a>(url: &'a str, coordinates: Coordinates<'_>) -> Option<&'a str> {
    let Coordinates { group, artifact, version } = coordinates;
    let path = format!("/{}/{artifact}/{version}/", group.replace('.', "/"));
    url.rfind(&path).map(|at| &url[..at])
}

#[cfg(test)]
mod tests;
