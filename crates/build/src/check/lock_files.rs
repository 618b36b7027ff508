//! Lock files: what they leave open or pin badly, and those that nobody named.

use toml::de::DeTable;

use super::Files;
use crate::ecosystem::{LockFileKind, lock_file_names};
use crate::problem::Problem;
use crate::spec;

/// Lock files of package managers that are not read.
const NOT_READ: [&str; 8] = [
    "Gemfile.lock",
    "Pipfile.lock",
    "bun.lock",
    "composer.lock",
    "gradle.lockfile",
    "mix.lock",
    "npm-shrinkwrap.json",
    "pdm.lock",
];

/// Whether a file of that name is a lock file, read or not.
pub(super) fn is_one(name: &str) -> bool {
    LockFileKind::of_path(name).is_some() || NOT_READ.contains(&name)
}

/// The lock files that a specification names; `None` if it has no such key, or is no text that can be read.
pub(super) fn named(spec: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(spec).ok()?;
    let document = DeTable::parse(text).ok()?;
    let list = document.get_ref().get("base")?.get_ref().as_table()?.get("lock-files")?.get_ref().as_array()?;
    Some(list.iter().filter_map(|item| item.get_ref().as_str().map(str::to_owned)).collect())
}

pub(super) fn check(files: &Files) -> Vec<Problem> {
    let mut findings = Vec::new();
    for file in &files.lock_files {
        match file.read() {
            Ok(lock) => findings
                .extend(lock.findings.iter().map(|finding| Problem::of_finding(file.text_of(&finding.file), finding))),
            // Cargo's own is read, and reported, with its manifests.
            Err(_) if files.cargo_lock.as_ref().is_some_and(|(name, _)| *name == file.path) => {}
            Err(problem) => findings.push(problem),
        }
    }
    let (text, offset) = match &files.spec {
        Some((_, bytes)) => {
            let text = String::from_utf8_lossy(bytes);
            let offset = text.find("[base]").unwrap_or(0);
            (text, offset)
        }
        None => ("".into(), 0),
    };
    for name in &files.unnamed {
        let (message, allowed) = match LockFileKind::of_path(name) {
            Some(_) => (
                format!("nothing of `{name}` is fetched, since `lock-files` does not name it"),
                format!("add `lock-files = [\"{name}\"]`, or `lock-files = []` if no step needs it"),
            ),
            None => (
                format!("`{name}` is no lock file that is read, so nothing of it is fetched"),
                format!("read are: {}", lock_file_names().join(", ")),
            ),
        };
        findings.push(Problem::at(spec::FILE, &text, offset, message, Some(allowed)));
    }
    findings
}
