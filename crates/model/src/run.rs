//! One run of a build: what happened, where, and how much of it was seen.

use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::recipe::{InputKind, Recipe};
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
    /// What else follows from the trace.
    pub verdicts: Verdicts,
    /// Everything pinned, and whether the build read it; in the order of the lock.
    pub components: Vec<Component>,
    /// How many processes ran; a program that replaced another counts as one more.
    pub processes: usize,
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
    /// How many processes ran: their numbers in [`Record`] stand behind those of the stages before.
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
    /// Number, in the trace, of the first process that opened it.
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
    /// Number, in the trace, of the first process that tried.
    pub process: usize,
    /// Its program and arguments; secret-looking values are withheld.
    pub command: String,
    /// How often.
    pub count: u64,
}

/// What is computed from a trace, beside what nothing pins: no claim of a step, and no proof of absence where it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Package URLs, or names, of what the lock pins and the build never read; sorted.
    pub unread: Vec<String>,
    /// Attempts to choose or find inputs while building: names asked for, addresses tried.
    pub dynamic: Vec<Attempt>,
    /// Who asked for randomness, by program.
    pub random: Vec<Drawn>,
    /// What each step's tier lets be seen of the wall clock.
    pub clock: Vec<Clock>,
    /// Files that tell the time, and who read them.
    pub clock_files: Vec<Attempt>,
    /// Writes to files of the source, and to where nothing was to be written.
    pub outside: Vec<Attempt>,
}

/// Something that a process did, and that a reader may ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `connect 192.0.2.1:443`, `read /etc/resolv.conf`, `write /build/src/main.rs`, …
    pub what: String,
    /// Number, in the trace, of the first process that did.
    pub process: usize,
    /// Its program and arguments; secret-looking values are withheld.
    pub command: String,
    /// How often, over all processes.
    pub count: u64,
}

/// Randomness that the processes of one program asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drawn {
    /// Resolved path of the program.
    pub program: String,
    /// `getrandom`, or the file.
    pub source: String,
    /// Whether it came from the generator with the known seed.
    pub seeded: bool,
    /// Number, in the trace, of the first process that asked.
    pub process: usize,
    /// How often, over all processes of the program.
    pub count: u64,
}

/// What is known of one step's use of the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Step.
    pub step: String,
    /// Its tier.
    pub tier: String,
    /// Whether it saw the same time in every run; if not, who read the clock is not seen: that takes no system call.
    pub fixed: bool,
}

/// Something pinned, and what the build did with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Kind.
    pub kind: InputKind,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Package URL; empty for a toolchain and for a base.
    pub purl: String,
    /// What pins it.
    pub digest: Digest,
    /// Whether `digest` is that of the file which it is distributed as; if not, it is that of a tree.
    pub is_file: bool,
    /// The lock file's ecosystem (`cargo`), for a dependency that a lock file names.
    pub ecosystem: Option<String>,
    /// What was seen of it.
    pub used: Used,
}

/// What a trace tells of something pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Used {
    /// A file of it was opened or run.
    Read,
    /// One of several versions was read, and paths do not tell which.
    Perhaps,
    /// Only its description was read, as a package manager does to choose.
    Described,
    /// Nothing of it was opened.
    Never,
    /// Its files are not known, so nothing can be said.
    Unknown,
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
