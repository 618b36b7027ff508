//! `rebuilt`: one machine ran a recipe several times, and the outputs were equal or not.
//!
//! Format: `docs/formats/rebuilt.md`, version 1. This is never called *reproduced*: that takes another operator, another
//! key and another machine.

use model::recipe::Artifact;
use model::run::Rebuilt;
use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, output_subjects, read, write};

#[derive(Serialize, Deserialize)]
struct Body {
    version: u32,
    recipe: Digest,
    runs: Vec<Digest>,
    equal: bool,
    differences: Vec<Difference>,
}

#[derive(Serialize, Deserialize)]
struct Difference {
    name: String,
    digests: Vec<Digest>,
}

/// Returns the statement of a comparison.
///
/// Its subjects are the outputs of the first run and every other digest that an output had in another run, so that an
/// unequal outcome is found from either side.
pub fn statement(rebuilt: &Rebuilt, outputs: &[Artifact]) -> Statement {
    let mut subjects = output_subjects(outputs);
    for (name, digests) in &rebuilt.differences {
        for digest in digests {
            let subject = ResourceDescriptor::named(name, digest);
            if subjects.iter().all(|known| known.digest != subject.digest) {
                subjects.push(subject);
            }
        }
    }
    let differences = rebuilt
        .differences
        .iter()
        .map(|(name, digests)| Difference { name: name.clone(), digests: digests.clone() })
        .collect();
    let body = Body {
        version: VERSION,
        recipe: rebuilt.recipe,
        runs: rebuilt.runs.clone(),
        equal: rebuilt.equal,
        differences,
    };
    write(Predicate::Rebuilt, subjects, &body)
}

/// Reads a comparison back. One that calls itself equal and lists differences is refused.
pub(crate) fn parse(statement: &Statement) -> Result<Rebuilt, ClaimError> {
    let body: Body = read(Predicate::Rebuilt, &statement.predicate)?;
    if body.equal && !body.differences.is_empty() {
        return Err(ClaimError::value(Predicate::Rebuilt, "equal", "true", "`false`, as `differences` is not empty"));
    }
    Ok(Rebuilt {
        recipe: body.recipe,
        runs: body.runs,
        equal: body.equal,
        differences: body.differences.into_iter().map(|difference| (difference.name, difference.digests)).collect(),
    })
}
