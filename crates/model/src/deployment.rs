//! What was brought live, and what is seen there afterwards.

use wire::digest::Digest;
use wire::timestamp::Timestamp;

/// A deployment of one artifact to one environment: succeeded, failed or rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Environment name.
    pub environment: String,
    /// Service (project) name.
    pub service: String,
    /// Name and digest of the artifact.
    pub artifact: (String, Digest),
    /// What was live before.
    pub previous: Option<Digest>,
    /// Digest of the verdict statement's payload that let it pass.
    pub verdict: Digest,
    /// `deploy` or `rollback`.
    pub action: String,
    /// Runbook steps in order.
    pub steps: Vec<RunbookStep>,
    /// Whether every step succeeded, so that it is live now.
    pub live: bool,
    /// Who asked for it.
    pub actor: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

/// One step of a runbook, as it was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunbookStep {
    /// `unpack`, `switch`, `restart`, `health`, or a declared name.
    pub name: String,
    /// `done`, `failed`, or `done before` when a resumed deployment found it done.
    pub result: String,
    /// One line of detail.
    pub detail: String,
    /// When it ended.
    pub finished: Timestamp,
}

/// What really runs in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Environment name.
    pub environment: String,
    /// Service name.
    pub service: String,
    /// Digest that the newest live deployment says should run.
    pub expected: Digest,
    /// Digest of the executable of the process that runs; `None` when none does.
    pub observed: Option<Digest>,
    /// Its process id and the path of its executable.
    pub process: Option<(u32, String)>,
    /// When it was looked at.
    pub at: Timestamp,
}

impl Observation {
    /// Whether what runs is what was deployed.
    pub fn agrees(&self) -> bool {
        self.observed == Some(self.expected)
    }
}
