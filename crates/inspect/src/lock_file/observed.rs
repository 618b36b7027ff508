//! Which packages of a lock file a build read, from the paths that it read.
//!
//! A lock file says what may be used, a trace what was: a bill of materials can say both. Paths come as the traced
//! build saw them; nothing here looks at a disk. Where package managers put things:
//!
//! ```text
//! node_modules/a/node_modules/b/index.js              npm: each place stands in the lock file
//! node_modules/.pnpm/b@1.0.0/node_modules/b/index.js  pnpm
//! .yarn/cache/b-npm-1.0.0-0123456789-abcdef.zip       yarn, berry's cache
//! lib/python3.12/site-packages/b-1.0.0.dist-info/…    Python; other files by their RECORD
//! registry/src/index.crates.io-…/b-1.0.0/src/lib.rs   cargo; vendor/b-1.0.0/…
//! pkg/mod/example.org/b@v1.0.0/b.go                   Go; vendor/example.org/b/…
//! repository/org/example/b/1.0.0/b-1.0.0.jar          Maven
//! files-2.1/org.example/b/1.0.0/0123…/b-1.0.0.jar     Gradle
//! ```
//!
//! A path that shows a name and no version belongs to each locked version of it, so it settles none if there are
//! several. To read a description (a `go.mod` in Go's cache, a POM, the `Cargo.toml` and the checksums that cargo reads of
//! every crate of a directory, a `package.json`) is to choose, not to use.

mod java;
mod javascript;

use std::collections::{BTreeMap, BTreeSet};

use super::go::escaped;
use super::pin::{Origin, Role};
use super::python::normalized;
use super::{Kind, LockFile};

/// What a build read of a lock file's packages, as positions in [`LockFile::packages`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Packages that were read.
    pub read: BTreeSet<usize>,
    /// Packages of which one of several versions was read, and the paths don't tell which.
    pub perhaps: BTreeSet<usize>,
    /// Packages of which only the description was read.
    pub described: BTreeSet<usize>,
    /// Names of packages, or what stands in their place, that lay where packages lie and are not in the lock file.
    pub unlocked: BTreeSet<String>,
}

/// Whose a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The package at this position.
    Package(usize),
    /// One of several versions of a package.
    OneOf(Vec<usize>),
    /// The description of the package at this position.
    Description(usize),
    /// Something that lies where packages lie, and is not in the lock file.
    Unlocked(String),
    /// Nobody's: no place where packages lie.
    None,
}

/// Finds the owners of paths for one lock file.
pub struct Owners<'a> {
    lock: &'a LockFile,
    /// The project's directory, without a slash at the end.
    project: &'a str,
    by_name: BTreeMap<String, Vec<usize>>,
    /// Packages by their directory, relative to the project.
    by_place: BTreeMap<&'a str, usize>,
    /// Packages by the name of a file that they can be fetched as.
    by_file: BTreeMap<&'a str, Vec<usize>>,
    /// Files of Python's packages, by the path as the build saw it.
    records: BTreeMap<String, usize>,
}

impl<'a> Owners<'a> {
    /// Prepares for paths of a build whose project lay at `project`.
    pub fn new(lock: &'a LockFile, project: &'a str) -> Owners<'a> {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut by_place = BTreeMap::new();
        let mut by_file: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (position, package) in lock.packages.iter().enumerate() {
            by_name.entry(key(lock.kind, &package.name)).or_default().push(position);
            by_place.extend(package.installed.as_deref().map(|place| (place, position)));
            if let Origin::Workspace(path) | Origin::Path(path) = &package.origin
                && !path.is_empty()
            {
                by_place.insert(path.as_str(), position);
            }
            for artifact in package.origin.artifacts().iter().filter(|artifact| artifact.role == Role::Package) {
                let file = artifact.file.as_deref().filter(|file| !file.contains('/'));
                by_file.entry(file.unwrap_or_default()).or_default().push(position);
            }
        }
        by_file.remove("");
        Owners { lock, project: project.trim_end_matches('/'), by_name, by_place, by_file, records: BTreeMap::new() }
    }

    /// Adds the files of an installed Python package: `record` is its `RECORD`, found at
    /// `SITE_PACKAGES/NAME-VERSION.dist-info/RECORD`. Says nothing if the package is not in the lock file.
    ///
    /// Specification: PyPA, "Recording installed projects"
    /// <https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file>.
    pub fn add_record(&mut self, site_packages: &str, dist_info: &str, record: &str) {
        let Some(position) = dist_info.strip_suffix(".dist-info").and_then(|stem| self.versioned(stem)) else { return };
        for line in record.lines() {
            // The path is the first of three fields, in quotes if it holds a comma.
            let path = match line.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').map_or(quoted, |(path, _)| path),
                None => line.split(',').next().unwrap_or_default(),
            };
            if !path.is_empty() && !path.split('/').any(|part| part == "..") {
                self.records.insert(format!("{}/{path}", site_packages.trim_end_matches('/')), position);
            }
        }
    }

    /// Returns whose a path is; a path that is not absolute is relative to the project.
    pub fn of(&self, path: &str) -> Owner {
        let relative = match path.strip_prefix(self.project) {
            Some(rest) if !self.project.is_empty() => rest.strip_prefix('/').unwrap_or(path),
            _ => path,
        };
        match self.lock.kind {
            Kind::Cargo => self.of_cargo(relative),
            Kind::Npm => self.of_npm(relative),
            Kind::Pnpm => self.of_pnpm(relative),
            Kind::Yarn => self.of_yarn(relative),
            Kind::Requirements | Kind::Uv | Kind::Poetry | Kind::Pipfile | Kind::Pylock => {
                self.of_python(path, relative)
            }
            Kind::Go => self.of_go(relative),
            Kind::Gradle | Kind::Maven => self.of_java(relative),
            // An answer is no file of a package: who asked for it, the network part of the trace says.
            Kind::Record => Owner::None,
        }
    }

    /// Returns what a build read.
    pub fn observed<'p>(&self, paths: impl IntoIterator<Item = &'p str>) -> Observed {
        let mut observed = Observed::default();
        for path in paths {
            match self.of(path) {
                Owner::Package(position) => drop(observed.read.insert(position)),
                Owner::OneOf(positions) => observed.perhaps.extend(positions),
                Owner::Description(position) => drop(observed.described.insert(position)),
                Owner::Unlocked(name) => drop(observed.unlocked.insert(name)),
                Owner::None => {}
            }
        }
        observed.perhaps.retain(|position| !observed.read.contains(position));
        observed.described.retain(|position| !observed.read.contains(position));
        observed
    }

    /// Finds a package by name and version.
    fn exact(&self, name: &str, version: &str) -> Option<usize> {
        let positions = self.by_name.get(&key(self.lock.kind, name))?;
        positions.iter().copied().find(|&position| self.lock.packages[position].version == version)
    }

    /// Finds packages by name alone.
    fn named(&self, name: &str) -> Owner {
        match self.by_name.get(&key(self.lock.kind, name)).map(Vec::as_slice) {
            None | Some([]) => Owner::Unlocked(name.to_owned()),
            Some([position]) => Owner::Package(*position),
            Some(several) => Owner::OneOf(several.to_vec()),
        }
    }

    /// Reads `NAME-VERSION`, where either may hold hyphens.
    fn versioned(&self, text: &str) -> Option<usize> {
        text.match_indices('-').take(32).find_map(|(at, _)| self.exact(&text[..at], &text[at + 1..]))
    }

    /// Finds the innermost directory above a path that a package lies in.
    fn placed(&self, relative: &str) -> Option<usize> {
        let mut place = relative;
        while let Some((above, _)) = place.rsplit_once('/') {
            if let Some(&position) = self.by_place.get(above) {
                return Some(position);
            }
            place = above;
        }
        None
    }

    fn of_cargo(&self, path: &str) -> Owner {
        let known = |stem: &str| self.versioned(stem).map_or_else(|| Owner::Unlocked(stem.to_owned()), Owner::Package);
        if let Some(rest) = after(path, "registry/src/").or_else(|| after(path, "registry/cache/")) {
            // The index comes first, then the package.
            return match rest.split('/').nth(1).map(|stem| stem.strip_suffix(".crate").unwrap_or(stem)) {
                Some(stem) => known(stem),
                None => Owner::None,
            };
        }
        if let Some(rest) = after(path, "git/checkouts/") {
            let Some(short) = rest.split('/').nth(1) else { return Owner::None };
            let of_commit =
                |origin: &Origin| matches!(origin, Origin::Git { commit, .. } if commit.as_str().starts_with(short));
            let all: Vec<usize> =
                (0..self.lock.packages.len()).filter(|&at| of_commit(&self.lock.packages[at].origin)).collect();
            return match all[..] {
                [] => Owner::Unlocked(rest.split('/').next().unwrap_or_default().to_owned()),
                [position] => Owner::Package(position),
                _ => Owner::OneOf(all),
            };
        }
        // The first one: a crate may have such a directory of its own.
        match first_after(path, "vendor/").and_then(|rest| rest.split_once('/')) {
            // `cargo vendor` leaves the version out where there is one only.
            Some((directory, inside)) => {
                let owner = match (known(directory), self.named(directory)) {
                    (Owner::Unlocked(_), named) => named,
                    (found, _) => found,
                };
                described(owner, ["Cargo.toml", ".cargo-checksum.json"].contains(&inside))
            }
            None => Owner::None,
        }
    }

    fn of_python(&self, path: &str, relative: &str) -> Owner {
        if let Some(&position) = self.records.get(path) {
            return Owner::Package(position);
        }
        if let Some(positions) = relative.rsplit('/').next().and_then(|file| self.by_file.get(file)) {
            return Owner::Package(positions[0]);
        }
        let Some(rest) = after(path, "site-packages/").or_else(|| after(path, "dist-packages/")) else {
            return self.placed(relative).map_or(Owner::None, Owner::Package);
        };
        let top = rest.split('/').next().unwrap_or_default();
        if let Some(stem) = top.strip_suffix(".dist-info") {
            return self.versioned(stem).map_or_else(|| Owner::Unlocked(stem.to_owned()), Owner::Package);
        }
        // What a package is imported as is often its name, and is told for sure by its RECORD only.
        let module = top.split('.').next().unwrap_or_default();
        if matches!(module, "" | "__pycache__") { Owner::None } else { self.named(module) }
    }

    fn of_go(&self, path: &str) -> Owner {
        if let Some(rest) = after(path, "pkg/mod/cache/download/") {
            let Some((module, file)) = rest.split_once("/@v/") else { return Owner::None };
            let Some((version, end)) = file.rsplit_once('.') else { return Owner::None };
            return match (self.exact(module, version), end) {
                (Some(position), "zip") => Owner::Package(position),
                (Some(position), "mod" | "info") => Owner::Description(position),
                (Some(_), _) => Owner::None,
                (None, _) => Owner::Unlocked(format!("{module}@{version}")),
            };
        }
        if let Some(rest) = after(path, "pkg/mod/") {
            let Some((module, inside)) = rest.split_once('@') else { return Owner::None };
            let version = inside.split('/').next().unwrap_or_default();
            let found = self.exact(module, version);
            return found.map_or_else(|| Owner::Unlocked(format!("{module}@{version}")), Owner::Package);
        }
        match (self.placed(path), path.strip_prefix("vendor/")) {
            (Some(position), _) => Owner::Package(position),
            (None, Some("modules.txt") | None) => Owner::None,
            (None, Some(rest)) => {
                Owner::Unlocked(rest.rsplit_once('/').map_or(rest, |(directory, _)| directory).to_owned())
            }
        }
    }
}

/// Spells a name as it is compared: Python's normalized, Go's as the cache has it.
fn key(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Requirements | Kind::Uv | Kind::Poetry | Kind::Pipfile | Kind::Pylock => normalized(name),
        // A name out of a path is escaped already, and has no capitals left.
        Kind::Go => escaped(name),
        _ => name.to_owned(),
    }
}

/// What a package manager reads to choose is no use of the package.
fn described(owner: Owner, is_description: bool) -> Owner {
    match owner {
        Owner::Package(position) if is_description => Owner::Description(position),
        // It says nothing about which of them was used.
        Owner::OneOf(_) if is_description => Owner::None,
        other => other,
    }
}

/// Returns what follows a directory in a path, from its first occurrence.
fn first_after<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    let mut places = path.match_indices(directory).map(|(at, _)| at);
    let at = places.find(|&at| at == 0 || path.as_bytes()[at - 1] == b'/')?;
    Some(&path[at + directory.len()..])
}

/// Returns what follows a directory in a path, from its last occurrence.
fn after<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    let at = path.rfind(directory)?;
    (at == 0 || path.as_bytes()[at - 1] == b'/').then(|| &path[at + directory.len()..])
}

#[cfg(test)]
mod tests;
