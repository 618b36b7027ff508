//! Nothing outlives its step, its supervisor, or its caller: no process, no mount, no file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::error::SandboxError;
use sandbox::plan::Level;

use crate::harness::{Bench, Test};

pub(crate) const TESTS: &[Test] = &[
    ("daemons_end_with_their_step", daemons_end_with_their_step),
    ("killed_supervisor", killed_supervisor),
    ("killed_caller", killed_caller),
    ("no_mount_remains", no_mount_remains),
];

fn daemons_end_with_their_step() {
    let mut bench =
        Bench::new("daemons", "/tools/hostile daemon; /tools/hostile-static daemon; set -- /proc/[0-9]*; echo $#");
    let mut next = bench.plan.steps[0].clone();
    next.argv[2] = "set -- /proc/[0-9]*; echo $#".to_owned();
    bench.plan.steps.push(next);
    let outcome = bench.pass();
    assert_eq!((outcome.steps[0].survivors, outcome.steps[1].survivors), (2, 0));
    let counts: Vec<u32> = bench.output.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(counts[0], counts[1] + 2, "{}", bench.output);
}

/// Pids of processes whose command line holds a word.
fn alive(word: &str) -> Vec<i32> {
    let pids =
        fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let holds = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    };
    pids.filter(holds).collect()
}

fn gone(word: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if alive(word).is_empty() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// This program as a caller of its own: runs a step that waits for ever, at the level named.
pub(crate) fn caller(arguments: &[String]) {
    let [name, level] = arguments else { panic!("a name and a level") };
    let level: Level = serde_json::from_str(&format!("\"{level}\"")).expect("a level");
    let mut bench = Bench::new(name, "");
    bench.plan.steps[0].argv[2] = format!("/tools/hostile daemon; echo {name}; exec /tools/hostile wait {name}");
    (bench.host.minimum, bench.host.ceiling) = (level, level);
    let mut text = String::new();
    let result = sandbox::run(&bench.plan, &bench.host, &mut |_, _| {}, &mut |piece| {
        text.push_str(&String::from_utf8_lossy(piece.bytes));
        if text.contains(name.as_str()) {
            println!("waiting {} {}", bench.place.display(), std::process::id());
            text.clear();
        }
    });
    match result {
        Err(SandboxError::Died { .. }) => println!("died"),
        other => println!("{other:?}"),
    }
    println!("scratch {}", bench.host.scratch.exists());
}

fn start(name: &str, level: Level) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let own = std::env::current_exe().expect("own path");
    let mut child =
        Command::new(own).args(["__caller", name, level.name()]).stdout(Stdio::piped()).spawn().expect("a caller");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    let place = line.split_whitespace().nth(1).unwrap_or_else(|| panic!("{line}")).to_owned();
    (child, lines, place)
}

fn killed_supervisor() {
    for level in Level::ALL {
        let name = format!("killed-supervisor-{level}-{}", std::process::id());
        let (mut caller, mut lines, place) = start(&name, level);
        let supervisor = children(caller.id());
        assert_eq!(supervisor.len(), 1, "one supervisor");
        kill(supervisor[0]);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut lines, &mut rest).expect("the caller's words");
        assert_eq!(rest, "died\nscratch false\n", "{level}");
        assert!(caller.wait().expect("an end").success());
        assert!(gone(&format!("wait\0{name}")), "{level}: steps outlived the supervisor: {:?}", alive(&name));
        remove(&place);
    }
}

fn killed_caller() {
    for level in Level::ALL {
        let name = format!("killed-caller-{level}-{}", std::process::id());
        let (mut caller, _lines, place) = start(&name, level);
        let supervisor = children(caller.id())[0];
        caller.kill().expect("a kill");
        caller.wait().expect("an end");
        assert!(gone(&format!("wait\0{name}")), "{level}: steps outlived the caller: {:?}", alive(&name));
        let end = Instant::now() + Duration::from_secs(10);
        while !has_ended(supervisor) && Instant::now() < end {
            std::thread::yield_now();
        }
        assert!(has_ended(supervisor), "{level}: the supervisor outlived its caller");
        assert!(!Path::new(&place).join("scratch").exists(), "{level}: the scratch directory is removed");
        remove(&place);
    }
}

/// Whether a process is gone, or waits only to be reaped.
fn has_ended(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat"));
    status.map_or(true, |status| status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

fn kill(pid: i32) {
    // SAFETY: plain numbers; the process is our child's child.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
}

fn children(pid: u32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("a kernel that lists children");
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn remove(place: &str) {
    if let Some(base) = Path::new(place).parent() {
        fs::remove_dir_all(base).ok();
    }
}

fn no_mount_remains() {
    let before = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    Bench::new("mounts", "true").pass();
    let after = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert_eq!(before, after);
}
