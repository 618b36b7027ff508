//! The format of yarn 2 and newer.

use std::collections::BTreeMap;

use wire::digest::Digest;

use super::{Pin, split_name};
use crate::lock_file::document::{Map, Node, yaml};
use crate::lock_file::finding::{PackageProblem, Position, Problem, Reason, Refusal, shorten};
use crate::lock_file::javascript::{Asked, Subject, git_at, git_url, is_package_name, locked};
use crate::lock_file::pin::{Artifact, Origin};
use crate::lock_file::reading::Reading;
use crate::lock_file::{Edge, Locked};

pub(super) fn parse(reading: &mut Reading<'_>, text: &str) -> Result<Option<String>, Refusal> {
    let document = yaml(text)?;
    let root = document.map("")?;
    let node = root.get("__metadata").ok_or(Refusal::new(Position::START, Reason::Missing("__metadata")))?;
    let metadata = node.map("__metadata")?;
    let format = metadata.scalar("version")?.unwrap_or_default();
    if !(4..=10).contains(&format.parse::<u32>().unwrap_or_default()) {
        return Err(Refusal::new(node.at, Reason::Format { found: shorten(format), known: "1, and 4 to 10" }));
    }
    let cache_key = metadata.scalar("cacheKey")?;
    let mut list = List::default();
    for (key, entry) in root.iter().filter(|(key, _)| *key != "__metadata") {
        list.entry(reading, key, entry, cache_key)?;
    }
    if reading.packages.iter().any(|package| package.origin.is_fetched() && !package.origin.is_pinned()) {
        reading.found(node.at, "", Problem::Repacked);
    }
    list.edges(reading, root)?;
    Ok(Some(format.to_owned()))
}

/// What each workspace of the file asks for.
pub(super) fn asked(text: &str) -> Result<Asked, Refusal> {
    let document = yaml(text)?;
    let mut asked = Asked::new();
    for (key, node) in document.map("")?.iter().filter(|(key, _)| *key != "__metadata") {
        let map = node.map(key)?;
        let resolution = map.required("resolution", node.at)?;
        let Some((_, directory)) = resolution.split_once("@workspace:") else { continue };
        let mut names = BTreeMap::new();
        for (name, range) in map.members("dependencies")? {
            let range = range.scalar(name)?;
            names.insert(name.to_owned(), range.strip_prefix("npm:").unwrap_or(range).to_owned());
        }
        asked.insert(directory.to_owned(), names);
    }
    Ok(asked)
}

/// How many patches may lie on each other.
const PATCHES_MAX: usize = 8;

#[derive(Default)]
struct List {
    /// Packages by each descriptor.
    descriptors: BTreeMap<String, usize>,
    /// Packages by their locator, `NAME@REFERENCE`.
    locators: BTreeMap<String, usize>,
    /// Patched packages: descriptors, and the locator of what is patched.
    patched: Vec<(Position, Vec<String>, String)>,
}

/// Takes the bindings off: `file:x::locator=…`.
fn unbound(text: &str) -> &str {
    text.split("::").next().unwrap_or(text)
}

impl List {
    fn entry(
        &mut self,
        reading: &mut Reading<'_>,
        key: &str,
        node: &Node,
        cache_key: Option<&str>,
    ) -> Result<(), Refusal> {
        let map = node.map(key)?;
        let resolution = map.required("resolution", node.at)?;
        let descriptors: Vec<String> = key.split(", ").map(str::to_owned).collect();
        let malformed = || Refusal::package(node.at, resolution, PackageProblem::Name);
        let (name, reference) = split_name(resolution).ok_or_else(malformed)?;
        if !is_package_name(name) {
            return Err(malformed());
        }
        if reference.starts_with("patch:") {
            // The package itself stands in the file as well; the patch is yarn's own or a file of the project.
            self.patched.push((node.at, descriptors, below_patches(resolution).ok_or_else(malformed)?));
            return Ok(());
        }
        let package = package(reading, Subject { at: node.at, name }, reference, map, cache_key)?;
        let position = reading.push(node.at, package)?;
        self.locators.insert(resolution.to_owned(), position);
        for descriptor in descriptors {
            self.descriptors.insert(unbound(&descriptor).to_owned(), position);
        }
        Ok(())
    }

    fn edges(&mut self, reading: &mut Reading<'_>, root: &Map) -> Result<(), Refusal> {
        for (at, descriptors, below) in std::mem::take(&mut self.patched) {
            let Some(&position) = self.locators.get(&below).or_else(|| self.descriptors.get(unbound(&below))) else {
                return Err(Refusal::package(at, &below, PackageProblem::Dependency(shorten(&below))));
            };
            for descriptor in descriptors {
                self.descriptors.insert(descriptor, position);
            }
        }
        for (_, node) in root.iter().filter(|(key, _)| *key != "__metadata") {
            let map = node.map("package")?;
            let Some(&position) = self.locators.get(map.required("resolution", node.at)?) else { continue };
            let mut edges: Vec<Edge> = Vec::new();
            for (name, range) in map.members("dependencies")? {
                let range = range.scalar(name)?;
                let plain = format!("{name}@{range}");
                // Before yarn 4 the range stands without its protocol.
                let found = self
                    .descriptors
                    .get(unbound(&plain))
                    .or_else(|| self.descriptors.get(&format!("{name}@npm:{range}")));
                edges.extend(found.copied().map(Edge::to));
            }
            reading.packages[position].dependencies = edges;
        }
        Ok(())
    }
}

fn package(
    reading: &mut Reading<'_>,
    subject: Subject<'_>,
    reference: &str,
    map: &Map,
    cache_key: Option<&str>,
) -> Result<Locked, Refusal> {
    let Subject { at, name } = subject;
    let pins = match map.scalar("checksum")? {
        Some(checksum) => vec![pin(checksum, cache_key).map_err(|problem| subject.refuse(problem))?],
        None => Vec::new(),
    };
    let version = map.scalar("version")?.unwrap_or_default();
    let (protocol, rest) = reference.split_once(':').unwrap_or(("", reference));
    let mut is_member = false;
    let origin = match protocol {
        "npm" => {
            let (_, bindings) = rest.split_once("::").unwrap_or((rest, ""));
            let archive = bindings.split('&').find_map(|pair| pair.strip_prefix("__archiveUrl="));
            match archive {
                // Where a registry keeps its files elsewhere, the address says which registry that is.
                Some(url) => {
                    let url = percent_decoded(url).unwrap_or_default();
                    Origin::Url(Artifact { url: Some(reading.address(at, name, &url)?), pins, ..Artifact::default() })
                }
                None => Origin::Registry { registry: None, artifacts: vec![Artifact { pins, ..Artifact::default() }] },
            }
        }
        "workspace" => {
            is_member = true;
            let path = reading.path(at, name, rest)?;
            Origin::Workspace(if path == "." { String::new() } else { path })
        }
        "file" | "link" | "portal" => {
            let path = rest.split(['#', ':']).next().unwrap_or_default();
            Origin::Path(reading.path(at, name, path)?)
        }
        _ if rest.contains("#commit=") || rest.contains("&commit=") => {
            let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
            let commit = fragment.split('&').find_map(|part| part.strip_prefix("commit=")).unwrap_or_default();
            let url = reading.address(at, name, &git_url(address))?;
            git_at(reading, subject, url, commit, None)?
        }
        "http" | "https" => {
            let url = reading.address(at, name, unbound(reference))?;
            Origin::Url(Artifact { url: Some(url), pins, ..Artifact::default() })
        }
        _ => {
            let expected = "`npm:`, `workspace:`, `file:`, `link:`, `portal:`, `patch:`, git or an address";
            return Err(subject.refuse(PackageProblem::Origin { found: shorten(reference), expected }));
        }
    };
    // Members have the version `0.0.0-use.local` in the file, whatever their own is.
    let mut package = locked(subject, if is_member { "" } else { version }, origin)?;
    package.scope.marker = map.text("conditions")?.map(str::to_owned);
    Ok(package)
}

/// Reads `10c0/HEX`; before yarn 4 the cache's key may stand in the head of the file only.
fn pin(checksum: &str, cache_key: Option<&str>) -> Result<Pin, PackageProblem> {
    let (key, hex) = checksum.split_once('/').map_or((cache_key, checksum), |(key, hex)| (Some(key), hex));
    let digest = Digest::from_parts("sha512", hex).map_err(|_| PackageProblem::Digest(shorten(checksum)))?;
    Ok(Pin::YarnZip { cache_key: key.map(str::to_owned), digest })
}

/// Returns the locator of what is patched, perhaps several times: `a@patch:a@npm%3A1.0.0#x.patch` is `a@npm:1.0.0`.
fn below_patches(locator: &str) -> Option<String> {
    let mut locator = locator.to_owned();
    for _ in 0..PATCHES_MAX {
        match split_name(&locator)?.1.strip_prefix("patch:") {
            Some(below) => locator = percent_decoded(below.split('#').next().unwrap_or_default())?,
            None => return Some(locator),
        }
    }
    None
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}
