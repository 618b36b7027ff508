//! Python projects: what `pyproject.toml` says of name, version and build backend; or a directory with requirements.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::draft::{Draft, Step, texts};
use super::{InitError, directory_name, has_source, name_of, read_text};
use crate::ecosystem::{Ecosystem, LockFileKind, ProjectFile};
use crate::problem::Problem;

/// Python, pip and what they call.
const PACKAGES: [&str; 5] = ["coreutils", "dash", "python3", "python3-pip", "python3-venv"];

/// Build backends: the start of the module's name, the package of an index that holds it, and Debian's.
const BACKENDS: [(&str, &str, &[&str]); 4] = [
    ("setuptools", "setuptools", &["python3-setuptools", "python3-wheel"]),
    ("flit_core", "flit-core", &["flit"]),
    ("hatchling", "hatchling", &["python3-hatchling"]),
    ("poetry.core", "poetry-core", &["python3-poetry-core"]),
];

/// What compiles modules.
const COMPILER: [&str; 4] = ["g++", "gcc", "libc6-dev", "python3-dev"];

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
    let locked = locked(directory, lock_file)?;
    let mut draft = match is_package {
        true => package(directory, &document, &locked)?,
        false => application(directory, lock_file),
    };
    draft.packages.extend(texts(&PACKAGES));
    draft.lock_files = lock_file.iter().map(|name| (*name).to_owned()).collect();
    draft.test = test(directory, lock_file, &locked, is_package);
    draft.check = texts(&["/bin/true"]);
    draft.about_check = texts(&["Replace this check by one that shows that the release works."]);
    if !COMPILER.iter().all(|package| draft.packages.iter().any(|other| other == package)) {
        draft.about_base = texts(&["For modules that are compiled add: g++, gcc, libc6-dev, python3-dev."]);
    }
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
fn package(directory: &Path, document: &Document, locked: &BTreeSet<String>) -> Result<Draft, InitError> {
    let poetry = document.tool.get("poetry").and_then(toml::Value::as_table);
    let of_poetry = |key: &str| poetry.and_then(|table| table.get(key)?.as_str()).map(str::to_owned);
    let named = document.project.name.clone().or_else(|| of_poetry("name"));
    let version = document.project.version.clone().or_else(|| of_poetry("version"));
    let is_compiled = is_compiled(directory)?;
    let (about, mut packages, isolated) = backend(document, locked);
    let mut run = texts(&["python3", "-m", "pip", "wheel", "--no-deps", "-w", "dist", "."]);
    if !isolated {
        run.insert(5, "--no-build-isolation".to_owned());
    }
    let mut steps = vec![Step { about: vec![about], name: "wheel".to_owned(), run }];
    if is_compiled {
        packages.extend(texts(&COMPILER));
    }
    let project = name_of(&named.clone().unwrap_or_else(|| directory_name(directory)));
    let (path, about_artifacts) = match (named, version) {
        (Some(name), Some(version)) if !is_compiled => {
            let about = "A wheel with compiled modules has other tags in its name, as cp311-cp311-linux_x86_64.";
            (format!("dist/{}-{version}-py3-none-any.whl", escaped(&name)), about)
        }
        _ => {
            let script = format!("mv dist/*.whl dist/{project}.whl");
            steps.push(Step::new("name", &["sh", "-c", &script], &["Known before it is built: the artifact's path."]));
            let about = "Its own name has its version and tags, known once it is built: pip wants that name again.";
            (format!("dist/{project}.whl"), about)
        }
    };
    Ok(Draft {
        artifacts: vec![(format!("{project}.whl"), path)],
        about_artifacts: texts(&[about_artifacts]),
        project,
        packages,
        steps,
        ..Draft::default()
    })
}

/// Where the build backend comes from: a sentence, packages, and whether pip makes it a place of its own.
fn backend(document: &Document, locked: &BTreeSet<String>) -> (String, Vec<String>, bool) {
    let backend = document.build_system.build_backend.as_deref().unwrap_or("setuptools.build_meta");
    let known = BACKENDS.iter().find(|(module, _, _)| backend.starts_with(module));
    let is_locked = |name: &str| locked.iter().any(|other| other.starts_with(&format!("{name} ")));
    match known {
        Some((_, name, _)) if *name != "setuptools" && is_locked(name) => {
            (format!("The build backend `{backend}` comes from the lock file."), Vec::new(), true)
        }
        Some((_, name, debian)) => {
            let about = format!("The build backend is Debian's {name}: --no-build-isolation lets pip use it.");
            (about, texts(debian), false)
        }
        None => {
            let about = format!("The build backend `{backend}` must be in a lock file: pip takes it from there.");
            (about, Vec::new(), true)
        }
    }
}

/// Whether modules are compiled: `setup.py` speaks of extensions, or there are sources in C, C++ or Cython.
fn is_compiled(directory: &Path) -> Result<bool, InitError> {
    if directory.join("setup.py").is_file() {
        let text = read_text(directory, "setup.py")?;
        if ["Extension(", "ext_modules"].iter().any(|word| text.contains(word)) {
            return Ok(true);
        }
    }
    Ok(has_source(directory, &["c", "cc", "cpp", "pyx"]))
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

/// What a lock file names, as `click 8.1.7`.
fn locked(directory: &Path, lock_file: Option<&str>) -> Result<BTreeSet<String>, InitError> {
    let Some(path) = lock_file else { return Ok(BTreeSet::new()) };
    let Some(kind) = LockFileKind::of_path(path).filter(|kind| kind.ecosystem() == Ecosystem::Python) else {
        return Ok(BTreeSet::new());
    };
    let bytes =
        fs::read(directory.join(path)).map_err(|source| InitError::Read { path: directory.join(path), source })?;
    let file = ProjectFile { path: path.to_owned(), kind, bytes, beside: Vec::new() };
    file.names().map_err(|problem| InitError::Manifest(Box::new(problem)))
}

/// pytest where a lock file names it, else unittest where there are tests.
fn test(directory: &Path, lock_file: Option<&str>, locked: &BTreeSet<String>, is_package: bool) -> Option<Vec<String>> {
    let runner = match locked.iter().any(|name| name.starts_with("pytest ")) {
        true => "pytest",
        false if directory.join("tests").is_dir() || directory.join("test").is_dir() => "unittest discover",
        false => return None,
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
    Some(texts(&["sh", "-c", &script]))
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
