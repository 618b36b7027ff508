//! `assay rollback`

use attest::Claim;
use model::verdict::Outcome;
use wire::digest::Digest;

use crate::context::Context;
use crate::deploying::{self, Request};
use crate::error::{Failure, Result};
use crate::judge;
use crate::machine;
use crate::project::Project;
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;

/// Return an environment to the last good release that still passes the gate
///
/// Goes back through the releases that were live there before the present one, newest first, judges each again, and
/// deploys the first that passes. The files are still there, so nothing is built.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The environment, as declared in assay.toml
    #[arg(value_name = "ENV")]
    env: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let project = Project::load(context)?;
    let mut session = Session::open(context)?;
    let deployed = back(&mut session, &project, &args.env, false);
    session.close()?;
    Ok(deploying::report(&deployed?))
}

/// Rolls an environment back. `own_network` as in [`Request`].
pub(crate) fn back(
    session: &mut Session<'_>,
    project: &Project,
    environment: &str,
    own_network: bool,
) -> Result<deploying::Deployed> {
    let name = environment.strip_prefix("env:").unwrap_or(environment);
    let request = Request { project, environment: name, action: "rollback", stop_after: None, own_network };
    if let Some(answer) = deploying::unanswered(session, &request)? {
        return Ok(answer); // going back once more is not what was asked for
    }
    let candidates = candidates(session, project, name)?;
    let mut refused = Vec::new();
    for digest in &candidates {
        let resolved = resolve(session, &digest.to_string())?;
        let (verdict, _) = judge::gate(session, project, &resolved, name, machine::now()?, false)?;
        if verdict.result == Outcome::Pass {
            return deploying::deploy(session, &request, &resolved);
        }
        refused.extend(
            verdict
                .rules
                .iter()
                .filter(|rule| rule.result != Outcome::Pass)
                .map(|rule| format!("{} ({}): {}: {}", resolved.name, digest.short(), rule.name, rule.found)),
        );
    }
    let mut failure = Failure::no(
        "nothing-to-roll-back-to",
        format!("none of {} former release(s) of `{name}` passes the gate", candidates.len()),
    );
    failure.also = refused;
    Err(failure.hint(format!("assay deploy REF {name}")))
}

/// Former live releases, newest first, each once, without what is live or was rolled back from.
fn candidates(session: &Session<'_>, project: &Project, environment: &str) -> Result<Vec<Digest>> {
    let history = session.deployments(environment, &project.spec.project.name)?;
    let mut live: Vec<Digest> = Vec::new();
    let mut broken: Vec<Digest> = Vec::new();
    for attestation in &history {
        let Claim::Deployment(deployment) = attestation.claim() else { continue };
        let digest = deployment.artifact.1;
        if deployment.live {
            live.push(digest);
        } else if live.is_empty() {
            broken.push(digest); // newer than anything live: what failed to go live
        }
    }
    let present = live.first().copied();
    // A failed deployment has touched the environment, so the newest live release itself is what to return to.
    let skip = if broken.is_empty() { present } else { None };
    let mut out: Vec<Digest> = Vec::new();
    for digest in live {
        // What was live when another attempt at the very same digest failed is still what was good.
        let is_broken = broken.contains(&digest) && Some(digest) != present;
        if Some(digest) != skip && !is_broken && !out.contains(&digest) {
            out.push(digest);
        }
    }
    Ok(out)
}
