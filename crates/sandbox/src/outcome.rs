//! What a run did: steps, processes, files, refusals, and how much of it was seen.
//!
//! Everything here is folded from the trace's events ([`crate::event`]) by a pure function; nothing is claimed that no event said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::digest::Digest;

use crate::plan::Level;
use crate::tier::{Randomness, Tier};

/// What a run did as a whole; its trace says what each process did.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Isolation that held from the first step to the last.
    pub level: Level,
    /// Stronger levels that were tried and refused by this machine.
    pub refused: Vec<Refusal>,
    /// At `trace-only`: the Landlock ABI that fenced the steps; `None` there means that no fence held.
    pub landlock: Option<u32>,
    /// At `trace-only`: the host directory that stood for `/`.
    pub root: Option<String>,
    /// Steps that ran, in order; the last may have failed.
    pub steps: Vec<StepOutcome>,
    /// How many processes there were; a program that replaced another (`exec`) counts as one more.
    pub processes: usize,
    /// How many accesses the trace tells.
    pub accesses: u64,
    /// Files copied out, sorted by path.
    pub collected: Vec<Collected>,
    /// What the plan wants copied out, not as optional, and is not there.
    pub absent: Vec<String>,
    /// The limit that ended the run.
    pub limit: Option<Limit>,
    /// Events that the tracer knows it did not see whole; 0 is a condition of complete evidence.
    pub lost: u64,
    /// What was lost, one sentence each (the first few).
    pub losses: Vec<String>,
    /// Wall time of the steps.
    pub duration_us: u64,
}

impl Summary {
    /// Whether every step ended with code 0, no limit was reached, and all that is to be copied out was there.
    pub fn passed(&self) -> bool {
        self.limit.is_none() && self.absent.is_empty() && self.steps.iter().all(|step| step.exit == Exit::Code(0))
    }
}

/// All that a run tells, where that fits into memory ([`Outcome::of`]). `processes[i].id == i`; accesses name processes and paths by index.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Isolation that held from the first step to the last.
    pub level: Level,
    /// Stronger levels that were tried and refused by this machine.
    pub refused: Vec<Refusal>,
    /// At `trace-only`: the Landlock ABI that fenced the steps; `None` there means that no fence held.
    pub landlock: Option<u32>,
    /// At `trace-only`: the host directory that stood for `/`.
    pub root: Option<String>,
    /// Steps that ran, in order; the last may have failed.
    pub steps: Vec<StepOutcome>,
    /// Processes, in order of creation; a program that replaced another (`exec`) has an entry of its own.
    pub processes: Vec<Process>,
    /// Paths that [`Access::path`] counts from.
    pub paths: Vec<String>,
    /// Files read, run, written, made, renamed, removed.
    pub accesses: Vec<Access>,
    /// Attempts on files that are not there ([`AccessKind::Missing`]) or were refused ([`AccessKind::Refused`]).
    pub missing: Vec<Access>,
    /// System calls refused by the sandbox.
    pub denied: Vec<Denied>,
    /// Attempts to reach an Internet address, loopback too.
    pub network: Vec<Network>,
    /// Randomness that processes asked for.
    pub random: Vec<Random>,
    /// Files copied out, sorted by path.
    pub collected: Vec<Collected>,
    /// What the plan wants copied out, not as optional, and is not there.
    pub absent: Vec<String>,
    /// The limit that ended the run.
    pub limit: Option<Limit>,
    /// Events that the tracer knows it did not see whole; 0 is a condition of complete evidence.
    pub lost: u64,
    /// What was lost, one sentence each (the first few).
    pub losses: Vec<String>,
    /// Wall time of the steps.
    pub duration_us: u64,
}

impl Outcome {
    /// Whether every step ended with code 0, no limit was reached, and all that is to be copied out was there.
    pub fn passed(&self) -> bool {
        self.limit.is_none() && self.absent.is_empty() && self.steps.iter().all(|step| step.exit == Exit::Code(0))
    }

    /// Returns the path of an access.
    pub fn path(&self, access: &Access) -> &str {
        self.paths.get(access.path).map_or("", String::as_str)
    }

    /// Returns the process of an access.
    pub fn process(&self, access: &Access) -> Option<&Process> {
        self.processes.get(access.process)
    }
}

/// A level that this machine refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The level.
    pub level: Level,
    /// The kernel call or step that failed: ``mounting a fresh `/proc` ``.
    pub what: String,
    /// The kernel's answer.
    pub reason: String,
    /// What would help.
    pub hint: Option<String>,
}

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutcome {
    /// Name from the plan.
    pub name: String,
    /// How its first process ended.
    pub exit: Exit,
    /// Wall time.
    pub duration_us: u64,
    /// Processes that outlived it and were killed.
    pub survivors: u64,
    /// The tier that held.
    pub tier: Tier,
    /// Where its randomness came from.
    pub randomness: Randomness,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It became another program; the process with this id.
    Exec(usize),
    /// Killed with the sandbox before the tracer saw its end.
    #[default]
    Unknown,
}

impl Exit {
    /// Returns the code that a shell would show: the exit code, or 128 + signal; `None` when it became another or is unknown.
    pub fn shell_code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(signal) => Some(128 + signal),
            Self::Exec(_) | Self::Unknown => None,
        }
    }
}

/// One process, or one program of a process that ran several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its index.
    pub id: usize,
    /// Process id inside the sandbox.
    pub pid: u32,
    /// Who started it; `None` for a step's first process.
    pub parent: Option<usize>,
    /// The program whose place it took (`exec` without `fork`).
    pub replaces: Option<usize>,
    /// Index of the step.
    pub step: usize,
    /// Whether it ran a program of its own; if not it is a forked copy, and shows its parent's program.
    pub executed: bool,
    /// Resolved path of the program.
    pub exe: String,
    /// Arguments.
    pub argv: Vec<String>,
    /// Working directory at the start.
    pub cwd: String,
    /// Environment at the start.
    pub variables: BTreeMap<String, String>,
    /// Start, counted from the start of the run.
    pub start_us: u64,
    /// Wall time.
    pub duration_us: u64,
    /// How it ended.
    pub exit: Exit,
    /// CPU time, with the children that it waited for; 0 if it became another program.
    pub cpu_us: u64,
    /// Peak resident memory, with the children that it waited for.
    pub rss_max_kib: u64,
}

/// How often one process touched one path in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Index into [`Outcome::processes`].
    pub process: usize,
    /// Index into [`Outcome::paths`].
    pub path: usize,
    /// The way.
    pub kind: AccessKind,
    /// How often.
    pub count: u64,
}

/// The ways to touch a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessKind {
    /// Run as a program.
    Execute,
    /// Opened for reading.
    Read,
    /// A directory that was opened.
    List,
    /// Opened for writing (it may have been made by that), or cut to a length.
    Write,
    /// Made: a new file, directory, link or node.
    Create,
    /// Renamed away from here.
    RenameFrom,
    /// Renamed to here.
    RenameTo,
    /// Removed.
    Remove,
    /// Mode, owner, times or extended attributes changed.
    Attributes,
    /// The process died within the call, so its result is unknown.
    Unfinished,
    /// Not there (`ENOENT`, `ENOTDIR`).
    Missing,
    /// Refused for another reason (no permission, read-only, …).
    Refused,
}

impl AccessKind {
    /// Whether the content at the path may have come from this access.
    pub fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::Create | Self::RenameTo)
    }

    /// Whether the access failed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Missing | Self::Refused)
    }
}

/// A system call that the sandbox refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Index into [`Outcome::processes`].
    pub process: usize,
    /// `mount`, `clone(CLONE_NEWUSER)`, `socket(AF_PACKET)`, …
    pub what: String,
    /// How often.
    pub count: u64,
}

/// An attempt to reach an Internet address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Index into [`Outcome::processes`].
    pub process: usize,
    /// `connect`, `sendto`, `sendmsg`, `sendmmsg`, `socket`.
    pub call: String,
    /// `192.0.2.1:443`, `[::1]:80`, or the family's name if no address can be read.
    pub address: String,
    /// The sandbox's own loopback: not a way out.
    pub loopback: bool,
    /// 0 if the call went through.
    pub errno: i32,
    /// How often.
    pub count: u64,
}

/// Randomness that a process asked for.
///
/// Nearly every program asks once: its C library draws the key of a heap check. Evidence of a key made inside a build is the argument vector
/// of the process, and `seeded`: then whoever reads the plan can make the same key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Random {
    /// Index into [`Outcome::processes`].
    pub process: usize,
    /// `getrandom`, or the file: `/dev/urandom`, `/dev/random`, `/proc/sys/kernel/random/uuid`.
    pub source: String,
    /// Whether it came from the generator with the known seed.
    pub seeded: bool,
    /// How often.
    pub count: u64,
}

/// A file that was copied out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Path inside; the copy lies at the same path below [`crate::plan::Host::collect`].
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: CollectedKind,
}

/// What was copied out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CollectedKind {
    /// A regular file.
    File {
        /// SHA-256 of its bytes, taken while copying.
        digest: Digest,
        /// Bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link, never followed.
    Link {
        /// Where it points.
        to: String,
    },
    /// A directory.
    Directory,
    /// Nothing any more: the source of the root held it.
    Removed,
}

/// The limits that can end a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// [`crate::plan::Limits::wall_ms`].
    Wall,
    /// [`crate::plan::Limits::cpu_ms`].
    Cpu,
    /// [`crate::plan::Limits::processes`].
    Processes,
    /// [`crate::plan::Limits::memory_bytes`].
    Memory,
    /// [`crate::plan::Limits::open_files`].
    OpenFiles,
    /// [`crate::plan::Limits::file_bytes`].
    FileSize,
    /// [`crate::plan::Limits::output_bytes`].
    Output,
    /// [`crate::plan::Limits::events`].
    Events,
    /// [`crate::plan::Limits::collect_bytes`].
    Collect,
    /// A writable mount is full: its target.
    Space(String),
}

impl std::fmt::Display for Limit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wall => formatter.write_str("wall time"),
            Self::Cpu => formatter.write_str("CPU time"),
            Self::Processes => formatter.write_str("number of processes"),
            Self::Memory => formatter.write_str("memory"),
            Self::OpenFiles => formatter.write_str("open files"),
            Self::FileSize => formatter.write_str("size of a file"),
            Self::Output => formatter.write_str("output"),
            Self::Events => formatter.write_str("events of the trace"),
            Self::Collect => formatter.write_str("collected bytes"),
            Self::Space(target) => write!(formatter, "space in `{target}`"),
        }
    }
}

/// A piece of a step's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// Index of the step.
    pub step: usize,
    /// Which stream.
    pub stream: Stream,
    /// Its bytes, as they came.
    pub bytes: &'a [u8],
}

/// The two streams of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}
