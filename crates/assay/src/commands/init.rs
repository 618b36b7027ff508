//! `assay init`

use std::fs;
use std::path::Path;

use build::init::{self, Proposal};
use build::source;
use build::spec;
use serde_json::json;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::machine;
use crate::report::Report;

/// Look at a project and write assay.toml for it, with comments that teach, and a starter policy
///
/// Nothing that exists is overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let directory = context.project()?;
    let proposal = propose(&directory)?;
    let files = files(&directory, &proposal)?;
    if !args.dry_run {
        write(&directory, &files)?;
    }
    let json = json!({
        "project": proposal.project,
        "binaries": proposal.binaries,
        "service": proposal.service,
        "environment": proposal.environment,
        "files": files.iter().map(|(path, text)| json!({"path": path, "text": text})).collect::<Vec<_>>(),
        "notes": proposal.notes,
    });
    let mut text: Vec<String> = proposal.notes.clone();
    if args.dry_run {
        text.extend(files.iter().map(|(path, text)| format!("--- {path}\n{text}")));
    } else {
        text.extend(files.iter().map(|(path, _)| format!("wrote {path}")));
        text.push("next: assay check && assay lock".to_owned());
    }
    Ok(Report::yes(json, text.join("\n")))
}

/// Proposes a specification for a project.
pub(crate) fn propose(directory: &Path) -> Result<Proposal> {
    let owner = machine::invoker().split(' ').next().unwrap_or("owner").to_owned();
    init::propose(directory, &owner)
        .map_err(|error| Failure::new("init", format!("looking at `{}`", directory.display())).because(&error))
}

/// The files of a proposal: `assay.toml` and the policy, which names the project's repository and branch.
pub(crate) fn files(directory: &Path, proposal: &Proposal) -> Result<Vec<(String, String)>> {
    let revision = source::revision(directory, &[]).context("source", "asking git about the project")?;
    let (repository, branch) = match &revision {
        Some(revision) => (revision.repository.clone(), revision.branch.clone().unwrap_or_else(|| "main".to_owned())),
        None => (format!("file://{}", directory.display()), unborn_branch(directory)),
    };
    let parsed = spec::Spec::parse(spec::FILE, proposal.text.as_bytes());
    let parsed = parsed.map_err(|problems| Failure::problems("init", &problems))?;
    let suites: Vec<String> = parsed.tests.iter().map(|test| test.name.clone()).collect();
    let policy = policy::starter(&proposal.environment, &repository, &branch, &suites);
    Ok(vec![(spec::FILE.to_owned(), proposal.text.clone()), (proposal.policy.clone(), policy)])
}

/// The branch that a repository without a commit is on.
fn unborn_branch(directory: &Path) -> String {
    let head = fs::read_to_string(directory.join(".git/HEAD")).unwrap_or_default();
    head.trim().strip_prefix("ref: refs/heads/").unwrap_or("main").to_owned()
}

/// Writes files that are not there yet; one that is there is an error, before anything is written.
pub(crate) fn write(directory: &Path, files: &[(String, String)]) -> Result<()> {
    if let Some((path, _)) = files.iter().find(|(path, _)| directory.join(path).exists()) {
        return Err(Failure::new("exists", format!("`{path}` exists already")).hint("edit it, or remove it first"));
    }
    for (path, text) in files {
        let to = directory.join(path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).context("write", format!("making `{}`", parent.display()))?;
        }
        crate::runbook::durable(&to, text.as_bytes()).context("write", format!("writing `{}`", to.display()))?;
    }
    Ok(())
}
