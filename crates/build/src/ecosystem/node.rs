//! Node.js: the lock files of npm, pnpm and yarn. Tarballs by their SHA-512, as a cache that `npm ci` and pnpm read without a
//! network, as an offline mirror for yarn 1, and by a plugin for newer yarns.
//!
//! npm finds a tarball in its cache by the digest that the lock file names, with no look at the cache's index; so the tree
//! holds contents only, in npm's own layout, and is copied writable into the builder's home:
//!
//! ```text
//! /home/builder/.npm/_cacache/content-v2/sha512/e8/59/73b9b4cb646dc9d9…
//! /home/builder/.npm/yarn-offline-mirror/ms-2.1.3.tgz
//! /home/builder/.npm/pnpmfile.cjs
//! /home/builder/.npm/yarn-berry/plugin.cjs
//! /home/builder/.npm/bin/pnpm
//! ```
//!
//! Layout: <https://github.com/npm/cacache/blob/v20.0.1/lib/content/path.js>; the look-up by digest:
//! <https://github.com/npm/pacote/blob/v21.0.3/lib/fetcher.js>. Tried first: the same tree read-only,
//! which costs no memory. `npm ci` is content with it, but `npm pack` writes temporary files and contents into the cache. A
//! `node_modules` made by us was not tried: its layout is npm's decision.
//!
//! pnpm takes its fetchers from a global pnpmfile (`hooks.fetchers`, pnpm 8 to 10); ours reads the same files, by the
//! `integrity` of the lock file. Tried first: a store made beforehand (it holds times, and its layout changes with pnpm's
//! version), and a copy of the lock file with `tarball: file:…` in it (it works, but is not the project's lock file).
//!
//! yarn 1 finds a tarball in a mirror by a name made of its address; that is said in `~/.yarnrc`:
//! <https://github.com/yarnpkg/yarn/blob/v1.22.22/src/fetchers/tarball-fetcher.js>. Newer yarns: module `berry`.
//!
//! Lifecycle scripts are not run here but by the package manager, inside the sandbox.

mod berry;

mod manifest;

mod registries;

pub(crate) mod tool;

use std::collections::BTreeMap;

use inspect::lock_file::{LockFile, Locked, Origin, Pin};
use model::recipe::Settings;
use sandbox::plan::Mount;
use wire::digest::Digest;

use super::download::{self, Integrity, Wanted};
use super::{Contribution, Ecosystem, LockFileKind, Pinned, ProjectFile, Request, Tool, refuse};
use crate::inputs::{TreeEntry, TreeSource};
use crate::lock::{Dependency, DependencyKind, Lock};
use crate::pin::{PinError, World};
use crate::plan::HOME;

use registries::Registries;

/// Files that are read together with a lock file of pnpm or yarn, where they are there.
pub(super) const BESIDE: [&str; 3] = [".npmrc", ".yarnrc.yml", "package.json"];

/// yarn's mirror, below the tree.
const MIRROR: &str = "yarn-offline-mirror";

/// pnpm's hooks, below the tree.
const PNPMFILE: &str = "pnpmfile.cjs";

/// Hands pnpm the kept tarball of each package that it would fetch; pnpm compares the digest itself. The files lie as npm's
/// cache has them.
const PNPMFILE_TEXT: &str = r#"const path = require("path");
const kept = integrity => {
  const [algorithm, value] = integrity.split(/\s+/).find(part => part.startsWith("sha512-")).split("-");
  const hex = Buffer.from(value, "base64").toString("hex");
  return path.join(__dirname, "_cacache", "content-v2", algorithm, hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
};
const remoteTarball = ({ defaultFetchers }) => (cafs, resolution, options) =>
  defaultFetchers.localTarball(
    cafs,
    { integrity: resolution.integrity, tarball: `file:${kept(resolution.integrity)}` },
    { ...options, lockfileDir: "/" },
  );
module.exports = { hooks: { fetchers: { remoteTarball } } };
"#;

/// A tarball that a lock file names.
struct Tarball<'a> {
    package: &'a Locked,
    file: &'a ProjectFile,
    url: String,
    integrity: Vec<Digest>,
    reader: Reader,
}

/// How a package manager finds a tarball.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reader {
    /// In npm's cache, by digest.
    Cache,
    /// There as well, by our hooks for pnpm.
    Pnpm,
    /// In yarn 1's mirror, by this name.
    Mirror(String),
    /// There as well as in npm's cache, by this name in our list for newer yarns.
    Berry(String),
}

impl Tarball<'_> {
    fn key(&self) -> (String, Vec<Digest>, Reader) {
        (self.url.clone(), self.integrity.clone(), self.reader.clone())
    }

    /// Its place in the tree.
    fn path(&self) -> Option<String> {
        let integrity = self.integrity.first()?;
        let (algorithm, hex) = (integrity.algorithm(), integrity.hex());
        Some(match &self.reader {
            Reader::Mirror(name) => format!("{MIRROR}/{name}"),
            _ => format!("_cacache/content-v2/{algorithm}/{}/{}/{}", &hex[..2], &hex[2..4], &hex[4..]),
        })
    }
}

/// A lock file, read, with what lies beside it.
struct Source<'a> {
    file: &'a ProjectFile,
    lock: LockFile,
    registries: Registries,
}

/// Pins the tarballs of all lock files, and the package managers that their projects name.
pub(super) fn pin(request: &Request<'_>, world: &World<'_>) -> Result<Pinned, PinError> {
    let mut sources = Vec::new();
    let mut tools = Vec::new();
    for file in request.files {
        manifest::check(request.project, file)?;
        tools.extend(file.tool().map_err(|problem| PinError::LockFile(Box::new(problem)))?);
        sources.push(Source { file, lock: file.parse()?, registries: Registries::of(file)? });
    }
    let tarballs = tarballs(&sources, &Machine::of(request.base), world)?;
    let wanted: Vec<Wanted> = tarballs.iter().map(wanted).collect();
    let (digests, mut counts) = download::bring(&wanted, world)?;
    let held: Vec<(&Tarball<'_>, Digest)> = tarballs.iter().zip(digests).collect();
    let mut dependencies: Vec<Dependency> = held.iter().map(|(tarball, digest)| dependency(tarball, digest)).collect();
    let registries_of = |tool: &Tool| sources.iter().find(|source| source.names(tool)).map(|source| &source.registries);
    let public = Registries::public();
    let tools: Vec<(Tool, &Registries)> =
        tools.into_iter().map(|tool| (tool.clone(), registries_of(&tool).unwrap_or(&public))).collect();
    let (programs, of_tools, of_fetch) = tool::pin(&tools, world)?;
    counts.add(of_fetch);
    dependencies.extend(of_tools);
    let mut entries = layout(&held);
    entries.extend(programs);
    let tree = match entries.is_empty() {
        true => None,
        false => Some(world.inputs.import(entries)?.digest()),
    };
    Ok(Pinned { tree, dependencies, counts })
}

impl Source<'_> {
    fn names(&self, tool: &Tool) -> bool {
        self.file.beside.iter().any(|(path, _)| *path == tool.stated_by)
    }
}

/// The tarballs that all lock files name for the machine, each once.
fn tarballs<'a>(sources: &'a [Source<'a>], machine: &Machine, world: &World<'_>) -> Result<Vec<Tarball<'a>>, PinError> {
    let mut tarballs: BTreeMap<(String, Vec<Digest>, Reader), Tarball<'_>> = BTreeMap::new();
    let mut asked = Vec::new();
    for source in sources {
        for package in source.lock.fetched().filter(|package| machine.takes(package)) {
            if source.file.kind == LockFileKind::YarnBerry {
                berry::check(source.file, package)?;
                asked.push((source.file, package, &source.registries));
                continue;
            }
            let tarball = tarball(source, package)?;
            tarballs.entry(tarball.key()).or_insert(tarball);
        }
    }
    for ((file, package, _), stated) in asked.iter().zip(berry::stated(&asked, world)?) {
        let reader = Reader::Berry(berry::key(package));
        let (url, integrity) = (stated.url, vec![stated.integrity]);
        let tarball = Tarball { package, file, url, integrity, reader };
        tarballs.entry(tarball.key()).or_insert(tarball);
    }
    Ok(tarballs.into_values().collect())
}

fn tarball<'a>(source: &'a Source<'a>, package: &'a Locked) -> Result<Tarball<'a>, PinError> {
    let file = source.file;
    let artifact = match &package.origin {
        Origin::Registry { artifacts, .. } if artifacts.len() == 1 => &artifacts[0],
        Origin::Url(artifact) => artifact,
        _ => {
            let message = format!("`{}` comes from git, which is not fetched for {}", package.name, file.kind.name());
            return Err(refuse(file, package.line, message, "depend on a tarball of it, by its https address"));
        }
    };
    let url = match &artifact.url {
        Some(url) => url.clone(),
        None if file.kind == LockFileKind::Pnpm => source.registries.tarball(&package.name, &package.version),
        None => {
            let message =
                format!("`{}` has no `resolved`, and npm finds it without a network by that only", package.name);
            let mend = "run `npm install --package-lock-only --omit-lockfile-registry-resolved=false`";
            return Err(refuse(file, package.line, message, mend));
        }
    };
    let digest = |pin: &Pin| if let Pin::Bytes(digest) = pin { Some(*digest) } else { None };
    let mut integrity: Vec<Digest> = artifact.pins.iter().filter_map(digest).collect();
    integrity.sort_by(|a, b| b.cmp(a)); // npm looks for the strongest: SHA-512 before SHA-256
    let reader = match file.kind {
        LockFileKind::Yarn => Reader::Mirror(mirror_name(&url)),
        LockFileKind::Pnpm => Reader::Pnpm,
        _ => Reader::Cache,
    };
    if reader == Reader::Pnpm && !integrity.iter().any(|digest| matches!(digest, Digest::Sha512(_))) {
        let message = format!("`{}` has no SHA-512, which it is found by without a network", package.name);
        return Err(refuse(file, package.line, message, file.kind.mend()));
    }
    Ok(Tarball { package, file, url, integrity, reader })
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

/// The entries of cache and mirror, the same bytes once in each, and what makes pnpm and newer yarns read them.
fn layout(held: &[(&Tarball<'_>, Digest)]) -> Vec<TreeEntry> {
    let mut entries = BTreeMap::new();
    let mut listed = BTreeMap::new();
    for (tarball, digest) in held {
        let Some(path) = tarball.path() else { continue };
        match &tarball.reader {
            Reader::Berry(key) => drop(listed.insert(key.clone(), path.clone())),
            Reader::Pnpm => {
                let bytes = PNPMFILE_TEXT.into();
                entries.insert(PNPMFILE.to_owned(), TreeSource::Bytes { bytes, executable: false });
            }
            Reader::Cache | Reader::Mirror(_) => {}
        }
        entries.insert(path, TreeSource::Held { digest: *digest, executable: false });
    }
    let mut entries: Vec<TreeEntry> = entries.into_iter().map(|(path, source)| TreeEntry { path, source }).collect();
    if !listed.is_empty() {
        entries.extend(berry::plugin(&listed));
    }
    entries
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
        let conditions = scope.marker.as_deref().unwrap_or("");
        let own = |key: &str| match key {
            "os" => Some("linux"),
            "cpu" => Some(self.cpu),
            "libc" => Some("glibc"),
            _ => None,
        };
        allows(&scope.os, "linux")
            && allows(&scope.cpu, self.cpu)
            && allows(&scope.libc, "glibc")
            && conditions.split('&').all(|condition| holds(condition, own))
    }
}

/// One of yarn's conditions: `os=linux`, or `(os=linux | os=darwin)`.
fn holds(condition: &str, own: impl Fn(&str) -> Option<&'static str>) -> bool {
    let alternatives = condition.trim().trim_start_matches('(').trim_end_matches(')').split('|');
    let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, value) in alternatives.filter_map(|one| one.trim().split_once('=')) {
        lists.entry(key).or_default().push(value.to_owned());
    }
    lists.iter().all(|(key, values)| own(key).is_none_or(|own| allows(values, own)))
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
    let mut variables: BTreeMap<String, String> = variables.collect();
    let has = |kind: LockFileKind| lock.lock_files.iter().any(|file| file.kind == kind);
    let place = Ecosystem::Node.directory();
    let mut set = |name: &str, value: String| drop(variables.insert(name.to_owned(), value));
    if has(LockFileKind::Pnpm) {
        set("npm_config_global_pnpmfile", format!("{place}/{PNPMFILE}"));
        set("npm_config_manage_package_manager_versions", "false".to_owned());
        // Copied, not linked: linking depends on which file systems the store and the project lie on.
        set("npm_config_package_import_method", "copy".to_owned());
    }
    if has(LockFileKind::YarnBerry) {
        set("YARN_CHECKSUM_BEHAVIOR", "throw".to_owned());
        // Plug'n'Play names the cache's files: below the project, they can be part of an artifact.
        set("YARN_ENABLE_GLOBAL_CACHE", "false".to_owned());
        set("YARN_ENABLE_TELEMETRY", "false".to_owned());
        set("YARN_PLUGINS", format!("{place}/{}", berry::PLUGIN));
    }
    let configuration = Mount::File {
        target: format!("{HOME}/.yarnrc"),
        content: format!("disable-self-update-check true\nyarn-offline-mirror \"{place}/{MIRROR}\"\n"),
        executable: false,
    };
    let home = has(LockFileKind::Yarn).then_some(configuration).into_iter().collect();
    // Where a project names no package manager, the directory is not there, which a search path may say.
    let may_have_tools = [LockFileKind::Pnpm, LockFileKind::Yarn, LockFileKind::YarnBerry].into_iter().any(has);
    let path = may_have_tools.then(|| format!("{place}/{}", tool::BIN)).into_iter().collect();
    Contribution { variables, home, path, ..Contribution::default() }
}

#[cfg(test)]
mod tests;
