//! Toolchains of this machine, each as a tree that a build mounts read-only.
//!
//! Rust: `rustc` is asked in the project's directory, so that `rust-toolchain.toml` chooses as it does for the user. Taken:
//! `cargo`, `rustc`, `rustdoc`, the compiler's libraries, and the standard library of the machine's own target and of
//! targets that `assay.toml` names. Left out: documentation, sources, linters, editors' helpers. Node.js: the directory
//! that the `node` of the search path lies in.

mod node;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wire::digest::{Algorithm, Digest, Hasher};

use crate::inputs::{Host, Inputs, InputsError, TreeEntry, TreeSource};
use crate::lock;

/// Version of what is taken; a fingerprint of an older version is not used.
const LAYOUT: u32 = 1;

/// Programs that are taken.
const PROGRAMS: [&str; 3] = ["cargo", "rustc", "rustdoc"];

/// How many files a toolchain may have.
const FILES_MAX: usize = 100_000;

/// Why the toolchain could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// No `rustc`.
    #[error("starting `rustc`; is Rust installed? see <https://rustup.rs>")]
    Start(#[source] io::Error),
    /// `rustc` failed, as for a toolchain that `rust-toolchain.toml` names and that is not installed.
    #[error("`rustc {arguments}` failed in the project's directory: {output}")]
    Rustc {
        /// Its arguments.
        arguments: String,
        /// What it said.
        output: String,
    },
    /// Its version text lacks a line.
    #[error("`rustc -vV` names no `{0}`")]
    Version(&'static str),
    /// The distribution's own package.
    #[error(
        "`rustc` is the system's own (`{}`), not a toolchain of its own directory; \
         take `rust` out of `toolchains` and add `rustc` and `cargo` to `packages`",
        .0.display()
    )]
    System(PathBuf),
    /// No `node`.
    #[error("there is no `node` in the search path; install Node.js, or take `node` out of `toolchains`")]
    NoNode,
    /// `node` failed.
    #[error("`{}` does not answer to `--version`", .0.display())]
    Node(PathBuf),
    /// The distribution's own package, whose parts lie all over the system.
    #[error(
        "`{}` has no npm beside it (`lib/node_modules/npm`), so it is no directory of its own; \
         take `node` out of `toolchains` and add `nodejs` and `npm` to `packages`",
        .0.display()
    )]
    NoNpm(PathBuf),
    /// `rust-toolchain.toml` names a directory.
    #[error("`{}` names a toolchain by path, which would run a program of the project; name a channel", .0.display())]
    ByPath(PathBuf),
    /// A target whose standard library is not installed.
    #[error("the standard library of `{0}` is not installed; run `rustup target add {0}`")]
    Target(String),
    /// A file could not be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More files than a toolchain has.
    #[error("the toolchain has more than {FILES_MAX} files")]
    TooMany,
    /// The store failed.
    #[error("keeping the toolchain")]
    Inputs(#[from] InputsError),
}

/// Names of the toolchains that are known.
pub const NAMES: [&str; 2] = ["node", "rust"];

/// A toolchain on this machine, before any file is read.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// `rustc 1.95.0 (59807616e 2026-04-14)`
    pub version: String,
    /// Relative path, size and time of every file that is taken; sorted.
    files: Vec<(String, u64, i64)>,
    sysroot: PathBuf,
}

/// Finds a toolchain by its name, which is one of [`NAMES`].
pub fn resolve(name: &str, project: &Path, targets: &[String], host: &Host) -> Result<Resolved, ToolchainError> {
    match name {
        "node" => node::resolve(project, host),
        _ => rust(project, targets, host),
    }
}

/// Finds the toolchain that `rustc` in the project's directory belongs to.
fn rust(project: &Path, targets: &[String], host: &Host) -> Result<Resolved, ToolchainError> {
    refuse_path(project)?;
    let text = rustc(project, &["-vV"], host)?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let version =
        text.lines().next().filter(|line| line.starts_with("rustc ")).ok_or(ToolchainError::Version("rustc"))?;
    let native = field("host:").ok_or(ToolchainError::Version("host"))?;
    let sysroot = PathBuf::from(rustc(project, &["--print", "sysroot"], host)?.trim());
    if ["/usr", "/usr/local", "/"].iter().any(|system| sysroot == Path::new(system)) {
        return Err(ToolchainError::System(sysroot));
    }
    let mut files = Vec::new();
    for program in PROGRAMS {
        add(&sysroot, &format!("bin/{program}"), &mut files)?;
    }
    for name in names(&sysroot, "lib")?.into_iter().filter(|name| name.contains(".so")) {
        add(&sysroot, &format!("lib/{name}"), &mut files)?;
    }
    for target in [native].into_iter().chain(targets.iter().map(String::as_str).filter(|target| *target != native)) {
        let directory = format!("lib/rustlib/{target}");
        if !sysroot.join(&directory).join("lib").is_dir() {
            return Err(ToolchainError::Target(target.to_owned()));
        }
        add(&sysroot, &directory, &mut files)?;
    }
    files.sort();
    Ok(Resolved { name: "rust", version: version.to_owned(), files, sysroot })
}

/// Returns what changes when the toolchain on this machine may have changed.
pub fn fingerprint(resolved: &Resolved) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(
        format!("{} {LAYOUT}\n{}\n{}\n", resolved.name, resolved.version, resolved.sysroot.display()).as_bytes(),
    );
    for (path, size, time) in &resolved.files {
        hasher.update(format!("{path} {size} {time}\n").as_bytes());
    }
    hasher.finish()
}

/// Imports the toolchain.
pub fn import(resolved: &Resolved, inputs: &dyn Inputs) -> Result<lock::Toolchain, ToolchainError> {
    let mut entries = Vec::with_capacity(resolved.files.len());
    for (path, _, _) in &resolved.files {
        let from = resolved.sysroot.join(path);
        if let Some(source) =
            TreeSource::of_path(&from).map_err(|source| ToolchainError::Read { path: from, source })?
        {
            entries.push(TreeEntry { path: path.clone(), source });
        }
    }
    let tree = inputs.import(entries)?.digest();
    Ok(lock::Toolchain { name: resolved.name.to_owned(), version: resolved.version.clone(), tree })
}

/// A toolchain named by path is a program of the project's choosing, and finding the toolchain would run it.
fn refuse_path(project: &Path) -> Result<(), ToolchainError> {
    #[derive(Deserialize)]
    struct Document {
        toolchain: Option<Section>,
    }
    #[derive(Deserialize)]
    struct Section {
        path: Option<toml::Value>,
    }
    // Rustup looks in the directories above too.
    for directory in project.ancestors() {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            let path = directory.join(name);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let document: Option<Document> = toml::from_str(&text).ok();
            if document.and_then(|document| document.toolchain).is_some_and(|section| section.path.is_some()) {
                return Err(ToolchainError::ByPath(path));
            }
        }
    }
    Ok(())
}

fn rustc(project: &Path, arguments: &[&str], host: &Host) -> Result<String, ToolchainError> {
    let output = host.command("rustc").current_dir(project).args(arguments).output().map_err(ToolchainError::Start)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(ToolchainError::Rustc { arguments: arguments.join(" "), output: said.trim().chars().take(2000).collect() })
}

/// Adds a file or link, or all below a directory.
fn add(sysroot: &Path, relative: &str, files: &mut Vec<(String, u64, i64)>) -> Result<(), ToolchainError> {
    let path = sysroot.join(relative);
    let metadata = fs::symlink_metadata(&path).map_err(|source| ToolchainError::Read { path, source })?;
    if metadata.is_dir() {
        for name in names(sysroot, relative)? {
            add(sysroot, &format!("{relative}/{name}"), files)?;
        }
        return Ok(());
    }
    if files.len() == FILES_MAX {
        return Err(ToolchainError::TooMany);
    }
    files.push((relative.to_owned(), metadata.len(), std::os::unix::fs::MetadataExt::mtime(&metadata)));
    Ok(())
}

fn names(sysroot: &Path, relative: &str) -> Result<Vec<String>, ToolchainError> {
    let path = sysroot.join(relative);
    let failed = |source| ToolchainError::Read { path: path.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.into_string().map_err(|_| failed(io::Error::other("a file name is not UTF-8")))?);
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
