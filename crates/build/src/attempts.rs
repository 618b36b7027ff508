//! Attempts of a step to fetch or to choose versions by itself: which process it was, and what it ran.
//!
//! Two signs: a call that would have left the sandbox, and a package manager's command that fetches and failed (most
//! give up before they open a socket, since they are told to be offline). Nothing here is evidence: the network is absent
//! in any case. It says why a build failed, in terms of what its author wrote.

use std::collections::BTreeMap;
use std::io::Read;

use sandbox::event::Event;
use sandbox::outcome::StepOutcome;
use sandbox::trace::live::Live;
use sandbox::trace::{Reader, TraceError};

use crate::check::fetches;

/// How many are told.
const SHOWN_MAX: usize = 10;

/// How much of a command is shown.
const COMMAND_MAX: usize = 200;

/// Programs that run a script named by their first argument.
const INTERPRETERS: [&str; 8] = ["bash", "dash", "env", "node", "perl", "python3", "ruby", "sh"];

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The step.
    pub step: String,
    /// The process's number inside.
    pub pid: u32,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// `connect 192.0.2.1:443`, or what the command does.
    pub what: String,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command: String = self.argv.join(" ").chars().take(COMMAND_MAX).collect();
        write!(f, "step `{}`, process {}, `{command}`: {}", self.step, self.pid, self.what)
    }
}

/// Reads the attempts of a run out of its trace, in the order of its processes; at most ten.
pub fn of(trace: impl Read, steps: &[StepOutcome]) -> Result<Vec<Attempt>, TraceError> {
    let mut reader = Reader::new(trace)?;
    let mut found = BTreeMap::new();
    while let Some(event) = reader.read()? {
        add(&event, reader.live(), steps, &mut found);
    }
    Ok(found.into_values().collect())
}

/// Adds what an event tells; the first few, by process and text, stay.
fn add(event: &Event, live: &Live, steps: &[StepOutcome], found: &mut BTreeMap<(usize, String), Attempt>) {
    let (process, what) = match event {
        Event::Network(attempt) => {
            // Without a resolver's address, names are asked for at port 53 of the loopback interface.
            let asks_names = attempt.loopback && attempt.address.ends_with(":53");
            let what = match () {
                () if asks_names => "asked for a host's address".to_owned(),
                () if !attempt.loopback && attempt.errno != 0 => format!("{} {}", attempt.call, attempt.address),
                () => return,
            };
            (attempt.process, what)
        }
        Event::End { process, exit, .. } if exit.shell_code().is_some_and(|code| code != 0) => {
            let argv = live.process(*process).map(|seen| seen.program.argv.as_slice()).unwrap_or_default();
            let Some(what) = fetches(&command(argv)) else { return };
            (*process, what)
        }
        _ => return,
    };
    let Some(seen) = live.process(process) else { return };
    let step = steps.get(seen.step).map_or("", |step| step.name.as_str()).to_owned();
    let attempt = Attempt { step, pid: seen.pid, argv: seen.program.argv.clone(), what: what.clone() };
    found.insert((process, what), attempt);
    if found.len() > SHOWN_MAX {
        found.pop_last();
    }
}

/// The words as they were meant: `node /usr/bin/npm install` is `npm install`.
fn command(argv: &[String]) -> Vec<&str> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let base = |word: &str| word.rsplit('/').next().unwrap_or("").to_owned();
    match words.as_slice() {
        [program, script, ..] if INTERPRETERS.contains(&base(program).as_str()) && !script.starts_with('-') => {
            let mut words = words[1..].to_vec();
            if base(script) == "npm-cli.js" {
                words[0] = "npm";
            }
            words
        }
        _ => words,
    }
}

#[cfg(test)]
mod tests;
