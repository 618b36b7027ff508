//! `assay gate`

use model::verdict::Outcome;
use serde_json::json;

use crate::context::Context;
use crate::error::Result;
use crate::judge;
use crate::machine;
use crate::project::Project;
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;

/// Judge whether an artifact may go to an environment, under that environment's policy
///
/// Each rule says what it looked for and what it found, and for a refusal what would help. Missing evidence denies.
/// With --record the verdict is signed by the verifier's key and logged.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to judge
    #[arg(value_name = "REF")]
    reference: String,
    /// The environment, as declared in assay.toml
    #[arg(long, value_name = "ENV")]
    env: String,
    /// Sign the verdict and log it
    #[arg(long)]
    record: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let project = Project::load(context)?;
    let mut session = Session::open(context)?;
    let resolved = resolve(&session, &args.reference)?;
    let now = machine::now()?;
    let (verdict, recorded) = judge::gate(&mut session, &project, &resolved, &args.env, now, args.record)?;
    session.close()?;
    let mut json = judge::json(&verdict);
    json["recorded"] = json!(recorded);
    Ok(Report::of(verdict.result == Outcome::Pass, json, judge::text(&verdict)))
}
