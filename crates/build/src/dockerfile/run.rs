//! `RUN`: what is run, and what cannot be.

use inspect::dockerfile::{Arguments, Finding, Instruction, Problem as Open};

use super::Run;
use super::place::Places;
use super::translate::{PATH, State, absolute};

/// Users that are root.
const ROOT: [&str; 5] = ["", "0", "0:0", "root", "root:root"];

/// `linux/amd64`
pub(super) fn platform() -> String {
    format!("linux/{}", architecture())
}

/// The machine's architecture, as images name it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Arguments that have a value without anybody giving one, once a stage declares them.
pub(super) fn predefined(name: &str) -> Option<String> {
    Some(match name {
        "TARGETPLATFORM" | "BUILDPLATFORM" => platform(),
        "TARGETOS" | "BUILDOS" => "linux".to_owned(),
        "TARGETARCH" | "BUILDARCH" => architecture().to_owned(),
        "TARGETVARIANT" | "BUILDVARIANT" => String::new(),
        _ => return None,
    })
}

/// Translates one; what cannot be run is noted.
pub(super) fn translate(
    instruction: &Instruction,
    state: &State,
    places: &mut Places<'_>,
    findings: &[Finding],
) -> Option<Run> {
    let before = places.problems.len();
    let line = instruction.line;
    let user = state.execution.user.as_deref().unwrap_or_default();
    if !ROOT.contains(&user) {
        let message = format!("this would run as user `{user}`, and the sandbox has one user, root");
        places.note(line, "", message, "run it above `USER`; what it makes may be read by everybody");
    }
    open(instruction, places, findings);
    let scratch = flags(instruction, state, places);
    let argv = argv(instruction, &state.shell);
    if argv.iter().all(|word| word.trim().is_empty()) || argv.iter().any(|word| word.contains('\0')) {
        places.note(line, "", "`RUN` names no program", "as `RUN make`");
    }
    let mut variables = state.arguments.clone();
    variables.insert("PATH".to_owned(), PATH.to_owned());
    variables.insert("HOME".to_owned(), "/root".to_owned());
    variables.extend(state.variables.clone());
    let cwd = state.directory().to_owned();
    let name = format!("{}:{line}", state.name);
    (places.problems.len() == before).then_some(Run { name, argv, cwd, variables, scratch })
}

/// Notes what the command would bring in from outside, at the lines where it stands.
fn open(instruction: &Instruction, places: &mut Places<'_>, findings: &[Finding]) {
    let breaks = match &instruction.arguments {
        Arguments::Text(_) | Arguments::List(_) => {
            instruction.heredocs.iter().map(|one| one.content.lines().count() + 1)
        }
    };
    let last = instruction.last_line() + breaks.sum::<usize>();
    for finding in findings.iter().filter(|one| (instruction.line..=last).contains(&one.line)) {
        let word = match &finding.problem {
            Open::Tag { .. } | Open::Latest { .. } | Open::Argument { .. } => continue,
            Open::Download { url } | Open::Piped { url } | Open::Clone { url } => url.as_str(),
            Open::Packages { manager, .. } | Open::Upgrade { manager } => manager,
            Open::Unlocked { command, .. } => command.split(' ').next().unwrap_or_default(),
        };
        let allowed = match &finding.problem {
            Open::Download { .. } | Open::Piped { .. } | Open::Clone { .. } => {
                "a `RUN` has no network: name the file in assay.toml with its digest, `[[fetch]]`, and find it below `/fetched`"
            }
            _ => {
                "a `RUN` has no network: take a base image that has it, by digest, or fetch the files with `[[fetch]]`"
            }
        };
        places.note(finding.line, word, finding.problem.to_string(), allowed);
    }
}

/// Reads flags; returns the directories that are empty for this command.
fn flags(instruction: &Instruction, state: &State, places: &mut Places<'_>) -> Vec<String> {
    let mut scratch = Vec::new();
    for flag in &instruction.flags {
        let word = format!("--{}", flag.name);
        let mut refuse = |message: String, allowed: &str| places.note(instruction.line, &word, message, allowed);
        match (flag.name.as_str(), flag.value.as_str()) {
            ("mount", value) => match mount(value) {
                Ok(target) => scratch.push(absolute(state.directory(), &target)),
                Err((message, allowed)) => refuse(message, allowed),
            },
            ("network", "none") | ("security", "sandbox") => {}
            ("network", value) => refuse(format!("no network `{value}`"), "leave it out: a `RUN` has no network"),
            ("security", value) => {
                refuse(format!("no `--security={value}`"), "leave it out: nothing has privileges here")
            }
            _ => refuse(format!("`{word}` of `RUN` is not known here"), "leave it out"),
        }
    }
    scratch
}

/// Returns the target of a mount that is an empty directory, or what is wrong with it.
fn mount(value: &str) -> Result<String, (String, &'static str)> {
    let part = |name: &[&str]| {
        value
            .split(',')
            .filter_map(|part| part.split_once('='))
            .find(|(key, _)| name.contains(key))
            .map(|(_, value)| value)
    };
    let target = part(&["target", "dst", "destination"]);
    match (part(&["type"]).unwrap_or("bind"), target) {
        ("cache" | "tmpfs", Some(target)) if part(&["from"]).is_none() && !target.contains('$') => {
            Ok(target.to_owned())
        }
        ("cache", _) => Err((
            "a cache without a plain `target`, or with `from`".to_owned(),
            "as `--mount=type=cache,target=/root/.cache`",
        )),
        ("secret" | "ssh", _) => Err((
            "a build sees no secret".to_owned(),
            "fetch what needs it with `assay lock`, and give secrets to the running service",
        )),
        (kind, _) => Err((format!("no mount of type `{kind}`"), "`COPY` what it shows")),
    }
}

fn argv(instruction: &Instruction, shell: &[String]) -> Vec<String> {
    let text = match &instruction.arguments {
        Arguments::List(list) => return list.clone(),
        Arguments::Text(text) => text,
    };
    let script = match instruction.heredocs.as_slice() {
        [] => text.clone(),
        // The document is the script.
        [one] if text.trim().trim_start_matches(['<', '-']).trim_matches(['"', '\'']) == one.name => {
            one.content.clone()
        }
        all => {
            let ends = all.iter().map(|one| format!("\n{}{}", one.content, one.name));
            std::iter::once(text.clone()).chain(ends).collect()
        }
    };
    shell.iter().cloned().chain([script]).collect()
}
