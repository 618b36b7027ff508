//! What a step of tier T1 is told instead of the machine: pure functions of the plan.
//!
//! The kernel's version is one that every program of today accepts and that none has a special case for. Memory is the plan's limit, load and
//! uptime are constants. Files that only describe the machine (interrupts, disks, modules) are empty.
//! Reference: `proc(5)`, `uname(2)`, `sysinfo(2)`.

use crate::plan::{Mount, Plan};

#[cfg(test)]
mod tests;

/// The kernel's release and version, as `uname` and `/proc` tell them.
const RELEASE: &str = "6.1.0";
const VERSION: &str = "#1 SMP";
/// Since when the machine runs.
const UPTIME_S: u64 = 1000;
/// An identity of the boot that is nobody's.
const BOOT_ID: &str = "00000000-0000-4000-8000-000000000000\n";
/// Length of one name in `struct utsname`.
const NAME_BYTES: usize = 65;

/// Returns `struct utsname`.
pub(super) fn uname(host_name: &str) -> Vec<u8> {
    let names = ["Linux", host_name, RELEASE, VERSION, std::env::consts::ARCH, "(none)"];
    let mut bytes = vec![0_u8; names.len() * NAME_BYTES];
    for (field, name) in bytes.chunks_mut(NAME_BYTES).zip(names) {
        let length = name.len().min(NAME_BYTES - 1);
        field[..length].copy_from_slice(&name.as_bytes()[..length]);
    }
    bytes
}

/// Returns `struct sysinfo` of a 64-bit kernel: all memory is free, nothing is swapped.
pub(super) fn system_info(plan: &Plan) -> Vec<u8> {
    /// Kernel ABI: eight words, two of them counters of 16 bits with padding, two words more, one of 32 bits.
    const BYTES: usize = 112;
    const PROCESSES_OFFSET: usize = 80;
    const UNIT_OFFSET: usize = 104;
    let mut bytes = vec![0_u8; BYTES];
    let memory = plan.limits.memory_bytes;
    for (index, word) in [UPTIME_S, 0, 0, 0, memory, memory].into_iter().enumerate() {
        bytes[index * 8..index * 8 + 8].copy_from_slice(&word.to_le_bytes());
    }
    bytes[PROCESSES_OFFSET] = 1;
    bytes[UNIT_OFFSET] = 1;
    bytes
}

/// Returns what stands in a file of `/proc` (a path as the kernel names it); `None` if the real one is told.
pub(super) fn file(plan: &Plan, path: &str) -> Option<String> {
    let below = path.strip_prefix("/proc/")?;
    Some(match below {
        "version" => {
            let name = &plan.hostname;
            format!("Linux version {RELEASE} (builder@{name}) (gcc) {VERSION}\n")
        }
        "sys/kernel/osrelease" => format!("{RELEASE}\n"),
        "sys/kernel/version" => format!("{VERSION}\n"),
        "sys/kernel/random/boot_id" => BOOT_ID.to_owned(),
        "uptime" => format!("{UPTIME_S}.00 {UPTIME_S}.00\n"),
        "loadavg" => "0.00 0.00 0.00 1/1 1\n".to_owned(),
        "meminfo" => memory(plan),
        "stat" => counters(plan),
        "cpuinfo" => processors(plan),
        "cmdline" | "diskstats" | "interrupts" | "softirqs" | "modules" | "vmstat" | "zoneinfo" | "buddyinfo"
        | "pagetypeinfo" | "schedstat" | "iomem" | "ioports" | "slabinfo" | "vmallocinfo" | "locks" | "devices"
        | "misc" | "crypto" | "cgroups" | "consoles" | "kallsyms" | "key-users" | "timer_list" | "dma" | "fb"
        | "driver/rtc" => String::new(),
        "filesystems" => "nodev\tproc\nnodev\ttmpfs\n".to_owned(),
        "sys/kernel/pid_max" => "32768\n".to_owned(),
        "sys/kernel/threads-max" => format!("{}\n", plan.limits.processes),
        "sys/kernel/random/entropy_avail" => "256\n".to_owned(),
        "swaps" => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_owned(),
        "partitions" => "major minor  #blocks  name\n\n".to_owned(),
        _ => return of_process(plan, below),
    })
}

/// The files that each process has of its own: `7/mountinfo`, `7/task/8/mounts`.
fn of_process(plan: &Plan, below: &str) -> Option<String> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let name = match below.split('/').collect::<Vec<_>>()[..] {
        [process, name] if is_number(process) => name,
        [process, "task", thread, name] if is_number(process) && is_number(thread) => name,
        _ => return None,
    };
    match name {
        "mountinfo" => Some(mounts(plan, |number, target, kind, mode| {
            format!("{number} 1 0:{number} / {target} {mode} - {kind} none {mode}\n")
        })),
        "mounts" => Some(mounts(plan, |_, target, kind, mode| format!("none {target} {kind} {mode} 0 0\n"))),
        "mountstats" => {
            Some(mounts(plan, |_, target, kind, _| format!("device none mounted on {target} with fstype {kind}\n")))
        }
        "cgroup" => Some("0::/\n".to_owned()),
        _ => None,
    }
}

/// The plan's own mounts, whatever binds stand for them on this machine.
fn mounts(plan: &Plan, line: impl Fn(usize, &str, &str, &str) -> String) -> String {
    let fixed = [("/", "ro"), ("/proc", "ro"), ("/dev/shm", "rw")];
    let kind = |target: &str| if target == "/proc" { "proc" } else { "tmpfs" };
    let planned = plan.mounts.iter().filter_map(|mount| match mount {
        Mount::Tree { target, .. } if target != "/" => Some((target.as_str(), "ro")),
        Mount::Copy { target, .. } | Mount::Scratch { target, .. } => Some((target.as_str(), "rw")),
        Mount::Root { .. } => None,
        _ => None,
    });
    let all = fixed.into_iter().chain(planned).enumerate();
    all.map(|(index, (target, mode))| line(index + 2, &escaped(target), kind(target), mode)).collect()
}

/// Blanks and the like as the kernel writes them in lists of mounts.
fn escaped(path: &str) -> String {
    let escape = |character: char| match character {
        ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", character as u32),
        other => other.to_string(),
    };
    path.chars().map(escape).collect()
}

fn memory(plan: &Plan) -> String {
    let kib = plan.limits.memory_bytes / 1024;
    let line = |(name, kib): (&str, u64)| format!("{:<16}{kib:>8} kB\n", format!("{name}:"));
    let lines = [
        ("MemTotal", kib),
        ("MemFree", kib),
        ("MemAvailable", kib),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
    ];
    lines.into_iter().map(line).collect()
}

/// `/proc/cpuinfo`: as many CPUs as the plan has, all of the plainest kind.
fn processors(plan: &Plan) -> String {
    let cpus = plan.cpus;
    let processor = |cpu: u32| {
        format!(
            "processor\t: {cpu}\n{}physical id\t: 0\nsiblings\t: {cpus}\ncore id\t\t: {cpu}\ncpu cores\t: {cpus}\napicid\t\t: {cpu}\n\n",
            crate::machine::CPU
        )
    };
    (0..cpus).map(processor).collect()
}

/// `/proc/stat`: the lines by which programs count CPUs, and the start of the machine.
fn counters(plan: &Plan) -> String {
    const NONE: &str = "0 0 0 0 0 0 0 0 0 0";
    let cpus: String = (0..plan.cpus).map(|cpu| format!("cpu{cpu} {NONE}\n")).collect();
    let start = plan.epoch_unix_s.saturating_sub(UPTIME_S as i64);
    format!("cpu  {NONE}\n{cpus}intr 0\nctxt 0\nbtime {start}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n")
}
