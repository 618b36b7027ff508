//! The trace: one JSON object a line, as the supervisor sends it and as it is kept; and the outcome that follows from it.
//!
//! Version 1. The first line names format and version; processes and paths are numbered from 0; an access line stands once for each
//! distinct (process, path, kind) and is written when the process ends, so neither the trace nor the tracer grows with repetition.
//! A process line comes when the program starts, for a fork that never ran one when it ends; so a child's line can precede its parent's.
//! Bytes that are not UTF-8 are written as `\xNN`. Times count microseconds from the start of the run. A real trace, shortened:
//!
//! ```json
//! {"event":"start","format":"assay-trace","version":1,"level":"full","refused":[],"landlock":null,"root":null}
//! {"event":"process","id":0,"pid":2,"parent":null,"replaces":null,"step":0,"executed":true,"exe":"/usr/bin/dash",
//!  "argv":["/bin/sh","-c","cat a > b"],"cwd":"/build","variables":{"PATH":"/usr/bin"},"start_us":1842}
//! {"event":"path","id":0,"path":"/usr/bin/dash"}
//! {"event":"access","process":0,"path":0,"kind":"execute","count":1}
//! {"event":"denied","process":0,"what":"mount","count":1}
//! {"event":"network","process":0,"call":"connect","address":"192.0.2.1:443","loopback":false,"errno":101,"count":1}
//! {"event":"random","process":0,"source":"getrandom","seeded":false,"count":1}
//! {"event":"end","process":0,"exit":{"code":0},"duration_us":2210,"cpu_us":1650,"rss_max_kib":1816}
//! {"event":"step","step":0,"exit":{"code":0},"duration_us":2388,"survivors":0,"tier":"T0","randomness":"real"}
//! {"event":"finished","lost":0,"losses":[],"duration_us":2404}
//! ```
//!
//! (`random` lines, and `tier` and `randomness` of a step, came later within version 1: a trace without them tells nothing about randomness.
//! A line is one line; the process above is broken for reading.)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Failure, SandboxError};
use crate::outcome::{
    Access, AccessKind, Collected, Denied, Exit, Limit, Network, Outcome, Process, Random, Refusal, StepOutcome,
};
use crate::plan::{Level, Plan};
use crate::probe::Probe;
use crate::tier::{Randomness, Tier};

#[cfg(test)]
mod tests;

/// The word in the first line.
pub const TRACE_FORMAT: &str = "assay-trace";
/// The version in the first line.
pub const TRACE_VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first line.
    Start {
        /// [`TRACE_FORMAT`].
        format: String,
        /// [`TRACE_VERSION`].
        version: u32,
        /// The level that holds.
        level: Level,
        /// Stronger levels that this machine refused.
        refused: Vec<Refusal>,
        /// Landlock's ABI where it fences the steps.
        landlock: Option<u32>,
        /// The host directory that stands for `/` at `trace-only`.
        root: Option<String>,
    },
    /// A path gets its number.
    Path {
        /// Number.
        id: usize,
        /// Absolute path.
        path: String,
    },
    /// A process, or the next program of a process.
    Process {
        /// Number.
        id: usize,
        /// Process id inside.
        pid: u32,
        /// Who started it.
        parent: Option<usize>,
        /// Whose place it took.
        replaces: Option<usize>,
        /// Step.
        step: usize,
        /// Whether it ran a program; if not, the next five fields are empty and its parent's hold.
        executed: bool,
        /// Resolved program.
        exe: String,
        /// Arguments.
        argv: Vec<String>,
        /// Working directory.
        cwd: String,
        /// Environment.
        variables: BTreeMap<String, String>,
        /// Start.
        start_us: u64,
    },
    /// One way in which a process touched a path.
    Access {
        /// Process.
        process: usize,
        /// Path.
        path: usize,
        /// The way.
        kind: AccessKind,
        /// How often.
        count: u64,
    },
    /// A refused system call.
    Denied(Denied),
    /// An attempt to reach an address.
    Network(Network),
    /// Randomness that a process asked for.
    Random(Random),
    /// A process ended.
    End {
        /// Process.
        process: usize,
        /// How.
        exit: Exit,
        /// Wall time.
        duration_us: u64,
        /// CPU time.
        cpu_us: u64,
        /// Peak memory.
        rss_max_kib: u64,
    },
    /// A step ended, and all its processes.
    Step {
        /// Step.
        step: usize,
        /// How its first process ended.
        exit: Exit,
        /// Wall time.
        duration_us: u64,
        /// Processes that had to be killed.
        survivors: u64,
        /// The tier that held.
        #[serde(default)]
        tier: Tier,
        /// Where its randomness came from.
        #[serde(default)]
        randomness: Randomness,
    },
    /// A limit ended the run.
    Limit {
        /// Which.
        limit: Limit,
    },
    /// Something was copied out.
    Collected(Collected),
    /// Something that the plan wants copied out is not there.
    Absent {
        /// The plan's words for it.
        path: String,
    },
    /// The last line.
    Finished {
        /// Events known to be lost.
        lost: u64,
        /// What they were.
        losses: Vec<String>,
        /// Wall time.
        duration_us: u64,
    },
    /// The run has no outcome.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// The answer to a probe.
    Probed {
        /// What the machine allows.
        probe: Probe,
    },
}

/// What the first line says.
struct Start {
    level: Level,
    refused: Vec<Refusal>,
    landlock: Option<u32>,
    root: Option<String>,
}

/// Folds events into an outcome.
#[derive(Default)]
pub(crate) struct Fold {
    start: Option<Start>,
    steps: Vec<StepOutcome>,
    processes: BTreeMap<usize, Process>,
    paths: Vec<String>,
    accesses: Vec<Access>,
    missing: Vec<Access>,
    denied: Vec<Denied>,
    network: Vec<Network>,
    random: Vec<Random>,
    collected: Vec<Collected>,
    absent: Vec<String>,
    limit: Option<Limit>,
    finished: Option<(u64, Vec<String>, u64)>,
}

impl Fold {
    /// Takes one event.
    pub(crate) fn add(&mut self, event: Event, plan: &Plan) -> Result<(), SandboxError> {
        match event {
            Event::Start { format, version, level, refused, landlock, root } => {
                if format != TRACE_FORMAT || version != TRACE_VERSION {
                    return Err(protocol(format!("format `{format}` version {version}")));
                }
                self.start = Some(Start { level, refused, landlock, root });
            }
            Event::Path { id, path } if id == self.paths.len() => self.paths.push(path),
            Event::Path { id, .. } => return Err(protocol(format!("path number {id} out of order"))),
            Event::Access { process, path, kind, count } => {
                let list = if kind.is_failure() { &mut self.missing } else { &mut self.accesses };
                list.push(Access { process, path, kind, count });
            }
            Event::Denied(denied) => self.denied.push(denied),
            Event::Network(network) => self.network.push(network),
            Event::Random(random) => self.random.push(random),
            Event::Step { step, exit, duration_us, survivors, tier, randomness } => {
                let planned = plan.steps.get(step).filter(|step| (step.tier, step.randomness) == (tier, randomness));
                let planned =
                    planned.ok_or_else(|| protocol(format!("step {step} of tier {tier} is not in the plan")))?;
                let name = planned.name.clone();
                self.steps.push(StepOutcome { name, exit, duration_us, survivors, tier, randomness });
            }
            Event::Limit { limit } => self.limit = self.limit.take().or(Some(limit)),
            Event::Collected(collected) => self.collected.push(collected),
            Event::Absent { path } => self.absent.push(path),
            Event::Finished { lost, losses, duration_us } => self.finished = Some((lost, losses, duration_us)),
            Event::Failed { failure } => return Err(failure.into()),
            Event::Probed { .. } => return Err(protocol("a probe's answer within a run".to_owned())),
            Event::Process { .. } | Event::End { .. } => self.add_process(event),
        }
        Ok(())
    }

    fn add_process(&mut self, event: Event) {
        match event {
            Event::Process { id, pid, parent, replaces, step, executed, exe, argv, cwd, variables, start_us } => {
                let (duration_us, cpu_us, rss_max_kib, exit) = (0, 0, 0, Exit::Unknown);
                let process = Process {
                    id,
                    pid,
                    parent,
                    replaces,
                    step,
                    executed,
                    exe,
                    argv,
                    cwd,
                    variables,
                    start_us,
                    duration_us,
                    exit,
                    cpu_us,
                    rss_max_kib,
                };
                self.processes.insert(id, process);
            }
            Event::End { process, exit, duration_us, cpu_us, rss_max_kib } => {
                if let Some(process) = self.processes.get_mut(&process) {
                    (process.exit, process.duration_us) = (exit, duration_us);
                    (process.cpu_us, process.rss_max_kib) = (cpu_us, rss_max_kib);
                }
            }
            _ => {}
        }
    }

    /// Whether the last event came.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Returns the outcome; the events must be complete and refer to each other.
    pub(crate) fn outcome(mut self) -> Result<Outcome, SandboxError> {
        let Start { level, refused, landlock, root } =
            self.start.take().ok_or_else(|| protocol("no start".to_owned()))?;
        let (lost, losses, duration_us) = self.finished.take().ok_or_else(|| protocol("no end".to_owned()))?;
        let mut processes: Vec<Process> = self.processes.into_values().collect();
        let count = processes.len();
        if processes.iter().enumerate().any(|(index, process)| process.id != index) {
            return Err(protocol("process numbers have a gap".to_owned()));
        }
        let named = self.accesses.iter().chain(&self.missing);
        if named.into_iter().any(|access| access.process >= count || access.path >= self.paths.len()) {
            return Err(protocol("an access names no process or no path".to_owned()));
        }
        let told = self.denied.iter().map(|one| one.process).chain(self.network.iter().map(|one| one.process));
        let told = told.chain(self.random.iter().map(|one| one.process));
        let parents = processes.iter().flat_map(|process| process.parent.into_iter().chain(process.replaces));
        if told.chain(parents).any(|process| process >= count) {
            return Err(protocol("an event names no process".to_owned()));
        }
        inherit(&mut processes);
        self.collected.sort_by(|a, b| a.path.cmp(&b.path));
        let Self { steps, paths, accesses, missing, denied, network, random, collected, absent, limit, .. } = self;
        Ok(Outcome {
            level,
            refused,
            landlock,
            root,
            steps,
            processes,
            paths,
            accesses,
            missing,
            denied,
            network,
            random,
            collected,
            absent,
            limit,
            lost,
            losses,
            duration_us,
        })
    }
}

/// Shows in a forked copy what its parent ran; a parent's number is always smaller, so one pass is enough.
fn inherit(processes: &mut [Process]) {
    for index in 0..processes.len() {
        let Some(parent) = processes[index].parent.filter(|&parent| !processes[index].executed && parent < index)
        else {
            continue;
        };
        let from = processes[parent].clone();
        let to = &mut processes[index];
        (to.exe, to.argv, to.cwd, to.variables) = (from.exe, from.argv, from.cwd, from.variables);
    }
}

fn protocol(what: String) -> SandboxError {
    SandboxError::Protocol { what }
}
