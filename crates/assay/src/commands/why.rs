//! `assay why`

use attest::Claim;
use build::record::withhold::Withhold;
use model::lineage::{Direction, Kind, NodeId};
use serde_json::json;
use wire::digest::Digest;

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
    let recipe = recipes.iter().find_map(|statement| match statement.claim() {
        Claim::Recipe(recipe) => Some(recipe),
        _ => None,
    });
    let recipe = recipe.ok_or_else(none)?;
    let names: Vec<String> = recipe.steps.iter().map(|step| step.name.clone()).collect();
    let mut text = format!("run {} of {}, {}", run.id, run.project, run.started);
    let mut object = json!({});
    if run.stages.is_empty() {
        let trail = trail(session, &run.trace, &names)?;
        object = trail.json();
        text = format!("{text}\n{}", trail.text(args.all));
    }
    let mut rest = names.as_slice();
    let mut stages = Vec::new();
    // The steps of a recipe are those of its stages' runs, one after the other.
    for stage in &run.stages {
        let trail = trail(session, &stage.trace, rest)?;
        rest = &rest[trail.steps_run().min(rest.len())..];
        let mut told = trail.json();
        (told["name"], told["trace"]) = (json!(stage.name), json!(stage.trace));
        stages.push(told);
        text = format!("{text}\nstage {}: {}", stage.name, trail.text(args.all));
    }
    if !stages.is_empty() {
        object["stages"] = json!(stages);
    }
    object["run"] = json!(id.as_str());
    object["recipe"] = json!(run.recipe.to_string());
    object["trace"] = json!(run.trace.to_string());
    Ok(Report::yes(object, text))
}

fn trail(session: &Session<'_>, digest: &Digest, steps: &[String]) -> Result<Trail> {
    let mut trace = session.inputs().blobs.open(digest).map_err(|error| {
        Failure::new("artifact-missing", format!("opening the trace of the run, blob {digest}"))
            .because(&error)
            .hint("the home where the build ran has it")
    })?;
    Trail::read(&mut trace, steps, &Withhold::new(machine::random()?))
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
