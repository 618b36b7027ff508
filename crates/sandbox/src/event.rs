//! The events of a trace, as the supervisor sends them; and what follows from them: the [`Summary`] of a run, and, where all of it fits
//! into memory, its [`Outcome`].
//!
//! How they are kept is [`crate::trace`]. Processes and paths are numbered from 0; an access stands once for each (process, path, kind)
//! until the tracer tells what it holds: when the process ends, or when it holds much. Counts of the same add up. `forget` takes all
//! paths their numbers, and the next path goes on counting. Bytes that are not UTF-8 are written as `\xNN`. Times count microseconds
//! from the start of the run. As `assay trace` prints them, a real trace, shortened:
//!
//! ```json
//! {"event":"start","format":"assay-trace","version":2,"level":"full","refused":[],"landlock":null,"root":null}
//! {"event":"fork","id":0,"pid":2,"parent":null,"step":0,"start_us":1842}
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
//! (A line is one line; the process above is broken for reading.) Version 1 was these lines: it had no `fork`, told of a process that ran no
//! program when it ended (`executed` false), and forgot nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Failure, SandboxError};
use crate::outcome::{
    Access, AccessKind, Collected, Denied, Exit, Limit, Network, Outcome, Process, Random, Refusal, StepOutcome,
    Summary,
};
use crate::plan::{Level, Plan};
use crate::probe::Probe;
use crate::script::ScriptEvent;
use crate::tier::{Randomness, Tier};
use crate::trace::live::Live;

#[cfg(test)]
mod tests;

/// The word in the first line.
pub const TRACE_FORMAT: &str = "assay-trace";
/// The version that is written.
pub const TRACE_VERSION: u32 = 2;
/// The version that was one JSON object a line.
pub const TRACE_VERSION_LINES: u32 = 1;

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
    /// A process begins as the copy of another; a thread is none.
    Fork {
        /// Number.
        id: usize,
        /// Process id inside.
        pid: u32,
        /// Who started it; `None` for a step's first process.
        parent: Option<usize>,
        /// Step.
        step: usize,
        /// Start.
        start_us: u64,
    },
    /// All paths lose their numbers.
    Forget,
    /// A path gets its number.
    Path {
        /// Number.
        id: usize,
        /// Absolute path.
        path: String,
    },
    /// A process runs a program: its first under its own number, each further one under a new.
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
        /// Always true; in version 1 false for a process that ran none: then the next four fields are empty and its parent's hold.
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
    /// About shell scripts.
    Script(ScriptEvent),
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

/// Folds events into a summary: what it holds is bounded by the plan and by what is copied out, not by what the steps do.
#[derive(Default)]
pub(crate) struct Fold {
    start: Option<Start>,
    steps: Vec<StepOutcome>,
    live: Live,
    accesses: u64,
    collected: Vec<Collected>,
    absent: Vec<String>,
    limit: Option<Limit>,
    finished: Option<(u64, Vec<String>, u64)>,
}

impl Fold {
    /// Takes one event.
    pub(crate) fn add(&mut self, event: &Event, plan: &Plan) -> Result<(), SandboxError> {
        self.live.take(event).map_err(|error| protocol(error.to_string()))?;
        match event {
            Event::Start { format, version, level, refused, landlock, root } => {
                if format != TRACE_FORMAT || *version != TRACE_VERSION {
                    return Err(protocol(format!("format `{format}` version {version}")));
                }
                let (refused, root) = (refused.clone(), root.clone());
                self.start = Some(Start { level: *level, refused, landlock: *landlock, root });
            }
            Event::Access { .. } => self.accesses += 1,
            Event::Step { step, exit, duration_us, survivors, tier, randomness } => {
                let planned = plan.steps.get(*step).filter(|step| (step.tier, step.randomness) == (*tier, *randomness));
                let planned =
                    planned.ok_or_else(|| protocol(format!("step {step} of tier {tier} is not in the plan")))?;
                self.steps.push(StepOutcome {
                    name: planned.name.clone(),
                    exit: *exit,
                    duration_us: *duration_us,
                    survivors: *survivors,
                    tier: *tier,
                    randomness: *randomness,
                });
            }
            Event::Limit { limit } => self.limit = self.limit.take().or(Some(limit.clone())),
            Event::Collected(collected) => self.collected.push(collected.clone()),
            Event::Absent { path } => self.absent.push(path.clone()),
            Event::Finished { lost, losses, duration_us } => {
                self.finished = Some((*lost, losses.clone(), *duration_us));
            }
            Event::Failed { failure } => return Err(failure.clone().into()),
            Event::Probed { .. } => return Err(protocol("a probe's answer within a run".to_owned())),
            _ => {}
        }
        Ok(())
    }

    /// What lives after the last event.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Whether the last event came.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Returns the summary; the events must be complete.
    pub(crate) fn summary(mut self) -> Result<Summary, SandboxError> {
        let Start { level, refused, landlock, root } =
            self.start.take().ok_or_else(|| protocol("no start".to_owned()))?;
        let (lost, losses, duration_us) = self.finished.take().ok_or_else(|| protocol("no end".to_owned()))?;
        self.collected.sort_by(|a, b| a.path.cmp(&b.path));
        let (processes, accesses) = (self.live.processes(), self.accesses);
        let Self { steps, collected, absent, limit, .. } = self;
        Ok(Summary {
            level,
            refused,
            landlock,
            root,
            steps,
            processes,
            accesses,
            collected,
            absent,
            limit,
            lost,
            losses,
            duration_us,
        })
    }
}

impl Outcome {
    /// Returns all that the events of one run tell: memory for all of it is needed, so this is for small runs.
    pub fn of(events: impl IntoIterator<Item = Event>, plan: &Plan) -> Result<Outcome, SandboxError> {
        let mut fold = Fold::default();
        let mut all = All::default();
        for event in events {
            fold.add(&event, plan)?;
            all.add(event);
        }
        let summary = fold.summary()?;
        let All { processes, paths, accesses, missing, denied, network, random } = all;
        let Summary { level, refused, landlock, root, steps, collected, .. } = summary;
        let Summary { absent, limit, lost, losses, duration_us, .. } = summary;
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

/// What a summary leaves out.
#[derive(Default)]
struct All {
    processes: Vec<Process>,
    paths: Vec<String>,
    accesses: Vec<Access>,
    missing: Vec<Access>,
    denied: Vec<Denied>,
    network: Vec<Network>,
    random: Vec<Random>,
}

impl All {
    /// Takes an event that [`Live`] has found to be in order.
    fn add(&mut self, event: Event) {
        match event {
            Event::Path { path, .. } => self.paths.push(path),
            Event::Access { process, path, kind, count } => {
                let list = if kind.is_failure() { &mut self.missing } else { &mut self.accesses };
                match list.iter_mut().find(|one| (one.process, one.path, one.kind) == (process, path, kind)) {
                    Some(one) => one.count += count,
                    None => list.push(Access { process, path, kind, count }),
                }
            }
            Event::Denied(denied) => self.denied.push(denied),
            Event::Network(network) => self.network.push(network),
            Event::Random(random) => self.random.push(random),
            Event::Fork { id, pid, parent, step, start_us } => {
                let copy = Process { id, pid, parent, step, executed: false, start_us, ..Process::default() };
                let of = parent.and_then(|parent| self.processes.get(parent)).cloned();
                self.processes.push(match of {
                    Some(Process { exe, argv, cwd, variables, .. }) => Process { exe, argv, cwd, variables, ..copy },
                    None => copy,
                });
            }
            Event::Process { id, pid, parent, replaces, step, executed, exe, argv, cwd, variables, start_us } => {
                let program = Process {
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
                    ..Process::default()
                };
                match self.processes.get_mut(id) {
                    Some(process) => *process = program,
                    None => self.processes.push(program),
                }
            }
            Event::End { process, exit, duration_us, cpu_us, rss_max_kib } => {
                if let Some(process) = self.processes.get_mut(process) {
                    (process.exit, process.duration_us) = (exit, duration_us);
                    (process.cpu_us, process.rss_max_kib) = (cpu_us, rss_max_kib);
                }
            }
            _ => {}
        }
    }
}

fn protocol(what: String) -> SandboxError {
    SandboxError::Protocol { what }
}
