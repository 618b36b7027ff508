//! `logged`: a transparency log holds every statement that the other rules used.
//!
//! ```toml
//! [[rules]]
//! rule = "logged"
//! ```
//!
//! It is judged last, over recipe and run and all that any other rule of the policy names as evidence. That proof and
//! checkpoint are good was settled when the bundle was opened; there is no logged statement for which they are not.

use std::collections::{BTreeMap, BTreeSet};

use attest::Attestation;
use attest::predicate::Predicate;
use model::verdict::{Fresh, RuleResult};
use wire::digest::Digest;

use crate::evidence::Case;
use crate::rules::{Finding, count, named, subject};

/// The rule's name.
pub const NAME: &str = "logged";

/// Whether a log holds what was used. It has no parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged;

/// How many entries a sentence names.
const SHOWN: usize = 8;

/// Judges all that the other rules used.
pub(crate) fn judge(case: &Case<'_>, used: &BTreeSet<Digest>) -> RuleResult {
    let statements = self::used(case, used);
    let finding = match statements.as_slice() {
        [] => nothing(case),
        found => found_in(found),
    };
    finding.result(NAME, &statements, Fresh::Timeless)
}

/// Returns the statements that this policy rests on: what its rules name, and recipe and run in any case.
pub(crate) fn used<'a>(case: &Case<'a>, used: &BTreeSet<Digest>) -> Vec<&'a Attestation> {
    let mut wanted = used.clone();
    for (run, claim) in case.runs() {
        wanted.insert(*run.statement().payload());
        wanted.insert(claim.recipe);
    }
    let mut statements = case.everything();
    statements.retain(|attestation| wanted.contains(attestation.statement().payload()));
    statements
}

/// The finding when there is none.
pub(crate) fn nothing(case: &Case<'_>) -> Finding {
    let found = format!("no statement about {} was found{}", subject(case), case.passed_over(Predicate::Run));
    Finding::unknown(found, "`assay build`")
}

/// Judges all statements that there are.
pub(crate) fn judge_all(case: &Case<'_>) -> RuleResult {
    let statements = case.found();
    let finding = match statements.as_slice() {
        [] => Finding::unknown("no statement was found", "`assay build`, or `assay pull` it"),
        found => found_in(found),
    };
    finding.result(NAME, &statements, Fresh::Timeless)
}

/// A payload counts as logged when one signed copy of it is.
fn found_in(statements: &[&Attestation]) -> Finding {
    let logged: BTreeSet<&Digest> = statements
        .iter()
        .filter(|attestation| attestation.logged().is_some())
        .map(|attestation| attestation.statement().payload())
        .collect();
    let mut places: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for entry in statements.iter().filter_map(|attestation| attestation.logged()) {
        places.entry(entry.origin()).or_default().insert(entry.index());
    }
    match statements.iter().find(|attestation| !logged.contains(attestation.statement().payload())) {
        Some(missing) => Finding::fail(
            format!("{} came without a proof that a log holds it", named(missing)),
            "`assay push` to a server that logs it, or make it again in a home with a log: `assay build`",
        ),
        None => Finding::pass(sentence(logged.len(), &places)),
    }
}

fn sentence(number: usize, places: &BTreeMap<&str, BTreeSet<u64>>) -> String {
    let place = |(origin, indexes): (&&str, &BTreeSet<u64>)| {
        let shown: Vec<String> = indexes.iter().take(SHOWN).map(u64::to_string).collect();
        let more = if indexes.len() > SHOWN { " and more" } else { "" };
        format!("log `{origin}` at {}{more}", shown.join(", "))
    };
    let places: Vec<String> = places.iter().map(place).collect();
    format!("{} in {}", count(number, "statement stands", "statements stand"), places.join("; "))
}
