//! Judges the events of a run one by one, as they come.
//!
//! What is listed is bounded ([`LISTED_MAX`] of each kind, the first in the order of the alphabet, so that two passes over one trace list
//! the same); what is counted is counted whole. A secret is withheld here, before the event is written anywhere.

use std::collections::{BTreeMap, BTreeSet};

use model::run::{Attempt, Component, Denied, Drawn, Undeclared, Used, Verdicts};
use sandbox::event::Event;
use sandbox::outcome::{AccessKind, Network};
use sandbox::plan::{Level, is_within};
use sandbox::trace::live::{Live, Seen as Process};

use super::Made;
use super::inventory::{Inventory, Usage};
use super::reach::Reach;
use super::withhold::Withhold;
use crate::plan::{HOME, WORKSPACE};

/// How many of each kind a record lists.
pub const LISTED_MAX: usize = 1000;
/// How much of a command is told.
const COMMAND_MAX: usize = 200;

/// Files by which names of hosts are looked up; a program that opens one is about to ask for an address.
const RESOLVER: [&str; 5] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/gai.conf", "/etc/host.conf", "/run/systemd/resolve/stub-resolv.conf"];
/// Files that tell the time of day, or since when the machine runs.
const TIME: [&str; 5] = ["/etc/localtime", "/proc/uptime", "/proc/stat", "/dev/rtc", "/dev/rtc0"];
/// Where a build may write what is nobody's output.
const SCRATCH: [&str; 3] = ["/tmp", HOME, "/dev"];

/// What a whole run showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Opened, though nothing pins it.
    pub undeclared: Vec<Undeclared>,
    /// Refused attempts.
    pub denied: Vec<Denied>,
    /// The rest; its `clock` follows from the steps and is still empty.
    pub verdicts: Verdicts,
    /// Everything pinned.
    pub components: Vec<Component>,
    /// The first address that a process reached although it must not.
    pub way_out: Option<String>,
}

/// The first process that did something, and how often all did.
#[derive(Clone, Debug, Default)]
struct Told {
    process: usize,
    command: String,
    argv0: String,
    count: u64,
}

/// A list of at most [`LISTED_MAX`]: the smallest are kept, each with its exact count.
#[derive(Default)]
struct Listed(BTreeMap<String, Told>);

impl Listed {
    fn add(&mut self, what: &str, process: usize, seen: Option<&Process>, count: u64) {
        let told = match self.0.get_mut(what) {
            Some(told) => told,
            None => {
                let is_full = self.0.len() >= LISTED_MAX;
                if is_full && self.0.last_key_value().is_some_and(|(last, _)| what > last.as_str()) {
                    return;
                }
                if is_full {
                    self.0.pop_last();
                }
                self.0.entry(what.to_owned()).or_insert(Told { process: usize::MAX, ..Told::default() })
            }
        };
        told.count += count;
        if process < told.process {
            let argv = seen.map(|seen| seen.program.argv.as_slice()).unwrap_or_default();
            told.process = process;
            told.argv0 = argv.first().cloned().unwrap_or_default();
            told.command = argv.join(" ").chars().take(COMMAND_MAX).collect();
        }
    }

    fn attempts(self) -> Vec<Attempt> {
        let attempt = |(what, told): (String, Told)| {
            let Told { process, command, count, .. } = told;
            Attempt { what, process, command, count }
        };
        self.0.into_iter().map(attempt).collect()
    }
}

/// Follows one run.
pub struct Watch<'a> {
    made: &'a Made<'a>,
    inventory: &'a Inventory,
    withhold: Withhold,
    reach: Reach<'a>,
    usage: Usage<'a>,
    undeclared: Listed,
    denied: Listed,
    dynamic: Listed,
    clock_files: Listed,
    outside: Listed,
    /// First process and count, by program, source and whether it was seeded.
    drawn: BTreeMap<(String, String, bool), (usize, u64)>,
    way_out: Option<(usize, String)>,
}

impl<'a> Watch<'a> {
    /// Begins. Secret-looking values are withheld under `key`, the run's own, which is never published.
    pub fn new(made: &'a Made<'a>, inventory: &'a Inventory, key: [u8; 32]) -> Watch<'a> {
        Watch {
            made,
            inventory,
            withhold: Withhold::new(key),
            reach: Reach::new(made, Level::Full, None),
            usage: Usage::new(inventory),
            undeclared: Listed::default(),
            denied: Listed::default(),
            dynamic: Listed::default(),
            clock_files: Listed::default(),
            outside: Listed::default(),
            drawn: BTreeMap::new(),
            way_out: None,
        }
    }

    /// Takes the next event, and withholds the secrets in it; `live` is what lived before it.
    pub fn take(&mut self, event: &mut Event, live: &Live) {
        match event {
            Event::Start { level, root, .. } => self.reach = Reach::new(self.made, *level, root.clone()),
            Event::Process { .. } | Event::Script(_) => self.withhold.event(event),
            Event::Access { process, path, kind, count } => {
                if let Some(path) = live.path(*path) {
                    self.access(*process, path, *kind, *count, live);
                }
            }
            Event::Denied(one) => self.denied.add(&one.what, one.process, live.process(one.process), one.count),
            Event::Network(one) => self.network(one, live),
            Event::Random(one) => {
                let program = live.process(one.process).map(|seen| seen.program.exe.clone()).unwrap_or_default();
                let program = self.reach.as_planned(&program).into_owned();
                let (first, count) =
                    self.drawn.entry((program, one.source.clone(), one.seeded)).or_insert((usize::MAX, 0));
                *first = one.process.min(*first);
                *count += one.count;
                if self.drawn.len() > LISTED_MAX {
                    self.drawn.pop_last();
                }
            }
            _ => {}
        }
    }

    fn access(&mut self, process: usize, path: &str, kind: AccessKind, count: u64, live: &Live) {
        let seen = live.process(process);
        match kind {
            AccessKind::Read | AccessKind::Execute | AccessKind::List => {
                if !self.reach.is_declared(path) {
                    self.undeclared.add(path, process, seen, count);
                }
                let planned = self.reach.as_planned(path);
                if kind != AccessKind::List {
                    self.usage.read(&planned);
                }
                self.name_file(&planned, "read", process, seen, count);
            }
            AccessKind::Missing => {
                let planned = self.reach.as_planned(path);
                self.name_file(&planned, "looked for", process, seen, count);
            }
            AccessKind::Refused => {}
            AccessKind::Unfinished => {}
            AccessKind::Write
            | AccessKind::Create
            | AccessKind::RenameFrom
            | AccessKind::RenameTo
            | AccessKind::Remove
            | AccessKind::Attributes => {
                let planned = self.reach.as_planned(path);
                let is_within_any = SCRATCH.iter().any(|place| is_within(&planned, place));
                let is_own = is_within(&planned, WORKSPACE) && !self.inventory.is_source(&planned);
                let is_process = planned.starts_with("/proc/");
                if !is_within_any && !is_own && !is_process {
                    self.outside.add(&format!("{} {planned}", verb(kind)), process, seen, count);
                }
            }
        }
    }

    fn name_file(&mut self, path: &str, verb: &str, process: usize, seen: Option<&Process>, count: u64) {
        if RESOLVER.contains(&path) {
            self.dynamic.add(&format!("{verb} {path}"), process, seen, count);
        }
        if TIME.contains(&path) && verb == "read" {
            self.clock_files.add(&format!("{verb} {path}"), process, seen, count);
        }
    }

    fn network(&mut self, one: &Network, live: &Live) {
        let what = format!("{} {}", one.call, one.address);
        let seen = live.process(one.process);
        // Without a resolver's address, names are asked for at port 53 of the loopback interface.
        let asks_names = one.loopback && one.address.ends_with(":53");
        if asks_names || !one.loopback {
            self.dynamic.add(&what, one.process, seen, one.count);
        }
        if one.loopback {
            return;
        }
        if one.errno != 0 {
            self.denied.add(&what, one.process, seen, one.count);
        } else if self.way_out.as_ref().is_none_or(|(first, _)| one.process < *first) {
            self.way_out = Some((one.process, what));
        }
    }

    /// Ends: what was seen in all.
    pub fn finish(self) -> Seen {
        let components = self.usage.components();
        let drawn = |((program, source, seeded), (process, count)): ((String, String, bool), (usize, u64))| Drawn {
            program,
            source,
            seeded,
            process,
            count,
        };
        let undeclared = |(path, told): (String, Told)| Undeclared {
            path,
            process: told.process,
            argv0: told.argv0,
            count: told.count,
        };
        let denied = |(what, told): (String, Told)| Denied {
            what,
            process: told.process,
            command: told.command,
            count: told.count,
        };
        Seen {
            undeclared: self.undeclared.0.into_iter().map(undeclared).collect(),
            denied: self.denied.0.into_iter().map(denied).collect(),
            verdicts: Verdicts {
                unread: unread(&components),
                dynamic: self.dynamic.attempts(),
                random: self.drawn.into_iter().map(drawn).collect(),
                clock: Vec::new(),
                clock_files: self.clock_files.attempts(),
                outside: self.outside.attempts(),
            },
            components,
            way_out: self.way_out.map(|(_, what)| what),
        }
    }
}

/// The package URLs, or names, of what was not read; sorted, at most [`LISTED_MAX`].
pub fn unread(components: &[Component]) -> Vec<String> {
    let unused = |component: &&Component| matches!(component.used, Used::Never | Used::Described);
    let name = |component: &Component| match component.purl.is_empty() {
        true => format!("{} {}", component.name, component.version),
        false => component.purl.clone(),
    };
    let unread: BTreeSet<String> = components.iter().filter(unused).map(name).collect();
    unread.into_iter().take(LISTED_MAX).collect()
}

fn verb(kind: AccessKind) -> &'static str {
    match kind {
        AccessKind::Create => "create",
        AccessKind::RenameFrom => "rename away",
        AccessKind::RenameTo => "rename to",
        AccessKind::Remove => "remove",
        AccessKind::Attributes => "change the attributes of",
        _ => "write",
    }
}
