//! What the records of processes hold in hard cases, and what very many events cost.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sandbox::event::Event;
use sandbox::outcome::{AccessKind, Exit};
use sandbox::plan::Limits;
use sandbox::trace::live::PATHS_MAX;

use crate::harness::{Bench, Test, events, process};

pub(crate) const TESTS: &[Test] = &[
    ("double_fork_keeps_its_ancestors", double_fork_keeps_its_ancestors),
    ("death_by_signal_is_told", death_by_signal_is_told),
    ("large_and_odd_arguments_are_whole", large_and_odd_arguments_are_whole),
    ("use_of_time_and_memory_is_told", use_of_time_and_memory_is_told),
    ("more_paths_than_are_remembered", more_paths_than_are_remembered),
];

fn double_fork_keeps_its_ancestors() {
    let mut bench = Bench::new("double-fork", "exec /tools/evidence double-fork /build/a");
    let outcome = bench.pass();
    let program = process(&outcome, "/evidence");
    let copies: Vec<_> = outcome.processes.iter().filter(|process| !process.executed).collect();
    assert_eq!(copies.len(), 2, "{:#?}", outcome.processes);
    assert_eq!((copies[0].parent, copies[0].exit), (Some(program.id), Exit::Code(4)));
    assert_eq!((copies[1].parent, copies[1].exit), (Some(copies[0].id), Exit::Code(0)));
    assert_eq!(copies[1].argv, program.argv, "it runs what its ended parent ran");
    let read = outcome.accesses.iter().find(|access| outcome.path(access) == "/build/a");
    assert_eq!(read.map(|access| access.process), Some(copies[1].id));
    // A reader of the file can tell that too, with the parent long gone.
    let mut reader = sandbox::trace::Reader::new(fs::File::open(&bench.host.trace).expect("a trace")).expect("begun");
    let mut found = None;
    while let Some(event) = reader.read().expect("an event") {
        if let Event::Access { process, path, .. } = event
            && reader.live().path(path) == Some("/build/a")
        {
            found = reader.live().process(process).map(|seen| seen.program.argv.clone());
        }
    }
    assert_eq!(found, Some(program.argv.clone()));
}

fn death_by_signal_is_told() {
    for (number, expected) in [(9, Exit::Signal(9)), (11, Exit::Signal(11)), (6, Exit::Signal(6))] {
        let mut bench = Bench::new("dies", &format!("exec /tools/evidence dies {number}"));
        let outcome = bench.pass();
        let child = outcome.processes.last().expect("a child");
        assert_eq!((child.executed, child.exit, child.exit.shell_code()), (false, expected, Some(128 + number)));
    }
}

/// Version 1 bounded lines by 64 MiB; now a record holds what the kernel gives a program, at most 6 MiB.
fn large_and_odd_arguments_are_whole() {
    let mut bench = Bench::new("large", "exec /tools/evidence large /usr/bin/true");
    let outcome = bench.pass();
    let last = process(&outcome, "/true");
    let size = (128 << 10) - 1;
    assert_eq!(last.argv.len(), 5);
    assert_eq!(last.argv[1], format!("\\xff{}", "a".repeat(size - 1)));
    assert_eq!(last.argv[2..], ["\\xc3(", "", "last"].map(str::to_owned));
    assert_eq!(last.variables["LARGE"].len(), size - "LARGE=".len());
    assert_eq!((last.variables["ODD"].as_str(), last.variables["NONE"].as_str()), ("\\x80", ""));
    let kept = sandbox::outcome::Outcome::of(events(&bench), &bench.plan).expect("an outcome");
    assert_eq!(kept, outcome, "the file has it all");
}

fn use_of_time_and_memory_is_told() {
    let script =
        "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; head -c 30000000 /dev/zero | tail -c 30000000 > /dev/null";
    let mut bench = Bench::new("usage", script);
    let outcome = bench.pass();
    let (shell, tail) = (process(&outcome, "/dash"), process(&outcome, "/tail"));
    assert!(shell.cpu_us > 0 && shell.cpu_us >= tail.cpu_us, "{} {}", shell.cpu_us, tail.cpu_us);
    assert!(shell.duration_us >= tail.duration_us && tail.duration_us > 0);
    assert!(tail.rss_max_kib > 28_000, "`tail` holds what it prints: {} KiB", tail.rss_max_kib);
}

fn more_paths_than_are_remembered() {
    let count = PATHS_MAX + 1000;
    let mut bench = Bench::new("many", &format!("exec /tools/evidence many missing {count}"));
    bench.plan.limits = Limits { wall_ms: 600_000, ..Limits::default() };
    let summary = sandbox::run(&bench.plan, &bench.host, &mut |_, _| {}, &mut |_| {}).expect("a run");
    assert!(summary.passed() && summary.lost == 0, "{summary:?}");
    let (mut missing, mut forgotten) = (0, 0);
    for event in events(&bench) {
        match event {
            Event::Access { kind: AccessKind::Missing, count, .. } => missing += count,
            Event::Forget => forgotten += 1,
            _ => {}
        }
    }
    assert!(missing as usize >= count && forgotten == 1, "{missing} {forgotten}");
    let bytes = fs::metadata(&bench.host.trace).expect("a trace").len();
    assert!(bytes < 12 * count as u64, "{bytes} bytes for {count} events");
}

/// What a million events cost: `--scale [COUNT]`.
pub(crate) fn scale(arguments: &[String]) {
    let count: u64 = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    for how in ["missing", "hashed", "repeated", "made"] {
        let mut bench = Bench::new(&format!("scale-{how}"), &format!("exec /tools/evidence many {how} {count}"));
        bench.plan.limits = Limits { wall_ms: 3_600_000, ..Limits::default() };
        let (done, ours, theirs) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let summary = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    ours.fetch_max(anonymous_kib(std::process::id()), Ordering::Relaxed);
                    let child =
                        fs::read_to_string("/proc/self/task/".to_owned() + &format!("{}/children", std::process::id()));
                    let child = child.ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
                    theirs.fetch_max(child.map_or(0, anonymous_kib), Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            });
            let summary = sandbox::run(&bench.plan, &bench.host, &mut |_, _| {}, &mut |_| {}).expect("a run");
            done.store(true, Ordering::Relaxed);
            summary
        });
        assert!(summary.passed(), "{summary:?}");
        let bytes = fs::metadata(&bench.host.trace).expect("a trace").len();
        let told = summary.accesses.max(count);
        println!(
            "{how}: {count} opens, {} accesses told, {bytes} bytes, {:.2} an event; anonymous memory at most: command {} KiB, supervisor {} KiB; {:.1} s",
            summary.accesses,
            bytes as f64 / told as f64,
            ours.load(Ordering::Relaxed),
            theirs.load(Ordering::Relaxed),
            summary.duration_us as f64 / 1e6,
        );
    }
}

fn anonymous_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
