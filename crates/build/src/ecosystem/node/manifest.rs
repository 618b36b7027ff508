//! Whether a `package-lock.json` fits the `package.json` beside it, as `npm ci` would ask: the lock file repeats what its
//! manifests ask for, and both must say the same.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::super::{LOCK_FILE_SIZE_MAX, ProjectFile, refuse};
use crate::pin::PinError;

/// What a manifest asks for, by name.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wishes {
    dependencies: BTreeMap<String, String>,
    dev_dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
    peer_dependencies: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, serde_json::Value>,
}

/// Refuses a lock file whose root, or a member of whose workspace, asks for something else than its manifest does. Format
/// 1 does not repeat the manifest, so there `npm ci` finds it out.
pub(super) fn check(project: &Path, file: &ProjectFile) -> Result<(), PinError> {
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
            let message = format!("`{shown}` and the lock file do not agree on `{name}`");
            let line = 1 + file.bytes.split(|byte| *byte == b'\n').position(|line| names(line, place)).unwrap_or(0);
            return Err(refuse(file, line, message, "run `npm install --package-lock-only`"));
        }
    }
    Ok(())
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
