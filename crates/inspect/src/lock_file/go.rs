//! Go's `go.mod`, `go.sum` and `vendor/modules.txt`, which only together say what a build takes.
//!
//! Specification: "Go Modules Reference" <https://go.dev/ref/mod>: `go.mod` files, `go.sum` files, vendoring.
//!
//! ```text
//! example.org/hello v1.2.0 h1:VDAgj/ljDgjPu3NH/Z/IsO+l2hu2aC60JAwpL/SNyj0=
//! example.org/hello v1.2.0/go.mod h1:yxNAMBWQKOtQdqyiMFMI7tUsnazZX0bWwI6vdhyPpMw=
//! ```
//!
//! `go.sum` may name more than a build takes: its modules are what can be fetched and checked. A module of which only
//! the line of its `go.mod` stands there is read for its requirements and never for its code. `h1:` is no digest of the
//! zip that is fetched, but of the files in it ([`hash1`]). With a `vendor` directory a build fetches nothing.
//!
//! The private modules, the proxy and the checksum database of a build are settings of its environment, not of a file.

mod dirhash;
mod go_mod;
mod vendor;

use std::collections::BTreeMap;

use wire::digest::Digest;
use wire::purl::Purl;

use super::finding::{PackageProblem, Position, Problem, Reason, Refusal, shorten};
use super::pin::{Artifact, Origin, Pin, Role};
use super::reading::{Reading, is_name, is_version, purl_of};
use super::{Edge, Kind, LockFile, LockFileError, Locked, Scope};

pub use dirhash::{DirHashError, hash_go_mod, hash1};
pub use go_mod::{GoMod, Replace, Replacement, Require};
pub use vendor::Vendored;

/// A file and its name in messages.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// `go.sum`
    pub file: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// Parses a module's `go.mod`, and `go.sum` and `vendor/modules.txt` where it has them.
///
/// The first package is the module itself; replaced modules stand under the name that their bytes have.
pub fn parse(
    go_mod: Input<'_>,
    go_sum: Option<Input<'_>>,
    modules: Option<Input<'_>>,
) -> Result<LockFile, LockFileError> {
    let module = go_mod::parse(go_mod)?;
    let mut reading = Reading::new(Kind::Go, go_mod.file);
    project(&mut reading, &module).map_err(|refusal| refusal.in_file(go_mod.file))?;
    let mut positions = Positions::new();
    if let Some(input) = go_sum {
        reading.turn_to(input.file);
        sums(&mut reading, input.bytes, &mut positions).map_err(|refusal| refusal.in_file(input.file))?;
    }
    let vendored = modules.map(vendor::parse).transpose()?;
    reading.turn_to(go_mod.file);
    requirements(&mut reading, &module, &mut positions, vendored.is_some())
        .map_err(|refusal| refusal.in_file(go_mod.file))?;
    if let (Some(input), Some(vendored)) = (modules, vendored) {
        reading.turn_to(input.file);
        place(&mut reading, &vendored, &mut positions).map_err(|refusal| refusal.in_file(input.file))?;
    }
    reading.finish(module.go)
}

/// Parses a `go.mod` alone; `file` is its name in messages.
pub fn parse_go_mod(file: &str, bytes: &[u8]) -> Result<GoMod, LockFileError> {
    go_mod::parse(Input { file, bytes })
}

/// Parses a `vendor/modules.txt` alone; `file` is its name in messages.
pub fn parse_modules_txt(file: &str, bytes: &[u8]) -> Result<Vec<Vendored>, LockFileError> {
    vendor::parse(Input { file, bytes })
}

/// Returns the spelling of a module path or version in a proxy's addresses and in the module cache: capital letters
/// become `!` and the small one.
pub fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Packages by path and version.
type Positions = BTreeMap<(String, String), usize>;

/// Whether a text is a module path: parts that can be names of directories, none beginning with a dot at the end.
fn is_module_path(path: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/' | b'+');
    is_name(path) && path.bytes().all(good) && !path.split('/').any(|part| part.starts_with('.') || part.ends_with('.'))
}

/// Whether a text is a canonical version: `v1.2.3`, with a pre-release, `+incompatible`, or a pseudo-version.
fn is_module_version(version: &str) -> bool {
    is_version(version) && version.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn check(at: Position, path: &str, version: &str) -> Result<(), Refusal> {
    if !is_module_path(path) {
        return Err(Refusal::package(at, path, PackageProblem::Name));
    }
    if !is_module_version(version) {
        return Err(Refusal::package(at, path, PackageProblem::Version(shorten(version))));
    }
    Ok(())
}

fn purl(path: &str, version: &str, origin: &Origin) -> Purl {
    // The specification of the type demands small letters, though Go tells `BurntSushi` from `burntsushi`.
    let path = path.to_lowercase();
    let mut purl = match path.rsplit_once('/') {
        Some((namespace, name)) => Purl::new("golang", name, version).in_namespace(namespace),
        None => Purl::new("golang", &path, version),
    };
    purl.version = purl.version.filter(|version| !version.is_empty());
    purl_of(purl, origin)
}

fn locked(at: Position, path: &str, version: &str, origin: Origin) -> Locked {
    Locked {
        name: path.to_owned(),
        version: version.to_owned(),
        purl: purl(path, version, &origin),
        origin,
        dependencies: Vec::new(),
        scope: Scope::default(),
        installed: None,
        line: at.line,
    }
}

fn project(reading: &mut Reading<'_>, module: &GoMod) -> Result<(), Refusal> {
    if !is_module_path(&module.module) {
        return Err(Refusal::package(module.at, &module.module, PackageProblem::Name));
    }
    reading.push(module.at, locked(module.at, &module.module, "", Origin::Workspace(String::new())))?;
    Ok(())
}

/// Reads `go.sum`: `PATH VERSION h1:BASE64` and `PATH VERSION/go.mod h1:BASE64`.
fn sums(reading: &mut Reading<'_>, bytes: &[u8], positions: &mut Positions) -> Result<(), Refusal> {
    let text = super::document::text_of(bytes)?;
    for (index, line) in text.lines().enumerate() {
        let at = Position { line: index + 1, column: 1 };
        let words: Vec<&str> = line.split_whitespace().collect();
        let (path, spelled, hash) = match words[..] {
            [] => continue,
            [path, version, hash] => (path, version, hash),
            _ => {
                let reason = Reason::Syntax("expected a module path, a version and a hash".to_owned());
                return Err(Refusal::new(at, reason));
            }
        };
        let version = spelled.strip_suffix("/go.mod").unwrap_or(spelled);
        check(at, path, version)?;
        let is_go_mod = spelled != version;
        let position = match positions.get(&(path.to_owned(), version.to_owned())) {
            Some(&position) => position,
            None => {
                let origin = Origin::Registry { registry: None, artifacts: Vec::new() };
                let position = reading.push(at, locked(at, path, version, origin))?;
                positions.insert((path.to_owned(), version.to_owned()), position);
                position
            }
        };
        // Go keeps lines with hashes that it does not know, and goes by those that it knows.
        let Some(digest) = hash.strip_prefix("h1:") else {
            let algorithm = shorten(hash.split(':').next().unwrap_or_default());
            reading.found(at, path, Problem::UnknownDigest { algorithm });
            continue;
        };
        let bytes = wire::base64::decode(digest).ok().and_then(|bytes| bytes.try_into().ok());
        let digest = bytes.map(Digest::Sha256);
        let digest = digest.ok_or_else(|| Refusal::package(at, path, PackageProblem::Digest(shorten(hash))))?;
        let artifact = artifact(path, version, digest, is_go_mod);
        add(&mut reading.packages[position].origin, artifact)
            .map_err(|()| Refusal::package(at, path, PackageProblem::Digest(shorten(hash))))?;
    }
    Ok(())
}

/// Returns a file as each proxy has it below its address.
fn artifact(path: &str, version: &str, digest: Digest, is_go_mod: bool) -> Artifact {
    let (role, end, pin) = match is_go_mod {
        true => (Role::Description, "mod", Pin::GoMod(digest)),
        false => (Role::Package, "zip", Pin::GoTree(digest)),
    };
    let file = format!("{}/@v/{}.{end}", escaped(path), escaped(version));
    Artifact { role, file: Some(file), pins: vec![pin], ..Artifact::default() }
}

/// Adds a file; the same line twice is let pass, two hashes for one file are not.
fn add(origin: &mut Origin, artifact: Artifact) -> Result<(), ()> {
    let Origin::Registry { artifacts, .. } = origin else { return Err(()) };
    match artifacts.iter().find(|held| held.role == artifact.role) {
        Some(held) if held.pins == artifact.pins => Ok(()),
        Some(_) => Err(()),
        None => {
            artifacts.push(artifact);
            Ok(())
        }
    }
}

/// Finds what each requirement of `go.mod` comes to, and makes it a dependency of the project.
fn requirements(
    reading: &mut Reading<'_>,
    module: &GoMod,
    positions: &mut Positions,
    is_vendored: bool,
) -> Result<(), Refusal> {
    let mut edges = Vec::new();
    for require in &module.requires {
        check(require.at, &require.path, &require.version)?;
        let key = match module.replacement(&require.path, &require.version) {
            None => (require.path.clone(), require.version.clone()),
            Some(Replacement::Module { path, version }) => {
                check(require.at, path, version)?;
                (path.clone(), version.clone())
            }
            Some(Replacement::Path(path)) => {
                let path = reading.path(require.at, &require.path, path)?;
                let package = locked(require.at, &require.path, &require.version, Origin::Path(path));
                let position = reading.push(require.at, package)?;
                positions.insert((require.path.clone(), require.version.clone()), position);
                edges.push(Edge::to(position));
                continue;
            }
        };
        let position = match positions.get(&key) {
            Some(&position) => position,
            None => {
                // What lies in `vendor` is in the source tree, and is not looked up in `go.sum`.
                if !is_vendored {
                    reading.found(require.at, &key.0, Problem::NoDigest);
                }
                let origin = match is_vendored {
                    true => Origin::Path(format!("vendor/{}", require.path)),
                    false => Origin::Registry { registry: None, artifacts: Vec::new() },
                };
                let position = reading.push(require.at, locked(require.at, &key.0, &key.1, origin))?;
                positions.insert(key, position);
                position
            }
        };
        edges.push(Edge::to(position));
    }
    reading.packages[0].dependencies = edges;
    Ok(())
}

/// Says of each vendored module where it lies.
fn place(reading: &mut Reading<'_>, vendored: &[Vendored], positions: &mut Positions) -> Result<(), Refusal> {
    for module in vendored {
        let key = match &module.replacement {
            Some(Replacement::Module { path, version }) => (path.clone(), version.clone()),
            Some(Replacement::Path(_)) | None => (module.path.clone(), module.version.clone()),
        };
        check(module.at, &key.0, &key.1)?;
        let directory = format!("vendor/{}", module.path);
        let position = match positions.get(&key) {
            Some(&position) => position,
            None => {
                let package = locked(module.at, &key.0, &key.1, Origin::Path(directory.clone()));
                let position = reading.push(module.at, package)?;
                positions.insert(key, position);
                position
            }
        };
        reading.packages[position].installed = Some(directory);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
