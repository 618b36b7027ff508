//! Calls that the tracer answers instead of the kernel.

use libc::pid_t;

use super::calls::Told;
use super::clock::SECOND_NS;
use super::fixed;
use super::listing::Form;
use super::stops::skip;
use super::tracer::{Tracer, resume};
use crate::sys::trace;

/// The kernel gives no more at once.
const RANDOM_BYTES_MAX: u64 = 0x01ff_ffff;
const PIECE_BYTES: u64 = 64 << 10;
const GETRANDOM: &str = "getrandom";

impl Tracer<'_> {
    /// Answers a call.
    pub(super) fn tell(&mut self, pid: pid_t, told: Told, arguments: &[u64; 6]) {
        let result = match told {
            Told::Kernel => give(pid, arguments[0], &fixed::uname(&self.host_name)),
            Told::Machine => give(pid, arguments[0], &fixed::system_info(self.world.plan)),
            Told::Directory(form) => return self.tell_directory(pid, form, arguments),
            Told::Random => self.tell_random(pid, arguments),
            Told::Clock => self.tell_time(pid, arguments[1], 1),
            Told::DayTime => match self.tell_time(pid, arguments[0], 1000) {
                0 if arguments[1] != 0 => give(pid, arguments[1], &[0; 8]),
                result => result,
            },
            Told::Seconds => {
                let seconds = self.read_clock(pid) / SECOND_NS;
                match arguments[0] {
                    0 => seconds as i64,
                    place => match give(pid, place, &seconds.to_ne_bytes()) {
                        0 => seconds as i64,
                        error => error,
                    },
                }
            }
        };
        skip(pid, result);
    }

    /// Writes seconds and a fraction whose unit is `unit_ns`.
    fn tell_time(&mut self, pid: pid_t, place: u64, unit_ns: u64) -> i64 {
        if place == 0 {
            return if unit_ns == 1 { -i64::from(libc::EFAULT) } else { 0 };
        }
        let now = self.read_clock(pid);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(now / SECOND_NS).to_ne_bytes());
        bytes[8..].copy_from_slice(&(now % SECOND_NS / unit_ns).to_ne_bytes());
        give(pid, place, &bytes)
    }

    /// Reads the clock in the name of a process: counted where its own code counts.
    fn read_clock(&mut self, pid: pid_t) -> u64 {
        let Some(place) = self.world.births.get(&self.process(pid)).map(|birth| birth.counter) else {
            return self.world.clock.base_ns();
        };
        let mut count = [0; 8];
        // A process that destroyed the end of its own stack gets the time without the count.
        trace::read_memory(pid, place, &mut count).ok();
        let readings = u64::from_ne_bytes(count);
        trace::write_memory(pid, place, &readings.wrapping_add(1).to_ne_bytes()).ok();
        self.world.clock.reading_ns(readings)
    }

    fn tell_random(&mut self, pid: pid_t, arguments: &[u64; 6]) -> i64 {
        const EXCLUSIVE: u64 = (libc::GRND_RANDOM | libc::GRND_INSECURE) as u64;
        const KNOWN: u64 = EXCLUSIVE | libc::GRND_NONBLOCK as u64;
        let [place, length, flags, ..] = *arguments;
        if flags as u32 as u64 & !KNOWN != 0 || flags & EXCLUSIVE == EXCLUSIVE {
            return -i64::from(libc::EINVAL);
        }
        let process = self.process(pid);
        let length = length.min(RANDOM_BYTES_MAX);
        self.book.draw(process, GETRANDOM, true);
        let mut piece = vec![0; length.min(PIECE_BYTES) as usize];
        let mut done = 0;
        while done < length {
            let now = &mut piece[..(length - done).min(PIECE_BYTES) as usize];
            if self.world.streams.draw(process, now).is_none() {
                self.book.lose(format!("stream of process {pid}"));
                return -i64::from(libc::EIO);
            }
            if trace::write_memory(pid, place.wrapping_add(done), now).is_err() {
                return if done > 0 { done as i64 } else { -i64::from(libc::EFAULT) };
            }
            done += now.len() as u64;
        }
        done as i64
    }

    /// Records a call that the kernel answers.
    pub(super) fn draw(&mut self, pid: pid_t) {
        let process = self.process(pid);
        self.book.draw(process, GETRANDOM, false);
        self.watch_events();
        resume(pid);
    }

    fn tell_directory(&mut self, pid: pid_t, form: Form, arguments: &[u64; 6]) {
        let process = self.process(pid);
        let (number, place, size) = (arguments[0] as i32, arguments[1], arguments[2] as u32 as usize);
        let listings = &mut self.world.listings;
        let result = match listings.read(process, i64::from(number), size, form) {
            Ok(answer) => {
                let given = give(pid, place, &answer.bytes);
                let moved = listings.advance(process, i64::from(number), &answer, given == 0);
                match (given, moved) {
                    (0, Ok(())) => answer.bytes.len() as i64,
                    (0, Err(error)) => refused(&error),
                    (error, _) => error,
                }
            }
            Err(error) if is_ours(&error) => {
                // The kernel's own order is shown, and that is told.
                self.lose_unless_gone(pid, &format!("order of a directory ({error})"));
                return resume(pid);
            }
            Err(error) => refused(&error),
        };
        skip(pid, result);
    }
}

/// Whether an error is about our way to the program's directory, not about the directory.
fn is_ours(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EPERM | libc::EMFILE | libc::ENFILE | libc::ENOSYS))
}

/// The kernel's answer to us is its answer to the program, but for what only we could meet.
fn refused(error: &std::io::Error) -> i64 {
    -i64::from(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Writes an answer; returns 0 or the error that the program is to see.
fn give(pid: pid_t, place: u64, bytes: &[u8]) -> i64 {
    if bytes.is_empty() {
        return 0;
    }
    match trace::write_memory(pid, place, bytes) {
        Ok(()) => 0,
        Err(_) => -i64::from(libc::EFAULT),
    }
}
