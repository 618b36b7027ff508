//! The escape suite: each attempt of one table, at each level, and what became of it.
//!
//! An attempt is a step of its own; those of a level run in one sandbox, but for the few that would end it. A row passes if what the
//! attempt said and what the evidence tells are exactly what the table says; the table of `docs/sandbox.md` is written from it.

mod attempts;
mod seen;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sandbox::plan::Level;

use self::attempts::{Attempt, State, all};
use self::seen::{Seen, look, look_alone};
use crate::harness::{Row, Test};

pub(crate) const TESTS: &[Test] = &[("escapes_are_documented", escapes_are_documented)];

const SOURCES: [(&str, &str); 7] = [
    ("escape.h", include_str!("escape/escape.h")),
    ("main.c", include_str!("escape/main.c")),
    ("kernel.c", include_str!("escape/kernel.c")),
    ("processes.c", include_str!("escape/processes.c")),
    ("files.c", include_str!("escape/files.c")),
    ("outside.c", include_str!("escape/outside.c")),
    ("loader.c", include_str!("escape/loader.c")),
];

/// Compiles the programs of the suite into the directory of tools.
pub(crate) fn build(place: &Path) {
    let sources = place.join("escape-sources");
    fs::create_dir_all(&sources).expect("a directory for sources");
    for (name, text) in SOURCES {
        fs::write(sources.join(name), text).expect("a source");
    }
    fs::write(place.join("input"), "pinned\n").expect("an input");
    let main = ["main.c", "kernel.c", "processes.c", "files.c", "outside.c"];
    let cc = |output: &str, flags: &[&str], sources_of: &[&str]| {
        let status = Command::new("cc")
            .current_dir(&sources)
            .args(["-O1", "-w", "-o"])
            .arg(place.join(output))
            .args(flags)
            .args(sources_of)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "`cc` makes `{output}`");
    };
    cc("escape", &["-pthread"], &main);
    cc("escape-static", &["-pthread", "-static"], &main);
    cc("loader", &["-static", "-nostdlib", "-fno-stack-protector"], &["loader.c"]);
    cc("escape-loaded", &["-Wl,--dynamic-linker=loader", "-nostdlib", "-pie"], &["loader.c"]);
    // So that nothing but the sandbox refuses what is tried with them.
    for name in ["", "input", "escape", "escape-static"] {
        fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o777)).expect("a mode for all");
    }
}

/// One test for each attempt and level.
pub(crate) fn rows() -> Vec<Row> {
    let levels = Level::ALL.into_iter().enumerate();
    levels
        .flat_map(|(index, level)| {
            all().into_iter().map(move |attempt| Row {
                name: format!("escape_{level}_{}", attempt.name),
                check: Box::new(move || check(&attempt, index, level)),
            })
        })
        .collect()
}

fn check(attempt: &Attempt, index: usize, level: Level) {
    let seen = if attempt.is_alone { look_alone(attempt, level) } else { together(index, level, attempt.name) };
    if let Err(difference) = attempt.at[index].holds(&seen) {
        panic!("{}: {difference}\nseen: {seen:#?}", attempt.name);
    }
}

/// What all attempts that share a sandbox did, run once for each level.
fn together(index: usize, level: Level, name: &str) -> Seen {
    type Run = Option<Vec<(&'static str, Seen)>>;
    static RUNS: [OnceLock<Run>; 3] = [const { OnceLock::new() }; 3];
    // A run that failed is not tried again for each row.
    let run = RUNS[index].get_or_init(|| std::panic::catch_unwind(|| look(level)).ok());
    run.as_ref()
        .expect("a run with all attempts")
        .iter()
        .find(|(one, _)| *one == name)
        .map(|(_, seen)| seen.clone())
        .expect("each attempt ran")
}

const PAGE: &str = "../../docs/sandbox.md";
const BEGIN: &str = "<!-- attempts: written by the tests of `sandbox` -->\n";
const END: &str = "<!-- end of attempts -->\n";

/// The page holds exactly what the table says; `UPDATE_EXPECT=1` writes it.
fn escapes_are_documented() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    let written = format!("{before}{BEGIN}{}{END}{after}", attempts::table());
    if std::env::var_os("UPDATE_EXPECT").is_some() && written != page {
        fs::write(&path, &written).expect("the page is written");
        return;
    }
    assert!(written == page, "`{}` is out of date: run with `UPDATE_EXPECT=1`", path.display());
}

impl State {
    fn holds(&self, seen: &Seen) -> Result<(), String> {
        // Some words differ between kernels: `EROFS|ENOENT`.
        let says = |words: &str| match words.split('|').any(|word| word == seen.said) {
            true => Ok(()),
            false => Err(format!("said `{}`, not `{words}`", seen.said)),
        };
        let finds = |found: bool, what: String| if found { Ok(()) } else { Err(format!("the evidence lacks {what}")) };
        match *self {
            State::Denied(what) => {
                says("EPERM")?;
                finds(seen.denied == [what], format!("the refusal `{what}` alone"))
            }
            State::Refused(word) | State::Killed(word) => says(word),
            State::Failed(word, kind, path) => {
                says(word)?;
                finds(seen.touched(kind, path), format!("{kind:?} {path}"))
            }
            State::Told(word, kind, path) => {
                says(word)?;
                finds(seen.touched(kind, path), format!("{kind:?} {path}"))
            }
            State::Reached(word, address) => {
                says(word)?;
                finds(seen.network.iter().any(|one| one == address), format!("the attempt to reach `{address}`"))
            }
            State::Program(word, exe) => {
                says(word)?;
                finds(seen.programs.iter().any(|one| one.starts_with(exe)), format!("the program `{exe}`"))
            }
            State::Counted(kind, paths) => {
                let counts: Vec<u64> = seen.said.split(' ').filter_map(|word| word.parse().ok()).collect();
                let is_told = paths.iter().zip(&counts).all(|(path, &count)| seen.count(kind, path) >= count);
                finds(
                    counts.len() == 2 && counts != [0, 0] && is_told,
                    format!("each {kind:?} of {paths:?}: {counts:?}"),
                )
            }
            State::ProgramOrLost(word, exe) => {
                says(word)?;
                let found = seen.lost > 0 || seen.programs.iter().any(|one| one.starts_with(exe));
                finds(found, format!("the program `{exe}`, and any loss"))
            }
            State::SumOrLost(kind, paths) => {
                let told: u64 = paths.iter().map(|path| seen.count(kind, path)).sum();
                let done: u64 = seen.said.split(' ').filter_map(|word| word.parse::<u64>().ok()).sum();
                finds(done > 0 && (seen.lost > 0 || told == done), format!("each {kind:?}: {done} done, {told} told"))
            }
            State::Lost(word) => {
                says(word)?;
                finds(seen.lost > 0, "the loss".to_owned())
            }
            State::Ended(survivors) => {
                says("ok")?;
                finds(seen.survivors == survivors, format!("{survivors} survivors"))
            }
            State::Own(word, _) | State::Open(word, _) => says(word),
        }
    }
}
