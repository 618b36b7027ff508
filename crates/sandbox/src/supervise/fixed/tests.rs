//! Tests of what is told instead of the machine.

use super::*;
use crate::plan::Limits;

fn plan() -> Plan {
    Plan {
        version: 2,
        hostname: "build".to_owned(),
        cpus: 2,
        loopback: false,
        epoch_unix_s: 1_795_370_000,
        mounts: vec![
            Mount::Tree { target: "/".to_owned(), source: "base".to_owned() },
            Mount::Tree { target: "/tool chain".to_owned(), source: "rust".to_owned() },
            Mount::Scratch { target: "/tmp".to_owned(), size_bytes: 1 },
        ],
        steps: Vec::new(),
        collect: Vec::new(),
        limits: Limits { memory_bytes: 1 << 30, ..Limits::default() },
    }
}

#[test]
fn files_are_functions_of_the_plan() {
    let file = |path: &str| file(&plan(), path).expect(path);
    assert_eq!(file("/proc/version"), "Linux version 6.1.0 (builder@build) (gcc) #1 SMP\n");
    assert_eq!(file("/proc/sys/kernel/osrelease"), "6.1.0\n");
    assert!(file("/proc/meminfo").starts_with("MemTotal:        1048576 kB\n"));
    assert_eq!(file("/proc/stat").lines().filter(|line| line.starts_with("cpu")).count(), 3);
    assert!(file("/proc/stat").contains("\nbtime 1795369000\n"));
    let cpus = file("/proc/cpuinfo");
    assert_eq!(cpus.lines().filter(|line| line.starts_with("processor\t: ")).count(), 2);
    assert!(cpus.lines().all(|line| line.is_empty() || line.contains("\t: ") || line == "power management:"), "{cpus}");
    let expected = "none / tmpfs ro 0 0\nnone /proc proc ro 0 0\nnone /dev/shm tmpfs rw 0 0\n\
                    none /tool\\040chain tmpfs ro 0 0\nnone /tmp tmpfs rw 0 0\n";
    assert_eq!(file("/proc/7/mounts"), expected);
    assert_eq!(file("/proc/7/task/8/mounts"), expected);
    assert!(file("/proc/7/mountinfo").starts_with("2 1 0:2 / / ro - tmpfs none ro\n"));
}

/// What is told the same everywhere is no look at the machine, as long as every step is told so.
#[test]
fn a_plan_fixes_what_all_its_steps_are_told() {
    use crate::tier::Tier;
    let step = |tier| {
        let text = r#"{"name":"ask","argv":["/bin/true"],"cwd":"/","variables":{}}"#;
        let step: crate::plan::Step = serde_json::from_str(text).expect("a step");
        crate::plan::Step { tier, ..step }
    };
    let with = |tiers: &[Tier]| Plan { steps: tiers.iter().map(|tier| step(*tier)).collect(), ..plan() };
    for path in ["/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/version", "/proc/7/mounts"] {
        assert!(with(&[Tier::T1, Tier::T2]).fixes(path), "{path}");
        assert!(!with(&[Tier::T1, Tier::T0]).fixes(path) && !with(&[]).fixes(path), "{path}");
    }
    assert!(!with(&[Tier::T2]).fixes("/proc/7/maps") && !with(&[Tier::T2]).fixes("/etc/hostname"));
}

#[test]
fn the_rest_is_real() {
    for path in ["/proc/self/status", "/proc/7/maps", "/proc/x/mounts", "/proc/7/fd/mounts", "/etc/version", "/proc/"] {
        assert_eq!(file(&plan(), path), None, "{path}");
    }
}

#[test]
fn structures_have_their_fields() {
    let names = uname("build");
    assert_eq!((names.len(), &names[65..70], &names[130..136]), (390, &b"build"[..], &b"6.1.0\0"[..]));
    assert_eq!(uname(&"x".repeat(80))[65 + 64], 0, "ends with zero");
    // SAFETY: as many bytes as the kernel writes; every pattern is valid.
    let info: libc::sysinfo = unsafe { std::ptr::read_unaligned(system_info(&plan()).as_ptr().cast()) };
    assert_eq!((info.uptime, info.totalram, info.freeram, info.procs, info.mem_unit), (1000, 1 << 30, 1 << 30, 1, 1));
}
