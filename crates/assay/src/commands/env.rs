//! `assay env`

mod freeze;

pub(crate) mod provision;

use std::path::PathBuf;

use attest::Claim;
use build::spec::EnvironmentKind;
use model::deployment::Observation;
use serde_json::json;
use wire::digest::Digest;

use crate::context::Context;
use crate::deploying;
use crate::error::{Failure, Result};
use crate::keys::KeyName;
use crate::live;
use crate::machine;
use crate::project::Project;
use crate::release::{self, digest_of};
use crate::report::Report;
use crate::service;
use crate::service::processes::ProcessId;
use crate::session::Session;

/// Look at an environment, where a service runs; pin and make the one that it is built in
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Freeze(freeze::Args),
    Provision(provision::Args),
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
/// The digest is that of the running program itself, read through /proc/PID/exe, so a file that was replaced since is not mistaken
/// for it; where another program listens on the port of the service's health, that one is what was observed. For a release
/// directory, it is the program that `current` leads to. Exit 1 when it is not what was deployed, or nothing runs.
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
    match command {
        Command::Freeze(args) => return freeze::run(args, context),
        Command::Provision(args) => return provision::run(args, context),
        Command::Observe(_) | Command::Show(_) | Command::Stop(_) => {}
    }
    let project = Project::load(context)?;
    let mut session = Session::open(context)?;
    let report = match command {
        Command::Observe(args) => observe(&mut session, &project, &args.env),
        Command::Show(args) => show(&session, &project, &args.env),
        Command::Stop(args) => stop(&session, &project, &args.env),
        Command::Freeze(_) | Command::Provision(_) => unreachable!("they need no environment"),
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
    let Seen { observed, process, remark } = seen(session, project, name, &deployment.artifact.0)?;
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
        "remark": remark,
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
    let text = remark.map_or_else(|| text.clone(), |remark| format!("{text}\n{remark}"));
    Ok(Report::of(agrees, json, text))
}

/// What was seen.
#[derive(Default)]
struct Seen {
    observed: Option<Digest>,
    process: Option<(u32, String)>,
    /// What a reader would not expect.
    remark: Option<String>,
}

impl Seen {
    /// Looks at a process; one that ended meanwhile is none.
    fn process(process: ProcessId, remark: Option<String>) -> Seen {
        let path = process.program();
        match digest_of(&PathBuf::from(format!("/proc/{}/exe", process.pid))) {
            Ok(digest) if process.alive() => {
                Seen { observed: Some(digest), process: Some((process.pid, path)), remark }
            }
            _ => Seen { remark, ..Seen::default() },
        }
    }
}

fn seen(session: &Session<'_>, project: &Project, environment: &str, artifact: &str) -> Result<Seen> {
    let service = &project.spec.project.name;
    let directory = deploying::directory(session, environment, service);
    match &project.environment(environment)?.kind {
        EnvironmentKind::Service { health, .. } => {
            let own_network = service::state(&directory)?.is_some_and(|state| state.own_network);
            if let Some((port, listener)) = live::foreign(&directory, health, own_network)? {
                let remark = Some(format!("port {port} is answered by {}, not by the service", listener.text()));
                let process = listener.processes.first().copied();
                return Ok(process
                    .map_or(Seen { remark: remark.clone(), ..Seen::default() }, |one| Seen::process(one, remark)));
            }
            Ok(service::main_process(&directory)?.map_or_else(Seen::default, |process| Seen::process(process, None)))
        }
        EnvironmentKind::Release { .. } => {
            let Some(current) = release::current(&directory) else { return Ok(Seen::default()) };
            let program = release::version(&directory, &current).join("bin").join(artifact);
            let observed = if program.is_file() { Some(digest_of(&program)?) } else { None };
            Ok(Seen { observed, ..Seen::default() })
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
