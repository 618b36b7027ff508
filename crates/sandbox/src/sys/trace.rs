//! `ptrace(2)`, memory of a tracee, calls made in its name, and `wait4(2)`.

use std::io;
use std::mem::zeroed;
use std::os::unix::fs::FileExt;

use libc::{c_int, c_long, c_uint, c_void, pid_t};

use super::check;
use crate::machine::{CALL_OFFSET, FIRST_ARGUMENT_OFFSET, RESULT_OFFSET, call_result, with_call};

const SEIZE: c_uint = 0x4206;
const LISTEN: c_uint = 0x4208;
const GET_SYSCALL_INFO: c_uint = 0x420e;
const OPTIONS: c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_EXITKILL;
/// The kernel reads at most this much in one piece here; a piece never crosses a page, so a missing page cuts nothing readable.
const PAGE: u64 = 4096;
/// The kernel refuses longer paths.
const STRING_MAX: usize = 4096;

fn ptrace(request: c_uint, pid: pid_t, address: usize, data: usize) -> io::Result<c_long> {
    // SAFETY: each caller passes what its request reads or writes.
    check(unsafe { libc::ptrace(request, pid, address as *mut c_void, data as *mut c_void) })
}

/// Attaches to a process and all that it will ever start; they die with this one.
pub(crate) fn seize(pid: pid_t) -> io::Result<()> {
    ptrace(SEIZE, pid, 0, OPTIONS as usize).map(drop)
}

/// Lets a tracee run on, giving it a signal (0: none).
pub(crate) fn resume(pid: pid_t, signal: c_int) -> io::Result<()> {
    ptrace(libc::PTRACE_CONT, pid, 0, signal as usize).map(drop)
}

/// Lets a tracee run to the end of its system call.
pub(crate) fn resume_to_exit(pid: pid_t) -> io::Result<()> {
    ptrace(libc::PTRACE_SYSCALL, pid, 0, 0).map(drop)
}

/// Leaves a tracee in its group stop.
pub(crate) fn listen(pid: pid_t) -> io::Result<()> {
    ptrace(LISTEN, pid, 0, 0).map(drop)
}

/// The number that belongs to an event: a new process, or the former thread of an exec.
pub(crate) fn event_message(pid: pid_t) -> io::Result<i64> {
    let mut message: libc::c_ulong = 0;
    ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, (&raw mut message).expose_provenance())?;
    Ok(message as i64)
}

/// What the kernel says about the system call that a tracee stopped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Before the call: number and arguments.
    Seccomp { number: i64, arguments: [u64; 6] },
    /// After the call: its result, negative for an error.
    Exit { result: i64 },
    /// Anything else.
    Other,
}

#[repr(C)]
struct SyscallInfo {
    operation: u8,
    padding: [u8; 3],
    architecture: u32,
    instruction: u64,
    stack: u64,
    data: [u64; 8],
}

pub(crate) fn syscall_stop(pid: pid_t) -> io::Result<Stop> {
    // SAFETY: plain data.
    let mut info: SyscallInfo = unsafe { zeroed() };
    ptrace(GET_SYSCALL_INFO, pid, size_of::<SyscallInfo>(), (&raw mut info).expose_provenance())?;
    Ok(match info.operation {
        2 => Stop::Exit { result: info.data[0] as i64 },
        3 => {
            let [number, rest @ ..] = info.data;
            let [a, b, c, d, e, f, _] = rest;
            Stop::Seccomp { number: number as i64, arguments: [a, b, c, d, e, f] }
        }
        _ => Stop::Other,
    })
}

/// Number and arguments of the call that a tracee is in, at an event within it.
pub(crate) fn first_argument(pid: pid_t) -> io::Result<u64> {
    peek_user(pid, FIRST_ARGUMENT_OFFSET)
}

/// The number of the call that a tracee is in.
pub(crate) fn call_number(pid: pid_t) -> io::Result<i64> {
    peek_user(pid, CALL_OFFSET).map(|number| number as i64)
}

fn peek_user(pid: pid_t, offset: usize) -> io::Result<u64> {
    // SAFETY: the library's wrapper stores the word and tells errors by errno, which is cleared first, as -1 is a valid word.
    unsafe {
        *libc::__errno_location() = 0;
        let word = libc::ptrace(libc::PTRACE_PEEKUSER, pid, offset, 0);
        match *libc::__errno_location() {
            0 => Ok(word as u64),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// At a seccomp stop: makes the kernel skip the call and return `result`.
pub(crate) fn skip(pid: pid_t, result: i64) -> io::Result<()> {
    ptrace(libc::PTRACE_POKEUSER, pid, CALL_OFFSET, usize::MAX)?;
    ptrace(libc::PTRACE_POKEUSER, pid, RESULT_OFFSET, result as usize).map(drop)
}

/// Reads up to `buffer.len()` bytes of a tracee's memory.
pub(crate) fn read_memory(pid: pid_t, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: buffer.len() };
    // SAFETY: the local piece is ours; the remote one is checked by the kernel.
    let result = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    match check(result as c_long) {
        Err(error) if is_filtered(&error) => std::fs::File::open(format!("/proc/{pid}/mem"))?.read_at(buffer, address),
        other => other.map(|count| count as usize),
    }
}

/// Whether a container's filter, not the kernel, refused: Docker's profile of 2021 allows ptrace, but not its shorter way to memory.
fn is_filtered(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS))
}

/// Writes to a tracee's memory.
pub(crate) fn write_memory(pid: pid_t, address: u64, bytes: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: bytes.as_ptr() as *mut c_void, iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
    // SAFETY: the local piece is only read; the remote one is checked by the kernel.
    let result = unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) };
    match check(result as c_long) {
        Ok(count) if count as usize == bytes.len() => Ok(()),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        Err(error) if is_filtered(&error) => {
            std::fs::File::options().write(true).open(format!("/proc/{pid}/mem"))?.write_all_at(bytes, address)
        }
        Err(error) => Err(error),
    }
}

/// Writes to a tracee's memory also where it may only read; the page becomes its own copy.
pub(crate) fn force_memory(pid: pid_t, pieces: &[(u64, &[u8])]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let memory = std::fs::File::options().write(true).open(format!("/proc/{pid}/mem"))?;
    pieces.iter().try_for_each(|&(address, bytes)| memory.write_all_at(bytes, address))
}

/// Registers of a tracee that is stopped.
pub(crate) fn registers(pid: pid_t) -> io::Result<libc::user_regs_struct> {
    // SAFETY: plain data.
    let mut registers: libc::user_regs_struct = unsafe { zeroed() };
    ptrace(libc::PTRACE_GETREGS, pid, 0, (&raw mut registers).expose_provenance())?;
    Ok(registers)
}

pub(crate) fn set_registers(pid: pid_t, registers: &libc::user_regs_struct) -> io::Result<()> {
    ptrace(libc::PTRACE_SETREGS, pid, 0, (&raw const *registers).expose_provenance()).map(drop)
}

/// Makes a tracee, stopped at the end of a call with these registers, do another call; returns its result.
///
/// It is stopped as before afterwards, but for its registers, which the caller sets. Signals that come meanwhile are sent again at the end.
pub(crate) fn call(pid: pid_t, at: &libc::user_regs_struct, number: i64, arguments: [u64; 4]) -> io::Result<i64> {
    set_registers(pid, &with_call(at, number, arguments))?;
    let mut signals = Vec::new();
    let mut stops = 0;
    while stops < 2 {
        ptrace(libc::PTRACE_SYSCALL, pid, 0, 0)?;
        let status = wait_for(pid)?;
        if !libc::WIFSTOPPED(status) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        match (status >> 16, libc::WSTOPSIG(status)) {
            (0, signal) if signal == libc::SIGTRAP | 0x80 => stops += 1,
            (0, signal) => signals.push(signal),
            _ => {}
        }
    }
    let result = call_result(&registers(pid)?);
    for signal in signals {
        // SAFETY: plain numbers; the thread is stopped, so its group is its own or that of its process.
        check(unsafe { libc::syscall(libc::SYS_tkill, pid, signal) })?;
    }
    Ok(result)
}

/// Waits for one tracee; one that ended stays to be reported.
fn wait_for(pid: pid_t) -> io::Result<c_int> {
    loop {
        // SAFETY: the structure is ours; an end is only looked at.
        let info = unsafe {
            let mut info: libc::siginfo_t = zeroed();
            let options = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | libc::__WALL;
            let result = libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, options);
            check(c_long::from(result)).map(|_| info)
        };
        match info {
            Ok(info) if [libc::CLD_TRAPPED, libc::CLD_STOPPED].contains(&info.si_code) => {
                let mut status = 0;
                // SAFETY: the status is ours.
                let result = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL | libc::WNOHANG) };
                match check(c_long::from(result))? {
                    0 => {}
                    _ => return Ok(status),
                }
            }
            Ok(_) => return Err(io::Error::from_raw_os_error(libc::ESRCH)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads a path of a tracee: up to its zero byte.
pub(crate) fn read_string(pid: pid_t, address: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut piece = [0_u8; 256];
    while text.len() < STRING_MAX {
        let at = address.wrapping_add(text.len() as u64);
        let wanted = (PAGE - at % PAGE).min(piece.len() as u64) as usize;
        let count = read_memory(pid, at, &mut piece[..wanted])?;
        if let Some(end) = piece[..count].iter().position(|&byte| byte == 0) {
            text.extend_from_slice(&piece[..end]);
            return Ok(text);
        }
        if count == 0 {
            return Err(io::Error::from_raw_os_error(libc::EFAULT));
        }
        text.extend_from_slice(&piece[..count]);
    }
    Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG))
}

/// One report of the kernel about a tracee.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) pid: pid_t,
    pub(crate) status: c_int,
    pub(crate) cpu_us: u64,
    pub(crate) rss_max_kib: u64,
}

/// Waits for the next report; `None` if a signal came first.
pub(crate) fn next_report() -> io::Result<Option<Report>> {
    wait(0)
}

/// Returns a report that waits already.
pub(crate) fn report_at_hand() -> io::Result<Option<Report>> {
    wait(libc::WNOHANG)
}

fn wait(options: c_int) -> io::Result<Option<Report>> {
    let mut status = 0;
    // SAFETY: both structures are ours.
    let (result, usage) = unsafe {
        let mut usage: libc::rusage = zeroed();
        (libc::wait4(-1, &raw mut status, libc::__WALL | options, &raw mut usage), usage)
    };
    match check(c_long::from(result)) {
        Ok(0) => Ok(None),
        Ok(pid) => {
            let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
            let cpu_us = micros(usage.ru_utime) + micros(usage.ru_stime);
            Ok(Some(Report { pid: pid as pid_t, status, cpu_us, rss_max_kib: usage.ru_maxrss as u64 }))
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}
