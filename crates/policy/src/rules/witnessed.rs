//! `witnessed`: enough witnesses have cosigned the log that holds what the other rules used.
//!
//! ```toml
//! [[rules]]
//! rule = "witnessed"
//! policy = """
//! log example.org/log+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
//! witness w1 w1.example.org+0a1b2c3d+BKp2…
//! witness w2 w2.example.net+11223344+BGd7…
//! group both all w1 w2
//! quorum both
//! """
//! ```
//!
//! The text is a C2SP tlog-policy <https://c2sp.org/tlog-policy>; the `log` lines are needed here, since who the
//! witnesses speak about must stand beside them. Judged last, like `logged`, over the same statements. A statement counts
//! when one signed copy of it is proven under a checkpoint that satisfies the quorum.

use std::collections::{BTreeMap, BTreeSet};

use attest::Attestation;
use model::verdict::{Fresh, RuleResult};
use tlog::quorum::Quorum;
use wire::digest::Digest;
use wire::tlog_policy::{self, TlogPolicy};

use crate::evidence::Case;
use crate::params::{Parameter, Params};
use crate::rules::{Finding, count, logged, named, quoted};

/// The rule's name.
pub const NAME: &str = "witnessed";

/// Its parameters.
pub const PARAMETERS: [Parameter; 1] = [Parameter {
    name: "policy",
    example: r#"policy = "log PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\nquorum none""#,
}];

/// The longest text: a page of keys.
const TEXT_MAX: usize = 256 << 10;

/// What command brings cosignatures.
const FIX: &str = "`assay log cosign --policy FILE` with that policy, or `assay serve --witnesses FILE`";

/// Who must have cosigned the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    quorum: Quorum,
}

impl Witnessed {
    pub(crate) fn parse(params: &mut Params<'_, '_, '_>) -> Option<Witnessed> {
        const { assert!(TEXT_MAX <= tlog_policy::SIZE_MAX) };
        let text = params.long_text("policy", TEXT_MAX)?;
        let read = TlogPolicy::parse(&text).map_err(|error| error.to_string());
        let read = read.and_then(|policy| Quorum::new(policy).map_err(|error| error.to_string()));
        match read {
            Ok(quorum) if quorum.logs().is_empty() => {
                params.refuse("policy", "names no log: add the line that `assay log key` prints");
                None
            }
            Ok(quorum) => Some(Witnessed { quorum }),
            Err(problem) => {
                params.refuse("policy", &problem);
                None
            }
        }
    }

    /// Judges all that the other rules used.
    pub(crate) fn judge(&self, case: &Case<'_>, used: &BTreeSet<Digest>) -> RuleResult {
        let statements = logged::used(case, used);
        let finding = match statements.as_slice() {
            [] => logged::nothing(case),
            found => self.found_in(found, case),
        };
        // Cosignatures from the future may count later; what counts now stays so.
        finding.result(NAME, &statements, Fresh::Timeless)
    }

    fn found_in(&self, statements: &[&Attestation], case: &Case<'_>) -> Finding {
        // Many statements are proven under one checkpoint.
        let mut checked: BTreeMap<&str, Result<BTreeSet<String>, String>> = BTreeMap::new();
        let mut good: BTreeSet<&Digest> = BTreeSet::new();
        let mut witnesses = BTreeSet::new();
        for attestation in statements {
            let Some(logged) = attestation.logged() else { continue };
            let checkpoint = logged.checkpoint();
            let verdict = checked.entry(checkpoint).or_insert_with(|| {
                let witnessed = self.quorum.check(checkpoint, &[], case.now);
                witnessed.map(|w| w.cosigned().keys().cloned().collect()).map_err(|error| sentence(&error))
            });
            if let Ok(names) = verdict {
                good.insert(attestation.statement().payload());
                witnesses.extend(names.iter().cloned());
            }
        }
        let bad = statements.iter().find(|attestation| !good.contains(attestation.statement().payload()));
        let Some(bad) = bad else {
            let held = count(good.len(), "statement stands", "statements stand");
            let by = if witnesses.is_empty() { "nobody, as the policy allows".to_owned() } else { list(&witnesses) };
            return Finding::pass(format!("{held} in a log that was cosigned by {by}"));
        };
        match bad.logged().and_then(|logged| checked[logged.checkpoint()].as_ref().err()) {
            Some(reason) => Finding::fail(format!("the log that holds {}: {reason}", named(bad)), FIX),
            None => Finding::fail(format!("{} came without a proof that a log holds it", named(bad)), FIX),
        }
    }
}

fn list(names: &BTreeSet<String>) -> String {
    quoted(names.iter().map(String::as_str), "and")
}

fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
