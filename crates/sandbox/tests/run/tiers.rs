//! Tiers and randomness: one test for each way in which the machine, the time or chance shows in what a step makes.
//!
//! [`leaks_close`] runs the same programs twice, as different as this machine allows, at each tier: other user, host name, directory, CPUs,
//! order of files, time, variables and mask of the caller. A leak must show below its tier, or the test would prove nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use sandbox::error::SandboxError;
use sandbox::event::Event;
use sandbox::plan::{Level, Mount};
use sandbox::tier::{Randomness, Tier};

use crate::harness::{AS_USER, Bench, EPOCH_UNIX_S, Test, events, is_root, process, step};

pub(crate) const TESTS: &[Test] = &[
    ("leaks_close", leaks_close),
    ("the_machine_is_not_told", the_machine_is_not_told),
    ("each_step_has_its_own_tier", each_step_has_its_own_tier),
    ("large_directories_are_sorted", large_directories_are_sorted),
    ("removing_while_reading", removing_while_reading),
    ("waiting_for_the_clock_ends", waiting_for_the_clock_ends),
    ("the_monotonic_clock_runs_fast", the_monotonic_clock_runs_fast),
    ("make_rebuilds_what_changed", make_rebuilds_what_changed),
    ("shells_and_finders_see_what_is_newer", shells_and_finders_see_what_is_newer),
    ("autotools_see_a_sane_clock", autotools_see_a_sane_clock),
    ("cargo_rebuilds_what_changed", cargo_rebuilds_what_changed),
    ("ninja_rebuilds_what_changed", ninja_rebuilds_what_changed),
    ("set_times_are_kept", set_times_are_kept),
    ("randomness_is_reported", randomness_is_reported),
    ("seeded_randomness_differs_between_processes", seeded_randomness_differs_between_processes),
    ("parallel_steps_stay_the_same", parallel_steps_stay_the_same),
    ("tiers_survive_threads_and_signals", tiers_survive_threads_and_signals),
    ("trace_only_gives_no_tier", trace_only_gives_no_tier),
    ("no_proc_gives_every_tier", no_proc_gives_every_tier),
];

/// From when on a leak is closed; one that shows below is compared there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// At every tier: never shows.
    T0,
    T1,
    T2,
    /// At any tier with seeded randomness.
    Seeded,
    /// At T1, and with seeded randomness at any tier.
    T1OrSeeded,
}

impl Closed {
    fn holds(self, tier: Tier, randomness: Randomness) -> bool {
        let is_seeded = randomness == Randomness::Seeded;
        match self {
            Self::T0 => true,
            Self::T1 => tier >= Tier::T1,
            Self::T2 => tier >= Tier::T2,
            Self::Seeded => is_seeded,
            Self::T1OrSeeded => is_seeded || tier >= Tier::T1,
        }
    }
}

/// Name, what a shell runs in an empty directory, and when it is closed.
const LEAKS: &[(&str, &str, Closed)] = &[
    ("identity", "id; umask; pwd; hostname; echo $TZ $LANG; nproc; getconf _NPROCESSORS_ONLN", Closed::T0),
    (
        "cpus",
        "grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online /sys/devices/system/cpu/p*; grep MHz /proc/cpuinfo; \
      python3 -c 'import os; print(os.cpu_count(), os.sched_getaffinity(0))'",
        Closed::T0,
    ),
    ("processes", "echo $$; sh -c 'echo $$ $PPID'", Closed::T0),
    ("machine-id", "cat /etc/machine-id /sys/class/dmi/id/product_uuid 2>&1 | tr -d 0-9", Closed::T0),
    ("perl-hash", "perl -e 'print join q( ), keys %{{map {$_ => 1} 1..60}}'", Closed::T1OrSeeded),
    ("python-hash", "python3 -c 'print(hash(\"x\"), {str(n) for n in range(40)})'", Closed::T1OrSeeded),
    ("python-id", "python3 -c 'print(id(object()), hash(object()))'", Closed::T1),
    ("addresses", "/tools/leaks addresses; /tools/leaks-static addresses", Closed::T1),
    (
        "load",
        "cat /proc/uptime /proc/loadavg /proc/meminfo /proc/stat; /tools/leaks machine; /tools/leaks-static machine",
        Closed::T1,
    ),
    ("mounts", "cat /proc/self/mountinfo /proc/mounts /proc/thread-self/mounts", Closed::T1),
    (
        "ls -U",
        "ls -U /made; find /made; /tools/leaks entries /made 200; /tools/leaks-static entries /made 4000",
        Closed::T1,
    ),
    (
        "date",
        "date +%s.%N; /tools/leaks clocks; /tools/leaks-static clocks; /tools/leaks vfork /tools/leaks-static clocks",
        Closed::T2,
    ),
    ("perl-time", "perl -MTime::HiRes=time -e 'print time, q( ), scalar localtime'", Closed::T2),
    ("python-time", "python3 -c 'import time, datetime; print(time.time_ns(), datetime.datetime.now())'", Closed::T2),
    (
        "file-times",
        "echo x > f; mkdir d; touch g; stat -c '%n %x %y %z %w' f d g /usr/bin/env /build/a /tmp; /tools/leaks-static times f",
        Closed::T2,
    ),
    ("tar", "cp -r /made m; tar cf - m | sha256sum; tar czf - m | sha256sum", Closed::T2),
    ("tar-posix", "cp -r /made m; tar --format=posix -cf - m | sha256sum", Closed::T2),
    (
        "python-tarfile",
        "echo x > f; python3 -c 'import tarfile; t = tarfile.open(\"t.tar\", \"w\"); t.add(\"f\"); t.close()'; sha256sum t.tar",
        Closed::T2,
    ),
    ("gzip", "echo x > f; gzip f; sha256sum f.gz", Closed::T2),
    ("ar", "echo 'int x;' > x.c; cc -c x.c; ar rcU x.a x.o; sha256sum x.a", Closed::T2),
    ("__DATE__", "echo 'char *d = __DATE__ __TIME__ __TIMESTAMP__;' > d.c; cc -g -c d.c; sha256sum d.o", Closed::T2),
    ("pyc", "echo 'x = 1' > m.py; python3 -m py_compile m.py; sha256sum __pycache__/*", Closed::T2),
    (
        "zipapp",
        "mkdir z; cp -r /made/* z; echo 'print(1)' > z/__main__.py; python3 -m zipapp z -o z.pyz; sha256sum z.pyz",
        Closed::T2,
    ),
    (
        "wheel",
        "mkdir p; echo 'x = 1' > p/__init__.py; echo 'from setuptools import setup; setup(name=\"p\", packages=[\"p\"])' > setup.py; \
               python3 setup.py -q bdist_wheel sdist >/dev/null 2>&1; sha256sum dist/*",
        Closed::T2,
    ),
    (
        "jar",
        "echo 'class A { }' > A.java; javac -J-XX:TieredStopAtLevel=1 A.java && jar cf a.jar A.class && sha256sum a.jar",
        Closed::T2,
    ),
    (
        "getrandom",
        "/tools/leaks random 16; /tools/leaks-static random 300; /tools/leaks-static random 5000000",
        Closed::Seeded,
    ),
    (
        "devices",
        "head -c 20 /dev/urandom | sha256sum; head -c 300000 /dev/random | sha256sum; sha256sum < /proc/sys/kernel/random/uuid; \
                 ln -s /dev/urandom u; exec 5<u; dd bs=7 count=3 <&5 2>/dev/null | sha256sum; dd bs=7 count=3 <&5 2>/dev/null | sha256sum",
        Closed::Seeded,
    ),
    ("mktemp", "mktemp -u; mktemp -u XXXXXXXXXX", Closed::Seeded),
    (
        "python-random",
        "python3 -c 'import os, random, uuid; print(random.random(), os.urandom(9), uuid.uuid4())'",
        Closed::Seeded,
    ),
    ("lto", "echo 'int f(int x) { return x + 1; }' > l.c; cc -flto -O2 -c l.c; sha256sum l.o", Closed::Seeded),
];

/// These take seconds each; compared only where they show, and where they are closed.
const COSTLY: &[&str] = &["wheel", "jar"];

/// What a program printed for each leak, when it ran in one of two guises.
fn outputs(guise: usize, tier: Tier, randomness: Randomness) -> BTreeMap<String, String> {
    let name = if guise == 0 { format!("leaks-{tier}") } else { format!("leaks-in-a-longer-directory-{tier}") };
    let mut bench = Bench::new(&name, "");
    disguise(&mut bench, guise);
    add_java(&mut bench);
    bench.plan.steps.clear();
    bench.plan.mounts.push(Mount::Scratch { target: "/made".to_owned(), size_bytes: 16 << 20 });
    let numbers = if guise == 0 { "$(seq 40)" } else { "$(seq 40 -1 1)" };
    bench
        .plan
        .steps
        .push(step("make", &["/bin/sh", "-ec", &format!("for n in {numbers}; do echo $n > /made/file$n; done")]));
    bench.plan.mounts.push(Mount::Scratch { target: "/work".to_owned(), size_bytes: 256 << 20 });
    let is_costly_due = randomness == Randomness::Real && tier != Tier::T1;
    let chosen = |name: &str| is_costly_due || !COSTLY.contains(&name);
    for (index, (_, script, _)) in LEAKS.iter().enumerate().filter(|(_, (name, ..))| chosen(name)) {
        let script =
            format!("echo; echo '#{index}'; mkdir /work/{index}; cd /work/{index}; {{ {script}; }} 2>&1; true");
        let mut one = step(&index.to_string(), &["/bin/sh", "-c", &script]);
        (one.tier, one.randomness) = (tier, randomness);
        one.variables.extend(tier.variables());
        bench.plan.steps.push(one);
    }
    bench.pass();
    let sections = bench.output.split("\n#").skip(1);
    sections
        .map(|section| section.split_once('\n').expect("a number and what was printed"))
        .map(|(index, text)| (LEAKS[index.parse::<usize>().expect("a number")].0.to_owned(), text.to_owned()))
        .collect()
}

/// Runs the supervisor as somebody else, somewhere else: in the second guise with one CPU, other variables, another mask, and, if
/// root runs the tests, another user and host name.
fn disguise(bench: &mut Bench, guise: usize) {
    if guise == 0 {
        return;
    }
    let copy = bench.place.join("supervisor");
    fs::copy(std::env::current_exe().expect("own path"), &copy).expect("a copy");
    let wrapper = bench.place.join("wrapper");
    let own = copy.display();
    let user = "exec setpriv --reuid 65533 --regid 65533 --clear-groups";
    let begin = if is_root() { format!("hostname elsewhere; {user}") } else { "exec env".to_owned() };
    let script = format!(
        "export TZ=Asia/Tokyo LC_ALL=tr_TR.UTF-8 LANG=C HOME=/nowhere; umask 077; {begin} taskset -c 0 {own} \"$@\""
    );
    let outer = if is_root() { "exec unshare --uts " } else { "exec " };
    fs::write(&wrapper, format!("#!/bin/sh\n{outer}/bin/sh -c '{script}' sh \"$@\"\n")).expect("a wrapper");
    for path in [&wrapper, &copy, &bench.place.join("collected"), &bench.place.join("source/run.sh")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("for everybody");
    }
    bench.host.supervisor = wrapper;
    bench.host.sources.insert("self".to_owned(), copy);
}

/// Debian's Java has its settings in `/etc`.
fn add_java(bench: &mut Bench) {
    for name in ["alternatives", "java-17-openjdk"] {
        let place = Path::new("/etc").join(name);
        if place.is_dir() {
            bench.host.sources.insert(name.to_owned(), place);
            bench.plan.mounts.push(Mount::Tree { target: format!("/etc/{name}"), source: name.to_owned() });
        }
    }
}

/// The lines that differ, or the first ones.
fn differing(one: &str, other: &str) -> (String, String) {
    let pairs = one.lines().zip(other.lines()).filter(|(a, b)| a != b || one == other).take(5);
    let (one, other): (Vec<&str>, Vec<&str>) = pairs.unzip();
    (one.join("\n") + "\n", other.join("\n"))
}

/// Until the wall clock shows another second than now: so that two runs cannot share one.
fn next_second() {
    let second = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let (begun, limit) = (second(), Instant::now() + Duration::from_secs(10));
    while second() < begun + 2 {
        assert!(Instant::now() < limit, "the clock stands");
        std::thread::yield_now();
    }
}

fn leaks_close() {
    let is_here = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let mut absent = Vec::new();
    if !is_here("javac", &["-version"]) {
        println!("note: no `javac` here, so jar files are not compared");
        absent.push("jar");
    }
    if !is_here("/usr/bin/python3", &["-c", "import setuptools"]) {
        println!("note: no `setuptools` here, so wheels are not compared");
        absent.push("wheel");
    }
    let all = [
        (Tier::T0, Randomness::Real),
        (Tier::T0, Randomness::Seeded),
        (Tier::T1, Randomness::Real),
        (Tier::T2, Randomness::Real),
        (Tier::T2, Randomness::Seeded),
    ];
    let mut faults = Vec::new();
    for (tier, randomness) in all {
        let one = outputs(0, tier, randomness);
        next_second();
        let other = outputs(1, tier, randomness);
        for (name, _, closed) in LEAKS.iter().filter(|(name, ..)| !absent.contains(name)) {
            let Some((one, other)) = one.get(*name).zip(other.get(*name)) else { continue };
            let is_same = one == other;
            if is_same != closed.holds(tier, randomness) {
                let (one, other) = differing(one, other);
                let verb = if is_same { "does not show" } else { "shows" };
                faults.push(format!("{name} {verb} at {tier} {randomness:?}:\n{one}---\n{other}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Runs one script at a tier; returns what it printed.
fn printed(name: &str, script: &str, tier: Tier) -> String {
    let mut bench = Bench::new(name, script).tier(tier, Randomness::Real);
    bench.pass();
    std::mem::take(&mut bench.output)
}

fn the_machine_is_not_told() {
    let script = "uname -srvm; cat /proc/version /proc/sys/kernel/osrelease /proc/sys/kernel/version /proc/sys/kernel/random/boot_id \
                  /proc/cmdline /proc/self/cgroup; ln -s /proc/version v; cat v; cat < /proc/uptime; cd /proc/sys; cat kernel/osrelease";
    let expected = "Linux 6.1.0 #1 SMP x86_64\nLinux version 6.1.0 (builder@build) (gcc) #1 SMP\n6.1.0\n#1 SMP\n\
                    00000000-0000-4000-8000-000000000000\n0::/\nLinux version 6.1.0 (builder@build) (gcc) #1 SMP\n1000.00 1000.00\n6.1.0\n";
    assert_eq!(printed("machine", script, Tier::T1), expected);
    let real = printed("machine-0", "cat /proc/sys/kernel/osrelease /proc/sys/kernel/random/boot_id", Tier::T0);
    let of_host = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).expect("of the host");
    assert_eq!(real, of_host("osrelease") + &of_host("random/boot_id"));
    let mounts = printed("machine-mounts", "cat /proc/self/mountinfo /proc/1/mounts", Tier::T1);
    assert!(!mounts.contains("sandbox-test") && mounts.contains(" /build rw"), "{mounts}");
}

fn each_step_has_its_own_tier() {
    let mut bench = Bench::new("mixed", "uname -r; date +%s");
    let all = [Tier::T1, Tier::T2, Tier::T0];
    bench.plan.steps.extend(all.map(|tier| {
        let mut step = step(tier.name(), &["/bin/sh", "-c", "uname -r; date +%s; stat -c %Y made; touch made"]);
        step.tier = tier;
        step
    }));
    bench.plan.steps[0].argv[2].push_str("; touch made");
    let outcome = bench.pass();
    let lines: Vec<&str> = bench.output.lines().collect();
    let (host, epoch) = (lines[0], EPOCH_UNIX_S.to_string());
    assert_eq!([lines[2], lines[5], lines[8]], ["6.1.0", "6.1.0", host]);
    assert!(host != "6.1.0" && lines[3] != epoch && lines[9] != epoch);
    assert_eq!([lines[6], lines[7]], [epoch.as_str(); 2], "clock and settled file of an earlier step");
    let tiers: Vec<Tier> = outcome.steps.iter().map(|step| step.tier).collect();
    assert_eq!(tiers, [Tier::T0, Tier::T1, Tier::T2, Tier::T0]);
}

fn large_directories_are_sorted() {
    let make = "mkdir d; cd d; seq 100000 | xargs touch; cd ..";
    let list = "ls -U d | head -3; ls -U d | wc -l; ls -U d | LC_ALL=C sort -c && echo sorted; /tools/leaks entries d 1000; /tools/leaks entries d 65536";
    let mut bench = Bench::new("large", &format!("{make}; {list}")).tier(Tier::T1, Randomness::Real);
    bench.pass();
    let lines: Vec<&str> = bench.output.lines().collect();
    assert_eq!(lines[..5], ["1", "10", "100", "100000", "sorted"], "{}", bench.output);
    assert_eq!(lines[5..8], lines[8..11], "in pieces of any size");
    assert!(
        lines[5].starts_with("round 0: 100002 entries") && lines[6].starts_with("round 1: 99999 entries"),
        "{lines:?}"
    );
    assert_eq!(lines[7].replace("round 2", "round 0"), lines[5], "from the start again");
}

fn removing_while_reading() {
    let script = "mkdir d; for n in $(seq 3000); do : > d/f$n; done; perl -e 'opendir $d, q(d); while (defined($n = readdir $d)) { unlink qq(d/$n) }'; \
                  rmdir d && echo empty; mkdir -p e/f/g; touch e/a e/f/b e/f/g/c; find e -delete; ls; rm -r sub; ls -A";
    assert_eq!(printed("removing", script, Tier::T1), "empty\na\nrun.sh\nsub\na\nrun.sh\n");
}

fn waiting_for_the_clock_ends() {
    let script = "/tools/leaks waits; /tools/leaks-static waits; end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do sleep 1; done; echo shell";
    let expected = "spun 3 s\nslept\npolled\nselected\nfutex timed out, really waited, late 0, own time kept\n\
                    nanosleep 0, really waited, early 0\na child slept: 1 s later\n";
    assert_eq!(printed("waits", script, Tier::T2), format!("{expected}{expected}shell\n"));
    // The count of seconds slept is all that moved the clock for everybody.
    let script = "date +%s; sleep 2; date +%s; echo x > f; stat -c %Y f; sh -c 'sleep 0.3; sleep 0.3'; date +%s; (sleep 100 & kill $!); date +%s";
    let seconds = [0, 2, 2, 3, 3].map(|after| (EPOCH_UNIX_S + after).to_string() + "\n").concat();
    assert_eq!(printed("waits-2", script, Tier::T2), seconds);
}

fn the_monotonic_clock_runs_fast() {
    let script = "/tools/leaks monotonic; /tools/leaks-static monotonic";
    assert_eq!(printed("monotonic", script, Tier::T2), "runs fast\nruns fast\n");
}

/// A chain of three files; what make does at each call is told by what it prints.
fn make_rebuilds_what_changed() {
    let makefile = "prog: a.o b.o\n\tcat a.o b.o > $@\n%.o: %.c common.h\n\tcat $< common.h > $@\nstamp: prog\n\ttouch $@\n.PHONY: all\nall: stamp\n";
    let mut bench = Bench::new(
        "make",
        "make all; echo ==; make all; echo ==; echo changed >> a.c; make all; echo ==; touch common.h; make -j2 all; echo ==; \
         touch a.o; make all; echo ==; make all; perl -e 'utime time, time, q(common.h)'; make -q all || echo due",
    );
    for (name, text) in [("Makefile", makefile), ("a.c", "a\n"), ("b.c", "b\n"), ("common.h", "c\n")] {
        fs::write(bench.place.join("source").join(name), text).expect("a source");
    }
    let mut bench = {
        bench.plan.cpus = 2;
        bench
    }
    .tier(Tier::T2, Randomness::Real);
    bench.pass();
    let both = bench.output.clone() + &bench.errors;
    assert!(!both.contains("future") && !both.contains("skew"), "{both}");
    let rounds: Vec<Vec<&str>> = bench.output.split("==\n").map(|round| round.lines().collect()).collect();
    let (a, b, program, stamp) =
        ("cat a.c common.h > a.o", "cat b.c common.h > b.o", "cat a.o b.o > prog", "touch stamp");
    let nothing = "make: Nothing to be done for 'all'.";
    assert_eq!(rounds[0], [a, b, program, stamp]);
    assert_eq!(rounds[1], [nothing]);
    assert_eq!(rounds[2], [a, program, stamp]);
    let mut parallel = rounds[3].clone();
    parallel.sort_unstable();
    assert_eq!(parallel, [a, program, b, stamp], "everything");
    assert_eq!(rounds[4], [program, stamp]);
    assert_eq!(rounds[5], [nothing, "due"], "nothing is left over; setting the present makes new");
}

fn shells_and_finders_see_what_is_newer() {
    let script = "echo 1 > one; ls -l one >/dev/null; echo 2 > two; [ two -nt one ] && echo newer; [ one -nt two ] || echo not; \
                  ls -t one two; find . -newer one; [ one -nt a ] && echo newer than sources; sleep 1; echo 3 >> one; [ one -nt two ] && echo again; \
                  echo $(($(stat -c %Y one) - $(stat -c %Y two)))";
    let expected = "newer\nnot\ntwo\none\n.\n./two\nnewer than sources\nagain\n1\n";
    let found = printed("newer", script, Tier::T2);
    assert_eq!(found.replace("./two\n.\n", ".\n./two\n"), expected);
}

/// What `configure` of Automake asks first, and the loop of newer ones; a frozen clock fails the one or hangs in the other.
fn autotools_see_a_sane_clock() {
    let script = "sleep 1; echo timestamp > conftest.file; set X $(ls -Lt a conftest.file 2>/dev/null); shift; [ \"$1\" = conftest.file ] && echo sane; \
                  n=0; echo 0 > conftest.ts1; while :; do echo $n > conftest.ts2; set X $(ls -t conftest.ts1 conftest.ts2); shift; \
                  [ \"$1\" = conftest.ts2 ] && [ conftest.ts2 -nt conftest.ts1 ] && break; n=$((n + 1)); sleep 0.1; done; echo resolved; \
                  printf 'configure: configure.ac\\n\\ttouch configure\\nMakefile: configure\\n\\ttouch Makefile\\nall: Makefile\\n' > GNUmakefile; \
                  touch configure.ac; make -s all; make -q all && echo quiet";
    assert_eq!(printed("autotools", script, Tier::T2), "sane\nresolved\nquiet\n");
}

fn cargo_rebuilds_what_changed() {
    if std::env::var_os(AS_USER).is_some() {
        // Root's toolchain lies where only root reads.
        println!("note: Cargo is tried by who started the tests");
        return;
    }
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc");
    let sysroot = std::path::PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    let build = "cargo build -q --offline && target/debug/small";
    let script = format!(
        "{build}; {build}; cargo build --offline 2>&1 | grep -c Compiling; echo 'fn main() {{ println!(\"two {{}}\", env!(\"STAMP\")); }}' > src/main.rs; {build}; \
         echo 3 > input; {build}; cargo build --offline 2>&1 | grep -c Compiling; touch src/main.rs; cargo build --offline 2>&1 | grep -c Compiling"
    );
    let mut bench = Bench::new("cargo", &script);
    let source = bench.place.join("source");
    fs::create_dir_all(source.join("src")).expect("a directory");
    let script = "fn main() { println!(\"cargo:rerun-if-changed=input\"); println!(\"cargo:rustc-env=STAMP={}\", std::fs::read_to_string(\"input\").unwrap().trim()); }";
    for (name, text) in [
        ("Cargo.toml", "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n"),
        ("build.rs", script),
        ("input", "1\n"),
        ("src/main.rs", "fn main() { println!(\"one {}\", env!(\"STAMP\")); }\n"),
    ] {
        fs::write(source.join(name), text).expect("a source");
    }
    bench.host.sources.insert("rust".to_owned(), sysroot);
    bench.plan.mounts.push(Mount::Tree { target: "/rust".to_owned(), source: "rust".to_owned() });
    add_java(&mut bench);
    bench.plan.steps[0].variables.insert("PATH".to_owned(), "/rust/bin:/usr/bin:/bin".to_owned());
    for mount in &mut bench.plan.mounts {
        if let Mount::Copy { size_bytes, .. } = mount {
            *size_bytes = 1 << 30;
        }
    }
    let mut bench = bench.tier(Tier::T2, Randomness::Real);
    bench.pass();
    assert_eq!(bench.output, "one 1\none 1\n0\ntwo 1\ntwo 3\n0\n1\n", "{}", bench.errors);
}

/// Ninja keeps the times that it saw in a log of its own, and compares to the nanosecond.
fn ninja_rebuilds_what_changed() {
    let plan = "rule join\n  command = cat $in > $out\nrule list\n  command = cat $in > $out && echo '$out: common.h' > $out.d\n  depfile = $out.d\n  deps = gcc\n\
                build a.o: list a.c\nbuild b.o: list b.c\nbuild prog: join a.o b.o\n";
    let bench = Bench::new(
        "ninja",
        "run() { ninja -v 2>&1 | sed 's/^\\[[0-9/]*\\] //; s/ &&.*//'; echo ==; }; run; run; echo 2 >> a.c; run; run; touch common.h; run; run; rm prog; run",
    );
    for (name, text) in [("build.ninja", plan), ("a.c", "a\n"), ("b.c", "b\n"), ("common.h", "c\n")] {
        fs::write(bench.place.join("source").join(name), text).expect("a source");
    }
    let mut bench = bench.tier(Tier::T2, Randomness::Real);
    bench.pass();
    let rounds: Vec<Vec<&str>> = bench.output.split("==\n").map(|round| round.lines().collect()).collect();
    let (a, b, program, nothing) = ("cat a.c > a.o", "cat b.c > b.o", "cat a.o b.o > prog", "ninja: no work to do.");
    let both = |round: &[&str]| {
        let mut sorted = round.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [a, program, b], "{}", bench.output);
    };
    both(&rounds[0]);
    assert_eq!(rounds[1], [nothing]);
    assert_eq!(rounds[2], [a, program]);
    assert_eq!(rounds[3], [nothing]);
    both(&rounds[4]);
    assert_eq!((&rounds[5][..], &rounds[6][..]), (&[nothing][..], &[program][..]));
}

fn set_times_are_kept() {
    let script = "touch -d @86400 f; stat -c '%Y %X' f; cp -p f g; stat -c %Y g; tar cf t.tar f; rm f; tar xf t.tar; stat -c %Y f; \
                  touch -d '2035-01-01 UTC' h; echo x > i; touch -r f i; stat -c %Y i; [ f -nt g ] || echo equal; stat -c %Y a; \
                  python3 -c 'import os; os.utime(\"a\", ns=(5, 1234567890123)); print(os.stat(\"a\").st_mtime_ns)'";
    let expected = format!("86400 86400\n86400\n86400\n86400\nequal\n{EPOCH_UNIX_S}\n1234567890123\n");
    assert_eq!(printed("set-times", script, Tier::T2), expected);
}

fn randomness_is_reported() {
    for randomness in [Randomness::Real, Randomness::Seeded] {
        let script = "/tools/leaks-static random 10; head -c 3 /dev/urandom >/dev/null; cat /proc/sys/kernel/random/uuid > /dev/null; /bin/true";
        let mut bench = Bench::new("reported", script).tier(Tier::T0, randomness);
        let outcome = bench.pass();
        let is_seeded = randomness == Randomness::Seeded;
        let of = |program: &str, source: &str| {
            let id = process(&outcome, program).id;
            let found = outcome.random.iter().find(|one| one.process == id && one.source == source);
            found.map(|one| (one.seeded, one.count))
        };
        assert_eq!(of("/leaks-static", "getrandom").map(|one| one.0), Some(is_seeded));
        assert_eq!(of("/head", "/dev/urandom"), Some((is_seeded, 1)));
        assert_eq!(of("/cat", "/proc/sys/kernel/random/uuid"), Some((is_seeded, 1)));
        assert_eq!(of("/true", "/dev/urandom"), None);
        assert!(outcome.random.iter().all(|one| one.seeded == is_seeded), "{:?}", outcome.random);
        assert_eq!(outcome.steps[0].randomness, randomness);
        let is_told = |event: &Event| matches!(event, Event::Random(one) if (one.source.as_str(), one.seeded, one.count) == ("/dev/urandom", is_seeded, 1));
        assert!(events(&bench).iter().any(is_told));
    }
}

fn seeded_randomness_differs_between_processes() {
    let script = "for n in 1 2 3; do mktemp -u; done; head -c 9 /dev/urandom | od -An -tx1; head -c 9 /dev/urandom | od -An -tx1; \
                  cat /proc/sys/kernel/random/uuid; cat /proc/sys/kernel/random/uuid; \
                  python3 -c 'import uuid; print(uuid.uuid4()); print(uuid.uuid4())'; (mktemp -u)& wait; (mktemp -u)& wait; stat -Lc %F /dev/urandom";
    let mut bench = Bench::new("streams", script).tier(Tier::T0, Randomness::Seeded);
    bench.pass();
    let mut lines: Vec<&str> = bench.output.lines().collect();
    let count = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((count, lines.len()), (12, 12), "{}", bench.output);
    assert!(bench.output.ends_with("character special file\n"), "looking is not opening");
}

/// Ten compilers at a time: names of temporary files, sections and times are the same in each run.
fn parallel_steps_stay_the_same() {
    let make = "all: $(patsubst %,o/%.o,$(shell seq 24))\no/%.o:\n\t@echo 'int f$*(int x) { return x + $*; } char *d = __TIME__;' > o/$*.c; cc -flto -g -O1 -c o/$*.c -o $@\n";
    let run = |name: &str, jobs: u32| {
        let script = "mkdir o; make -s; ar rcU all.a o/*.o; tar cf all.tar o all.a; sha256sum all.tar";
        let mut bench = Bench::new(name, script);
        // In the arguments of make it would be part of what its compilers are.
        bench.plan.steps[0].variables.insert("MAKEFLAGS".to_owned(), format!("-j{jobs}"));
        fs::write(bench.place.join("source/Makefile"), make).expect("a makefile");
        add_java(&mut bench);
        let mut bench = bench.tier(Tier::T2, Randomness::Seeded);
        bench.pass();
        std::mem::take(&mut bench.output)
    };
    let one = run("parallel", 10);
    assert_eq!((run("parallel-again", 10), run("parallel-3", 3)), (one.clone(), one));
}

fn tiers_survive_threads_and_signals() {
    let script = "/tools/hostile threads-open /proc/version; /tools/hostile stop-and-go; /tools/hostile thread-exec /usr/bin/true; \
                  /tools/hostile-static vfork /tools/leaks-static clocks >/dev/null; \
                  perl -e '$SIG{ALRM} = sub { $n++ }; use Time::HiRes qw(setitimer ITIMER_REAL); setitimer(ITIMER_REAL, 0.001, 0.001); \
                  for (1..300) { open F, q(/proc/version); $l = <F>; close F; $bad++ unless $l =~ /6.1.0/; open F, q(/dev/urandom); read F, $x, 4; close F } \
                  print $bad // 0, q( ), $n > 0 ? q(signals) : q(none), qq(\\n)'";
    let mut bench = Bench::new("signals", script).tier(Tier::T2, Randomness::Seeded);
    bench.pass();
    assert_eq!(bench.output, "stop-and-go: 7\n0 signals\n");
}

fn trace_only_gives_no_tier() {
    let mut bench = Bench::new("tier-trace-only", "true").tier(Tier::T1, Randomness::Real);
    (bench.host.minimum, bench.host.ceiling) = (Level::TraceOnly, Level::TraceOnly);
    let error = bench.try_run().expect_err("no view of its own");
    assert!(matches!(&error, SandboxError::Level { refused, .. } if refused[0].what == "giving tier `T1`"), "{error}");
    assert!(error.to_string().contains("without namespaces the machine shows through"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("tier = \"T0\"")));
    // Seeded randomness needs no namespace.
    let mut bench =
        Bench::new("seeded-trace-only", "head -c 9 /dev/urandom | od -An -tx1; /tools/leaks-static random 5")
            .tier(Tier::T0, Randomness::Seeded);
    (bench.host.minimum, bench.host.ceiling) = (Level::TraceOnly, Level::TraceOnly);
    let outcome = bench.pass();
    assert!(!outcome.random.is_empty() && outcome.random.iter().all(|one| one.seeded));
}

fn no_proc_gives_every_tier() {
    let mut bench = Bench::new("tier-no-proc", "uname -r; cat /proc/sys/kernel/osrelease; date +%s; mktemp -u")
        .tier(Tier::T2, Randomness::Seeded);
    (bench.host.minimum, bench.host.ceiling) = (Level::NoProc, Level::NoProc);
    let outcome = bench.pass();
    assert_eq!((outcome.level, outcome.steps[0].tier), (Level::NoProc, Tier::T2));
    assert!(bench.output.starts_with(&format!("6.1.0\n6.1.0\n{EPOCH_UNIX_S}\n/tmp/")), "{}", bench.output);
}
