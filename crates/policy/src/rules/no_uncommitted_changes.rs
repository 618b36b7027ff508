//! `no-uncommitted-changes`: what was built is what was committed.
//!
//! ```toml
//! [[rules]]
//! rule = "no-uncommitted-changes"
//! ```

use attest::Attestation;
use attest::predicate::run::Run;
use model::verdict::RuleResult;

use crate::evidence::Case;
use crate::rules::{Finding, first_few, judge_runs, named};

/// The rule's name.
pub const NAME: &str = "no-uncommitted-changes";

/// Whether the work tree was what was committed. It has no parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoUncommittedChanges;

impl NoUncommittedChanges {
    pub(crate) fn judge(&self, case: &Case<'_>) -> RuleResult {
        judge_runs(NAME, case, judge_run)
    }
}

fn judge_run(attestation: &Attestation, run: &Run) -> Finding {
    let name = named(attestation);
    match &run.source.revision {
        None => Finding::fail(
            format!("{name} was made from files that are under no version control"),
            "`git init`, commit the project, then `assay build`",
        ),
        Some(revision) if !revision.dirty.is_empty() => Finding::fail(
            format!("{name} was made with changes that were not committed: {}", first_few(&revision.dirty)),
            "commit your changes, then `assay build`",
        ),
        Some(revision) => {
            let commit = revision.commit.get(..12).unwrap_or(&revision.commit);
            Finding::pass(format!("{name} was made from commit {commit} with no uncommitted change"))
        }
    }
}
