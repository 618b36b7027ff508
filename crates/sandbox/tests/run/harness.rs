//! Test registry, scratch directories, and the plan that most tests start from.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use sandbox::error::SandboxError;
use sandbox::event::Event;
use sandbox::outcome::{AccessKind, Outcome, Process, Stream};
use sandbox::plan::{Host, Level, Limits, Mount, PLAN_VERSION, Plan, Step};
use sandbox::script::Scripts;
use sandbox::tier::{Randomness, Tier};
use sandbox::trace::Reader;
use sandbox::trace::live::Live;

/// When the sources were written, and where the logical clock begins: 2001-02-03 04:05:06.
pub(crate) const EPOCH_UNIX_S: i64 = 981_173_106;
/// A name and what it checks; a panic is a failure.
pub(crate) type Test = (&'static str, fn());
/// A test of a table: its name is made from the row.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) check: Box<dyn Fn() + std::panic::RefUnwindSafe>,
}

impl From<&Test> for Row {
    fn from(&(name, check): &Test) -> Self {
        Self { name: name.to_owned(), check: Box::new(check) }
    }
}

pub(crate) const AS_USER: &str = "SANDBOX_TEST_AS_USER";
const USER: &str = "65534";

/// Runs tests whose name holds one of the words; returns the exit code.
pub(crate) fn run_all(arguments: &[String], tests: &[Row]) -> i32 {
    let words: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let chosen: Vec<&Row> = tests.iter().filter(|row| chosen(&row.name)).collect();
    let is_child = std::env::var_os(AS_USER).is_some();
    let who = if is_root() { "root" } else { "user" };
    if !is_child {
        println!("\nrunning {} tests", chosen.len() * if is_root() { 2 } else { 1 });
    }
    let started = Instant::now();
    let (mut passed, mut failed) = (0, Vec::new());
    for Row { name, check } in &chosen {
        let is_ok = std::panic::catch_unwind(check).is_ok();
        println!("test {who}::{name} ... {}", if is_ok { "ok" } else { "FAILED" });
        if is_ok { passed += 1 } else { failed.push(format!("{who}::{name}")) }
    }
    fs::remove_dir_all(base()).ok();
    if is_child {
        println!("passed {passed}");
        return i32::from(!failed.is_empty());
    }
    if is_root() {
        run_as_user(arguments, chosen.len(), &mut passed, &mut failed);
    } else {
        println!("note: not started by root, so only the half of an ordinary user ran");
    }
    report(passed, &failed, tests.len() - chosen.len(), started)
}

fn report(passed: usize, failed: &[String], filtered: usize, started: Instant) -> i32 {
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    if !failed.is_empty() {
        println!("\nfailures:\n    {}", failed.join("\n    "));
    }
    println!(
        "\ntest result: {result}. {passed} passed; {} failed; 0 ignored; 0 measured; {filtered} filtered out; finished in {:.2}s\n",
        failed.len(),
        started.elapsed().as_secs_f64()
    );
    i32::from(!failed.is_empty())
}

/// Runs a copy of this program as an ordinary user, and adds up what it says.
fn run_as_user(arguments: &[String], count: usize, passed: &mut usize, failed: &mut Vec<String>) {
    let place = std::env::temp_dir().join(format!("sandbox-test-user-{}", std::process::id()));
    fs::create_dir_all(&place).expect("a directory for the copy");
    let copy = place.join("run");
    fs::copy(std::env::current_exe().expect("own path"), &copy).expect("a copy that a user may read");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("the copy is executable");
    let output = Command::new("setpriv")
        .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
        .arg(&copy)
        .args(arguments)
        .env(AS_USER, "1")
        .env("HOME", "/nonexistent")
        .stderr(std::process::Stdio::inherit())
        .output();
    fs::remove_dir_all(&place).ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut seen = 0;
    for line in text.lines() {
        match line.strip_prefix("passed ") {
            Some(number) => *passed += number.parse::<usize>().unwrap_or(0),
            None => println!("{line}"),
        }
        if let Some(name) = line.strip_prefix("test ") {
            seen += 1;
            failed.extend(name.strip_suffix(" ... FAILED").map(str::to_owned));
        }
    }
    if seen != count {
        println!(
            "test user::all ... FAILED (the run as user {USER} told of {seen} tests, not {count}: is `setpriv` there?)"
        );
        failed.push("user::all".to_owned());
    }
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0)
}

/// The directory of this process's tests.
pub(crate) fn base() -> PathBuf {
    std::env::temp_dir().join(format!("sandbox-test-{}", std::process::id()))
}

/// Everything that one test writes on the host, removed at its end.
pub(crate) struct Bench {
    pub(crate) place: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) host: Host,
    /// Standard output of the last run.
    pub(crate) output: String,
    /// Standard error of the last run.
    pub(crate) errors: String,
}

impl Drop for Bench {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.place).ok();
    }
}

impl Bench {
    /// A plan with the machine's `/usr`, a workspace with `a`, `sub/b` and `run.sh`, and one shell step.
    pub(crate) fn new(name: &str, script: &str) -> Self {
        let place = base().join(name);
        fs::create_dir_all(place.join("source/sub")).expect("a workspace");
        fs::create_dir_all(place.join("collected")).expect("a place to collect to");
        fs::write(place.join("source/a"), "alpha\n").expect("a file");
        fs::write(place.join("source/sub/b"), "beta\n").expect("a file");
        fs::write(place.join("source/run.sh"), "#!/bin/sh\necho ran\n").expect("a script");
        fs::set_permissions(place.join("source/run.sh"), fs::Permissions::from_mode(0o700)).expect("executable");
        let mut sources = BTreeMap::from([
            ("usr".to_owned(), PathBuf::from("/usr")),
            ("source".to_owned(), place.join("source")),
            ("tools".to_owned(), tools().to_owned()),
        ]);
        sources.insert("self".to_owned(), std::env::current_exe().expect("own path"));
        let host = Host {
            supervisor: std::env::current_exe().expect("own path"),
            sources,
            minimum: Level::Full,
            ceiling: Level::Full,
            trace: place.join("trace"),
            log: place.join("log"),
            collect: place.join("collected"),
            scratch: place.join("scratch"),
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            deny: Vec::new(),
            door: None,
        };
        let plan = Plan {
            version: PLAN_VERSION,
            hostname: "build".to_owned(),
            cpus: 2,
            loopback: false,
            epoch_unix_s: EPOCH_UNIX_S,
            mounts: mounts(),
            steps: vec![step("shell", &["/bin/sh", "-c", script])],
            collect: Vec::new(),
            limits: Limits { wall_ms: 60_000, ..Limits::default() },
        };
        Self { place, plan, host, output: String::new(), errors: String::new() }
    }

    /// Gives every step this tier, with its variables.
    pub(crate) fn tier(mut self, tier: Tier, randomness: Randomness) -> Self {
        for step in &mut self.plan.steps {
            (step.tier, step.randomness) = (tier, randomness);
            step.variables.extend(tier.variables());
        }
        self
    }

    pub(crate) fn try_run(&mut self) -> Result<Outcome, SandboxError> {
        let (mut output, mut errors, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let mut on_event = |event: &mut Event, _: &Live| events.push(event.clone());
        let result = sandbox::run(&self.plan, &self.host, &mut on_event, &mut |piece| match piece.stream {
            Stream::Stdout => output.extend_from_slice(piece.bytes),
            Stream::Stderr => errors.extend_from_slice(piece.bytes),
        });
        self.output = String::from_utf8_lossy(&output).into_owned();
        self.errors = String::from_utf8_lossy(&errors).into_owned();
        result.and_then(|_| Outcome::of(events, &self.plan))
    }

    pub(crate) fn run(&mut self) -> Outcome {
        let outcome = self.try_run().unwrap_or_else(|error| panic!("{error} (hint: {:?})", error.hint()));
        assert_eq!((outcome.lost, &outcome.losses[..]), (0, &[][..]), "lost events");
        outcome
    }

    /// Runs, and expects success.
    pub(crate) fn pass(&mut self) -> Outcome {
        let outcome = self.run();
        let Outcome { steps, limit, absent, .. } = &outcome;
        assert!(outcome.passed(), "{steps:?} {limit:?} {absent:?}\n{}{}", self.output, self.errors);
        outcome
    }
}

/// The events of the trace that the last run left.
pub(crate) fn events(bench: &Bench) -> Vec<Event> {
    let mut reader = Reader::new(fs::File::open(&bench.host.trace).expect("a trace")).expect("its beginning");
    let mut events = Vec::new();
    while let Some(event) = reader.read().expect("each is an event") {
        events.push(event);
    }
    events
}

fn mounts() -> Vec<Mount> {
    let link = |target: &str, to: &str| Mount::Link { target: target.to_owned(), to: to.to_owned() };
    let tree = |target: &str, source: &str| Mount::Tree { target: target.to_owned(), source: source.to_owned() };
    let scratch = |target: &str| Mount::Scratch { target: target.to_owned(), size_bytes: 64 << 20 };
    let passwd = "builder:x:1000:1000::/home:/bin/sh\n".to_owned();
    vec![
        tree("/usr", "usr"),
        link("/bin", "usr/bin"),
        link("/lib", "usr/lib"),
        link("/lib64", "usr/lib64"),
        Mount::File { target: "/etc/passwd".to_owned(), content: passwd, executable: false },
        Mount::Copy {
            target: "/build".to_owned(),
            source: "source".to_owned(),
            mtime_unix_s: EPOCH_UNIX_S,
            size_bytes: 64 << 20,
        },
        tree("/tools", "tools"),
        tree("/self/run", "self"),
        scratch("/tmp"),
        scratch("/home"),
    ]
}

pub(crate) fn step(name: &str, argv: &[&str]) -> Step {
    Step {
        name: name.to_owned(),
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        cwd: "/build".to_owned(),
        variables: BTreeMap::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), "/home".to_owned()),
            ("TMPDIR".to_owned(), "/tmp".to_owned()),
        ]),
        tier: Tier::T0,
        randomness: Randomness::Real,
        scripts: Scripts::Untraced,
    }
}

/// The first process whose last argument or program ends so.
pub(crate) fn process<'a>(outcome: &'a Outcome, program: &str) -> &'a Process {
    let found = outcome.processes.iter().find(|process| process.executed && process.exe.ends_with(program));
    found.unwrap_or_else(|| panic!("no process `{program}` in {:#?}", outcome.processes))
}

/// All paths that were touched in one way, with the program that did it.
pub(crate) fn touched(outcome: &Outcome, kind: AccessKind) -> Vec<(String, String)> {
    let all = outcome.accesses.iter().chain(&outcome.missing).filter(|access| access.kind == kind);
    let program =
        |access| outcome.process(access).map(|process| process.exe.rsplit('/').next().unwrap_or("").to_owned());
    all.map(|access| (program(access).unwrap_or_default(), outcome.path(access).to_owned())).collect()
}

pub(crate) fn assert_touched(outcome: &Outcome, kind: AccessKind, program: &str, path: &str) {
    let all = touched(outcome, kind);
    assert!(all.contains(&(program.to_owned(), path.to_owned())), "no {kind:?} of {path} by {program} in {all:#?}");
}

/// A directory with the hostile program, dynamic (`hostile`) and static (`hostile-static`).
pub(crate) fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let place = base().join("tools");
        fs::create_dir_all(&place).expect("a directory for tools");
        let sources = [
            ("hostile", include_str!("hostile.c")),
            ("leaks", include_str!("leaks.c")),
            ("evidence", include_str!("evidence.c")),
        ];
        let kinds = [("", &["-pthread"][..]), ("-static", &["-pthread", "-static"])];
        for ((name, text), (ending, flags)) in sources.into_iter().flat_map(|one| kinds.map(|kind| (one, kind))) {
            let source = place.join(format!("{name}.c"));
            fs::write(&source, text).expect("the source");
            let status = Command::new("cc")
                .args(["-O1", "-w", "-o"])
                .arg(place.join(format!("{name}{ending}")))
                .arg(&source)
                .args(flags)
                .status();
            assert!(
                status.is_ok_and(|status| status.success()),
                "the tests need a C compiler `cc` with a static C library"
            );
        }
        crate::escape::build(&place);
        place
    })
}

/// This program as a step: prints what the standard library sees.
pub(crate) fn inside(arguments: &[String]) {
    match arguments.first().map(String::as_str) {
        Some("parallelism") => println!("{}", std::thread::available_parallelism().map_or(0, usize::from)),
        Some("descriptors") => {
            let mut numbers: Vec<String> = (0..64)
                .filter(|number| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok())
                .map(|number| number.to_string())
                .collect();
            numbers.sort();
            println!("{}", numbers.join(" "));
        }
        other => panic!("unknown mode {other:?}"),
    }
}
