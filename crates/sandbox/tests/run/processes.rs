//! Every process: argv, variables, program, parent, exit; forks, threads, vfork, exec chains, static programs.

use sandbox::outcome::{AccessKind, Exit, Stream};

use crate::harness::{Bench, Test, assert_touched, process, step};

pub(crate) const TESTS: &[Test] = &[
    ("processes_are_recorded", processes_are_recorded),
    ("exec_chain_keeps_its_pid", exec_chain_keeps_its_pid),
    ("forked_copies_show_their_parent", forked_copies_show_their_parent),
    ("exec_from_a_thread", exec_from_a_thread),
    ("many_threads_open", many_threads_open),
    ("vfork_and_static", vfork_and_static),
    ("program_from_memory", program_from_memory),
    ("killed_parents_lose_nothing", killed_parents_lose_nothing),
    ("stopped_and_continued", stopped_and_continued),
    ("failure_ends_the_run", failure_ends_the_run),
    ("signal_ends_a_step", signal_ends_a_step),
    ("program_not_found", program_not_found),
    ("output_is_streamed_and_logged", output_is_streamed_and_logged),
];

// M2.3
fn processes_are_recorded() {
    let mut bench = Bench::new("processes", "/bin/cat a; exit 0");
    let outcome = bench.pass();
    let (shell, cat) = (process(&outcome, "/dash"), process(&outcome, "/cat"));
    assert_eq!(shell.argv, ["/bin/sh", "-c", "/bin/cat a; exit 0"]);
    assert_eq!((shell.parent, shell.step, shell.cwd.as_str(), shell.exit), (None, 0, "/build", Exit::Code(0)));
    assert_eq!(shell.variables.get("HOME").map(String::as_str), Some("/home"));
    assert_eq!(shell.variables.get("PATH").map(String::as_str), Some("/usr/bin:/bin"));
    assert_eq!((cat.argv.join(" ").as_str(), cat.parent, cat.replaces), ("/bin/cat a", Some(shell.id), None));
    assert!(shell.pid > 1 && shell.pid < 100 && cat.pid > shell.pid, "{} {}", shell.pid, cat.pid);
    assert!(cat.start_us >= shell.start_us && shell.duration_us >= cat.duration_us && cat.rss_max_kib > 0);
    assert_touched(&outcome, AccessKind::Execute, "cat", "/usr/bin/cat");
    assert_eq!(outcome.steps[0].name, "shell");
    assert!(outcome.duration_us > 0 && outcome.steps[0].survivors == 0);
}

fn exec_chain_keeps_its_pid() {
    let mut bench = Bench::new("chain", "exec /usr/bin/env X=1 /usr/bin/true");
    let outcome = bench.pass();
    let (shell, env, last) = (process(&outcome, "/dash"), process(&outcome, "/env"), process(&outcome, "/true"));
    assert_eq!((env.pid, last.pid), (shell.pid, shell.pid));
    assert_eq!((shell.replaces, env.replaces, last.replaces), (None, Some(shell.id), Some(env.id)));
    assert_eq!((shell.exit, env.exit, last.exit), (Exit::Exec(env.id), Exit::Exec(last.id), Exit::Code(0)));
    assert_eq!(last.variables.get("X").map(String::as_str), Some("1"));
    assert_eq!(outcome.processes.len(), 3);
}

fn forked_copies_show_their_parent() {
    let mut bench = Bench::new("copies", "(read x < a; exit 3); echo $?");
    let outcome = bench.pass();
    assert_eq!(bench.output, "3\n");
    let copy = outcome.processes.iter().find(|process| !process.executed).expect("a forked copy");
    assert_eq!((copy.parent, copy.exit, copy.exe.as_str()), (Some(0), Exit::Code(3), "/usr/bin/dash"));
    assert_eq!(copy.argv[0], "/bin/sh");
    let reads = outcome.accesses.iter().filter(|access| access.process == copy.id && access.kind == AccessKind::Read);
    assert!(reads.into_iter().any(|access| outcome.path(access) == "/build/a"));
}

fn exec_from_a_thread() {
    for program in ["/tools/hostile", "/tools/hostile-static"] {
        let mut bench = Bench::new("thread", &format!("{program} thread-exec /usr/bin/true"));
        let outcome = bench.pass();
        let (before, after) = (process(&outcome, program), process(&outcome, "/true"));
        assert_eq!((after.pid, after.replaces), (before.pid, Some(before.id)));
        assert_eq!((before.exit, after.exit), (Exit::Exec(after.id), Exit::Code(0)));
        assert_eq!(after.argv, ["/usr/bin/true", "from-thread"]);
    }
}

fn many_threads_open() {
    let mut bench = Bench::new("threads", "/tools/hostile threads-open /build/a");
    let outcome = bench.pass();
    let program = process(&outcome, "/hostile");
    let read = outcome.accesses.iter().find(|access| {
        access.process == program.id && access.kind == AccessKind::Read && outcome.path(access) == "/build/a"
    });
    assert_eq!(read.map(|access| access.count), Some(1600), "8 threads, 200 times each, one process");
}

fn vfork_and_static() {
    let mut bench = Bench::new("vfork", "/tools/hostile-static vfork /tools/hostile-static raw-open /build/a");
    let outcome = bench.pass();
    assert_eq!(bench.output, "raw-open: ok\n");
    let children: Vec<_> = outcome.processes.iter().filter(|process| process.exe.ends_with("-static")).collect();
    assert_eq!(children.len(), 2);
    assert_eq!(children[1].parent, Some(children[0].id));
    assert_touched(&outcome, AccessKind::Read, "hostile-static", "/build/a");
}

fn program_from_memory() {
    let mut bench = Bench::new("memory", "/tools/hostile-static fexec");
    let outcome = bench.pass();
    assert_eq!(bench.output, "said memory\n");
    let program =
        outcome.processes.iter().find(|one| one.exe.starts_with("/memfd:copy")).expect("the program in memory");
    assert_eq!(program.argv, ["from-memory", "say", "memory"]);
    let bytes = std::fs::read(crate::harness::tools().join("hostile-static")).expect("what was copied");
    assert_eq!(program.exe, format!("/memfd:copy ({})", wire::digest::Digest::of(&bytes)));
}

fn killed_parents_lose_nothing() {
    let mut bench = Bench::new("churn", "/tools/hostile churn 100");
    let outcome = bench.pass();
    assert_eq!(outcome.processes.len(), 2 + 200);
    let orphans = outcome.processes.iter().filter(|process| process.id > 0 && process.parent.is_none()).count();
    assert_eq!(orphans, 0, "each process has the parent that forked it");
}

fn stopped_and_continued() {
    let mut bench = Bench::new("stop", "/tools/hostile stop-and-go");
    bench.pass();
    assert_eq!(bench.output, "stop-and-go: 7\n");
}

fn failure_ends_the_run() {
    let mut bench = Bench::new("failure", "exit 3");
    bench.plan.steps.push(step("never", &["/bin/true"]));
    let outcome = bench.run();
    assert!(!outcome.passed());
    assert_eq!(outcome.steps.len(), 1);
    assert_eq!((outcome.steps[0].exit, outcome.limit), (Exit::Code(3), None));
}

fn signal_ends_a_step() {
    let mut bench = Bench::new("signal", "kill -SEGV $$");
    let outcome = bench.run();
    assert_eq!(outcome.steps[0].exit, Exit::Signal(11));
    assert_eq!(outcome.steps[0].exit.shell_code(), Some(139));
}

fn program_not_found() {
    let mut bench = Bench::new("not-found", "");
    bench.plan.steps = vec![step("none", &["no-such-program"])];
    let outcome = bench.run();
    assert_eq!(outcome.steps[0].exit, Exit::Code(127));
    assert!(bench.errors.contains("cannot run `no-such-program`"), "{}", bench.errors);
    let missing: Vec<&str> = outcome.missing.iter().map(|access| outcome.path(access)).collect();
    assert_eq!(missing, ["/usr/bin/no-such-program", "/bin/no-such-program"]);
}

fn output_is_streamed_and_logged() {
    let mut bench = Bench::new("output", "echo out; echo err >&2");
    bench.plan.steps.push(step("second", &["/bin/echo", "two"]));
    let mut pieces = Vec::new();
    let outcome = sandbox::run(&bench.plan, &bench.host, &mut |_, _| {}, &mut |piece| {
        pieces.push((piece.step, piece.stream, String::from_utf8_lossy(piece.bytes).into_owned()));
    });
    assert!(outcome.expect("a run").passed());
    pieces.sort_by_key(|(step, stream, _)| (*step, *stream == Stream::Stderr));
    let expected = [(0, Stream::Stdout, "out\n"), (0, Stream::Stderr, "err\n"), (1, Stream::Stdout, "two\n")];
    assert_eq!(pieces, expected.map(|(step, stream, text)| (step, stream, text.to_owned())));
    let log = std::fs::read_to_string(&bench.host.log).expect("a log");
    assert_eq!(log.len(), "out\nerr\ntwo\n".len());
}
