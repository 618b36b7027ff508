//! `--scripts ROUNDS DIRECTORY…`: what tracing the scripts of a real `configure` and `make` costs, and that it changes no byte.

use std::fs;
use std::path::Path;
use std::process::Command;

use sandbox::plan::Mount;
use sandbox::script::Scripts;
use sandbox::tier::{Randomness, Tier};

use super::told;
use crate::harness::Bench;
use crate::measure::cpu_seconds;

/// Builds, then tells every file that is there, and what was printed; the C compiler's temporary files have a name from a monotonic clock.
const SCRIPT: &str = "{ ./configure && make -j1; } > /tmp/out 2> /tmp/err; echo $?; cp /tmp/out /tmp/err .; \
    find . -type f ! -name config.log -exec sha256sum {} + | LC_ALL=C sort -k 2; sed 's|/tmp/cc[A-Za-z0-9]*|/tmp/ccXXXXXX|g' config.log || :";

/// Runs each directory in turn with and without, and prints CPU seconds and their ratio.
pub(crate) fn race(arguments: &[String]) {
    let rounds = arguments.first().and_then(|rounds| rounds.parse::<usize>().ok()).unwrap_or(5);
    for directory in &arguments[1..] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (seconds, output) = run(Path::new(directory), Scripts::Untraced);
            let (more_seconds, same) = run(Path::new(directory), Scripts::Traced);
            for (one, other) in output.lines().zip(same.lines()).filter(|(one, other)| one != other) {
                println!("differs: {one} | {other}");
            }
            assert_eq!(output.lines().next(), Some("0"), "the build works");
            without.push(seconds);
            with.push(more_seconds);
        }
        let mut ratios: Vec<f64> = without.iter().zip(&with).map(|(without, with)| with / without).collect();
        for list in [&mut without, &mut with, &mut ratios] {
            list.sort_by(f64::total_cmp);
        }
        let middle = rounds / 2;
        println!(
            "{directory}: {:.2} s CPU without, {:.2} s with; ratio {:.3} ({:.3} to {:.3}), n = {rounds}",
            without[middle],
            with[middle],
            ratios[middle],
            ratios[0],
            ratios[rounds - 1]
        );
    }
    fs::remove_dir_all(crate::harness::base()).ok();
}

fn run(directory: &Path, scripts: Scripts) -> (f64, String) {
    let mut bench = Bench::new("race", SCRIPT).tier(Tier::T2, Randomness::Seeded);
    let status = Command::new("cp").arg("-a").arg(directory.join(".")).arg(bench.place.join("source")).status();
    assert!(status.is_ok_and(|status| status.success()), "the sources can be copied");
    if Path::new("/etc/alternatives").is_dir() {
        bench.host.sources.insert("alternatives".to_owned(), "/etc/alternatives".into());
        let target = "/etc/alternatives".to_owned();
        bench.plan.mounts.push(Mount::Tree { target, source: "alternatives".to_owned() });
    }
    bench.plan.limits.wall_ms = 1_800_000;
    bench.plan.steps[0].scripts = scripts;
    let cpu = cpu_seconds();
    bench.pass();
    let cpu = cpu_seconds() - cpu;
    if scripts == Scripts::Traced {
        let told = told(&bench);
        let marks = told.ran.len();
        let size = fs::metadata(&bench.host.trace).map_or(0, |about| about.len());
        println!(
            "{} scripts, {} places, {marks} marks, trace {size} bytes, cut {}, not traced {:?}",
            told.scripts.len(),
            told.places.len(),
            told.is_cut,
            told.untraced
        );
    }
    (cpu, std::mem::take(&mut bench.output))
}
