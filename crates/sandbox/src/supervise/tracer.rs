//! The tracer: runs one step at a time under `ptrace` and writes down what every process does.
//!
//! Reference: `ptrace(2)`, section on PTRACE_SEIZE. A watched call stops twice: before it, where number, arguments and path are read (so
//! that a process that dies within the call leaves a trace), and after it, where the result is. What it cannot see whole it counts as lost.
//! New children are attached by the kernel before their first instruction; a child may report itself before its parent reports it.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use libc::pid_t;

use super::calls::{Rule, Settings, UNKNOWN_FROM, rules};
use super::inside::{QUIET, STEP, YES};
use super::place;
use super::record::Book;
use super::scripts::Tracing;
use super::sink::Sink;
use super::spent::{CpuTime, own_us};
use super::stops::Pending;
use super::times::Wake;
use super::world::World;
use crate::error::Failure;
use crate::outcome::{AccessKind, Exit, Limit};
use crate::plan::{Limits, Plan};
use crate::sys;
use crate::sys::trace::{self, Report};

/// How often limits are looked at.
const TICK_MS: u64 = 100;
/// Reports taken at a tick before early children wait for the next.
const REPORTS_MAX: usize = 10_000;
/// The caller's word that there was too much output.
pub(crate) const TOO_MUCH_OUTPUT: u8 = b'o';

/// One thread under trace.
#[derive(Default)]
pub(super) struct Task {
    pub(super) process: pid_t,
    pub(super) pending: Option<Pending>,
    /// A sleep that a signal interrupted.
    pub(super) interrupted: Option<Wake>,
}

/// How a step ended.
pub(super) struct StepEnd {
    pub(super) exit: Exit,
    pub(super) duration: Duration,
    pub(super) survivors: u64,
}

/// Traces one run.
pub(super) struct Tracer<'a> {
    pub(super) init: pid_t,
    pub(super) root: OwnedFd,
    /// At `trace-only`: the directory that stands for `/`.
    pub(super) scratch: Option<String>,
    pub(super) rules: Vec<Option<Rule>>,
    pub(super) tasks: HashMap<pid_t, Task>,
    /// Processes whose memory or descriptors another thread or process may change while a call runs.
    pub(super) shared: HashSet<pid_t>,
    pub(super) book: Book,
    pub(super) sink: &'a mut Sink,
    pub(super) cpus: u32,
    pub(super) host_name: String,
    pub(super) limit: Option<Limit>,
    pub(super) world: World<'a>,
    pub(super) scripts: Tracing,
    settings: Settings,
    socket: UnixStream,
    limits: Limits,
    cpu: CpuTime,
    started: Instant,
    /// Children that stopped before their parent told of them; true once a tick has passed.
    early: HashMap<pid_t, bool>,
    step: usize,
    /// First process of the step, and how it ended.
    first: Option<pid_t>,
    exit: Option<Exit>,
    killing: bool,
}

impl Drop for Tracer<'_> {
    fn drop(&mut self) {
        self.kill_all();
    }
}

impl<'a> Tracer<'a> {
    /// Begins with an init that is attached already.
    pub(super) fn new(
        init: pid_t,
        socket: UnixStream,
        root: OwnedFd,
        settings: Settings,
        plan: &'a Plan,
        sink: &'a mut Sink,
    ) -> Self {
        let world = World::new(plan, &root);
        Self {
            init,
            root,
            scratch: None,
            rules: Vec::new(),
            world,
            scripts: Tracing::default(),
            settings,
            tasks: HashMap::new(),
            shared: HashSet::new(),
            book: Book::default(),
            sink,
            cpus: plan.cpus,
            host_name: plan.hostname.clone(),
            limit: None,
            socket,
            limits: plan.limits,
            cpu: CpuTime::default(),
            started: Instant::now(),
            early: HashMap::new(),
            step: 0,
            first: None,
            exit: None,
            killing: false,
        }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Runs one step to the end of all its processes.
    pub(super) fn run_step(&mut self, step: usize) -> Result<StepEnd, Failure> {
        let failed = |error: io::Error| Failure::setup("starting a step", "", error);
        let begun = Instant::now();
        (self.step, self.first, self.exit, self.killing) = (step, None, None, false);
        self.world.begin_step(step);
        self.begin_scripts(step);
        self.rules = vec![None; UNKNOWN_FROM as usize];
        for rule in rules(self.settings, self.world.knobs) {
            self.rules[rule.number as usize] = Some(rule);
        }
        let mut command = vec![STEP];
        command.extend((step as u32).to_le_bytes());
        self.socket.write_all(&command).map_err(failed)?;
        sys::tick_every(TICK_MS).map_err(failed)?;
        let survivors = self.follow()?;
        sys::tick_every(0).map_err(failed)?;
        let exit = self.exit.unwrap_or(Exit::Unknown);
        Ok(StepEnd { exit, duration: begun.elapsed(), survivors })
    }

    /// Follows everything until the step's first process has ended and no other is left; returns how many outlived it.
    fn follow(&mut self) -> Result<u64, Failure> {
        let mut survivors = None;
        loop {
            let report = trace::next_report().map_err(|error| Failure::setup("waiting for a process", "", error))?;
            if let Some(report) = report {
                self.take(report)?;
            }
            if sys::ticked() {
                self.tick()?;
            }
            if self.exit.is_some() {
                if survivors.is_none() {
                    survivors = Some(self.live_processes().len() as u64);
                    self.kill_all();
                }
                if self.tasks.is_empty() && self.early.is_empty() && self.is_quiet()? {
                    return Ok(survivors.unwrap_or(0));
                }
            }
        }
    }

    /// Asks init whether it has no child left: a process that nobody reported yet would be one.
    ///
    /// A signal that a step sent to init as its last act stops init before it can answer, so reports are taken meanwhile.
    fn is_quiet(&mut self) -> Result<bool, Failure> {
        const PAUSE_MS: i32 = 1;
        let failed = |error: io::Error| Failure::setup("asking init", "", error);
        self.socket.write_all(&[QUIET]).map_err(failed)?;
        loop {
            let readable = sys::poll_readable(&[Some(self.socket.as_fd())], PAUSE_MS).map_err(failed)?;
            if readable.contains(&true) {
                let mut answer = [0_u8];
                self.socket.read_exact(&mut answer).map_err(failed)?;
                return Ok(answer[0] == YES);
            }
            while let Some(report) = trace::report_at_hand().map_err(failed)? {
                self.take(report)?;
            }
            if sys::ticked() {
                self.tick()?;
            }
        }
    }

    fn take(&mut self, report: Report) -> Result<(), Failure> {
        let Report { pid, status, .. } = report;
        if libc::WIFEXITED(status) {
            self.ended(report, Exit::Code(libc::WEXITSTATUS(status)))
        } else if libc::WIFSIGNALED(status) {
            self.ended(report, Exit::Signal(libc::WTERMSIG(status)))
        } else {
            let signal = libc::WSTOPSIG(status);
            match status >> 16 {
                0 if signal == libc::SIGTRAP | 0x80 => self.call_ended(pid),
                0 => self.signalled(pid, signal),
                libc::PTRACE_EVENT_SECCOMP => self.call_begins(pid),
                libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => self.forked(pid),
                libc::PTRACE_EVENT_EXEC => self.executed(pid),
                libc::PTRACE_EVENT_STOP => self.stopped(pid, signal),
                _ => resume(pid),
            }
            Ok(())
        }
    }

    fn signalled(&mut self, pid: pid_t, signal: i32) {
        if pid == self.init {
            // Sent by a step: the kernel shields process 1 from those, but one that a tracer passes on counts as the outside's.
            return resume(pid);
        }
        if signal == libc::SIGXFSZ && self.limit.is_none() {
            // It dies of this signal, so that the trace says who it was; if it does not, the next tick ends it.
            self.limit = Some(Limit::FileSize);
            let process = self.tasks.get(&pid).map(|task| task.process);
            self.kill_all_but(process);
        }
        // A process that is gone needs no signal.
        trace::resume(pid, signal).ok();
    }

    fn stopped(&mut self, pid: pid_t, signal: i32) {
        let is_group_stop = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        if pid != self.init && !self.tasks.contains_key(&pid) {
            self.early.insert(pid, false);
        } else if is_group_stop && pid != self.init {
            trace::listen(pid).ok();
        } else {
            resume(pid);
        }
    }

    fn forked(&mut self, parent: pid_t) {
        self.tell_ran(self.process(parent));
        match trace::event_message(parent) {
            Ok(child) => {
                let flags = clone_flags(parent);
                self.adopt(child as pid_t, Some(parent), flags & libc::CLONE_THREAD as u64 != 0);
                self.share(parent, child as pid_t, flags);
            }
            // The parent was killed within the stop; its child reports itself and is adopted at a tick.
            Err(_) => return,
        }
        resume(parent);
    }

    /// Takes a new thread or process into the books.
    fn adopt(&mut self, child: pid_t, parent: Option<pid_t>, is_thread: bool) {
        if self.tasks.contains_key(&child) {
            // Its parent's report came after it was taken for an orphan, which is counted as a loss.
            return resume(child);
        }
        let parent_process = parent.and_then(|parent| self.tasks.get(&parent)).map(|task| task.process);
        let process = if is_thread { parent_process.unwrap_or(child) } else { child };
        self.tasks.insert(child, Task { process, ..Task::default() });
        if process == child {
            let inside = place::inner_pid(child).unwrap_or(0);
            let now = self.now_us();
            self.book.fork(child, parent_process, inside, self.step, now, &mut |event| self.sink.emit(event));
            self.world.fork(child, parent_process);
            self.scripts.fork(child, parent_process);
            self.cpu.begin(child, parent_process);
        }
        if parent == Some(self.init) && self.first.is_none() {
            self.first = Some(child);
        }
        if self.tasks.len() as u64 > self.limits.processes {
            self.reach_limit(Limit::Processes);
        }
        if self.killing {
            sys::kill(child, libc::SIGKILL).ok();
        }
        if self.early.remove(&child).is_some() {
            resume(child);
        }
    }

    fn share(&mut self, parent: pid_t, child: pid_t, flags: u64) {
        let (parent, child) = (self.process(parent), self.process(child));
        let with_parent =
            flags & (libc::CLONE_VM | libc::CLONE_FILES) as u64 != 0 && flags & libc::CLONE_VFORK as u64 == 0;
        if with_parent {
            self.shared.extend([parent, child]);
        } else if self.shared.contains(&parent) {
            // What `vfork` makes has the memory of a parent whose other threads run on.
            self.shared.insert(child);
        }
    }

    fn executed(&mut self, pid: pid_t) {
        self.shared.remove(&pid);
        let former = trace::event_message(pid).map_or(pid, |former| former as pid_t);
        // Whichever thread called, the process goes on alone under its leader's number.
        self.tasks.retain(|&id, task| task.process != pid || id == pid || id == former);
        if former != pid {
            self.tasks.remove(&former);
        }
        self.tasks.insert(pid, Task { process: pid, ..Task::default() });
        match place::program(pid) {
            Ok(program) => {
                let now = self.now_us();
                self.begin_program(pid, &program);
                self.end_script(pid);
                let start = self.script_of(&program);
                let loader = place::loader(pid, &program.exe);
                self.book.execute(pid, program, now, &mut |event| self.sink.emit(event));
                match loader {
                    Ok(Some(path)) => self.book.access(pid, path, AccessKind::Read, &mut |event| self.sink.emit(event)),
                    Ok(None) => {}
                    Err(error) => self.lose_unless_gone(pid, &format!("loader ({error})")),
                }
                self.begin_script(pid, start);
            }
            Err(error) => self.book.lose(format!("program of process {pid}: {error}")),
        }
        resume(pid);
    }

    fn ended(&mut self, report: Report, exit: Exit) -> Result<(), Failure> {
        let pid = report.pid;
        if pid == self.init {
            return Err(Failure::setup("running the sandbox", "", "its first process ended early"));
        }
        self.early.remove(&pid);
        let Some(task) = self.tasks.remove(&pid) else { return Ok(()) };
        self.unfinished(pid, &task);
        if task.process == pid {
            self.tasks.retain(|_, other| other.process != pid);
            self.shared.remove(&pid);
            self.world.end(pid);
            self.end_script(pid);
            self.cpu.end(pid, report.cpu_us);
            let usage = (report.cpu_us, report.rss_max_kib);
            let now = self.now_us();
            self.book.end(pid, exit, usage, now, &mut |event| self.sink.emit(event));
        }
        if self.first == Some(pid) {
            self.exit = Some(exit);
        }
        Ok(())
    }

    pub(super) fn live_processes(&self) -> HashSet<pid_t> {
        self.tasks.values().map(|task| task.process).collect()
    }

    fn kill_all(&mut self) {
        self.kill_all_but(None);
    }

    fn kill_all_but(&mut self, spared: Option<pid_t>) {
        self.killing = true;
        let all = self.live_processes().into_iter().chain(self.early.keys().copied());
        for process in all.filter(|&process| Some(process) != spared) {
            // What is gone already is what is wanted.
            sys::kill(process, libc::SIGKILL).ok();
        }
    }

    /// Ends the run; the first limit is the one that is told.
    pub(super) fn reach_limit(&mut self, limit: Limit) {
        if self.limit.is_none() {
            self.limit = Some(limit);
            self.kill_all();
        }
    }

    fn tick(&mut self) -> Result<(), Failure> {
        if sys::terminated() || self.sink.is_broken() {
            return Err(Failure::setup("running the sandbox", "", "the caller is gone"));
        }
        if self.started.elapsed() > Duration::from_millis(self.limits.wall_ms) {
            self.reach_limit(Limit::Wall);
        }
        if let Some(cpu_ms) = self.limits.cpu_ms
            && self.cpu.look(own_us) > cpu_ms.saturating_mul(1000)
        {
            self.reach_limit(Limit::Cpu);
        }
        self.book.ease(&mut |event| self.sink.emit(event));
        self.watch_events();
        let memory: u64 = self.live_processes().into_iter().map(place::private_bytes).sum();
        if memory > self.limits.memory_bytes {
            self.reach_limit(Limit::Memory);
        }
        if self.sink.word()? == Some(TOO_MUCH_OUTPUT) {
            self.reach_limit(Limit::Output);
        }
        if self.killing {
            self.kill_all();
        }
        if self.early.is_empty() || self.take_all()? {
            self.adopt_orphans();
        }
        self.sink.flush();
        Ok(())
    }

    /// Takes what the kernel has to report, for the parent of an early child may be among it; returns whether nothing was left.
    ///
    /// The kernel reports the oldest processes first, so that busy ones can keep a younger one's report waiting for long.
    fn take_all(&mut self) -> Result<bool, Failure> {
        for _ in 0..REPORTS_MAX {
            match trace::report_at_hand().map_err(|error| Failure::setup("waiting for a process", "", error))? {
                Some(report) => self.take(report)?,
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// A child whose parent was killed before it could report it: attributed to nobody, and counted as a loss.
    fn adopt_orphans(&mut self) {
        let waiting: Vec<pid_t> = self.early.iter().filter(|(_, waited)| **waited).map(|(&pid, _)| pid).collect();
        self.early.values_mut().for_each(|waited| *waited = true);
        for pid in waiting {
            if !self.killing {
                self.book.lose(format!("parent of process {pid}"));
            }
            self.adopt(pid, None, false);
        }
    }

    /// Whether the call before the limit of events was the last; asked between ticks, where a flood would outrun them.
    pub(super) fn watch_events(&mut self) {
        if self.book.weight() > self.limits.events {
            self.reach_limit(Limit::Events);
        }
    }

    /// Ends the books; returns what was lost, and when.
    pub(super) fn close(&mut self) -> (u64, Vec<String>, u64) {
        let now = self.now_us();
        self.end_scripts();
        self.book.end_all(now, &mut |event| self.sink.emit(event));
        let (lost, losses) = self.book.lost();
        (lost, losses, now)
    }

    pub(super) fn root(&self) -> std::os::fd::BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// Lets a tracee run on; one that was killed in its stop cannot, and will report its end.
pub(super) fn resume(pid: pid_t) {
    trace::resume(pid, 0).ok();
}

/// Returns the flags of the `clone` that a process stopped in; `fork` and `vfork` have none.
fn clone_flags(parent: pid_t) -> u64 {
    let is_clone = trace::call_number(parent).is_ok_and(|number| number == libc::SYS_clone);
    if is_clone { trace::first_argument(parent).unwrap_or(0) } else { 0 }
}
