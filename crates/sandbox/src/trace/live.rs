//! What must be remembered while a trace is read: the processes that live, and the paths that still have numbers.
//!
//! Memory is bounded by the processes alive at once and by [`PATHS_MAX`] and [`PATH_BYTES_MAX`], however long the trace is: who asks
//! for more than that is told so by an error.

use std::collections::HashMap;
use std::rc::Rc;

use crate::event::Event;

/// How many paths have numbers at once: then the tracer forgets them all, and begins to number anew.
pub const PATHS_MAX: usize = 1 << 17;
/// How many bytes those paths have together.
pub const PATH_BYTES_MAX: usize = 8 << 20;
/// How many processes may be alive at once in a trace that is read; `Limits::processes` is far lower.
const PROCESSES_MAX: usize = 1 << 17;
/// How many bytes of a program's arguments are remembered, and how many of them; the event has them all.
const ARGV_BYTES_MAX: usize = 1 << 10;
const ARGV_MAX: usize = 64;

/// A program that a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Resolved path.
    pub exe: String,
    /// Arguments, the first 64, as far as they fit into a kibibyte.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: String,
}

/// A process that lives.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Process id inside.
    pub pid: u32,
    /// Number of who started it.
    pub parent: Option<usize>,
    /// Step.
    pub step: usize,
    /// What it runs: its own program, or that of the process that it was forked from.
    pub program: Rc<Program>,
}

/// Why an event cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// It names a process that is not alive.
    #[error("an event names process {0}, which does not live")]
    Process(usize),
    /// A process gets a number that is not the next.
    #[error("process number {0} is out of order")]
    ProcessOrder(usize),
    /// It names a path without a number.
    #[error("an event names path {0}, which has no number")]
    Path(usize),
    /// A path gets a number that is not the next.
    #[error("path number {0} is out of order")]
    PathOrder(usize),
    /// More than a trace of ours can have.
    #[error(
        "more than {PROCESSES_MAX} processes live, or more than {PATHS_MAX} paths of {PATH_BYTES_MAX} bytes have numbers"
    )]
    TooMuch,
}

/// Follows events.
#[derive(Debug, Default)]
pub struct Live {
    processes: HashMap<usize, Seen>,
    /// How many processes there were.
    next_process: usize,
    /// The number of the first path in `paths`.
    first_path: usize,
    paths: Vec<Box<str>>,
    path_bytes: usize,
    /// Version 1 told of a fork when it ended, maybe after its parent: there the ended are kept too.
    keeps_ended: bool,
}

impl Live {
    /// For a trace of version 1, which bounds nothing but its events.
    pub(super) fn of_version_1() -> Live {
        Live { keeps_ended: true, ..Live::default() }
    }

    /// Takes the next event. What an `end` names lives until then: ask before.
    pub fn take(&mut self, event: &Event) -> Result<(), LiveError> {
        match event {
            Event::Path { id, path } => self.add_path(*id, path),
            Event::Forget => {
                self.first_path += self.paths.len();
                self.paths.clear();
                self.path_bytes = 0;
                Ok(())
            }
            Event::Fork { id, pid, parent, step, .. } => {
                let program = self.program_of(*parent);
                self.begin(*id, Seen { pid: *pid, parent: *parent, step: *step, program })
            }
            Event::Process { .. } => self.execute(event),
            Event::Access { process, path, .. } => {
                self.must_live(*process)?;
                self.path(*path).map(drop).ok_or(LiveError::Path(*path))
            }
            Event::Denied(denied) => self.must_live(denied.process),
            Event::Network(network) => self.must_live(network.process),
            Event::Random(random) => self.must_live(random.process),
            Event::End { process, .. } => {
                self.must_live(*process)?;
                if !self.keeps_ended {
                    self.processes.remove(process);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Returns a process that lives.
    pub fn process(&self, id: usize) -> Option<&Seen> {
        self.processes.get(&id)
    }

    /// Returns the path that has this number now.
    pub fn path(&self, id: usize) -> Option<&str> {
        self.paths.get(id.checked_sub(self.first_path)?).map(|path| &**path)
    }

    /// How many processes there were so far.
    pub fn processes(&self) -> usize {
        self.next_process
    }

    fn must_live(&self, id: usize) -> Result<(), LiveError> {
        if self.processes.contains_key(&id) { Ok(()) } else { Err(LiveError::Process(id)) }
    }

    fn program_of(&self, process: Option<usize>) -> Rc<Program> {
        let found = process.and_then(|process| self.processes.get(&process));
        found.map_or_else(Rc::default, |seen| Rc::clone(&seen.program))
    }

    fn add_path(&mut self, id: usize, path: &str) -> Result<(), LiveError> {
        if id != self.first_path + self.paths.len() {
            return Err(LiveError::PathOrder(id));
        }
        self.path_bytes += path.len();
        if !self.keeps_ended && (self.paths.len() >= PATHS_MAX || self.path_bytes > PATH_BYTES_MAX + PATH_BYTES_MAX / 8)
        {
            return Err(LiveError::TooMuch);
        }
        self.paths.push(path.into());
        Ok(())
    }

    fn begin(&mut self, id: usize, seen: Seen) -> Result<(), LiveError> {
        if id != self.next_process && !self.keeps_ended {
            return Err(LiveError::ProcessOrder(id));
        }
        if self.processes.len() >= PROCESSES_MAX && !self.keeps_ended {
            return Err(LiveError::TooMuch);
        }
        if seen.parent.is_some_and(|parent| parent >= id) {
            return Err(LiveError::Process(id));
        }
        self.next_process = self.next_process.max(id.saturating_add(1));
        self.processes.insert(id, seen);
        Ok(())
    }

    fn execute(&mut self, event: &Event) -> Result<(), LiveError> {
        let Event::Process { id, pid, parent, replaces, step, executed, exe, argv, cwd, .. } = event else {
            return Ok(());
        };
        let program = if *executed {
            Rc::new(Program { exe: exe.clone(), argv: beginning(argv), cwd: cwd.clone() })
        } else {
            self.program_of(*parent)
        };
        if replaces.is_some_and(|replaced| replaced >= *id) {
            return Err(LiveError::Process(*id));
        }
        match self.processes.get_mut(id).filter(|_| replaces.is_none()) {
            Some(seen) => {
                seen.program = program;
                Ok(())
            }
            None => self.begin(*id, Seen { pid: *pid, parent: *parent, step: *step, program }),
        }
    }
}

fn beginning(argv: &[String]) -> Vec<String> {
    let mut left = ARGV_BYTES_MAX;
    let mut out = Vec::new();
    for argument in argv.iter().take(ARGV_MAX) {
        let end = argument.floor_char_boundary(left);
        out.push(argument[..end].to_owned());
        left -= end;
        if end < argument.len() || left == 0 {
            break;
        }
    }
    out
}
