//! The system calls that are watched or refused, as one table that filter and tracer share.
//!
//! Reference: Linux 6.18 `arch/x86/entry/syscalls/syscall_64.tbl`. The kernel's filter stops at a call of this table; the tracer then
//! decides again from number and arguments, for a program may add a filter of its own whose stops look alike.
//! Absent on purpose: calls that only look (`stat`, `access`, `readlink`): they cost more than they tell.

use crate::outcome::AccessKind;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the sandbox knows the system calls of x86-64 only");

mod tiers;

#[cfg(test)]
mod tests;

pub(super) use tiers::{Knobs, Sleep, Told, WALL_CLOCKS};

/// The first number that this table knows nothing about: newer calls are answered `ENOSYS`, so none can open a file unseen.
pub(super) const UNKNOWN_FROM: i64 = 470;
/// Numbers from here on are the x32 calls.
pub(super) const X32: u32 = 0x4000_0000;

const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const OPEN_TREE_ATTR: i64 = 467;
const FILE_SETATTR: i64 = 469;
const QUOTACTL_FD: i64 = 443;
const MEMFD_SECRET: i64 = 447;
const PROCESS_MRELEASE: i64 = 448;
const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;

/// `CLONE_*` flags that make namespaces, or hide the child from its tracer.
pub(super) const CLONE_DENIED: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_UNTRACED) as u32;
/// `unshare` may part threads' file tables; anything else is a namespace.
const UNSHARE_DENIED: u32 = !((libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SYSVSEM) as u32);
const TIOCLINUX: u32 = 0x541c;
const NEW_LISTENER: u32 = 1 << 3;
const PERSONALITY_QUERY: u32 = u32::MAX;

/// One watched or refused call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) number: i64,
    pub(super) name: &'static str,
    pub(super) when: When,
    pub(super) then: Then,
}

/// For which arguments a rule holds; only their low 32 bits count unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// Any of these bits is set in the argument.
    Bits(usize, u32),
    /// The first argument is one of these, and the whole second one is not zero.
    IsWith(usize, &'static [u32], usize),
    /// The argument is one of these.
    Is(usize, &'static [u32]),
    /// The argument is none of these.
    IsNot(usize, &'static [u32]),
    /// The whole 64-bit argument is not zero.
    NonZero(usize),
}

impl When {
    pub(super) fn holds(self, arguments: &[u64; 6]) -> bool {
        let low = |index: usize| arguments[index] as u32;
        match self {
            Self::Always => true,
            Self::Bits(index, bits) => low(index) & bits != 0,
            Self::Is(index, values) => values.contains(&low(index)),
            Self::IsNot(index, values) => !values.contains(&low(index)),
            Self::NonZero(index) => arguments[index] != 0,
            Self::IsWith(index, values, other) => values.contains(&low(index)) && arguments[other] != 0,
        }
    }
}

/// What the tracer does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// An open; where its directory (if any), path and flags stand.
    Open { directory: Option<usize>, path: usize, flags: Flags },
    /// A program start; its success shows as an event of its own.
    Execute { directory: Option<usize>, path: usize },
    /// A change of one path; `follow` if a link at its end is followed.
    Change { place: Place, kind: AccessKind, follow: bool },
    /// A change of two paths.
    Move { from: Place, from_kind: AccessKind, to: Place, to_kind: AccessKind },
    /// An address in an argument, or in messages.
    Network(Address),
    /// Answered `EPERM` and recorded.
    Deny,
    /// Answered `ENOSYS` by the kernel's filter: programs fall back.
    Absent,
    /// `sched_getaffinity`, answered by the tracer when the CPU count is not the machine's.
    Affinity,
    /// `uname`, answered by the tracer when no namespace of our own holds the host name.
    HostName,
    /// Answered by the tracer, for a tier or for seeded randomness.
    Tell(Told),
    /// A `getrandom` that the kernel answers: recorded.
    Draw,
    /// A look at a file; the argument that points to the `struct stat`, or, if `extended`, to the `struct statx`.
    Look { buffer: usize, extended: bool },
    /// A sleep or a wait, on which the logical clock moves.
    Sleep(Sleep),
    /// Times of a file set; its directory and path.
    Touch(Place),
    /// Perhaps a mark of a script; where its path stands.
    Mark { path: usize },
    /// A change of an open file's attributes, which Landlock knows nothing of: refused outside the scratch directory. The descriptor.
    Keep(usize),
}

/// Where a path stands: directory argument (`None`: the working directory) and path argument.
pub(super) type Place = (Option<usize>, usize);

/// Where the flags of an open stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flags {
    Argument(usize),
    /// In a `struct open_how` that the argument points to.
    How(usize),
    Fixed(i32),
}

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Pointer and length.
    Arguments(usize, usize),
    /// A `struct msghdr`.
    Message(usize),
    /// An array of `struct mmsghdr` and its length.
    Messages(usize, usize),
}

/// The families of sockets that a network namespace of our own confines.
const FAMILIES: &[u32] = &[libc::AF_UNIX as u32, libc::AF_INET as u32, libc::AF_INET6 as u32, libc::AF_NETLINK as u32];
const UNIX: &[u32] = &[libc::AF_UNIX as u32];

/// What differs between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Whether network and IPC namespaces of our own hold; without them no socket, and nothing of System V or of message
    /// queues, is allowed.
    pub(super) own_network: bool,
    /// Whether the tracer answers `sched_getaffinity`.
    pub(super) affinity: bool,
    /// Whether the tracer answers `uname`.
    pub(super) host_name: bool,
}

/// Returns the whole table. At most one rule has a number.
pub(super) fn rules(settings: Settings, knobs: Knobs) -> Vec<Rule> {
    let tiers = tiers::rules(knobs);
    let is_replaced = |rule: &Rule| tiers.iter().any(|tier| tier.number == rule.number);
    let mut rules = every_tier(settings);
    rules.retain(|rule| !is_replaced(rule));
    rules.extend(tiers);
    rules
}

fn every_tier(settings: Settings) -> Vec<Rule> {
    let mut rules = files();
    rules.extend(changes(settings));
    rules.extend(network(settings));
    rules.extend(conditional());
    rules.extend(DENIED.iter().map(|&(number, name)| Rule { number, name, when: When::Always, then: Then::Deny }));
    rules.push(rule(libc::SYS_clone3, "clone3", Then::Absent));
    if settings.host_name {
        rules.push(rule(libc::SYS_uname, "uname", Then::HostName));
    }
    if settings.affinity {
        rules.push(rule(libc::SYS_sched_getaffinity, "sched_getaffinity", Then::Affinity));
    }
    rules
}

fn rule(number: i64, name: &'static str, then: Then) -> Rule {
    Rule { number, name, when: When::Always, then }
}

fn files() -> Vec<Rule> {
    use Flags::{Argument, Fixed, How};
    let create = Fixed(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC);
    let open = |directory, path, flags| Then::Open { directory, path, flags };
    vec![
        rule(libc::SYS_openat, "openat", open(Some(0), 1, Argument(2))),
        rule(libc::SYS_open, "open", open(None, 0, Argument(1))),
        rule(libc::SYS_openat2, "openat2", open(Some(0), 1, How(2))),
        rule(libc::SYS_creat, "creat", open(None, 0, create)),
        rule(libc::SYS_execve, "execve", Then::Execute { directory: None, path: 0 }),
        rule(libc::SYS_execveat, "execveat", Then::Execute { directory: Some(0), path: 1 }),
    ]
}

fn changes(settings: Settings) -> Vec<Rule> {
    use AccessKind::{Attributes, Create, Read, Remove, RenameFrom, RenameTo, Write};
    let one = |number, name, place, kind| rule(number, name, Then::Change { place, kind, follow: false });
    let follow = |number, name, place, kind| rule(number, name, Then::Change { place, kind, follow: true });
    let renamed = |from, to| Then::Move { from, from_kind: RenameFrom, to, to_kind: RenameTo };
    let linked = |from, to| Then::Move { from, from_kind: Read, to, to_kind: Create };
    let mut rules = vec![
        rule(libc::SYS_rename, "rename", renamed((None, 0), (None, 1))),
        rule(libc::SYS_renameat, "renameat", renamed((Some(0), 1), (Some(2), 3))),
        rule(libc::SYS_renameat2, "renameat2", renamed((Some(0), 1), (Some(2), 3))),
        rule(libc::SYS_link, "link", linked((None, 0), (None, 1))),
        rule(libc::SYS_linkat, "linkat", linked((Some(0), 1), (Some(2), 3))),
        one(libc::SYS_symlink, "symlink", (None, 1), Create),
        one(libc::SYS_symlinkat, "symlinkat", (Some(1), 2), Create),
        one(libc::SYS_mkdir, "mkdir", (None, 0), Create),
        one(libc::SYS_mkdirat, "mkdirat", (Some(0), 1), Create),
        one(libc::SYS_mknod, "mknod", (None, 0), Create),
        one(libc::SYS_mknodat, "mknodat", (Some(0), 1), Create),
        one(libc::SYS_unlink, "unlink", (None, 0), Remove),
        one(libc::SYS_unlinkat, "unlinkat", (Some(0), 1), Remove),
        one(libc::SYS_rmdir, "rmdir", (None, 0), Remove),
        follow(libc::SYS_truncate, "truncate", (None, 0), Write),
        follow(libc::SYS_chmod, "chmod", (None, 0), Attributes),
        follow(libc::SYS_fchmodat, "fchmodat", (Some(0), 1), Attributes),
        one(FCHMODAT2, "fchmodat2", (Some(0), 1), Attributes),
        follow(libc::SYS_chown, "chown", (None, 0), Attributes),
        one(libc::SYS_lchown, "lchown", (None, 0), Attributes),
        one(libc::SYS_fchownat, "fchownat", (Some(0), 1), Attributes),
        follow(libc::SYS_utime, "utime", (None, 0), Attributes),
        follow(libc::SYS_utimes, "utimes", (None, 0), Attributes),
        follow(libc::SYS_setxattr, "setxattr", (None, 0), Attributes),
        one(libc::SYS_lsetxattr, "lsetxattr", (None, 0), Attributes),
        follow(libc::SYS_removexattr, "removexattr", (None, 0), Attributes),
        one(libc::SYS_lremovexattr, "lremovexattr", (None, 0), Attributes),
        one(SETXATTRAT, "setxattrat", (Some(0), 1), Attributes),
        one(REMOVEXATTRAT, "removexattrat", (Some(0), 1), Attributes),
        one(FILE_SETATTR, "file_setattr", (Some(0), 1), Attributes),
    ];
    // Without a path these change an open file, which was recorded when it was opened.
    for (number, name) in [(libc::SYS_utimensat, "utimensat"), (libc::SYS_futimesat, "futimesat")] {
        let then = Then::Change { place: (Some(0), 1), kind: Attributes, follow: false };
        let when = if settings.own_network { When::NonZero(1) } else { When::Always };
        rules.push(Rule { number, name, when, then });
    }
    rules
}

fn network(settings: Settings) -> Vec<Rule> {
    let addressed = |address| Then::Network(address);
    let families = if settings.own_network { When::IsNot(0, FAMILIES) } else { When::Always };
    let mut rules = vec![
        Rule { number: libc::SYS_socket, name: "socket", when: families, then: Then::Deny },
        Rule { number: libc::SYS_socketpair, name: "socketpair", when: When::IsNot(0, UNIX), then: Then::Deny },
        rule(libc::SYS_connect, "connect", addressed(Address::Arguments(1, 2))),
        Rule {
            number: libc::SYS_sendto,
            name: "sendto",
            when: When::NonZero(4),
            then: addressed(Address::Arguments(4, 5)),
        },
        rule(libc::SYS_sendmsg, "sendmsg", addressed(Address::Message(1))),
        rule(libc::SYS_sendmmsg, "sendmmsg", addressed(Address::Messages(1, 2))),
    ];
    if !settings.own_network {
        rules.extend(KEPT.iter().map(|&(number, name)| rule(number, name, Then::Keep(0))));
        rules.extend(IPC.iter().map(|&(number, name)| rule(number, name, Then::Deny)));
    }
    rules
}

/// Without a file system of our own, these reach the host's files by a descriptor that only reads. `landlock(7)` lists them among what it
/// cannot restrict: `chmod`, `chown`, `setxattr`, `utime`, `ioctl`, `flock`.
const KEPT: &[(i64, &str)] = &[
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_fchown, "fchown"),
    (libc::SYS_fsetxattr, "fsetxattr"),
    (libc::SYS_fremovexattr, "fremovexattr"),
];

/// What an IPC namespace of our own would confine (`ipc_namespaces(7)`): it is reached without a path, and outlives its maker.
const IPC: &[(i64, &str)] = &[
    (libc::SYS_shmget, "shmget"),
    (libc::SYS_semget, "semget"),
    (libc::SYS_msgget, "msgget"),
    (libc::SYS_mq_open, "mq_open"),
];

fn conditional() -> Vec<Rule> {
    let deny = |number, name, when| Rule { number, name, when, then: Then::Deny };
    vec![
        deny(libc::SYS_clone, "clone", When::Bits(0, CLONE_DENIED)),
        deny(libc::SYS_unshare, "unshare", When::Bits(0, UNSHARE_DENIED)),
        deny(libc::SYS_ioctl, "ioctl", When::Is(1, &[libc::TIOCSTI as u32, TIOCLINUX])),
        deny(libc::SYS_personality, "personality", When::IsNot(0, &[PERSONALITY_QUERY])),
        // A listener could answer "continue" to a call that this filter would have stopped.
        deny(libc::SYS_seccomp, "seccomp", When::Bits(1, NEW_LISTENER)),
        // Its files in /proc would be closed to the tracer.
        deny(libc::SYS_prctl, "prctl", When::Is(0, &[libc::PR_SET_DUMPABLE as u32])),
    ]
}

/// Refused whatever the arguments: other processes' memory, kernel keys and modules, mounts and namespaces, clocks, and the ways
/// to open files that no tracer sees.
const DENIED: &[(i64, &str)] = &[
    (libc::SYS_ptrace, "ptrace"),
    (libc::SYS_process_vm_readv, "process_vm_readv"),
    (libc::SYS_process_vm_writev, "process_vm_writev"),
    (libc::SYS_process_madvise, "process_madvise"),
    (PROCESS_MRELEASE, "process_mrelease"),
    (libc::SYS_pidfd_getfd, "pidfd_getfd"),
    (libc::SYS_kcmp, "kcmp"),
    (libc::SYS_add_key, "add_key"),
    (libc::SYS_request_key, "request_key"),
    (libc::SYS_keyctl, "keyctl"),
    (libc::SYS_bpf, "bpf"),
    (libc::SYS_userfaultfd, "userfaultfd"),
    (libc::SYS_perf_event_open, "perf_event_open"),
    (libc::SYS_io_uring_setup, "io_uring_setup"),
    (libc::SYS_io_uring_enter, "io_uring_enter"),
    (libc::SYS_io_uring_register, "io_uring_register"),
    (libc::SYS_open_by_handle_at, "open_by_handle_at"),
    (libc::SYS_name_to_handle_at, "name_to_handle_at"),
    // `memfd_secret(2)`: memory that no tracer can read, so an address in it would go unseen.
    (MEMFD_SECRET, "memfd_secret"),
    (libc::SYS_fanotify_init, "fanotify_init"),
    (libc::SYS_fanotify_mark, "fanotify_mark"),
    (libc::SYS_mount, "mount"),
    (libc::SYS_umount2, "umount2"),
    (libc::SYS_pivot_root, "pivot_root"),
    (libc::SYS_chroot, "chroot"),
    (libc::SYS_fsopen, "fsopen"),
    (libc::SYS_fsconfig, "fsconfig"),
    (libc::SYS_fsmount, "fsmount"),
    (libc::SYS_fspick, "fspick"),
    (libc::SYS_open_tree, "open_tree"),
    (OPEN_TREE_ATTR, "open_tree_attr"),
    (libc::SYS_move_mount, "move_mount"),
    (libc::SYS_mount_setattr, "mount_setattr"),
    (STATMOUNT, "statmount"),
    (LISTMOUNT, "listmount"),
    (libc::SYS_setns, "setns"),
    (libc::SYS_sethostname, "sethostname"),
    (libc::SYS_setdomainname, "setdomainname"),
    (libc::SYS_init_module, "init_module"),
    (libc::SYS_finit_module, "finit_module"),
    (libc::SYS_delete_module, "delete_module"),
    (libc::SYS_kexec_load, "kexec_load"),
    (libc::SYS_kexec_file_load, "kexec_file_load"),
    (libc::SYS_reboot, "reboot"),
    (libc::SYS_swapon, "swapon"),
    (libc::SYS_swapoff, "swapoff"),
    (libc::SYS_quotactl, "quotactl"),
    (QUOTACTL_FD, "quotactl_fd"),
    (libc::SYS_acct, "acct"),
    (libc::SYS_syslog, "syslog"),
    (libc::SYS_lookup_dcookie, "lookup_dcookie"),
    (libc::SYS_uselib, "uselib"),
    (libc::SYS_nfsservctl, "nfsservctl"),
    (libc::SYS_vhangup, "vhangup"),
    (libc::SYS_modify_ldt, "modify_ldt"),
    (libc::SYS_iopl, "iopl"),
    (libc::SYS_ioperm, "ioperm"),
    (libc::SYS_clock_settime, "clock_settime"),
    (libc::SYS_settimeofday, "settimeofday"),
    (libc::SYS_adjtimex, "adjtimex"),
    (libc::SYS_clock_adjtime, "clock_adjtime"),
];

/// Returns the words for a refused call: its name, with what makes it refused.
pub(super) fn describe(rule: &Rule, arguments: &[u64; 6]) -> String {
    let first = arguments[0] as u32;
    match rule.number {
        libc::SYS_clone | libc::SYS_unshare => format!("{}({})", rule.name, clone_flags(first)),
        libc::SYS_socket | libc::SYS_socketpair => format!("{}({})", rule.name, family(first)),
        libc::SYS_ioctl if arguments[1] as u32 == TIOCLINUX => "ioctl(TIOCLINUX)".to_owned(),
        libc::SYS_ioctl => "ioctl(TIOCSTI)".to_owned(),
        libc::SYS_seccomp => "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)".to_owned(),
        libc::SYS_prctl => "prctl(PR_SET_DUMPABLE)".to_owned(),
        _ => rule.name.to_owned(),
    }
}

fn clone_flags(flags: u32) -> String {
    const NAMES: [(libc::c_int, &str); 8] = [
        (libc::CLONE_NEWNS, "CLONE_NEWNS"),
        (libc::CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
        (libc::CLONE_NEWUTS, "CLONE_NEWUTS"),
        (libc::CLONE_NEWIPC, "CLONE_NEWIPC"),
        (libc::CLONE_NEWUSER, "CLONE_NEWUSER"),
        (libc::CLONE_NEWPID, "CLONE_NEWPID"),
        (libc::CLONE_NEWNET, "CLONE_NEWNET"),
        (libc::CLONE_UNTRACED, "CLONE_UNTRACED"),
    ];
    let set: Vec<&str> = NAMES.iter().filter(|(bit, _)| flags & *bit as u32 != 0).map(|&(_, name)| name).collect();
    if set.is_empty() { format!("{flags:#x}") } else { set.join("|") }
}

/// Returns the name of a socket family.
pub(super) fn family(number: u32) -> String {
    const NAMES: [(libc::c_int, &str); 10] = [
        (libc::AF_UNIX, "AF_UNIX"),
        (libc::AF_INET, "AF_INET"),
        (libc::AF_INET6, "AF_INET6"),
        (libc::AF_NETLINK, "AF_NETLINK"),
        (libc::AF_PACKET, "AF_PACKET"),
        (libc::AF_VSOCK, "AF_VSOCK"),
        (libc::AF_ALG, "AF_ALG"),
        (libc::AF_BLUETOOTH, "AF_BLUETOOTH"),
        (libc::AF_CAN, "AF_CAN"),
        (libc::AF_XDP, "AF_XDP"),
    ];
    let known = NAMES.iter().find(|&&(family, _)| family as u32 == number);
    known.map_or_else(|| format!("family {number}"), |&(_, name)| name.to_owned())
}
