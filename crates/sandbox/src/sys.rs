//! Thin, checked wrappers of the system calls that the standard library lacks; nearly all `unsafe` of the project.
//!
//! References: Linux man-pages 6.9, section 2. Each function does one call, or the few that belong together, and decides nothing.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_long, c_ulong, c_void, pid_t};

pub(crate) mod mount;
pub(crate) mod process;
pub(crate) mod trace;

/// Set by SIGTERM: the caller is gone, or wants the end.
static TERMINATED: AtomicBool = AtomicBool::new(false);
/// Set by each SIGALRM.
static TICKED: AtomicBool = AtomicBool::new(false);

/// Turns a system call's result into a value or the error that it left.
pub(crate) fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub(crate) fn c_string(text: &[u8]) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    c_string(path.as_os_str().as_bytes())
}

/// Makes a process in new namespaces; returns 0 in the child. The caller must have one thread only.
///
/// `clone3` first, and `clone` where a container's filter answers `ENOSYS`.
pub(crate) fn clone_process(namespaces: c_int) -> io::Result<pid_t> {
    // SAFETY: clone_args is plain data and zero is a valid value of every field.
    let mut arguments: libc::clone_args = unsafe { zeroed() };
    arguments.flags = namespaces as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: no stack, no shared memory: a fork with namespaces; this process has a single thread, so the child's heap is whole.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    let refused = result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS);
    if !refused {
        return check(result).map(|pid| pid as pid_t);
    }
    let flags = c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }).map(|pid| pid as pid_t)
}

/// Ends this process at once, without running destructors.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(code) }
}

pub(crate) fn execve(program: &CStr, argv: &[CString], variables: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|one| one.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, variables) = (pointers(argv), pointers(variables));
    // SAFETY: both lists end with a null pointer and outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), variables.as_ptr()) };
    io::Error::last_os_error()
}

pub(crate) fn prctl(option: c_int, argument: c_ulong) -> io::Result<()> {
    // SAFETY: the options used take one number; the others must be zero.
    check(c_long::from(unsafe { libc::prctl(option, argument, 0, 0, 0) })).map(drop)
}

/// Makes the end of the parent send `signal` here, and ends at once if it has ended already.
pub(crate) fn die_with_parent(signal: c_int, parent: pid_t) -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as c_ulong)?;
    // SAFETY: getppid cannot fail.
    if unsafe { libc::getppid() } != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

pub(crate) fn user_id() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::geteuid() }
}

pub(crate) fn group_id() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::getegid() }
}

pub(crate) fn process_id() -> pid_t {
    // SAFETY: cannot fail.
    unsafe { libc::getpid() }
}

pub(crate) fn drop_groups() -> io::Result<()> {
    // SAFETY: an empty list needs no memory.
    check(c_long::from(unsafe { libc::setgroups(0, std::ptr::null()) })).map(drop)
}

/// Gives standard output and error, two pipes, to a user.
pub(crate) fn give_output(user: u32) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(c_long::from(unsafe { libc::fchown(1, user, user) }))?;
    // SAFETY: plain numbers.
    check(c_long::from(unsafe { libc::fchown(2, user, user) })).map(drop)
}

pub(crate) fn become_user(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(c_long::from(unsafe { libc::setresgid(group, group, group) }))?;
    // SAFETY: plain numbers.
    check(c_long::from(unsafe { libc::setresuid(user, user, user) })).map(drop)
}

/// Empties the bounding, inheritable, permitted, effective and ambient sets of capabilities.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    const VERSION_3: u32 = 0x2008_0522;
    // The kernel answers EINVAL after its last capability; EPERM means that the set cannot be changed, as for a user, who has none.
    for capability in 0..64 {
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            Ok(()) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM)) => break,
            Err(error) => return Err(error),
        }
    }
    prctl_ambient_clear()?;
    let header = Header { version: VERSION_3, pid: 0 };
    let sets = [0_u32; 6];
    // SAFETY: version 3 reads two triples of 32 bits.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) }).map(drop)
}

fn prctl_ambient_clear() -> io::Result<()> {
    // SAFETY: plain numbers.
    let result = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    check(c_long::from(result)).map(drop)
}

/// Makes orphans of this process's descendants its children.
pub(crate) fn subreaper() -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

/// Marks every descriptor from `first` on to be closed by `execve`.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: closes nothing now.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Puts `/dev/null` in the place of standard input.
pub(crate) fn null_stdin() -> io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    // SAFETY: both descriptors are open; dup2 clears close-on-exec on the copy.
    check(c_long::from(unsafe { libc::dup2(null.as_raw_fd(), 0) })).map(drop)
}

pub(crate) fn set_hostname(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length belong together.
    check(c_long::from(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }))?;
    let none = "(none)";
    // SAFETY: pointer and length belong together.
    check(c_long::from(unsafe { libc::setdomainname(none.as_ptr().cast(), none.len()) })).map(drop)
}

/// The answer to `uname` with this host name; the rest is the machine's.
pub(crate) fn uname(host_name: &str) -> Vec<u8> {
    // SAFETY: plain data; the call only writes to it.
    let mut names: libc::utsname = unsafe {
        let mut names = zeroed();
        libc::uname(&raw mut names);
        names
    };
    let put = |field: &mut [libc::c_char], text: &str| {
        field.fill(0);
        field.iter_mut().zip(text.bytes().take(64)).for_each(|(to, from)| *to = from as libc::c_char);
    };
    put(&mut names.nodename, host_name);
    put(&mut names.domainname, "(none)");
    // SAFETY: six arrays of bytes without padding.
    unsafe { std::slice::from_raw_parts((&raw const names).cast::<u8>(), size_of::<libc::utsname>()).to_vec() }
}

pub(crate) fn set_umask(mask: u32) {
    // SAFETY: cannot fail.
    unsafe { libc::umask(mask) };
}

pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: no arguments.
    check(c_long::from(unsafe { libc::setsid() })).map(drop)
}

/// Lowers both the soft and the hard limit; a hard limit that is lower already stays.
pub(crate) fn limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours.
    check(c_long::from(unsafe { libc::getrlimit(resource, &raw mut old) }))?;
    let value = value.min(old.rlim_max);
    let new = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the structure is ours.
    check(c_long::from(unsafe { libc::setrlimit(resource, &raw const new) })).map(drop)
}

/// Gives every signal its default action and unblocks all: the standard library ignores SIGPIPE, which programs would inherit.
pub(crate) fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is always valid; the two that cannot be changed answer EINVAL.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an empty set is made and used.
    unsafe {
        let mut none: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Blocks every signal that can be blocked.
pub(crate) fn block_signals() {
    // SAFETY: a full set is made and used.
    unsafe {
        let mut all: libc::sigset_t = zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// Makes the kernel reap children by itself.
pub(crate) fn ignore_children() {
    // SAFETY: SIG_IGN for SIGCHLD is defined by POSIX.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

extern "C" fn on_signal(signal: c_int) {
    if signal == libc::SIGTERM {
        TERMINATED.store(true, Ordering::Relaxed);
    } else {
        TICKED.store(true, Ordering::Relaxed);
    }
}

/// Whether SIGALRM came since the last question.
pub(crate) fn ticked() -> bool {
    TICKED.load(Ordering::Relaxed) && TICKED.swap(false, Ordering::Relaxed)
}

/// Whether SIGTERM came.
pub(crate) fn terminated() -> bool {
    TERMINATED.load(Ordering::Relaxed)
}

/// Catches SIGTERM and SIGALRM so that they interrupt blocking calls (no restart).
pub(crate) fn catch_signals() -> io::Result<()> {
    for signal in [libc::SIGTERM, libc::SIGALRM] {
        // SAFETY: the handler only stores to an atomic.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            check(c_long::from(libc::sigaction(signal, &raw const action, std::ptr::null_mut())))?;
        }
    }
    Ok(())
}

/// Sends SIGALRM here every `interval_ms`; 0 stops it.
pub(crate) fn tick_every(interval_ms: u64) -> io::Result<()> {
    let interval = libc::timeval {
        tv_sec: (interval_ms / 1000) as libc::time_t,
        tv_usec: ((interval_ms % 1000) * 1000) as libc::suseconds_t,
    };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: the structure is ours.
    check(unsafe { libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &raw const timer, 0) }).map(drop)
}

pub(crate) fn kill(pid: pid_t, signal: c_int) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(c_long::from(unsafe { libc::kill(pid, signal) })).map(drop)
}

/// Whether this process has children at all.
pub(crate) fn has_children() -> bool {
    // SAFETY: the structure is ours; nothing is reaped.
    let result = unsafe {
        let mut info: libc::siginfo_t = zeroed();
        libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL)
    };
    result == 0
}

/// Waits for one child; returns its raw status.
pub(crate) fn wait_child(pid: pid_t) -> io::Result<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: the status is ours.
        match check(c_long::from(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) })) {
            Ok(_) => return Ok(status),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The CPUs that this process may use.
pub(crate) fn cpus() -> io::Result<Vec<usize>> {
    // SAFETY: a cpu_set_t is plain data; CPU_ISSET reads within it.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        check(c_long::from(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set)))?;
        Ok((0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect())
    }
}

pub(crate) fn use_cpus(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: a cpu_set_t is plain data; the numbers came from `cpus`.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        cpus.iter().for_each(|&cpu| libc::CPU_SET(cpu, &mut set));
        check(c_long::from(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set))).map(drop)
    }
}

/// Moves this process, which must have one thread, to new namespaces.
pub(crate) fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: takes no memory.
    check(c_long::from(unsafe { libc::unshare(flags) })).map(drop)
}

/// Moves this process, which must have one thread, to the namespace that `namespace` names.
pub(crate) fn enter_namespace(namespace: BorrowedFd<'_>, kind: c_int) -> io::Result<()> {
    // SAFETY: takes no memory; the descriptor is open while it is borrowed.
    check(c_long::from(unsafe { libc::setns(namespace.as_raw_fd(), kind) })).map(drop)
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: ifreq is plain data; the socket is closed by its owner.
    unsafe {
        let fd = check(c_long::from(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)))?;
        let socket = OwnedFd::from_raw_fd(fd as c_int);
        let mut request: libc::ifreq = zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        check(c_long::from(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request))).map(drop)
    }
}

/// Installs a seccomp filter on this thread; `no_new_privs` must be set.
pub(crate) fn install_filter(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) }).map(drop)
}

/// The kernel's Landlock ABI.
pub(crate) fn landlock_abi() -> Option<u32> {
    const VERSION: u32 = 1;
    // SAFETY: with the version flag the kernel reads no memory.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, VERSION) };
    u32::try_from(result).ok().filter(|&abi| abi > 0)
}

/// Opens `path` below `directory` so that no link, `..` or mount leads out of it.
pub(crate) fn open_beneath(directory: BorrowedFd<'_>, path: &Path, flags: c_int) -> io::Result<OwnedFd> {
    let resolve =
        libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_XDEV;
    open_resolved(directory, path, flags, resolve)
}

/// Opens `path` as a process whose root is `root` would.
pub(crate) fn open_in_root(root: BorrowedFd<'_>, path: &Path, flags: c_int) -> io::Result<OwnedFd> {
    open_resolved(root, path, flags, libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS)
}

fn open_resolved(directory: BorrowedFd<'_>, path: &Path, flags: c_int, resolve: u64) -> io::Result<OwnedFd> {
    // SAFETY: open_how is plain data.
    let mut how: libc::open_how = unsafe { zeroed() };
    how.flags = (flags | libc::O_CLOEXEC) as u64;
    how.resolve = resolve;
    let path = c_path(path)?;
    // SAFETY: the path ends with zero; the size is the structure's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            directory.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    // SAFETY: the kernel gave this descriptor to us alone.
    check(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// Free bytes of the file system that `fd` is on.
pub(crate) fn free_bytes(fd: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: the structure is ours.
    unsafe {
        let mut about: libc::statvfs = zeroed();
        check(c_long::from(libc::fstatvfs(fd.as_raw_fd(), &raw mut about)))?;
        Ok(about.f_bavail * about.f_frsize)
    }
}

/// Sets the modification and access time of a path, not following a link.
pub(crate) fn set_times(path: &Path, unix_s: i64) -> io::Result<()> {
    let time = libc::timespec { tv_sec: unix_s, tv_nsec: 0 };
    let path = c_path(path)?;
    let times = [time, time];
    // SAFETY: two timespecs, and a path that ends with zero.
    let result = unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) };
    check(c_long::from(result)).map(drop)
}

/// Sends one byte with a descriptor.
pub(crate) fn send_descriptor(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let byte = [b'd'];
    let mut control = [0_u64; 4];
    // SAFETY: the message points at living memory with true lengths; the control buffer is aligned and large enough for one descriptor.
    unsafe {
        let mut piece = libc::iovec { iov_base: byte.as_ptr() as *mut c_void, iov_len: 1 };
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<c_int>() as u32) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<c_int>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(descriptor.as_raw_fd());
        check(libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) as c_long).map(drop)
    }
}

/// Receives what [`send_descriptor`] sent.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut byte = [0_u8];
    let mut control = [0_u64; 4];
    // SAFETY: as in `send_descriptor`; a descriptor that came belongs to us.
    unsafe {
        let mut piece = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        check(libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) as c_long)?;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(io::Error::from_raw_os_error(libc::EBADMSG));
        }
        Ok(OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<c_int>().read_unaligned()))
    }
}

/// Which of these descriptors can be read (or have ended); waits at most `timeout_ms` (-1: for ever).
pub(crate) fn poll_readable(descriptors: &[Option<BorrowedFd<'_>>], timeout_ms: c_int) -> io::Result<Vec<bool>> {
    let mut list: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|one| libc::pollfd { fd: one.map_or(-1, |fd| fd.as_raw_fd()), events: libc::POLLIN, revents: 0 })
        .collect();
    loop {
        // SAFETY: pointer and length belong together.
        let result = unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, timeout_ms) };
        match check(c_long::from(result)) {
            Ok(_) => return Ok(list.iter().map(|one| one.revents != 0).collect()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Copies a descriptor to a number of at least 3, closed by `execve`, and owns the copy.
pub(crate) fn duplicate(descriptor: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the copy is ours.
    unsafe {
        let fd = check(c_long::from(libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3)))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Closes every descriptor from 3 on but this one.
pub(crate) fn keep_only(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    let number = descriptor.as_raw_fd() as u32;
    for (first, last) in [(3, number - 1), (number + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: this runs in a forked copy that never drops what it inherited.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
        }
    }
    Ok(descriptor)
}

/// Reads where the link that `link` was opened as (with `O_PATH`) points.
pub(crate) fn read_link(link: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut target = vec![0_u8; libc::PATH_MAX as usize];
    // SAFETY: pointer and length belong together.
    let result = unsafe { libc::readlinkat(link.as_raw_fd(), c"".as_ptr(), target.as_mut_ptr().cast(), target.len()) };
    let length = check(result as c_long)? as usize;
    target.truncate(length);
    Ok(target)
}
