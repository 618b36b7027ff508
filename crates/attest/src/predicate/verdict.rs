//! A verdict: SLSA verification summary v1, and each rule's result under `assay`.
//!
//! Specification: <https://slsa.dev/spec/v1.2/verification_summary>. Format of the extension:
//! `docs/formats/verdict.md`, version 1. `verificationResult` has two values, so an unknown result reads `FAILED` there
//! and `unknown` in the extension. `inputAttestations` names every statement that decided, by its payload's digest.

use std::collections::BTreeMap;

use model::verdict::{BuildLevel, Fresh, Outcome, PolicyName, RuleResult, Subject, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement, digest_set};
use wire::purl::Purl;
use wire::vsa::{Summary, VerificationResult, Verifier};

use crate::claim::ClaimError;
use crate::predicate::{EXTENSION, Predicate, VERSION, read_extension, read_foreign, write};

/// `verifier.id` of a verdict that this program made; who ran it is told by the signature.
pub const VERIFIER: &str = "https://assay.dev/verifier/local";

const LEVEL_1: &str = "SLSA_BUILD_LEVEL_1";
const UNEVALUATED: &str = "SLSA_BUILD_LEVEL_UNEVALUATED";
const FAILED: &str = "FAILED";

#[derive(Serialize, Deserialize)]
struct Extension {
    version: u32,
    result: OutcomeBody,
    policy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(rename = "buildLevel", default, skip_serializing_if = "Option::is_none")]
    build_level: Option<LevelBody>,
    rules: Vec<RuleBody>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OutcomeBody {
    Pass,
    Unknown,
    Fail,
}

/// The only level that can be written; absent is unevaluated.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum LevelBody {
    #[serde(rename = "1")]
    One,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleBody {
    name: String,
    result: OutcomeBody,
    found: String,
    evidence: Vec<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    /// Absent: the result is timeless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fresh_seconds: Option<u64>,
}

/// Returns the statement of a verdict.
pub fn statement(verdict: &Verdict) -> Statement {
    let passed = verdict.result == Outcome::Pass;
    let summary = Summary {
        verifier: Verifier {
            id: VERIFIER.to_owned(),
            version: BTreeMap::from([("assay".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
        },
        time_verified: Some(verdict.at),
        resource_uri: resource_uri(&verdict.subject),
        policy: ResourceDescriptor {
            uri: Some(format!("assay:policy/{}", verdict.policy.digest)),
            digest: digest_set(&verdict.policy.digest),
            ..ResourceDescriptor::default()
        },
        input_attestations: verdict.evidence().iter().map(input).collect(),
        verification_result: if passed { VerificationResult::Passed } else { VerificationResult::Failed },
        verified_levels: vec![level(verdict).to_owned()],
        dependency_levels: None,
        slsa_version: Some("1.2".to_owned()),
        extension: Map::from_iter([(EXTENSION.to_owned(), json!(Extension::of(verdict)))]),
    };
    write(Predicate::Verdict, subjects(&verdict.subject), &summary)
}

/// Reads a verdict back; one whose summary is not what its rules say is refused.
pub(crate) fn parse(statement: &Statement) -> Result<Verdict, ClaimError> {
    let extension: Extension = read_extension(Predicate::Verdict, &statement.predicate)?;
    let summary: Summary = read_foreign(Predicate::Verdict, &statement.predicate)?;
    let value = |field, found: &str, allowed| ClaimError::value(Predicate::Verdict, field, found, allowed);
    let policy = summary.policy.digests().next();
    let verdict = Verdict {
        result: extension.result.value(),
        rules: extension.rules.into_iter().map(RuleBody::value).collect(),
        policy: PolicyName {
            name: extension.policy,
            digest: policy.ok_or_else(|| value("policy.digest", "nothing", "enough"))?,
        },
        subject: Subject {
            name: statement.subject.first().and_then(|subject| subject.name.clone()).unwrap_or_default(),
            digests: statement.digests().collect(),
        },
        environment: extension.environment,
        level: if extension.build_level.is_some() { BuildLevel::One } else { BuildLevel::Unevaluated },
        at: summary.time_verified.ok_or_else(|| value("timeVerified", "nothing", "enough"))?,
    };
    if verdict.result != Verdict::worst(&verdict.rules) {
        return Err(value("assay.result", verdict.result.name(), "what the rules say"));
    }
    if (summary.verification_result == VerificationResult::Passed) != (verdict.result == Outcome::Pass) {
        return Err(value("verificationResult", "this value", "what `assay.result` says"));
    }
    if summary.verified_levels != [level(&verdict)] {
        return Err(value("verifiedLevels", &summary.verified_levels.join(" "), "what `assay.buildLevel` says"));
    }
    let used: Vec<Digest> = summary.input_attestations.iter().flat_map(ResourceDescriptor::digests).collect();
    if used != verdict.evidence() {
        return Err(value("inputAttestations", "this list", "the evidence of the rules, all of it"));
    }
    Ok(verdict)
}

/// Returns the one member of `verifiedLevels`.
fn level(verdict: &Verdict) -> &'static str {
    match (verdict.result, verdict.level) {
        (Outcome::Fail | Outcome::Unknown, _) => FAILED,
        (Outcome::Pass, BuildLevel::One) => LEVEL_1,
        (Outcome::Pass, BuildLevel::Unevaluated) => UNEVALUATED,
    }
}

fn subjects(subject: &Subject) -> Vec<ResourceDescriptor> {
    subject.digests.iter().map(|digest| ResourceDescriptor::named(&subject.name, digest)).collect()
}

fn input(digest: &Digest) -> ResourceDescriptor {
    ResourceDescriptor {
        uri: Some(format!("assay:statement/{digest}")),
        digest: digest_set(digest),
        ..ResourceDescriptor::default()
    }
}

/// Names what was judged as a package URL: its name and its first digest.
fn resource_uri(subject: &Subject) -> String {
    let checksum = subject.digests.first().map(|digest| ("checksum".to_owned(), digest.to_string()));
    let purl = Purl {
        kind: "generic".to_owned(),
        namespace: None,
        name: subject.name.clone(),
        version: None,
        qualifiers: checksum.into_iter().collect(),
        subpath: None,
    };
    purl.to_string()
}

impl Extension {
    fn of(verdict: &Verdict) -> Extension {
        Extension {
            version: VERSION,
            result: OutcomeBody::of(verdict.result),
            policy: verdict.policy.name.clone(),
            environment: verdict.environment.clone(),
            build_level: match verdict.level {
                BuildLevel::One => Some(LevelBody::One),
                BuildLevel::Unevaluated => None,
            },
            rules: verdict.rules.iter().map(RuleBody::of).collect(),
        }
    }
}

impl OutcomeBody {
    fn of(outcome: Outcome) -> OutcomeBody {
        match outcome {
            Outcome::Pass => OutcomeBody::Pass,
            Outcome::Unknown => OutcomeBody::Unknown,
            Outcome::Fail => OutcomeBody::Fail,
        }
    }

    fn value(self) -> Outcome {
        match self {
            OutcomeBody::Pass => Outcome::Pass,
            OutcomeBody::Unknown => Outcome::Unknown,
            OutcomeBody::Fail => Outcome::Fail,
        }
    }
}

impl RuleBody {
    fn of(rule: &RuleResult) -> RuleBody {
        RuleBody {
            name: rule.name.clone(),
            result: OutcomeBody::of(rule.result),
            found: rule.found.clone(),
            evidence: rule.evidence.clone(),
            fix: rule.fix.clone(),
            fresh_seconds: match rule.fresh {
                Fresh::Timeless => None,
                Fresh::Seconds(seconds) => Some(seconds),
            },
        }
    }

    fn value(self) -> RuleResult {
        RuleResult {
            name: self.name,
            result: self.result.value(),
            found: self.found,
            evidence: self.evidence,
            fix: self.fix,
            fresh: self.fresh_seconds.map_or(Fresh::Timeless, Fresh::Seconds),
        }
    }
}
