//! Python projects: what `pyproject.toml` says of name, version and build backend; or a directory with requirements.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::draft::{Draft, Step, texts};
use super::{InitError, directory_name, name_of, read_text};
use crate::ecosystem::{Ecosystem, LockFileKind, ProjectFile};
use crate::problem::Problem;

/// Python, pip and what they call.
const PACKAGES: [&str; 5] = ["coreutils", "dash", "python3", "python3-pip", "python3-venv"];

/// Lock files that are looked for, the one that says most first.
const LOCK_FILES: [&str; 4] = ["pylock.toml", "uv.lock", "poetry.lock", "requirements.txt"];

/// Where a requirements file made of another lock file is inside: its name follows.
const LOCKED: &str = "/dependencies/python/locked";

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Document {
    project: Project,
    build_system: BuildSystem,
    tool: toml::Table,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Project {
    name: Option<String>,
    version: Option<String>,
    dependencies: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct BuildSystem {
    build_backend: Option<String>,
}

/// `None` if the directory holds no such project.
pub(super) fn look(directory: &Path) -> Result<Option<Draft>, InitError> {
    let has = |name: &str| directory.join(name).is_file();
    if !["pyproject.toml", "setup.py", "requirements.txt"].iter().any(|name| has(name)) {
        return Ok(None);
    }
    let document = if has("pyproject.toml") { read(directory)? } else { Document::default() };
    let lock_file = LOCK_FILES.into_iter().find(|name| has(name));
    if lock_file.is_none() && !document.project.dependencies.is_empty() {
        return Err(InitError::NoLockFile {
            path: directory.join("requirements.txt"),
            mend: "uv pip compile --generate-hashes pyproject.toml -o requirements.txt",
            instead_of: has("Pipfile.lock").then(|| "Pipfile.lock".to_owned()),
        });
    }
    let is_package =
        has("setup.py") || document.build_system.build_backend.is_some() || document.project.name.is_some();
    let mut draft = match is_package {
        true => package(directory, &document),
        false => application(directory, lock_file),
    };
    draft.packages.extend(texts(&PACKAGES));
    draft.lock_files = lock_file.iter().map(|name| (*name).to_owned()).collect();
    draft.test = test(directory, lock_file, is_package)?;
    draft.check = texts(&["/bin/true"]);
    draft.about_check = texts(&["Replace this check by one that shows that the release works."]);
    draft.about_base = texts(&["For modules that are compiled add: gcc, libc6-dev, python3-dev."]);
    draft.notes.insert(0, format!("builds {}", draft.artifacts[0].1));
    draft.packages.sort();
    Ok(Some(draft))
}

fn read(directory: &Path) -> Result<Document, InitError> {
    let text = read_text(directory, "pyproject.toml")?;
    toml::from_str(&text)
        .map_err(|error| InitError::Manifest(Box::new(Problem::of_toml("pyproject.toml", &text, &error))))
}

/// A wheel.
fn package(directory: &Path, document: &Document) -> Draft {
    let poetry = document.tool.get("poetry").and_then(toml::Value::as_table);
    let of_poetry = |key: &str| poetry.and_then(|table| table.get(key)?.as_str()).map(str::to_owned);
    let name = document.project.name.clone().or_else(|| of_poetry("name")).unwrap_or_else(|| directory_name(directory));
    let version = document.project.version.clone().or_else(|| of_poetry("version"));
    let backend = document.build_system.build_backend.as_deref().unwrap_or("setuptools.build_meta");
    let mut run = texts(&["python3", "-m", "pip", "wheel", "--no-deps", "-w", "dist", "."]);
    let (about, packages) = match backend.starts_with("setuptools") {
        true => {
            run.insert(5, "--no-build-isolation".to_owned());
            (
                "The build backend is Debian's setuptools: --no-build-isolation lets pip use it.".to_owned(),
                &["python3-setuptools", "python3-wheel"][..],
            )
        }
        false => (format!("The build backend `{backend}` must be in a lock file: pip takes it from there."), &[][..]),
    };
    let file = format!("{}-{}-py3-none-any.whl", escaped(&name), version.as_deref().unwrap_or("0.0.0"));
    let mut about_artifacts =
        texts(&["A wheel with compiled modules has other tags in its name, as cp311-cp311-linux_x86_64."]);
    let mut notes = Vec::new();
    if version.is_none() {
        about_artifacts.push("The version is not in pyproject.toml: name the file that the step leaves.".to_owned());
        notes.push("the wheel's version is not known: check `[[artifact]]`".to_owned());
    }
    Draft {
        project: name_of(&name),
        packages: texts(packages),
        steps: vec![Step { about: vec![about], name: "wheel".to_owned(), run }],
        about_artifacts,
        artifacts: vec![(format!("{}.whl", name_of(&name)), format!("dist/{file}"))],
        notes,
        ..Draft::default()
    }
}

/// A directory of modules with what they need, as one archive.
fn application(directory: &Path, lock_file: Option<&str>) -> Draft {
    let project = directory_name(directory);
    let file = format!("{project}.tar");
    let mut steps = Vec::new();
    if let Some(lock_file) = lock_file {
        let requirements = requirements(lock_file);
        let run = ["python3", "-m", "pip", "install", "--no-compile", "--target", "lib", "-r", &requirements];
        steps.push(Step::new("install", &run, &["From the files that the lock file names, kept by `assay lock`."]));
    }
    let script = format!(
        "tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner --exclude=./{file} \
         --exclude=./.git -cf {file} ."
    );
    steps.push(Step::new(
        "pack",
        &["sh", "-c", &script],
        &["In sorted order and with fixed times; run it with PYTHONPATH=lib."],
    ));
    Draft { packages: texts(&["tar"]), steps, artifacts: vec![(file.clone(), file)], project, ..Draft::default() }
}

/// pytest where a lock file names it, else unittest where there are tests.
fn test(directory: &Path, lock_file: Option<&str>, is_package: bool) -> Result<Option<Vec<String>>, InitError> {
    let mut names = Default::default();
    if let Some(path) = lock_file {
        let kind = LockFileKind::of_path(path).filter(|kind| kind.ecosystem() == Ecosystem::Python);
        let bytes =
            fs::read(directory.join(path)).map_err(|source| InitError::Read { path: directory.join(path), source })?;
        if let Some(kind) = kind {
            let file = ProjectFile { path: path.to_owned(), kind, bytes, beside: Vec::new() };
            names = file.names().map_err(|problem| InitError::Manifest(Box::new(problem)))?;
        }
    }
    let runner = match names.iter().any(|name| name.starts_with("pytest ")) {
        true => "pytest",
        false if directory.join("tests").is_dir() || directory.join("test").is_dir() => "unittest discover",
        false => return Ok(None),
    };
    let mut script = "python3 -m venv --system-site-packages /tmp/venv".to_owned();
    if let Some(lock_file) = lock_file {
        script.push_str(&format!(" && /tmp/venv/bin/pip install -r {}", requirements(lock_file)));
    }
    if is_package {
        script.push_str(" && /tmp/venv/bin/pip install --no-deps --no-build-isolation .");
    }
    script.push_str(&format!(" && /tmp/venv/bin/python -m {runner}"));
    if runner != "pytest" {
        script.push_str(if directory.join("tests").is_dir() { " tests" } else { " test" });
    }
    Ok(Some(texts(&["sh", "-c", &script])))
}

/// The file that pip reads for a lock file.
fn requirements(lock_file: &str) -> String {
    match LockFileKind::of_path(lock_file) {
        Some(LockFileKind::Requirements) => lock_file.to_owned(),
        _ => format!("{LOCKED}/{lock_file}.txt"),
    }
}

/// A project's name in the name of its wheel.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '.' | '_' | '-' if out.ends_with('_') => {}
            '.' | '_' | '-' => out.push('_'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}
