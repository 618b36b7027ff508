//! npm's `package-lock.json` and `npm-shrinkwrap.json`, `lockfileVersion` 1 to 3.
//!
//! Specification: npm 11, `package-lock.json`
//! <https://github.com/npm/cli/blob/v11.6.2/docs/lib/content/configuring-npm/package-lock-json.md>.
//!
//! ```json
//! {
//!   "lockfileVersion": 3,
//!   "packages": {
//!     "": { "name": "app", "version": "1.0.0", "dependencies": { "ms": "2.1.3" } },
//!     "node_modules/ms": {
//!       "version": "2.1.3",
//!       "resolved": "https://registry.npmjs.org/ms/-/ms-2.1.3.tgz",
//!       "integrity": "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="
//!     }
//!   }
//! }
//! ```
//!
//! Each directory of a `node_modules` is one package of the list, so the same version may stand in it more than once.
//! Of format 2, which holds everything twice, only `packages` is read, as npm 7 and newer do. A dependency that is
//! nowhere in the file is left out of the edges: optional ones and those inside bundles are often missing.

mod nested;

use std::collections::BTreeMap;

use super::document::{Map, json};
use super::finding::{PackageProblem, Position, Reason, Refusal, shorten};
use super::javascript::{self, Subject, is_package_name, origin};
use super::pin::Origin;
use super::reading::{Digests, Reading, read, room};
use super::{Edge, Kind, LockFile, LockFileError, Locked, Need, Scope};

/// The longest path of a directory in the file: what can be made on Linux at all.
const PLACE_MAX: usize = 4096;

/// How deep a directory may lie; a level of `node_modules` has up to three parts.
const PLACE_PARTS_MAX: usize = 192;

/// Parses a `package-lock.json`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Npm, file, bytes, |reading, text| {
        let document = json(text)?;
        let root = document.map("")?;
        let format = match root.get("lockfileVersion") {
            // npm 4 and older wrote shrinkwraps without one, in the shape of 1.
            None => "1",
            Some(node) => match node.scalar("lockfileVersion")? {
                known @ ("1" | "2" | "3") => known,
                other => {
                    let reason = Reason::Format { found: shorten(other), known: "1 to 3" };
                    return Err(Refusal::new(node.at, reason));
                }
            },
        };
        let entries = match format {
            "1" => nested::entries(root)?,
            _ => flat(root)?,
        };
        list(reading, &entries)?;
        Ok(Some(format.to_owned()))
    })
}

/// A directory that holds a package.
struct Entry<'a> {
    at: Position,
    /// `node_modules/a/node_modules/@b/c`, `packages/d`; `""` is the project.
    place: String,
    /// The name, if it is not that of the directory.
    name: Option<&'a str>,
    version: &'a str,
    resolved: Option<&'a str>,
    integrity: Option<&'a str>,
    /// The directory that a link leads to.
    link: Option<String>,
    bundled: bool,
    /// Names that it needs.
    wants: Vec<&'a str>,
    scope: Scope,
}

impl Entry<'_> {
    /// Returns the name of the package: its own, or that of the directory below the last `node_modules`.
    fn name(&self) -> &str {
        let below = self.place.rsplit_once("node_modules/").map(|(_, name)| name);
        self.name.or(below).unwrap_or_else(|| self.place.rsplit('/').next().unwrap_or_default())
    }

    fn is_installed(&self) -> bool {
        self.place.starts_with("node_modules/") || self.place.contains("/node_modules/")
    }
}

fn flat(root: &Map) -> Result<Vec<Entry<'_>>, Refusal> {
    let packages = root.get("packages").ok_or(Refusal::new(Position::START, Reason::Missing("packages")))?;
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut has_workspaces = false;
    let mut members: Vec<&str> = Vec::new();
    for (place, node) in packages.map("packages")?.iter() {
        let map = node.map(place)?;
        room(entries.len(), node.at)?;
        if place.len() > PLACE_MAX || place.split('/').count() > PLACE_PARTS_MAX {
            return Err(Refusal::package(node.at, place, PackageProblem::Name));
        }
        let link = match map.flag("link")? {
            true => {
                members.extend(place.strip_prefix("node_modules/"));
                Some(map.required("resolved", node.at)?.to_owned())
            }
            false => None,
        };
        let name = match (place, map.text("name")?) {
            ("", None) => root.text("name")?,
            (_, name) => name,
        };
        if place.is_empty() {
            has_workspaces = map.get("workspaces").is_some();
        }
        entries.push(Entry {
            at: node.at,
            place: place.to_owned(),
            name,
            version: map.text("version")?.unwrap_or_default(),
            resolved: map.text("resolved")?,
            integrity: map.text("integrity")?,
            link,
            bundled: map.flag("inBundle")?,
            wants: wants(map)?,
            scope: scope(map)?,
        });
    }
    // The project needs its members, though no dependency of it may say so.
    let project = entries.iter_mut().find(|entry| entry.place.is_empty());
    if let Some(project) = project.filter(|_| has_workspaces) {
        project.wants.extend(members);
        project.wants.sort_unstable();
        project.wants.dedup();
    }
    Ok(entries)
}

fn wants(map: &Map) -> Result<Vec<&str>, Refusal> {
    let mut names = Vec::new();
    for key in ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"] {
        for (name, _) in map.members(key)? {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

fn scope(map: &Map) -> Result<Scope, Refusal> {
    let need = match (map.flag("dev")?, map.flag("optional")?, map.flag("devOptional")?) {
        (_, _, true) => Need::DevOrOptional,
        (true, true, false) => Need::DevAndOptional,
        (true, false, false) => Need::Dev,
        (false, true, false) => Need::Optional,
        (false, false, false) => Need::Always,
    };
    let language = engine(map);
    Ok(Scope {
        need,
        peer: map.flag("peer")?,
        os: map.texts("os")?,
        cpu: map.texts("cpu")?,
        libc: map.texts("libc")?,
        language,
        ..Scope::default()
    })
}

/// Returns the versions of node that it is for. What authors write there has any shape, so others are let pass.
pub(super) fn engine(map: &Map) -> Option<String> {
    map.map("engines").ok().flatten()?.text("node").ok().flatten().map(str::to_owned)
}

/// Turns directories into packages. Links are no packages, but lead to one.
fn list(reading: &mut Reading<'_>, entries: &[Entry<'_>]) -> Result<(), Refusal> {
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    let mut links: Vec<&Entry<'_>> = Vec::new();
    let mut packages: Vec<&Entry<'_>> = Vec::new();
    for entry in entries {
        match &entry.link {
            Some(_) => links.push(entry),
            // A project without a name is nothing that could be named.
            None if entry.place.is_empty() && entry.name.is_none_or(str::is_empty) => {}
            None if positions.insert(&entry.place, packages.len()).is_some() => {
                return Err(Refusal::package(entry.at, entry.name(), PackageProblem::Twice));
            }
            None => packages.push(entry),
        }
    }
    for link in &links {
        let target = link.link.as_deref().unwrap_or_default();
        let path = reading.path(link.at, link.name(), target)?;
        if let Some(&position) = positions.get(path.as_str()) {
            positions.insert(&link.place, position);
        }
    }
    for entry in &packages {
        let locked = locked(reading, entry, &packages, &positions)?;
        reading.push(entry.at, locked)?;
    }
    Ok(())
}

fn locked(
    reading: &mut Reading<'_>,
    entry: &Entry<'_>,
    packages: &[&Entry<'_>],
    positions: &BTreeMap<&str, usize>,
) -> Result<Locked, Refusal> {
    let name = entry.name();
    let subject = Subject { at: entry.at, name };
    if !is_package_name(name) {
        return Err(subject.refuse(PackageProblem::Name));
    }
    let origin = origin_of(reading, entry, subject, packages, positions)?;
    let mut package = javascript::locked(subject, entry.version, origin)?;
    let edges = entry.wants.iter().filter_map(|wanted| resolve(&entry.place, wanted, positions)).map(Edge::to);
    package.dependencies = edges.collect();
    package.scope = entry.scope.clone();
    package.installed = entry.is_installed().then(|| entry.place.clone());
    Ok(package)
}

fn origin_of(
    reading: &mut Reading<'_>,
    entry: &Entry<'_>,
    subject: Subject<'_>,
    packages: &[&Entry<'_>],
    positions: &BTreeMap<&str, usize>,
) -> Result<Origin, Refusal> {
    if !entry.is_installed() {
        return Ok(Origin::Workspace(reading.path(entry.at, subject.name, &entry.place)?));
    }
    if super::reading::leads_out(&entry.place) {
        return Err(subject.refuse(PackageProblem::Name));
    }
    if entry.bundled && entry.resolved.is_none() && entry.integrity.is_none() {
        let bundler = above(&entry.place).filter_map(|place| positions.get(place).copied());
        let mut bundler = bundler.filter(|&position| !packages[position].bundled && packages[position].is_installed());
        if let Some(position) = bundler.next() {
            return Ok(Origin::Bundled(position));
        }
    }
    let digests = entry.integrity.map(Digests::of_sri).transpose().map_err(|problem| subject.refuse(problem))?;
    origin(reading, subject, entry.resolved, digests.unwrap_or_default())
}

/// Returns the directories above, innermost first, the project last.
fn above(place: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(place), |place| {
        (!place.is_empty()).then(|| place.rsplit_once('/').map_or("", |(above, _)| above))
    })
    .skip(1)
}

/// Finds a dependency as node does: in the `node_modules` of the directory itself, then of each above.
fn resolve(place: &str, wanted: &str, positions: &BTreeMap<&str, usize>) -> Option<usize> {
    std::iter::once(place).chain(above(place)).find_map(|directory| {
        let candidate = match directory {
            "" => format!("node_modules/{wanted}"),
            directory => format!("{directory}/node_modules/{wanted}"),
        };
        positions.get(candidate.as_str()).copied()
    })
}

#[cfg(test)]
mod tests;
