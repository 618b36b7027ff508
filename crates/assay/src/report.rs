//! What a command says: data on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::error::Failure;

/// The answer of a command, in both forms.
pub(crate) struct Report {
    /// Whether the answer is yes (exit 0) or an honest no (exit 1).
    pub(crate) yes: bool,
    /// One object; `"version":1` is added when it is printed.
    pub(crate) json: Value,
    /// Text for people, without a final newline.
    pub(crate) text: String,
}

impl Report {
    /// A yes.
    pub(crate) fn yes(json: Value, text: impl Into<String>) -> Report {
        Report { yes: true, json, text: text.into() }
    }

    /// A yes or a no.
    pub(crate) fn of(yes: bool, json: Value, text: impl Into<String>) -> Report {
        Report { yes, json, text: text.into() }
    }
}

/// Prints a report or a failure, and returns the exit code. A closed pipe is quiet.
#[allow(clippy::print_stderr)]
pub(crate) fn finish(outcome: Result<Report, Failure>, json: bool) -> u8 {
    let (exit, out, err) = match outcome {
        Ok(report) => {
            let exit = if report.yes { 0 } else { 1 };
            (exit, if json { versioned(report.json) } else { report.text }, String::new())
        }
        Err(failure) if json => (failure.exit, failure.json().to_string(), String::new()),
        Err(failure) => (failure.exit, String::new(), failure.to_string()),
    };
    if !err.is_empty() {
        eprintln!("{err}");
    }
    if !out.is_empty() {
        let mut stdout = io::stdout().lock();
        let written = writeln!(stdout, "{out}").and_then(|()| stdout.flush());
        if written.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            return 2;
        }
    }
    exit
}

fn versioned(mut json: Value) -> String {
    if let Some(object) = json.as_object_mut() {
        object.insert("version".to_owned(), Value::from(1));
    }
    json.to_string()
}

/// Tells what long work is doing: a line that rewrites itself on a terminal, plain lines elsewhere; silent with `--quiet`.
pub(crate) struct Progress {
    bar: Option<indicatif::ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// Makes a progress line on stderr.
    pub(crate) fn new(quiet: bool) -> Progress {
        let bar = (!quiet && io::stderr().is_terminal()).then(|| {
            let bar = indicatif::ProgressBar::new_spinner();
            bar.enable_steady_tick(std::time::Duration::from_millis(120));
            bar
        });
        Progress { bar, quiet }
    }

    /// Says what is being done now; may be overwritten by the next.
    #[allow(clippy::print_stderr)]
    pub(crate) fn doing(&self, what: &str) {
        match (&self.bar, self.quiet) {
            (Some(bar), _) => bar.set_message(what.to_owned()),
            (None, false) => eprintln!("{what}"),
            (None, true) => {}
        }
    }

    /// Shows a line of a running step's output: on a terminal only, where the next overwrites it.
    pub(crate) fn step(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.chars().take(100).collect::<String>());
        }
    }

    /// Says what was done; stays on the screen.
    #[allow(clippy::print_stderr)]
    pub(crate) fn done(&self, what: &str) {
        match (&self.bar, self.quiet) {
            (Some(bar), _) => bar.suspend(|| eprintln!("{what}")),
            (None, false) => eprintln!("{what}"),
            (None, true) => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
