//! Test results: which tests ran on an artifact and how they ended.
//!
//! Specification: in-toto test-result predicate v0.1
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>.
//!
//! ```json
//! {"result":"PASSED","configuration":[{"name":"assay.lock","digest":{"sha256":"5c5c…"}}],
//!  "passedTests":["unit/greets","unit/parses"],"warnedTests":[],"failedTests":[]}
//! ```
//!
//! A producer's own fields stand beside these in [`TestResult::extension`]; readers pass over those that they do not know.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::in_toto::ResourceDescriptor;

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// The predicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// The result over all.
    pub result: Outcome,
    /// What determined which tests ran and how.
    pub configuration: Vec<ResourceDescriptor>,
    /// Where more about the run can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Names of the tests that passed.
    #[serde(default)]
    pub passed_tests: Vec<String>,
    /// Names of the tests that passed with a warning.
    #[serde(default)]
    pub warned_tests: Vec<String>,
    /// Names of the tests that failed.
    #[serde(default)]
    pub failed_tests: Vec<String>,
    /// Fields of the producer's own.
    #[serde(flatten)]
    pub extension: Map<String, Value>,
}

/// The result over all tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// All passed.
    Passed,
    /// None failed, some warned.
    Warned,
    /// At least one failed.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    const SAMPLE: &str = r#"{"configuration":[{"digest":{"sha256":"5c5c"},"name":"assay.lock"}],"failedTests":[],"passedTests":["unit/greets","unit/parses"],"result":"PASSED","warnedTests":[]}"#;

    #[test]
    fn text_and_back() {
        let result: TestResult = serde_json::from_str(SAMPLE).expect("sample");
        assert_eq!(result.result, Outcome::Passed);
        assert_eq!(String::from_utf8(crate::jcs::to_vec(&result)).expect("text"), SAMPLE);
    }

    #[test]
    fn required_fields_are_required() {
        for field in ["result", "configuration"] {
            let less = SAMPLE.replace(&format!("\"{field}\":"), "\"other\":");
            assert!(serde_json::from_str::<TestResult>(&less).is_err(), "{field}");
        }
        assert!(serde_json::from_str::<TestResult>(&SAMPLE.replace("PASSED", "passed")).is_err());
    }

    #[test]
    fn damaged_text_never_panics() {
        Mutator::new(6).each(5_000, SAMPLE.as_bytes(), |bytes| {
            drop(serde_json::from_slice::<TestResult>(bytes));
        });
    }
}
