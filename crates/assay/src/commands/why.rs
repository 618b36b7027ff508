//! `assay why`

use model::lineage::{Direction, NodeId};

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::release::digest_of;
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;
use crate::verdicts;
use crate::walk;

/// Walk back from what runs to the commit, the people, the inputs and the rules it came from
///
/// Take an artifact (REF), an environment (env:NAME or a declared name), or the path of a running binary, as
/// /proc/PID/exe.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// REF, ENV or the path of a binary
    #[arg(value_name = "REF|ENV|PATH")]
    what: String,
    /// Show every node, with all packages
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let start = start(&session, &args.what)?;
    let mut report = walk::report(&session, start, Direction::Back, args.all)?;
    verdicts::add(&session, &mut report)?;
    session.close()?;
    Ok(report)
}

fn start(session: &Session<'_>, what: &str) -> Result<NodeId> {
    let environment = NodeId::environment(what.strip_prefix("env:").unwrap_or(what));
    if !what.contains('/') && session.knows(&environment)? {
        return Ok(environment);
    }
    if what.starts_with("env:") {
        return Err(Failure::new("no-deployment", format!("nothing was ever deployed to `{what}`"))
            .hint("assay deploy REF ENV"));
    }
    let node = if what.starts_with("/proc/") {
        NodeId::digest(&digest_of(std::path::Path::new(what))?)
    } else {
        NodeId::digest(&resolve(session, what)?.digest)
    };
    if session.knows(&node)? {
        return Ok(node);
    }
    Err(Failure::no("no-lineage", format!("`{what}` is {node}, and no statement is about it"))
        .hint("assay build states what an artifact is made from"))
}
