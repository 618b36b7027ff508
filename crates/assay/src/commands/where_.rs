//! `assay where`

use model::lineage::{Direction, Node, NodeId};

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::report::Report;
use crate::session::Session;
use crate::walk;

/// Walk forward from a commit, a package or a digest to everything it went into, up to what is live
///
/// Take a git commit (or its first digits), a package as NAME@VERSION or as a package URL, or any digest.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// COMMIT, PACKAGE@VERSION or DIGEST
    #[arg(value_name = "COMMIT|PACKAGE@VERSION|DIGEST")]
    what: String,
    /// Show every node
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let start = start(&session, &args.what)?;
    let report = walk::report(&session, start, Direction::Forward, args.all)?;
    session.close()?;
    Ok(report)
}

fn start(session: &Session<'_>, what: &str) -> Result<NodeId> {
    let exact = [NodeId::stored(what.to_owned()), NodeId::commit(what)];
    for node in exact {
        if session.knows(&node)? {
            return Ok(node);
        }
    }
    let is_commit = what.len() >= 7 && what.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut found = if is_commit {
        session.search(&format!("git:{what}"))?
    } else {
        let label = what.replace('@', " ");
        let mut found = session.search(what)?;
        found.extend(session.search(&label)?);
        found.retain(|node| {
            node.id.as_str() == what || node.label == label || node.id.as_str().ends_with(&format!("/{what}"))
        });
        found
    };
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    let is_package = |node: &Node| node.id.as_str().starts_with("pkg:");
    if found.iter().filter(|node| is_package(node)).count() == 1 {
        found.retain(is_package); // its bytes have a node of their own, with the same label
    }
    match found.as_slice() {
        [node] => Ok(node.id.clone()),
        [] => Err(Failure::no("unknown", format!("nothing in the ledger is `{what}`"))
            .hint("name a commit, NAME@VERSION, a package URL or a digest")),
        several => {
            let names: Vec<&str> = several.iter().take(10).map(|node| node.id.as_str()).collect();
            Err(Failure::new("ambiguous", format!("`{what}` may be {}", names.join(", "))).hint("name one of them"))
        }
    }
}
