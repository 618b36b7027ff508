//! `assay deploy`

use crate::context::Context;
use crate::deploying::{self, Request};
use crate::error::Result;
use crate::project::Project;
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;

/// Judge an artifact, bring it live in an environment by its runbook, and record the deployment
///
/// The runbook is: unpack into versions/<digest>, the steps that assay.toml declares, switch `current`, restart and
/// check the health of a service, or run the declared check of a release directory. Each step is recorded; interrupted, the
/// same command goes on after the last step done. A refusal of the gate is exit 1, and nothing is touched.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to deploy
    #[arg(value_name = "REF")]
    reference: String,
    /// The environment, as declared in assay.toml
    #[arg(value_name = "ENV")]
    env: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let project = Project::load(context)?;
    let mut session = Session::open(context)?;
    let resolved = resolve(&session, &args.reference)?;
    let request =
        Request { project: &project, environment: &args.env, action: "deploy", stop_after: None, own_network: false };
    let deployed = deploying::deploy(&mut session, &request, &resolved);
    session.close()?;
    Ok(deploying::report(&deployed?))
}
