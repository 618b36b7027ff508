//! `rebuilt`: building several times from the lock gave the same digest.
//!
//! ```toml
//! [[rules]]
//! rule = "rebuilt"
//! times = 2
//! ```
//!
//! Of each signer the newest comparison counts; one that is not equal refuses whatever others say.

use std::collections::BTreeSet;

use attest::predicate::Predicate;
use attest::{Attestation, Claim};
use model::verdict::{Fresh, RuleResult};
use wire::digest::Digest;

use crate::evidence::{Case, newest, signer};
use crate::params::{Parameter, Params};
use crate::rules::{Finding, first_few, named, subject};

/// The rule's name.
pub const NAME: &str = "rebuilt";

/// Its parameters.
pub const PARAMETERS: [Parameter; 1] = [Parameter { name: "times", example: "times = 2" }];

/// The most builds that can be asked for.
const TIMES_MAX: u32 = 100;

/// Whether building again gave the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many builds must have been equal, the first among them.
    pub times: u32,
}

impl Rebuilt {
    pub(crate) fn parse(params: &mut Params<'_, '_, '_>) -> Option<Rebuilt> {
        Some(Rebuilt { times: params.number("times", 2..=TIMES_MAX)? })
    }

    pub(crate) fn judge(&self, case: &Case<'_>) -> RuleResult {
        let used = newest(case.about(Predicate::Rebuilt), signer);
        let finding = self.find(case, &used);
        finding.result(NAME, &used, Fresh::Timeless)
    }

    fn find(&self, case: &Case<'_>, used: &[&Attestation]) -> Finding {
        let comparisons: Vec<(&Attestation, &model::run::Rebuilt)> =
            used.iter().filter_map(|attestation| comparison(attestation)).collect();
        if let Some((attestation, rebuilt)) = comparisons.iter().find(|(_, rebuilt)| !rebuilt.equal) {
            let names: Vec<&str> = rebuilt.differences.iter().map(|(name, _)| name.as_str()).collect();
            return Finding::fail(
                format!(
                    "{} compared {} builds and they differ in {}",
                    named(attestation),
                    rebuilt.runs.len(),
                    first_few(&names)
                ),
                "`assay diff` the two outputs, remove the cause, then `assay build --again`",
            );
        }
        let most = comparisons.iter().map(|(attestation, rebuilt)| (distinct(rebuilt), attestation));
        match most.max_by_key(|(times, _)| *times) {
            Some((times, attestation)) if times >= self.times as usize => Finding::pass(format!(
                "{} compared {times} builds of {} and they are equal",
                named(attestation),
                subject(case)
            )),
            Some((times, attestation)) => Finding::fail(
                format!("{} compared {times} builds, {} are asked for", named(attestation), self.times),
                "`assay build --again`",
            ),
            None => Finding::unknown(
                format!(
                    "no comparison with a second build of {} was found{}",
                    subject(case),
                    case.passed_over(Predicate::Rebuilt)
                ),
                "`assay build --again`",
            ),
        }
    }
}

/// Counts runs, each once: a statement that names one run twice compared nothing.
fn distinct(rebuilt: &model::run::Rebuilt) -> usize {
    rebuilt.runs.iter().collect::<BTreeSet<&Digest>>().len()
}

fn comparison(attestation: &Attestation) -> Option<(&Attestation, &model::run::Rebuilt)> {
    match attestation.claim() {
        Claim::Rebuilt(rebuilt) => Some((attestation, rebuilt)),
        _ => None,
    }
}
