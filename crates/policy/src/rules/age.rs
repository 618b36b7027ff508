//! `age`: the run that counts ended no longer ago than this, by the builder's clock.
//!
//! ```toml
//! [[rules]]
//! rule = "age"
//! max_days = 90
//! ```
//!
//! A run that ended in the future tells that a clock is wrong, not which: unknown. The one rule that time undoes, so
//! its result says for how many seconds it holds.

use attest::Attestation;
use attest::predicate::run::Run;
use model::verdict::{Fresh, Outcome, RuleResult};
use wire::timestamp::Timestamp;

use crate::evidence::Case;
use crate::params::{Parameter, Params};
use crate::rules::{Finding, count, judge_runs, named};

/// The rule's name.
pub const NAME: &str = "age";

/// Its parameters.
pub const PARAMETERS: [Parameter; 1] = [Parameter { name: "max_days", example: "max_days = 90" }];

/// The longest time that can be asked for: a hundred years.
const DAYS_MAX: u32 = 36_525;

const DAY_S: i64 = 86_400;

/// How long ago it was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// How many days it may be old.
    pub max_days: u32,
}

impl Age {
    pub(crate) fn parse(params: &mut Params<'_, '_, '_>) -> Option<Age> {
        Some(Age { max_days: params.number("max_days", 1..=DAYS_MAX)? })
    }

    pub(crate) fn judge(&self, case: &Case<'_>) -> RuleResult {
        let result = judge_runs(NAME, case, |attestation, run| self.judge_run(attestation, run, case.now));
        RuleResult { fresh: self.fresh(result.result, case), ..result }
    }

    fn judge_run(&self, attestation: &Attestation, run: &Run, now: Timestamp) -> Finding {
        let name = named(attestation);
        let age_s = now.unix_s() - run.finished.unix_s();
        let finished = run.finished;
        if age_s < 0 {
            return Finding::unknown(
                format!("{name} ended at {finished} by the builder's clock, and here it is {now}"),
                "set the clock that is wrong; if it was the builder's, `assay build`",
            );
        }
        let days = count(usize::try_from(age_s / DAY_S).unwrap_or_default(), "day", "days");
        if age_s > self.max_s() {
            return Finding::fail(
                format!("{name} ended at {finished}, {days} ago: more than {}", self.max_days),
                "`assay build`",
            );
        }
        Finding::pass(format!("{name} ended at {finished}, {days} ago: no more than {}", self.max_days))
    }

    fn max_s(&self) -> i64 {
        i64::from(self.max_days) * DAY_S
    }

    /// A pass holds until the oldest run is too old; unknown until the clock has caught up; too old stays so.
    fn fresh(&self, outcome: Outcome, case: &Case<'_>) -> Fresh {
        let ends: Vec<i64> = case.runs().iter().map(|(_, run)| run.finished.unix_s()).collect();
        let now = case.now.unix_s();
        let until = match outcome {
            Outcome::Pass => ends.iter().min().map(|end| end + self.max_s() - now),
            Outcome::Unknown => ends.iter().max().map(|end| end - now),
            Outcome::Fail => None,
        };
        until.and_then(|seconds| u64::try_from(seconds).ok()).map_or(Fresh::Timeless, Fresh::Seconds)
    }
}
