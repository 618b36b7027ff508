//! The outcome of judging evidence: what was looked for, what was found, and what would help.
//!
//! A verdict is a plain value. `policy` makes it, `attest` turns it into a statement, and the same evidence judged
//! under the same policy at the same time gives an equal one.

use wire::digest::Digest;
use wire::timestamp::Timestamp;

/// Three-valued: what is not known is never taken for a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Evidence was found, and it satisfies.
    Pass,
    /// Evidence is missing, so nothing can be said. It denies.
    Unknown,
    /// Evidence was found, and it speaks against.
    Fail,
}

impl Outcome {
    /// Returns the name that tables and JSON hold: `pass`, `unknown` or `fail`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Unknown => "unknown",
            Outcome::Fail => "fail",
        }
    }

    /// Returns the outcome of a name.
    pub fn of_name(name: &str) -> Option<Outcome> {
        [Outcome::Pass, Outcome::Unknown, Outcome::Fail].into_iter().find(|outcome| outcome.name() == name)
    }
}

/// How long the result of a rule holds for unchanged evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// It never changes.
    Timeless,
    /// It must be judged again after so many seconds.
    Seconds(u64),
}

/// What one rule said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// Name of the rule, as the policy has it.
    pub name: String,
    /// What it said.
    pub result: Outcome,
    /// One sentence: what was looked for and what was found, with digests.
    pub found: String,
    /// Digests of the payloads of the statements that decided it, sorted.
    pub evidence: Vec<Digest>,
    /// What would help, when it does not pass: a command wherever one does.
    pub fix: Option<String>,
    /// How long it holds.
    pub fresh: Fresh,
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Name of the artifact.
    pub name: String,
    /// Digests that all name this one artifact: of a file, or of an image's manifest and configuration.
    ///
    /// Never those of single layers: images share layers, and a statement about one image would then count for another.
    pub digests: Vec<Digest>,
}

/// What was judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyName {
    /// Name of the policy.
    pub name: String,
    /// Digest of its text.
    pub digest: Digest,
}

/// How far SLSA's build track was checked. A developer's machine never earns more than level 1, so there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildLevel {
    /// No statement about the build was among what decided.
    Unevaluated,
    /// Provenance exists and was checked.
    One,
}

/// The outcome of judging one artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// [`Outcome::Pass`] only when every rule passed; [`Outcome::Fail`] when one failed; else unknown.
    pub result: Outcome,
    /// Each rule, in the policy's order.
    pub rules: Vec<RuleResult>,
    /// What it was judged by.
    pub policy: PolicyName,
    /// What was judged.
    pub subject: Subject,
    /// Where it was to go; `None` when no environment was meant.
    pub environment: Option<String>,
    /// SLSA build level that the evidence shows.
    pub level: BuildLevel,
    /// The time that it was judged at, which is an input.
    pub at: Timestamp,
}

impl Verdict {
    /// Returns the digests of the payloads of all statements that decided any rule, sorted, each once.
    pub fn evidence(&self) -> Vec<Digest> {
        let mut all: Vec<Digest> = self.rules.iter().flat_map(|rule| rule.evidence.iter().copied()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Returns the result that follows from the rules: the worst, and unknown when there is none.
    pub fn worst(rules: &[RuleResult]) -> Outcome {
        rules.iter().map(|rule| rule.result).max().unwrap_or(Outcome::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_rule_decides_and_none_is_unknown() {
        let rule = |result| RuleResult {
            name: "rule".to_owned(),
            result,
            found: String::new(),
            evidence: vec![Digest::of(b"b"), Digest::of(b"a")],
            fix: None,
            fresh: Fresh::Timeless,
        };
        let worst =
            |outcomes: &[Outcome]| Verdict::worst(&outcomes.iter().map(|outcome| rule(*outcome)).collect::<Vec<_>>());
        assert_eq!(worst(&[]), Outcome::Unknown);
        assert_eq!(worst(&[Outcome::Pass, Outcome::Pass]), Outcome::Pass);
        assert_eq!(worst(&[Outcome::Pass, Outcome::Unknown]), Outcome::Unknown);
        assert_eq!(worst(&[Outcome::Fail, Outcome::Unknown, Outcome::Pass]), Outcome::Fail);
        for outcome in [Outcome::Pass, Outcome::Unknown, Outcome::Fail] {
            assert_eq!(Outcome::of_name(outcome.name()), Some(outcome));
        }
    }
}
