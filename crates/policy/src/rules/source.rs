//! `source`: the run that counts was made from this repository and one of these branches.
//!
//! ```toml
//! [[rules]]
//! rule = "source"
//! repository = "https://git.example.org/greeter"
//! branches = ["main", "release/*"]
//! ```

use attest::Attestation;
use attest::predicate::run::Run;
use model::source::Revision;
use model::verdict::RuleResult;

use crate::evidence::Case;
use crate::params::{Parameter, Params};
use crate::pattern::{self, Pattern};
use crate::rules::{Finding, judge_runs, named};

/// The rule's name.
pub const NAME: &str = "source";

/// Its parameters.
pub const PARAMETERS: [Parameter; 2] = [
    Parameter { name: "repository", example: "repository = \"https://git.example.org/greeter\"" },
    Parameter { name: "branches", example: "branches = [\"main\"]" },
];

/// Where the source came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Pattern of the repository's URL.
    pub repository: Pattern,
    /// Patterns of branches.
    pub branches: Vec<Pattern>,
}

impl Source {
    pub(crate) fn parse(params: &mut Params<'_, '_, '_>) -> Option<Source> {
        let repository = params.pattern("repository");
        let branches = params.patterns("branches");
        Some(Source { repository: repository?, branches: branches? })
    }

    pub(crate) fn judge(&self, case: &Case<'_>) -> RuleResult {
        judge_runs(NAME, case, |attestation, run| self.judge_run(attestation, run))
    }

    fn judge_run(&self, attestation: &Attestation, run: &Run) -> Finding {
        let name = named(attestation);
        match &run.source.revision {
            Some(revision) => self.judge_revision(&name, revision),
            None => Finding::fail(
                format!("{name} was made from files that are under no version control"),
                "commit the project to the repository that the policy names, then `assay build`",
            ),
        }
    }

    fn judge_revision(&self, name: &str, revision: &Revision) -> Finding {
        let Revision { repository, commit, origin, .. } = revision;
        let commit = commit.get(..12).unwrap_or(commit);
        if !self.repository.matches(repository) {
            return Finding::fail(
                format!("{name} was made from repository `{repository}`, not `{}`", self.repository.as_str()),
                format!("clone `{}` and `assay build` there", self.repository.as_str()),
            );
        }
        let allowed = pattern::list(&self.branches);
        match &revision.branch {
            Some(branch) if pattern::any(&self.branches, branch) => Finding::pass(format!(
                "{name} was made from commit {commit} on branch `{branch}` of `{repository}`, as {origin} says"
            )),
            Some(branch) => Finding::fail(
                format!("{name} was made from branch `{branch}` of `{repository}`, not {allowed}"),
                format!("bring commit {commit} to {allowed}, then `assay build` there"),
            ),
            None => Finding::fail(
                format!("{name} was made from commit {commit} of `{repository}` on no branch"),
                format!("`git switch` to {allowed}, then `assay build`"),
            ),
        }
    }
}
