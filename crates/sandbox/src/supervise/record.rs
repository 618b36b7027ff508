//! What the tracer knows of the processes inside, and the events that it tells: no system calls here.
//!
//! Memory is bounded by the processes alive and by constants: what they did is told when it is much ([`HELD_MAX`]), and paths are
//! forgotten when they are many ([`crate::trace::live::PATHS_MAX`]).

use std::collections::{BTreeMap, HashMap};

use crate::event::Event;
use crate::outcome::{AccessKind, Denied, Exit, Network, Random};
use crate::trace::live::{PATH_BYTES_MAX, PATHS_MAX};

#[cfg(test)]
mod tests;

/// Only the first few losses are told in words; all are counted.
const LOSSES_TOLD: usize = 16;
/// A line longer than this counts as more than one event, so that the limit bounds bytes too.
const EVENT_WEIGHT_BYTES: usize = 4096;

/// How many distinct things that processes did are held back, to be counted, at most.
const HELD_MAX: usize = 1 << 16;

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
    path_bytes: usize,
    next_path: usize,
    /// Distinct things that live processes did and that were not told yet.
    held: usize,
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

    /// Returns the number that events have for a process.
    pub(super) fn id(&self, process: i32) -> Option<usize> {
        self.live.get(&process).map(|live| live.id)
    }

    /// Counts an event that was not seen whole.
    pub(super) fn lose(&mut self, what: String) {
        self.lost += 1;
        if self.losses.len() < LOSSES_TOLD {
            self.losses.push(what);
        }
    }

    /// A process was forked.
    pub(super) fn fork(
        &mut self,
        process: i32,
        parent: Option<i32>,
        pid: u32,
        step: usize,
        now_us: u64,
        emit: &mut Emit<'_>,
    ) {
        let parent = parent.and_then(|parent| self.live.get(&parent)).map(|live| live.id);
        let id = self.processes;
        self.weight += tell(Event::Fork { id, pid, parent, step, start_us: now_us }, emit);
        self.begin(process, Live::new(id, pid, parent, None, step, now_us));
    }

    fn begin(&mut self, process: i32, live: Live) {
        self.processes += 1;
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
            self.weight += 1 + tell(live.event(program), emit);
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
            let is_new = *count == 0;
            *count += 1;
            self.hold(is_new);
        }
        self.ease(emit);
    }

    /// Tells what is held back, if it is much.
    pub(super) fn ease(&mut self, emit: &mut Emit<'_>) {
        if self.held >= HELD_MAX {
            self.tell_all(emit);
        }
    }

    fn hold(&mut self, is_new: bool) {
        self.weight += u64::from(is_new);
        self.held += usize::from(is_new);
    }

    fn intern(&mut self, path: String, emit: &mut Emit<'_>) -> usize {
        if let Some(&id) = self.paths.get(path.as_str()) {
            return id;
        }
        if self.paths.len() >= PATHS_MAX || self.path_bytes + path.len() > PATH_BYTES_MAX {
            self.tell_all(emit);
            self.paths.clear();
            self.path_bytes = 0;
            self.weight += tell(Event::Forget, emit);
        }
        let id = self.next_path;
        self.next_path += 1;
        self.path_bytes += path.len();
        self.paths.insert(path.clone().into_boxed_str(), id);
        self.weight += tell(Event::Path { id, path }, emit);
        id
    }

    /// Tells what every live process did so far.
    fn tell_all(&mut self, emit: &mut Emit<'_>) {
        let mut live: Vec<&mut Live> = self.live.values_mut().collect();
        live.sort_unstable_by_key(|live| live.id);
        live.into_iter().for_each(|live| live.tell(emit));
        self.held = 0;
    }

    /// The sandbox refused a call.
    pub(super) fn deny(&mut self, process: i32, what: String) {
        match self.live.get_mut(&process) {
            Some(live) => {
                let count = live.denied.entry(what).or_insert(0);
                let is_new = *count == 0;
                *count += 1;
                self.hold(is_new);
            }
            None => self.lose(format!("refusal of `{what}` to an unknown process")),
        }
    }

    /// A process tried to reach an address.
    pub(super) fn reach(&mut self, process: i32, call: &str, address: String, loopback: bool, errno: i32) {
        match self.live.get_mut(&process) {
            Some(live) => {
                let count = live.network.entry((call.to_owned(), address, loopback, errno)).or_insert(0);
                let is_new = *count == 0;
                *count += 1;
                self.hold(is_new);
            }
            None => self.lose(format!("{call} of an unknown process to {address}")),
        }
    }

    /// A process asked for randomness.
    pub(super) fn draw(&mut self, process: i32, source: &'static str, seeded: bool) {
        match self.live.get_mut(&process) {
            Some(live) => {
                let count = live.drawn.entry((source, seeded)).or_insert(0);
                let is_new = *count == 0;
                *count += 1;
                self.hold(is_new);
            }
            None => self.lose(format!("randomness for an unknown process from {source}")),
        }
    }

    /// A process ended: tells all that it did.
    pub(super) fn end(&mut self, process: i32, exit: Exit, usage: (u64, u64), now_us: u64, emit: &mut Emit<'_>) {
        let Some(mut live) = self.live.remove(&process) else { return };
        let id = live.id;
        self.held = self.held.saturating_sub(live.held());
        live.tell(emit);
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

    fn held(&self) -> usize {
        self.accesses.len() + self.denied.len() + self.network.len() + self.drawn.len()
    }

    /// Tells what it did since the last time.
    fn tell(&mut self, emit: &mut Emit<'_>) {
        let id = self.id;
        for ((path, kind), count) in std::mem::take(&mut self.accesses) {
            tell(Event::Access { process: id, path, kind, count }, emit);
        }
        for (what, count) in std::mem::take(&mut self.denied) {
            tell(Event::Denied(Denied { process: id, what, count }), emit);
        }
        for ((call, address, loopback, errno), count) in std::mem::take(&mut self.network) {
            tell(Event::Network(Network { process: id, call, address, loopback, errno, count }), emit);
        }
        for ((source, seeded), count) in std::mem::take(&mut self.drawn) {
            tell(Event::Random(Random { process: id, source: source.to_owned(), seeded, count }), emit);
        }
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
