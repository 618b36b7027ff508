//! `assay completions`

use clap::CommandFactory;
use serde_json::json;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::report::Report;

/// Print shell completions
///
/// Example: assay completions bash > /etc/bash_completion.d/assay
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, _context: &Context) -> Result<Report> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "assay", &mut script);
    let script = String::from_utf8(script).map_err(|_| Failure::new("completions", "the script is not UTF-8"))?;
    Ok(Report::yes(json!({"shell": args.shell.to_string(), "script": script}), script.trim_end()))
}
