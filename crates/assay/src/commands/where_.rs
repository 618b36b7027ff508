//! `assay where`

use model::lineage::{Direction, Node, NodeId};
use serde_json::{Value, json};
use wire::digest::Digest;

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
    let bare = match args.what.parse::<Digest>() {
        Ok(digest) => session.entries_without_payload(&digest)?,
        Err(_) => Vec::new(),
    };
    let mut report = match start(&session, &args.what) {
        Ok(start) => walk::report(&session, start, Direction::Forward, args.all)?,
        // Signatures over it are logged, and that is all that anybody knows.
        Err(failure) if bare.is_empty() || failure.code != "unknown" => return Err(failure),
        Err(_) => Report::yes(json!({"nodes": [], "edges": [], "truncated": false}), args.what.clone()),
    };
    session.close()?;
    for entry in &bare {
        let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let line = format!(
            "\nlog entry {}: {} by key {}, {}; without payload, known by hash and key alone",
            entry["index"],
            field("kind"),
            field("key_id"),
            field("logged")
        );
        report.text.push_str(&line);
    }
    report.json["without_payload"] = Value::from(bare);
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
