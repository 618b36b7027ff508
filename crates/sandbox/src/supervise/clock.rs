//! The logical clock of tier T2: what time it is, and when a file was written. No system calls here.
//!
//! **Decision.** Neither a frozen clock nor a shifted one serves. Shifted (real time minus an offset) is different in each run as soon as a
//! build takes longer or shorter. Frozen hangs whoever waits for a time, and makes a changed source look as old as its target, so that
//! a rebuild is skipped. So:
//!
//! - *The clock stands still, but for sleeping.* It begins half a second after the plan's epoch. When a program has slept (`nanosleep`,
//!   `clock_nanosleep`, `select` and `poll` on nothing), or waited for a moment of the wall clock (`futex`, `clock_nanosleep` with an absolute time), it is
//!   later by what was asked for, for everybody. Each further reading by one process is later by a quickly growing amount (k² µs for
//!   the k-th), so that one that spins, or waits by means that are not in the list, comes to its moment too. A build that never sleeps
//!   and reads the clock less than 700 times in one process sees one second only.
//! - *A file's second is the clock's when it was opened for writing; its nanoseconds count what was looked at.* A file is written at one more
//!   than the latest time that anybody has been shown. Whoever compares two files and then makes one of them sees his
//!   own as newer, which is what make, ninja and Cargo rely on; files written in a row without a look between them are equally old,
//!   whatever order parallel processes wrote them in. In a parallel build the nanoseconds may depend on the order of jobs; archives that
//!   hold whole seconds don't see that, and at the end of a step all its files settle to the epoch, so a packing step of its own
//!   sees none of it.
//! - Files are always older than the clock, so nothing is "in the future", but younger than the epoch, which all sources have.
//! - What a program sets by itself (`touch -d`, `tar x`) is shown as it was set, unless it set the present.
//!
//! Known holes: a file is not newer than a reading of the clock just before (both are in the same second); the real change and birth times are
//! not told (they follow the modification); change by `mmap`, or by a descriptor opened before a look, counts from the next look; the times of
//! System V queues, semaphores and shared memory are real. A sleep by `futex` or `epoll` on the monotonic clock moves nothing: it is what
//! background threads do, for as long as the build takes. `CLOCK_MONOTONIC` and timers are real.

use std::collections::{HashMap, HashSet};

#[cfg(test)]
mod tests;

pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// How far the clock is ahead of the files: so many looks fit into one second.
const AHEAD_NS: u64 = SECOND_NS / 2;
/// The kernel's file times lag behind its clock by at most one tick of 10 ms.
const LAG_NS: u64 = 10_000_000;
/// A reading after so many others is no later; 2^40 µs are 12 days.
const READINGS_MAX: u64 = 1 << 20;
/// Times that a program set by itself are the present up to here.
const PRESENT_NS: u64 = 15 * 24 * 3600 * SECOND_NS;
/// Sleeps up to a moment of the monotonic clock are a little shorter than what the program meant; rounded up to this.
const GRAIN_NS: u64 = 10_000_000;

/// Files whose writing is remembered. Beyond it all is forgotten, and a file counts as written at the next look: more is built, never less.
const FILES_MAX: usize = 1 << 20;

/// Device and inode.
pub(super) type FileKey = (u64, u64);

/// Seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time {
    pub(super) second: i64,
    pub(super) nanosecond: u32,
}

impl Time {
    fn from_ns(ns: u64) -> Self {
        Self { second: (ns / SECOND_NS) as i64, nanosecond: (ns % SECOND_NS) as u32 }
    }
}

/// The times of a file, as `stat` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileTimes {
    pub(super) accessed: Time,
    pub(super) modified: Time,
    pub(super) changed: Time,
    pub(super) born: Time,
}

/// When a file was written.
#[derive(Clone, Copy, Debug)]
struct Written {
    shown: Time,
    /// The kernel's time, once somebody looked.
    real: Option<Time>,
    /// A program set it: the epoch then means the present, to the second.
    is_set: bool,
}

/// The clock of one run.
#[derive(Debug)]
pub(super) struct Clock {
    epoch: Time,
    /// Slept so far in this step.
    slept_ns: u64,
    /// The latest order that was shown.
    seen: u32,
    written: HashMap<FileKey, Written>,
    /// Devices that the steps can write to; all else has the epoch's time.
    writable: HashSet<u64>,
    run_began: Time,
    step_began: Time,
}

/// Where a time of the kernel comes from.
enum Origin {
    /// Set by a program: any time but the present.
    Set,
    /// Written in this step, or set to the present.
    Present { is_real: bool },
    /// Written in an earlier step.
    Settled,
}

impl Clock {
    /// Begins a run at the plan's epoch; `real_ns` is the kernel's clock.
    pub(super) fn new(epoch_unix_s: i64, writable: HashSet<u64>, real_ns: u64) -> Self {
        let epoch = Time { second: epoch_unix_s, nanosecond: 0 };
        let began = Time::from_ns(real_ns.saturating_sub(LAG_NS));
        let written = HashMap::new();
        Self { epoch, slept_ns: 0, seen: 0, written, writable, run_began: began, step_began: began }
    }

    /// Begins a step: what earlier ones wrote is as old as the sources.
    pub(super) fn begin_step(&mut self, real_ns: u64) {
        (self.slept_ns, self.seen) = (0, 0);
        self.written.clear();
        self.step_began = Time::from_ns(real_ns.saturating_sub(LAG_NS)).max(self.run_began);
    }

    /// The time of a process that reads it for the first time, nanoseconds since 1970.
    pub(super) fn base_ns(&self) -> u64 {
        self.epoch.second as u64 * SECOND_NS + self.slept_ns + AHEAD_NS
    }

    /// The time of the reading after `readings` others in the same process.
    pub(super) fn reading_ns(&self, readings: u64) -> u64 {
        let readings = readings.min(READINGS_MAX);
        self.base_ns() + readings * readings * 1000
    }

    /// Somebody slept.
    pub(super) fn sleep(&mut self, duration_ns: u64) {
        self.slept_ns = self.slept_ns.saturating_add(duration_ns).min(PRESENT_NS);
    }

    /// Somebody waited for a moment of this clock.
    pub(super) fn wait_until(&mut self, moment_ns: u64) {
        self.sleep(moment_ns.saturating_sub(self.base_ns()));
    }

    /// A file was opened for writing, or cut.
    pub(super) fn write(&mut self, file: FileKey) {
        self.mark(file, false);
    }

    /// A program set the times of a file.
    pub(super) fn touch(&mut self, file: FileKey) {
        self.mark(file, true);
    }

    fn mark(&mut self, file: FileKey, is_set: bool) {
        if self.written.len() >= FILES_MAX {
            self.written.clear();
        }
        let shown = self.next();
        self.written.insert(file, Written { shown, real: None, is_set });
    }

    fn next(&self) -> Time {
        let second = self.epoch.second + (self.slept_ns / SECOND_NS) as i64;
        Time { second, nanosecond: self.seen.saturating_add(1).min(AHEAD_NS as u32 - 1) }
    }

    /// Somebody looks at a file: returns the times to show.
    pub(super) fn look(&mut self, file: FileKey, real: FileTimes) -> FileTimes {
        if !self.writable.contains(&file.0) {
            return FileTimes { accessed: self.epoch, modified: self.epoch, changed: self.epoch, born: self.epoch };
        }
        let is_set = self.written.get(&file).is_some_and(|written| written.is_set);
        let origin = match self.origin(real.modified) {
            Origin::Set if is_set && real.modified == self.epoch => Origin::Present { is_real: false },
            origin => origin,
        };
        let modified = match origin {
            Origin::Set => real.modified,
            Origin::Settled => self.epoch,
            Origin::Present { is_real } => self.shown(file, real.modified, is_real),
        };
        let late = if matches!(origin, Origin::Present { .. }) { modified } else { self.epoch };
        let accessed = if matches!(self.origin(real.accessed), Origin::Set) { real.accessed } else { late };
        FileTimes { accessed, modified, changed: late, born: self.epoch }
    }

    fn shown(&mut self, file: FileKey, real: Time, is_real: bool) -> Time {
        let shown = match self.written.get(&file) {
            Some(written) if written.real.is_none_or(|known| known == real) => written.shown,
            None if !is_real => return self.epoch,
            // Changed by a way that was not seen: since the last look at the earliest.
            _ => self.next(),
        };
        let is_set = !is_real;
        self.written.insert(file, Written { shown, real: Some(real), is_set });
        self.seen = self.seen.max(shown.nanosecond);
        shown
    }

    fn origin(&self, time: Time) -> Origin {
        if time == self.epoch {
            return Origin::Set;
        }
        if time >= self.step_began {
            return Origin::Present { is_real: true };
        }
        if time >= self.run_began {
            return Origin::Settled;
        }
        let from = Time { second: self.epoch.second, nanosecond: AHEAD_NS as u32 };
        let to = Time::from_ns(self.base_ns() + PRESENT_NS);
        if (from..to).contains(&time) { Origin::Present { is_real: false } } else { Origin::Set }
    }
}

/// Returns a duration as the program meant it that slept up to a moment of the monotonic clock.
pub(super) fn meant(duration_ns: u64) -> u64 {
    duration_ns.next_multiple_of(GRAIN_NS)
}
