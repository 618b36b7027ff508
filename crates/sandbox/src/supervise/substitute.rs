//! An open file put in the place of the one that a program opened: fixed text for files of `/proc` (tier T1), a stream for `/dev/urandom` (seeded).
//!
//! After the real open has succeeded, and the kernel has said which file it was, the program is made to open a file in memory, the
//! tracer fills it, and the program's descriptor is changed to it; then the program goes on as if nothing had been. So links, directory
//! descriptors, copies of the descriptor and static programs need no thought, and no mount is needed, which could not differ between steps.
//! The file in memory is a regular file: it has an end ([`STREAM_BYTES`]), and `fstat` tells so.

use std::io;
use std::os::fd::AsFd;

use libc::pid_t;

use super::stops::Pending;
use super::tracer::Tracer;
use super::{fixed, random};
use crate::machine::with_result;
use crate::sys::{process as sys, trace};

/// What one open of `/dev/urandom` gives when it is seeded.
const STREAM_BYTES: usize = 1 << 20;
/// The kernel's limit of a name of a file in memory, with room for its own prefix.
const NAME_BYTES_MAX: usize = 200;
const UUID: &str = "/proc/sys/kernel/random/uuid";

/// Returns the name under which reading from a path is reported as use of randomness.
fn random_source(path: &str) -> Option<&'static str> {
    ["/dev/random", "/dev/urandom", "/dev/hwrng", UUID].into_iter().find(|source| *source == path)
}

impl Tracer<'_> {
    /// A program opened a file for reading: changes what it will read, where that is to be.
    pub(super) fn opened_for_reading(&mut self, pid: pid_t, pending: &Pending, descriptor: i64, path: &str) {
        let content = match random_source(path) {
            Some(source) => {
                let process = self.process(pid);
                let is_seeded = self.world.is_seeded();
                self.book.draw(process, source, is_seeded);
                if !is_seeded {
                    return;
                }
                self.stream(process, source)
            }
            None if self.world.is_fixed() => match fixed::file(self.world.plan, path) {
                Some(text) => Some(text.into_bytes()),
                None => return,
            },
            None => return,
        };
        let replaced = content.ok_or_else(|| io::Error::other("no stream")).and_then(|content| {
            let (name, flags) = pending.opened_name().ok_or_else(|| io::Error::other("no name"))?;
            replace(pid, self.process(pid), descriptor, name, flags, &content)
        });
        if let Err(error) = replaced {
            self.lose_unless_gone(pid, &format!("content of `{path}` ({error})"));
        }
    }

    fn stream(&mut self, process: pid_t, source: &str) -> Option<Vec<u8>> {
        if source == UUID {
            let mut bytes = [0; 16];
            self.world.streams.draw(process, &mut bytes)?;
            return Some(random::uuid(bytes).into_bytes());
        }
        let mut bytes = vec![0; STREAM_BYTES];
        self.world.streams.draw(process, &mut bytes)?;
        Some(bytes)
    }
}

/// Puts a file with this content in the place of a descriptor; `name` is where a tracee has any text that ends with zero.
pub(super) fn replace(
    pid: pid_t,
    process: pid_t,
    descriptor: i64,
    name: u64,
    flags: i32,
    content: &[u8],
) -> io::Result<()> {
    let at = trace::registers(pid)?;
    let create = (libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) as u64;
    let made = trace::call(pid, &at, libc::SYS_memfd_create, [name, create, 0, 0]).and_then(errno)?;
    let filled = fill(process, made, content);
    let on_exec = (flags & libc::O_CLOEXEC) as u64;
    let changed =
        filled.and_then(|()| trace::call(pid, &at, libc::SYS_dup3, [made as u64, descriptor as u64, on_exec, 0]));
    let closed = trace::call(pid, &at, libc::SYS_close, [made as u64, 0, 0, 0]);
    trace::set_registers(pid, &with_result(&at, descriptor))?;
    changed.and_then(errno)?;
    closed.and_then(errno).map(drop)
}

/// Makes a failed open succeed, with a file of this content; the program is told its lowest free descriptor, as an open would.
pub(super) fn provide(pid: pid_t, process: pid_t, name: u64, flags: i32, content: &[u8]) -> io::Result<()> {
    let at = trace::registers(pid)?;
    let on_exec = if flags & libc::O_CLOEXEC == 0 { 0 } else { libc::MFD_CLOEXEC };
    let create = u64::from(on_exec | libc::MFD_ALLOW_SEALING);
    let made = trace::call(pid, &at, libc::SYS_memfd_create, [name, create, 0, 0]).and_then(errno)?;
    fill(process, made, content)?;
    trace::set_registers(pid, &with_result(&at, made))
}

fn fill(process: pid_t, number: i64, content: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::from(sys::descriptor_of(process, number)?);
    file.write_all(content)?;
    sys::set_position(file.as_fd(), 0)?;
    sys::seal(file.as_fd())
}

fn errno(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result as i32)) } else { Ok(result) }
}

impl Pending {
    /// Where the last part of the opened path stands in the program, and the flags of the open.
    pub(super) fn opened_name(&self) -> Option<(u64, i32)> {
        let (pointer, length, flags) = self.opened()?;
        Some((pointer + length.saturating_sub(NAME_BYTES_MAX) as u64, flags))
    }
}
