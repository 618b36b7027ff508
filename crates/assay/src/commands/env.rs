//! `assay env`

use attest::Claim;
use model::deployment::Observation;
use serde_json::json;

use crate::context::Context;
use crate::deploying;
use crate::error::{Failure, Result};
use crate::keys::KeyName;
use crate::machine;
use crate::project::Project;
use crate::release::{self, digest_of};
use crate::report::Report;
use crate::service;
use crate::session::Session;

/// Look at an environment: what should run there, and what does
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Observe(ObserveArgs),
    Show(ShowArgs),
    Stop(StopArgs),
}

/// Stop the service that was deployed to an environment; `assay deploy` or `assay rollback` starts it again
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// The environment, as declared in assay.toml
    #[arg(value_name = "ENV")]
    env: String,
}

/// Record what really runs in an environment, and say if it is not what was deployed
///
/// The digest is that of the running program itself, read through /proc/PID/exe; for a release directory, that of the
/// program that `current` leads to. Exit 1 when it is not what was deployed, or nothing runs.
#[derive(Debug, clap::Args)]
pub(crate) struct ObserveArgs {
    /// The environment, as declared in assay.toml
    #[arg(value_name = "ENV")]
    env: String,
}

/// Show what is live in an environment, and its history
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The environment, as declared in assay.toml
    #[arg(value_name = "ENV")]
    env: String,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report> {
    let project = Project::load(context)?;
    let mut session = Session::open(context)?;
    let report = match command {
        Command::Observe(args) => observe(&mut session, &project, &args.env),
        Command::Show(args) => show(&session, &project, &args.env),
        Command::Stop(args) => stop(&session, &project, &args.env),
    };
    session.close()?;
    report
}

/// Observes an environment and records what was seen.
pub(crate) fn observe(session: &mut Session<'_>, project: &Project, environment: &str) -> Result<Report> {
    let name = environment.strip_prefix("env:").unwrap_or(environment);
    project.environment(name)?;
    let service = &project.spec.project.name;
    let Some(live) = session.newest_live(name, service)? else {
        return Err(Failure::new("no-deployment", format!("nothing was ever live in `{name}`"))
            .hint(format!("assay deploy REF {name}")));
    };
    let Claim::Deployment(deployment) = live.claim() else {
        return Err(Failure::new("ledger", "the newest live deployment is no deployment").hint("assay admin reindex"));
    };
    let (observed, process) = seen(session, project, name, &deployment.artifact.0)?;
    let observation = Observation {
        environment: name.to_owned(),
        service: service.clone(),
        expected: deployment.artifact.1,
        observed,
        process,
        at: machine::now()?,
    };
    let payload = session.record(KeyName::Deployer, &[attest::observation(&observation)])?;
    let agrees = observation.agrees();
    let json = json!({
        "environment": name,
        "expected": observation.expected,
        "observed": observation.observed,
        "process": observation.process.as_ref().map(|(pid, path)| json!({"pid": pid, "path": path})),
        "agrees": agrees,
        "observation": payload.first(),
    });
    let text = match (&observation.observed, agrees) {
        (Some(observed), true) => {
            format!("{name} runs {} {observed}, which is what was deployed", deployment.artifact.0)
        }
        (Some(observed), false) => {
            format!("{name} runs {observed}, but {} {} was deployed", deployment.artifact.0, observation.expected)
        }
        (None, _) => {
            format!("nothing runs in {name}, but {} {} was deployed", deployment.artifact.0, observation.expected)
        }
    };
    Ok(Report::of(agrees, json, text))
}

type Seen = (Option<wire::digest::Digest>, Option<(u32, String)>);

fn seen(session: &Session<'_>, project: &Project, environment: &str, artifact: &str) -> Result<Seen> {
    let service = &project.spec.project.name;
    let (current, pid) = deploying::running(session, environment, service)?;
    match &project.environment(environment)?.kind {
        build::spec::EnvironmentKind::Service { .. } => {
            let Some(pid) = pid else { return Ok((None, None)) };
            let link = std::path::PathBuf::from(format!("/proc/{pid}/exe"));
            let path = std::fs::read_link(&link).map(|path| path.display().to_string()).unwrap_or_default();
            match digest_of(&link) {
                Ok(digest) => Ok((Some(digest), Some((pid, path)))),
                Err(_) => Ok((None, None)), // it ended between the two looks
            }
        }
        build::spec::EnvironmentKind::Release { .. } => {
            let Some(current) = current else { return Ok((None, None)) };
            let directory = deploying::directory(session, environment, service);
            let program = release::version(&directory, &current).join("bin").join(artifact);
            if !program.is_file() {
                return Ok((None, None));
            }
            Ok((Some(digest_of(&program)?), None))
        }
    }
}

fn stop(session: &Session<'_>, project: &Project, environment: &str) -> Result<Report> {
    let name = environment.strip_prefix("env:").unwrap_or(environment);
    project.environment(name)?;
    let (_, running) = deploying::running(session, name, &project.spec.project.name)?;
    service::stop(&deploying::directory(session, name, &project.spec.project.name))?;
    let text = match running {
        Some(pid) => format!("stopped pid {pid} in {name}"),
        None => format!("nothing ran in {name}"),
    };
    Ok(Report::yes(json!({"environment": name, "stopped": running}), text))
}

fn show(session: &Session<'_>, project: &Project, environment: &str) -> Result<Report> {
    let name = environment.strip_prefix("env:").unwrap_or(environment);
    project.environment(name)?;
    let mut rows = Vec::new();
    let mut text = Vec::new();
    for attestation in session.deployments(name, &project.spec.project.name)? {
        let Claim::Deployment(deployment) = attestation.claim() else { continue };
        let word = if deployment.live { "live from" } else { "failed at" };
        text.push(format!(
            "{word} {} {} {} by {}",
            deployment.finished, deployment.artifact.0, deployment.artifact.1, deployment.actor
        ));
        rows.push(json!({
            "deployment": attestation.statement().payload(), "artifact": deployment.artifact.0,
            "digest": deployment.artifact.1, "live": deployment.live, "action": deployment.action,
            "actor": deployment.actor, "started": deployment.started, "finished": deployment.finished,
        }));
    }
    if text.is_empty() {
        text.push(format!("nothing was ever deployed to {name}"));
    }
    let (current, pid) = deploying::running(session, name, &project.spec.project.name)?;
    let json = json!({"environment": name, "current": current, "pid": pid, "deployments": rows});
    Ok(Report::yes(json, text.join("\n")))
}
