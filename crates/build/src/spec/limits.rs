//! `[limits]`: where each resource of a run ends.

use sandbox::plan::{Limits as Run, Mount, Plan};

use crate::document::{Reader, Table};
use crate::plan::WORKSPACE;

/// A week.
const SECONDS_MAX: u32 = 604_800;
/// A TiB.
const MIB_MAX: u32 = 1 << 20;
/// What the kernel of a 64-bit machine counts to.
const PROCESSES_MAX: u32 = 4_194_304;
/// The usual `fs.nr_open`.
const OPEN_FILES_MAX: u32 = 1 << 20;
/// As many as a reader of traces takes.
const TRACE_EVENTS_MAX: u32 = 4_000_000;
/// Below this no shell starts.
const MEMORY_MIB_MIN: u32 = 16;
/// Below this no compiler opens its files.
const OPEN_FILES_MIN: u32 = 16;

/// The keys.
const KEYS: [&str; 11] = [
    "wall-s",
    "cpu-s",
    "processes",
    "memory-mib",
    "open-files",
    "file-mib",
    "disk-mib",
    "tmp-mib",
    "log-mib",
    "output-mib",
    "trace-events",
];

/// `[limits]`: what a run of the plan may use; with stages, each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What the sandbox counts; the defaults of [`Run`] where nothing is said.
    pub run: Run,
    /// Size of the project's directory, or of the root of a Dockerfile's step; where nothing is said, that of the plan.
    pub disk_bytes: Option<u64>,
    /// Size of every other writable directory, as `/tmp` and the builder's home; where nothing is said, that of the plan.
    pub tmp_bytes: Option<u64>,
}

impl Limits {
    /// Puts the limits into a plan. Without `[limits]` nothing changes.
    pub fn apply(&self, plan: &mut Plan) {
        plan.limits = self.run;
        for mount in &mut plan.mounts {
            let wanted = if is_disk(mount) { self.disk_bytes } else { self.tmp_bytes };
            if let (Some(wanted), Some(size)) = (wanted, size_of(mount)) {
                *size = wanted;
            }
        }
    }
}

/// Whether `disk-mib` is its size, and not `tmp-mib`.
pub(crate) fn is_disk(mount: &Mount) -> bool {
    matches!(mount, Mount::Root { .. }) || mount.target() == WORKSPACE
}

/// The size of a mount that is written to.
pub(crate) fn size_of(mount: &mut Mount) -> Option<&mut u64> {
    match mount {
        Mount::Root { size_bytes, .. } | Mount::Copy { size_bytes, .. } | Mount::Scratch { size_bytes, .. } => {
            Some(size_bytes)
        }
        Mount::Tree { .. } | Mount::File { .. } | Mount::Link { .. } => None,
    }
}

/// Reads the table. Whoever is out of range has a problem noted, and counts as not said.
pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_, '_>) -> Option<Limits> {
    let mut limits = Limits::default();
    if !top.table.contains_key("limits") {
        return Some(limits);
    }
    let table = reader.table(top, "limits")?;
    reader.keys(&table, &KEYS);
    let mut take = |key: &str, range: (u32, u32), unit: u64| {
        reader.integer(&table, key, range).map(|number| u64::from(number) * unit)
    };
    let (seconds, mib) = ((1, SECONDS_MAX), (1, MIB_MAX));
    limits.run.cpu_ms = take("cpu-s", seconds, 1000);
    limits.disk_bytes = take("disk-mib", mib, 1 << 20);
    limits.tmp_bytes = take("tmp-mib", mib, 1 << 20);
    for (key, range, unit, value) in [
        ("wall-s", seconds, 1000, &mut limits.run.wall_ms),
        ("processes", (1, PROCESSES_MAX), 1, &mut limits.run.processes),
        ("memory-mib", (MEMORY_MIB_MIN, MIB_MAX), 1 << 20, &mut limits.run.memory_bytes),
        ("open-files", (OPEN_FILES_MIN, OPEN_FILES_MAX), 1, &mut limits.run.open_files),
        ("file-mib", mib, 1 << 20, &mut limits.run.file_bytes),
        ("log-mib", mib, 1 << 20, &mut limits.run.output_bytes),
        ("output-mib", mib, 1 << 20, &mut limits.run.collect_bytes),
        ("trace-events", (1, TRACE_EVENTS_MAX), 1, &mut limits.run.events),
    ] {
        *value = take(key, range, unit).unwrap_or(*value);
    }
    Some(limits)
}

#[cfg(test)]
mod tests;
