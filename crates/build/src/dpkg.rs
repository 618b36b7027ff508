//! What a Debian system knows of its packages: `status`, file lists, diversions, alternatives.
//!
//! Formats: Debian Policy 4.7, chapters 5 and 7 <https://www.debian.org/doc/debian-policy/ch-controlfields.html>;
//! `deb-status(5)`, `update-alternatives(1)`. The files are read directly: no tool of the system is run, and versions
//! are not compared, since what is installed together fits together.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How large `status` may be: a full desktop has about 6 MiB.
const STATUS_MAX: u64 = 64 * 1024 * 1024;

/// How large one package's file list may be.
const LIST_MAX: u64 = 32 * 1024 * 1024;

/// Why the package database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DpkgError {
    /// There is none.
    #[error("`{}` is missing: this is no Debian or Ubuntu system", .0.display())]
    Absent(PathBuf),
    /// A file could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any real one.
    #[error("`{}` has more than {size_max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        size_max: u64,
    },
    /// A stanza without name, version or architecture.
    #[error("`{}`: the stanza at line {line} lacks `{field}`", path.display())]
    Stanza {
        /// The file.
        path: PathBuf,
        /// Line of the stanza's start.
        line: usize,
        /// The field.
        field: &'static str,
    },
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture: `amd64`, `all`.
    pub architecture: String,
    /// What it needs: each group is satisfied by any of its names.
    pub depends: Vec<Vec<String>>,
    /// Virtual packages that it stands for.
    pub provides: Vec<String>,
}

/// The database of a system.
#[derive(Clone, Debug)]
pub struct Database {
    directory: PathBuf,
    packages: BTreeMap<String, Package>,
    providers: BTreeMap<String, Vec<String>>,
    /// Diverted path → (where it went, package that keeps the path).
    diversions: BTreeMap<String, (String, String)>,
}

/// A link that `update-alternatives` made: `/usr/bin/cc`, by way of `/etc/alternatives/cc`, to `/usr/bin/gcc`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alternative {
    /// The link that programs use.
    pub link: String,
    /// Name below `/etc/alternatives`.
    pub name: String,
}

impl Database {
    /// Reads the database below a root directory (`/`).
    pub fn read(root: &Path) -> Result<Database, DpkgError> {
        let directory = root.join("var/lib/dpkg");
        let path = directory.join("status");
        let status = read(&path, STATUS_MAX)?.ok_or_else(|| DpkgError::Absent(path.clone()))?;
        let mut packages = parse_status(&path, &status)?;
        let native = packages.iter().find(|p| p.name == "dpkg").map(|p| p.architecture.clone());
        // Packages of a foreign architecture are not for this machine's compiler.
        packages.retain(|p| p.architecture == "all" || native.as_ref().is_none_or(|native| *native == p.architecture));
        let mut providers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for package in &packages {
            for name in &package.provides {
                providers.entry(name.clone()).or_default().push(package.name.clone());
            }
        }
        let packages = packages.into_iter().map(|package| (package.name.clone(), package)).collect();
        let diversions = read(&directory.join("diversions"), LIST_MAX)?.unwrap_or_default();
        Ok(Database { directory, packages, providers, diversions: parse_diversions(&diversions) })
    }

    /// Returns an installed package.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.get(name)
    }

    /// Returns the installed package that satisfies a group of alternatives: the first that is there by its own name,
    /// else the first that provides one.
    pub fn satisfies(&self, group: &[String]) -> Option<&Package> {
        let own = group.iter().find_map(|name| self.packages.get(name));
        own.or_else(|| {
            group.iter().filter_map(|name| self.providers.get(name)).flatten().find_map(|name| self.packages.get(name))
        })
    }

    /// Returns the bytes of a package's file list and of its checksums, for a fingerprint.
    pub fn identity(&self, package: &Package) -> Result<Vec<u8>, DpkgError> {
        let mut bytes = self.info(package, "list")?;
        bytes.push(0);
        bytes.extend(self.info(package, "md5sums")?);
        Ok(bytes)
    }

    /// Returns the absolute paths of a package, diverted ones at the place where they really lie.
    pub fn files(&self, package: &Package) -> Result<Vec<String>, DpkgError> {
        let list = self.info(package, "list")?;
        let text = String::from_utf8_lossy(&list);
        let real = |path: &str| match self.diversions.get(path) {
            Some((to, keeper)) if *keeper != package.name => to.clone(),
            _ => path.to_owned(),
        };
        Ok(text.lines().filter(|line| line.starts_with('/') && *line != "/.").map(real).collect())
    }

    /// Returns all alternatives, sorted.
    pub fn alternatives(&self) -> Result<Vec<Alternative>, DpkgError> {
        let directory = self.directory.join("alternatives");
        let failed = |source| DpkgError::Read { path: directory.clone(), source };
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let bytes = read(&path, LIST_MAX)?.unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.extend(parse_alternative(&name, &String::from_utf8_lossy(&bytes)));
        }
        found.sort();
        Ok(found)
    }

    /// `info/NAME:ARCH.kind` for packages that can be there for several architectures, else `info/NAME.kind`.
    fn info(&self, package: &Package, kind: &str) -> Result<Vec<u8>, DpkgError> {
        let info = self.directory.join("info");
        let with_architecture = info.join(format!("{}:{}.{kind}", package.name, package.architecture));
        if let Some(bytes) = read(&with_architecture, LIST_MAX)? {
            return Ok(bytes);
        }
        Ok(read(&info.join(format!("{}.{kind}", package.name)), LIST_MAX)?.unwrap_or_default())
    }
}

fn read(path: &Path, size_max: u64) -> Result<Option<Vec<u8>>, DpkgError> {
    let failed = |source| DpkgError::Read { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > size_max => Err(DpkgError::TooLarge { path: path.to_owned(), size_max }),
        Ok(_) => fs::read(path).map(Some).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Reads the stanzas of packages that are installed.
fn parse_status(path: &Path, bytes: &[u8]) -> Result<Vec<Package>, DpkgError> {
    let text = String::from_utf8_lossy(bytes);
    let mut packages = Vec::new();
    let mut line = 1;
    for stanza in text.split("\n\n") {
        let fields = fields(stanza);
        let start = line;
        line += stanza.matches('\n').count() + 2;
        // "want flag state": only the last word says what is on the disk.
        let state = fields.get("Status").and_then(|status| status.split_whitespace().last());
        if state != Some("installed") {
            continue;
        }
        let required = |field: &'static str| {
            let value = fields.get(field).map(|value| value.trim().to_owned());
            value.ok_or_else(|| DpkgError::Stanza { path: path.to_owned(), line: start, field })
        };
        let relations = ["Pre-Depends", "Depends"].iter().filter_map(|field| fields.get(field));
        packages.push(Package {
            name: required("Package")?,
            version: required("Version")?,
            architecture: required("Architecture")?,
            depends: relations.flat_map(|value| parse_relations(value)).collect(),
            provides: fields.get("Provides").map_or(Vec::new(), |value| parse_relations(value).concat()),
        });
    }
    Ok(packages)
}

/// The fields of a stanza; continuation lines belong to no field that is read here and are passed over.
fn fields(stanza: &str) -> BTreeMap<&str, &str> {
    stanza
        .lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect()
}

/// `a (>= 1) | b:any, c [amd64]` → `[[a, b], [c]]`
fn parse_relations(value: &str) -> Vec<Vec<String>> {
    let name = |alternative: &str| {
        let end = alternative.find(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '<' | ':'));
        alternative[..end.unwrap_or(alternative.len())].to_owned()
    };
    let group = |group: &str| group.split('|').map(str::trim).map(name).filter(|name| !name.is_empty()).collect();
    value.split(',').map(group).filter(|group: &Vec<String>| !group.is_empty()).collect()
}

/// Three lines each: the path, where it went, who keeps it.
fn parse_diversions(bytes: &[u8]) -> BTreeMap<String, (String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let entry = |three: &[&str]| (three[0].to_owned(), (three[1].to_owned(), three[2].to_owned()));
    lines.chunks_exact(3).map(entry).collect()
}

/// Mode, then the link; then pairs of a further name and its link up to an empty line; then the choices.
fn parse_alternative(name: &str, text: &str) -> Vec<Alternative> {
    let mut lines = text.lines().skip(1);
    let Some(link) = lines.next() else { return Vec::new() };
    let mut found = vec![Alternative { link: link.to_owned(), name: name.to_owned() }];
    while let (Some(name), Some(link)) = (lines.next().filter(|name| !name.is_empty()), lines.next()) {
        found.push(Alternative { link: link.to_owned(), name: name.to_owned() });
    }
    found
}

#[cfg(test)]
mod tests;
