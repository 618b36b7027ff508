//! What this machine allows: each level is tried for real with an empty plan, in the supervisor.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::SandboxError;
use crate::outcome::Refusal;
use crate::plan::Level;

/// What the machine allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Levels that work, strongest first.
    pub works: Vec<Level>,
    /// Levels that do not, with the reason and what would help.
    pub refused: Vec<Refusal>,
    /// The kernel's Landlock ABI; `None` if it has none.
    pub landlock: Option<u32>,
}

impl Probe {
    /// Returns the strongest level that works.
    pub fn level(&self) -> Option<Level> {
        self.works.first().copied()
    }
}

/// Tries every level on this machine. `supervisor` is a program as in [`crate::plan::Host::supervisor`].
pub fn probe(supervisor: &Path) -> Result<Probe, SandboxError> {
    crate::run::probe(supervisor)
}
