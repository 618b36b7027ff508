//! `assay check`

use build::check::{self, Files};
use serde_json::json;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::project::Project;
use crate::report::Report;

/// Refuse what cannot be reproduced: unpinned packages and images, branches as sources, network in a step, `latest`
///
/// One finding a line, with file, line and column. Exit 1 when there is one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) fn run(_args: &Args, context: &Context) -> Result<Report> {
    let directory = context.project()?;
    let names = build::source::files(&directory, &[]).unwrap_or_default();
    let files = Files::read(&directory, &names)
        .map_err(|error| Failure::new("check", "reading the project").because(&error))?;
    let findings = check::check(&files);
    if findings.is_empty() {
        Project::load_from(directory)?; // what the check has nothing against must also be readable
    }
    let json = json!({
        "result": if findings.is_empty() { "pass" } else { "fail" },
        "findings": findings.iter().map(|finding| json!({
            "file": finding.file, "line": finding.line, "column": finding.column, "text": finding.text,
            "message": finding.message, "allowed": finding.allowed,
        })).collect::<Vec<_>>(),
    });
    let text = match findings.len() {
        0 => "nothing found that could not be reproduced".to_owned(),
        _ => findings.iter().map(|finding| finding.one_line()).collect::<Vec<_>>().join("\n"),
    };
    Ok(Report::of(findings.is_empty(), json, text))
}
