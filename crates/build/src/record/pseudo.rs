//! The kernel's files that a build may read without being less hermetic.
//!
//! Everything else below `/dev`, `/proc` and `/sys` is undeclared: the model of the CPU, the size of the memory, the
//! uptime, a random UUID. Each entry says why it is harmless; the list is the same for every build.

use sandbox::plan::Level;

/// Pattern and reason. `*` stands for a process number, a trailing `/` for all below.
const PSEUDO: [(&str, &str); 37] = [
    ("/dev/null", "holds nothing"),
    ("/dev/zero", "holds zeros"),
    ("/dev/full", "holds zeros"),
    ("/dev/tty", "there is no terminal"),
    ("/dev/stdin", "the process's own descriptor"),
    ("/dev/stdout", "the process's own descriptor"),
    ("/dev/stderr", "the process's own descriptor"),
    ("/dev/fd/", "the process's own descriptors"),
    ("/dev/random", "randomness: real at tier T0, as `getrandom` is"),
    ("/dev/urandom", "randomness: real at tier T0, as `getrandom` is"),
    ("/dev/shm/", "memory of this build alone"),
    ("/proc/self/", "the process itself"),
    ("/proc/thread-self/", "the process itself"),
    ("/proc/*/auxv", "the build's own processes"),
    ("/proc/*/cgroup", "the build's own processes: no other is visible; read by Rust to count CPUs"),
    ("/proc/*/cmdline", "the build's own processes"),
    ("/proc/*/comm", "the build's own processes"),
    ("/proc/*/exe", "the build's own processes"),
    ("/proc/*/fd", "the build's own processes"),
    ("/proc/*/fd/", "the build's own processes"),
    ("/proc/*/limits", "the plan's own limits"),
    ("/proc/*/maps", "the build's own processes; read by glibc to find a stack"),
    ("/proc/*/mountinfo", "the plan's own mounts; read by Rust to count CPUs"),
    ("/proc/*/mounts", "the plan's own mounts"),
    ("/proc/*/smaps", "the build's own processes"),
    ("/proc/*/stat", "the build's own processes"),
    ("/proc/*/statm", "the build's own processes; read by rustc for its memory use"),
    ("/proc/*/status", "the build's own processes"),
    ("/proc/*/task/", "the build's own processes"),
    ("/proc/filesystems", "asked by coreutils for SELinux, which is off inside"),
    ("/proc/mounts", "the plan's own mounts"),
    ("/proc/sys/kernel/ngroups_max", "a constant of the kernel"),
    ("/proc/sys/vm/overcommit_memory", "asked by memory allocators; changes no output"),
    ("/sys/devices/system/cpu/online", "the CPU count that the plan fixes; glibc asks for it"),
    ("/sys/devices/system/cpu/possible", "the CPU count that the plan fixes; Java asks for it"),
    ("/sys/fs/cgroup/", "limits of CPU time; read by Rust to count CPUs, which the plan fixes"),
    ("/sys/kernel/mm/transparent_hugepage/", "asked by memory allocators; changes no output"),
];

/// What more is harmless at level `full`, where `/proc` shows no process but the build's own.
const OWN_PROCESSES: &str = "/proc/*/";

/// Whether the path is on the list.
pub(super) fn is_pseudo(path: &str, level: Level) -> bool {
    // Every access is asked about; nearly none lies there.
    if !["/dev/", "/proc/", "/sys/"].iter().any(|start| path.starts_with(start)) {
        return false;
    }
    let listed = PSEUDO.iter().any(|(pattern, _)| matches(pattern, path));
    listed || (level == Level::Full && matches(OWN_PROCESSES, path))
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, below) = match pattern.strip_suffix('/') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        match parts.next() {
            Some(part) if part == wanted => {}
            // A process is a number; `/proc/sys` is no process.
            Some(part) if wanted == "*" && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => {}
            _ => return false,
        }
    }
    below || parts.next().is_none()
}
