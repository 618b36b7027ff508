//! A first `assay.toml` for a project, found out by looking at it, with comments that teach.
//!
//! Manifests and sources are read, never run. What is guessed (whether the program is a service, its port, its health
//! check) is said in a comment where it stands. Where a directory holds several kinds of project, the first of Cargo,
//! Go, Maven, Node.js, Python, C and C++ is proposed for; a Dockerfile is what there is beside none of them.

mod dockerfile;

mod draft;

mod go;

mod java;

mod manifest;

mod native;

mod node;

mod python;

mod system;

mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ecosystem::cargo::lock_file;
use crate::problem::Problem;

use manifest::Manifest;

/// Crates that a program which answers HTTP depends on directly.
const SERVICE_CRATES: [&str; 16] = [
    "actix-web",
    "axum",
    "gotham",
    "hyper",
    "ntex",
    "poem",
    "poem-openapi",
    "rocket",
    "rouille",
    "salvo",
    "tide",
    "tiny_http",
    "tonic",
    "trillium",
    "viz",
    "warp",
];

/// How large a source or manifest may be to be looked at.
const FILE_SIZE_MAX: u64 = 4 * 1024 * 1024;

/// How many source files are looked at for a port and a health check.
const SOURCES_MAX: usize = 2_000;

/// How deep sources of a language are looked for, and how many files are looked at.
const SOURCE_DEPTH_MAX: usize = 4;
const SOURCES_SEEN_MAX: usize = 4_000;

/// The port that is assumed where none is found.
const PORT_DEFAULT: u16 = 8080;

/// Why no specification can be proposed.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// No project of a kind that is known.
    #[error(
        "`{}` holds no project that is known: looked for Cargo.toml, go.mod, pom.xml, package.json, pyproject.toml, setup.py, requirements.txt, CMakeLists.txt, configure, configure.ac and a \
         Makefile, and for a Dockerfile; write assay.toml by hand, as docs/formats/assay.toml.md shows it",
        .0.display()
    )]
    NoProject(PathBuf),
    /// No lock file.
    #[error("`{}` is missing; run `cargo generate-lockfile` and commit it", .0.display())]
    NoCargoLock(PathBuf),
    /// No lock file of another ecosystem.
    #[error("`{}` is missing{}; run `{mend}` and commit it", path.display(),
        instead_of.as_ref().map_or(String::new(), |other| format!(", and `{other}` is not read")))]
    NoLockFile {
        /// The lock file.
        path: PathBuf,
        /// The command that writes it.
        mend: &'static str,
        /// A lock file that is there and not read.
        instead_of: Option<String>,
    },
    /// A lock file of a package manager whose version nothing pins.
    #[error("`{}` does not say which package manager installs it; run `{mend}`, which writes `packageManager`", path.display())]
    NoPackageManager {
        /// The manifest.
        path: PathBuf,
        /// The command that writes it.
        mend: String,
    },
    /// A member of a workspace.
    #[error("`{}` is a member of the workspace in `{}`; run `assay init` there", member.display(), root.display())]
    Member {
        /// The directory asked about.
        member: PathBuf,
        /// The directory with the lock file.
        root: PathBuf,
    },
    /// Nothing to run.
    #[error("`{0}` is a library: it has no binary to build and deploy")]
    Library(String),
    /// A malformed manifest.
    #[error("{0}")]
    Manifest(Box<Problem>),
    /// A file could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A proposed specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The text of `assay.toml`.
    pub text: String,
    /// Project name.
    pub project: String,
    /// Binaries that it builds.
    pub binaries: Vec<String>,
    /// Whether it is taken for a service; else it is deployed as a release directory.
    pub service: bool,
    /// Name of the environment that it declares.
    pub environment: String,
    /// Path of the policy that the environment names; nothing is written there.
    pub policy: String,
    /// What was found and guessed, one sentence each.
    pub notes: Vec<String>,
}

/// All that was found out.
struct Findings {
    project: String,
    owners: Vec<String>,
    packages: Vec<&'static str>,
    reasons: Vec<String>,
    members: Vec<Manifest>,
    is_workspace: bool,
    target: Option<String>,
    service: Option<Service>,
    has_tests: bool,
}

/// What is guessed of a service.
struct Service {
    because: String,
    port: u16,
    health: String,
}

/// Looks at the project in `directory` (absolute) and proposes a specification. `owner` stands for owners where the
/// manifest names none.
pub fn propose(directory: &Path, owner: &str) -> Result<Proposal, InitError> {
    if directory.join("Cargo.toml").is_file() {
        return Ok(write::proposal(&look(directory, owner)?));
    }
    let looks = [go::look, java::look, node::look, python::look, native::look];
    let found = looks.iter().find_map(|look| look(directory).transpose());
    let Some(draft) = found else {
        let proposal = dockerfile::look(directory, owner)?;
        return proposal.ok_or_else(|| InitError::NoProject(directory.to_owned()));
    };
    let mut draft = draft?;
    if draft.owners.is_empty() {
        draft.owners = vec![owner.to_owned()];
    }
    Ok(draft.proposal())
}

fn look(directory: &Path, owner: &str) -> Result<Findings, InitError> {
    let lock = read_lock(directory)?;
    let (root, mut members) = manifest::read_all(directory)?;
    let project = project_name(directory, &root, &members);
    members.retain(|member| !member.binaries.is_empty());
    if members.is_empty() {
        return Err(InitError::Library(project));
    }
    let (packages, reasons) = system::packages(&lock);
    let owners: Vec<String> = members.iter().flat_map(|member| member.authors.clone()).collect();
    let sources = sources(&members);
    Ok(Findings {
        project,
        owners: if owners.is_empty() { vec![owner.to_owned()] } else { deduplicated(owners) },
        packages,
        reasons,
        is_workspace: root.is_workspace,
        target: manifest::configured_target(directory),
        service: service(&members, &sources),
        has_tests: has_tests(directory, &root),
        members,
    })
}

fn read_lock(directory: &Path) -> Result<Vec<system::Locked>, InitError> {
    let path = directory.join(lock_file::FILE);
    if !path.is_file() {
        let above = directory
            .ancestors()
            .skip(1)
            .find(|above| above.join(lock_file::FILE).is_file() && above.join("Cargo.toml").is_file());
        return Err(match above {
            Some(root) => InitError::Member { member: directory.to_owned(), root: root.to_owned() },
            None => InitError::NoCargoLock(path),
        });
    }
    let bytes = fs::read(&path).map_err(|source| InitError::Read { path, source })?;
    lock_file::parse(lock_file::FILE, &bytes).map_err(|problem| InitError::Manifest(Box::new(problem)))?;
    Ok(system::read(&bytes))
}

/// The root package's name, the only member's, or the directory's; in the form that names have.
fn project_name(directory: &Path, root: &manifest::Root, members: &[Manifest]) -> String {
    let only = (members.len() == 1).then(|| members[0].name.clone());
    root.name.clone().or(only).map_or_else(|| directory_name(directory), |name| name_of(&name))
}

/// Reads a small text file of the project; what is not UTF-8 in it is replaced.
fn read_text(directory: &Path, name: &str) -> Result<String, InitError> {
    let path = directory.join(name);
    let failed = |source| InitError::Read { path: path.clone(), source };
    if fs::metadata(&path).map_err(failed)?.len() > FILE_SIZE_MAX {
        return Err(failed(io::Error::other(format!("larger than {FILE_SIZE_MAX} bytes"))));
    }
    let bytes = fs::read(&path).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether there is a file whose name ends in one of these, as far as the limits allow.
fn has_source(directory: &Path, extensions: &[&str]) -> bool {
    let mut seen = 0;
    let mut open = vec![(directory.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten().take(SOURCES_SEEN_MAX - seen) {
            seen += 1;
            let path = entry.path();
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < SOURCE_DEPTH_MAX && !is_hidden {
                    open.push((path, depth + 1));
                }
            } else if path.extension().is_some_and(|end| extensions.iter().any(|known| end == *known)) {
                return true;
            }
        }
    }
    false
}

/// The directory's name, in the form that names have.
fn directory_name(directory: &Path) -> String {
    name_of(&directory.file_name().unwrap_or_default().to_string_lossy())
}

/// A name in the form that a specification allows.
fn name_of(text: &str) -> String {
    let name = text.to_lowercase();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = name.chars().map(allowed).take(64).collect();
    let name = name.trim_start_matches(['-', '_', '.']).to_owned();
    if name.is_empty() { "project".to_owned() } else { name }
}

fn deduplicated(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list.dedup();
    list
}

/// The texts of the members' Rust sources, as far as the limits allow.
fn sources(members: &[Manifest]) -> Vec<String> {
    let mut texts = Vec::new();
    for member in members {
        collect_sources(&member.directory.join("src"), &mut texts);
    }
    texts
}

/// Unreadable files are passed over: they only help to guess.
fn collect_sources(directory: &Path, texts: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if texts.len() == SOURCES_MAX {
            return;
        }
        if metadata.is_dir() {
            collect_sources(&path, texts);
        } else if metadata.is_file() && metadata.len() <= FILE_SIZE_MAX && path.extension().is_some_and(|e| e == "rs") {
            texts.extend(fs::read_to_string(&path));
        }
    }
}

fn service(members: &[Manifest], sources: &[String]) -> Option<Service> {
    let depends = |name: &&&str| members.iter().any(|member| member.dependencies.contains(**name));
    let because = SERVICE_CRATES.iter().find(depends)?;
    Some(Service {
        because: (*because).to_owned(),
        port: sources.iter().find_map(|text| port(text)).unwrap_or(PORT_DEFAULT),
        health: sources.iter().find_map(|text| health(text)).unwrap_or_else(|| "/".to_owned()),
    })
}

/// The port of the first string like `"127.0.0.1:3000"`.
fn port(text: &str) -> Option<u16> {
    ["0.0.0.0:", "127.0.0.1:", "[::]:", "[::1]:", "localhost:"].iter().find_map(|address| {
        let start = text.find(&format!("\"{address}"))? + 1 + address.len();
        let digits: String = text[start..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|port| *port > 0)
    })
}

/// The first string that is a path and speaks of health.
fn health(text: &str) -> Option<String> {
    let is_path = |part: &&str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
        part.starts_with('/') && part.len() <= 64 && part.bytes().all(plain)
    };
    let words = ["health", "healthz", "livez", "ready", "readyz", "live", "status", "ping"];
    let mut paths: Vec<&str> = text.split('"').filter(is_path).collect();
    paths.sort_by_key(|path| words.iter().position(|word| path.trim_start_matches('/').ends_with(word)).unwrap_or(99));
    let best = paths.first()?;
    words.iter().any(|word| best.ends_with(word)).then(|| (*best).to_owned())
}

fn has_tests(directory: &Path, root: &manifest::Root) -> bool {
    let mut texts = Vec::new();
    for member in root.members.iter().map(PathBuf::as_path).chain([directory]) {
        collect_sources(&member.join("src"), &mut texts);
        collect_sources(&member.join("tests"), &mut texts);
    }
    // `#[test]`, `#[tokio::test]`, `#[sqlx::test(…)]`
    texts.iter().any(|text| {
        text.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("#[") && (line.contains("test]") || line.contains("::test("))
        })
    })
}

#[cfg(test)]
mod tests;
