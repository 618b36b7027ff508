//! The three levels, forced and found; a machine that refuses one says why, and nothing is lowered in silence.

use std::fs;
use std::process::Command;

use sandbox::error::SandboxError;
use sandbox::outcome::AccessKind;
use sandbox::plan::Level;
use sandbox::probe::Probe;

use crate::harness::{Bench, Test, assert_touched, process, step, touched};

pub(crate) const TESTS: &[Test] = &[
    ("probe_tells_what_works", probe_tells_what_works),
    ("no_proc", no_proc),
    ("trace_only", trace_only),
    ("trace_only_refuses_every_socket", trace_only_refuses_every_socket),
    ("trace_only_keeps_keys_and_host", trace_only_keeps_keys_and_host),
    ("trace_only_kills_survivors", trace_only_kills_survivors),
    ("refused_namespaces", refused_namespaces),
    ("masked_proc", masked_proc),
    ("nothing_is_lowered_in_silence", nothing_is_lowered_in_silence),
    ("bad_plans", bad_plans),
];

fn forced(name: &str, script: &str, level: Level) -> Bench {
    let mut bench = Bench::new(name, script);
    (bench.host.minimum, bench.host.ceiling) = (level, level);
    bench
}

/// Started as a process of its own: prints what the machine allows.
pub(crate) fn print_probe() {
    let probe = sandbox::probe::probe(&std::env::current_exe().expect("own path")).expect("an answer");
    println!("{}", serde_json::to_string(&probe).expect("text"));
}

fn probe_tells_what_works() {
    let probe = sandbox::probe::probe(&std::env::current_exe().expect("own path")).expect("an answer");
    assert_eq!((&probe.works[..], &probe.refused[..]), (&Level::ALL[..], &[][..]));
    assert_eq!(probe.level(), Some(Level::Full));
    assert!(probe.landlock.is_some(), "these tests need a kernel with Landlock");
}

fn no_proc() {
    let script = "test -e /proc/self/status && cat a; set -- /proc/[0-9]*; echo $#; head -c1 /proc/1/environ 2>/dev/null || echo closed; \
                  (echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo refused; nproc; grep -c ^processor /proc/cpuinfo";
    let mut bench = forced("no-proc", script, Level::NoProc);
    bench.plan.cpus = 3;
    let outcome = bench.pass();
    assert_eq!(outcome.level, Level::NoProc);
    let lines: Vec<&str> = bench.output.lines().collect();
    assert_eq!((lines[0], &lines[2..]), ("alpha", &["closed", "refused", "3", "3"][..]), "{}", bench.output);
    assert_touched(&outcome, AccessKind::Read, "cat", "/build/a");
    assert!(process(&outcome, "/dash").pid < 10, "a pid namespace of its own");
}

fn trace_only() {
    let script = "cat a sub/b; echo made > out; echo $HOME; pwd; nproc; uname -n; ./run.sh; (exit 4)";
    let mut bench = forced("trace-only", script, Level::TraceOnly);
    bench.plan.cpus = 3;
    bench.plan.steps.push(step("never", &["/bin/true"]));
    bench.plan.collect =
        vec![sandbox::plan::Collect { path: "/build/out".into(), optional: false, after_failure: true }];
    let outcome = bench.run();
    let scratch = bench.host.scratch.display().to_string();
    assert_eq!(bench.output, format!("alpha\nbeta\n{scratch}/home\n{scratch}/build\n3\nbuild\nran\n"));
    assert_eq!((outcome.level, outcome.root.as_deref()), (Level::TraceOnly, Some(scratch.as_str())));
    assert!(outcome.landlock.is_some() && outcome.steps.len() == 1 && outcome.steps[0].exit.shell_code() == Some(4));
    assert_touched(&outcome, AccessKind::Read, "cat", &format!("{scratch}/build/a"));
    assert_touched(&outcome, AccessKind::Write, "dash", &format!("{scratch}/build/out"));
    assert_eq!(fs::read_to_string(bench.host.collect.join("build/out")).expect("collected"), "made\n");
    assert_eq!(outcome.collected[0].path, "/build/out");
    assert!(!bench.host.scratch.exists(), "the scratch directory is removed");
}

fn trace_only_refuses_every_socket() {
    let script = "/tools/hostile tcp 192.0.2.1 80; /tools/hostile abstract x";
    let mut bench = forced("trace-sockets", script, Level::TraceOnly);
    let outcome = bench.run();
    assert_eq!(bench.output, "socket: EPERM\nabstract: EPERM\n");
    let network: Vec<(&str, &str)> =
        outcome.network.iter().map(|one| (one.call.as_str(), one.address.as_str())).collect();
    assert_eq!(network, [("socket", "AF_INET")]);
    assert!(outcome.denied.iter().any(|one| one.what == "socket(AF_UNIX)"));
}

fn trace_only_keeps_keys_and_host() {
    let mut bench = forced("trace-keys", "", Level::TraceOnly);
    let (keys, beside) = (bench.place.join("home/keys"), bench.place.join("home/beside"));
    for directory in [&keys, &beside] {
        fs::create_dir_all(directory).expect("a directory");
        fs::write(directory.join("file"), "content\n").expect("a file");
    }
    std::os::unix::fs::symlink(&keys, bench.place.join("home/way")).expect("a link");
    bench.host.deny = vec![keys.clone()];
    // The script names places of the host, which lie below `/tmp`.
    bench.plan.mounts.retain(|mount| mount.target() != "/tmp");
    let home = bench.place.join("home").display().to_string();
    let supervisor = "/proc/$(grep PPid /proc/$PPID/status | cut -f2)";
    let script = format!(
        "cat {home}/keys/file; cat {home}/way/file; ls {home}/keys; cat {home}/beside/file; echo x > {home}/beside/file; echo x > {home}/new; \
         rm {home}/keys/file {home}/beside/file; cat /proc/$PPID/environ; cat {supervisor}/mem; cat /proc/$PPID/maps; \
         kill -9 {} && echo killed; echo x > /proc/sys/kernel/hostname; touch /usr/bin/new; true",
        std::process::id()
    );
    bench.plan.steps[0].argv[2] = script;
    bench.pass();
    assert_eq!(bench.output.trim(), "content", "{}", bench.errors);
    assert_eq!(fs::read_to_string(beside.join("file")).expect("untouched"), "content\n");
    assert!(keys.join("file").exists() && !bench.place.join("home/new").exists());
}

fn trace_only_kills_survivors() {
    let mut bench = forced("trace-survivors", "/tools/hostile daemon; /tools/hostile daemon", Level::TraceOnly);
    let outcome = bench.pass();
    assert_eq!(outcome.steps[0].survivors, 2);
}

/// Runs `sh -c script` in a user namespace of its own, with this program's path as `$1`; returns what the probe printed.
fn probe_under(unshare: &[&str], script: &str) -> Probe {
    let own = std::env::current_exe().expect("own path");
    let output =
        Command::new("unshare").args(unshare).args(["sh", "-ec", script, "sh"]).arg(&own).output().expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

fn refused_namespaces() {
    let probe =
        probe_under(&["--user", "--map-root-user"], "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$1\" __probe");
    assert_eq!(probe.works, [Level::TraceOnly]);
    let full = &probe.refused[0];
    assert_eq!((full.level, full.what.as_str()), (Level::Full, "making namespaces"));
    assert!(
        full.reason.contains("No space left")
            && full.hint.as_deref().is_some_and(|hint| hint.contains("max_user_namespaces"))
    );
}

/// What podman does by default: parts of `/proc` are covered, so the kernel gives no fresh one.
fn masked_proc() {
    let script = "mount -t tmpfs none /proc/scsi 2>/dev/null || mount -t tmpfs none /proc/fs; exec \"$1\" __probe";
    let probe = probe_under(&["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"], script);
    assert_eq!(probe.works, [Level::NoProc, Level::TraceOnly]);
    assert_eq!((probe.refused.len(), probe.refused[0].what.as_str()), (1, "mounting a fresh `/proc`"));
}

fn nothing_is_lowered_in_silence() {
    // A scratch directory that is there already makes the last level fail, with its reason.
    let mut bench = forced("silence", "true", Level::TraceOnly);
    fs::create_dir(&bench.host.scratch).expect("in the way");
    let error = bench.try_run().expect_err("no run");
    assert!(matches!(&error, SandboxError::Setup { place, .. } if place.ends_with("scratch")), "{error}");
    assert!(!bench.host.trace.exists() && !bench.host.log.exists(), "nothing half-written remains");
    let mut bench = Bench::new("silence-2", "true");
    bench.host.minimum = Level::TraceOnly;
    let outcome = bench.pass();
    assert_eq!((outcome.level, outcome.refused.len()), (Level::Full, 0));
    assert!(touched(&outcome, AccessKind::Execute).contains(&("dash".to_owned(), "/usr/bin/dash".to_owned())));
    let mut bench = forced("silence-3", "true", Level::Full);
    bench.host.ceiling = Level::TraceOnly;
    let error = bench.try_run().expect_err("no level between");
    assert!(matches!(error, SandboxError::Level { minimum: Level::Full, .. }), "{error}");
}

fn bad_plans() {
    let mut bench = Bench::new("bad-source", "true");
    bench.host.sources.insert("source".to_owned(), bench.place.join("none"));
    let error = bench.try_run().expect_err("no source").to_string();
    assert!(error.contains("/none") && error.contains("No such file"), "{error}");
    let mut bench = Bench::new("bad-tree", "true");
    bench.host.sources.insert("tools".to_owned(), bench.place.join("none"));
    let error = bench.try_run().expect_err("no tree").to_string();
    assert!(error.contains("/none") && error.contains("No such file"), "{error}");
    let mut bench = Bench::new("bad-fit", "true");
    bench.plan.mounts.push(sandbox::plan::Mount::Scratch { target: "/lib/x".to_owned(), size_bytes: 1 << 20 });
    let error = bench.try_run().expect_err("through a link").to_string();
    assert!(error.contains("`/lib/x` lies below `/lib`, which is no directory"), "{error}");
    let mut bench = Bench::new("bad-supervisor", "true");
    bench.host.supervisor = "/usr/bin/true".into();
    let error = bench.try_run().expect_err("no supervisor");
    assert!(matches!(error, SandboxError::Died { .. } | SandboxError::Io { .. }), "{error}");
    let mut bench = Bench::new("bad-size", "true");
    fs::write(bench.place.join("source/big"), vec![0_u8; 2 << 20]).expect("a file");
    if let Some(sandbox::plan::Mount::Copy { size_bytes, .. }) =
        bench.plan.mounts.iter_mut().find(|one| one.target() == "/build")
    {
        *size_bytes = 1 << 20;
    }
    let error = bench.try_run().expect_err("too small").to_string();
    assert!(error.contains("copying into the sandbox `/build/big`: No space left"), "{error}");
}
