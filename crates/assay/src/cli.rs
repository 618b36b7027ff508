//! What can be typed: the options that every command takes, and the list of commands.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands;

/// Take a backend service from commit to production, and prove what runs and what it was made from
///
/// Exit codes: 0 yes or done; 1 no (denied, unknown because evidence is missing, differs, damaged, failed);
/// 2 could not tell (usage, unreadable, unreachable, sandbox failed).
///
/// State lies in $ASSAY_HOME (default: $XDG_DATA_HOME/assay).
#[derive(Debug, Parser)]
#[command(name = "assay", version, max_term_width = 110, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Print one JSON object on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// The project's directory, which holds assay.toml
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    pub(crate) project: PathBuf,
    /// A server that keeps log and ledger, in place of the home's own
    #[arg(long, global = true, env = "ASSAY_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The access token for the server
    #[arg(long, global = true, env = "ASSAY_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// The commands, in the order in which data flows.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(commands::quickstart::Args),
    Init(commands::init::Args),
    Check(commands::check::Args),
    Lock(commands::lock::Args),
    Build(commands::build::Args),
    Test(commands::test::Args),
    Normalise(commands::normalise::Args),
    Verify(commands::verify::Args),
    #[command(subcommand)]
    Sigstore(commands::sigstore::Command),
    Lint(commands::lint::Args),
    Gate(commands::gate::Args),
    Push(commands::push::Args),
    Pull(commands::pull::Args),
    Export(commands::export::Args),
    #[command(subcommand)]
    Reference(commands::reference::Command),
    Deploy(commands::deploy::Args),
    Rollback(commands::rollback::Args),
    #[command(subcommand)]
    Env(commands::env::Command),
    Why(commands::why::Args),
    Sbom(commands::sbom::Args),
    Trace(commands::trace::Args),
    Where(commands::where_::Args),
    Serve(commands::serve::Args),
    #[command(subcommand)]
    Witness(commands::witness::Command),
    #[command(subcommand)]
    Log(commands::log::Command),
    #[command(subcommand)]
    Admin(commands::admin::Command),
    Completions(commands::completions::Args),
}
