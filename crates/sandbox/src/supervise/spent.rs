//! CPU time of all processes of a run together, ended or not.
//!
//! A process that ended is counted by what the kernel reports with its end, less what its children brought in, for the report holds
//! those that it waited for. One that lives is counted by its threads' time in `/proc`. A process that takes no notice of its
//! children's ends (`SIGCHLD` ignored) does not hold their time, so the last look at it is the least that it counts for.

use std::collections::HashMap;

use libc::pid_t;

/// The unit of times in `/proc`, the same on every machine of this architecture (`USER_HZ`).
const TICK_US: u64 = 10_000;

/// What is known of one process.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    parent: Option<pid_t>,
    /// Its own, at the last look.
    seen_us: u64,
    /// Of its children that ended, with theirs.
    children_us: u64,
}

/// The time of all.
#[derive(Debug, Default)]
pub(super) struct CpuTime {
    live: HashMap<pid_t, Spent>,
    ended_us: u64,
}

impl CpuTime {
    /// A process was made.
    pub(super) fn begin(&mut self, pid: pid_t, parent: Option<pid_t>) {
        self.live.insert(pid, Spent { parent, ..Spent::default() });
    }

    /// It ended; `used_us` is its time with that of the children that it waited for.
    pub(super) fn end(&mut self, pid: pid_t, used_us: u64) {
        let Some(spent) = self.live.remove(&pid) else { return };
        self.ended_us += used_us.saturating_sub(spent.children_us).max(spent.seen_us);
        if let Some(parent) = spent.parent.and_then(|parent| self.live.get_mut(&parent)) {
            parent.children_us += used_us;
        }
    }

    /// Looks at all that live, and returns the sum.
    pub(super) fn look(&mut self, own_us: impl Fn(pid_t) -> Option<u64>) -> u64 {
        for (&pid, spent) in &mut self.live {
            spent.seen_us = own_us(pid).unwrap_or(spent.seen_us);
        }
        self.ended_us + self.live.values().map(|spent| spent.seen_us).sum::<u64>()
    }
}

/// The time of a process's threads, in user and kernel mode; `None` if it is gone.
pub(super) fn own_us(pid: pid_t) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; two fields of 11 and 12 behind it are the times (proc_pid_stat(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks * TICK_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_once() {
        let mut time = CpuTime::default();
        time.begin(1, None);
        time.begin(2, Some(1));
        time.begin(3, Some(2));
        assert_eq!(time.look(|pid| Some(pid as u64 * 10)), 60);
        // 3 used 35; 2 waited for it, and used 25 itself.
        time.end(3, 35);
        time.end(2, 60);
        assert_eq!(time.look(|_| Some(10)), 35 + 25 + 10);
        time.end(1, 70);
        assert_eq!(time.look(|_| None), 70);
    }

    #[test]
    fn who_ignores_the_ends_of_its_children_hides_nothing() {
        let mut time = CpuTime::default();
        time.begin(1, None);
        time.begin(2, Some(1));
        assert_eq!(time.look(|_| Some(50)), 100);
        time.end(2, 50);
        time.end(1, 50);
        assert_eq!(time.look(|_| None), 100);
    }

    #[test]
    fn the_time_of_this_process_is_read() {
        let pid = std::process::id() as pid_t;
        let before = own_us(pid).expect("it lives");
        let mut sum = 0_u64;
        while own_us(pid).is_some_and(|now| now <= before) {
            sum = sum.wrapping_mul(31).wrapping_add(before);
        }
        assert_eq!(own_us(-1), None, "{sum}");
    }
}
