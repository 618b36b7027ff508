//! The rules: a closed set, one file for each.
//!
//! A rule reads its parameters, looks at a `Case` and says what it looked for, what it found and what would help. It
//! never looks at another rule, but for [`logged`] and [`witnessed`], which are judged last over all that the others used.

pub mod age;

pub mod complete_hermetic_build;

pub mod logged;

pub mod no_uncommitted_changes;

pub mod rebuilt;

pub mod reference_digest;

pub mod signed_by;

pub mod source;

pub mod tests_passed;

pub mod witnessed;

use std::collections::BTreeSet;

use attest::Attestation;
use attest::predicate::Predicate;
use attest::predicate::run::Run;
use model::verdict::{Fresh, Outcome, RuleResult};
use toml::de::DeTable;
use wire::digest::Digest;

use crate::evidence::Case;
use crate::params::{Parameter, Params, Text};

/// A rule with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Who signed.
    SignedBy(signed_by::SignedBy),
    /// Whether a log holds what was used.
    Logged(logged::Logged),
    /// Whether witnesses have cosigned that log.
    Witnessed(witnessed::Witnessed),
    /// Whether the build could reach only what is pinned, and was seen whole.
    CompleteHermeticBuild(complete_hermetic_build::CompleteHermeticBuild),
    /// Where the source came from.
    Source(source::Source),
    /// Whether the work tree was what was committed.
    NoUncommittedChanges(no_uncommitted_changes::NoUncommittedChanges),
    /// Whether building again gave the same.
    Rebuilt(rebuilt::Rebuilt),
    /// Whether tests passed, and none went missing.
    TestsPassed(tests_passed::TestsPassed),
    /// How long ago it was built.
    Age(age::Age),
    /// Whether reference records agree.
    ReferenceDigest(reference_digest::ReferenceDigest),
}

/// The names of all rules.
pub const NAMES: [&str; 10] = [
    signed_by::NAME,
    logged::NAME,
    witnessed::NAME,
    complete_hermetic_build::NAME,
    source::NAME,
    no_uncommitted_changes::NAME,
    rebuilt::NAME,
    tests_passed::NAME,
    age::NAME,
    reference_digest::NAME,
];

/// Returns the parameters of a rule; none for a name that is no rule's.
pub fn parameters(name: &str) -> &'static [Parameter] {
    match name {
        signed_by::NAME => &signed_by::PARAMETERS,
        witnessed::NAME => &witnessed::PARAMETERS,
        complete_hermetic_build::NAME => &complete_hermetic_build::PARAMETERS,
        source::NAME => &source::PARAMETERS,
        rebuilt::NAME => &rebuilt::PARAMETERS,
        tests_passed::NAME => &tests_passed::PARAMETERS,
        age::NAME => &age::PARAMETERS,
        reference_digest::NAME => &reference_digest::PARAMETERS,
        _ => &[],
    }
}

impl Rule {
    /// Reads a rule whose table begins at `offset`; `None` when a problem was noted.
    pub(crate) fn parse(text: &mut Text<'_>, name: &'static str, offset: usize, table: &DeTable<'_>) -> Option<Rule> {
        let mut params = Params::new(text, name, parameters(name), offset, table);
        let params = &mut params;
        match name {
            signed_by::NAME => signed_by::SignedBy::parse(params).map(Rule::SignedBy),
            logged::NAME => Some(Rule::Logged(logged::Logged)),
            witnessed::NAME => witnessed::Witnessed::parse(params).map(Rule::Witnessed),
            complete_hermetic_build::NAME => {
                complete_hermetic_build::CompleteHermeticBuild::parse(params).map(Rule::CompleteHermeticBuild)
            }
            source::NAME => source::Source::parse(params).map(Rule::Source),
            no_uncommitted_changes::NAME => {
                Some(Rule::NoUncommittedChanges(no_uncommitted_changes::NoUncommittedChanges))
            }
            rebuilt::NAME => rebuilt::Rebuilt::parse(params).map(Rule::Rebuilt),
            tests_passed::NAME => tests_passed::TestsPassed::parse(params).map(Rule::TestsPassed),
            age::NAME => age::Age::parse(params).map(Rule::Age),
            reference_digest::NAME => reference_digest::ReferenceDigest::parse(params).map(Rule::ReferenceDigest),
            _ => None,
        }
    }

    /// Returns the rule's name.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::SignedBy(_) => signed_by::NAME,
            Rule::Logged(_) => logged::NAME,
            Rule::Witnessed(_) => witnessed::NAME,
            Rule::CompleteHermeticBuild(_) => complete_hermetic_build::NAME,
            Rule::Source(_) => source::NAME,
            Rule::NoUncommittedChanges(_) => no_uncommitted_changes::NAME,
            Rule::Rebuilt(_) => rebuilt::NAME,
            Rule::TestsPassed(_) => tests_passed::NAME,
            Rule::Age(_) => age::NAME,
            Rule::ReferenceDigest(_) => reference_digest::NAME,
        }
    }

    /// Judges a case; `None` for the rules that are judged last, by [`Rule::judge_last`].
    pub(crate) fn judge(&self, case: &Case<'_>) -> Option<RuleResult> {
        Some(match self {
            Rule::SignedBy(rule) => rule.judge(case),
            Rule::Logged(_) | Rule::Witnessed(_) => return None,
            Rule::CompleteHermeticBuild(rule) => rule.judge(case),
            Rule::Source(rule) => rule.judge(case),
            Rule::NoUncommittedChanges(rule) => rule.judge(case),
            Rule::Rebuilt(rule) => rule.judge(case),
            Rule::TestsPassed(rule) => rule.judge(case),
            Rule::Age(rule) => rule.judge(case),
            Rule::ReferenceDigest(rule) => rule.judge(case),
        })
    }

    /// Judges what the other rules used; `None` for those that were judged already.
    pub(crate) fn judge_last(&self, case: &Case<'_>, used: &BTreeSet<Digest>) -> Option<RuleResult> {
        match self {
            Rule::Logged(_) => Some(logged::judge(case, used)),
            Rule::Witnessed(rule) => Some(rule.judge(case, used)),
            _ => None,
        }
    }
}

/// What a rule found, before it is tied to its evidence.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) outcome: Outcome,
    pub(crate) found: String,
    fix: Option<String>,
}

impl Finding {
    pub(crate) fn pass(found: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Pass, found: found.into(), fix: None }
    }

    pub(crate) fn unknown(found: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Unknown, found: found.into(), fix: Some(fix.into()) }
    }

    pub(crate) fn fail(found: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Fail, found: found.into(), fix: Some(fix.into()) }
    }

    /// Returns the worst of several findings: of equal ones the first.
    pub(crate) fn worst(findings: Vec<Finding>) -> Option<Finding> {
        findings.into_iter().reduce(|worst, next| if next.outcome > worst.outcome { next } else { worst })
    }

    pub(crate) fn result(self, name: &str, used: &[&Attestation], fresh: Fresh) -> RuleResult {
        let evidence: BTreeSet<Digest> = used.iter().map(|attestation| *attestation.statement().payload()).collect();
        RuleResult {
            name: name.to_owned(),
            result: self.outcome,
            found: self.found,
            evidence: evidence.into_iter().collect(),
            fix: self.fix,
            fresh,
        }
    }
}

/// Judges the run that counts; unknown when there is none.
pub(crate) fn judge_runs(name: &str, case: &Case<'_>, judge: impl Fn(&Attestation, &Run) -> Finding) -> RuleResult {
    let runs = case.runs();
    let findings = runs.iter().map(|(attestation, run)| judge(attestation, run)).collect();
    let used: Vec<&Attestation> = runs.iter().map(|(attestation, _)| *attestation).collect();
    Finding::worst(findings).unwrap_or_else(|| no_run(case)).result(name, &used, Fresh::Timeless)
}

/// The finding of every rule about a run when there is none.
pub(crate) fn no_run(case: &Case<'_>) -> Finding {
    let passed_over = case.passed_over(Predicate::Run);
    Finding::unknown(format!("no run statement about {} was found{passed_over}", subject(case)), "`assay build`")
}

/// Names the subject in a sentence: `greeter (9f86d081884c)`.
pub(crate) fn subject(case: &Case<'_>) -> String {
    match case.subject.digests.first() {
        Some(digest) => format!("{} ({})", case.subject.name, short(digest)),
        None => case.subject.name.clone(),
    }
}

/// The start of a digest, for sentences; the whole stands in `evidence`.
pub(crate) fn short(digest: &Digest) -> String {
    digest.short()
}

/// Names a statement in a sentence: `run 9f86d081884c`.
pub(crate) fn named(attestation: &Attestation) -> String {
    let kind = attestation.claim().predicate().map_or("statement", Predicate::name);
    format!("{kind} {}", short(attestation.statement().payload()))
}

/// Puts texts into a sentence: `` `a`, `b` and `c` ``.
pub(crate) fn quoted<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, last: &str) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| format!("`{}`", text.as_ref())).collect();
    match texts.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [init @ .., end] => format!("{} {last} {end}", init.join(", ")),
    }
}

/// Counts things in a sentence: `1 case`, `2 cases`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How many of a list a sentence names.
pub(crate) const SHOWN: usize = 3;

/// Returns the command that makes a statement of a kind.
pub(crate) fn command(predicate: Predicate) -> &'static str {
    match predicate {
        Predicate::Rebuilt => "`assay build --again`",
        Predicate::Test => "`assay test`",
        Predicate::Reference => "`assay reference add`",
        Predicate::Verdict => "`assay gate --record`",
        Predicate::Deployment => "`assay deploy`",
        Predicate::Publication => "`assay push`",
        _ => "`assay build`",
    }
}

/// Names the first few of a list: `` `a`, `b`, `c` and 4 more ``.
pub(crate) fn first_few<T: AsRef<str>>(texts: &[T]) -> String {
    let shown: Vec<String> = texts.iter().take(SHOWN).map(|text| format!("`{}`", text.as_ref())).collect();
    match texts.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
