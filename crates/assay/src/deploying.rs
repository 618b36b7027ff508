//! Deploying: gate, runbook, record. Shared by `deploy`, `rollback`, `quickstart` and the pipeline test.

use std::fs;
use std::path::PathBuf;

use attest::Claim;
use model::deployment::{Deployment, RunbookStep};
use model::verdict::{Outcome, Verdict};
use serde_json::json;
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::error::{Context as _, Failure, Result};
use crate::judge;
use crate::keys::KeyName;
use crate::live::{self, Target};
use crate::machine;
use crate::project::Project;
use crate::release;
use crate::report::Report;
use crate::resolve::{Resolved, resolve};
use crate::runbook::{Ended, Journal};
use crate::service;
use crate::session::Session;

/// What is asked for.
pub(crate) struct Request<'a> {
    /// The project whose `assay.toml` declares the environment.
    pub(crate) project: &'a Project,
    /// The environment's name.
    pub(crate) environment: &'a str,
    /// `deploy` or `rollback`.
    pub(crate) action: &'static str,
    /// Stop after this step, as a rehearsal of an interruption.
    pub(crate) stop_after: Option<&'a str>,
    /// Give a service a network of its own, as a rehearsal beside what is live.
    pub(crate) own_network: bool,
}

/// What came of it.
pub(crate) struct Deployed {
    /// The gate's verdict.
    pub(crate) verdict: Verdict,
    /// The deployment as it was recorded, and its statement; `None` when the gate refused, or it was stopped.
    pub(crate) deployment: Option<(Deployment, Digest)>,
    /// Why it failed, if it did.
    pub(crate) failure: Option<Failure>,
}

/// The runtime directory of a project in an environment.
pub(crate) fn directory(session: &Session<'_>, environment: &str, service: &str) -> PathBuf {
    session.context().home.deployments().join(environment).join(service)
}

/// Judges and deploys.
pub(crate) fn deploy(session: &mut Session<'_>, request: &Request<'_>, resolved: &Resolved) -> Result<Deployed> {
    let environment = request.environment.strip_prefix("env:").unwrap_or(request.environment);
    let service = request.project.spec.project.name.clone();
    let now = machine::now()?;
    let (verdict, recorded) = judge::gate(session, request.project, resolved, environment, now, true)?;
    let Some(recorded) = recorded.filter(|_| verdict.result == Outcome::Pass) else {
        return Ok(Deployed { verdict, deployment: None, failure: None });
    };
    let directory = directory(session, environment, &service);
    fs::create_dir_all(&directory).context("deploy", format!("making `{}`", directory.display()))?;
    release::clear(&directory)?;
    let unfinished = match Journal::read(&directory)? {
        Some(journal) if statement_of(session, environment, &service, &journal)?.is_some() => {
            Journal::remove(&directory)?;
            None
        }
        Some(journal) if journal.artifact == resolved.digest && journal.action == request.action => Some(journal),
        Some(other) => {
            abandon(session, environment, &service, &other)?;
            Journal::remove(&directory)?;
            None
        }
        None => None,
    };
    let previous = previous(session, environment, &service)?;
    let mut journal = unfinished.unwrap_or_else(|| {
        let actor = machine::invoker();
        Journal::new(request.action, (&resolved.name, resolved.digest), previous, recorded, &actor, now)
    });
    let target = Target {
        environment,
        declared: request.project.environment(environment)?,
        directory: directory.clone(),
        name: &resolved.name,
        digest: resolved.digest,
        own_network: request.own_network,
    };
    let ended = {
        let blobs = session.inputs().blobs.clone();
        let open = || -> Result<Box<dyn std::io::Read + Send>> {
            let file = blobs.open(&target.digest).context("artifact", format!("opening `{}`", target.name))?;
            Ok(Box::new(file))
        };
        let runtime = session.context().runtime.handle().clone();
        let mut steps = live::runbook(&target, &open, &runtime);
        let clock = || machine::now().unwrap_or(now);
        journal.carry_out(&directory, &mut steps, &clock, request.stop_after)?
    };
    let (steps, failure) = match ended {
        Ended::Finished(steps) => (steps, None),
        Ended::Failed(steps, failure) => (steps, Some(failure)),
        Ended::Stopped => return Ok(Deployed { verdict, deployment: None, failure: None }),
    };
    let deployment = deployment(environment, &service, &journal, steps, failure.is_none(), machine::now()?);
    let payload = session.record(KeyName::Deployer, &[attest::deployment(&deployment)])?;
    Journal::remove(&directory)?;
    let payload = payload.first().copied().ok_or_else(|| Failure::new("log", "the log acknowledged no statement"))?;
    Ok(Deployed { verdict, deployment: Some((deployment, payload)), failure })
}

/// The statement of a deployment that was logged, and of which only the journal outlived the command.
fn statement_of(
    session: &Session<'_>,
    environment: &str,
    service: &str,
    journal: &Journal,
) -> Result<Option<(Deployment, Digest)>> {
    let is_it = |deployment: &Deployment| {
        (deployment.started, deployment.verdict, deployment.artifact.1, deployment.action.as_str())
            == (journal.started, journal.verdict, journal.artifact, journal.action.as_str())
    };
    let found = session.deployments(environment, service)?.into_iter().find_map(|attestation| {
        let Claim::Deployment(deployment) = attestation.claim() else { return None };
        is_it(deployment).then(|| (deployment.clone(), *attestation.statement().payload()))
    });
    Ok(found)
}

/// The answer to a command that was killed after its deployment was recorded as live, and before it could say so.
pub(crate) fn unanswered(session: &mut Session<'_>, request: &Request<'_>) -> Result<Option<Deployed>> {
    let service = &request.project.spec.project.name;
    let directory = directory(session, request.environment, service);
    let Some(journal) = Journal::read(&directory)?.filter(|journal| journal.action == request.action) else {
        return Ok(None);
    };
    let Some((deployment, payload)) = statement_of(session, request.environment, service, &journal)? else {
        return Ok(None);
    };
    if !deployment.live {
        return Ok(None);
    }
    let resolved = resolve(session, &journal.artifact.to_string())?;
    let now = machine::now()?;
    let (verdict, _) = judge::gate(session, request.project, &resolved, request.environment, now, false)?;
    Journal::remove(&directory)?;
    Ok(Some(Deployed { verdict, deployment: Some((deployment, payload)), failure: None }))
}

/// A deployment that another one overtook before it was finished is recorded as one that never went live.
fn abandon(session: &mut Session<'_>, environment: &str, service: &str, journal: &Journal) -> Result<()> {
    let mut deployment = deployment(environment, service, journal, journal.recorded_steps(), false, machine::now()?);
    deployment.steps.push(RunbookStep {
        name: "abandoned".to_owned(),
        result: "failed".to_owned(),
        detail: "interrupted, and another deployment was asked for".to_owned(),
        finished: deployment.finished,
    });
    session.record(KeyName::Deployer, &[attest::deployment(&deployment)]).map(drop)
}

fn deployment(
    environment: &str,
    service: &str,
    journal: &Journal,
    steps: Vec<RunbookStep>,
    live: bool,
    finished: Timestamp,
) -> Deployment {
    Deployment {
        environment: environment.to_owned(),
        service: service.to_owned(),
        artifact: (journal.name.clone(), journal.artifact),
        previous: journal.previous,
        verdict: journal.verdict,
        action: journal.action.clone(),
        steps,
        live,
        actor: journal.actor.clone(),
        started: journal.started,
        finished,
    }
}

fn previous(session: &Session<'_>, environment: &str, service: &str) -> Result<Option<Digest>> {
    Ok(session.newest_live(environment, service)?.and_then(|attestation| match attestation.claim() {
        Claim::Deployment(deployment) => Some(deployment.artifact.1),
        _ => None,
    }))
}

/// The report of a deployment.
pub(crate) fn report(deployed: &Deployed) -> Report {
    let live = deployed.deployment.as_ref().is_some_and(|(deployment, _)| deployment.live);
    let mut json = judge::json(&deployed.verdict);
    json["live"] = json!(live);
    let mut text = judge::text(&deployed.verdict);
    if let Some((deployment, payload)) = &deployed.deployment {
        json["deployment"] = json!(payload);
        json["previous"] = json!(deployment.previous);
        json["steps"] = deployment
            .steps
            .iter()
            .map(|step| json!({"name": step.name, "result": step.result, "detail": step.detail, "finished": step.finished}))
            .collect();
        for step in &deployment.steps {
            text.push_str(&format!("\n{:12} {}: {}", step.result, step.name, step.detail));
        }
        let word = if live { "is live" } else { "is not live" };
        text.push_str(&format!("\n{} {word} in {}; {payload}", deployment.artifact.0, deployment.environment));
    }
    if let Some(failure) = &deployed.failure {
        json["failure"] = failure.json()["error"].clone();
        text.push_str(&format!(
            "\n{failure}\nhint: assay rollback {}",
            deployed.verdict.environment.as_deref().unwrap_or("ENV")
        ));
    }
    Report::of(live, json, text)
}

/// Which release `current` points at, and which process runs: what `env observe` looks at.
pub(crate) fn running(
    session: &Session<'_>,
    environment: &str,
    service: &str,
) -> Result<(Option<Digest>, Option<u32>)> {
    let directory = directory(session, environment, service);
    let pid = service::main_process(&directory)?;
    Ok((release::current(&directory), pid.map(|process| process.pid)))
}
