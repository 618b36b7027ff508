//! Node.js: `package-lock.json` and yarn 1's `yarn.lock`, tarballs by their SHA-512, as a cache that `npm ci` reads without a
//! network, and as an offline mirror for yarn.
//!
//! npm finds a tarball in its cache by the digest that the lock file names, with no look at the cache's index; so the tree
//! holds contents only, in npm's own layout, and is copied writable into the builder's home:
//!
//! ```text
//! /home/builder/.npm/_cacache/content-v2/sha512/e8/59/73b9b4cb646dc9d9…
//! /home/builder/.npm/yarn-offline-mirror/ms-2.1.3.tgz
//! ```
//!
//! Layout: <https://github.com/npm/cacache/blob/v20.0.1/lib/content/path.js>; the look-up by digest:
//! <https://github.com/npm/pacote/blob/v21.0.3/lib/fetcher.js>. Tried first: the same tree read-only,
//! which costs no memory. `npm ci` is content with it, but `npm pack` writes temporary files and contents into the cache. A
//! `node_modules` made by us was not tried: its layout is npm's decision.
//!
//! yarn finds a tarball in a mirror by a name made of its address; that is said in `~/.yarnrc`:
//! <https://github.com/yarnpkg/yarn/blob/v1.22.22/src/fetchers/tarball-fetcher.js>. Newer yarns pin no tarball but a zip of
//! their own, so their lock files are refused.
//!
//! Lifecycle scripts are not run here but by `npm ci` or `yarn`, inside the sandbox.

mod manifest;

use std::collections::BTreeMap;

use inspect::lock_file::{Locked, Origin, Pin};
use model::recipe::Settings;
use sandbox::plan::Mount;
use wire::digest::Digest;

use super::download::{self, Integrity, Wanted};
use super::{Contribution, Ecosystem, LockFileKind, Pinned, ProjectFile, Request, refuse};
use crate::inputs::{TreeEntry, TreeSource};
use crate::lock::{Dependency, DependencyKind, Lock};
use crate::pin::{PinError, World};
use crate::plan::HOME;

/// yarn's mirror, below the tree.
const MIRROR: &str = "yarn-offline-mirror";

/// A tarball that a lock file names.
struct Tarball<'a> {
    package: &'a Locked,
    file: &'a ProjectFile,
    url: String,
    integrity: Vec<Digest>,
    /// Its name in yarn's mirror, for what a `yarn.lock` names.
    mirrored: Option<String>,
}

/// Pins the tarballs of all lock files.
pub(super) fn pin(request: &Request<'_>, world: &World<'_>) -> Result<Pinned, PinError> {
    let mut locks = Vec::new();
    for file in request.files {
        if file.kind == LockFileKind::Npm {
            manifest::check(request.project, file)?;
        }
        locks.push((*file, file.parse()?));
    }
    let machine = Machine::of(request.base);
    let mut tarballs: BTreeMap<(String, Vec<Digest>, bool), Tarball<'_>> = BTreeMap::new();
    for (file, lock) in &locks {
        for package in lock.fetched().filter(|package| machine.takes(package)) {
            let tarball = tarball(file, package)?;
            let key = (tarball.url.clone(), tarball.integrity.clone(), tarball.mirrored.is_some());
            tarballs.entry(key).or_insert(tarball);
        }
    }
    let tarballs: Vec<Tarball<'_>> = tarballs.into_values().collect();
    let wanted: Vec<Wanted> = tarballs.iter().map(wanted).collect();
    let (digests, counts) = download::bring(&wanted, world)?;
    let held: Vec<(&Tarball<'_>, Digest)> = tarballs.iter().zip(digests).collect();
    let tree = match held.is_empty() {
        true => None,
        false => Some(world.inputs.import(layout(&held))?.digest()),
    };
    let dependencies = held.iter().map(|(tarball, digest)| dependency(tarball, digest)).collect();
    Ok(Pinned { tree, dependencies, counts })
}

fn tarball<'a>(file: &'a ProjectFile, package: &'a Locked) -> Result<Tarball<'a>, PinError> {
    let artifact = match &package.origin {
        Origin::Registry { artifacts, .. } if artifacts.len() == 1 => &artifacts[0],
        Origin::Url(artifact) => artifact,
        _ => {
            let message = format!("`{}` comes from git, which is not fetched for npm", package.name);
            return Err(refuse(file, package.line, message, "depend on a tarball of it, by its https address"));
        }
    };
    let Some(url) = artifact.url.clone() else {
        let message = format!("`{}` has no `resolved`, and npm finds it without a network by that only", package.name);
        let mend = "run `npm install --package-lock-only --omit-lockfile-registry-resolved=false`";
        return Err(refuse(file, package.line, message, mend));
    };
    let digest = |pin: &Pin| if let Pin::Bytes(digest) = pin { Some(*digest) } else { None };
    let mut integrity: Vec<Digest> = artifact.pins.iter().filter_map(digest).collect();
    integrity.sort_by(|a, b| b.cmp(a)); // npm looks for the strongest: SHA-512 before SHA-256
    let mirrored = (file.kind == LockFileKind::Yarn).then(|| mirror_name(&url));
    Ok(Tarball { package, file, url, integrity, mirrored })
}

/// What yarn calls a tarball in its mirror: the last part of the address, after the scope if the package has one.
fn mirror_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or("").split_once("://").map_or("", |(_, rest)| rest);
    let parts: Vec<&str> = path.split('/').collect();
    let name = parts.last().copied().unwrap_or("");
    let scope = parts.iter().position(|part| ["-", "_attachments"].contains(part)).and_then(|dash| {
        let before = parts.get(dash.checked_sub(1)?)?;
        let encoded = before.split_once("%2f").or_else(|| before.split_once("%2F")).map(|(scope, _)| scope);
        encoded.or_else(|| parts.get(dash.checked_sub(2)?).copied()).filter(|scope| scope.starts_with('@'))
    });
    match scope {
        Some(scope) => format!("{scope}-{name}"),
        None => name.to_owned(),
    }
}

fn wanted(tarball: &Tarball<'_>) -> Wanted {
    Wanted {
        what: format!("package `{} {}`", tarball.package.name, tarball.package.version),
        url: tarball.url.clone(),
        integrity: Integrity::Bytes(tarball.integrity.clone()),
        stated_by: tarball.file.path.clone(),
    }
}

/// The entries of cache and mirror; the same bytes stand once in each.
fn layout(held: &[(&Tarball<'_>, Digest)]) -> Vec<TreeEntry> {
    let mut entries = BTreeMap::new();
    for (tarball, digest) in held {
        let Some(integrity) = tarball.integrity.first() else { continue };
        let (algorithm, hex) = (integrity.algorithm(), integrity.hex());
        let path = match &tarball.mirrored {
            Some(name) => format!("{MIRROR}/{name}"),
            None => format!("_cacache/content-v2/{algorithm}/{}/{}/{}", &hex[..2], &hex[2..4], &hex[4..]),
        };
        entries.insert(path, TreeSource::Held { digest: *digest, executable: false });
    }
    entries.into_iter().map(|(path, source)| TreeEntry { path, source }).collect()
}

fn dependency(tarball: &Tarball<'_>, digest: &Digest) -> Dependency {
    let package = tarball.package;
    Dependency {
        ecosystem: Some(Ecosystem::Node),
        name: package.name.clone(),
        version: package.version.clone(),
        source: tarball.url.clone(),
        file: None,
        kind: match package.origin {
            Origin::Registry { .. } => DependencyKind::Registry,
            _ => DependencyKind::Url,
        },
        commit: None,
        integrity: tarball.integrity.first().filter(|integrity| *integrity != digest).copied(),
        digest: *digest,
        purl: package.purl.to_string(),
    }
}

/// The machine that the base is for, as npm names it.
struct Machine {
    cpu: &'static str,
}

impl Machine {
    fn of(base: &crate::lock::Base) -> Machine {
        let cpu = match super::architecture(base) {
            "arm64" => "arm64",
            _ => "x64",
        };
        Machine { cpu }
    }

    /// Whether npm installs the package here; those for other systems are not fetched.
    fn takes(&self, package: &Locked) -> bool {
        let scope = &package.scope;
        allows(&scope.os, "linux") && allows(&scope.cpu, self.cpu) && allows(&scope.libc, "glibc")
    }
}

/// `["linux", "darwin"]` names what is taken, `["!win32"]` what is not; an empty list takes all.
fn allows(list: &[String], own: &str) -> bool {
    let refused = list.iter().any(|name| name.strip_prefix('!') == Some(own));
    let named: Vec<&String> = list.iter().filter(|name| !name.starts_with('!')).collect();
    !refused && (named.is_empty() || named.iter().any(|name| *name == own || *name == "any"))
}

/// npm's variables, and yarn's configuration.
pub(super) fn contribute(lock: &Lock, _settings: &Settings) -> Contribution {
    let own = lock.toolchains.iter().any(|toolchain| toolchain.name == "node");
    let headers = if own { "/toolchain/node" } else { "/usr" };
    let variables = [
        ("npm_config_audit", "false"),
        ("npm_config_cache", Ecosystem::Node.directory()),
        ("npm_config_fund", "false"),
        ("npm_config_logs_max", "0"),
        // Where node-gyp finds the headers of Node, which it would download otherwise.
        ("npm_config_nodedir", headers),
        ("npm_config_offline", "true"),
        ("npm_config_update_notifier", "false"),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let has_yarn = lock.lock_files.iter().any(|file| file.kind == LockFileKind::Yarn);
    let configuration = Mount::File {
        target: format!("{HOME}/.yarnrc"),
        content: format!(
            "disable-self-update-check true\nyarn-offline-mirror \"{}/{MIRROR}\"\n",
            Ecosystem::Node.directory()
        ),
        executable: false,
    };
    let home = has_yarn.then_some(configuration).into_iter().collect();
    Contribution { variables: variables.collect(), home, ..Contribution::default() }
}

#[cfg(test)]
mod tests;
