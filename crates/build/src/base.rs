//! The base: the root file system that a build sees, made of the files of installed Debian packages.
//!
//! Named packages and what they depend on become one tree. Left out: documentation, translations, caches, compiled
//! Python, all of `/var`, and all of `/etc` but what the loader and the alternatives need. A few files that no package
//! owns are written here, the same everywhere: users, groups, hosts, name services.
//!
//! Because the tree digest covers content alone, two machines with the same packages make the same base.
//!
//! A base that is an image is [`image`]'s; one of packages that are not installed, [`debs`]'.

pub mod reference;

pub mod freeze;

pub mod debs;

pub mod image;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::tree::{Tree, TreeError};
use wire::digest::{Algorithm, Digest, Hasher};
use wire::purl::Purl;

use crate::dpkg::{Database, DpkgError, Package};
use crate::inputs::{Host, Inputs, InputsError, TreeEntry, TreeSource};
use crate::lock;
use crate::spec::NamedPackage;

/// Version of how a base is put together; a fingerprint of an older version is not used.
const LAYOUT: u32 = 2;

/// How many packages a base may have.
const PACKAGES_MAX: usize = 5_000;

/// Packages that others depend on, but that a build never uses.
const EXCLUDED: [(&str, &str); 13] = [
    ("adduser", "makes users when packages are installed"),
    ("base-passwd", "users and groups are written by us"),
    ("cdebconf", "asks questions when packages are installed"),
    ("debconf", "asks questions when packages are installed"),
    ("dpkg", "nothing is installed inside a build"),
    ("init-system-helpers", "no service starts inside a build"),
    ("install-info", "keeps an index of documentation, which is left out"),
    ("libpam-modules", "nobody logs in"),
    ("libpam-runtime", "nobody logs in"),
    ("login", "nobody logs in"),
    ("passwd", "makes users when packages are installed"),
    ("tzdata", "a build's time zone is UTC"),
    ("ucf", "asks questions when packages are installed"),
];

/// Directories that are left out, with what lies below them.
const LEFT_OUT: [&str; 26] = [
    "boot",
    "dev",
    "home",
    "media",
    "mnt",
    "proc",
    "root",
    "run",
    "srv",
    "sys",
    "tmp",
    "usr/lib/systemd",
    "usr/share/applications",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/fish",
    "usr/share/icons",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/pixmaps",
    "usr/share/zsh",
    "var",
];

/// What is taken of `/etc`: what the loader needs, and what Debian's Java and Maven link to from their own directories.
const ETC: [&str; 7] = [
    "etc/java-11-openjdk",
    "etc/java-17-openjdk",
    "etc/java-21-openjdk",
    "etc/java-25-openjdk",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d",
    "etc/maven",
];

/// Links that join `/bin` and the like with `/usr`, where the machine has them.
const MERGED: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Files that no package owns.
const WRITTEN: [(&str, &str); 4] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         builder:x:1000:1000:builder:/home/builder:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\nbuilder:x:1000:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nprotocols: files\nservices: files\n"),
];

/// Why a base could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The package database.
    #[error("reading the package database")]
    Dpkg(#[from] DpkgError),
    /// Packages that are not installed.
    #[error("not installed on this machine: {list}; run `apt-get install {names}`",
        list = .0.iter().map(Missing::to_string).collect::<Vec<_>>().join(", "),
        names = .0.iter().map(|m| m.name.clone()).collect::<Vec<_>>().join(" "))]
    Missing(Vec<Missing>),
    /// Packages whose version is another than `assay.toml` names.
    #[error("this machine differs from assay.toml: {}; install those versions, or run `assay env freeze --refresh`",
        .0.iter().map(Difference::to_string).collect::<Vec<_>>().join(", "))]
    Versions(Vec<Difference>),
    /// More packages than a base may have.
    #[error("the base would have more than {PACKAGES_MAX} packages")]
    TooMany,
    /// A package's file is not there.
    #[error("`{path}` of package `{package}` is missing; run `apt-get install --reinstall {package}`")]
    Damaged {
        /// The package.
        package: String,
        /// The file.
        path: String,
    },
    /// Something could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two packages' files cannot stand in one tree.
    #[error("putting the base together")]
    Tree(#[from] TreeError),
    /// The store failed.
    #[error("keeping the base")]
    Inputs(#[from] InputsError),
}

/// A package that is not installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name; the first, where several would do.
    pub name: String,
    /// The package that needs it; `None` if `assay.toml` names it.
    pub needed_by: Option<String>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.needed_by {
            None => write!(f, "`{}`", self.name),
            Some(by) => write!(f, "`{}` (needed by `{by}`)", self.name),
        }
    }
}

/// The packages of a base on this machine, before any file is read.
#[derive(Clone, Debug)]
pub struct Resolved {
    database: Database,
    packages: Vec<Package>,
    distribution: String,
}

/// Finds the installed packages that the named ones lead to.
pub fn resolve(host: &Host, named: &[NamedPackage]) -> Result<Resolved, BaseError> {
    let database = Database::read(&host.root)?;
    let packages = closure(&database, named)?;
    let other = |package: &NamedPackage| {
        let (wanted, found) = (package.version.clone()?, database.package(&package.name)?);
        let installed = Some(found.version.clone());
        (found.version != wanted).then(|| Difference { name: package.name.clone(), locked: wanted, installed })
    };
    let others: Vec<Difference> = named.iter().filter_map(other).collect();
    if !others.is_empty() {
        return Err(BaseError::Versions(others));
    }
    let distribution = distribution(&fs::read_to_string(host.root.join("etc/os-release")).unwrap_or_default());
    Ok(Resolved { database, packages, distribution })
}

/// Sorted by name. A named package is in even when the table leaves it out as a dependency.
fn closure(database: &Database, named: &[NamedPackage]) -> Result<Vec<Package>, BaseError> {
    let mut found: BTreeMap<String, Package> = BTreeMap::new();
    let mut missing = Vec::new();
    let mut queue = VecDeque::new();
    for NamedPackage { name, .. } in named {
        match database.package(name) {
            Some(package) => queue.push_back(package),
            None => missing.push(Missing { name: name.clone(), needed_by: None }),
        }
    }
    while let Some(package) = queue.pop_front() {
        if found.insert(package.name.clone(), package.clone()).is_some() {
            continue;
        }
        if found.len() > PACKAGES_MAX {
            return Err(BaseError::TooMany);
        }
        for group in &package.depends {
            match database.satisfies(group) {
                Some(next) if is_excluded(&next.name) || found.contains_key(&next.name) => {}
                Some(next) => queue.push_back(next),
                None if group.iter().any(|name| is_excluded(name)) => {}
                None => missing.push(Missing { name: group[0].clone(), needed_by: Some(package.name.clone()) }),
            }
        }
    }
    if missing.is_empty() { Ok(found.into_values().collect()) } else { Err(BaseError::Missing(missing)) }
}

fn is_excluded(name: &str) -> bool {
    EXCLUDED.iter().any(|(excluded, _)| *excluded == name)
}

/// `debian 12`, from the text of `os-release`; `linux` where that says nothing.
fn distribution(text: &str) -> String {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let id = field("ID").unwrap_or_else(|| "linux".to_owned());
    match field("VERSION_ID") {
        Some(version) => format!("{id} {version}"),
        None => id,
    }
}

/// Returns what changes when the base on this machine may have changed: cheap beside reading its files.
pub fn fingerprint(resolved: &Resolved, host: &Host) -> Result<Digest, BaseError> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(format!("base {LAYOUT}\n{}\n", resolved.distribution).as_bytes());
    for package in &resolved.packages {
        let identity = Digest::of(&resolved.database.identity(package)?);
        let line = format!("{} {} {} {identity}\n", package.name, package.version, package.architecture);
        hasher.update(line.as_bytes());
    }
    for alternative in resolved.database.alternatives()? {
        let link = host.root.join("etc/alternatives").join(&alternative.name);
        let target = fs::read_link(&link).unwrap_or_default();
        hasher.update(format!("{} {} {}\n", alternative.link, alternative.name, target.display()).as_bytes());
    }
    Ok(hasher.finish())
}

/// Reads the packages' files and imports them.
pub fn import(resolved: &Resolved, host: &Host, inputs: &dyn Inputs) -> Result<lock::Base, BaseError> {
    let mut gathered = Gathered::new(&host.root)?;
    let mut owned = Vec::new();
    for package in &resolved.packages {
        let mut paths = BTreeSet::new();
        for path in resolved.database.files(package)? {
            paths.extend(gathered.add_listed(package, &path)?);
        }
        owned.push((package, paths));
    }
    gathered.add_alternatives(&resolved.database)?;
    gathered.add_merged()?;
    gathered.add_written();
    let tree = inputs.import(gathered.into_entries())?;
    let packages =
        owned.into_iter().map(|(package, paths)| pinned(package, &paths, &tree, &resolved.distribution, inputs));
    Ok(lock::Base {
        distribution: resolved.distribution.clone(),
        tree: tree.digest(),
        image: None,
        packages: packages.collect::<Result<_, _>>()?,
    })
}

/// A package's entry in the lock: its digest is that of the tree of its own files, whose manifest is kept, so that it can be told later
/// whose file a build read.
fn pinned(
    package: &Package,
    paths: &BTreeSet<String>,
    tree: &Tree,
    distribution: &str,
    inputs: &dyn Inputs,
) -> Result<lock::BasePackage, BaseError> {
    let mut own = Tree::default();
    for path in paths {
        if let Some(entry) = tree.entry(path) {
            own.insert(path, entry.clone())?;
        }
    }
    let digest = own.digest();
    inputs.put(&mut own.manifest().as_slice(), Some(&digest))?;
    Ok(lock::BasePackage {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        digest,
        deb: None,
        url: None,
        purl: purl_of(&package.name, &package.version, &package.architecture, distribution),
    })
}

/// `pkg:deb/debian/gcc-12@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12`
fn purl_of(name: &str, version: &str, architecture: &str, distribution: &str) -> String {
    let vendor = distribution.split(' ').next().unwrap_or("linux");
    let purl = Purl::new("deb", name, version).in_namespace(vendor);
    purl.with("arch", architecture).with("distro", &distribution.replace(' ', "-")).to_string()
}

/// Files and links of the base, by their path in the tree.
struct Gathered {
    root: PathBuf,
    entries: BTreeMap<String, TreeSource>,
    /// Real directory (below the root) of a listed one: lists name `/lib/x` where `/lib` is a link to `usr/lib`.
    directories: BTreeMap<String, Option<String>>,
}

impl Gathered {
    fn new(root: &Path) -> Result<Gathered, BaseError> {
        let root = root.canonicalize().map_err(|source| BaseError::Read { path: root.to_owned(), source })?;
        Ok(Gathered { root, entries: BTreeMap::new(), directories: BTreeMap::new() })
    }

    /// Adds a path of a package's list; returns its path in the tree if it is in.
    fn add_listed(&mut self, package: &Package, listed: &str) -> Result<Option<String>, BaseError> {
        if is_left_out(listed.trim_start_matches('/')) {
            return Ok(None);
        }
        let damaged = || BaseError::Damaged { package: package.name.clone(), path: listed.to_owned() };
        let path = self.real(listed).ok_or_else(damaged)?;
        if is_left_out(&path) {
            return Ok(None);
        }
        if self.entries.contains_key(&path) {
            return Ok(Some(path));
        }
        match TreeSource::of_path(&self.root.join(&path)) {
            Ok(Some(source)) => {
                self.entries.insert(path.clone(), source);
                Ok(Some(path))
            }
            Ok(None) => Ok(None), // a directory
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged()),
            Err(source) => Err(BaseError::Read { path: self.root.join(&path), source }),
        }
    }

    /// Resolves the directory of an absolute path; the last part stays as it is.
    fn real(&mut self, path: &str) -> Option<String> {
        let (directory, name) = path.rsplit_once('/')?;
        let root = &self.root;
        let resolved = self.directories.entry(directory.to_owned()).or_insert_with(|| {
            let real = root.join(directory.trim_start_matches('/')).canonicalize().ok()?;
            Some(real.strip_prefix(root).ok()?.to_str()?.to_owned())
        });
        match resolved.as_deref()? {
            "" => Some(name.to_owned()),
            directory => Some(format!("{directory}/{name}")),
        }
    }

    /// Adds both links of every alternative whose program is in.
    fn add_alternatives(&mut self, database: &Database) -> Result<(), BaseError> {
        for alternative in database.alternatives()? {
            let middle = format!("etc/alternatives/{}", alternative.name);
            let Ok(target) = fs::read_link(self.root.join(&middle)) else { continue };
            let Some(target) = target.to_str().map(str::to_owned) else { continue };
            let held = self.real(&target).is_some_and(|program| self.entries.contains_key(&program));
            let Some(link) = self.real(&alternative.link).filter(|link| held && !is_left_out(link)) else { continue };
            self.entries.insert(middle.clone(), TreeSource::Link(target));
            self.entries.insert(link, TreeSource::Link(format!("/{middle}")));
        }
        Ok(())
    }

    /// Adds the links of a merged `/usr`, where something lies behind them.
    fn add_merged(&mut self) -> Result<(), BaseError> {
        for name in MERGED {
            let target = format!("usr/{name}");
            let is_link = fs::read_link(self.root.join(name)).is_ok_and(|found| found == Path::new(&target));
            let behind = format!("{target}/");
            let used = self.entries.range(behind.clone()..).next().is_some_and(|(path, _)| path.starts_with(&behind));
            if is_link && used {
                self.entries.insert(name.to_owned(), TreeSource::Link(target));
            }
        }
        Ok(())
    }

    fn add_written(&mut self) {
        for (path, text) in WRITTEN {
            let source = TreeSource::Bytes { bytes: text.as_bytes().to_vec(), executable: false };
            self.entries.insert(path.to_owned(), source);
        }
    }

    fn into_entries(self) -> Vec<TreeEntry> {
        self.entries.into_iter().map(|(path, source)| TreeEntry { path, source }).collect()
    }
}

/// Whether a path (without its leading `/`) is no part of a base.
fn is_left_out(path: &str) -> bool {
    let below =
        |directory: &str| path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let compiled_python = path.ends_with(".pyc") || path.contains("/__pycache__/");
    let other_etc = path.starts_with("etc/") && !ETC.iter().any(|kept| below(kept));
    LEFT_OUT.iter().any(|directory| below(directory)) || compiled_python || other_etc
}

/// A package of the lock that this machine has otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Package name.
    pub name: String,
    /// Version that the lock pins.
    pub locked: String,
    /// Version on this machine; `None` if it is not installed.
    pub installed: Option<String>,
}

/// `gcc-12 12.2.0-14 ≠ 12.2.0-15`
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let installed = self.installed.as_deref().unwrap_or("not installed");
        write!(f, "{} {} ≠ {installed}", self.name, self.locked)
    }
}

/// Compares the packages of a lock with those of this machine. Not needed when the store holds the base already.
pub fn compare(locked: &lock::Base, host: &Host) -> Result<Vec<Difference>, BaseError> {
    let database = Database::read(&host.root)?;
    let installed = |name: &str| database.package(name).map(|package| package.version.clone());
    let differences = locked.packages.iter().filter_map(|package| {
        let installed = installed(&package.name);
        (installed.as_ref() != Some(&package.version)).then(|| Difference {
            name: package.name.clone(),
            locked: package.version.clone(),
            installed,
        })
    });
    Ok(differences.collect())
}

#[cfg(test)]
mod tests;
