//! `signed-by`: recipe and run carry a signature of an identity that the policy names.
//!
//! ```toml
//! [[rules]]
//! rule = "signed-by"
//! identities = ["builder-*"]
//! predicates = ["recipe", "run"]      # the default
//! ```
//!
//! The run is the one that counts, and the recipe is the one that this run names, whoever signed that besides. Of other
//! statements the newest of each signer is looked at, and all must be by such an identity.

use std::collections::BTreeSet;

use attest::Attestation;
use attest::predicate::Predicate;
use model::verdict::{Fresh, Outcome, RuleResult};

use crate::evidence::{Case, newest, signer};
use crate::params::{Parameter, Params};
use crate::pattern::{self, Pattern};
use crate::rules::{Finding, command, named, quoted, subject};

/// The rule's name.
pub const NAME: &str = "signed-by";

/// Its parameters.
pub const PARAMETERS: [Parameter; 2] = [
    Parameter { name: "identities", example: "identities = [\"builder-*\"]" },
    Parameter { name: "predicates", example: "predicates = [\"recipe\", \"run\"]" },
];

/// The kinds of statements that can be asked for: those about artifacts.
const PREDICATES: [&str; 8] = ["recipe", "run", "rebuilt", "test", "reference", "verdict", "deployment", "publication"];

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// Patterns of identity names.
    pub identities: Vec<Pattern>,
    /// Kinds of statements that must be there, signed so.
    pub predicates: Vec<Predicate>,
}

impl SignedBy {
    pub(crate) fn parse(params: &mut Params<'_, '_, '_>) -> Option<SignedBy> {
        let identities = params.patterns("identities");
        let names = params.choices("predicates", &PREDICATES, &["recipe", "run"])?;
        let predicates = names.iter().filter_map(|name| Predicate::of_name(name)).collect();
        Some(SignedBy { identities: identities?, predicates })
    }

    pub(crate) fn judge(&self, case: &Case<'_>) -> RuleResult {
        let mut findings = Vec::new();
        let mut used = Vec::new();
        for predicate in &self.predicates {
            let (finding, statements) = self.judge_one(*predicate, case);
            findings.push(finding);
            used.extend(statements);
        }
        let passed = || {
            let kinds = quoted(self.predicates.iter().map(|predicate| predicate.name()), "and");
            let signers: BTreeSet<&str> = used.iter().map(|used| used.statement().identity()).collect();
            Finding::pass(format!("statements {kinds} of {} are signed by {}", subject(case), quoted(signers, "and")))
        };
        let finding = match Finding::worst(findings) {
            Some(worst) if worst.outcome != Outcome::Pass => worst,
            _ => passed(),
        };
        finding.result(NAME, &used, Fresh::Timeless)
    }

    fn judge_one<'a>(&self, predicate: Predicate, case: &Case<'a>) -> (Finding, Vec<&'a Attestation>) {
        match predicate {
            Predicate::Run => self.all_match(predicate, case, case.runs().into_iter().map(|(run, _)| run).collect()),
            Predicate::Recipe => self.recipe(case),
            other => self.all_match(other, case, newest(case.about(other), signer)),
        }
    }

    fn all_match<'a>(
        &self,
        predicate: Predicate,
        case: &Case<'a>,
        statements: Vec<&'a Attestation>,
    ) -> (Finding, Vec<&'a Attestation>) {
        let finding = match statements.iter().find(|statement| !self.accepts(statement)) {
            Some(wrong) => self.refuse(wrong),
            None if statements.is_empty() => self.nothing(predicate, case),
            None => Finding::pass(String::new()),
        };
        (finding, statements)
    }

    /// The recipe that the run names is the same bytes whoever signed it, so one accepted signature is enough.
    fn recipe<'a>(&self, case: &Case<'a>) -> (Finding, Vec<&'a Attestation>) {
        let recipes = case.about(Predicate::Recipe);
        let runs = case.runs();
        if runs.is_empty() {
            return self.one_matches(case, recipes);
        }
        let mut findings = Vec::new();
        let mut used = Vec::new();
        for (attestation, run) in runs {
            used.push(attestation);
            let named = recipes.iter().copied().filter(|recipe| recipe.statement().payload() == &run.recipe);
            let (finding, statements) = self.one_matches(case, named.collect());
            findings.push(finding);
            used.extend(statements);
        }
        (Finding::worst(findings).unwrap_or_else(|| self.nothing(Predicate::Recipe, case)), used)
    }

    fn one_matches<'a>(&self, case: &Case<'a>, statements: Vec<&'a Attestation>) -> (Finding, Vec<&'a Attestation>) {
        if let Some(good) = statements.iter().copied().find(|statement| self.accepts(statement)) {
            return (Finding::pass(String::new()), vec![good]);
        }
        match statements.first() {
            Some(wrong) => (self.refuse(wrong), statements),
            None => (self.nothing(Predicate::Recipe, case), statements),
        }
    }

    fn accepts(&self, attestation: &Attestation) -> bool {
        pattern::any(&self.identities, attestation.statement().identity())
    }

    fn refuse(&self, wrong: &Attestation) -> Finding {
        let identity = wrong.statement().identity();
        let command = wrong.claim().predicate().map_or("sign it", command);
        Finding::fail(
            format!("{} is signed by `{identity}`, which is not {}", named(wrong), pattern::list(&self.identities)),
            format!("{command} with a key that the policy names"),
        )
    }

    fn nothing(&self, predicate: Predicate, case: &Case<'_>) -> Finding {
        let passed_over = case.passed_over(predicate);
        Finding::unknown(
            format!("no {} statement about {} was found{passed_over}", predicate.name(), subject(case)),
            command(predicate),
        )
    }
}
