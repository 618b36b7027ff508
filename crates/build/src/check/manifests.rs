//! Cargo manifests: dependencies that nothing pins, or that lie outside of the project.

use toml::de::{DeTable, DeValue};

use super::{Files, Note, shown};
use crate::document::PROBLEMS_MAX;
use crate::ecosystem::cargo::lock_file::{self, Origin, Package};
use crate::problem::Problem;

/// Tables of a manifest that hold dependencies.
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(files: &Files) -> Vec<Problem> {
    let mut findings = Vec::new();
    let packages = match &files.cargo_lock {
        Some((name, bytes)) => match lock_file::parse(name, bytes) {
            Ok(packages) => packages,
            Err(problem) => return vec![problem],
        },
        None => Vec::new(),
    };
    if let (None, Some((name, bytes))) = (&files.cargo_lock, files.manifests.first()) {
        let text = String::from_utf8_lossy(bytes);
        let message = "there is no Cargo.lock beside this manifest: every version floats".to_owned();
        let allowed = "run `cargo generate-lockfile` and commit it".to_owned();
        findings.push(Problem::at(name, &text, 0, message, Some(allowed)));
    }
    for (name, bytes) in &files.manifests {
        findings.extend(check_one(name, bytes, &packages));
    }
    findings
}

fn check_one(file: &str, bytes: &[u8], packages: &[Package]) -> Vec<Problem> {
    let mut findings = Vec::new();
    let text = String::from_utf8_lossy(bytes);
    let document = match DeTable::parse(&text) {
        Ok(document) => document,
        Err(error) => return vec![Problem::of_toml(file, &text, &error)],
    };
    let mut note = |offset: usize, message: String, allowed: &str| {
        if findings.len() < PROBLEMS_MAX {
            findings.push(Problem::at(file, &text, offset, message, Some(allowed.to_owned())));
        }
    };
    let depth = file.matches('/').count();
    let top = document.get_ref();
    let workspace = top.get("workspace").and_then(|value| value.get_ref().as_table());
    let targets = top.get("target").and_then(|value| value.get_ref().as_table());
    let of_targets = targets.into_iter().flat_map(|targets| targets.values());
    let holders = [top].into_iter().chain(workspace).chain(of_targets.filter_map(|value| value.get_ref().as_table()));
    for holder in holders {
        for table in TABLES {
            let Some(table) = holder.get(table).and_then(|value| value.get_ref().as_table()) else { continue };
            for (name, value) in table.iter() {
                check_dependency(name.get_ref(), value.get_ref(), depth, packages, &mut note);
            }
        }
    }
    findings
}

fn check_dependency(name: &str, value: &DeValue<'_>, depth: usize, packages: &[Package], note: &mut Note<'_>) {
    let Some(table) = value.as_table() else { return };
    let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
    if let (Some(url), Some(at)) = (text("git"), table.get("branch").or_else(|| table.get("git"))) {
        let locked = |package: &Package| match &package.origin {
            Origin::Git { source, .. } => source.trim_start_matches("git+").split('?').next() == Some(url),
            _ => false,
        };
        if text("rev").is_none() && !packages.iter().any(locked) {
            let branch = text("branch").unwrap_or("HEAD");
            let message =
                format!("`{}` is built from branch `{}`, which Cargo.lock does not pin", shown(name), shown(branch));
            note(at.span().start, message, "run `cargo update --workspace`, or pin a commit with `rev`");
        }
    }
    if let (Some(path), Some(at)) = (text("path"), table.get("path"))
        && leaves(path, depth)
    {
        let message = format!("`{}` lies outside of the project, at `{}`", shown(name), shown(path));
        note(at.span().start, message, "a build sees the project alone: move it in, or depend on it by git");
    }
}

/// Whether a relative path, taken `depth` directories below the root, leads above the root.
fn leaves(path: &str, depth: usize) -> bool {
    let mut depth = depth as i64;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    path.starts_with('/')
}
