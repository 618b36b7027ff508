//! What the processes of a run did, in order: commands, and the lines and branches of shell scripts, from the run's trace.
//!
//! Lines of scripts are each process's own claim ([`sandbox::script`]); processes, times and exits are the kernel's word.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use build::record::withhold::Withhold;
use sandbox::event::Event;
use sandbox::outcome::Exit;
use sandbox::script::{How, Place, ScriptEvent, Scripts, Shell, decode};
use sandbox::trace::{Reader, TraceError};
use serde_json::{Value, json};

use crate::error::{Failure, Result};

/// More numbers than the sandbox writes into one line.
const RAN_MAX: usize = 1 << 16;
/// Lines of one process that are shown before the rest is counted.
const SHOWN_MAX: usize = 200;
/// Processes within processes that are indented.
const DEPTH_MAX: usize = 40;

/// A process, or one program of it.
struct Command {
    parent: Option<usize>,
    replaces: Option<usize>,
    step: usize,
    is_program: bool,
    argv: Vec<String>,
    cwd: String,
    start_us: u64,
    duration_us: u64,
    exit: Exit,
    passed: Vec<Passed>,
    untraced: Vec<(String, String)>,
}

/// A place that a process passed.
struct Passed {
    at_us: u64,
    place: usize,
    values: Vec<String>,
    /// The branch that was entered from here.
    taken: Option<(How, Option<String>)>,
}

struct Script {
    path: String,
    digest: String,
    shell: Shell,
    is_partial: bool,
}

struct Known {
    script: usize,
    local: usize,
    place: Place,
}

/// How much a trace tells of scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It was made before scripts were traced.
    Nothing,
    Off,
    Whole,
    Cut,
}

/// Everything that a trace tells of commands.
pub(crate) struct Trail {
    steps: Vec<Step>,
    commands: Vec<Command>,
    scripts: Vec<Script>,
    places: Vec<Known>,
    is_cut: bool,
}

#[derive(Default)]
struct Step {
    name: String,
    scripts: Option<Scripts>,
    exit: Option<Exit>,
    duration_us: u64,
}

impl Trail {
    /// Reads a trace; `steps` are the names of the steps. Values that look like secrets are withheld.
    pub(crate) fn read(trace: &mut dyn Read, steps: &[String], withhold: &Withhold) -> Result<Trail> {
        let named = |name: &String| Step { name: name.clone(), ..Step::default() };
        let mut trail = Trail {
            steps: steps.iter().map(named).collect(),
            commands: Vec::new(),
            scripts: Vec::new(),
            places: Vec::new(),
            is_cut: false,
        };
        // Lines of a process may come before its own.
        let mut found: BTreeMap<usize, Command> = BTreeMap::new();
        let unreadable = |error: &TraceError| Failure::new("trace", "reading the trace").because(error);
        let mut reader = Reader::new(trace).map_err(|error| unreadable(&error))?;
        while let Some(event) = reader.read().map_err(|error| unreadable(&error))? {
            trail
                .add(event, &mut found, withhold)
                .map_err(|what| Failure::new("trace", format!("reading the trace: {what}")))?;
        }
        if found.keys().enumerate().any(|(index, id)| index != *id) {
            return Err(Failure::new("trace", "reading the trace: its processes have a gap"));
        }
        trail.commands = found.into_values().collect();
        for command in &mut trail.commands {
            decide(&mut command.passed, &trail.places);
        }
        Ok(trail)
    }

    fn add(
        &mut self,
        event: Event,
        found: &mut BTreeMap<usize, Command>,
        withhold: &Withhold,
    ) -> std::result::Result<(), String> {
        match event {
            Event::Process { id, parent, replaces, step, executed, argv, cwd, start_us, .. } => {
                let command = found.entry(id).or_insert_with(Command::unknown);
                (command.parent, command.replaces, command.step) = (parent, replaces, step);
                (command.is_program, command.cwd, command.start_us) = (executed, cwd, start_us);
                command.argv = withhold.arguments(&argv);
                if parent.into_iter().chain(replaces).any(|other| other >= id) {
                    return Err(format!("process {id} is older than what started it"));
                }
            }
            Event::Fork { id, parent, step, start_us, .. } => {
                let command = found.entry(id).or_insert_with(Command::unknown);
                (command.parent, command.step, command.start_us) = (parent, step, start_us);
                if parent.is_some_and(|parent| parent >= id) {
                    return Err(format!("process {id} is older than what started it"));
                }
            }
            Event::End { process, exit, duration_us, .. } => {
                let command = found.entry(process).or_insert_with(Command::unknown);
                (command.exit, command.duration_us) = (exit, duration_us);
            }
            Event::Step { step, exit, duration_us, .. } => {
                let step = self.step(step)?;
                (step.exit, step.duration_us) = (Some(exit), duration_us);
            }
            Event::Script(event) => return self.add_script(event, found, withhold),
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, index: usize) -> std::result::Result<&mut Step, String> {
        self.steps.get_mut(index).ok_or_else(|| format!("step {index} is not in the recipe"))
    }

    fn add_script(
        &mut self,
        event: ScriptEvent,
        found: &mut BTreeMap<usize, Command>,
        withhold: &Withhold,
    ) -> std::result::Result<(), String> {
        match event {
            ScriptEvent::Step { step, scripts } => self.step(step)?.scripts = Some(scripts),
            ScriptEvent::Script { id, path, digest, shell, partial } if id == self.scripts.len() => {
                self.scripts.push(Script { path, digest, shell, is_partial: partial });
            }
            ScriptEvent::Place { id, script, local, place }
                if id == self.places.len() && script < self.scripts.len() =>
            {
                self.places.push(Known { script, local, place });
            }
            ScriptEvent::Script { .. } | ScriptEvent::Place { .. } => return Err("numbers are out of order".to_owned()),
            ScriptEvent::Ran { process, until_us, ran, values } => {
                let ran = decode(&ran, RAN_MAX).filter(|ran| ran.iter().all(|place| *place < self.places.len()));
                let ran = ran.ok_or("it names no places")?;
                let mut values: HashMap<usize, Vec<String>> = values.into_iter().collect();
                let command = found.entry(process).or_insert_with(Command::unknown);
                for (index, place) in ran.into_iter().enumerate() {
                    let values = values.remove(&index).unwrap_or_default();
                    let values = withhold.named(&self.places[place].place.names, values);
                    command.passed.push(Passed { at_us: until_us, place, values, taken: None });
                }
            }
            ScriptEvent::Untraced { process, path, reason } => {
                found.entry(process).or_insert_with(Command::unknown).untraced.push((path, reason));
            }
            ScriptEvent::Cut { .. } => self.is_cut = true,
        }
        Ok(())
    }

    /// How many of the steps ran.
    pub(crate) fn steps_run(&self) -> usize {
        self.steps.iter().filter(|step| step.exit.is_some()).count()
    }

    fn told(&self) -> Told {
        match () {
            () if self.is_cut => Told::Cut,
            () if self.steps.iter().any(|step| step.scripts == Some(Scripts::Traced)) => Told::Whole,
            () if self.steps.iter().any(|step| step.scripts.is_some()) => Told::Off,
            () => Told::Nothing,
        }
    }

    /// Returns the object for programs, without what names the run.
    pub(crate) fn json(&self) -> Value {
        let record = match self.told() {
            Told::Nothing => "none",
            Told::Off => "off",
            Told::Whole => "whole",
            Told::Cut => "cut",
        };
        let step = |step: &Step| {
            json!({"name": step.name, "exit": step.exit.and_then(Exit::shell_code), "durationUs": step.duration_us,
                   "scriptTrace": step.scripts.map(|scripts| scripts == Scripts::Traced)})
        };
        let script = |script: &Script| json!({"path": script.path, "digest": script.digest, "shell": script.shell, "partial": script.is_partial});
        let commands = self.commands.iter().enumerate().map(|(id, command)| self.command_json(id, command));
        json!({
            "scriptRecord": record,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "scripts": self.scripts.iter().map(script).collect::<Vec<_>>(),
            "commands": commands.collect::<Vec<_>>(),
        })
    }

    fn command_json(&self, id: usize, command: &Command) -> Value {
        let passed = |passed: &Passed| {
            let known = &self.places[passed.place];
            let values: BTreeMap<&String, &String> = known.place.names.iter().zip(&passed.values).collect();
            json!({"script": known.script, "line": known.place.line, "text": known.place.text,
                   "expanded": expanded(&known.place, &passed.values), "values": values,
                   "decides": known.place.decides, "entered": known.place.branch.as_ref().map(|branch| branch.how),
                   "taken": passed.taken.as_ref().map(|(how, _)| how),
                   "pattern": passed.taken.as_ref().and_then(|(_, pattern)| pattern.as_ref())})
        };
        let untraced = |(path, reason): &(String, String)| json!({"path": path, "reason": reason});
        json!({
            "id": id, "parent": command.parent, "replaces": command.replaces, "step": command.step,
            "program": command.is_program, "argv": command.argv, "cwd": command.cwd,
            "startUs": command.start_us, "durationUs": command.duration_us, "exit": command.exit.shell_code(),
            "lines": command.passed.iter().map(passed).collect::<Vec<_>>(),
            "notTraced": command.untraced.iter().map(untraced).collect::<Vec<_>>(),
        })
    }

    /// Returns the tree for people; `all` shows also what is longer than anybody reads.
    pub(crate) fn text(&self, all: bool) -> String {
        let mut out = String::new();
        let told = match self.told() {
            Told::Nothing => "no script record: the run was made before scripts were traced",
            Told::Off => "no script record: it was switched off (`script-trace`)",
            Told::Whole => "script record: whole; lines are what each shell said of itself",
            Told::Cut => "script record: incomplete, cut where its limit was reached",
        };
        out.push_str(&format!("{told}\n"));
        let mut children: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for (id, command) in self.commands.iter().enumerate() {
            children.entry(command.replaces.or(command.parent)).or_default().push(id);
        }
        for (index, step) in self.steps.iter().enumerate().filter(|(_, step)| step.exit.is_some()) {
            let off = if step.scripts == Some(Scripts::Untraced) { ", scripts not traced" } else { "" };
            let end = ending(step.exit.unwrap_or(Exit::Unknown), step.duration_us);
            out.push_str(&format!("step {}: {end}{off}\n", step.name));
            let first = children.get(&None).into_iter().flatten().filter(|id| self.commands[**id].step == index);
            first.for_each(|id| self.draw(*id, &children, 1, all, &mut out));
        }
        out.truncate(out.trim_end().len());
        out
    }

    fn draw(
        &self,
        id: usize,
        children: &BTreeMap<Option<usize>, Vec<usize>>,
        depth: usize,
        all: bool,
        out: &mut String,
    ) {
        let command = &self.commands[id];
        let below = children.get(&Some(id)).map(Vec::as_slice).unwrap_or_default();
        let is_silent = command.passed.is_empty() && command.untraced.is_empty();
        if !command.is_program && is_silent && below.is_empty() {
            return;
        }
        let indent = "  ".repeat(depth.min(DEPTH_MAX));
        let name = if command.is_program { quoted(&command.argv) } else { "(a copy of the shell)".to_owned() };
        let place = if command.is_program { format!("  in {}", command.cwd) } else { String::new() };
        let became = if command.replaces.is_some() { "exec " } else { "" };
        let end = ending(command.exit, command.duration_us);
        out.push_str(&format!("{indent}{became}{name}{place}: {end}\n"));
        for (path, reason) in &command.untraced {
            let path = if path.is_empty() { String::new() } else { format!(" `{path}`") };
            out.push_str(&format!("{indent}  script{path} not traced, because {reason}\n"));
        }
        let mut lines = command.passed.iter().enumerate().peekable();
        let mut script = None;
        let mut show = |passed: &(usize, &Passed), out: &mut String| {
            let known = &self.places[passed.1.place];
            match passed.0 {
                SHOWN_MAX if !all => {
                    let more = command.passed.len() - SHOWN_MAX;
                    out.push_str(&format!("{indent}  … and {more} more lines (--all shows them)\n"));
                }
                number if number > SHOWN_MAX && !all => {}
                _ => {
                    if script.replace(known.script) != Some(known.script) {
                        let about = &self.scripts[known.script];
                        let partial = if about.is_partial { ", in parts" } else { "" };
                        out.push_str(&format!("{indent}  script {}{partial}\n", about.path));
                    }
                    out.push_str(&format!("{indent}  {:>5}  {}\n", known.place.line, line(&known.place, passed.1)));
                }
            }
        };
        for &child in below {
            while let Some(passed) = lines.next_if(|(_, passed)| passed.at_us <= self.commands[child].start_us) {
                show(&passed, out);
            }
            self.draw(child, children, depth + 1, all, out);
        }
        lines.for_each(|passed| show(&passed, out));
    }
}

impl Command {
    fn unknown() -> Command {
        Command {
            parent: None,
            replaces: None,
            step: 0,
            is_program: false,
            argv: Vec::new(),
            cwd: String::new(),
            start_us: 0,
            duration_us: 0,
            exit: Exit::Unknown,
            passed: Vec::new(),
            untraced: Vec::new(),
        }
    }
}

/// Finds for each place that decides the branch that was entered next, from the last to the first.
fn decide(passed: &mut [Passed], places: &[Known]) {
    let mut later: HashMap<(usize, usize), (How, Option<String>)> = HashMap::new();
    for one in passed.iter_mut().rev() {
        let known = &places[one.place];
        one.taken = later.remove(&(known.script, known.local));
        if let Some((branch, of)) = known.place.branch.as_ref().and_then(|branch| Some((branch, branch.of?))) {
            later.insert((known.script, of), (branch.how, branch.pattern.clone()));
        }
    }
}

/// Puts values in the place of plain expansions: `[ "$x" = 1 ]` becomes `[ "5" = 1 ]`; others stay as they are written.
fn expanded(place: &Place, values: &[String]) -> String {
    let mut text = String::new();
    let mut rest = place.text.as_str();
    'text: while let Some(dollar) = rest.find('$') {
        text.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        for (name, value) in place.names.iter().zip(values) {
            if let Some(after) = rest.strip_prefix(&format!("${{{name}}}")) {
                text.push_str(value);
                rest = after;
                continue 'text;
            }
            let bare = rest[1..].strip_prefix(name.as_str());
            let is_digit = name.starts_with(|first: char| first.is_ascii_digit());
            let ends =
                |after: &&str| is_digit || !after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
            if let Some(after) = bare.filter(ends) {
                text.push_str(value);
                rest = after;
                continue 'text;
            }
        }
        text.push('$');
        rest = &rest[1..];
    }
    text + rest
}

fn line(place: &Place, passed: &Passed) -> String {
    let text = if place.text.is_empty() { place.branch.as_ref().map_or("", |branch| entered(branch.how)) } else { "" };
    let text = if text.is_empty() { expanded(place, &passed.values) } else { text.to_owned() };
    let text: String = text.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    let is_loop = place.branch.as_ref().is_some_and(|branch| branch.how == How::Body);
    let round: Vec<String> = match is_loop {
        true => place.names.iter().zip(&passed.values).map(|(name, value)| format!("{name}={value}")).collect(),
        false => Vec::new(),
    };
    let round = if round.is_empty() { String::new() } else { format!("   ({})", round.join(" ").replace('\n', "·")) };
    let is_until = place.text.starts_with("until ");
    let result = match (&passed.taken, place.decides) {
        (Some((How::Item, pattern)), _) => format!("  → {}", pattern.as_deref().unwrap_or_default()),
        (Some((How::NoMatch, _)), _) => "  → no item".to_owned(),
        (Some((How::Else | How::Or, _)), _) => "  → false".to_owned(),
        (Some((How::Body, _)), true) => format!("  → {}", !is_until),
        (Some((How::Then | How::And, _)), _) => "  → true".to_owned(),
        (None, true) => "  → no branch".to_owned(),
        _ => String::new(),
    };
    format!("{text}{result}{round}")
}

/// What stands for a branch that has no statement.
fn entered(how: How) -> &'static str {
    match how {
        How::Else => "(no else)",
        How::NoMatch => "(no item)",
        How::Item => "(an empty item)",
        How::Then | How::Body | How::And | How::Or => "",
    }
}

fn ending(exit: Exit, duration_us: u64) -> String {
    let how = match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::Exec(_) => "became another program".to_owned(),
        Exit::Unknown => "end not seen".to_owned(),
    };
    format!("{how}, {}.{:03} s", duration_us / 1_000_000, duration_us / 1000 % 1000)
}

/// An argument vector as a line that a shell would read, as far as anybody reads it.
fn quoted(argv: &[String]) -> String {
    const ARGUMENT_CHARS_MAX: usize = 400;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%^".contains(c);
    let quote = |argument: &String| {
        let cut: String = argument.chars().take(ARGUMENT_CHARS_MAX).collect();
        let more = if cut.len() < argument.len() { "…" } else { "" };
        let cut = cut.replace('\n', "·");
        match !cut.is_empty() && cut.chars().all(plain) {
            true => format!("{cut}{more}"),
            false => format!("'{}{more}'", cut.replace('\'', "'\\''")),
        }
    };
    argv.iter().map(quote).collect::<Vec<_>>().join(" ")
}
