//! What a test command said: the cases and their outcomes, over several repetitions.
//!
//! Format: the human output of Rust's libtest, as `cargo test` passes it on
//! <https://doc.rust-lang.org/cargo/commands/cargo-test.html>; it has no version, and a machine-readable one is not
//! stable yet.
//!
//! ```text
//! stderr:      Running unittests src/main.rs (target/release/deps/greeter-2a87b8a9a0f4f8d1)
//! stdout: running 2 tests
//!         test tests::greets ... ok
//!         test tests::refuses ... FAILED
//!         test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
//! ```
//!
//! The streams come by two pipes, so only the order within each is known: the n-th `running` of one belongs to the n-th
//! `Running` of the other. What cannot be read counts as a failure, never as nothing.

use std::collections::{BTreeMap, BTreeSet};

use model::test::TestRun;
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::spec::TestFormat;

/// How many cases one repetition may report.
const CASES_MAX: usize = 200_000;

/// How much of a case's name is kept.
const NAME_MAX: usize = 300;

/// One repetition: each case's name, and whether it passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Outcome by case.
    pub cases: BTreeMap<String, bool>,
}

/// What one repetition of a test command left.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Standard output.
    pub stdout: &'a [u8],
    /// Standard error.
    pub stderr: &'a [u8],
    /// Exit code, or 128 + signal; `None` if it did not end.
    pub exit: Option<i32>,
}

/// Reads what one repetition said.
pub fn read(format: TestFormat, output: &Output<'_>) -> Report {
    let mut report = match format {
        TestFormat::Cargo => read_cargo(output),
        TestFormat::Exit => Report::default(),
    };
    let passed = output.exit == Some(0);
    // The exit code is a case of its own where the cases do not explain it: a compile error, a crash, no cases.
    let explained = report.cases.values().any(|case| !case);
    if format == TestFormat::Exit || (!passed && !explained) {
        report.cases.insert("(exit code)".to_owned(), passed);
    }
    report
}

/// Joins repetitions into the outcome of a suite.
pub fn outcome(
    suite: &str,
    subjects: Vec<(String, Digest)>,
    configuration: Digest,
    reports: &[Report],
    finished: Timestamp,
) -> TestRun {
    let names: BTreeSet<&String> = reports.iter().flat_map(|report| report.cases.keys()).collect();
    let mut run = TestRun {
        subjects,
        suite: suite.to_owned(),
        configuration,
        passed: Vec::new(),
        failed: Vec::new(),
        unstable: Vec::new(),
        finished,
    };
    for name in names {
        let outcomes: Vec<Option<bool>> = reports.iter().map(|report| report.cases.get(name).copied()).collect();
        let list = match outcomes {
            same if same.iter().all(|outcome| *outcome == Some(true)) => &mut run.passed,
            same if same.iter().all(|outcome| *outcome == Some(false)) => &mut run.failed,
            _ => &mut run.unstable,
        };
        list.push(name.clone());
    }
    run
}

/// A test binary's block of standard output.
#[derive(Default)]
struct Block {
    cases: Vec<(String, bool)>,
    ignored: usize,
    summary: Option<(usize, usize, usize)>,
}

fn read_cargo(output: &Output<'_>) -> Report {
    let stdout = String::from_utf8_lossy(output.stdout);
    let stderr = String::from_utf8_lossy(output.stderr);
    let blocks = blocks(&stdout);
    let mut names = binaries(&stderr);
    // A binary without libtest's harness prints no block: which block is whose is then unknown.
    if names.len() != blocks.len() {
        names = (1..=blocks.len()).map(|number| format!("binary {number}")).collect();
    }
    let mut report = Report::default();
    for (name, block) in names.iter().zip(&blocks) {
        let passed = block.cases.iter().filter(|(_, passed)| *passed).count();
        let counted = (passed, block.cases.len() - passed, block.ignored);
        match block.summary {
            None => report.add(format!("{name}: (ended early)"), false),
            Some(summary) if summary != counted => report.add(format!("{name}: (unreadable output)"), false),
            Some(_) => {}
        }
        for (case, passed) in &block.cases {
            report.add(format!("{name}: {case}"), *passed);
        }
    }
    report
}

impl Report {
    /// A name that comes twice passed only if it passed both times.
    fn add(&mut self, name: String, passed: bool) {
        if self.cases.len() == CASES_MAX {
            self.cases.insert("(too many cases)".to_owned(), false);
            return;
        }
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        let entry = self.cases.entry(name).or_insert(true);
        *entry &= passed;
    }
}

/// The blocks of standard output, in order.
fn blocks(stdout: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in stdout.lines() {
        if is_start(line) {
            blocks.push(Block::default());
            continue;
        }
        let Some(block) = blocks.last_mut().filter(|block| block.summary.is_none()) else { continue };
        if let Some(summary) = line.strip_prefix("test result: ") {
            block.summary = Some(counts(summary));
        } else if let Some((name, outcome)) = case(line) {
            match outcome {
                Some(passed) => block.cases.push((name.to_owned(), passed)),
                None => block.ignored += 1,
            }
        }
    }
    blocks
}

/// `running 12 tests`
fn is_start(line: &str) -> bool {
    let number = line
        .strip_prefix("running ")
        .and_then(|rest| rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test")));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// `test NAME ... ok`; the outcome of an ignored case is `None`.
fn case(line: &str) -> Option<(&str, Option<bool>)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    let word = outcome.split([' ', ',']).next().unwrap_or("");
    match word {
        "ok" => Some((name, Some(true))),
        "FAILED" => Some((name, Some(false))),
        "ignored" => Some((name, None)),
        _ => None,
    }
}

/// `ok. 1 passed; 0 failed; 2 ignored; …` → (1, 0, 2); what is not there counts as more than any block has.
fn counts(summary: &str) -> (usize, usize, usize) {
    let count = |what: &str| {
        let words: Vec<&str> = summary.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        let pair = words.windows(2).find(|pair| pair[1] == what);
        pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(usize::MAX)
    };
    (count("passed"), count("failed"), count("ignored"))
}

/// The test binaries that Cargo ran, in order: `greeter src/main.rs`, `greeter tests/api.rs`, `greeter documentation`.
fn binaries(stderr: &str) -> Vec<String> {
    let line = |line: &str| {
        let line = line.trim_start();
        if let Some(name) = line.strip_prefix("Doc-tests ") {
            return Some(format!("{} documentation", name.trim()));
        }
        let (path, binary) = line.strip_prefix("Running ")?.split_once(" (")?;
        let path = path.strip_prefix("unittests ").unwrap_or(path);
        let binary = binary.trim_end().strip_suffix(')')?.rsplit('/').next()?;
        let name = binary.rsplit_once('-').filter(|(_, hash)| is_hash(hash)).map_or(binary, |(name, _)| name);
        Some(format!("{name} {path}"))
    };
    stderr.lines().filter_map(line).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
