//! Node.js as its makers pack it: `bin/node`, npm below `lib/node_modules`, the headers for addons.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Resolved, ToolchainError, add};
use crate::inputs::Host;

/// What is taken if it is there, beside `bin/node` and npm itself.
const MORE: [&str; 3] = ["bin/npm", "bin/npx", "include/node"];

/// What of npm is left out: its documentation.
const LEFT_OUT: [&str; 2] = ["lib/node_modules/npm/docs/", "lib/node_modules/npm/man/"];

/// Finds the directory that the first `node` of the search path lies in. One that lies in the project is passed over: it
/// would be a program of the project's choosing, and its version is asked by running it.
pub(super) fn resolve(project: &Path, host: &Host) -> Result<Resolved, ToolchainError> {
    let program = find(project, host).ok_or(ToolchainError::NoNode)?;
    let failed = |source| ToolchainError::Read { path: program.clone(), source };
    let real = program.canonicalize().map_err(failed)?;
    let prefix = real.parent().and_then(Path::parent).ok_or(ToolchainError::NoNode)?.to_owned();
    let npm = npm_version(&prefix).ok_or_else(|| ToolchainError::NoNpm(real.clone()))?;
    let output = host.command(&real.to_string_lossy()).arg("--version").current_dir("/").output().map_err(failed)?;
    let node = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || !node.starts_with('v') || node.len() > 64 {
        return Err(ToolchainError::Node(real));
    }
    let mut files = Vec::new();
    add(&prefix, "bin/node", &mut files)?;
    add(&prefix, "lib/node_modules/npm", &mut files)?;
    for path in MORE {
        if fs::symlink_metadata(prefix.join(path)).is_ok() {
            add(&prefix, path, &mut files)?;
        }
    }
    files.retain(|(path, ..)| !LEFT_OUT.iter().any(|left_out| path.starts_with(left_out)));
    files.sort();
    Ok(Resolved { name: "node", version: format!("node {node}, npm {npm}"), files, sysroot: prefix })
}

fn find(project: &Path, host: &Host) -> Option<PathBuf> {
    let path = host.variables.get("PATH")?;
    let own = project.canonicalize().unwrap_or_else(|_| project.to_owned());
    let is_foreign = |place: &PathBuf| place.canonicalize().is_ok_and(|real| real.is_file() && !real.starts_with(&own));
    let places = path.split(':').filter(|place| place.starts_with('/')).map(|place| Path::new(place).join("node"));
    places.into_iter().find(is_foreign)
}

fn npm_version(prefix: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Package {
        version: String,
    }
    let bytes = fs::read(prefix.join("lib/node_modules/npm/package.json")).ok()?;
    let package: Package = serde_json::from_slice(&bytes).ok()?;
    let plain = package.version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b));
    (plain && package.version.len() <= 64).then_some(package.version)
}

#[cfg(test)]
mod tests;
