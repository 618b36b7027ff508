//! `tests-passed`: each suite passed, and no case went missing that passed for what is live now.
//!
//! ```toml
//! [[rules]]
//! rule = "tests-passed"
//! suites = ["unit", "pipeline"]
//! none_vanished = true                # the default
//! ```
//!
//! Of each suite and signer the newest outcome counts, and all of these must have passed. When nothing is live yet,
//! nothing can have vanished; when something is live whose tests are not known, nobody can tell.

use std::collections::BTreeSet;

use attest::predicate::{self, Predicate};
use attest::{Attestation, Claim};
use model::test::TestRun;
use model::verdict::{Fresh, Outcome, RuleResult};

use crate::evidence::{Case, Live, newest, signer};
use crate::params::{Parameter, Params};
use crate::rules::{Finding, count, first_few, named, quoted, short, subject};

/// The rule's name.
pub const NAME: &str = "tests-passed";

/// Its parameters.
pub const PARAMETERS: [Parameter; 2] = [
    Parameter { name: "suites", example: "suites = [\"unit\"]" },
    Parameter { name: "none_vanished", example: "none_vanished = true" },
];

/// Whether tests passed, and none went missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestsPassed {
    /// Names of the suites; at least one.
    pub suites: Vec<String>,
    /// Whether cases that passed for what is live must still be there.
    pub none_vanished: bool,
}

impl TestsPassed {
    pub(crate) fn parse(params: &mut Params<'_, '_, '_>) -> Option<TestsPassed> {
        let suites = params.texts("suites");
        let none_vanished = params.flag("none_vanished", true);
        Some(TestsPassed { suites: suites?, none_vanished: none_vanished? })
    }

    pub(crate) fn judge(&self, case: &Case<'_>) -> RuleResult {
        let mut used = Vec::new();
        let mut findings = Vec::new();
        for suite in &self.suites {
            let outcomes = newest_of(case.about(Predicate::Test), suite);
            findings.push(judge_suite(suite, &outcomes, case));
            used.extend(outcomes);
        }
        let passed: usize =
            used.iter().filter_map(|attestation| outcome(attestation)).map(|test| test.passed.len()).sum();
        let mut vanished = None;
        if self.none_vanished {
            let (finding, more) = self.judge_live(case, &used);
            used.extend(more);
            if finding.outcome == Outcome::Pass {
                vanished = Some(finding);
            } else {
                findings.push(finding);
            }
        }
        let finding = match Finding::worst(findings) {
            Some(worst) if worst.outcome != Outcome::Pass => worst,
            _ => self.all_passed(passed, vanished, case),
        };
        finding.result(NAME, &used, Fresh::Timeless)
    }

    fn all_passed(&self, passed: usize, vanished: Option<Finding>, case: &Case<'_>) -> Finding {
        let suites = quoted(&self.suites, "and");
        let cases = count(passed, "case", "cases");
        let live = vanished.map(|finding| format!("; {}", finding.found)).unwrap_or_default();
        Finding::pass(format!("{cases} of {suites} passed for {}{live}", subject(case)))
    }

    /// Compares with what is live; also returns what it looked at.
    fn judge_live<'a>(&self, case: &Case<'a>, used: &[&Attestation]) -> (Finding, Vec<&'a Attestation>) {
        let Some(live) = case.live else {
            return (Finding::pass("nothing is live yet, so none can have vanished"), Vec::new());
        };
        let mut looked_at = vec![&live.deployment];
        let Claim::Deployment(deployment) = live.deployment.claim() else {
            return (unclear(live), looked_at);
        };
        if !live.deployment.authorised() || !deployment.live {
            return (unclear(live), looked_at);
        }
        let digest = deployment.artifact.1;
        let before: Vec<&Attestation> = live
            .tests
            .iter()
            .filter(|test| test.authorised() && predicate::is_about(test.statement().value(), &[digest]))
            .collect();
        for suite in &self.suites {
            let outcomes = newest_of(before.clone(), suite);
            let was = passed(&outcomes);
            let now: BTreeSet<&str> = passed(&newest_of(used.to_vec(), suite));
            looked_at.extend(outcomes.iter().copied());
            if outcomes.is_empty() {
                let finding = Finding::unknown(
                    format!("{} is live, and no outcome of suite `{suite}` for it was found", short(&digest)),
                    format!("`assay test {digest}`"),
                );
                return (finding, looked_at);
            }
            let gone: Vec<&&str> = was.difference(&now).collect();
            if !gone.is_empty() {
                let finding = Finding::fail(
                    format!(
                        "of suite `{suite}`, {} passed for what is live ({}) and not here: {}",
                        count(gone.len(), "case", "cases"),
                        short(&digest),
                        first_few(&gone)
                    ),
                    "bring the missing cases back, then `assay build` and `assay test`",
                );
                return (finding, looked_at);
            }
        }
        (Finding::pass(format!("none vanished that passed for what is live ({})", short(&digest))), looked_at)
    }
}

fn unclear(live: &Live) -> Finding {
    Finding::unknown(
        format!("{} is not a live deployment by a deployer, so what is live is not known", named(&live.deployment)),
        "`assay deploy` again",
    )
}

fn judge_suite(suite: &str, outcomes: &[&Attestation], case: &Case<'_>) -> Finding {
    let refused = outcomes.iter().find_map(|attestation| {
        let test = outcome(attestation).filter(|test| !test.passed())?;
        Some((attestation, test))
    });
    match refused {
        Some((attestation, test)) => Finding::fail(
            format!("{} says that suite `{suite}` did not pass: {}", named(attestation), trouble(test)),
            "`assay test` shows the output of each case; repair it, then `assay build` and `assay test`",
        ),
        None if outcomes.is_empty() => Finding::unknown(
            format!(
                "no outcome of suite `{suite}` for {} was found{}",
                subject(case),
                case.passed_over(Predicate::Test)
            ),
            "`assay test`",
        ),
        None => Finding::pass(String::new()),
    }
}

fn trouble(test: &TestRun) -> String {
    match (test.failed.as_slice(), test.unstable.as_slice()) {
        ([], []) => "it has no case".to_owned(),
        (failed, []) => format!("{} failed", first_few(failed)),
        ([], unstable) => format!("{} passed one time and failed another", first_few(unstable)),
        (failed, unstable) => {
            format!("{} failed, {} passed one time and failed another", first_few(failed), first_few(unstable))
        }
    }
}

/// Returns the outcomes of a suite that count.
fn newest_of<'a>(tests: Vec<&'a Attestation>, suite: &str) -> Vec<&'a Attestation> {
    let of_suite = |attestation: &&Attestation| outcome(attestation).is_some_and(|test| test.suite == suite);
    newest(tests.into_iter().filter(of_suite).collect(), signer)
}

/// Returns the cases that one of the outcomes has as passed.
fn passed<'a>(outcomes: &[&'a Attestation]) -> BTreeSet<&'a str> {
    let all = outcomes.iter().filter_map(|attestation| outcome(attestation));
    all.flat_map(|test| test.passed.iter().map(String::as_str)).collect()
}

fn outcome(attestation: &Attestation) -> Option<&TestRun> {
    match attestation.claim() {
        Claim::Test(test) => Some(test),
        _ => None,
    }
}
