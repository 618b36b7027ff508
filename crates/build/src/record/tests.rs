use model::recipe::ArtifactKind;
use model::run::{Attempt, Denied, Drawn, Undeclared};
use model::tree::Entry;
use sandbox::event::{Event, TRACE_FORMAT, TRACE_VERSION};
use sandbox::outcome::{self, Access, AccessKind, Exit, Network, Outcome, Random, Refusal, StepOutcome};
use sandbox::tier::{Randomness, Tier};
use sandbox::trace::live::Live;

use super::inventory::Inventory;
use super::watch::Watch;
use super::withhold::Withhold;
use super::*;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// A process that opened these paths.
fn outcome(level: Level, reads: &[&str]) -> Outcome {
    let process = outcome::Process {
        id: 0,
        pid: 2,
        parent: None,
        replaces: None,
        step: 0,
        executed: true,
        exe: "/toolchain/rust/bin/cargo".to_owned(),
        argv: vec!["cargo".to_owned(), "build".to_owned()],
        cwd: "/build".to_owned(),
        variables: BTreeMap::from([("PATH".to_owned(), "/usr/bin".to_owned())]),
        start_us: 0,
        duration_us: 1_500_000,
        exit: Exit::Code(0),
        cpu_us: 1,
        rss_max_kib: 1,
    };
    let access = |path| Access { process: 0, path, kind: AccessKind::Read, count: 2 };
    Outcome {
        level,
        refused: Vec::new(),
        landlock: None,
        root: None,
        steps: vec![StepOutcome {
            name: "compile".to_owned(),
            exit: Exit::Code(0),
            duration_us: 1_500_000,
            survivors: 0,
            tier: Tier::T0,
            randomness: Randomness::Real,
        }],
        processes: vec![process],
        paths: reads.iter().map(|path| (*path).to_owned()).collect(),
        accesses: (0..reads.len()).map(access).collect(),
        missing: Vec::new(),
        denied: Vec::new(),
        network: Vec::new(),
        random: Vec::new(),
        collected: vec![Collected {
            path: "/build/target/release/greeter".to_owned(),
            kind: CollectedKind::File { digest: digest("greeter"), size: 7, executable: true },
        }],
        absent: Vec::new(),
        limit: None,
        lost: 0,
        losses: Vec::new(),
        duration_us: 1_500_000,
    }
}

/// A run of one process that passed.
pub(crate) fn outcome_sample() -> Outcome {
    outcome(Level::Full, &[])
}

/// The events of an outcome that was made by hand.
pub(crate) fn events(outcome: &Outcome) -> Vec<Event> {
    let Outcome { level, root, .. } = outcome.clone();
    let (format, refused) = (TRACE_FORMAT.to_owned(), outcome.refused.clone());
    let mut events = vec![Event::Start { format, version: TRACE_VERSION, level, refused, landlock: None, root }];
    for process in outcome.processes.iter().cloned() {
        let outcome::Process { id, pid, parent, replaces, step, executed, exe, argv, cwd, variables, start_us, .. } =
            process;
        events.push(Event::Fork { id, pid, parent, step, start_us });
        events.push(Event::Process { id, pid, parent, replaces, step, executed, exe, argv, cwd, variables, start_us });
    }
    let paths = outcome.paths.iter().cloned().enumerate();
    events.extend(paths.map(|(id, path)| Event::Path { id, path }));
    let accesses = outcome.accesses.iter().chain(&outcome.missing).copied();
    events.extend(accesses.map(|Access { process, path, kind, count }| Event::Access { process, path, kind, count }));
    events.extend(outcome.denied.iter().cloned().map(Event::Denied));
    events.extend(outcome.network.iter().cloned().map(Event::Network));
    events.extend(outcome.random.iter().cloned().map(Event::Random));
    let end = |process: &outcome::Process| Event::End {
        process: process.id,
        exit: process.exit,
        duration_us: process.duration_us,
        cpu_us: 0,
        rss_max_kib: 0,
    };
    events.extend(outcome.processes.iter().map(end));
    let Outcome { lost, losses, duration_us, .. } = outcome.clone();
    events.push(Event::Finished { lost, losses, duration_us });
    events
}

fn summary(outcome: &Outcome) -> Summary {
    let Outcome { level, refused, landlock, root, steps, collected, absent, limit, lost, losses, duration_us, .. } =
        outcome.clone();
    let (processes, accesses) = (outcome.processes.len(), outcome.accesses.len() as u64);
    Summary {
        level,
        refused,
        landlock,
        root,
        steps,
        processes,
        accesses,
        collected,
        absent,
        limit,
        lost,
        losses,
        duration_us,
    }
}

fn recorded(outcome: &Outcome) -> Result<Record, RecordError> {
    recorded_by(crate::spec::tests::GREETER, outcome)
}

fn recorded_by(spec: &str, outcome: &Outcome) -> Result<Record, RecordError> {
    let spec = Spec::parse("assay.toml", spec.as_bytes()).expect("it is good");
    let lock = crate::lock::tests::sample();
    let source = Source { tree: digest("source"), revision: None };
    let planned = crate::plan::build(&spec, &lock, &source);
    let mut base = Tree::default();
    let file = Entry::File { digest: digest("gcc"), size: 3, executable: true };
    base.insert("usr/bin/gcc", file).expect("a good path");
    base.insert("lib", Entry::Link { target: "usr/lib".to_owned() }).expect("a good path");
    let sources = BTreeMap::from([("rust".to_owned(), PathBuf::from("/srv/home/trees/sha256/aa"))]);
    let made = Made { spec: &spec, lock: &lock, source: &source, planned: &planned, base: &base, sources: &sources };
    let time = Timestamp::from_unix_s(1_795_376_460).expect("in range");
    let machine = Machine {
        architecture: "x86_64".to_owned(),
        kernel: "6.18.44".to_owned(),
        cpu: "EPYC".to_owned(),
        machine: "00".to_owned(),
    };
    let circumstances = Circumstances {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        started: time,
        finished: time,
        invoker: "ada@example".to_owned(),
        machine,
        trace: digest("trace"),
        log: digest("log"),
    };
    let inventory = Inventory::of_lock(&lock);
    let (mut watch, mut live) = (Watch::new(&made, &inventory, [7; 32]), Live::default());
    for mut event in events(outcome) {
        watch.take(&mut event, &live);
        live.take(&event).expect("in order");
    }
    record(&made, &summary(outcome), watch.finish(), Vec::new(), &circumstances)
}

/// A record of a complete build.
pub(crate) fn sample() -> Record {
    recorded(&outcome(Level::Full, &[])).expect("the artifact is there")
}

fn undeclared(level: Level, reads: &[&str]) -> Vec<String> {
    let record = recorded(&outcome(level, reads)).expect("the artifact is there");
    record.undeclared.into_iter().map(|undeclared| undeclared.path).collect()
}

#[test]
fn a_complete_build() {
    let record = sample();
    assert_eq!(record.completeness, Completeness { complete: true, reasons: Vec::new(), lost: 0 });
    assert_eq!((record.level.as_str(), record.duration_ms), ("full", 1500));
    let output = &record.recipe.outputs[0];
    assert_eq!((output.name.as_str(), &output.kind, output.size), ("greeter", &ArtifactKind::File, 7));
    assert_eq!(record.recipe.lock, crate::lock::tests::sample().digest());
    let kinds: Vec<InputKind> = record.recipe.inputs.iter().map(|input| input.kind).collect();
    use InputKind::{Base, Dependency, Package, Toolchain};
    assert_eq!(kinds, [Package, Package, Base, Toolchain, Dependency, Dependency]);
    assert_eq!(record.recipe.inputs[4].version, "73e321f84cd2493e93e093d455f52c39f9acbff7");
}

/// From tier T1 on the kernel's description of the machine is fixed, so reading it is no look at the machine; at T0 it is.
#[test]
fn what_a_tier_fixes_is_declared() {
    let reads = ["/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/17/maps", "/proc/kcore"];
    let undeclared_at = |tier: &str| {
        let text = crate::spec::tests::GREETER.replace("tier = \"T0\"", &format!("tier = \"{tier}\""));
        let record = recorded_by(&text, &outcome(Level::NoProc, &reads)).expect("the artifact is there");
        record.undeclared.into_iter().map(|undeclared| undeclared.path).collect::<Vec<_>>()
    };
    assert_eq!(undeclared_at("T0"), ["/proc/cpuinfo", "/proc/kcore", "/proc/meminfo", "/proc/stat", "/proc/version"]);
    assert_eq!(undeclared_at("T1"), ["/proc/kcore"]);
}

#[test]
fn what_is_pinned_made_or_on_the_list_is_declared() {
    let reads = [
        "/usr/bin/gcc",
        "/usr/lib/anything",
        "/lib/libc.so.6",
        "/toolchain/rust/bin/cargo",
        "/toolchain",
        "/vendor/serde-1.0.219/src/lib.rs",
        "/build/src/main.rs",
        "/build/target/release/greeter",
        "/tmp/x",
        "/home/builder/.cargo/.package-cache",
        "/.cargo/config.toml",
        "/",
        "/dev/null",
        "/dev/fd/3",
        "/proc/self/maps",
        "/proc/17/cgroup",
        "/sys/devices/system/cpu/online",
    ];
    for level in [Level::Full, Level::NoProc] {
        assert_eq!(undeclared(level, &reads), Vec::<String>::new());
    }
}

#[test]
fn what_is_not_is_undeclared_and_the_build_incomplete() {
    let reads = [
        "/opt/secret",
        "/etc2/x",
        "/buildx/y",
        "/proc/cpuinfo",
        "/proc/sys/cgroup",
        "/proc/sys/kernel/random/uuid",
        "/sys/class/net/eth0/address",
        "/dev/sda",
        "/dev/nullx",
    ];
    for level in [Level::Full, Level::NoProc] {
        let mut expected = reads.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(undeclared(level, &reads), expected);
    }
    let record = recorded(&outcome(Level::Full, &["/proc/cpuinfo"])).expect("the artifact is there");
    assert_eq!(record.completeness.reasons, ["1 file was read that nothing pins"]);
    let found = &record.undeclared[0];
    assert_eq!((found.process, found.argv0.as_str(), found.count), (0, "cargo", 2));
}

#[test]
fn only_a_fresh_proc_shows_no_process_but_the_builds_own() {
    assert_eq!(undeclared(Level::Full, &["/proc/17/environ"]), Vec::<String>::new());
    assert_eq!(undeclared(Level::NoProc, &["/proc/17/environ"]), ["/proc/17/environ"]);
}

#[test]
fn failed_opens_and_writes_are_not_undeclared() {
    use AccessKind::{Missing, Refused, Write};
    let record = touched(&[("/opt/a", Missing), ("/opt/b", Write), ("/opt/c", Refused)]);
    assert_eq!(record.undeclared, []);
    assert_eq!(attempts(&record.verdicts.outside), ["write /opt/b ×2 by 0 `cargo build`"]);
}

/// The record of a run in which process 0 touched these paths so.
fn touched(accesses: &[(&str, AccessKind)]) -> Record {
    let paths: Vec<&str> = accesses.iter().map(|(path, _)| *path).collect();
    let mut outcome = outcome(Level::Full, &paths);
    for (access, (_, kind)) in outcome.accesses.iter_mut().zip(accesses) {
        access.kind = *kind;
    }
    recorded(&outcome).expect("the artifact is there")
}

fn attempts(found: &[Attempt]) -> Vec<String> {
    found.iter().map(|one| format!("{} ×{} by {} `{}`", one.what, one.count, one.process, one.command)).collect()
}

#[test]
fn writes_beyond_what_a_build_makes_are_named_with_their_process() {
    use AccessKind::{Attributes, Create, Read, Remove, RenameTo, Write};
    let record = touched(&[
        ("/build/src/main.rs", Write),
        ("/build/src/main.rs", Read),
        ("/build/target/release/greeter", Create),
        ("/tmp/x", Create),
        ("/home/builder/.cargo/registry", Create),
        ("/dev/null", Write),
        ("/opt/b", RenameTo),
        ("/usr/lib/x", Remove),
        ("/vendor/serde-1.0.219/src/lib.rs", Attributes),
    ]);
    assert_eq!(
        attempts(&record.verdicts.outside),
        [
            "change the attributes of /vendor/serde-1.0.219/src/lib.rs ×2 by 0 `cargo build`",
            "remove /usr/lib/x ×2 by 0 `cargo build`",
            "rename to /opt/b ×2 by 0 `cargo build`",
            "write /build/src/main.rs ×2 by 0 `cargo build`",
        ]
    );
}

#[test]
fn attempts_to_resolve_are_named_with_their_process() {
    let mut outcome = outcome(Level::Full, &["/etc/hosts", "/etc/resolv.conf", "/etc/passwd"]);
    outcome.missing = vec![Access { kind: AccessKind::Missing, ..outcome.accesses.remove(1) }];
    let network = |call: &str, address: &str, loopback, errno| Network {
        process: 0,
        call: call.to_owned(),
        address: address.to_owned(),
        loopback,
        errno,
        count: 1,
    };
    outcome.network = vec![
        network("connect", "192.0.2.1:443", false, 101),
        network("sendto", "127.0.0.1:53", true, 111),
        network("connect", "127.0.0.1:8080", true, 0),
    ];
    let record = recorded(&outcome).expect("the artifact is there");
    assert_eq!(
        attempts(&record.verdicts.dynamic),
        [
            "connect 192.0.2.1:443 ×1 by 0 `cargo build`",
            "looked for /etc/resolv.conf ×2 by 0 `cargo build`",
            "read /etc/hosts ×2 by 0 `cargo build`",
            "sendto 127.0.0.1:53 ×1 by 0 `cargo build`",
        ]
    );
}

#[test]
fn randomness_and_clock_are_told_as_far_as_they_can_be_seen() {
    let mut outcome = outcome(Level::Full, &["/etc/localtime", "/proc/uptime"]);
    let drawn = |source: &str, count| Random { process: 0, source: source.to_owned(), seeded: false, count };
    outcome.random = vec![drawn("getrandom", 1), drawn("/dev/urandom", 2), drawn("getrandom", 3)];
    let record = recorded(&outcome).expect("the artifact is there");
    let program = "/toolchain/rust/bin/cargo";
    let drawn = |source: &str, count| Drawn {
        program: program.to_owned(),
        source: source.to_owned(),
        seeded: false,
        process: 0,
        count,
    };
    assert_eq!(record.verdicts.random, [drawn("/dev/urandom", 2), drawn("getrandom", 4)]);
    let files = ["read /etc/localtime ×2 by 0 `cargo build`", "read /proc/uptime ×2 by 0 `cargo build`"];
    assert_eq!(attempts(&record.verdicts.clock_files), files);
    let clock = |tier: &str, fixed| Clock { step: "compile".to_owned(), tier: tier.to_owned(), fixed };
    assert_eq!(record.verdicts.clock, [clock("T0", false)], "who read it is not seen");
    outcome.steps[0].tier = Tier::T2;
    assert_eq!(recorded(&outcome).expect("the artifact is there").verdicts.clock, [clock("T2", true)]);
}

#[test]
fn what_was_pinned_and_never_read_is_named() {
    let unread =
        |reads: &[&str]| recorded(&outcome(Level::Full, reads)).expect("the artifact is there").verdicts.unread;
    let nothing = unread(&[]);
    let read = unread(&["/usr/bin/gcc", "/toolchain/rust/bin/cargo"]);
    let gone: Vec<&String> = nothing.iter().filter(|name| !read.contains(name)).collect();
    assert_eq!(gone.len(), 2, "{nothing:?} {read:?}");
    assert!(gone[0].starts_with("pkg:deb/") && gone[1].starts_with("rust "), "{gone:?}");
    let mut listed = outcome(Level::Full, &["/toolchain/rust"]);
    listed.accesses[0].kind = AccessKind::List;
    let listed = recorded(&listed).expect("the artifact is there").verdicts.unread;
    assert_eq!(listed, nothing, "to list a directory is not to read a file");
}

/// Whatever the order of events, the same are kept, with their exact counts and first processes.
#[test]
fn long_lists_keep_the_same_entries() {
    let paths: Vec<String> = (0..2 * watch::LISTED_MAX).map(|number| format!("/opt/{number:05}")).collect();
    let mut forward: Vec<&str> = paths.iter().map(String::as_str).collect();
    let kept = |reads: &[&str]| recorded(&outcome(Level::Full, reads)).expect("the artifact is there");
    let first = kept(&forward);
    assert_eq!(first.undeclared.len(), watch::LISTED_MAX);
    assert_eq!(first.completeness.reasons, ["at least 1000 files were read that nothing pins"]);
    forward.reverse();
    assert_eq!(kept(&forward).undeclared, first.undeclared);
    assert_eq!(
        first.undeclared[0],
        Undeclared { path: "/opt/00000".to_owned(), process: 0, argv0: "cargo".to_owned(), count: 2 }
    );
}

#[test]
fn at_trace_only_the_machine_is_undeclared_and_nothing_is_complete() {
    let reads = [
        "/tmp/run/root/build/src/main.rs",
        "/tmp/run/root/vendor/serde/lib.rs",
        "/tmp/run/rootless/x",
        "/srv/home/trees/sha256/aa/bin/cargo",
        "/usr/bin/gcc",
        "/build/x",
        "/dev/null",
    ];
    let mut outcome = outcome(Level::TraceOnly, &reads);
    outcome.root = Some("/tmp/run/root".to_owned());
    outcome.refused = vec![Refusal {
        level: Level::Full,
        what: "mounting a fresh `/proc`".to_owned(),
        reason: "Operation not permitted".to_owned(),
        hint: Some("run the container with `--security-opt unmask=ALL`".to_owned()),
    }];
    let record = recorded(&outcome).expect("the artifact is there");
    let paths: Vec<&str> = record.undeclared.iter().map(|undeclared| undeclared.path.as_str()).collect();
    assert_eq!(paths, ["/build/x", "/tmp/run/rootless/x", "/usr/bin/gcc"]);
    assert!(!record.completeness.complete);
    assert_eq!(
        record.completeness.reasons[0],
        "at level trace-only the build could read the whole machine: mounting a fresh `/proc` failed (Operation not \
         permitted); run the container with `--security-opt unmask=ALL`"
    );
    let disk = "at level trace-only nothing limits the space that steps take (`disk-mib`, `tmp-mib`)";
    assert_eq!(record.completeness.reasons[1], disk);
}

#[test]
fn each_hole_makes_the_evidence_incomplete() {
    let network = |errno, loopback| Network {
        process: 0,
        call: "connect".to_owned(),
        address: "192.0.2.1:443".to_owned(),
        loopback,
        errno,
        count: 3,
    };
    type Hole<'h> = &'h dyn Fn(&mut Outcome);
    let holes: [(Hole<'_>, &str); 4] = [
        (&|outcome| outcome.lost = 2, "the trace lost 2 events"),
        (&|outcome| outcome.limit = Some(outcome::Limit::Wall), "the run was ended by its limit of wall time"),
        (&|outcome| outcome.network = vec![network(0, false)], "a process reached the network: connect 192.0.2.1:443"),
        (&|outcome| outcome.level = Level::TraceOnly, "at level trace-only the build could read the whole machine"),
    ];
    for (hole, reason) in holes {
        let mut outcome = outcome(Level::Full, &[]);
        hole(&mut outcome);
        let record = recorded(&outcome).expect("the artifact is there");
        assert!(!record.completeness.complete);
        assert_eq!(record.completeness.reasons[0], reason);
    }
    let mut outcome = outcome(Level::Full, &[]);
    outcome.network = vec![network(101, false), network(0, true)];
    let record = recorded(&outcome).expect("the artifact is there");
    assert!(record.completeness.complete, "a refused attempt and the loopback are no way out");
    assert_eq!(
        record.denied,
        [Denied { what: "connect 192.0.2.1:443".to_owned(), process: 0, command: "cargo build".to_owned(), count: 3 }]
    );
}

#[test]
fn artifacts_must_be_there_and_be_files() {
    let mut outcome = outcome(Level::Full, &[]);
    let error = |outcome: &Outcome| recorded(outcome).expect_err("no artifact").to_string();
    outcome.collected[0].kind = CollectedKind::Link { to: "/etc/passwd".to_owned() };
    assert_eq!(error(&outcome), "artifact `greeter` (`target/release/greeter`) is a symbolic link, not a file");
    outcome.collected[0].kind = CollectedKind::Directory;
    assert_eq!(error(&outcome), "artifact `greeter` (`target/release/greeter`) is a directory, not a file");
    outcome.collected.clear();
    assert_eq!(error(&outcome), "the steps left no file `target/release/greeter`, which is artifact `greeter`");
}

#[test]
fn a_dirty_source_has_no_commit_in_the_recipe() {
    let revision = |dirty: &[&str]| model::source::Revision {
        commit: "73e321f84cd2493e93e093d455f52c39f9acbff7".to_owned(),
        commit_time_unix_s: 1,
        author: String::new(),
        committer: String::new(),
        summary: String::new(),
        branch: None,
        repository: String::new(),
        dirty: dirty.iter().map(|path| (*path).to_owned()).collect(),
        origin: "local-git".to_owned(),
    };
    let spec = Spec::parse("assay.toml", crate::spec::tests::GREETER.as_bytes()).expect("it is good");
    let lock = crate::lock::tests::sample();
    for (dirty, commit) in [(&[][..], true), (&["src/main.rs"][..], false)] {
        let source = Source { tree: digest("source"), revision: Some(revision(dirty)) };
        let planned = crate::plan::build(&spec, &lock, &source);
        let (base, sources) = (Tree::default(), BTreeMap::new());
        let made =
            Made { spec: &spec, lock: &lock, source: &source, planned: &planned, base: &base, sources: &sources };
        assert_eq!(recipe(&made, Vec::new()).commit.is_some(), commit);
    }
}

#[test]
fn secret_looking_values_are_withheld() {
    let withhold = Withhold::new([7; 32]);
    let token = format!("ghp_{}", "a".repeat(36));
    let text = |text: &str| text.to_owned();
    let variables = BTreeMap::from([
        (text("PATH"), text("/usr/bin")),
        (text("DB_PASSWORD"), text("hunter2")),
        (text("EMPTY_TOKEN"), text("")),
        (text("HARMLESS"), token.clone()),
        (text("URL"), text("https://ada:hunter2@git.example.org/x")),
        (text("SAFE_URL"), text("https://git.example.org/x@y")),
    ]);
    let shown = withhold.variables(&variables);
    for name in ["DB_PASSWORD", "HARMLESS", "URL"] {
        assert!(shown[name].starts_with("hmac:") && shown[name].len() == 69, "{name}: {}", shown[name]);
    }
    for name in ["PATH", "EMPTY_TOKEN", "SAFE_URL"] {
        assert_eq!(shown[name], variables[name]);
    }
    let argv = ["deploy", "--password=hunter2", "--token", "hunter2", "--user", "ada", &token].map(str::to_owned);
    let shown = withhold.arguments(&argv);
    assert_eq!(shown[1], format!("--password={}", shown[3]));
    assert!(shown[3].starts_with("hmac:") && shown[6].starts_with("hmac:"));
    assert_eq!([&shown[0], &shown[2], &shown[4], &shown[5]], ["deploy", "--token", "--user", "ada"]);
    assert_ne!(Withhold::new([8; 32]).arguments(&argv)[3], shown[3]);
}
