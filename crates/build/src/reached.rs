//! A limit that ended a run, as its author knows it: which, its value, who reached it, and the key that raises it.
//!
//! The value is the plan's. Who reached it is read from the trace: for memory and CPU time the process that used the most, for the number of
//! processes the command that the most of them ran, for the size of a file who was stopped by the kernel. Of the other
//! limits the step alone is known.

use std::collections::BTreeMap;
use std::io::Read;

use sandbox::event::Event;
use sandbox::outcome::{Exit, Limit};
use sandbox::plan::{Limits, Plan};
use sandbox::trace::{Reader, TraceError};

use crate::spec::limits::{is_disk, size_of};

/// How much of a command is shown.
const COMMAND_MAX: usize = 200;

/// Different commands that are counted.
const COMMANDS_MAX: usize = 10_000;

/// The signal of a process that wrote beyond the largest file.
const SIGXFSZ: i32 = 25;

/// A limit that was reached, in the words of `assay.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// `memory, 64 MiB`
    pub what: String,
    /// The key that raises it.
    pub key: &'static str,
}

/// Says which limit of a plan was reached, its value, and the key that raises it.
pub fn reached(limit: &Limit, plan: &Plan) -> Reached {
    let Limits {
        wall_ms,
        cpu_ms,
        processes,
        memory_bytes,
        open_files,
        file_bytes,
        output_bytes,
        events,
        collect_bytes,
    } = plan.limits;
    let seconds = |ms: u64| format!("{} s", ms / 1000);
    let (value, key) = match limit {
        Limit::Wall => (seconds(wall_ms), "wall-s"),
        Limit::Cpu => (seconds(cpu_ms.unwrap_or(0)), "cpu-s"),
        Limit::Processes => (processes.to_string(), "processes"),
        Limit::Memory => (mib(memory_bytes), "memory-mib"),
        Limit::OpenFiles => (format!("{open_files} in one process"), "open-files"),
        Limit::FileSize => (mib(file_bytes), "file-mib"),
        Limit::Output => (mib(output_bytes), "log-mib"),
        Limit::Events => (events.to_string(), "trace-events"),
        Limit::Collect => (mib(collect_bytes), "output-mib"),
        Limit::Space(target) => {
            let mount = plan.mounts.iter().find(|mount| mount.is_writable() && mount.target() == target);
            let size = mount.cloned().as_mut().and_then(size_of).map_or(0, |size| *size);
            (mib(size), if mount.is_some_and(is_disk) { "disk-mib" } else { "tmp-mib" })
        }
    };
    Reached { what: format!("{limit}, {value}"), key }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Says which process reached a limit, with what it used: `` `cc1 -O2`, process 7, used 80 MiB ``; `None` where the trace does not tell.
pub fn who(trace: impl Read, limit: &Limit) -> Result<Option<String>, TraceError> {
    let mut reader = Reader::new(trace)?;
    let mut most: Option<(u64, String)> = None;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(event) = reader.read()? {
        let Event::End { process, exit, cpu_us, rss_max_kib, .. } = event else { continue };
        let Some(seen) = reader.live().process(process) else { continue };
        let command: String = seen.program.argv.join(" ").chars().take(COMMAND_MAX).collect();
        let (amount, text) = match limit {
            Limit::Memory => (rss_max_kib, format!("used {} MiB", rss_max_kib >> 10)),
            Limit::Cpu => (cpu_us, format!("used {:.1} s, with the processes that it waited for", cpu_us as f64 / 1e6)),
            Limit::FileSize if exit == Exit::Signal(SIGXFSZ) => (1, "wrote a larger one".to_owned()),
            Limit::Processes if counts.len() < COMMANDS_MAX || counts.contains_key(&command) => {
                let count = counts.entry(command.clone()).or_default();
                *count += 1;
                (*count, format!("ran {count} times"))
            }
            _ => continue,
        };
        if most.as_ref().is_none_or(|(largest, _)| amount > *largest) {
            let place = if *limit == Limit::Processes { String::new() } else { format!(", process {},", seen.pid) };
            most = Some((amount, format!("`{command}`{place} {text}")));
        }
    }
    Ok(most.map(|(_, text)| text))
}

#[cfg(test)]
mod tests;
