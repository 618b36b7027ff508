//! A test outcome: in-toto test-result v0.1, and what that has no field for under `assay`.
//!
//! Specification: <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>. Format of the
//! extension: `docs/formats/test.md`, version 1. A case whose outcome differed between repetitions stands in
//! `failedTests`, and in `assay.unstable` too.

use std::collections::BTreeSet;

use model::test::TestRun;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::test_result::{Outcome, TestResult};
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{EXTENSION, Predicate, VERSION, read_extension, read_foreign, write};

#[derive(Serialize, Deserialize)]
struct Extension {
    version: u32,
    suite: String,
    unstable: Vec<String>,
    finished: Timestamp,
}

/// Returns the statement of a test outcome.
pub fn statement(test: &TestRun) -> Statement {
    let extension = Extension {
        version: VERSION,
        suite: test.suite.clone(),
        unstable: test.unstable.clone(),
        finished: test.finished,
    };
    let failed: BTreeSet<String> = test.failed.iter().chain(&test.unstable).cloned().collect();
    let result = TestResult {
        result: if test.passed() { Outcome::Passed } else { Outcome::Failed },
        configuration: vec![ResourceDescriptor::named(&test.suite, &test.configuration)],
        url: None,
        passed_tests: test.passed.clone(),
        warned_tests: Vec::new(),
        failed_tests: failed.into_iter().collect(),
        extension: Map::from_iter([(EXTENSION.to_owned(), json!(extension))]),
    };
    let subjects = test.subjects.iter().map(|(name, digest)| ResourceDescriptor::named(name, digest)).collect();
    write(Predicate::Test, subjects, &result)
}

/// Reads a test outcome back; one whose summary is not what its cases say is refused.
pub(crate) fn parse(statement: &Statement) -> Result<TestRun, ClaimError> {
    let extension: Extension = read_extension(Predicate::Test, &statement.predicate)?;
    let result: TestResult = read_foreign(Predicate::Test, &statement.predicate)?;
    let configuration = result.configuration.iter().find_map(|descriptor| descriptor.digests().next());
    let unstable: BTreeSet<&String> = extension.unstable.iter().collect();
    if let Some(odd) = extension.unstable.iter().find(|name| !result.failed_tests.contains(name)) {
        return Err(ClaimError::value(Predicate::Test, "assay.unstable", odd, "one of `failedTests`"));
    }
    let test = TestRun {
        subjects: subjects(statement),
        suite: extension.suite,
        configuration: configuration
            .ok_or_else(|| ClaimError::value(Predicate::Test, "configuration", "this list", "a list with a digest"))?,
        failed: result.failed_tests.iter().filter(|name| !unstable.contains(name)).cloned().collect(),
        passed: result.passed_tests,
        unstable: extension.unstable,
        finished: extension.finished,
    };
    if test.passed() != (result.result == Outcome::Passed) {
        let found = format!("{:?}", result.result).to_uppercase();
        return Err(ClaimError::value(Predicate::Test, "result", &found, "what the cases say"));
    }
    Ok(test)
}

fn subjects(statement: &Statement) -> Vec<(String, wire::digest::Digest)> {
    let named = |subject: &ResourceDescriptor| {
        let name = subject.name.clone().unwrap_or_default();
        subject.digests().next().map(|digest| (name, digest))
    };
    statement.subject.iter().filter_map(named).collect()
}
