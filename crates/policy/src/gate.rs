//! Judging: every rule of a policy in turn, or the fixed checks of `assay verify`.

use std::collections::BTreeSet;

use attest::predicate::Predicate;
use attest::{Attestation, Claim};
use model::verdict::{BuildLevel, Fresh, Outcome, PolicyName, RuleResult, Verdict};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::evidence::{Case, Evidence};
use crate::policy::Policy;
use crate::rules::{Finding, Rule, logged, short};

/// What [`integrity`] checks, in words; its digest names it in a verdict.
pub const INTEGRITY: &str = "assay verify 1\n\
    signatures: every statement found about the artifact carries a good signature by an accepted identity\n\
    signers: each has the role that its statement takes, and there is a recipe and a run\n\
    logged: a transparency log that is accepted holds each of them\n";

/// Judges evidence by a policy. The same arguments give an equal verdict, and equal bytes of its statement.
pub fn gate(policy: &Policy, evidence: &Evidence, environment: &str, now: Timestamp) -> Verdict {
    let case = Case::new(evidence, now);
    let judged: Vec<Option<RuleResult>> = policy.rules().iter().map(|rule| rule.judge(&case)).collect();
    let used: BTreeSet<Digest> = judged.iter().flatten().flat_map(|result| result.evidence.iter().copied()).collect();
    let last = |(rule, result): (&Rule, Option<RuleResult>)| result.or_else(|| rule.judge_last(&case, &used));
    let rules: Vec<RuleResult> = policy.rules().iter().zip(judged).filter_map(last).collect();
    assert_eq!(rules.len(), policy.rules().len(), "every rule is judged, first or last");
    Verdict {
        result: Verdict::worst(&rules),
        level: level(&case, &rules),
        policy: PolicyName { name: policy.name().to_owned(), digest: *policy.digest() },
        subject: evidence.subject.clone(),
        environment: (!environment.is_empty()).then(|| environment.to_owned()),
        rules,
        at: now,
    }
}

/// Judges integrity and authorship alone, by no policy: what `assay verify` says.
pub fn integrity(evidence: &Evidence, now: Timestamp) -> Verdict {
    let case = Case::new(evidence, now);
    let rules = vec![signatures(evidence, &case), signers(&case), logged::judge_all(&case)];
    Verdict {
        result: Verdict::worst(&rules),
        level: level(&case, &rules),
        policy: PolicyName { name: "integrity".to_owned(), digest: Digest::of(INTEGRITY.as_bytes()) },
        subject: evidence.subject.clone(),
        environment: None,
        rules,
        at: now,
    }
}

/// A build level is claimed only when provenance was among what let the artifact pass.
fn level(case: &Case<'_>, rules: &[RuleResult]) -> BuildLevel {
    let passed =
        |payload: &Digest| rules.iter().any(|rule| rule.result == Outcome::Pass && rule.evidence.contains(payload));
    match case.runs().iter().any(|(attestation, _)| passed(attestation.statement().payload())) {
        true => BuildLevel::One,
        false => BuildLevel::Unevaluated,
    }
}

fn signatures(evidence: &Evidence, case: &Case<'_>) -> RuleResult {
    let found = case.found();
    let count = found.len();
    let finding = match evidence.refused.as_slice() {
        [] if count == 0 => Finding::unknown("no statement about it was found", "`assay build`, or `assay pull` it"),
        [] => Finding::pass(format!(
            "every statement found, {count} in all, carries a good signature of an accepted identity"
        )),
        [first, ..] => {
            let number = evidence.refused.len();
            Finding::fail(
                format!(
                    "{number} of {} stored statements cannot be relied on: {}: {}",
                    count + number,
                    first.what,
                    first.reason
                ),
                "`assay admin fsck` names damaged files; a signer that should count belongs in trust.json",
            )
        }
    };
    finding.result("signatures", &found, Fresh::Timeless)
}

fn signers(case: &Case<'_>) -> RuleResult {
    let found = case.found();
    let finding = if let Some(attestation) = found.iter().find(|attestation| !attestation.authorised()) {
        let signed = attestation.statement();
        let predicate = attestation.claim().predicate().map_or("statement", Predicate::name);
        let role = attestation.claim().predicate().map_or("", |predicate| predicate.role().name());
        Finding::fail(
            format!(
                "{predicate} {} is signed by `{}`, which has not the role `{role}`",
                short(signed.payload()),
                signed.identity()
            ),
            "give that identity the role in trust.json, or have the statement made by one that has it",
        )
    } else {
        let missing = [Predicate::Recipe, Predicate::Run].into_iter().find(|wanted| case.about(*wanted).is_empty());
        match missing {
            Some(predicate) => Finding::unknown(
                format!("no {} statement about {} was found", predicate.name(), case.subject.name),
                "`assay build`",
            ),
            None => Finding::pass(names(&found)),
        }
    };
    finding.result("signers", &found, Fresh::Timeless)
}

fn names(attestations: &[&Attestation]) -> String {
    let judged = attestations.iter().filter(|attestation| !matches!(attestation.claim(), Claim::Other));
    let signers: BTreeSet<&str> = judged.map(|attestation| attestation.statement().identity()).collect();
    format!("every statement is signed by one who may say it: {}", crate::rules::quoted(signers, "and"))
}
