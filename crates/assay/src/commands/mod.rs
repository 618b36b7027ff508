//! The commands, a file each: the doc comment that is its help, its arguments, one function.

pub(crate) mod admin;
pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod env;
pub(crate) mod export;
pub(crate) mod gate;
pub(crate) mod init;
pub(crate) mod lint;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod normalise;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod quickstart;
pub(crate) mod reference;
pub(crate) mod rollback;
pub(crate) mod sbom;
pub(crate) mod serve;
pub(crate) mod sigstore;
pub(crate) mod test;
pub(crate) mod trace;
pub(crate) mod verify;
pub(crate) mod where_;
pub(crate) mod why;
pub(crate) mod witness;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::error::Result;
use crate::report::{self, Report};

/// Runs what was typed, and returns the exit code.
pub(crate) fn run(typed: Cli) -> u8 {
    let json = typed.global.json;
    let outcome = Context::new(typed.global).and_then(|mut context| dispatch(typed.command, &mut context));
    report::finish(outcome, json)
}

fn dispatch(command: Command, context: &mut Context) -> Result<Report> {
    match command {
        Command::Quickstart(args) => quickstart::run(&args, context),
        Command::Init(args) => init::run(&args, context),
        Command::Check(args) => check::run(&args, context),
        Command::Lock(args) => lock::run(&args, context),
        Command::Build(args) => build::run(&args, context),
        Command::Test(args) => test::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Sigstore(command) => sigstore::run(&command, context),
        Command::Lint(args) => lint::run(&args, context),
        Command::Gate(args) => gate::run(&args, context),
        Command::Normalise(args) => normalise::run(&args, context),
        Command::Push(args) => push::run(&args, context),
        Command::Pull(args) => pull::run(&args, context),
        Command::Reference(command) => reference::run(&command, context),
        Command::Deploy(args) => deploy::run(&args, context),
        Command::Rollback(args) => rollback::run(&args, context),
        Command::Env(command) => env::run(&command, context),
        Command::Why(args) => why::run(&args, context),
        Command::Sbom(args) => sbom::run(&args, context),
        Command::Trace(args) => trace::run(&args, context),
        Command::Where(args) => where_::run(&args, context),
        Command::Serve(args) => serve::run(&args, context),
        Command::Witness(command) => witness::run(&command, context),
        Command::Log(command) => log::run(&command, context),
        Command::Admin(command) => admin::run(&command, context),
        Command::Completions(args) => completions::run(&args, context),
    }
}
