//! A base of packages as files: the `.deb`s that apt would install into an empty system, unpacked, none of them installed.
//!
//! apt chooses (it knows versions, pins and where to fetch), and names each package by the SHA-256 of its signed index; the bytes
//! are kept in the store under that digest, so the base is made again of them alone, whatever this machine has installed.
//! The same is left out as from installed packages, `/usr` is merged, and the same few files are written.
//!
//! No script of a maintainer runs. What the scripts would link by `update-alternatives` with plain paths is linked here;
//! packages whose scripts do more are told, for something may be missing.

mod alternatives;

mod unpack;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use inspect::deb::DebError;
use serde::{Deserialize, Serialize};
use wire::digest::{Algorithm, Digest, Hasher};

use super::{EXCLUDED, PACKAGES_MAX, distribution, is_excluded};
use crate::inputs::{FetchError, Host, InputsError};
use crate::lock;
use crate::pin::World;
use crate::pin::cache::Cache;
use crate::spec::NamedPackage;

/// Version of how a tree is made of packages; a fingerprint of an older version is not used.
const LAYOUT: u32 = 1;

/// The largest package: the largest of Debian have about 1 GB, those of compilers 150 MB.
const SIZE_MAX: u64 = 2 << 30;

/// Why packages could not become a base.
#[derive(Debug, thiserror::Error)]
pub enum DebsError {
    /// No apt.
    #[error("starting `apt-get`, which chooses the packages")]
    Start(#[source] io::Error),
    /// apt refused.
    #[error("`apt-get` finds no set of packages: {0}")]
    Apt(String),
    /// A line of apt that cannot be read.
    #[error(
        "`apt-get` names a package in a way that is not read: `{0}`; is its SHA-256 in the index of the repository?"
    )]
    Line(String),
    /// More packages than a base may have.
    #[error("the base would have more than {PACKAGES_MAX} packages")]
    TooMany,
    /// A package that is larger than any real one.
    #[error("`{name}` has {size} bytes, more than {SIZE_MAX}")]
    TooLarge {
        /// The package.
        name: String,
        /// Its size.
        size: u64,
    },
    /// The bytes could not be fetched.
    #[error("fetching `{name}`")]
    Fetch {
        /// The package.
        name: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// A file of this machine could not be read or written.
    #[error("reading or writing `{}`", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A package that is none.
    #[error("unpacking `{name}`")]
    Deb {
        /// The package.
        name: String,
        /// Why.
        #[source]
        source: DebError,
    },
    /// Two packages bring the same file with other bytes.
    #[error("`{path}` comes with `{first}` and with `{second}`, and is not the same")]
    Conflict {
        /// The path.
        path: String,
        /// Who came first.
        first: String,
        /// Who came second.
        second: String,
    },
    /// A hard link to nothing.
    #[error("`{path}` of `{name}` is a hard link to `{target}`, which the package does not bring")]
    HardLink {
        /// The package.
        name: String,
        /// Path of the link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// The tree cannot be.
    #[error("putting the base together")]
    Tree(#[from] model::tree::TreeError),
    /// The store.
    #[error("keeping the base")]
    Inputs(#[from] InputsError),
}

/// A package that apt would install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `amd64`, `all`
    pub architecture: String,
    /// Where its bytes are.
    pub url: String,
    /// How many.
    pub size: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

/// A base, and what its users should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    pub(crate) base: lock::Base,
    pub(crate) notes: Vec<String>,
}

/// Asks apt what it would install into an empty system; sorted by name.
pub fn resolve(host: &Host, named: &[NamedPackage]) -> Result<Vec<Listed>, DebsError> {
    // A system that has nothing.
    let status = host.scratch.join("empty-status");
    fs::write(&status, "").map_err(|source| DebsError::Io { path: status.clone(), source })?;
    let mut command = host.command("apt-get");
    command.args(["install", "--print-uris", "-qq", "-y", "--no-install-recommends", "--no-install-suggests"]);
    command.arg("-o").arg(format!("Dir::State::status={}", status.display()));
    command.args(["-o", "Debug::NoLocking=1", "-o", "Acquire::ForceHash=SHA256", "--"]);
    command.args(named.iter().map(ToString::to_string));
    let output = command.output().map_err(DebsError::Start)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let words: Vec<&str> = said.lines().chain([""]).map(str::trim).filter(|line| !line.is_empty()).collect();
        let hint = "run `apt-get update`, if its lists are missing or old";
        return Err(DebsError::Apt(format!("{}; {hint}", words.join("; ").chars().take(2000).collect::<String>())));
    }
    let mut listed = parse(&String::from_utf8_lossy(&output.stdout))?;
    listed.retain(|package| !is_excluded(&package.name) || named.iter().any(|named| named.name == package.name));
    if listed.len() > PACKAGES_MAX {
        return Err(DebsError::TooMany);
    }
    Ok(listed)
}

/// Reads what `apt-get --print-uris` prints: `'URL' NAME_VERSION_ARCHITECTURE.deb SIZE SHA256:HEX`.
fn parse(text: &str) -> Result<Vec<Listed>, DebsError> {
    let line = |line: &str| {
        let (url, rest) = line.strip_prefix('\'')?.split_once("' ")?;
        let mut words = rest.split(' ');
        let (file, size, hash) = (words.next()?, words.next()?, words.next()?);
        let mut parts = file.strip_suffix(".deb")?.splitn(3, '_');
        let (name, version, architecture) = (parts.next()?, parts.next()?, parts.next()?);
        let digest = Digest::from_parts("sha256", hash.strip_prefix("SHA256:")?).ok()?;
        Some(Listed {
            name: name.to_owned(),
            version: version.replace("%3a", ":"),
            architecture: architecture.to_owned(),
            url: url.to_owned(),
            size: size.parse().ok()?,
            digest,
        })
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let listed = lines.map(|text| line(text).ok_or_else(|| DebsError::Line(text.chars().take(400).collect())));
    let mut listed: Vec<Listed> = listed.collect::<Result<_, _>>()?;
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

/// Pins a base of packages; returns also whether its tree was made now.
pub(crate) fn pin(named: &[NamedPackage], world: &World<'_>) -> Result<(Pinned, bool), DebsError> {
    (world.progress)("asking apt for the packages");
    let listed = resolve(world.host, named)?;
    let text = fs::read_to_string(world.host.root.join("etc/os-release")).unwrap_or_default();
    make(&listed, &distribution(&text), world)
}

/// Makes the base of a lock again, of the packages that it names.
pub(crate) fn again(locked: &lock::Base, world: &World<'_>) -> Result<lock::Base, DebsError> {
    let listed = locked.packages.iter().filter_map(|package| {
        Some(Listed {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            url: package.url.clone()?,
            size: SIZE_MAX,
            digest: package.deb?,
        })
    });
    Ok(make(&listed.collect::<Vec<_>>(), &locked.distribution, world)?.0.base)
}

fn make(listed: &[Listed], distribution: &str, world: &World<'_>) -> Result<(Pinned, bool), DebsError> {
    for package in listed {
        bring(package, world)?;
    }
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(format!("debs {LAYOUT} {}\n{distribution}\n", EXCLUDED.len()).as_bytes());
    for package in listed {
        hasher.update(format!("{} {} {} {}\n", package.name, package.version, package.url, package.digest).as_bytes());
    }
    let cache = Cache::new(&world.host.cache, "debs", &hasher.finish());
    if let Some(known) = cache.load::<Pinned>()
        && world.inputs.tree(&known.base.tree)?.is_some()
    {
        return Ok((known, false));
    }
    let pinned = unpack::unpack(listed, distribution, world)?;
    cache.save(&pinned);
    Ok((pinned, true))
}

/// Brings a package's bytes into the store, unless they are there.
fn bring(package: &Listed, world: &World<'_>) -> Result<(), DebsError> {
    if world.inputs.has(&package.digest)? {
        return Ok(());
    }
    if package.size > SIZE_MAX {
        return Err(DebsError::TooLarge { name: package.name.clone(), size: package.size });
    }
    (world.progress)(&format!("fetching {} {}", package.name, package.version));
    // A repository on this machine: apt writes its path as it is.
    if let Some(path) = package.url.strip_prefix("file:").or_else(|| package.url.strip_prefix("copy:")) {
        let path = PathBuf::from(path);
        let file = fs::File::open(&path).map_err(|source| DebsError::Io { path, source })?;
        world.inputs.put(&mut file.take(package.size.saturating_add(1)), Some(&package.digest))?;
        return Ok(());
    }
    let fetched = world.fetch.fetch(&package.url, package.size);
    let bytes = fetched.map_err(|source| DebsError::Fetch { name: package.name.clone(), source })?;
    world.inputs.put(&mut bytes.as_slice(), Some(&package.digest))?;
    Ok(())
}

#[cfg(test)]
mod tests;
