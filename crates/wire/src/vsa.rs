//! Verification summaries: somebody checked an artifact against a policy, with this result.
//!
//! Specification: SLSA Verification Summary Attestation v1 <https://slsa.dev/spec/v1.2/verification_summary>.
//!
//! ```json
//! {"verifier":{"id":"https://assay.dev/verifier/v1","version":{"assay":"0.1.0"}},
//!  "timeVerified":"2026-11-22T19:41:00Z","resourceUri":"pkg:oci/greeter@sha256:9f86…",
//!  "policy":{"uri":"policy:starter","digest":{"sha256":"0b0b…"}},
//!  "inputAttestations":[{"uri":"sha256:77aa…","digest":{"sha256":"77aa…"}}],
//!  "verificationResult":"PASSED","verifiedLevels":["SLSA_BUILD_LEVEL_1"],"slsaVersion":"1.2"}
//! ```
//!
//! A producer's own fields stand beside these in [`Summary::extension`]; readers pass over those that they do not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::in_toto::ResourceDescriptor;
use crate::timestamp::Timestamp;

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";

/// The predicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Who checked.
    pub verifier: Verifier,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_verified: Option<Timestamp>,
    /// What was checked, as a consumer names it.
    pub resource_uri: String,
    /// The policy that was applied.
    pub policy: ResourceDescriptor,
    /// Every attestation that was used, or none at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_attestations: Vec<ResourceDescriptor>,
    /// The result.
    pub verification_result: VerificationResult,
    /// Levels reached, one for each track; our own must not begin with `SLSA_`.
    #[serde(default)]
    pub verified_levels: Vec<String>,
    /// Levels of the dependencies and how many have them; absent means no claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency_levels: Option<BTreeMap<String, u64>>,
    /// Version of the specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slsa_version: Option<String>,
    /// Fields of the producer's own.
    #[serde(flatten)]
    pub extension: Map<String, Value>,
}

/// Who checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier {
    /// A URI.
    pub id: String,
    /// Names and versions of its parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// The result of a verification; there is no third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VerificationResult {
    /// The policy was met.
    Passed,
    /// It was not, or that could not be told.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    const SAMPLE: &str = r#"{"assay":{"version":1},"inputAttestations":[{"digest":{"sha256":"77aa"},"uri":"sha256:77aa"}],"policy":{"digest":{"sha256":"0b0b"},"uri":"policy:starter"},"resourceUri":"pkg:oci/greeter@sha256:9f86","slsaVersion":"1.2","timeVerified":"2026-11-22T19:41:00Z","verificationResult":"PASSED","verifiedLevels":["SLSA_BUILD_LEVEL_1"],"verifier":{"id":"https://assay.dev/verifier/v1"}}"#;

    #[test]
    fn text_and_back_with_the_extension() {
        let summary: Summary = serde_json::from_str(SAMPLE).expect("sample");
        assert_eq!(summary.extension.keys().collect::<Vec<_>>(), ["assay"]);
        assert_eq!(String::from_utf8(crate::jcs::to_vec(&summary)).expect("text"), SAMPLE);
    }

    #[test]
    fn a_third_result_is_refused() {
        assert!(serde_json::from_str::<Summary>(&SAMPLE.replace("PASSED", "UNKNOWN")).is_err());
    }

    #[test]
    fn damaged_text_never_panics() {
        Mutator::new(5).each(5_000, SAMPLE.as_bytes(), |bytes| {
            drop(serde_json::from_slice::<Summary>(bytes));
        });
    }
}
