//! Tier T2 at the stops: looks at files, times set, sleeps.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libc::pid_t;

use super::calls::{Place, Rule, Sleep, WALL_CLOCKS};
use super::clock::{FileKey, FileTimes, SECOND_NS, Time, meant};
use super::place;
use super::stops::Pending;
use super::tracer::{Tracer, resume};
use crate::machine::{DeviceField, STAT, STATX, StatLayout};
use crate::sys::process::clock_ns;
use crate::sys::trace;

/// What becomes of the clock when a sleep is over.
#[derive(Clone, Debug)]
pub(super) enum Wake {
    /// It is later by this.
    After(u64),
    /// It is at least this, if the wait was to the end; the program's own time is put back to where it stood.
    At { moment_ns: u64, place: u64, bytes: [u8; 16] },
}

impl Tracer<'_> {
    /// A look at a file has succeeded: shows our times.
    pub(super) fn looked(&mut self, pid: pid_t, place: u64, extended: bool) {
        let layout = if extended { &STATX } else { &STAT };
        let mut bytes = [0_u8; 256];
        let about = &mut bytes[..layout.size];
        if trace::read_memory(pid, place, about).ok() != Some(layout.size) {
            return self.lose_unless_gone(pid, "times of a file");
        }
        let shown = self.world.clock.look(key(about, layout), times(about, layout));
        put(about, layout, &shown);
        if trace::write_memory(pid, place, about).is_err() {
            self.lose_unless_gone(pid, "times of a file");
        }
    }

    /// A file was opened for writing.
    pub(super) fn wrote(&mut self, pid: pid_t, descriptor: i64) {
        if !self.world.has_clock() {
            return;
        }
        // It was closed again by another thread: the next look shows that it changed.
        if let Ok(about) = std::fs::metadata(format!("/proc/{pid}/fd/{descriptor}")) {
            self.world.clock.write((about.dev(), about.ino()));
        }
    }

    /// A file was cut; the path is resolved.
    pub(super) fn cut(&mut self, path: &str) {
        if self.world.has_clock()
            && let Ok(key) = key_in(&self.root, path)
        {
            self.world.clock.write(key);
        }
    }

    /// Before a sleep: what the clock will be after it.
    pub(super) fn sleep_begins(&mut self, pid: pid_t, rule: Rule, arguments: [u64; 6], sleep: Sleep) {
        let wake = match sleep {
            Sleep::Span(index) => span(pid, arguments[index], 1).map(Wake::After),
            Sleep::DaySpan(index) => span(pid, arguments[index], 1000).map(Wake::After),
            Sleep::Milliseconds(index) => Some(i64::from(arguments[index] as i32).max(0) as u64)
                .filter(|_| arguments[index] as i32 > 0)
                .map(|milliseconds| Wake::After(milliseconds * 1_000_000)),
            Sleep::Clock => self.clock_sleep(pid, &arguments),
            Sleep::Futex => self.wait_for_moment(pid, arguments[3]),
            Sleep::Resumed => self.tasks.get_mut(&pid).and_then(|task| task.interrupted.take()),
        };
        match wake {
            Some(wake) => self.pend(pid, Pending::sleeping(rule, arguments, wake)),
            None => resume(pid),
        }
    }

    fn clock_sleep(&mut self, pid: pid_t, arguments: &[u64; 6]) -> Option<Wake> {
        let [clock, flags, request, ..] = *arguments;
        if flags as i32 & libc::TIMER_ABSTIME == 0 {
            return span(pid, request, 1).map(Wake::After);
        }
        if WALL_CLOCKS.contains(&(clock as u32)) {
            return self.wait_for_moment(pid, request);
        }
        let moment = span(pid, request, 1)?;
        Some(Wake::After(meant(moment.saturating_sub(clock_ns(clock as libc::clockid_t)))))
    }

    /// Turns a moment of our clock, in the program's memory, into the kernel's.
    fn wait_for_moment(&mut self, pid: pid_t, place: u64) -> Option<Wake> {
        let moment_ns = span(pid, place, 1)?;
        let mut bytes = [0; 16];
        trace::read_memory(pid, place, &mut bytes).ok()?;
        let left = moment_ns.saturating_sub(self.world.clock.base_ns());
        let real = clock_ns(libc::CLOCK_REALTIME).saturating_add(left);
        trace::force_memory(pid, &[(place, &timespec(real))]).ok()?;
        Some(Wake::At { moment_ns, place, bytes })
    }

    /// After a sleep.
    pub(super) fn woke(&mut self, pid: pid_t, wake: &Wake, result: i64) {
        match *wake {
            Wake::After(duration_ns) if result == 0 => self.world.clock.sleep(duration_ns),
            Wake::After(_) => return,
            Wake::At { moment_ns, place, bytes } => {
                // It may be gone; then so is its memory.
                trace::force_memory(pid, &[(place, &bytes)]).ok();
                let is_over = result == -i64::from(libc::ETIMEDOUT) || result == 0 && self.is_clock_sleep(pid);
                if !is_over {
                    return;
                }
                self.world.clock.wait_until(moment_ns);
            }
        }
        self.set_clocks();
    }

    fn is_clock_sleep(&self, pid: pid_t) -> bool {
        trace::call_number(pid).is_ok_and(|number| number == libc::SYS_clock_nanosleep)
    }

    /// Records and marks times that were set.
    pub(super) fn touch_ended(&mut self, pid: pid_t, pending: &Pending, place: Place) {
        let arguments = pending.arguments();
        if arguments[place.1] == 0 {
            let descriptor = place.0.map_or(0, |index| arguments[index]) as i32;
            if let Ok(about) = std::fs::metadata(format!("/proc/{pid}/fd/{descriptor}")) {
                self.world.clock.touch((about.dev(), about.ino()));
            }
            return;
        }
        let is_linked = pending.number() == libc::SYS_utimensat && arguments[3] as i32 & libc::AT_SYMLINK_NOFOLLOW != 0;
        self.changed(pid, pending, 0, place, crate::outcome::AccessKind::Attributes, !is_linked);
        let directory = place.0.map(|index| arguments[index]);
        let path = pending.path(0).and_then(|path| place::absolute(pid, directory, path).ok());
        if let Some(path) = path {
            let path = place::resolved(&self.root, &path, !is_linked);
            if let Ok(key) = key_in(&self.root, &path) {
                self.world.clock.touch(key);
            }
        }
    }
}

/// Reads a time as nanoseconds; `unit_ns` is that of its second word. `None`: there is none, or it is no time.
fn span(pid: pid_t, place: u64, unit_ns: u64) -> Option<u64> {
    let mut bytes = [0; 16];
    if place == 0 || trace::read_memory(pid, place, &mut bytes).ok() != Some(bytes.len()) {
        return None;
    }
    let second = i64::from_ne_bytes(bytes[..8].try_into().ok()?);
    let fraction = i64::from_ne_bytes(bytes[8..].try_into().ok()?);
    let (second, fraction) = (u64::try_from(second).ok()?, u64::try_from(fraction).ok()?);
    second.checked_mul(SECOND_NS)?.checked_add(fraction.checked_mul(unit_ns)?)
}

fn timespec(ns: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(ns / SECOND_NS).to_ne_bytes());
    bytes[8..].copy_from_slice(&(ns % SECOND_NS).to_ne_bytes());
    bytes
}

fn key_in(root: &OwnedFd, path: &str) -> io::Result<FileKey> {
    let opened = crate::sys::open_in_root(root.as_fd(), Path::new(path), libc::O_PATH | libc::O_NOFOLLOW)?;
    let about = std::fs::File::from(opened).metadata()?;
    Ok((about.dev(), about.ino()))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].try_into().map_or(0, u32::from_ne_bytes)
}

fn key(bytes: &[u8], layout: &StatLayout) -> FileKey {
    let device = match layout.device {
        DeviceField::Word(at) => word(bytes, at),
        DeviceField::Halves(at) => libc::makedev(half(bytes, at), half(bytes, at + 4)),
    };
    (device, word(bytes, layout.inode))
}

fn times(bytes: &[u8], layout: &StatLayout) -> FileTimes {
    let time = |at: usize| Time { second: word(bytes, at) as i64, nanosecond: half(bytes, at + 8) };
    FileTimes {
        accessed: time(layout.accessed),
        modified: time(layout.modified),
        changed: time(layout.changed),
        born: layout.born.map(time).unwrap_or_default(),
    }
}

fn put(bytes: &mut [u8], layout: &StatLayout, times: &FileTimes) {
    let mut write = |at: usize, time: Time| {
        bytes[at..at + 8].copy_from_slice(&time.second.to_ne_bytes());
        bytes[at + 8..at + 8 + layout.nanoseconds].fill(0);
        bytes[at + 8..at + 12].copy_from_slice(&time.nanosecond.to_ne_bytes());
    };
    write(layout.accessed, times.accessed);
    write(layout.modified, times.modified);
    write(layout.changed, times.changed);
    if let Some(born) = layout.born {
        write(born, times.born);
    }
}
