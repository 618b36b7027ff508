//! `assay why`


use attest::Claim;
use build::record::withhold::Withhold;
use model::lineage::{Direction, Kind, NodeId};
use serde_json::json;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::machine;
use crate::release::digest_of;
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;
use crate::trail::Trail;
use crate::verdicts;
use crate::walk;

/// Walk back from what runs to the commit, the people, the inputs and the rules it came from
///
/// Take an artifact (REF), an environment (env:NAME or a declared name), or the path of a running binary, as
/// /proc/PID/exe.
///
/// With --commands: the processes of the newest run that made it, in order, as a tree, each with the lines and branches of its
/// shell script. Example: assay why greeter --commands
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// REF, ENV or the path of a binary
    #[arg(value_name = "REF|ENV|PATH")]
    what: String,
    /// Show every node, with all packages; with --commands every line
    #[arg(long)]
    all: bool,
    /// Show what the run did: commands, and the branches that shell scripts took
    #[arg(long)]
    commands: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let start = start(&session, &args.what)?;
    let report = match args.commands {
        true => commands(&session, start, args)?,
        false => {
            let mut report = walk::report(&session, start, Direction::Back, args.all)?;
            verdicts::add(&session, &mut report)?;
            report
        }
    };
    session.close()?;
    Ok(report)
}

/// What the newest run behind a node did.
fn commands(session: &Session<'_>, start: NodeId, args: &Args) -> Result<Report> {
    let found = session.walk(start, Direction::Back)?;
    let none = || {
        Failure::no("no-lineage", format!("no run is known that made `{}`", args.what))
            .hint("assay build states how an artifact was made")
    };
    let mut statements = Vec::new();
    for node in found.nodes.iter().filter(|node| node.kind == Kind::Run) {
        let payload = node.id.as_str().parse().context("ref", format!("reading `{}`", node.id))?;
        let of_node = session.by_payload(&payload)?.attestations;
        statements.extend(of_node.into_iter().map(|statement| (node.id.clone(), statement)));
    }
    // By the order of the log: several runs may end within one second.
    statements.sort_by_key(|(_, statement)| statement.logged().map(tlog::Logged::index));
    let newest = statements.iter().rev().find_map(|(id, statement)| match statement.claim() {
        Claim::Run(run) => Some((id, run)),
        _ => None,
    });
    let (id, run) = newest.ok_or_else(none)?;
    let recipes = session.by_payload(&run.recipe)?.attestations;
    let steps = recipes.iter().find_map(|statement| match statement.claim() {
        Claim::Recipe(recipe) => Some(recipe.steps.iter().map(|step| step.name.clone()).collect::<Vec<_>>()),
        _ => None,
    });
    let steps = steps.ok_or_else(none)?;
    let blobs = &session.inputs().blobs;
    let mut trace = blobs.open(&run.trace).map_err(|error| {
        Failure::new("artifact-missing", format!("opening the trace of the run, blob {}", run.trace))
            .because(&error)
            .hint("the home where the build ran has it")
    })?;
    let trail = Trail::read(&mut trace, &steps, &Withhold::new(machine::random()?))?;
    let mut object = trail.json();
    object["run"] = json!(id.as_str());
    object["recipe"] = json!(run.recipe.to_string());
    object["trace"] = json!(run.trace.to_string());
    Ok(Report::yes(object, format!("run {} of {}, {}\n{}", run.id, run.project, run.started, trail.text(args.all))))
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
