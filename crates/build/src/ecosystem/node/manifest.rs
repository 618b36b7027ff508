//! Whether a lock file fits the `package.json` beside it, as `npm ci` would ask: the lock file repeats what its manifests ask
//! for, and both must say the same. Where a configuration may replace what a manifest asks for, the package manager finds it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use inspect::lock_file::{Asked, pnpm, yarn};
use serde::Deserialize;

use super::super::{LOCK_FILE_SIZE_MAX, LockFileKind, ProjectFile, refuse};
use crate::pin::PinError;

/// What a manifest asks for, by name.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wishes {
    dependencies: BTreeMap<String, String>,
    dev_dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
    peer_dependencies: BTreeMap<String, String>,
    /// yarn's: what replaces the wishes of all.
    resolutions: BTreeMap<String, String>,
}

impl Wishes {
    /// What is installed for the project itself.
    fn installed(&self) -> impl Iterator<Item = (&String, &String)> {
        self.dependencies.iter().chain(&self.dev_dependencies).chain(&self.optional_dependencies)
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, serde_json::Value>,
}

/// Refuses a lock file that does not fit its manifests.
pub(super) fn check(project: &Path, file: &ProjectFile) -> Result<(), PinError> {
    match file.kind {
        LockFileKind::Npm => check_npm(project, file),
        LockFileKind::Pnpm => match pnpm::asked(&file.path, &file.bytes) {
            Ok(Some(asked)) => check_members(project, file, &asked),
            _ => Ok(()), // refused where it is parsed
        },
        LockFileKind::YarnBerry => match yarn::asked(&file.path, &file.bytes) {
            Ok(asked) => check_members(project, file, &asked),
            Err(_) => Ok(()),
        },
        LockFileKind::Yarn => check_yarn(project, file),
        _ => Ok(()),
    }
}

/// Refuses a lock file whose root, or a member of whose workspace, asks for something else than its manifest does. Format
/// 1 does not repeat the manifest, so there `npm ci` finds it out.
fn check_npm(project: &Path, file: &ProjectFile) -> Result<(), PinError> {
    let Ok(lock) = serde_json::from_slice::<Lock>(&file.bytes) else { return Ok(()) }; // refused where it is parsed
    for (place, entry) in &lock.packages {
        if place.split('/').any(|part| part == "node_modules") || place.split('/').any(|part| part == "..") {
            continue;
        }
        let path = project.join(file.directory()).join(place).join("package.json");
        let manifest = read(&path)?;
        let locked: Wishes = serde_json::from_value(entry.clone()).unwrap_or_default();
        if let Some(name) = differs(&locked, &manifest) {
            let shown = if place.is_empty() { "package.json" } else { place };
            let line = 1 + file.bytes.split(|byte| *byte == b'\n').position(|line| names(line, place)).unwrap_or(0);
            return Err(disagree(file, line, shown, &name));
        }
    }
    Ok(())
}

fn disagree(file: &ProjectFile, line: usize, shown: &str, name: &str) -> PinError {
    let message = format!("`{shown}` and the lock file do not agree on `{name}`");
    refuse(file, line, message, &format!("run `{}`", file.kind.mend()))
}

/// The same for a lock file of pnpm or newer yarns, which keeps all wishes of a member in one table.
fn check_members(project: &Path, file: &ProjectFile, asked: &Asked) -> Result<(), PinError> {
    for (directory, locked) in asked {
        if directory.starts_with('/') || directory.split('/').any(|part| part == "..") {
            continue;
        }
        let manifest = read(&project.join(file.directory()).join(directory).join("package.json"))?;
        if !manifest.resolutions.is_empty() {
            return Ok(());
        }
        let wishes: Vec<(&String, &String)> = manifest.installed().collect();
        // A range with a protocol may be spelt in two ways.
        let agrees = |name: &str, wish: &str| {
            let plain = |range: &str| range.strip_prefix("npm:").unwrap_or(range).to_owned();
            locked.get(name).is_some_and(|range| wish.contains(':') || plain(range) == plain(wish))
        };
        let new = wishes.iter().find(|(name, wish)| !agrees(name, wish)).map(|(name, _)| (*name).clone());
        let is_asked = |name: &String| {
            wishes.iter().any(|(wished, _)| *wished == name) || manifest.peer_dependencies.contains_key(name)
        };
        if let Some(name) = new.or_else(|| locked.keys().find(|name| !is_asked(name)).cloned()) {
            let shown = if directory == "." { "package.json" } else { directory };
            return Err(disagree(file, 1, shown, &name));
        }
    }
    Ok(())
}

/// yarn 1 repeats no manifest, but has a head `NAME@RANGE` for each wish.
fn check_yarn(project: &Path, file: &ProjectFile) -> Result<(), PinError> {
    let manifest = read(&project.join(file.directory()).join("package.json"))?;
    if !manifest.resolutions.is_empty() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&file.bytes);
    let heads = text.lines().filter(|line| !line.starts_with([' ', '#'])).map(|line| line.trim_end_matches(':'));
    let heads: BTreeSet<&str> = heads.flat_map(|head| head.split(", ")).map(|head| head.trim_matches('"')).collect();
    let is_locked = |name: &str, wish: &str| wish.contains(':') || heads.contains(format!("{name}@{wish}").as_str());
    match manifest.installed().find(|(name, wish)| !is_locked(name, wish)) {
        Some((name, _)) => Err(disagree(file, 1, "package.json", name)),
        None => Ok(()),
    }
}

fn names(line: &[u8], place: &str) -> bool {
    String::from_utf8_lossy(line).trim_start().starts_with(&format!("\"{place}\":"))
}

fn read(path: &Path) -> Result<Wishes, PinError> {
    let failed = |source| PinError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > LOCK_FILE_SIZE_MAX {
        return Err(failed(io::Error::other(format!("larger than {LOCK_FILE_SIZE_MAX} bytes"))));
    }
    let bytes = fs::read(path).map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|error| failed(io::Error::other(error)))
}

/// The first package that one has and the other has not, or not so.
fn differs(locked: &Wishes, manifest: &Wishes) -> Option<String> {
    let tables = |wishes: &'_ Wishes| {
        let list =
            [&wishes.dependencies, &wishes.dev_dependencies, &wishes.optional_dependencies, &wishes.peer_dependencies];
        list.map(Clone::clone)
    };
    tables(locked).into_iter().zip(tables(manifest)).find_map(|(a, b)| {
        let either = a.keys().chain(b.keys());
        either.into_iter().find(|name| a.get(*name) != b.get(*name)).cloned()
    })
}

#[cfg(test)]
mod tests;
