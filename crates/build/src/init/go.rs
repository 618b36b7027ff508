//! Go projects: the module of `go.mod`, and the programs of its root and of `cmd/`.

use std::fs;
use std::path::Path;

use inspect::lock_file::go::parse_go_mod;

use super::draft::{Draft, Step, texts};
use super::{InitError, name_of, read_text};
use crate::problem::Problem;

/// The compiler and the shell that tests may call.
const PACKAGES: [&str; 3] = ["coreutils", "dash", "golang-go"];

/// `None` if the directory holds no `go.mod`.
pub(super) fn look(directory: &Path) -> Result<Option<Draft>, InitError> {
    if !directory.join("go.mod").is_file() {
        return Ok(None);
    }
    let text = read_text(directory, "go.mod")?;
    let module = parse_go_mod("go.mod", text.as_bytes())
        .map_err(|error| InitError::Manifest(Box::new(Problem::of_lock_file(text.as_bytes(), &error))))?;
    let has_sums = directory.join("go.sum").is_file();
    if !has_sums && !module.requires.is_empty() {
        let path = directory.join("go.sum");
        return Err(InitError::NoLockFile { path, mend: "go mod tidy", instead_of: None });
    }
    let is_version = |part: &&str| part.strip_prefix('v').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let last = module.module.rsplit('/').find(|part| !is_version(part)).unwrap_or("project");
    let programs = programs(directory, last);
    if programs.is_empty() {
        return Err(InitError::Library(module.module));
    }
    let step = |(name, package): &(String, String)| {
        let about: &[&str] = &["-trimpath is set; -ldflags may carry a version, as \"-X main.version=1.0\"."];
        Step::new(&format!("compile-{}", name_of(name)), &["go", "build", "-o", &format!("out/{name}"), package], about)
    };
    let artifacts: Vec<(String, String)> =
        programs.iter().map(|(name, _)| (name_of(name), format!("out/{name}"))).collect();
    Ok(Some(Draft {
        project: name_of(last),
        about_base: texts(&["With cgo add: gcc, libc6-dev, and take CGO_ENABLED out below."]),
        packages: texts(&PACKAGES),
        lock_files: if has_sums { texts(&["go.sum"]) } else { Vec::new() },
        variables: vec![("CGO_ENABLED".to_owned(), "0".to_owned())],
        steps: programs.iter().map(step).collect(),
        test: Some(texts(&["go", "test", "./..."])),
        check: vec![artifacts[0].0.clone(), "--help".to_owned()],
        notes: vec![format!(
            "builds {}",
            programs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        )],
        artifacts,
        ..Draft::default()
    }))
}

/// Name and package of each program.
fn programs(directory: &Path, module: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if has_main(directory) {
        found.push((module.to_owned(), ".".to_owned()));
    }
    let commands = fs::read_dir(directory.join("cmd")).into_iter().flatten().flatten();
    let mut names: Vec<String> = commands
        .filter(|entry| has_main(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
        .collect();
    names.sort();
    found.extend(names.into_iter().map(|name| (name.clone(), format!("./cmd/{name}"))));
    found
}

/// Whether a directory holds a Go file of package `main` that is no test.
fn has_main(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut sources = names.filter(|name| name.ends_with(".go") && !name.ends_with("_test.go"));
    sources.any(|name| {
        read_text(directory, &name).is_ok_and(|text| text.lines().any(|line| line.trim_end() == "package main"))
    })
}
