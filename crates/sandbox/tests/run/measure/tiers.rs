//! The race of the tiers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sandbox::plan::Mount;
use sandbox::tier::{Randomness, Tier};

use super::{cpu_seconds, sysroot, variables, write_crate};
use crate::harness::Bench;

const CONFIGURE: &str = "chmod +x configure; ./configure >/dev/null 2>&1 && make -j2 >/dev/null 2>&1";
const SHELL: &str = "i=0; while [ $i -lt 300 ]; do /bin/true; /bin/cat a >/dev/null; i=$((i + 1)); done";
const CARGO: &str = "cargo build -q --release -j2";

/// What is raced: a name, a script, and the directory that it runs in.
struct Race {
    name: String,
    script: &'static str,
    source: Source,
}

enum Source {
    Small,
    Crate,
    Directory(PathBuf),
}

/// Prints for each race and each tier the ratios to bare: smallest, median, largest.
pub(crate) fn race_tiers(arguments: &[String]) {
    let rounds = arguments.first().and_then(|word| word.parse().ok()).unwrap_or(5);
    for (tier, randomness) in [(Tier::T0, Randomness::Real), (Tier::T2, Randomness::Seeded)] {
        start(tier, randomness);
    }
    let mut races = vec![
        Race { name: "shell".to_owned(), script: SHELL, source: Source::Small },
        Race { name: "cargo".to_owned(), script: CARGO, source: Source::Crate },
    ];
    races.extend(arguments.iter().skip(1).map(|directory| {
        let source = fs::canonicalize(directory).expect("a directory of sources");
        Race { name: directory.clone(), script: CONFIGURE, source: Source::Directory(source) }
    }));
    println!("CPU of everything, ratio to bare: min / median / max of {rounds} rounds");
    for race in &races {
        let mut rows: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut bare_s = Vec::new();
        for _ in 0..rounds {
            let bare = bare(race);
            bare_s.push(bare);
            for tier in Tier::ALL {
                rows.entry(tier.name().to_owned()).or_default().push(observed(race, tier) / bare);
            }
        }
        println!("{:<20} bare  {} s", race.name, spread(&mut bare_s));
        for (tier, mut ratios) in rows {
            println!("{:<20} {tier:<5} {}", race.name, spread(&mut ratios));
        }
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load afterwards: {load}");
    fs::remove_dir_all(crate::harness::base()).ok();
}

fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let (first, middle, last) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("{first:.3} / {middle:.3} / {last:.3}")
}

fn start(tier: Tier, randomness: Randomness) {
    const RUNS: usize = 20;
    crate::harness::tools();
    let mut walls: Vec<f64> = Vec::new();
    let cpu = cpu_seconds();
    for _ in 0..RUNS {
        let mut bench = Bench::new("start", "").tier(tier, randomness);
        bench.plan.steps[0].argv = vec!["/bin/true".to_owned()];
        let begun = Instant::now();
        bench.pass();
        walls.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    let cpu = (cpu_seconds() - cpu) * 1000.0 / RUNS as f64;
    println!("a run of nothing at {tier}, {}: {cpu:.1} ms CPU, wall {} ms", randomness.name(), spread(&mut walls));
}

fn fill(race: &Race, place: &Path) {
    match &race.source {
        Source::Small => {}
        Source::Crate => write_crate(place),
        Source::Directory(from) => {
            let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(place).status();
            assert!(status.is_ok_and(|status| status.success()), "the sources can be copied");
        }
    }
}

/// On tmpfs too, so that the file system is not what differs.
fn bare(race: &Race) -> f64 {
    let place = PathBuf::from(format!("/dev/shm/sandbox-race-{}", std::process::id()));
    fs::create_dir_all(&place).expect("a directory");
    fs::write(place.join("a"), "alpha\n").expect("a file");
    fill(race, &place);
    let cpu = cpu_seconds();
    let status = Command::new("/bin/sh")
        .args(["-c", race.script])
        .current_dir(&place)
        .env_clear()
        .envs(variables(&sysroot(), &place.join("home")))
        .status();
    let cpu = cpu_seconds() - cpu;
    fs::remove_dir_all(&place).ok();
    assert!(status.is_ok_and(|status| status.success()), "the bare run works");
    cpu
}

fn observed(race: &Race, tier: Tier) -> f64 {
    let mut bench = Bench::new("race", race.script);
    fill(race, &bench.place.join("source"));
    bench.host.sources.insert("rust".to_owned(), sysroot());
    bench.plan.steps[0].variables = variables(Path::new("/rust"), Path::new("/home"));
    bench.plan.mounts.push(Mount::Tree { target: "/rust".to_owned(), source: "rust".to_owned() });
    if Path::new("/etc/alternatives").is_dir() {
        bench.host.sources.insert("alternatives".to_owned(), PathBuf::from("/etc/alternatives"));
        bench
            .plan
            .mounts
            .push(Mount::Tree { target: "/etc/alternatives".to_owned(), source: "alternatives".to_owned() });
    }
    for mount in &mut bench.plan.mounts {
        if let Mount::Copy { size_bytes, .. } = mount {
            *size_bytes = 1 << 30;
        }
    }
    bench.plan.limits.wall_ms = 1_800_000;
    let mut bench = bench.tier(tier, Randomness::Real);
    let cpu = cpu_seconds();
    let outcome = bench.pass();
    // Init has the kernel reap its children, so their time reaches no `rusage`; the trace has it.
    let first = outcome.processes.iter().filter(|process| process.parent.is_none());
    let inside: u64 = first.map(|process| process.cpu_us).sum();
    cpu_seconds() - cpu + inside as f64 / 1e6
}
