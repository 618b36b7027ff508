//! yarn 2 and newer: tarballs as the registry has them, and a plugin that hands them to yarn in place of a network.
//!
//! A `yarn.lock` of these pins the zip that yarn makes of a tarball, which nobody else can compute. So two things hold together:
//! what is fetched is pinned in `assay.lock`, by the SHA-512 that the registry states for the version (`dist.integrity`); and
//! yarn, at the version that the project pins, makes its zip of it in the build and compares that with `yarn.lock`
//! (`YARN_CHECKSUM_BEHAVIOR=throw`). Another file than the one that was locked therefore never gets into a build.
//!
//! yarn asks each plugin of `YARN_PLUGINS` before it makes a request: hook `wrapNetworkRequest`,
//! <https://github.com/yarnpkg/berry/blob/@yarnpkg/cli/4.9.2/packages/yarnpkg-core/sources/Plugin.ts>. Tried first: yarn's own
//! cache. It is named by a hash of yarn's own, and its zips differ between yarn's versions.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use inspect::lock_file::{Locked, Origin, Pin};
use serde::{Deserialize, Serialize};
use wire::digest::Digest;

use super::registries::{Registries, tarball_path};
use crate::ecosystem::download::{DownloadError, in_parallel};
use crate::ecosystem::{ProjectFile, refuse};
use crate::inputs::{TreeEntry, TreeSource};
use crate::pin::cache::Cache;
use crate::pin::{PinError, World};

/// The plugin and its list, below the tree of Node.js.
pub(super) const PLUGIN: &str = "yarn-berry/plugin.cjs";
const LIST: &str = "yarn-berry/tarballs.json";

/// How large the manifest of one version may be: it may hold a readme.
const MANIFEST_MAX: u64 = 16 << 20;

/// Hands yarn the kept tarball of an address. The list beside it names each by its whole address, or by the part of it that
/// does not depend on the registry.
const PLUGIN_TEXT: &str = r#"const fs = require("fs");
const path = require("path");
const list = JSON.parse(fs.readFileSync(path.join(__dirname, "tarballs.json"), "utf8"));
const place = target => {
  const address = decodeURIComponent(String(target));
  const part = /((?:@[^/]+\/)?[^/]+\/-\/[^/?#]+)$/.exec(address.split(/[?#]/)[0]);
  return list[address] || (part && list[part[1]]);
};
const answer = (target, method) => {
  const held = method === "GET" ? place(target) : undefined;
  if (!held) throw new Error(`${method} ${target}: a step has no network, and assay lock kept no such file`);
  return { body: fs.readFileSync(path.join(__dirname, "..", held)), headers: {}, statusCode: 200 };
};
module.exports = {
  name: "@assay/kept",
  factory: () => ({
    hooks: { wrapNetworkRequest: async (request, info) => async () => answer(info.target, info.method || "GET") },
  }),
};
"#;

/// What a registry states of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stated {
    /// Where its tarball is.
    pub(super) url: String,
    /// The tarball's SHA-512.
    pub(super) integrity: Digest,
}

#[derive(Deserialize)]
struct Manifest {
    dist: Dist,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
    integrity: Option<String>,
}

/// Returns what plugin calls the tarball of a package: its whole address where the lock file has one.
pub(super) fn key(package: &Locked) -> String {
    match package.origin.artifacts().first().and_then(|artifact| artifact.url.clone()) {
        Some(url) => url,
        None => tarball_path(&package.name, &package.version),
    }
}

/// Refuses a package that is not a registry's, or that yarn could not check.
pub(super) fn check(file: &ProjectFile, package: &Locked) -> Result<(), PinError> {
    let refuse = |message: String, mend: &str| Err(refuse(file, package.line, message, mend));
    let name = &package.name;
    let artifact = match &package.origin {
        Origin::Registry { artifacts, .. } => artifacts.first(),
        Origin::Url(artifact) => Some(artifact),
        _ => {
            let message = format!("`{name}` comes from git, which is not fetched for yarn");
            return refuse(message, "depend on a version of a registry");
        }
    };
    let is_checked =
        artifact.is_some_and(|artifact| artifact.pins.iter().any(|pin| matches!(pin, Pin::YarnZip { .. })));
    if !is_checked {
        return refuse(
            format!("`{name}` has no checksum, so yarn could not check it"),
            "run `yarn install --mode=update-lockfile`",
        );
    }
    Ok(())
}

/// Asks the registry what it states of each version; what it said of one before is not asked for again.
pub(super) fn stated(
    packages: &[(&ProjectFile, &Locked, &Registries)],
    world: &World<'_>,
) -> Result<Vec<Stated>, PinError> {
    let answers: Mutex<BTreeMap<usize, Stated>> = Mutex::default();
    let numbered: Vec<usize> = (0..packages.len()).collect();
    in_parallel(&numbered, &|index| {
        let (file, package, registries) = packages[*index];
        let stated = ask(file, package, registries, world)?;
        answers.lock().unwrap_or_else(PoisonError::into_inner).insert(*index, stated);
        Ok::<(), PinError>(())
    })?;
    Ok(answers.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect())
}

fn ask(file: &ProjectFile, package: &Locked, registries: &Registries, world: &World<'_>) -> Result<Stated, PinError> {
    let url = registries.manifest(&package.name, &package.version);
    // What yarn locked is part of the question: where it changes, the registry is asked anew.
    let question = format!("{url} {:?}", package.origin.artifacts().first().map(|artifact| &artifact.pins));
    let cache = Cache::new(&world.host.cache, "npm-manifest", &Digest::of(question.as_bytes()));
    if let Some(known) = cache.load::<Stated>() {
        return Ok(known);
    }
    let what = format!("the manifest of `{} {}`", package.name, package.version);
    let bytes = world.fetch.fetch(&url, MANIFEST_MAX);
    let bytes = bytes.map_err(|source| DownloadError::Fetch { what: what.clone(), source })?;
    let refuse =
        |message: String| refuse(file, package.line, message, "lock a version that the registry has a SHA-512 of");
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|error| refuse(format!("`{url}` answers with no manifest of a version ({error})")))?;
    let integrity = manifest.dist.integrity.as_deref().and_then(sha512);
    let integrity = integrity.ok_or_else(|| refuse(format!("`{url}` states no SHA-512 of the package's file")))?;
    if let Some(locked) = package.origin.artifacts().first().and_then(|artifact| artifact.url.as_ref())
        && *locked != manifest.dist.tarball
    {
        let message = format!("`{locked}` is not where `{url}` has the package's file, so nothing states its digest");
        return Err(refuse(message));
    }
    let stated = Stated { url: manifest.dist.tarball, integrity };
    cache.save(&stated);
    Ok(stated)
}

/// The SHA-512 of `sha1-… sha512-…`.
fn sha512(integrity: &str) -> Option<Digest> {
    let value = integrity.split_whitespace().find_map(|part| part.strip_prefix("sha512-"))?;
    let bytes = wire::base64::decode(value.split('?').next()?).ok()?;
    Some(Digest::Sha512(bytes.try_into().ok()?))
}

/// The plugin, and its list of these tarballs: what yarn asks for, and the place in the tree.
pub(super) fn plugin(tarballs: &BTreeMap<String, String>) -> Vec<TreeEntry> {
    let entry = |path: &str, bytes: Vec<u8>| TreeEntry {
        path: path.to_owned(),
        source: TreeSource::Bytes { bytes, executable: false },
    };
    vec![entry(PLUGIN, PLUGIN_TEXT.into()), entry(LIST, wire::jcs::to_vec(tarballs))]
}

#[cfg(test)]
mod tests;
