//! Attempts of a step to fetch or to choose versions by itself: which process it was, and what it ran.
//!
//! Two signs: a call that would have left the sandbox, and a package manager's command that fetches and failed (most
//! give up before they open a socket, since they are told to be offline). Nothing here is evidence: the network is absent
//! in any case. It says why a build failed, in terms of what its author wrote.

use sandbox::outcome::Outcome;

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

/// Returns the attempts of a run, in the order of its processes; at most ten.
pub fn of(outcome: &Outcome) -> Vec<Attempt> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for attempt in &outcome.network {
        // Without a resolver's address, names are asked for at port 53 of the loopback interface.
        let asks_names = attempt.loopback && attempt.address.ends_with(":53");
        if asks_names || (!attempt.loopback && attempt.errno != 0) {
            let what = if asks_names {
                "asked for a host's address".to_owned()
            } else {
                format!("{} {}", attempt.call, attempt.address)
            };
            found.push((attempt.process, what));
        }
    }
    for (index, process) in outcome.processes.iter().enumerate() {
        let failed = process.exit.shell_code().is_some_and(|code| code != 0);
        if failed && let Some(what) = fetches(&command(&process.argv)) {
            found.push((index, what));
        }
    }
    found.sort();
    found.dedup();
    let attempt = |(index, what): (usize, String)| {
        let process = outcome.processes.get(index)?;
        let step = outcome.steps.get(process.step).map_or("", |step| step.name.as_str());
        Some(Attempt { step: step.to_owned(), pid: process.pid, argv: process.argv.clone(), what })
    };
    found.into_iter().filter_map(attempt).take(SHOWN_MAX).collect()
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
