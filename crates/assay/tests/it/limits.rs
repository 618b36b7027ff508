//! Each limit of a run: it ends with what was reached, by whom, and how to raise it; and nothing of a run outlives it, whoever is killed.
//!
//! M10.1

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::place::{Place, git, ran};

/// How long the world may take to become as it should.
const PATIENCE: Duration = Duration::from_secs(120);

/// A project of one shell script, built by a copy of the program that nobody else runs.
struct Bench {
    place: Place,
    project: PathBuf,
    program: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let place = Place::new(name);
        let project = place.work().join("project");
        fs::create_dir(&project).expect("a directory");
        fs::write(project.join("src.txt"), "source\n").expect("a file");
        let program = place.root().join("assay");
        fs::hard_link(env!("CARGO_BIN_EXE_assay"), &program).expect("a link");
        git(&project, &["init", "--quiet"]);
        Bench { place, project, program }
    }

    /// Describes and pins a build by this script under these limits.
    fn describe(&self, limits: &str, script: &str) {
        let spec = format!(
            "version = 1\n[project]\nname = \"limited\"\nowners = [\"ada\"]\n[base]\npackages = [\"bash\", \"coreutils\"]\n\
             [limits]\n{limits}\n[[step]]\nname = \"make\"\nrun = [\"bash\", \"build.sh\"]\n\
             [[artifact]]\nname = \"made\"\npath = \"made\"\n\
             [[test]]\nname = \"waits\"\nrun = [\"sleep\", \"1000\"]\nformat = \"exit\"\n"
        );
        fs::write(self.project.join("assay.toml"), spec).expect("a file");
        fs::write(self.project.join("build.sh"), script).expect("a file");
        self.place.assay(&self.project, &["lock"]).exits(0);
        git(&self.project, &["add", "--all"]);
        git(&self.project, &["commit", "--quiet", "--allow-empty", "-m", "limited"]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let plain = self.place.program(&self.project);
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.project).env_clear().stdin(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Processes of this program, and of the steps that it runs.
    fn processes(&self) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let is_ours = fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == self.program);
            if is_ours || line.contains(&self.marker()) {
                found.push((pid, line));
            }
        }
        found
    }

    /// Stands in the arguments of what the script starts.
    fn marker(&self) -> String {
        format!("{}/marker", self.place.root().display())
    }

    /// No process, mount or scratch directory of a run is there.
    #[track_caller]
    fn nothing_is_left(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.processes().is_empty() {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.processes());
            std::thread::sleep(Duration::from_millis(5));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        assert!(!mounts.contains(self.place.root().to_str().expect("UTF-8")), "{what}: {mounts}");
    }

    /// As [`Bench::nothing_is_left`], and the place of running commands is empty.
    #[track_caller]
    fn nothing_is_kept(&self, what: &str) {
        self.nothing_is_left(what);
        let runs = fs::read_dir(self.place.home().join("runs")).expect("readable");
        let left: Vec<PathBuf> = runs.map(|entry| entry.expect("an entry").path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "{what}");
    }
}

/// Limits, a script that reaches one, and what is said: of whom, and with which key.
const REACHED: &[(&str, &str, &str)] = &[
    ("wall-s = 1", "sleep 1000", "wall time, 1 s"),
    ("cpu-s = 1", "while :; do :; done", "CPU time, 1 s: `bash build.sh`, process "),
    (
        "cpu-s = 1",
        "while :; do (i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); done); done",
        "CPU time, 1 s: `bash build.sh`",
    ),
    ("processes = 20", "for i in {1..50}; do sleep 1000 & done; wait", "number of processes, 20: `"),
    (
        "memory-mib = 64",
        "x=$(head -c 300000000 /dev/zero | tr '\\0' a); echo ${#x}",
        "memory, 64 MiB: `bash build.sh`, process ",
    ),
    ("open-files = 16", "paste $(printf 'src.txt %.0s' {1..40}) > made", "open files, 16 in one process"),
    ("file-mib = 1", "head -c 2000000 /dev/zero > big", "size of a file, 1 MiB"),
    ("disk-mib = 2", "head -c 4000000 /dev/zero > big", "space in `/build`, 2 MiB"),
    ("tmp-mib = 2", "head -c 4000000 /dev/zero > /tmp/big", "space in `/tmp`, 2 MiB"),
    ("tmp-mib = 2", "head -c 4000000 /dev/zero > ~/big", "space in `/home/builder`, 2 MiB"),
    ("log-mib = 1", "head -c 3000000 /dev/zero | tr '\\0' a", "output, 1 MiB"),
    ("output-mib = 1", "head -c 3000000 /dev/zero > made", "collected bytes, 1 MiB"),
    ("trace-events = 500", "for i in {1..1000}; do : > made-$i; done", "events of the trace, 500"),
];

#[test]
fn each_limit_names_what_was_reached_by_whom_and_how_to_raise_it() {
    let bench = Bench::new("limits");
    for (limits, script, expected) in REACHED {
        bench.describe(limits, &format!("{script}\n"));
        let ran = ran(bench.command(&["build", "--json"]).output().expect("it runs")).exits(1);
        let error = ran.json()["error"].clone();
        let (message, hint) = (error["message"].as_str().expect("a message"), error["hint"].as_str().expect("a hint"));
        let subject = if limits.starts_with("output") { "what the steps left" } else { "step `make`" };
        assert_eq!(error["code"], "build-failed", "{error}");
        assert!(message.starts_with(&format!("{subject} reached the limit of {expected}")), "{limits}: {message}");
        let key = limits.split(' ').next().expect("a key");
        assert!(hint.contains(&format!("a larger `{key}` under `[limits]` in assay.toml")), "{limits}: {hint}");
        bench.nothing_is_kept(limits);
    }
    // Below them all a build goes through, and its plan holds them: another limit is another recipe.
    let script = "head -c 500000 /dev/zero > made\n";
    let built = |limits: &str| {
        bench.describe(limits, script);
        bench.place.json(&bench.project, 0, &["build"])
    };
    let low = built(
        "wall-s = 100\ncpu-s = 50\nprocesses = 20\nmemory-mib = 64\nfile-mib = 1\ndisk-mib = 2\nlog-mib = 1\noutput-mib = 1",
    );
    let none = built("");
    assert_eq!(low["artifacts"], none["artifacts"]);
    assert_ne!(low["recipe"], none["recipe"]);

    bench.describe("wall-s = 1", script);
    bench.place.json(&bench.project, 0, &["build"]);
    let error = ran(bench.command(&["test", "--json"]).output().expect("it runs")).exits(1).json()["error"].clone();
    assert_eq!(error["code"], json!("test-limit"), "{error}");
    assert!(error["message"].as_str().expect("a message").contains("test `waits` reached the limit of wall time, 1 s"));
    bench.nothing_is_kept("a test");
}

/// Numbers that look random, the same for a seed (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn kill(pid: u32) {
    // It may have ended by itself.
    let _ended = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Whom a round kills.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Supervisor,
    Command,
    Both,
}

/// The supervisor of a command: of all processes with its argument, the one that the command started.
fn supervisor(bench: &Bench, command: &Child) -> Option<u32> {
    let parent = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
    };
    let found = bench.processes().into_iter().filter(|(_, line)| line.contains("__supervise"));
    found.map(|(pid, _)| pid).find(|&pid| parent(pid) == Some(command.id()))
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed makes a failure happen again")]
fn whoever_is_killed_at_whatever_moment_nothing_of_the_run_is_left() {
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let seed = std::env::var("ASSAY_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(seconds).max(1);
    println!("ASSAY_TEST_SEED={seed}");
    let mut chance = Chance(seed);
    let bench = Bench::new("killed");
    let marker = bench.marker();
    let script = format!(
        "for i in {{1..20}}; do (exec -a {marker} sleep 1000) & done\n\
         (trap '' TERM; exec -a {marker} setsid sleep 1000 || exec -a {marker} sleep 1000) &\n\
         for i in {{1..60}}; do mkdir -p d$i; head -c 10000 /dev/zero > d$i/f; done; echo done > made\n"
    );
    bench.describe("", &script);
    let whole = Instant::now();
    bench.place.json(&bench.project, 0, &["build"]);
    let length_us = whole.elapsed().as_micros() as u64;
    let (mut struck, mut told) = (0, 0);
    for round in 0..21 {
        let victim = [Victim::Supervisor, Victim::Command, Victim::Both][round % 3];
        let mut command = bench.command(&["build", "--again", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        // The moment is what is tried: nothing else may be waited for.
        let after = Duration::from_micros(chance.below(length_us * 5 / 4));
        std::thread::sleep(after);
        let supervisor = supervisor(&bench, &child);
        if victim != Victim::Command {
            supervisor.into_iter().for_each(kill);
        }
        if victim != Victim::Supervisor {
            kill(child.id());
        }
        let ended = child.wait().expect("waited").code();
        let what = format!("seed {seed}, round {round}: {victim:?} after {after:?}, exit {ended:?}");
        struck += usize::from(supervisor.is_some());
        if victim == Victim::Supervisor && supervisor.is_some() && ended != Some(0) {
            assert_eq!(ended, Some(2), "{what}");
            told += 1;
        }
        bench.nothing_is_left(&what);
        bench.place.assay(&bench.project, &["admin", "status"]).exits(0);
    }
    println!("{struck} of 21 rounds met a running sandbox, {told} ended with an error of the command");
    // Who makes a place of its own sweeps those of the dead.
    let built = bench.place.json(&bench.project, 0, &["build", "--again"]);
    assert_eq!(built["complete"], true, "{built}");
    bench.nothing_is_kept("the next command");
    assert_eq!(bench.place.json(&bench.project, 0, &["admin", "fsck"])["result"], "pass");
    assert!(Path::new(&bench.program).exists() && struck > 0, "no round met a sandbox: seed {seed}");
}
