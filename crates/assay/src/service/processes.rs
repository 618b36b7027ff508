//! Processes as `/proc` shows them: which one it is, and which hold a file.
//!
//! What another user runs shows no descriptors; whoever asks must allow for processes that are there but not seen.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// Process id.
    pub(crate) pid: u32,
    start: u64,
}

impl ProcessId {
    /// Identifies a process that runs now.
    pub(crate) fn of(pid: u32) -> Option<ProcessId> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let after_name = &stat[stat.rfind(')')? + 1..];
        let mut fields = after_name.split_whitespace();
        if fields.next()? == "Z" {
            return None;
        }
        let start = fields.nth(18)?.parse().ok()?; // field 22, counted from the state, which is field 3
        Some(ProcessId { pid, start })
    }

    /// Whether that very process still runs.
    pub(crate) fn alive(self) -> bool {
        ProcessId::of(self.pid) == Some(self)
    }

    /// Signals it, if it still runs.
    pub(crate) fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (true, Some(pid)) = (self.alive(), pid) {
            let _gone = kill_process(pid, signal); // it may have ended meanwhile, which is what we want
        }
    }

    /// Whether its first argument is this word.
    pub(crate) fn is_called_with(self, word: &str) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(word.as_bytes())
    }

    /// Orders processes by when they were started.
    pub(crate) fn age_key(self) -> (u64, u32) {
        (self.start, self.pid)
    }

    /// The path of its program, as the process itself would say; empty when it cannot be read.
    pub(crate) fn program(self) -> String {
        fs::read_link(format!("/proc/{}/exe", self.pid)).map(|path| path.display().to_string()).unwrap_or_default()
    }
}

/// The processes, but for this one, that have a file open for writing. Who only reads it, as `tail -f` does, is none.
pub(crate) fn writers(path: &Path) -> Vec<ProcessId> {
    let (Ok(file), Some(name)) = (fs::metadata(path), path.file_name().map(|name| name.to_string_lossy().into_owned()))
    else {
        return Vec::new();
    };
    // The name first: only then is the file asked, which can hang on what a network holds.
    let is_it = |link: &Path, descriptor: &Path| {
        link.to_string_lossy().contains(&name)
            && fs::metadata(descriptor).is_ok_and(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()))
            && writes(descriptor)
    };
    holders(&is_it)
}

/// The processes, but for this one, one of whose descriptors is wanted: by what it leads to, and by its path in `/proc`.
pub(crate) fn holders(is_wanted: &dyn Fn(&Path, &Path) -> bool) -> Vec<ProcessId> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: &u32| {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let paths = descriptors.flatten().map(|entry| entry.path());
        paths.into_iter().any(|path| fs::read_link(&path).is_ok_and(|link| is_wanted(&link, &path)))
    };
    pids.filter(|pid| *pid != own).filter(holds).filter_map(ProcessId::of).collect()
}

/// Whether a descriptor, `/proc/PID/fd/N`, is open for writing.
fn writes(descriptor: &Path) -> bool {
    let info = || -> Option<PathBuf> {
        let process = descriptor.parent()?.parent()?;
        Some(process.join("fdinfo").join(descriptor.file_name()?))
    };
    let text = info().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).unwrap_or(0);
    flags & 0o3 != 0 // O_WRONLY or O_RDWR
}

/// Asks processes to end, kills what is left after `grace`, and waits until all are gone. Returns those that do not go.
pub(crate) fn end(processes: &dyn Fn() -> Result<Vec<ProcessId>>, grace: Duration) -> Result<Vec<ProcessId>> {
    const KILLED_WAIT: Duration = Duration::from_secs(5);
    let begun = Instant::now();
    let mut asked: Vec<ProcessId> = Vec::new();
    loop {
        let left = processes()?;
        if left.is_empty() || begun.elapsed() > grace + KILLED_WAIT {
            return Ok(left);
        }
        for process in left {
            if begun.elapsed() > grace {
                process.signal(Signal::KILL);
            } else if !asked.contains(&process) {
                process.signal(Signal::TERM);
                asked.push(process);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
