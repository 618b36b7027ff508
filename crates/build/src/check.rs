//! What cannot be reproduced, refused before anything is built: one finding a line.
//!
//! Beside the problems of reading `assay.toml`: commands that fetch or install, Cargo without `--locked`, images and
//! sources that can move, settings of one machine's CPU; in the manifests, git dependencies that no lock file pins and
//! path dependencies outside of the project; in lock files, packages without a digest or with a weak one, and lock files
//! that nobody named. A step has no network in any case; saying so here saves a build.
//!
//! Deliberately absent: files that the build does not read (a Dockerfile, a CI's configuration).

mod command;

mod lock_files;

mod manifests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::document::PROBLEMS_MAX;
use crate::ecosystem::cargo::lock_file;
use crate::ecosystem::{self, Ecosystem, LOCK_FILE_SIZE_MAX, LockFileKind, ProjectFile, ProjectFileError};
use crate::problem::Problem;
use crate::spec::{self, Spec};

/// A file of the project: its name in findings, and its bytes.
pub type File = (String, Vec<u8>);

/// What is checked.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// `assay.toml`
    pub spec: Option<File>,
    /// `Cargo.lock`
    pub cargo_lock: Option<File>,
    /// `Cargo.toml` of the root and of every member.
    pub manifests: Vec<File>,
    /// Lock files that `assay.toml` names, as far as they are there.
    pub lock_files: Vec<ProjectFile>,
    /// Lock files of the root that it does not name.
    pub unnamed: Vec<String>,
}

/// Why a project could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is read together with a lock file.
    #[error(transparent)]
    ProjectFile(#[from] ProjectFileError),
    /// No specification.
    #[error("`{}` is missing; run `assay init`", .0.display())]
    NoSpec(PathBuf),
}

impl Files {
    /// Reads the files of a project's directory; `names` are all its relative paths, as `source::files` finds them.
    pub fn read(project: &Path, names: &[String]) -> Result<Files, CheckError> {
        let spec = read(project, spec::FILE)?.ok_or_else(|| CheckError::NoSpec(project.join(spec::FILE)))?;
        let named = lock_files::named(&spec.1);
        let mut files = Files { cargo_lock: read(project, lock_file::FILE)?, ..Files::default() };
        for name in names.iter().filter(|name| *name == "Cargo.toml" || name.ends_with("/Cargo.toml")) {
            files.manifests.extend(read(project, name)?);
        }
        for path in named.iter().flatten() {
            if let Some((path, bytes)) = read(project, path)?
                && let Some(kind) = LockFileKind::of_file(&path, &bytes)
            {
                let beside = ecosystem::beside(project, &path, kind)?;
                files.lock_files.push(ProjectFile { path, kind, bytes, beside });
            }
        }
        let is_named = |name: &String| match &named {
            Some(named) => named.contains(name),
            None => name == lock_file::FILE,
        };
        let of_root = names.iter().filter(|name| !name.contains('/') && lock_files::is_one(name));
        files.unnamed = of_root.filter(|name| !is_named(name)).cloned().collect();
        files.spec = Some(spec);
        Ok(files)
    }

    /// The ecosystems whose packages `assay lock` fetches.
    fn locked(&self) -> Vec<Ecosystem> {
        self.lock_files.iter().map(|file| file.kind.ecosystem()).collect()
    }
}

fn read(project: &Path, name: &str) -> Result<Option<File>, CheckError> {
    let path = project.join(name);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.len() > LOCK_FILE_SIZE_MAX => {
            Err(CheckError::Read { path, source: io::Error::other("larger than any such file") })
        }
        Ok(_) => match fs::read(&path) {
            Ok(bytes) => Ok(Some((name.to_owned(), bytes))),
            Err(source) => Err(CheckError::Read { path, source }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CheckError::Read { path, source }),
    }
}

/// Returns the findings, by file, line and column. None means that nothing stands against building it.
pub fn check(files: &Files) -> Vec<Problem> {
    let mut findings = Vec::new();
    if let Some((name, bytes)) = &files.spec {
        findings.extend(check_spec(name, bytes, &files.locked()));
    }
    findings.extend(lock_files::check(files));
    findings.extend(manifests::check(files));
    findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    findings
}

fn check_spec(file: &str, bytes: &[u8], locked: &[Ecosystem]) -> Vec<Problem> {
    let mut findings = Vec::new();
    if let Ok(text) = spec::text_of(file, bytes)
        && let Ok(document) = DeTable::parse(text)
    {
        let mut note = |offset: usize, message: String, allowed: &str| {
            if findings.len() < PROBLEMS_MAX {
                findings.push(Problem::at(file, text, offset, message, Some(allowed.to_owned())));
            }
        };
        for section in ["step", "test"] {
            commands(document.get_ref(), section, locked, &mut note);
        }
        references(document.get_ref(), &mut note);
    }
    // Where both have something to say of one place, the finding here says why.
    if let Err(problems) = Spec::parse(file, bytes) {
        let known: Vec<(usize, usize)> = findings.iter().map(|finding| (finding.line, finding.column)).collect();
        findings.extend(problems.into_iter().filter(|problem| !known.contains(&(problem.line, problem.column))));
    }
    findings
}

/// What a command would fetch or install, if it is one that does; a script of a shell is not looked into.
pub(crate) fn fetches(words: &[&str]) -> Option<String> {
    command::fetches(words)
}

/// What a finding is noted with: offset, message, what is allowed.
type Note<'n> = dyn FnMut(usize, String, &str) + 'n;

fn commands(document: &DeTable<'_>, section: &str, locked: &[Ecosystem], note: &mut Note<'_>) {
    let Some(tables) = document.get(section).and_then(|value| value.get_ref().as_array()) else { return };
    for table in tables.iter().filter_map(|table| table.get_ref().as_table()) {
        let Some(run) = table.get("run").and_then(|value| value.get_ref().as_array()) else { continue };
        let words: Vec<(&str, usize)> =
            run.iter().filter_map(|item| item.get_ref().as_str().map(|text| (text, item.span().start))).collect();
        for finding in command::check(&words, locked) {
            note(finding.offset, finding.message, finding.allowed);
        }
    }
}

/// Walks all tables for image references, sources by branch, and settings of one CPU.
fn references(table: &DeTable<'_>, note: &mut Note<'_>) {
    let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
    if text("git").is_some()
        && text("rev").is_none()
        && let Some(at) = table.get("branch").or_else(|| table.get("git"))
    {
        let message = match text("branch") {
            Some(branch) => format!("branch `{}` moves: it is no source", shown(branch)),
            None => "a repository without a commit moves: it is no source".to_owned(),
        };
        note(at.span().start, message, "pin a commit with `rev`");
    }
    for (key, value) in table.iter() {
        let name: &str = key.get_ref();
        if let Some(text) = value.get_ref().as_str() {
            let names_image = match name {
                "image" => !text.starts_with("oci:"), // a layout of one image, which the lock pins
                "from" => !["archive", "installed"].contains(&text), // where `[base]` takes packages from
                _ => false,
            };
            if names_image && !is_pinned_image(text) {
                let message = format!("image `{}` is not pinned: its tag can be moved", shown(text));
                note(value.span().start, message, "write it as `NAME@sha256:…`");
            }
            if text.contains("target-cpu=native") || text.contains("-march=native") {
                let message = "`native` builds for the CPU of whatever machine builds".to_owned();
                note(value.span().start, message, "name the CPU, as `x86-64-v3`");
            }
        }
        inner_tables(value.get_ref(), note);
    }
}

fn inner_tables(value: &DeValue<'_>, note: &mut Note<'_>) {
    if let Some(table) = value.as_table() {
        references(table, note);
    } else if let Some(array) = value.as_array() {
        array.iter().for_each(|item| inner_tables(item.get_ref(), note));
    }
}

/// Whether an image reference ends in a digest.
fn is_pinned_image(reference: &str) -> bool {
    reference.split_once('@').is_some_and(|(_, digest)| digest.parse::<wire::digest::Digest>().is_ok())
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
