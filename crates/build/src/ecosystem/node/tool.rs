//! The package manager that a project pins itself: `packageManager` of `package.json`, as Corepack writes it.
//!
//! ```json
//! "packageManager": "pnpm@9.15.9+sha512.68046141893c66fad01c079231128e9afb89ef87e2691d69e4d40eee228988295fd4682181bae55b58418c3a253bde65a505ec7c5f9403ece5cc3cd37dcf2531"
//! ```
//!
//! Reference: <https://github.com/nodejs/corepack/blob/v0.34.0/README.md>. The digest is of the tarball, but for yarn 2 and newer of
//! the one file `bin/yarn.js`: <https://github.com/nodejs/corepack/blob/v0.34.0/sources/corepackUtils.ts>. It is fetched
//! from the registry and never taken from the machine.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use wire::digest::Digest;
use wire::purl::Purl;

use super::registries::Registries;
use crate::ecosystem::download::{self, FILE_SIZE_MAX, Integrity, Wanted};
use crate::ecosystem::fetched::of_tar;
use crate::ecosystem::{Ecosystem, LockFileKind, ProjectFile};
use crate::inputs::{TreeEntry, TreeSource};
use crate::lock::{Dependency, DependencyKind};
use crate::pin::{PinError, World};
use crate::problem::Problem;

/// Where the tools' commands are, below the tree of Node.js.
pub(super) const BIN: &str = "bin";

/// The one file of yarn 2 and newer.
const YARN: &str = "package/bin/yarn.js";

/// A package manager by version and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// `pnpm` or `yarn`; the command has this name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whose manifest says so, for messages: `web/package.json`.
    pub stated_by: String,
    digest: Digest,
    is_berry: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    package_manager: Option<String>,
}

/// Returns the package manager that the manifest beside a lock file names; `None` if it names none, or one that the lock file
/// is not of.
pub(crate) fn of(file: &ProjectFile) -> Result<Option<Tool>, Problem> {
    let wanted = match file.kind {
        LockFileKind::Pnpm => "pnpm",
        LockFileKind::Yarn | LockFileKind::YarnBerry => "yarn",
        _ => return Ok(None),
    };
    let Some((path, bytes)) = file.beside.iter().find(|(path, _)| path.ends_with("package.json")) else {
        return Ok(None);
    };
    let Ok(Manifest { package_manager: Some(text) }) = serde_json::from_slice::<Manifest>(bytes) else {
        return Ok(None);
    };
    let line = 1 + bytes.split(|byte| *byte == b'\n').position(|line| holds(line, "\"packageManager\"")).unwrap_or(0);
    let refuse = |message: String, mend: String| Problem::at_line(path, bytes, line, message, Some(mend));
    let (name, rest) = text.split_once('@').unwrap_or((&text, ""));
    if name != wanted {
        return Ok(None);
    }
    let (version, digest) = rest.split_once('+').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if version.is_empty() || !version.starts_with(|c: char| c.is_ascii_digit()) || !version.chars().all(plain) {
        let message = format!("`packageManager` is `{}`, which names no version", text.escape_debug());
        return Err(refuse(message, format!("run `corepack use {name}@latest`, which writes version and digest")));
    }
    let digest = digest.split_once('.').and_then(|(algorithm, hex)| Digest::from_parts(algorithm, hex).ok());
    let Some(digest) = digest else {
        let message = format!("`packageManager` names `{name}@{version}` without a SHA-256 or SHA-512");
        return Err(refuse(message, format!("run `corepack use {name}@{version}`, which writes it")));
    };
    let (name, version) = (name.to_owned(), version.to_owned());
    let is_berry = name == "yarn" && !version.starts_with("1.") && !version.starts_with("0.");
    Ok(Some(Tool { name, version, stated_by: path.clone(), digest, is_berry }))
}

fn holds(line: &[u8], text: &str) -> bool {
    line.windows(text.len()).any(|window| window == text.as_bytes())
}

impl Tool {
    /// Its package in the registry.
    fn package(&self) -> &str {
        if self.is_berry { "@yarnpkg/cli-dist" } else { &self.name }
    }

    /// Whether a dependency of a lock is this tool.
    pub(crate) fn is(&self, held: &Dependency) -> bool {
        let same = held.ecosystem == Some(Ecosystem::Node) && held.name == self.name && held.version == self.version;
        same && (self.is_berry || held.digest == self.digest || held.integrity == Some(self.digest))
    }

    fn wanted(&self, registries: &Registries) -> Wanted {
        let integrity = match self.is_berry {
            true => Integrity::Member { path: YARN.to_owned(), digest: self.digest },
            false => Integrity::Bytes(vec![self.digest]),
        };
        Wanted {
            what: format!("`{} {}`", self.name, self.version),
            url: registries.tarball(self.package(), &self.version),
            integrity,
            stated_by: self.stated_by.clone(),
        }
    }

    fn dependency(&self, url: String, digest: Digest) -> Dependency {
        let purl = match self.package().split_once('/') {
            Some((scope, bare)) => Purl::new("npm", bare, &self.version).in_namespace(scope),
            None => Purl::new("npm", &self.name, &self.version),
        };
        Dependency {
            ecosystem: Some(Ecosystem::Node),
            name: self.name.clone(),
            version: self.version.clone(),
            source: url,
            file: None,
            kind: DependencyKind::Registry,
            commit: None,
            integrity: (!self.is_berry && self.digest != digest).then_some(self.digest),
            digest,
            purl: purl.to_string(),
        }
    }
}

/// Fetches the tools of all lock files; returns the entries that they add to the tree, and each as a dependency.
pub(super) fn pin(
    tools: &[(Tool, &Registries)],
    world: &World<'_>,
) -> Result<(Vec<TreeEntry>, Vec<Dependency>, download::Counts), PinError> {
    let mut by_name: BTreeMap<&str, &(Tool, &Registries)> = BTreeMap::new();
    for one in tools {
        let first = by_name.entry(&one.0.name).or_insert(one);
        if first.0.version != one.0.version || first.0.digest != one.0.digest {
            let (a, b) = (&first.0, &one.0);
            return Err(PinError::TwoTools {
                name: a.name.clone(),
                first: format!("{} of `{}`", a.version, a.stated_by),
                second: format!("{} of `{}`", b.version, b.stated_by),
            });
        }
    }
    let wanted: Vec<Wanted> = by_name.values().map(|(tool, registries)| tool.wanted(registries)).collect();
    let (digests, counts) = download::bring(&wanted, world)?;
    let (mut entries, mut dependencies) = (Vec::new(), Vec::new());
    for (((tool, _), wanted), digest) in by_name.values().zip(wanted).zip(digests) {
        entries.extend(unpacked(tool, &digest, world)?);
        dependencies.push(tool.dependency(wanted.url, digest));
    }
    Ok((entries, dependencies, counts))
}

/// The files of a tool's tarball, and its command.
fn unpacked(tool: &Tool, digest: &Digest, world: &World<'_>) -> Result<Vec<TreeEntry>, PinError> {
    let refuse = |reason: String| PinError::Tool { name: tool.name.clone(), version: tool.version.clone(), reason };
    let mut bytes = Vec::new();
    world.inputs.open(digest)?.take(FILE_SIZE_MAX).read_to_end(&mut bytes).map_err(|e| refuse(e.to_string()))?;
    let mut files = of_tar(&mut MultiGzDecoder::new(bytes.as_slice())).map_err(|error| refuse(error.to_string()))?;
    if tool.is_berry {
        files.retain(|path, _| path == YARN); // nothing else is covered by the digest
    }
    let program = match tool.is_berry {
        true => "bin/yarn.js".to_owned(),
        false => program(tool, &files).ok_or_else(|| refuse("its `package.json` names no such command".to_owned()))?,
    };
    let place = format!("tools/{}", tool.name);
    let mut entries = Vec::new();
    for (path, source) in files {
        // The top directory is `package` by custom only.
        let below = path.split_once('/').map_or(path.as_str(), |(_, below)| below);
        entries.push(TreeEntry { path: format!("{place}/{below}"), source });
    }
    let script = format!("#!/bin/sh\nexec node {}/{place}/{program} \"$@\"\n", Ecosystem::Node.directory());
    let source = TreeSource::Bytes { bytes: script.into_bytes(), executable: true };
    entries.push(TreeEntry { path: format!("{BIN}/{}", tool.name), source });
    Ok(entries)
}

/// The path of a tool's program below its package, as its manifest says.
fn program(tool: &Tool, files: &BTreeMap<String, TreeSource>) -> Option<String> {
    #[derive(Deserialize)]
    struct Package {
        bin: serde_json::Value,
    }
    let manifest = files.iter().find(|(path, _)| path.split_once('/').is_some_and(|(_, name)| name == "package.json"));
    let (_, TreeSource::Bytes { bytes, .. }) = manifest? else { return None };
    let package: Package = serde_json::from_slice(bytes).ok()?;
    let path = package.bin.get(&tool.name).unwrap_or(&package.bin).as_str()?.trim_start_matches("./").to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let is_held = files.keys().any(|held| held.split_once('/').is_some_and(|(_, below)| below == path));
    (is_held && path.chars().all(plain)).then_some(path)
}

#[cfg(test)]
mod tests;
