//! The calls that tiers and randomness add to the table, or replace in it.

use super::{Place, Rule, Then, When, rule};
use crate::plan::Step;
use crate::script::Scripts;
use crate::supervise::listing::Form;
use crate::tier::{Randomness, Tier};

/// What a step chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::supervise) struct Knobs {
    pub(in crate::supervise) tier: Tier,
    pub(in crate::supervise) randomness: Randomness,
    pub(in crate::supervise) scripts: Scripts,
}

impl From<&Step> for Knobs {
    fn from(step: &Step) -> Self {
        Self { tier: step.tier, randomness: step.randomness, scripts: step.scripts }
    }
}

/// What the tracer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Told {
    /// `uname`: the fixed kernel.
    Kernel,
    /// `sysinfo`.
    Machine,
    /// `getdents`, `getdents64`.
    Directory(Form),
    /// `getrandom`, from the process's stream.
    Random,
    /// `clock_gettime`: where the time goes.
    Clock,
    /// `gettimeofday`.
    DayTime,
    /// `time`.
    Seconds,
}

/// How long a call sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Sleep {
    /// A `struct timespec`.
    Span(usize),
    /// A `struct timeval`.
    DaySpan(usize),
    /// Milliseconds.
    Milliseconds(usize),
    /// `clock_nanosleep`: clock, flags, time.
    Clock,
    /// A futex that waits for a moment of the wall clock.
    Futex,
    /// Goes on with a sleep that a signal interrupted.
    Resumed,
}

const FUTEX_WAIT: u32 = 0;
const FUTEX_LOCK_PI: u32 = 6;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_WAIT_REQUEUE_PI: u32 = 11;
const FUTEX_LOCK_PI2: u32 = 13;
const PRIVATE: u32 = 128;
const WALL_CLOCK: u32 = 256;
/// The operations of `futex` whose time is a moment of the wall clock.
const WALL_CLOCK_WAITS: &[u32] = &[
    FUTEX_WAIT | WALL_CLOCK,
    FUTEX_WAIT | WALL_CLOCK | PRIVATE,
    FUTEX_LOCK_PI,
    FUTEX_LOCK_PI | PRIVATE,
    FUTEX_WAIT_BITSET | WALL_CLOCK,
    FUTEX_WAIT_BITSET | WALL_CLOCK | PRIVATE,
    FUTEX_WAIT_REQUEUE_PI | WALL_CLOCK,
    FUTEX_WAIT_REQUEUE_PI | WALL_CLOCK | PRIVATE,
    FUTEX_LOCK_PI2 | WALL_CLOCK,
    FUTEX_LOCK_PI2 | WALL_CLOCK | PRIVATE,
];
/// The clocks that tell the time of day.
pub(in crate::supervise) const WALL_CLOCKS: &[u32] = &[
    libc::CLOCK_REALTIME as u32,
    libc::CLOCK_REALTIME_COARSE as u32,
    libc::CLOCK_REALTIME_ALARM as u32,
    libc::CLOCK_TAI as u32,
];

/// Returns what is added to the table, or replaces a rule of it.
pub(super) fn rules(knobs: Knobs) -> Vec<Rule> {
    let draw = match knobs.randomness {
        Randomness::Real => Then::Draw,
        Randomness::Seeded => Then::Tell(Told::Random),
    };
    let mut rules = vec![rule(libc::SYS_getrandom, "getrandom", draw)];
    if knobs.scripts == Scripts::Traced {
        rules.extend(marks());
    }
    if knobs.tier >= Tier::T1 {
        rules.extend(machine());
    }
    if knobs.tier >= Tier::T2 {
        rules.extend(time());
        rules.extend(sleeps());
        rules.extend(looks());
    }
    rules
}

/// Questions whether a file may be written, which marks of scripts ask and next to nobody else.
fn marks() -> Vec<Rule> {
    const WRITE: &[u32] = &[libc::W_OK as u32];
    let mark = |number, name, path, mode| Rule { number, name, when: When::Is(mode, WRITE), then: Then::Mark { path } };
    vec![
        mark(libc::SYS_faccessat2, "faccessat2", 1, 2),
        mark(libc::SYS_faccessat, "faccessat", 1, 2),
        mark(libc::SYS_access, "access", 0, 1),
    ]
}

fn machine() -> Vec<Rule> {
    let tell = |number, name, told| rule(number, name, Then::Tell(told));
    vec![
        tell(libc::SYS_uname, "uname", Told::Kernel),
        tell(libc::SYS_sysinfo, "sysinfo", Told::Machine),
        tell(libc::SYS_getdents64, "getdents64", Told::Directory(Form::Wide)),
        tell(libc::SYS_getdents, "getdents", Told::Directory(Form::Narrow)),
        rule(libc::SYS_sched_getaffinity, "sched_getaffinity", Then::Affinity),
    ]
}

fn time() -> Vec<Rule> {
    let tell = |number, name, told| rule(number, name, Then::Tell(told));
    vec![
        Rule {
            number: libc::SYS_clock_gettime,
            name: "clock_gettime",
            when: When::Is(0, WALL_CLOCKS),
            then: Then::Tell(Told::Clock),
        },
        tell(libc::SYS_gettimeofday, "gettimeofday", Told::DayTime),
        tell(libc::SYS_time, "time", Told::Seconds),
    ]
}

fn sleeps() -> Vec<Rule> {
    let on_nothing =
        |number, name, count, sleep| Rule { number, name, when: When::Is(count, &[0]), then: Then::Sleep(sleep) };
    vec![
        rule(libc::SYS_nanosleep, "nanosleep", Then::Sleep(Sleep::Span(0))),
        rule(libc::SYS_clock_nanosleep, "clock_nanosleep", Then::Sleep(Sleep::Clock)),
        rule(libc::SYS_restart_syscall, "restart_syscall", Then::Sleep(Sleep::Resumed)),
        on_nothing(libc::SYS_select, "select", 0, Sleep::DaySpan(4)),
        on_nothing(libc::SYS_pselect6, "pselect6", 0, Sleep::Span(4)),
        on_nothing(libc::SYS_poll, "poll", 1, Sleep::Milliseconds(2)),
        on_nothing(libc::SYS_ppoll, "ppoll", 1, Sleep::Span(2)),
        Rule {
            number: libc::SYS_futex,
            name: "futex",
            when: When::IsWith(1, WALL_CLOCK_WAITS, 3),
            then: Then::Sleep(Sleep::Futex),
        },
    ]
}

fn looks() -> Vec<Rule> {
    let look = |number, name, buffer| rule(number, name, Then::Look { buffer, extended: false });
    let touch = |number, name, place: Place| rule(number, name, Then::Touch(place));
    vec![
        look(libc::SYS_stat, "stat", 1),
        look(libc::SYS_fstat, "fstat", 1),
        look(libc::SYS_lstat, "lstat", 1),
        look(libc::SYS_newfstatat, "newfstatat", 2),
        rule(libc::SYS_statx, "statx", Then::Look { buffer: 4, extended: true }),
        touch(libc::SYS_utime, "utime", (None, 0)),
        touch(libc::SYS_utimes, "utimes", (None, 0)),
        touch(libc::SYS_utimensat, "utimensat", (Some(0), 1)),
        touch(libc::SYS_futimesat, "futimesat", (Some(0), 1)),
    ]
}
