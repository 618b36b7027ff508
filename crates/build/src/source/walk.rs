//! The files of a project that is in no git work tree.

use std::path::Path;

use super::{FILES_MAX, SourceError, plain};

/// Directories of version control, which are never source.
const NEVER: [&str; 4] = [".git", ".hg", ".svn", ".jj"];

/// Directories that a tool writes beside its manifest.
const BESIDE: [(&str, &str); 2] = [("target", "Cargo.toml"), ("node_modules", "package.json")];

/// How deep directories may lie within each other.
const DEPTH_MAX: usize = 200;

/// Returns all files, links and special files below `directory`, relative to it and sorted.
pub(super) fn files(directory: &Path) -> Result<Vec<String>, SourceError> {
    let mut found = Vec::new();
    visit(directory, "", 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn visit(root: &Path, below: &str, depth: usize, found: &mut Vec<String>) -> Result<(), SourceError> {
    let here = root.join(below);
    let read = |cause| SourceError::Read { path: here.clone(), cause };
    if depth > DEPTH_MAX || found.len() > FILES_MAX {
        return Err(SourceError::TooMany { directory: root.to_owned() });
    }
    for entry in here.read_dir().map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = plain(entry.file_name().as_encoded_bytes())?;
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if !entry.file_type().map_err(read)?.is_dir() {
            found.push(path);
        } else if !left_out(&here, &name) {
            visit(root, &path, depth + 1, found)?;
        }
    }
    Ok(())
}

fn left_out(parent: &Path, name: &str) -> bool {
    NEVER.contains(&name) || BESIDE.iter().any(|(made, manifest)| name == *made && parent.join(manifest).exists())
}
