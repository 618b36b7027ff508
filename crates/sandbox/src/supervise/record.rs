//! What the tracer knows of the processes inside, and the events that it tells: no system calls here.
//!
//! Memory is bounded by the processes alive, their distinct (path, kind) pairs, and the distinct paths of the whole run; the last is
//! bounded by the limit of events.

use std::collections::{BTreeMap, HashMap};

use crate::event::Event;
use crate::outcome::{AccessKind, Denied, Exit, Network, Random};

#[cfg(test)]
mod tests;

/// Only the first few losses are told in words; all are counted.
const LOSSES_TOLD: usize = 16;
/// A line longer than this counts as more than one event, so that the limit bounds bytes too.
const EVENT_WEIGHT_BYTES: usize = 4096;

/// Where events go.
pub(super) type Emit<'a> = dyn FnMut(&Event) -> usize + 'a;

/// What `/proc` tells about a program at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) exe: String,
    pub(super) argv: Vec<String>,
    pub(super) cwd: String,
    pub(super) variables: BTreeMap<String, String>,
}

/// One live process.
#[derive(Debug)]
struct Live {
    id: usize,
    pid: u32,
    parent: Option<usize>,
    replaces: Option<usize>,
    step: usize,
    executed: bool,
    start_us: u64,
    accesses: BTreeMap<(usize, AccessKind), u64>,
    denied: BTreeMap<String, u64>,
    network: BTreeMap<(String, String, bool, i32), u64>,
    /// Sources of randomness, each with whether it was seeded.
    drawn: BTreeMap<(&'static str, bool), u64>,
}

/// The book of one run. Processes are named by the tracer's own number for them (their thread group).
#[derive(Default)]
pub(super) struct Book {
    live: HashMap<i32, Live>,
    paths: HashMap<Box<str>, usize>,
    processes: usize,
    weight: u64,
    lost: u64,
    losses: Vec<String>,
}

impl Book {
    /// Events told and held so far, to be compared with the limit.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn lost(&self) -> (u64, Vec<String>) {
        (self.lost, self.losses.clone())
    }

    /// Counts an event that was not seen whole.
    pub(super) fn lose(&mut self, what: String) {
        self.lost += 1;
        if self.losses.len() < LOSSES_TOLD {
            self.losses.push(what);
        }
    }

    /// A process was forked.
    pub(super) fn fork(&mut self, process: i32, parent: Option<i32>, pid: u32, step: usize, now_us: u64) {
        let parent = parent.and_then(|parent| self.live.get(&parent)).map(|live| live.id);
        self.begin(process, Live::new(self.processes, pid, parent, None, step, now_us));
    }

    fn begin(&mut self, process: i32, live: Live) {
        self.processes += 1;
        self.weight += 1;
        self.live.insert(process, live);
    }

    /// A process became a program; after its first, each further one is a new entry.
    pub(super) fn execute(&mut self, process: i32, program: Program, now_us: u64, emit: &mut Emit<'_>) {
        let Some(old) = self.live.get(&process) else {
            return self.lose(format!("program `{}` of an unknown process", program.exe));
        };
        if old.executed {
            let next = self.processes;
            let live = Live::new(next, old.pid, old.parent, Some(old.id), old.step, now_us);
            self.end(process, Exit::Exec(next), (0, 0), now_us, emit);
            self.begin(process, live);
        }
        let exe = program.exe.clone();
        if let Some(live) = self.live.get_mut(&process) {
            live.executed = true;
            self.weight += tell(live.event(program), emit);
        }
        self.access(process, exe, AccessKind::Execute, emit);
    }

    /// A process touched a path.
    pub(super) fn access(&mut self, process: i32, path: String, kind: AccessKind, emit: &mut Emit<'_>) {
        if !self.live.contains_key(&process) {
            return self.lose(format!("access of an unknown process to `{path}`"));
        }
        let id = self.intern(path, emit);
        if let Some(live) = self.live.get_mut(&process) {
            let count = live.accesses.entry((id, kind)).or_insert(0);
            self.weight += u64::from(*count == 0);
            *count += 1;
        }
    }

    fn intern(&mut self, path: String, emit: &mut Emit<'_>) -> usize {
        if let Some(&id) = self.paths.get(path.as_str()) {
            return id;
        }
        let id = self.paths.len();
        self.paths.insert(path.clone().into_boxed_str(), id);
        self.weight += tell(Event::Path { id, path }, emit);
        id
    }

    /// The sandbox refused a call.
    pub(super) fn deny(&mut self, process: i32, what: String) {
        match self.live.get_mut(&process) {
            Some(live) => {
                let count = live.denied.entry(what).or_insert(0);
                self.weight += u64::from(*count == 0);
                *count += 1;
            }
            None => self.lose(format!("refusal of `{what}` to an unknown process")),
        }
    }

    /// A process tried to reach an address.
    pub(super) fn reach(&mut self, process: i32, call: &str, address: String, loopback: bool, errno: i32) {
        match self.live.get_mut(&process) {
            Some(live) => {
                let count = live.network.entry((call.to_owned(), address, loopback, errno)).or_insert(0);
                self.weight += u64::from(*count == 0);
                *count += 1;
            }
            None => self.lose(format!("{call} of an unknown process to {address}")),
        }
    }

    /// A process asked for randomness.
    pub(super) fn draw(&mut self, process: i32, source: &'static str, seeded: bool) {
        match self.live.get_mut(&process) {
            Some(live) => {
                let count = live.drawn.entry((source, seeded)).or_insert(0);
                self.weight += u64::from(*count == 0);
                *count += 1;
            }
            None => self.lose(format!("randomness for an unknown process from {source}")),
        }
    }

    /// A process ended: tells all that it did.
    pub(super) fn end(&mut self, process: i32, exit: Exit, usage: (u64, u64), now_us: u64, emit: &mut Emit<'_>) {
        let Some(live) = self.live.remove(&process) else { return };
        let id = live.id;
        if !live.executed {
            self.weight += tell(live.event(Program::default()), emit);
        }
        for ((path, kind), count) in live.accesses {
            tell(Event::Access { process: id, path, kind, count }, emit);
        }
        for (what, count) in live.denied {
            tell(Event::Denied(Denied { process: id, what, count }), emit);
        }
        for ((call, address, loopback, errno), count) in live.network {
            tell(Event::Network(Network { process: id, call, address, loopback, errno, count }), emit);
        }
        for ((source, seeded), count) in live.drawn {
            tell(Event::Random(Random { process: id, source: source.to_owned(), seeded, count }), emit);
        }
        let duration_us = now_us.saturating_sub(live.start_us);
        let (cpu_us, rss_max_kib) = usage;
        self.weight += tell(Event::End { process: id, exit, duration_us, cpu_us, rss_max_kib }, emit);
    }

    /// Ends every process that is still in the book: the sandbox went away under them.
    pub(super) fn end_all(&mut self, now_us: u64, emit: &mut Emit<'_>) {
        let mut left: Vec<i32> = self.live.keys().copied().collect();
        left.sort_unstable();
        for process in left {
            self.end(process, Exit::Unknown, (0, 0), now_us, emit);
        }
    }
}

impl Live {
    fn new(id: usize, pid: u32, parent: Option<usize>, replaces: Option<usize>, step: usize, start_us: u64) -> Self {
        let (accesses, denied, network, drawn) = Default::default();
        Self { id, pid, parent, replaces, step, executed: false, start_us, accesses, denied, network, drawn }
    }

    fn event(&self, program: Program) -> Event {
        let Self { id, pid, parent, replaces, step, executed, start_us, .. } = *self;
        let Program { exe, argv, cwd, variables } = program;
        Event::Process { id, pid, parent, replaces, step, executed, exe, argv, cwd, variables, start_us }
    }
}

fn tell(event: Event, emit: &mut Emit<'_>) -> u64 {
    1 + (emit(&event) / EVENT_WEIGHT_BYTES) as u64
}

/// Turns bytes from the kernel into text that loses nothing: what is not UTF-8 becomes `\xNN`.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::with_capacity(bytes.len()), |mut text, chunk| {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        text
    })
}
