//! Git dependencies of a Cargo project, made ready to be built without a network.
//!
//! `cargo vendor` clones each repository at the locked commit and writes every package with its manifest normalised
//! (workspace inheritance resolved), the one form in which Cargo takes a git dependency from a directory. It runs no
//! code of the project. Registry crates come from the store, so only git is asked over the network.
//!
//! Cargo's documentation: <https://doc.rust-lang.org/cargo/commands/cargo-vendor.html>.

use std::io;
use std::path::{Path, PathBuf};

use super::lock_file::{Origin, Package};
use crate::inputs::Host;

/// How much of a tool's error output is kept in an error.
const OUTPUT_MAX: usize = 4096;

/// Why git dependencies could not be had.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// `cargo` could not be started.
    #[error("starting `cargo vendor`")]
    Start(#[source] io::Error),
    /// `cargo vendor` failed.
    #[error("`cargo vendor` could not fetch the git dependencies ({list}): {output}", list = .dependencies.join(", "))]
    Vendor {
        /// `name version` of each.
        dependencies: Vec<String>,
        /// The end of what it said.
        output: String,
    },
    /// `cargo vendor` left no directory for a dependency.
    #[error("`cargo vendor` wrote nothing for `{name} {version}`")]
    Absent {
        /// Package name.
        name: String,
        /// Version.
        version: String,
    },
}

/// Writes the git packages of the project below `destination`, and returns the directory of each.
///
/// `crates` is a directory source that holds every registry crate of the lock file; `cargo_home` is an empty directory.
pub fn vendor<'a>(
    project: &Path,
    packages: &'a [Package],
    crates: &Path,
    cargo_home: &Path,
    destination: &Path,
    host: &Host,
) -> Result<Vec<(&'a Package, PathBuf)>, GitError> {
    let git: Vec<&Package> = packages.iter().filter(|p| matches!(p.origin, Origin::Git { .. })).collect();
    let mut command = host.cargo("vendor", project, cargo_home).map_err(GitError::Start)?;
    command.args(["--locked", "--versioned-dirs", "--respect-source-config"]);
    for line in source_config(packages, crates) {
        command.arg("--config").arg(line);
    }
    command.arg(destination);
    command.env("CARGO_NET_GIT_FETCH_WITH_CLI", "true").env("GIT_TERMINAL_PROMPT", "0");
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().map_err(GitError::Start)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let dependencies = git.iter().map(|package| format!("{} {}", package.name, package.version)).collect();
        return Err(GitError::Vendor { dependencies, output: tail(text.trim()) });
    }
    git.into_iter()
        .map(|package| {
            let path = destination.join(format!("{}-{}", package.name, package.version));
            match path.join(".cargo-checksum.json").is_file() {
                true => Ok((package, path)),
                false => Err(GitError::Absent { name: package.name.clone(), version: package.version.clone() }),
            }
        })
        .collect()
}

/// `--config` values that replace every registry by the directory `crates`.
fn source_config(packages: &[Package], crates: &Path) -> Vec<String> {
    let directory = toml::Value::String(crates.to_string_lossy().into_owned());
    let mut lines = vec![
        "source.crates-io.replace-with=\"assay-crates\"".to_owned(),
        format!("source.assay-crates.directory={directory}"),
    ];
    for source in other_registries(packages) {
        let name = toml::Value::String(source.to_owned());
        let url = toml::Value::String(source.trim_start_matches("registry+").to_owned());
        lines.push(format!("source.{name}.registry={url}"));
        lines.push(format!("source.{name}.replace-with=\"assay-crates\""));
    }
    lines
}

/// The registries beside crates.io that packages come from, as `source` spells them; sorted, each once.
fn other_registries(packages: &[Package]) -> Vec<&str> {
    let mut sources: Vec<&str> = packages
        .iter()
        .filter_map(|package| match &package.origin {
            Origin::Registry { source, .. } if !package.origin.is_crates_io() => Some(source.as_str()),
            _ => None,
        })
        .collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

fn tail(text: &str) -> String {
    let start = text.len().saturating_sub(OUTPUT_MAX);
    let start = (start..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text[start..].to_owned()
}
