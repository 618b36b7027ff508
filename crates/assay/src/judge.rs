//! Gathering the evidence about an artifact, and judging it: what `verify`, `gate`, `deploy` and `rollback` share.

use std::collections::BTreeSet;
use std::fs;

use attest::predicate::Predicate;
use attest::predicate::policy::PolicyText;
use attest::{Attestation, Claim};
use model::verdict::{Outcome, RuleResult, Verdict};
use policy::{Evidence, Live, Policy};
use serde_json::{Value, json};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::error::{Context as _, Failure, Place, Result};
use crate::keys::KeyName;
use crate::machine;
use crate::project::Project;
use crate::resolve::Resolved;
use crate::session::Session;

/// Gathers all evidence about an artifact that is to go to `environment`.
pub(crate) fn evidence(
    session: &Session<'_>,
    resolved: &Resolved,
    environment: Option<(&str, &str)>,
) -> Result<Evidence> {
    let subject = resolved.subject();
    let mut found = session.about(&subject.digests)?;
    found.extend([session.recipes_named(&subject.name)?]);
    found.extend([session.references(&subject.name)?]);
    let mut seen = BTreeSet::new();
    found.attestations.retain(|attestation| seen.insert(*attestation.statement().envelope()));
    let live = match environment {
        Some((environment, service)) => live(session, environment, service)?,
        None => None,
    };
    Ok(Evidence { subject, attestations: found.attestations, live, refused: found.refused })
}

fn live(session: &Session<'_>, environment: &str, service: &str) -> Result<Option<Live>> {
    let Some(deployment) = session.newest_live(environment, service)? else { return Ok(None) };
    let Claim::Deployment(claim) = deployment.claim() else { return Ok(None) };
    let about = session.about(&[claim.artifact.1])?;
    let is_test = |attestation: &Attestation| attestation.claim().predicate() == Some(Predicate::Test);
    let tests = about.attestations.into_iter().filter(is_test).collect();
    Ok(Some(Live { deployment, tests }))
}

/// Reads the policy of an environment.
pub(crate) fn policy(project: &Project, environment: &str) -> Result<(Policy, String)> {
    let declared = project.environment(environment)?;
    let path = project.directory.join(&declared.policy);
    let text = fs::read_to_string(&path)
        .context("policy", format!("reading the policy of `{environment}`, `{}`", path.display()))?;
    let policy = Policy::parse(&declared.policy, &text).map_err(|problems| of_problems(&problems))?;
    Ok((policy, text))
}

fn of_problems(problems: &[policy::Problem]) -> Failure {
    let Some((first, others)) = problems.split_first() else {
        return Failure::new("policy", "the policy has a problem that nobody described");
    };
    let place = Place { file: first.file.clone(), line: first.line, column: first.column, text: first.text.clone() };
    let mut failure = Failure::new("policy", first.message.clone()).at(place);
    failure.hint = first.hint.clone();
    failure.also = others.iter().map(|p| format!("{}:{}:{}: {}", p.file, p.line, p.column, p.message)).collect();
    failure
}

/// Judges an artifact for an environment, and records policy and verdict when asked to. Returns the verdict
/// statement's payload digest if it was recorded.
pub(crate) fn gate(
    session: &mut Session<'_>,
    project: &Project,
    resolved: &Resolved,
    environment: &str,
    now: Timestamp,
    record: bool,
) -> Result<(Verdict, Option<Digest>)> {
    let environment = environment.strip_prefix("env:").unwrap_or(environment);
    let (policy, text) = policy(project, environment)?;
    let evidence = evidence(session, resolved, Some((environment, &project.spec.project.name)))?;
    let verdict = policy::gate(&policy, &evidence, environment, now);
    if !record {
        return Ok((verdict, None));
    }
    if session.newest_policy(policy.name())? != Some(*policy.digest()) {
        let text = PolicyText { name: policy.name().to_owned(), source: text, actor: machine::invoker(), at: now };
        session.record(KeyName::Admin, &[attest::policy(&text)])?;
    }
    let payloads = session.record(KeyName::Verifier, &[attest::verdict(&verdict)])?;
    Ok((verdict, payloads.first().copied()))
}

/// A verdict's JSON: `result`, and `rules` with name, result, found and fix.
pub(crate) fn json(verdict: &Verdict) -> Value {
    let rule = |rule: &RuleResult| {
        json!({
            "name": rule.name, "result": rule.result.name(), "found": rule.found,
            "fix": rule.fix, "evidence": rule.evidence,
        })
    };
    json!({
        "result": verdict.result.name(),
        "subject": {"name": verdict.subject.name, "digests": verdict.subject.digests},
        "environment": verdict.environment,
        "policy": {"name": verdict.policy.name, "digest": verdict.policy.digest},
        "at": verdict.at,
        "rules": verdict.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

/// A verdict for people: one line a rule, and under a refusal what would help.
pub(crate) fn text(verdict: &Verdict) -> String {
    let mut out = String::new();
    for rule in &verdict.rules {
        out.push_str(&format!("{:8} {}: {}\n", rule.result.name(), rule.name, rule.found));
        if let (Outcome::Fail | Outcome::Unknown, Some(fix)) = (rule.result, &rule.fix) {
            out.push_str(&format!("         fix: {fix}\n"));
        }
    }
    let place = verdict.environment.as_ref().map_or_else(String::new, |name| format!(" for {name}"));
    let word = match verdict.result {
        Outcome::Pass => "passes",
        Outcome::Fail => "is refused",
        Outcome::Unknown => "is refused: evidence is missing",
    };
    out.push_str(&format!("{} {}{place} {word}", verdict.subject.name, verdict.subject.digests[0]));
    out
}
