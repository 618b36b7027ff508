//! Cargo's lock file, versions 1 to 4.
//!
//! Specification: cargo 1.95, `src/cargo/core/resolver/encode.rs`
//! <https://github.com/rust-lang/cargo/blob/0.96.0/src/cargo/core/resolver/encode.rs> (the format has no other).
//!
//! ```text
//! version = 4
//!
//! [[package]]
//! name = "itoa"
//! version = "1.0.18"
//! source = "registry+https://github.com/rust-lang/crates.io-index"
//! checksum = "8f42a60cbdf9a97f5d2305f08a87dc4e09308d1276d28c869c684d7777685682"
//! ```
//!
//! The digest is that of the `.crate` file; its address is the registry's own affair, so none stands here. Unused
//! patches are read over, as they are no part of a build. Which features or targets a build takes is not decided here.

mod source;

use std::collections::{BTreeMap, BTreeSet};

use wire::purl::Purl;

use super::document::{Map, Node, toml};
use super::finding::{PackageProblem, Position, Problem, Reason, Refusal, shorten};
use super::pin::{Artifact, Origin};
use super::reading::{Reading, by_name, is_version, purl_of, read};
use super::{Edge, Kind, LockFile, LockFileError, Locked, Scope};

pub use source::is_crates_io;

/// The longest crate name; crates.io itself allows 64 characters.
const CRATE_NAME_MAX: usize = 128;

/// Parses a `Cargo.lock`; `file` is its name in messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<LockFile, LockFileError> {
    read(Kind::Cargo, file, bytes, |reading, text| {
        let document = toml(text)?;
        let root = document.map("")?;
        let metadata: BTreeMap<&str, &Node> = root.members("metadata")?.collect();
        let format = format(root, &metadata)?;
        // Before 2016 the package of the directory stood apart.
        let raw: Vec<(&Node, Raw<'_>)> = root
            .get("root")
            .into_iter()
            .chain(root.list("package")?)
            .map(|node| Ok((node, Raw::of(node)?)))
            .collect::<Result<_, Refusal>>()?;
        for (node, raw) in &raw {
            let package = raw.locked(reading, node.at, format, &metadata)?;
            reading.push(node.at, package)?;
        }
        refuse_twins(&raw)?;
        let edges = resolve(&reading.packages, &raw)?;
        for (package, edges) in reading.packages.iter_mut().zip(edges) {
            package.dependencies = edges;
        }
        Ok(Some(format.to_string()))
    })
}

/// Versions 1 and 2 do not name themselves; 1 is what keeps checksums in `[metadata]`.
fn format(root: &Map, metadata: &BTreeMap<&str, &Node>) -> Result<u8, Refusal> {
    let Some(version) = root.get("version") else {
        let has_checksums = metadata.keys().any(|key| key.starts_with("checksum "));
        return Ok(if has_checksums { 1 } else { 2 });
    };
    match version.scalar("version")? {
        "3" => Ok(3),
        "4" => Ok(4),
        other => Err(Refusal::new(version.at, Reason::Format { found: shorten(other), known: "1 to 4" })),
    }
}

/// A package as it stands.
struct Raw<'a> {
    name: &'a str,
    version: &'a str,
    source: Option<&'a str>,
    checksum: Option<&'a str>,
    dependencies: Vec<&'a str>,
}

impl<'a> Raw<'a> {
    fn of(node: &'a Node) -> Result<Raw<'a>, Refusal> {
        let map = node.map("package")?;
        let dependencies: Result<Vec<&str>, Refusal> =
            map.list("dependencies")?.iter().map(|one| one.text("dependencies")).collect();
        Ok(Raw {
            name: map.required("name", node.at)?,
            version: map.required("version", node.at)?,
            source: map.text("source")?,
            checksum: map.text("checksum")?,
            dependencies: dependencies?,
        })
    }

    fn locked(
        &self,
        reading: &mut Reading<'_>,
        at: Position,
        format: u8,
        metadata: &BTreeMap<&str, &Node>,
    ) -> Result<Locked, Refusal> {
        let refuse = |problem| Refusal::package(at, self.name, problem);
        if !is_crate_name(self.name) {
            return Err(refuse(PackageProblem::Name));
        }
        if !is_version(self.version) || !self.version.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(refuse(PackageProblem::Version(shorten(self.version))));
        }
        let checksum = match (self.checksum, self.source) {
            (None, Some(source)) => {
                // Version 1 keeps checksums apart.
                let key = format!("checksum {} {} ({source})", self.name, self.version);
                metadata.get(key.as_str()).map(|node| node.text("metadata")).transpose()?
            }
            (checksum, _) => checksum,
        };
        let origin = source::origin(self.source, checksum, format).map_err(refuse)?;
        let origin = match origin {
            Origin::Git { url, reference, commit, subdirectory } => {
                let url = reading.address(at, self.name, &url)?;
                Origin::Git { url, reference, commit, subdirectory }
            }
            origin => origin,
        };
        if !origin.is_pinned() {
            reading.found(at, self.name, Problem::NoDigest);
        }
        Ok(Locked {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            purl: purl(self.name, self.version, &origin),
            origin,
            dependencies: Vec::new(),
            scope: Scope::default(),
            installed: None,
            line: at.line,
        })
    }
}

/// For a package of the project that is `download_url=file://.`, as the file does not say its directory.
fn purl(name: &str, version: &str, origin: &Origin) -> Purl {
    let purl = Purl::new("cargo", name, version);
    match origin {
        Origin::Registry { registry: Some(registry), .. } if is_crates_io(registry) => purl,
        Origin::Registry { registry: Some(registry), .. } => {
            let url = registry.split_once('+').map_or(registry.as_str(), |(_, url)| url);
            purl.with("repository_url", url)
        }
        origin => purl_of(purl, origin),
    }
}

/// Names become parts of paths and of URLs, so nothing that could leave one is let in.
fn is_crate_name(name: &str) -> bool {
    let good = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    (1..=CRATE_NAME_MAX).contains(&name.len()) && name.chars().all(good)
}

fn refuse_twins(raw: &[(&Node, Raw<'_>)]) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for (node, raw) in raw {
        if !seen.insert((raw.name, raw.version, raw.source)) {
            return Err(Refusal::package(node.at, raw.name, PackageProblem::Twice));
        }
    }
    Ok(())
}

/// Finds what each dependency means: `NAME`, `NAME VERSION` or `NAME VERSION (SOURCE)`, as short as is unambiguous.
fn resolve(packages: &[Locked], raw: &[(&Node, Raw<'_>)]) -> Result<Vec<Vec<Edge>>, Refusal> {
    let by_name = by_name(packages, |package| package.name.clone())?;
    let find = |wanted: &str| -> Option<usize> {
        let mut words = wanted.splitn(3, ' ');
        let name = words.next()?;
        let version = words.next();
        let source = match words.next() {
            Some(word) => Some(word.strip_prefix('(')?.strip_suffix(')')?),
            None => None,
        };
        let mut fitting = by_name.get(name)?.iter().copied().filter(|&position| {
            let held = &raw[position].1;
            version.is_none_or(|version| held.version == version)
                && source.is_none_or(|source| same_source(held.source, source))
        });
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    };
    let mut all = Vec::with_capacity(raw.len());
    for (node, raw) in raw {
        let mut edges = Vec::new();
        for wanted in &raw.dependencies {
            let position = find(wanted)
                .ok_or_else(|| Refusal::package(node.at, raw.name, PackageProblem::Dependency(shorten(wanted))))?;
            edges.push(Edge::to(position));
        }
        all.push(edges);
    }
    Ok(all)
}

/// From version 3 on, a git source in a dependency stands without its commit.
fn same_source(held: Option<&str>, wanted: &str) -> bool {
    held.is_some_and(|held| held == wanted || held.split_once('#').is_some_and(|(before, _)| before == wanted))
}

/// Returns the only file of a registry's package.
fn artifact(digest: Option<wire::digest::Digest>) -> Artifact {
    digest.map(Artifact::of).unwrap_or_default()
}

#[cfg(test)]
mod tests;
