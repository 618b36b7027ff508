//! A deployment: an artifact was brought to an environment, by which runbook steps, let by which verdict.
//!
//! Format: `docs/formats/deployment.md`, version 1.

use model::deployment::{Deployment, RunbookStep};
use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, agree, read, write};

#[derive(Serialize, Deserialize)]
struct Body {
    version: u32,
    environment: String,
    service: String,
    artifact: ArtifactBody,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Digest>,
    verdict: Digest,
    action: String,
    steps: Vec<StepBody>,
    live: bool,
    actor: String,
    started: Timestamp,
    finished: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct ArtifactBody {
    name: String,
    digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct StepBody {
    name: String,
    result: String,
    detail: String,
    finished: Timestamp,
}

/// What a deployment may call itself.
const ACTIONS: [&str; 2] = ["deploy", "rollback"];

/// What a runbook step may have come to.
const RESULTS: [&str; 3] = ["done", "failed", "done before"];

/// Returns the statement of a deployment.
pub fn statement(deployment: &Deployment) -> Statement {
    let (name, digest) = &deployment.artifact;
    let body = Body {
        version: VERSION,
        environment: deployment.environment.clone(),
        service: deployment.service.clone(),
        artifact: ArtifactBody { name: name.clone(), digest: *digest },
        previous: deployment.previous,
        verdict: deployment.verdict,
        action: deployment.action.clone(),
        steps: deployment.steps.iter().map(StepBody::of).collect(),
        live: deployment.live,
        actor: deployment.actor.clone(),
        started: deployment.started,
        finished: deployment.finished,
    };
    write(Predicate::Deployment, vec![ResourceDescriptor::named(name, digest)], &body)
}

/// Reads a deployment back.
pub(crate) fn parse(statement: &Statement) -> Result<Deployment, ClaimError> {
    let body: Body = read(Predicate::Deployment, &statement.predicate)?;
    if !ACTIONS.contains(&body.action.as_str()) {
        return Err(ClaimError::value(Predicate::Deployment, "action", &body.action, "`deploy` or `rollback`"));
    }
    if let Some(step) = body.steps.iter().find(|step| !RESULTS.contains(&step.result.as_str())) {
        let allowed = "`done`, `failed` or `done before`";
        return Err(ClaimError::value(Predicate::Deployment, "steps.result", &step.result, allowed));
    }
    agree(Predicate::Deployment, statement, &[ResourceDescriptor::named(&body.artifact.name, &body.artifact.digest)])?;
    Ok(Deployment {
        environment: body.environment,
        service: body.service,
        artifact: (body.artifact.name, body.artifact.digest),
        previous: body.previous,
        verdict: body.verdict,
        action: body.action,
        steps: body.steps.into_iter().map(StepBody::value).collect(),
        live: body.live,
        actor: body.actor,
        started: body.started,
        finished: body.finished,
    })
}

impl StepBody {
    fn of(step: &RunbookStep) -> StepBody {
        StepBody {
            name: step.name.clone(),
            result: step.result.clone(),
            detail: step.detail.clone(),
            finished: step.finished,
        }
    }

    fn value(self) -> RunbookStep {
        RunbookStep { name: self.name, result: self.result, detail: self.detail, finished: self.finished }
    }
}
