//! What a process is at its start, and the descriptors of another: `personality(2)`, `getauxval(3)`, `pidfd_getfd(2)`, `getdents64(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_long, pid_t};

use super::check;

/// `ADDR_NO_RANDOMIZE`: stack, heap and libraries lie at the same place every time. Inherited, also through `execve`.
const FIXED_ADDRESSES: libc::c_ulong = 0x004_0000;
/// No vDSO is larger.
const VDSO_BYTES_MAX: usize = 1 << 20;

/// Turns off the randomisation of addresses.
pub(crate) fn fix_addresses() -> io::Result<()> {
    // SAFETY: a plain number.
    check(c_long::from(unsafe { libc::personality(FIXED_ADDRESSES) })).map(drop)
}

/// Returns a copy of this process's own vDSO, which is every process's; `None` if it has none.
pub(crate) fn vdso() -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let range = maps.lines().find(|line| line.ends_with("[vdso]"))?.split_whitespace().next()?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let length = end.checked_sub(start).filter(|&length| length <= VDSO_BYTES_MAX)?;
    // SAFETY: the kernel says that these bytes are mapped; nothing unmaps the vDSO.
    Some(unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(start), length) }.to_vec())
}

/// Nanoseconds of a clock.
pub(crate) fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours; the clocks asked for are always there.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Returns a copy of a descriptor of another process: the same open file, with the same position.
pub(crate) fn descriptor_of(process: pid_t, number: i64) -> io::Result<OwnedFd> {
    // SAFETY: both descriptors are new and ours.
    unsafe {
        let pidfd = check(libc::syscall(libc::SYS_pidfd_open, process, 0))? as c_int;
        let pidfd = OwnedFd::from_raw_fd(pidfd);
        let fd = check(libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number as c_int, 0))? as c_int;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Reads entries of a directory, as many as fit; 0 at its end.
pub(crate) fn read_directory(directory: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length belong together.
    let result =
        unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    check(result).map(|count| count as usize)
}

/// Returns the position of an open file.
pub(crate) fn position(file: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: plain numbers.
    check(unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_CUR) }).map(|position| position as u64)
}

pub(crate) fn set_position(file: BorrowedFd<'_>, position: u64) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::lseek(file.as_raw_fd(), position as libc::off_t, libc::SEEK_SET) }).map(drop)
}

/// Makes a file in memory unchangeable.
pub(crate) fn seal(file: BorrowedFd<'_>) -> io::Result<()> {
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: plain numbers.
    check(c_long::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })).map(drop)
}
