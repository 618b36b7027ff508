//! One run of a build: what happened, where, and how much of it was seen.

use std::collections::BTreeMap;

use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::recipe::Recipe;
use crate::source::Source;

/// All that one run of a plan tells: the recipe and the circumstances.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What any honest builder would say too.
    pub recipe: Recipe,
    /// Where the source came from.
    pub source: Source,
    /// Unique name of the run: 32 hexadecimal digits.
    pub id: String,
    /// Builder's clock at the start.
    pub started: Timestamp,
    /// Builder's clock at the end.
    pub finished: Timestamp,
    /// Wall time in milliseconds, from a monotonic clock.
    pub duration_ms: u64,
    /// Who asked for it (`user@host`, or a CI's identity) and who says so.
    pub invoker: String,
    /// Machine facts.
    pub machine: Machine,
    /// Isolation that held: `full`, `no-proc` or `trace-only`.
    pub level: String,
    /// Whether the evidence is complete, and if not why.
    pub completeness: Completeness,
    /// Successful opens of what was neither pinned, nor written by the build, nor a fixed pseudo-file.
    pub undeclared: Vec<Undeclared>,
    /// Denied network and system calls.
    pub denied: Vec<Denied>,
    /// Processes, in order of start.
    pub processes: Vec<Process>,
    /// Blob that holds the whole trace; with stages, of the last.
    pub trace: Digest,
    /// Blob that holds the combined output of the steps; with stages, of the last.
    pub log: Digest,
    /// Runs of the stages, in order; none where the build is one stage without a name.
    pub stages: Vec<StageRun>,
}

/// One run of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRun {
    /// The stage.
    pub name: String,
    /// Digest of its plan.
    pub plan: Digest,
    /// Isolation that held.
    pub level: String,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// How many processes ran: in [`Record::processes`] they stand behind those of the stages before.
    pub processes: usize,
    /// Blob that holds its trace.
    pub trace: Digest,
    /// Blob that holds the output of its steps.
    pub log: Digest,
}

/// The machine that a build ran on, without its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `x86_64`
    pub architecture: String,
    /// `6.18.44`
    pub kernel: String,
    /// CPU model as the kernel names it.
    pub cpu: String,
    /// SHA-256 of the machine id, keyed by the home's secret: tells machines apart without naming them.
    pub machine: String,
}

/// Computed from what the build could reach, never claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completeness {
    /// Everything that the build could reach was pinned or denied, and no event was lost.
    pub complete: bool,
    /// Why not, one sentence each; empty when complete.
    pub reasons: Vec<String>,
    /// Events that the tracer lost.
    pub lost: u64,
}

/// A file that was opened though nothing pins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeclared {
    /// Path as the build saw it.
    pub path: String,
    /// Index into [`Record::processes`] of the first that opened it.
    pub process: usize,
    /// Its program.
    pub argv0: String,
    /// How often it was opened.
    pub count: u64,
}

/// A refused attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What was tried: `socket(AF_INET)`, `mount`, …
    pub what: String,
    /// Index into [`Record::processes`] of the first that tried.
    pub process: usize,
    /// How often.
    pub count: u64,
}

/// One process of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id inside the sandbox.
    pub pid: u32,
    /// Index of the parent in [`Record::processes`].
    pub parent: Option<usize>,
    /// Step it belongs to.
    pub step: String,
    /// Resolved path of the program.
    pub exe: String,
    /// Arguments.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Variables; secret-looking values are withheld.
    pub variables: BTreeMap<String, String>,
    /// How it ended: exit code, or 128 + signal.
    pub exit: Option<i32>,
    /// Wall time in microseconds.
    pub duration_us: u64,
    /// Files it read, sorted.
    pub reads: Vec<String>,
    /// Files it wrote, made, renamed or removed, sorted.
    pub writes: Vec<String>,
}

/// The outcome of building a second time from the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Digest of the recipe statement's payload of the first build.
    pub recipe: Digest,
    /// Digests of the run statements' payloads that were compared, oldest first; their number is `times`.
    pub runs: Vec<Digest>,
    /// Whether every output was the same in all runs.
    pub equal: bool,
    /// Outputs that differed: name and the digests found, in run order.
    pub differences: Vec<(String, Vec<Digest>)>,
}
