//! What the tracer keeps for tiers and randomness: the step's choice, the logical clock, streams of randomness, directories being read,
//! and where in each process time is told.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libc::pid_t;

use super::calls::Knobs;
use super::clock::Clock;
use super::listing::Listings;
use super::random::Streams;
use super::vdso::Patch;
use crate::plan::{Mount, Plan};
use crate::sys;
use crate::sys::process::{clock_ns, vdso};
use crate::tier::{Randomness, Tier};

/// Where a process tells itself the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    /// Where its vDSO begins; `None` if it has none.
    pub(super) vdso: Option<u64>,
    /// Where its readings are counted.
    pub(super) counter: u64,
}

/// Everything for one run.
pub(super) struct World<'a> {
    pub(super) plan: &'a Plan,
    pub(super) knobs: Knobs,
    pub(super) clock: Clock,
    pub(super) streams: Streams,
    pub(super) listings: Listings,
    pub(super) births: HashMap<pid_t, Birth>,
    /// For steps with the logical clock, and without.
    clocked: Option<Patch>,
    plain: Option<Patch>,
}

impl<'a> World<'a> {
    /// Begins a run in a sandbox with this root.
    pub(super) fn new(plan: &'a Plan, root: &OwnedFd) -> Self {
        let image = vdso().unwrap_or_default();
        let patch = |clock: bool| Patch::new(&image, clock).ok().flatten();
        let devices = if plan.tier() >= Tier::T2 { writable(plan, root) } else { HashSet::new() };
        Self {
            plan,
            knobs: Knobs::default(),
            clock: Clock::new(plan.epoch_unix_s, devices, clock_ns(libc::CLOCK_REALTIME)),
            streams: Streams::default(),
            listings: Listings::default(),
            births: HashMap::new(),
            clocked: if plan.tier() >= Tier::T2 { patch(true) } else { None },
            plain: patch(false),
        }
    }

    /// Begins a step.
    pub(super) fn begin_step(&mut self, step: usize) {
        self.knobs = self.plan.steps.get(step).map(Knobs::from).unwrap_or_default();
        self.clock.begin_step(clock_ns(libc::CLOCK_REALTIME));
    }

    pub(super) fn is_fixed(&self) -> bool {
        self.knobs.tier >= Tier::T1
    }

    pub(super) fn has_clock(&self) -> bool {
        self.knobs.tier >= Tier::T2
    }

    pub(super) fn is_seeded(&self) -> bool {
        self.knobs.randomness == Randomness::Seeded
    }

    /// What is written over the vDSO of this step's programs.
    pub(super) fn patch(&self) -> Option<&Patch> {
        if self.has_clock() { self.clocked.as_ref() } else { self.plain.as_ref() }
    }

    /// A process was forked.
    pub(super) fn fork(&mut self, child: pid_t, parent: Option<pid_t>) {
        if self.is_seeded() {
            self.streams.fork(child, parent);
        }
        if let Some(birth) = parent.and_then(|parent| self.births.get(&parent)).copied() {
            self.births.insert(child, birth);
        }
    }

    /// A process ended.
    pub(super) fn end(&mut self, process: pid_t) {
        self.streams.end(process);
        self.listings.end(process);
        self.births.remove(&process);
    }
}

/// The devices behind the plan's writable mounts.
fn writable(plan: &Plan, root: &OwnedFd) -> HashSet<u64> {
    let targets = plan.mounts.iter().filter(|mount| mount.is_writable());
    let device = |target: &str| {
        let opened = sys::open_in_root(root.as_fd(), Path::new(target), libc::O_PATH).ok()?;
        std::fs::File::from(opened).metadata().ok().map(|about| about.dev())
    };
    targets.map(Mount::target).chain(["/dev/shm"]).filter_map(device).collect()
}

/// Returns why this machine cannot give what a plan asks for, whatever the level.
pub(super) fn refusal(plan: &Plan) -> Option<(String, &'static str)> {
    let image = vdso().unwrap_or_default();
    let refused = |clock: bool| if image.is_empty() { None } else { Patch::new(&image, clock).err() };
    if plan.tier() >= Tier::T2
        && let Some(reason) = refused(true)
    {
        return Some(("leading the clock of tier `T2` through the vDSO".to_owned(), reason));
    }
    let is_seeded = plan.steps.iter().any(|step| step.randomness == Randomness::Seeded);
    let reason = refused(false).filter(|_| is_seeded)?;
    Some(("leading seeded randomness through the vDSO".to_owned(), reason))
}
