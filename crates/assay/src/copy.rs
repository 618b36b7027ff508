//! The work copy that `assay quickstart` makes of a project, so that it never writes into the project itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use build::source::{self, Kind};
use wire::digest::Digest;

use crate::error::{Context as _, Failure, Result};
use crate::example;
use crate::home::Home;

/// The date of commits that we make: a repository of ours is determined by its files alone.
const COMMIT_DATE: &str = "2026-01-01T00:00:00Z";

/// A work copy.
pub(crate) struct Copy {
    /// Where it lies.
    pub(crate) directory: PathBuf,
    /// How it was made, in a sentence.
    pub(crate) how: String,
    /// Whether it is the embedded example.
    pub(crate) is_example: bool,
}

/// Copies the embedded example.
pub(crate) fn of_example(home: &Home) -> Result<Copy> {
    let directory = fresh(home, "greeter")?;
    for (path, bytes) in example::FILES {
        let to = directory.join(path);
        let parent = to.parent().unwrap_or(&directory);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&to, bytes))
            .context("copy", format!("writing `{}`", to.display()))?;
    }
    one_commit(&directory, "greeter: an example service")?;
    let how = format!("the example service, in a one-commit repository of its own in `{}`", directory.display());
    Ok(Copy { directory, how, is_example: true })
}

/// Copies a project: a clean git work tree is cloned, anything else becomes a one-commit repository.
pub(crate) fn of_project(home: &Home, project: &Path) -> Result<Copy> {
    let project = project.canonicalize().context("project", format!("finding `{}`", project.display()))?;
    if !project.is_dir() {
        return Err(Failure::new("project", format!("`{}` is no directory", project.display())));
    }
    let name = project.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned());
    let key = Digest::of(project.to_string_lossy().as_bytes()).hex();
    // A workspace without a package of its own is named like its directory: the copy's has the project's name.
    let directory = fresh(home, &format!("{}/{name}", &key[..8]))?;
    let without = [home.root().to_path_buf()];
    let revision =
        source::revision(&project, &without).context("source", format!("asking git about `{}`", project.display()))?;
    match revision {
        Some(revision) if revision.dirty.is_empty() && project.join(".git").exists() => {
            let _empty = fs::remove_dir(&directory);
            git(
                home.root(),
                &["clone", "--quiet", "--no-hardlinks", &project.to_string_lossy(), &directory.to_string_lossy()],
            )?;
            git(&directory, &["remote", "set-url", "origin", &revision.repository])?;
            let how = format!(
                "a clone of `{}` at {} in `{}`",
                project.display(),
                &revision.commit[..12],
                directory.display()
            );
            Ok(Copy { directory, how, is_example: false })
        }
        _ => {
            let entries =
                source::snapshot(&project, &without).context("source", format!("reading `{}`", project.display()))?;
            for entry in entries {
                copy_entry(&directory.join(&entry.path), &entry.host, &entry.kind)?;
            }
            one_commit(&directory, &format!("{name}: files as they were"))?;
            let how = format!(
                "`{}` is no clean git work tree of its own, so its files are in a one-commit repository in `{}`",
                project.display(),
                directory.display()
            );
            Ok(Copy { directory, how, is_example: false })
        }
    }
}

fn copy_entry(to: &Path, from: &Path, kind: &Kind) -> Result<()> {
    let doing = || format!("copying `{}`", from.display());
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).context("copy", doing())?;
    }
    match kind {
        Kind::File { .. } => fs::copy(from, to).map(drop).context("copy", doing()),
        Kind::Link { target } => symlink(target, to).context("copy", doing()),
    }
}

/// Commits everything in a work copy, if there is anything.
pub(crate) fn commit_all(directory: &Path, message: &str) -> Result<()> {
    git(directory, &["add", "--all"])?;
    let changed = git(directory, &["status", "--porcelain"])?;
    if changed.trim().is_empty() {
        return Ok(());
    }
    git(directory, &["commit", "--quiet", "--no-verify", "-m", message]).map(drop)
}

fn one_commit(directory: &Path, message: &str) -> Result<()> {
    git(directory, &["init", "--quiet", "--initial-branch=main"])?;
    commit_all(directory, message)
}

fn fresh(home: &Home, name: &str) -> Result<PathBuf> {
    let directory = home.projects().join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .context("copy", format!("removing the former copy `{}`", directory.display()))?;
    }
    fs::create_dir_all(&directory).context("copy", format!("making `{}`", directory.display()))?;
    Ok(directory)
}

/// Runs git with a fixed author and without the user's configuration.
fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=assay quickstart",
            "-c",
            "user.email=quickstart@assay.invalid",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_DATE", COMMIT_DATE)
        .env("GIT_COMMITTER_DATE", COMMIT_DATE)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .output()
        .context("git", "running git")
        .map_err(|failure| failure.hint("apt-get install git"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new("git", format!("`git {}` in `{}` failed: {said}", arguments.join(" "), directory.display())))
}
