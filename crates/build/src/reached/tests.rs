use expect_test::expect;
use sandbox::outcome::Process;
use sandbox::plan::Mount;

use super::*;

fn plan() -> Plan {
    let mounts = [("/build", 3), ("/tmp", 2)]
        .map(|(target, mib)| Mount::Scratch { target: target.to_owned(), size_bytes: mib << 20 })
        .to_vec();
    let limits = Limits { cpu_ms: Some(9000), ..Limits::default() };
    let (version, hostname) = (sandbox::plan::PLAN_VERSION, "build".to_owned());
    let (steps, collect) = (Vec::new(), Vec::new());
    Plan { version, hostname, cpus: 1, loopback: false, epoch_unix_s: 0, mounts, steps, collect, limits }
}

#[test]
fn each_limit_is_named_with_its_value_and_its_key() {
    let space = |target: &str| Limit::Space(target.to_owned());
    let all = [
        Limit::Wall,
        Limit::Cpu,
        Limit::Processes,
        Limit::Memory,
        Limit::OpenFiles,
        Limit::FileSize,
        Limit::Output,
        Limit::Events,
        Limit::Collect,
        space("/build"),
        space("/tmp"),
    ];
    let said = all.map(|limit| {
        let Reached { what, key } = reached(&limit, &plan());
        format!("{what}: {key}")
    });
    expect![[r#"
        wall time, 3600 s: wall-s
        CPU time, 9 s: cpu-s
        number of processes, 4096: processes
        memory, 8192 MiB: memory-mib
        open files, 4096 in one process: open-files
        size of a file, 4096 MiB: file-mib
        output, 64 MiB: log-mib
        events of the trace, 4000000: trace-events
        collected bytes, 4096 MiB: output-mib
        space in `/build`, 3 MiB: disk-mib
        space in `/tmp`, 2 MiB: tmp-mib"#]]
    .assert_eq(&said.join("\n"));
}

/// A trace of processes: arguments, exit, CPU time, memory.
fn trace(processes: &[(&str, Exit, u64, u64)]) -> Vec<u8> {
    let sample = crate::record::tests::outcome_sample();
    let mut outcome = sample.clone();
    (outcome.accesses, outcome.missing) = (Vec::new(), Vec::new());
    (outcome.random, outcome.network, outcome.denied) = (Vec::new(), Vec::new(), Vec::new());
    outcome.processes = processes
        .iter()
        .enumerate()
        .map(|(id, (argv, exit, ..))| {
            let argv = argv.split(' ').map(str::to_owned).collect();
            Process { id, argv, exit: *exit, ..sample.processes[0].clone() }
        })
        .collect();
    let mut bytes = Vec::new();
    let mut writer = sandbox::trace::Writer::new(&mut bytes).expect("begun");
    for mut event in crate::record::tests::events(&outcome) {
        if let Event::End { process, cpu_us, rss_max_kib, .. } = &mut event {
            (*cpu_us, *rss_max_kib) = (processes[*process].2, processes[*process].3);
        }
        writer.write(&event).expect("written");
    }
    writer.finish().expect("finished");
    bytes
}

#[test]
fn who_used_the_most_is_named() {
    let killed = Exit::Signal(9);
    let trace = trace(&[
        ("make -j2", killed, 100, 2048),
        ("cc1 a.c", killed, 2_500_000, 4096),
        ("cc1 b.c", Exit::Signal(SIGXFSZ), 200, 81920),
        ("sh -c true", Exit::Code(0), 1, 1024),
        ("sh -c true", Exit::Code(0), 1, 1024),
    ]);
    let all = [Limit::Memory, Limit::Cpu, Limit::FileSize, Limit::Processes, Limit::Wall];
    let said = all.map(|limit| who(&trace[..], &limit).expect("a trace").unwrap_or_else(|| "nobody".to_owned()));
    expect![[r#"
        `cc1 b.c`, process 2, used 80 MiB
        `cc1 a.c`, process 2, used 2.5 s, with the processes that it waited for
        `cc1 b.c`, process 2, wrote a larger one
        `sh -c true` ran 2 times
        nobody"#]]
    .assert_eq(&said.join("\n"));
}

#[test]
fn a_trace_that_is_cut_names_nobody() {
    let trace = trace(&[("make", Exit::Signal(9), 1, 1)]);
    assert!(who(&trace[..trace.len() - 1], &Limit::Memory).is_err());
}
