//! `reference-digest`: records of what the artifact's digest should be agree with it.
//!
//! ```toml
//! [[rules]]
//! rule = "reference-digest"
//! required = true                     # the default
//! ```
//!
//! Two kinds of record are looked at. An earlier build: a recipe with the same project, source, spec, lock and plan must
//! have given this artifact the same digest; another run of the very same recipe agrees. And reference statements for
//! the artifact's name (and commit, where they name one): of each signer the newest counts. One record that disagrees
//! refuses. When there is none, the result is unknown, or with `required = false` a pass that says so.

use attest::predicate::Predicate;
use attest::predicate::reference::Reference;
use attest::predicate::run::Run;
use attest::{Attestation, Claim};
use model::recipe::{Artifact, Recipe};
use model::verdict::{Fresh, RuleResult};
use wire::digest::Digest;

use crate::evidence::{Case, newest, signer};
use crate::params::{Parameter, Params};
use crate::rules::{Finding, named, no_run, short, subject};

/// The rule's name.
pub const NAME: &str = "reference-digest";

/// Its parameters.
pub const PARAMETERS: [Parameter; 1] = [Parameter { name: "required", example: "required = true" }];

/// Whether reference records agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceDigest {
    /// Whether there must be a record.
    pub required: bool,
}

impl ReferenceDigest {
    pub(crate) fn parse(params: &mut Params<'_, '_, '_>) -> Option<ReferenceDigest> {
        Some(ReferenceDigest { required: params.flag("required", true)? })
    }

    pub(crate) fn judge(&self, case: &Case<'_>) -> RuleResult {
        let mut used = Vec::new();
        let findings: Vec<Finding> = case
            .runs()
            .into_iter()
            .map(|(attestation, run)| self.judge_run(attestation, run, case, &mut used))
            .collect();
        let finding = Finding::worst(findings).unwrap_or_else(|| no_run(case));
        finding.result(NAME, &used, Fresh::Timeless)
    }

    fn judge_run<'a>(
        &self,
        attestation: &'a Attestation,
        run: &Run,
        case: &Case<'a>,
        used: &mut Vec<&'a Attestation>,
    ) -> Finding {
        used.push(attestation);
        let recipes = recipes(case);
        let own = recipes.iter().find(|(recipe, _)| recipe.statement().payload() == &run.recipe);
        let Some((own, recipe)) = own else {
            return Finding::unknown(
                format!("the recipe that {} names was not found", named(attestation)),
                "`assay build`, or `assay pull` the artifact with all its statements",
            );
        };
        used.push(own);
        let Some(output) = recipe.outputs.iter().find(|output| case.subject.digests.contains(&output.digest)) else {
            return Finding::fail(
                format!("{} does not name {} among its outputs", named(own), subject(case)),
                "`assay build`",
            );
        };
        let mut agreeing = Vec::new();
        for (other, earlier) in recipes.iter().filter(|(_, earlier)| same_build(earlier, recipe)) {
            if !agrees(earlier, output) {
                used.push(other);
                return disagreement(other, earlier, output);
            }
        }
        agreeing.extend(other_runs(case, attestation, run));
        for (statement, reference) in references(case, &output.name, run) {
            if !case.subject.digests.contains(&reference.digest) {
                used.push(statement);
                return Finding::fail(
                    format!(
                        "{} says {} should be {}, as {} has it",
                        named(statement),
                        subject(case),
                        short(&reference.digest),
                        reference.origin
                    ),
                    "find out which of the two is right; `assay reference add` records the right one",
                );
            }
            agreeing.push(statement);
        }
        used.extend(agreeing.iter().copied());
        self.weigh(&agreeing, case)
    }

    fn weigh(&self, agreeing: &[&Attestation], case: &Case<'_>) -> Finding {
        match agreeing {
            [] if self.required => Finding::unknown(
                format!("no earlier build and no reference record of {} was found", subject(case)),
                "`assay build --again`, or `assay reference add`",
            ),
            [] => Finding::pass(format!(
                "no earlier build and no reference record of {} was found, and none is required",
                subject(case)
            )),
            [only] => Finding::pass(format!("{} agrees with {}", named(only), subject(case))),
            [first, others @ ..] => {
                Finding::pass(format!("{} and {} more agree with {}", named(first), others.len(), subject(case)))
            }
        }
    }
}

fn recipes<'a>(case: &Case<'a>) -> Vec<(&'a Attestation, &'a Recipe)> {
    let typed = |attestation: &'a Attestation| match attestation.claim() {
        Claim::Recipe(recipe) => Some((attestation, recipe)),
        _ => None,
    };
    case.all(Predicate::Recipe).into_iter().filter_map(typed).collect()
}

fn same_build(one: &Recipe, other: &Recipe) -> bool {
    let key = |recipe: &Recipe| (recipe.source, recipe.spec, recipe.lock, recipe.plan);
    one.project == other.project && key(one) == key(other)
}

fn agrees(earlier: &Recipe, output: &Artifact) -> bool {
    earlier.outputs.iter().any(|other| other.name == output.name && other.digest == output.digest)
}

fn disagreement(other: &Attestation, earlier: &Recipe, output: &Artifact) -> Finding {
    let digest = earlier.outputs.iter().find(|made| made.name == output.name).map(|made| made.digest);
    let made = digest.as_ref().map_or("nothing".to_owned(), |digest: &Digest| short(digest));
    Finding::fail(
        format!("{} is of the same build and made {made} where this is {}", named(other), short(&output.digest)),
        "`assay diff` the two, remove the cause, then `assay build --again`",
    )
}

/// Returns the other runs of the same recipe: each made the same outputs.
fn other_runs<'a>(case: &Case<'a>, own: &Attestation, run: &Run) -> Vec<&'a Attestation> {
    let other = |attestation: &&Attestation| match attestation.claim() {
        Claim::Run(other) => {
            attestation.statement().payload() != own.statement().payload()
                && other.recipe == run.recipe
                && other.id != run.id
        }
        _ => false,
    };
    case.about(Predicate::Run).into_iter().filter(other).collect()
}

fn references<'a>(case: &Case<'a>, name: &str, run: &Run) -> Vec<(&'a Attestation, &'a Reference)> {
    let commit = run.source.revision.as_ref().map(|revision| revision.commit.as_str());
    let typed = |attestation: &'a Attestation| match attestation.claim() {
        Claim::Reference(reference) => Some((attestation, reference)),
        _ => None,
    };
    let applies = |attestation: &&'a Attestation| {
        typed(attestation).is_some_and(|(_, reference)| {
            reference.artifact == name && (reference.commit.is_none() || reference.commit.as_deref() == commit)
        })
    };
    newest(case.all(Predicate::Reference).into_iter().filter(applies).collect(), signer)
        .into_iter()
        .filter_map(typed)
        .collect()
}
