//! What Cargo manifests say: names, binaries, direct dependencies, members of a workspace.
//!
//! Format: <https://doc.rust-lang.org/cargo/reference/manifest.html>. Only what a proposal needs is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{FILE_SIZE_MAX, InitError};
use crate::problem::Problem;

/// How many members a workspace may have.
const MEMBERS_MAX: usize = 5_000;

/// The root manifest.
pub(super) struct Root {
    /// Name of its package; `None` for a virtual workspace.
    pub(super) name: Option<String>,
    /// Whether it is a workspace.
    pub(super) is_workspace: bool,
    /// Directories of all members, the root's package among them.
    pub(super) members: Vec<PathBuf>,
}

/// A package's manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) binaries: Vec<String>,
    pub(super) dependencies: BTreeSet<String>,
    pub(super) authors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    package: Option<PackageSection>,
    workspace: Option<WorkspaceSection>,
    #[serde(default)]
    bin: Vec<BinarySection>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct PackageSection {
    name: String,
    autobins: Option<bool>,
    authors: Option<toml::Value>,
}

#[derive(Deserialize)]
struct WorkspaceSection {
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BinarySection {
    name: Option<String>,
    path: Option<String>,
    #[serde(default)]
    required_features: Vec<String>,
}

/// Reads the root manifest and those of all members.
pub(super) fn read_all(directory: &Path) -> Result<(Root, Vec<Manifest>), InitError> {
    let root = read(directory)?;
    let name = root.package.as_ref().map(|package| package.name.clone());
    let mut members = BTreeSet::new();
    if name.is_some() {
        members.insert(directory.to_owned());
    }
    if let Some(workspace) = &root.workspace {
        let excluded: Vec<PathBuf> = workspace.exclude.iter().map(|path| directory.join(path)).collect();
        for pattern in &workspace.members {
            members.extend(expand(directory, pattern));
        }
        members.retain(|member| !excluded.iter().any(|excluded| member.starts_with(excluded)));
    }
    let members: Vec<PathBuf> = members.into_iter().take(MEMBERS_MAX).collect();
    let mut manifests = Vec::new();
    for member in &members {
        manifests.extend(manifest(member, read(member)?));
    }
    Ok((Root { name, is_workspace: root.workspace.is_some(), members }, manifests))
}

fn read(directory: &Path) -> Result<Document, InitError> {
    let path = directory.join("Cargo.toml");
    let failed = |source| InitError::Read { path: path.clone(), source };
    let size = fs::metadata(&path).map_err(failed)?.len();
    if size > FILE_SIZE_MAX {
        return Err(failed(std::io::Error::other(format!("larger than {FILE_SIZE_MAX} bytes"))));
    }
    let text = fs::read_to_string(&path).map_err(failed)?;
    toml::from_str(&text)
        .map_err(|error| InitError::Manifest(Box::new(Problem::of_toml(&path.to_string_lossy(), &text, &error))))
}

fn manifest(directory: &Path, document: Document) -> Option<Manifest> {
    let package = document.package?;
    let authors = package.authors.as_ref().and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let dependency = |(key, value): (&String, &toml::Value)| {
        let renamed = value.get("package").and_then(toml::Value::as_str);
        renamed.unwrap_or(key).to_owned()
    };
    Some(Manifest {
        binaries: binaries(directory, &package, &document.bin),
        dependencies: document.dependencies.iter().map(dependency).collect(),
        authors: authors.iter().filter_map(|author| author.as_str().map(str::to_owned)).collect(),
        name: package.name,
        directory: directory.to_owned(),
    })
}

/// Binaries that `cargo build` makes with default features: declared ones, `src/main.rs`, `src/bin/*`.
fn binaries(directory: &Path, package: &PackageSection, declared: &[BinarySection]) -> Vec<String> {
    let mut found = BTreeMap::new();
    if package.autobins != Some(false) {
        if directory.join("src/main.rs").is_file() {
            found.insert(package.name.clone(), "src/main.rs".to_owned());
        }
        for (name, path) in in_bin_directory(directory) {
            found.insert(name, path);
        }
    }
    for binary in declared {
        let Some(name) = &binary.name else { continue };
        // A declared binary takes the place of the one that would be found at its path.
        found.retain(|_, path| binary.path.as_ref() != Some(path));
        match binary.required_features.is_empty() {
            true => found.insert(name.clone(), binary.path.clone().unwrap_or_default()),
            false => found.remove(name),
        };
    }
    found.into_keys().collect()
}

fn in_bin_directory(directory: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(directory.join("src/bin")) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".rs") {
            found.push((stem.to_owned(), format!("src/bin/{name}")));
        } else if entry.path().join("main.rs").is_file() {
            found.push((name.clone(), format!("src/bin/{name}/main.rs")));
        }
    }
    found
}

/// Directories with a manifest that a members pattern (`crates/*`) names.
fn expand(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let mut next = Vec::new();
        for base in &found {
            match part.contains(['*', '?']) {
                false => next.push(base.join(part)),
                true => next.extend(matching(base, part)),
            }
        }
        next.truncate(MEMBERS_MAX);
        found = next;
    }
    found.retain(|path| path.join("Cargo.toml").is_file());
    found
}

fn matching(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(base) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<PathBuf> = names.filter(|name| glob(pattern, name)).map(|name| base.join(name)).collect();
    found.sort();
    found
}

/// `*` matches any characters within one name, `?` one. Steps back only to the last `*`, so it takes time linear in
/// the product of the lengths.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b) if *b == b'?' || *b == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, matched)) = star else { return false };
                star = Some((at, matched + 1));
                p = at + 1;
                n = matched + 1;
            }
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// `build.target` of the project's own Cargo configuration: it moves the output directory.
pub(super) fn configured_target(directory: &Path) -> Option<String> {
    let text = ["config.toml", "config"]
        .iter()
        .find_map(|name| fs::read_to_string(directory.join(".cargo").join(name)).ok())?;
    let config: toml::Table = toml::from_str(&text).ok()?;
    let target = config.get("build")?.get("target")?.as_str()?;
    let plain = target.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    plain.then(|| target.to_owned())
}
