//! An observation: what was seen to run in an environment, beside what should.
//!
//! Format: `docs/formats/observation.md`, version 1. Subjects are `SERVICE#expected` and, when anything ran,
//! `SERVICE#observed`.

use model::deployment::Observation;
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
    expected: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<ProcessBody>,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct ProcessBody {
    pid: u32,
    executable: String,
}

/// Returns the statement of an observation.
pub fn statement(observation: &Observation) -> Statement {
    let process = observation.process.as_ref();
    let body = Body {
        version: VERSION,
        environment: observation.environment.clone(),
        service: observation.service.clone(),
        expected: observation.expected,
        observed: observation.observed,
        process: process.map(|(pid, executable)| ProcessBody { pid: *pid, executable: executable.clone() }),
        at: observation.at,
    };
    write(Predicate::Observation, subjects(observation), &body)
}

/// Reads an observation back.
pub(crate) fn parse(statement: &Statement) -> Result<Observation, ClaimError> {
    let body: Body = read(Predicate::Observation, &statement.predicate)?;
    let observation = Observation {
        environment: body.environment,
        service: body.service,
        expected: body.expected,
        observed: body.observed,
        process: body.process.map(|process| (process.pid, process.executable)),
        at: body.at,
    };
    agree(Predicate::Observation, statement, &subjects(&observation))?;
    Ok(observation)
}

fn subjects(observation: &Observation) -> Vec<ResourceDescriptor> {
    let named =
        |part: &str, digest: &Digest| ResourceDescriptor::named(&format!("{}#{part}", observation.service), digest);
    let mut subjects = vec![named("expected", &observation.expected)];
    subjects.extend(observation.observed.iter().map(|digest| named("observed", digest)));
    subjects
}
