//! The cost: a small Rust crate built bare and observed, in turns; CPU of everything (compiler, tracer, caller) as a ratio.
//!
//! `cargo test -p sandbox --test run -- --measure [ROUNDS]`; `--tiers [ROUNDS] [DIRECTORY …]` races bare, T0, T1 and T2 on a shell script that
//! starts 600 programs, on that crate, and on `./configure && make -j2` of each directory. Nothing is asserted: the machine's noise is larger than the cost. Needs the
//! Rust toolchain of `rustc --print sysroot`; the caller must be able to read it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sandbox::plan::{Level, Mount, Plan};

use crate::harness::Bench;

const MODULES: usize = 12;

mod tiers;

pub(crate) use tiers::race_tiers;

pub(crate) fn measure() {
    let rounds = std::env::args().nth(2).and_then(|word| word.parse().ok()).unwrap_or(3);
    measure_start();
    let sysroot = sysroot();
    let mut rows: Vec<(f64, f64)> = Vec::new();
    for round in 0..rounds {
        let (bare, observed) = (build_bare(&sysroot), build_observed(&sysroot));
        println!(
            "round {}: bare {:.2} s CPU {:.2} s wall; observed {:.2} s CPU {:.2} s wall; ratio {:.3} CPU {:.3} wall ({} processes, {} distinct accesses)",
            round + 1,
            bare.0,
            bare.1,
            observed.0,
            observed.1,
            observed.0 / bare.0,
            observed.1 / bare.1,
            observed.2,
            observed.3
        );
        rows.push((observed.0 / bare.0, observed.1 / bare.1));
    }
    let median = |pick: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = rows.iter().map(pick).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!("median ratio observed/bare: {:.3} CPU, {:.3} wall", median(|row| row.0), median(|row| row.1));
    fs::remove_dir_all(crate::harness::base()).ok();
}

/// What a run costs that does nothing.
fn measure_start() {
    const RUNS: u32 = 20;
    crate::harness::tools();
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    for _ in 0..RUNS {
        Bench::new("start", "true").pass();
    }
    let each = |seconds: f64| seconds * 1000.0 / f64::from(RUNS);
    let (cpu, wall) = (each(cpu_seconds() - cpu), each(wall.elapsed().as_secs_f64()));
    println!("a run of nothing: {cpu:.1} ms CPU of caller and supervisor, {wall:.1} ms wall (mean of {RUNS})");
}

fn sysroot() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// A workspace of a library and a program, with enough code for some seconds of work.
fn write_crate(place: &Path) {
    fs::create_dir_all(place.join("src")).expect("a directory");
    fs::create_dir_all(place.join("part/src")).expect("a directory");
    let manifest = "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\npart = { path = \"part\" }\n[workspace]\n";
    fs::write(place.join("Cargo.toml"), manifest).expect("a manifest");
    fs::write(place.join("part/Cargo.toml"), "[package]\nname = \"part\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
        .expect("a manifest");
    fs::write(place.join("part/build.rs"), "fn main() { println!(\"cargo:rustc-cfg=made\"); }\n")
        .expect("a build script");
    let mut library = String::new();
    for module in 0..MODULES {
        library.push_str(&format!("pub mod m{module};\n"));
        let code = format!(
            "use std::collections::{{BTreeMap, HashMap}};\npub fn work(n: u64) -> String {{\n let mut a: BTreeMap<u64, Vec<String>> = BTreeMap::new();\n \
             let mut h: HashMap<String, u64> = HashMap::new();\n for i in 0..n {{ a.entry(i % {module}{}).or_default().push(format!(\"{{i:?}}\")); *h.entry(format!(\"{{}}\", i)).or_default() += i; }}\n \
             let mut v: Vec<_> = h.into_iter().collect(); v.sort(); format!(\"{{a:?}} {{v:?}}\")\n}}\n",
            7
        );
        fs::write(place.join(format!("part/src/m{module}.rs")), code).expect("a module");
    }
    fs::write(place.join("part/src/lib.rs"), library).expect("a library");
    let calls: String = (0..MODULES).map(|module| format!("println!(\"{{}}\", part::m{module}::work(3));")).collect();
    fs::write(place.join("src/main.rs"), format!("fn main() {{ {calls} }}\n")).expect("a program");
}

pub(crate) fn cpu_seconds() -> f64 {
    // SAFETY: plain data of ours.
    let usages = unsafe {
        let (mut own, mut children): (libc::rusage, libc::rusage) = (std::mem::zeroed(), std::mem::zeroed());
        libc::getrusage(libc::RUSAGE_SELF, &raw mut own);
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut children);
        [own, children]
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    usages.iter().map(|usage| seconds(usage.ru_utime) + seconds(usage.ru_stime)).sum()
}

fn variables(sysroot: &Path, home: &Path) -> BTreeMap<String, String> {
    let path = format!("{}/bin:/usr/bin:/bin", sysroot.display());
    let pairs = [
        ("PATH", path),
        ("HOME", home.display().to_string()),
        ("CARGO_HOME", home.join("cargo").display().to_string()),
        ("CARGO_NET_OFFLINE", "true".to_owned()),
        ("TMPDIR", "/tmp".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// On tmpfs too, so that the file system is not what differs.
fn build_bare(sysroot: &Path) -> (f64, f64) {
    let place = PathBuf::from(format!("/dev/shm/sandbox-measure-{}", std::process::id()));
    write_crate(&place);
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let status = Command::new(sysroot.join("bin/cargo"))
        .args(["build", "-q", "--release", "-j2"])
        .current_dir(&place)
        .env_clear()
        .envs(variables(sysroot, &place.join("home")))
        .status();
    let result = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    fs::remove_dir_all(&place).ok();
    assert!(status.is_ok_and(|status| status.success()), "the bare build works");
    result
}

fn build_observed(sysroot: &Path) -> (f64, f64, usize, usize) {
    let mut bench = Bench::new("measure", "");
    fs::remove_dir_all(bench.place.join("source")).expect("the workspace goes");
    write_crate(&bench.place.join("source"));
    bench.host.minimum = Level::Full;
    bench.host.sources.insert("rust".to_owned(), sysroot.to_owned());
    let step = &mut bench.plan.steps[0];
    step.argv = ["cargo", "build", "-q", "--release", "-j2"].map(str::to_owned).to_vec();
    step.variables = variables(Path::new("/rust"), Path::new("/home"));
    let plan: &mut Plan = &mut bench.plan;
    plan.mounts.push(Mount::Tree { target: "/rust".to_owned(), source: "rust".to_owned() });
    if Path::new("/etc/alternatives").is_dir() {
        // Debian's `cc` leads through here.
        bench.host.sources.insert("alternatives".to_owned(), PathBuf::from("/etc/alternatives"));
        plan.mounts.push(Mount::Tree { target: "/etc/alternatives".to_owned(), source: "alternatives".to_owned() });
    }
    for mount in &mut plan.mounts {
        if let Mount::Copy { size_bytes, .. } = mount {
            *size_bytes = 1 << 30;
        }
    }
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let outcome = bench.pass();
    // Init has the kernel reap its children, so their time reaches no `rusage` above; the trace has it.
    let first = outcome.processes.iter().filter(|process| process.parent.is_none());
    let inside: u64 = first.map(|process| process.cpu_us).sum();
    let own = cpu_seconds() - cpu;
    let touched: u64 = outcome.accesses.iter().chain(&outcome.missing).map(|access| access.count).sum();
    println!("  of this {own:.2} s caller and supervisor; {touched} accesses, {} bytes of trace", trace_bytes(&bench));
    let cpu = own + inside as f64 / 1e6;
    (cpu, wall.elapsed().as_secs_f64(), outcome.processes.len(), outcome.accesses.len())
}

fn trace_bytes(bench: &Bench) -> u64 {
    fs::metadata(&bench.host.trace).map_or(0, |about| about.len())
}
