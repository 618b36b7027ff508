//! From instructions to stages.

use std::collections::BTreeMap;

use inspect::dockerfile::{Arguments, Base, Instruction, Keyword};
use wire::oci_image::{Empty, Execution};

use super::place::Places;
use super::run;
use super::{Action, Copy, From, Giver, Program, Source, Stage, expand};
use crate::base::reference::{ImageReference, ImageReferenceError};
use crate::problem::Problem;
use crate::spec::looks_secret;

/// What Docker gives a process whose image sets no `PATH`.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What runs the shell form where `SHELL` says nothing.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Flags of instructions that change nothing here.
const HARMLESS_FLAGS: [&str; 1] = ["link"];

pub(super) fn program(source: &Source, images: &BTreeMap<String, Execution>) -> Result<Program, Vec<Problem>> {
    let places = Places { file: &source.settings.path, text: &source.text, problems: Vec::new() };
    let mut translator = Translator { source, images, places, global: BTreeMap::new(), stages: Vec::new() };
    translator.global();
    let wanted = translator.wanted();
    for position in 0..source.parsed.stages.len() {
        translator.stage(position);
    }
    translator.places.problems.sort_by_key(|problem| (problem.line, problem.column));
    match wanted {
        Some(wanted) if translator.places.problems.is_empty() => Ok(Program { stages: translator.needed(wanted) }),
        _ => Err(translator.places.problems),
    }
}

struct Translator<'a> {
    source: &'a Source,
    images: &'a BTreeMap<String, Execution>,
    places: Places<'a>,
    /// Values of `ARG` before the first stage.
    global: BTreeMap<String, String>,
    stages: Vec<Stage>,
}

/// What instructions of one stage have said so far.
pub(super) struct State {
    pub(super) name: String,
    /// `ENV`, over those of the base.
    pub(super) variables: BTreeMap<String, String>,
    /// `ARG`
    pub(super) arguments: BTreeMap<String, String>,
    pub(super) shell: Vec<String>,
    pub(super) execution: Execution,
    has_cmd: bool,
}

impl State {
    /// What can be put into an instruction: `ENV` wins over `ARG`.
    pub(super) fn known(&self) -> BTreeMap<String, String> {
        let mut known = self.arguments.clone();
        known.extend(self.variables.clone());
        known
    }

    pub(super) fn directory(&self) -> &str {
        self.execution.working_dir.as_deref().filter(|path| !path.is_empty()).unwrap_or("/")
    }
}

impl Translator<'_> {
    /// Reads `ARG` before the first `FROM`.
    fn global(&mut self) {
        let first = self.source.parsed.stages.first().map_or(0, |stage| stage.instructions.start);
        for instruction in &self.source.parsed.instructions[..first] {
            let known = self.global.clone();
            for (name, value) in self.pairs(instruction, &known) {
                let value = self.source.settings.arguments.get(&name).cloned().or(value).unwrap_or_default();
                self.global.insert(name, value);
            }
        }
    }

    /// The stage that is asked for: the last one where nothing is said.
    fn wanted(&mut self) -> Option<usize> {
        let stages = &self.source.parsed.stages;
        let Some(target) = &self.source.settings.target else { return Some(stages.len() - 1) };
        let lower = target.to_ascii_lowercase();
        let found = stages.iter().position(|stage| stage.name.as_ref() == Some(&lower));
        let found = found.or_else(|| target.parse().ok().filter(|position| *position < stages.len()));
        if found.is_none() {
            let names: Vec<String> =
                stages.iter().flat_map(|stage| &stage.name).map(|name| format!("`{name}`")).collect();
            let allowed = format!("`target` in assay.toml: the stages are {}", names.join(", "));
            self.places.note(1, "", format!("no stage is called `{target}`"), allowed);
        }
        found
    }

    /// Returns a stage and all that it takes from, in order.
    fn needed(&self, wanted: usize) -> Vec<Stage> {
        let mut names = vec![self.stages[wanted].name.clone()];
        let mut needed = Vec::new();
        for stage in self.stages[..=wanted].iter().rev() {
            if !names.contains(&stage.name) {
                continue;
            }
            if let From::Stage(name) = &stage.from {
                names.push(name.clone());
            }
            names.extend(stage.actions.iter().filter_map(|action| match action {
                Action::Copy(Copy { giver: Giver::Stage(name), .. }) => Some(name.clone()),
                _ => None,
            }));
            needed.push(stage.clone());
        }
        needed.reverse();
        needed
    }

    fn stage(&mut self, position: usize) {
        let parsed = &self.source.parsed.stages[position];
        let from = self.from(position);
        let inherited = match &from {
            From::Stage(name) => {
                self.stages.iter().find(|stage| stage.name == *name).map(|stage| stage.execution.clone())
            }
            From::Image(image) => self.images.get(image).cloned(),
            From::Scratch => None,
        };
        let execution = inherited.unwrap_or_default();
        let lines = execution.env.iter().flatten().filter_map(|line| line.split_once('='));
        let variables = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let name = parsed.name.clone().unwrap_or_else(|| format!("stage-{position}"));
        let shell = SHELL.map(str::to_owned).to_vec();
        let mut state = State { name, variables, arguments: BTreeMap::new(), shell, execution, has_cmd: false };
        let mut actions = Vec::new();
        let first = parsed.instructions.start;
        for instruction in &self.source.parsed.instructions[first + 1..parsed.instructions.end] {
            self.instruction(instruction, &mut state, &mut actions);
        }
        let variables = state.variables.iter().map(|(name, value)| format!("{name}={value}"));
        state.execution.env = Some(variables.collect()).filter(|all: &Vec<String>| !all.is_empty());
        self.stages.push(Stage { name: state.name, from, actions, execution: state.execution });
    }

    /// What a stage begins from; an image must have a digest.
    fn from(&mut self, position: usize) -> From {
        let parsed = &self.source.parsed.stages[position];
        let line = parsed.line;
        if let Some(platform) = &parsed.platform
            && !platform.contains('$')
            && *platform != run::platform()
        {
            let allowed = format!("leave it out, or say `--platform={}`: nothing is emulated", run::platform());
            self.places.note(line, "--platform", format!("platform `{platform}` is not this machine's"), allowed);
        }
        let instruction = &self.source.parsed.instructions[parsed.instructions.start];
        let word = instruction.arguments.words().first().copied().unwrap_or_default().to_owned();
        match &parsed.base {
            Base::Scratch => From::Scratch,
            Base::Stage(earlier) => From::Stage(self.stages[*earlier].name.clone()),
            // Its arguments may have other values here.
            Base::Image(_) => match expand::word(&word, self.source.parsed.escape, &self.global) {
                Ok(name) if name == "scratch" => From::Scratch,
                Ok(name) => match self.stages.iter().find(|stage| stage.name == name.to_ascii_lowercase()) {
                    Some(stage) => From::Stage(stage.name.clone()),
                    None => From::Image(self.image(line, &word, &name).unwrap_or(name)),
                },
                Err(error) => {
                    self.places.note(line, &word, error, "as `FROM NAME:TAG@sha256:…`");
                    From::Scratch
                }
            },
        }
    }

    /// Returns the reference of an image, if it is one that always stays the same.
    fn image(&mut self, line: usize, word: &str, name: &str) -> Option<String> {
        if let Some(pinned) = self.source.settings.images.get(name) {
            return Some(pinned.to_string());
        }
        let full = full_name(name);
        match ImageReference::parse(&full) {
            Ok(reference) => Some(reference.to_string()),
            Err(error) => {
                let pin = full.split('@').next().unwrap_or(&full);
                let allowed = match error {
                    ImageReferenceError::NoDigest => format!(
                        "write the digest behind it, as `skopeo inspect --format '{{{{.Digest}}}}' docker://{pin}` says it, or \
                         pin it in assay.toml: [build] images = {{ \"{name}\" = \"{pin}@sha256:…\" }}"
                    ),
                    _ => "as `FROM NAME:TAG@sha256:…`".to_owned(),
                };
                self.places.note(line, word, format!("image `{name}`: {error}"), allowed);
                None
            }
        }
    }

    fn instruction(&mut self, instruction: &Instruction, state: &mut State, actions: &mut Vec<Action>) {
        let line = instruction.line;
        match instruction.keyword {
            Keyword::Arg => self.arg(instruction, state),
            Keyword::Env => {
                for (name, value) in self.pairs(instruction, &state.known()) {
                    self.check_secret(line, &name);
                    state.variables.insert(name, value.unwrap_or_default());
                }
            }
            Keyword::Label => {
                let labels = self.pairs(instruction, &state.known()).into_iter();
                let own = state.execution.labels.get_or_insert_default();
                own.extend(labels.map(|(name, value)| (name, value.unwrap_or_default())));
            }
            Keyword::Workdir => {
                let path = self.one(instruction, state);
                let path = absolute(state.directory(), &path);
                actions.push(Action::Directory { path: path.clone() });
                state.execution.working_dir = Some(path);
            }
            Keyword::User => state.execution.user = Some(self.one(instruction, state)),
            Keyword::Expose => self.expose(instruction, state),
            Keyword::Volume => {
                let volumes: Vec<String> = self.words(instruction, state);
                let own = state.execution.volumes.get_or_insert_default();
                own.extend(volumes.into_iter().map(|path| (path, Empty {})));
            }
            Keyword::Stopsignal => state.execution.stop_signal = Some(self.one(instruction, state)),
            Keyword::Shell => match &instruction.arguments {
                Arguments::List(shell) if !shell.is_empty() => state.shell = shell.clone(),
                _ => self.places.note(line, "", "`SHELL` is no list", "as `SHELL [\"/bin/bash\", \"-c\"]`"),
            },
            Keyword::Cmd => {
                state.has_cmd = true;
                state.execution.cmd = Some(command(instruction, &state.shell));
            }
            Keyword::Entrypoint => {
                state.execution.entrypoint = Some(command(instruction, &state.shell));
                // The arguments of the base were for its own.
                if !state.has_cmd {
                    state.execution.cmd = None;
                }
            }
            Keyword::Copy | Keyword::Add => self.copy(instruction, state, actions),
            Keyword::Run => {
                let findings = &self.source.parsed.findings;
                actions.extend(run::translate(instruction, state, &mut self.places, findings).map(Action::Run));
            }
            Keyword::Healthcheck if instruction.arguments.words().first() == Some(&"NONE") => {}
            Keyword::Healthcheck => {
                let allowed =
                    "leave it out: say how health is asked where it is deployed, as `health` of an environment";
                self.places.note(line, "", "an OCI image has no place for `HEALTHCHECK`", allowed);
            }
            Keyword::Onbuild => {
                let allowed = "write the instruction where it is to happen";
                self.places.note(line, "", "`ONBUILD` would do in another build what this one does not say", allowed);
            }
            Keyword::Maintainer => {
                let allowed = "write `LABEL org.opencontainers.image.authors=\"…\"`";
                self.places.note(line, "", "`MAINTAINER` is of the past, and OCI images have no place for it", allowed);
            }
            Keyword::From => {}
        }
    }

    fn check_secret(&mut self, line: usize, name: &str) {
        if looks_secret(name) {
            let message = format!("`{name}` looks like a secret, and it would be in the image and in every statement");
            self.places.note(line, name, message, "leave it out: give secrets to the running service");
        }
    }

    fn arg(&mut self, instruction: &Instruction, state: &mut State) {
        for (name, value) in self.pairs(instruction, &state.known()) {
            self.check_secret(instruction.line, &name);
            let given = self.source.settings.arguments.get(&name).cloned();
            let global = || self.global.get(&name).cloned();
            let value = given.or(value).or_else(global).or_else(|| run::predefined(&name));
            match value {
                Some(value) => drop(state.arguments.insert(name, value)),
                None => drop(state.arguments.remove(&name)),
            }
        }
    }

    fn expose(&mut self, instruction: &Instruction, state: &mut State) {
        for word in self.words(instruction, state) {
            let (ports, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first), Ok(last)) if 0 < first && first <= last && ["tcp", "udp", "sctp"].contains(&protocol) => {
                    let own = state.execution.exposed_ports.get_or_insert_default();
                    own.extend((first..=last).map(|port| (format!("{port}/{protocol}"), Empty {})));
                }
                _ => {
                    self.places.note(
                        instruction.line,
                        &word,
                        format!("`{word}` is no port"),
                        "as `EXPOSE 8080` or `53/udp`",
                    );
                }
            }
        }
    }

    fn copy(&mut self, instruction: &Instruction, state: &State, actions: &mut Vec<Action>) {
        let line = instruction.line;
        let is_add = instruction.keyword == Keyword::Add;
        let mut executable = None;
        let mut giver = Giver::Context;
        for flag in &instruction.flags {
            let word = format!("--{}", flag.name);
            let value = self.expanded(line, &flag.value, state);
            match flag.name.as_str() {
                "from" if !is_add => giver = self.giver(line, &word, &value),
                "chmod" => executable = self.mode(line, &word, &value).or(executable),
                "chown" if ["0", "0:0", "root", "root:root"].contains(&value.as_str()) => {}
                "chown" => {
                    let allowed = "leave it out: all that is added belongs to 0:0, and may be read by everybody; what a service writes \
                                   lies in a volume";
                    self.places.note(line, &word, format!("owner `{value}`: trees have no owners"), allowed);
                }
                name if HARMLESS_FLAGS.contains(&name) => {}
                name => {
                    let message = format!("`{word}` of `{}` is not known here", instruction.keyword.as_str());
                    let allowed = if name == "checksum" { "fetch it with `[[fetch]]`" } else { "leave it out" };
                    self.places.note(line, &word, message, allowed);
                }
            }
        }
        let mut words = self.words(instruction, state);
        let to = words.pop().unwrap_or_default();
        let is_here = |word: &str| word.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with("<<");
        if !instruction.heredocs.is_empty() {
            words.retain(|word| !is_here(word));
            if words.is_empty() && giver == Giver::Context {
                let own = instruction.heredocs.iter();
                giver = Giver::Here(own.map(|one| (one.name.clone(), one.content.clone())).collect());
                words = instruction.heredocs.iter().map(|one| one.name.clone()).collect();
            } else {
                self.places.note(line, "<<", "here-documents and files in one instruction", "write two instructions");
            }
        }
        if words.is_empty() || to.is_empty() {
            let message = format!("`{}` needs what it takes and where it goes", instruction.keyword.as_str());
            return self.places.note(line, "", message, "as `COPY src /src`");
        }
        for word in &words {
            self.check_source(line, word, is_add);
        }
        let into = to.ends_with('/') || to == "." || to.ends_with("/.") || words.len() > 1;
        let to = absolute(state.directory(), &to);
        actions.push(Action::Copy(Copy { line, giver, sources: words, to, into, executable, is_add }));
    }

    fn check_source(&mut self, line: usize, word: &str, is_add: bool) {
        let is_url = word.contains("://") || word.starts_with("git@");
        if is_add && is_url {
            let allowed = "name it in assay.toml with its digest, `[[fetch]]`; a `RUN` finds it below `/fetched`";
            self.places.note(line, word, "a build has no network, and what a URL gives may change", allowed);
        } else if word.split('/').any(|part| part == "..") {
            self.places.note(line, word, format!("`{word}` leads out of what is copied from"), "a path below it");
        }
    }

    fn giver(&mut self, line: usize, flag: &str, value: &str) -> Giver {
        let lower = value.to_ascii_lowercase();
        let by_number = value.parse::<usize>().ok().and_then(|position| self.stages.get(position));
        match self.stages.iter().find(|stage| stage.name == lower).or(by_number) {
            Some(stage) => Giver::Stage(stage.name.clone()),
            None => Giver::Image(self.image(line, flag, value).unwrap_or_default()),
        }
    }

    /// `--chmod`: a tree knows whether a file may be executed, and no more of its mode.
    fn mode(&mut self, line: usize, flag: &str, value: &str) -> Option<bool> {
        match value.trim_start_matches('0') {
            "755" | "555" | "+x" | "a+x" => Some(true),
            "644" | "444" => Some(false),
            _ => {
                let allowed = "755 or 644: a tree knows whether a file may be executed, and no more of its mode";
                self.places.note(line, flag, format!("mode `{value}` cannot be given"), allowed);
                None
            }
        }
    }

    fn expanded(&mut self, line: usize, text: &str, state: &State) -> String {
        match expand::word(text, self.source.parsed.escape, &state.known()) {
            Ok(value) => value,
            Err(error) => {
                self.places.note(line, text, error, "as `$NAME`, `${NAME}` or `${NAME:-default}`");
                String::new()
            }
        }
    }

    /// The whole text of an instruction.
    fn one(&mut self, instruction: &Instruction, state: &State) -> String {
        let text = instruction.arguments.words().join(" ");
        self.expanded(instruction.line, &text, state)
    }

    /// The words of an instruction, or the members of its list.
    fn words(&mut self, instruction: &Instruction, state: &State) -> Vec<String> {
        let words = match &instruction.arguments {
            Arguments::List(list) => list.clone(),
            Arguments::Text(text) => expand::split(text, self.source.parsed.escape),
        };
        words.iter().map(|word| self.expanded(instruction.line, word, state)).collect()
    }

    /// `NAME=VALUE …`, or `NAME VALUE` as `ENV` and `LABEL` may have it, or `NAME` alone for `ARG`.
    fn pairs(&mut self, instruction: &Instruction, known: &BTreeMap<String, String>) -> Vec<(String, Option<String>)> {
        let text = match &instruction.arguments {
            Arguments::Text(text) => text.as_str(),
            Arguments::List(_) => "",
        };
        let escape = self.source.parsed.escape;
        let raw = expand::split(text, escape);
        let mut pairs: Vec<(String, Option<&str>)> = Vec::new();
        let is_old = instruction.keyword != Keyword::Arg && raw.first().is_some_and(|word| !word.contains('='));
        if is_old {
            let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            pairs.push((name.to_owned(), Some(value.trim())));
        } else {
            for word in &raw {
                let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(a, b)| (a, Some(b)));
                pairs.push((name.trim_matches(['"', '\'']).to_owned(), value));
            }
        }
        let mut found = Vec::new();
        for (name, value) in pairs {
            let value = value.map(|value| expand::word(value, escape, known)).transpose();
            match value {
                Ok(value) if !name.is_empty() && !name.contains(['\0', '=']) => found.push((name, value)),
                Ok(_) => self.places.note(instruction.line, &name, "a name is missing", "as `NAME=VALUE`"),
                Err(error) => self.places.note(instruction.line, &name, error, "as `NAME=\"value of $OTHER\"`"),
            }
        }
        found
    }
}

/// `CMD` and `ENTRYPOINT`: nothing is put in here, the shell that runs it does.
fn command(instruction: &Instruction, shell: &[String]) -> Vec<String> {
    match &instruction.arguments {
        Arguments::List(list) => list.clone(),
        Arguments::Text(text) => shell.iter().cloned().chain([text.clone()]).collect(),
    }
}

/// What Docker means by a name without a registry.
fn full_name(name: &str) -> String {
    let path = name.split(['@']).next().unwrap_or(name);
    let has_host = path
        .split_once('/')
        .is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost" || host.to_lowercase() != host);
    match (has_host, path.contains('/')) {
        (true, _) => name.to_owned(),
        (false, true) => format!("docker.io/{name}"),
        (false, false) => format!("docker.io/library/{name}"),
    }
}

/// Returns an absolute path without `.` and `..`.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
