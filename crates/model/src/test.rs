//! Test outcomes.

use wire::digest::Digest;
use wire::timestamp::Timestamp;

/// The outcome of running declared tests against an artifact, twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// Artifacts evaluated: name and digest.
    pub subjects: Vec<(String, Digest)>,
    /// Name of the test in `assay.toml`, or `pipeline`.
    pub suite: String,
    /// Digest of what configured it (the plan, or the lock).
    pub configuration: Digest,
    /// Cases that passed every time, sorted.
    pub passed: Vec<String>,
    /// Cases that failed every time, sorted.
    pub failed: Vec<String>,
    /// Cases whose outcome differed between the repetitions, sorted; they count as failures.
    pub unstable: Vec<String>,
    /// When it ended, by the builder's clock.
    pub finished: Timestamp,
}

impl TestRun {
    /// Whether every case passed every time, and there was one at all.
    pub fn passed(&self) -> bool {
        self.failed.is_empty() && self.unstable.is_empty() && !self.passed.is_empty()
    }
}
