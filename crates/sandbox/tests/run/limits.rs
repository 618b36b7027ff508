//! Each limit ends the run, says its name, and leaves nothing behind.

use std::time::Instant;

use sandbox::outcome::{Exit, Limit, Outcome};
use sandbox::plan::{Limits, Mount};

use crate::harness::{Bench, Test, step};

pub(crate) const TESTS: &[Test] = &[
    ("wall_time_ends", wall_time_ends),
    ("wall_time_ends_a_frozen_step", wall_time_ends_a_frozen_step),
    ("cpu_time_ends", cpu_time_ends),
    ("cpu_time_of_many_short_processes_ends", cpu_time_of_many_short_processes_ends),
    ("processes_end", processes_end),
    ("memory_ends", memory_ends),
    ("output_ends", output_ends),
    ("output_of_a_step_that_ended_ends", output_of_a_step_that_ended_ends),
    ("open_files_end", open_files_end),
    ("file_size_ends", file_size_ends),
    ("space_ends", space_ends),
    ("events_end", events_end),
];

/// Runs one hostile command under one limit.
fn check(name: &str, argv: &[&str], change: fn(&mut Limits), expected: &Limit) -> Outcome {
    let mut bench = Bench::new(name, "");
    bench.plan.steps = vec![step(name, argv), step("never", &["/bin/true"])];
    change(&mut bench.plan.limits);
    let started = Instant::now();
    let outcome = bench.run();
    assert_eq!(outcome.limit.as_ref(), Some(expected), "{:?}", outcome.steps);
    assert!(!outcome.passed() && outcome.steps.len() == 1);
    assert!(started.elapsed().as_secs() < 40, "ended late: {:?}", started.elapsed());
    outcome
}

fn wall_time_ends() {
    let outcome = check("wall", &["/tools/hostile", "wait"], |limits| limits.wall_ms = 300, &Limit::Wall);
    assert_eq!(outcome.steps[0].exit, Exit::Signal(9));
    assert!(outcome.duration_us >= 300_000);
}

fn wall_time_ends_a_frozen_step() {
    let argv = ["/bin/sh", "-c", "kill -STOP 1; kill -STOP $$"];
    check("frozen", &argv, |limits| limits.wall_ms = 300, &Limit::Wall);
}

fn cpu_time_ends() {
    let argv = ["/bin/sh", "-c", "while :; do :; done"];
    let outcome = check("spin", &argv, |limits| limits.cpu_ms = Some(300), &Limit::Cpu);
    let used_us: u64 = outcome.processes.iter().map(|process| process.cpu_us).sum();
    assert!(used_us >= 300_000, "{used_us}");
}

/// Each ends long before anybody looks at it, and who started them waits for none.
fn cpu_time_of_many_short_processes_ends() {
    let argv = ["/bin/sh", "-c", "trap '' CHLD; while :; do (i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done); done"];
    check("short", &argv, |limits| limits.cpu_ms = Some(500), &Limit::Cpu);
}

fn processes_end() {
    check("bomb", &["/tools/hostile", "bomb"], |limits| limits.processes = 50, &Limit::Processes);
}

fn memory_ends() {
    check("eat", &["/tools/hostile", "eat"], |limits| limits.memory_bytes = 64 << 20, &Limit::Memory);
}

fn output_ends() {
    let mut bench = Bench::new("flood", "while :; do echo 0123456789012345678901234567890123456789; done");
    bench.plan.limits.output_bytes = 100_000;
    let outcome = bench.run();
    assert_eq!(outcome.limit, Some(Limit::Output));
    assert_eq!(bench.output.len(), 100_000, "told up to the limit");
    assert_eq!(std::fs::metadata(&bench.host.log).expect("a log").len(), 100_000);
}

/// It used to be cut off in silence: the step had ended before the tick that looks.
fn output_of_a_step_that_ended_ends() {
    let argv = ["/bin/sh", "-c", "echo 0123456789"];
    let outcome = check("brief", &argv, |limits| limits.output_bytes = 5, &Limit::Output);
    assert_eq!(outcome.steps[0].exit, Exit::Code(0));
}

fn open_files_end() {
    check("hold", &["/tools/hostile", "hold"], |limits| limits.open_files = 32, &Limit::OpenFiles);
}

fn file_size_ends() {
    let argv = ["/usr/bin/head", "-c", "200000", "/dev/zero"];
    let mut bench = Bench::new("size", &format!("{} > big", argv.join(" ")));
    bench.plan.limits.file_bytes = 100_000;
    assert_eq!(bench.run().limit, Some(Limit::FileSize));
}

fn space_ends() {
    let mut bench = Bench::new("space", "cat /dev/zero > /tmp/big");
    for mount in &mut bench.plan.mounts {
        if let Mount::Scratch { size_bytes, .. } = mount {
            *size_bytes = 1 << 20;
        }
    }
    let outcome = bench.run();
    assert_eq!(outcome.limit, Some(Limit::Space("/tmp".to_owned())));
    assert!(bench.errors.contains("No space left on device"), "{}", bench.errors);
}

fn events_end() {
    let outcome = check("litter", &["/tools/hostile", "litter"], |limits| limits.events = 2000, &Limit::Events);
    assert!(outcome.paths.len() < 3000, "{} paths", outcome.paths.len());
}
