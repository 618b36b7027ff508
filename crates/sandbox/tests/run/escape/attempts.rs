//! The table: what is tried, and what becomes of it at `full`, `no-proc` and `trace-only`.

use sandbox::outcome::AccessKind::{self, Attributes, Missing, Read, Refused as Barred, Remove, Write};
use sandbox::plan::Level;

/// One attempt.
pub(super) struct Attempt {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    /// Words for the page.
    pub(super) what: String,
    pub(super) argv: Vec<String>,
    pub(super) at: [State; 3],
    pub(super) is_alone: bool,
    pub(super) is_static: bool,
}

/// What becomes of an attempt. The first field is the word that it says.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// `EPERM` by the sandbox, and told in the evidence in these words.
    Denied(&'static str),
    /// Refused by the kernel; there is nothing to tell.
    Refused(&'static str),
    /// The kernel refuses, and the evidence tells who tried it where.
    Failed(&'static str, AccessKind, &'static str),
    /// Its process is killed.
    Killed(&'static str),
    /// Allowed, and in the evidence.
    Told(&'static str, AccessKind, &'static str),
    /// An address that it tried is in the evidence.
    Reached(&'static str, &'static str),
    /// The program that ran is in the evidence.
    Program(&'static str, &'static str),
    /// A race: how often it got which of two is exactly what the evidence says.
    Counted(AccessKind, [&'static str; 2]),
    /// The program that ran is in the evidence, or that something is missing.
    ProgramOrLost(&'static str, &'static str),
    /// A race for a changed path: how often is told, or a loss; by which of two names may be told wrong.
    SumOrLost(AccessKind, [&'static str; 2]),
    /// The evidence says that it is not whole, which fails a build.
    Lost(&'static str),
    /// So many processes outlived the step, were killed, and are told.
    Ended(u64),
    /// Allowed: it changes nothing but what ends with the step.
    Own(&'static str, &'static str),
    /// Not closed at this level.
    Open(&'static str, &'static str),
}

use State::{
    Counted, Denied, Ended, Failed, Killed, Lost, Open, Own, Program, ProgramOrLost, Reached, Refused, SumOrLost, Told,
};

/// Calls that are refused whatever their arguments.
const CALLS: &[(i64, &str)] = &[
    (libc::SYS_ptrace, "ptrace"),
    (libc::SYS_process_vm_readv, "process_vm_readv"),
    (libc::SYS_process_vm_writev, "process_vm_writev"),
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
    (467, "open_tree_attr"),
    (libc::SYS_move_mount, "move_mount"),
    (libc::SYS_mount_setattr, "mount_setattr"),
    (457, "statmount"),
    (458, "listmount"),
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
    (443, "quotactl_fd"),
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
    (447, "memfd_secret"),
    (libc::SYS_process_madvise, "process_madvise"),
    (448, "process_mrelease"),
    (libc::SYS_name_to_handle_at, "name_to_handle_at"),
];

struct Table(Vec<Attempt>, &'static str);

impl Table {
    fn add(&mut self, name: &'static str, what: &str, argv: &[&str], at: [State; 3]) -> &mut Attempt {
        let argv = argv.iter().map(|one| (*one).to_owned()).collect();
        let (is_alone, is_static) = (false, false);
        self.0.push(Attempt { group: self.1, name, what: what.to_owned(), argv, at, is_alone, is_static });
        self.0.last_mut().expect("just added")
    }

    fn same(&mut self, name: &'static str, what: &str, argv: &[&str], state: State) -> &mut Attempt {
        self.add(name, what, argv, [state; 3])
    }
}

/// Returns the whole table.
pub(super) fn all() -> Vec<Attempt> {
    let mut table = Table(Vec::new(), "");
    calls(&mut table);
    entries(&mut table);
    powers(&mut table);
    programs(&mut table);
    neighbours(&mut table);
    pinned(&mut table);
    attributes(&mut table);
    names(&mut table);
    host_files(&mut table);
    network(&mut table);
    shared(&mut table);
    table.0
}

fn calls(table: &mut Table) {
    table.1 = "system calls";
    for &(number, name) in CALLS {
        let what = format!("`{name}`");
        table.same(name, &what, &["call", &number.to_string()], Denied(name));
    }
    let mut conditional = |name, what: &str, argv: &[&str], told| {
        table.same(name, what, argv, Denied(told));
    };
    let number = |number: i64| number.to_string();
    conditional("io-uring-open", "`io_uring_setup`, to open files by it", &["io-uring"], "io_uring_setup");
    conditional("personality", "`personality`", &["call", &number(libc::SYS_personality), "0x40000"], "personality");
    conditional(
        "unshare-user",
        "`unshare` of users",
        &["call", &number(libc::SYS_unshare), "0x10000000"],
        "unshare(CLONE_NEWUSER)",
    );
    conditional(
        "unshare-mounts",
        "`unshare` of mounts",
        &["call", &number(libc::SYS_unshare), "0x20000"],
        "unshare(CLONE_NEWNS)",
    );
    conditional("unshare-time", "`unshare` of clocks", &["call", &number(libc::SYS_unshare), "0x80"], "unshare(0x80)");
    for (name, flags, told) in [
        ("clone-user", "0x10000000", "clone(CLONE_NEWUSER)"),
        ("clone-mounts", "0x20000", "clone(CLONE_NEWNS)"),
        ("clone-processes", "0x20000000", "clone(CLONE_NEWPID)"),
        ("clone-network", "0x40000000", "clone(CLONE_NEWNET)"),
        ("clone-ipc", "0x8000000", "clone(CLONE_NEWIPC)"),
        ("clone-uts", "0x4000000", "clone(CLONE_NEWUTS)"),
        ("clone-cgroup", "0x2000000", "clone(CLONE_NEWCGROUP)"),
        ("clone-untraced", "0x800000", "clone(CLONE_UNTRACED)"),
    ] {
        conditional(name, &format!("`{told}`"), &["clone", flags], told);
    }
    conditional(
        "listener",
        "a seccomp listener of its own, to answer for the kernel",
        &["listener"],
        "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)",
    );
    conditional("tiocsti", "typing into a terminal (`TIOCSTI`)", &["terminal", "0x5412"], "ioctl(TIOCSTI)");
    conditional("tioclinux", "typing into a console (`TIOCLINUX`)", &["terminal", "0x541c"], "ioctl(TIOCLINUX)");
    conditional(
        "not-dumpable",
        "hiding from its tracer (`PR_SET_DUMPABLE`)",
        &["call", &number(libc::SYS_prctl), "4", "0"],
        "prctl(PR_SET_DUMPABLE)",
    );
    conditional("filter-traces", "a filter of its own that claims the sandbox's stop", &["filter-traces"], "mount");
    table.same(
        "clone3",
        "`clone3`, whose flags no filter sees",
        &["call", &number(libc::SYS_clone3), "zeros", "88"],
        Refused("ENOSYS"),
    );
    for (name, call) in [("call-470", 470), ("call-480", 480), ("call-600", 600)] {
        let what = format!("system call {call}, newer than the sandbox");
        table.same(name, &what, &["call", &call.to_string()], Refused("ENOSYS"));
    }
    table.same("filter-answers", "a filter of its own that answers an open", &["filter-answers"], Refused("ENOTTY"));
    table.same(
        "own-landlock",
        "a Landlock fence of its own",
        &["own-landlock"],
        Own("ok", "a process may give up more"),
    );
    let still =
        table.same("static-mount", "`mount` by a static program", &["call", &number(libc::SYS_mount)], Denied("mount"));
    still.is_static = true;
}

fn entries(table: &mut Table) {
    table.1 = "other entries into the kernel";
    table.same("int-80", "the 32-bit entry `int 0x80`", &["int-80"], Killed("SIGSYS"));
    table.same("segment-32", "a jump into 32-bit code, and the entry there", &["segment-32"], Killed("SIGSYS"));
    table.same("x32", "the x32 calls", &["x32"], Killed("SIGSYS"));
    table.same("vsyscall", "the vsyscall page", &["vsyscall"], Own("ok", "the time, which tier T0 does not hide"));
}

fn powers(table: &mut Table) {
    table.1 = "powers of a process";
    table.add(
        "become-root",
        "another user (`setuid`)",
        &["become-root"],
        [Refused("EINVAL"), Refused("EINVAL"), Refused("EPERM")],
    );
    table.same(
        "set-user-id",
        "a program of the base that would run as root",
        &["set-user-id"],
        Own("no new privileges", "it runs as the builder"),
    );
    table.same("set-mm-exe", "another name for its program (`PR_SET_MM`)", &["set-mm-exe"], Refused("EPERM"));
    table.same("ptracer", "naming a tracer (`PR_SET_PTRACER`)", &["ptracer"], Own("ok", "`ptrace` stays refused"));
    table.same(
        "subreaper",
        "adopting orphans (`PR_SET_CHILD_SUBREAPER`)",
        &["subreaper"],
        Own("ok", "they are its own"),
    );
    table.same("raise-limit-files", "raising the limit of open files", &["limit", "7"], Refused("EPERM"));
    table.same("raise-limit-size", "raising the limit of a file's size", &["limit", "1"], Refused("EPERM"));
    table.same("raise-limit-core", "raising the limit of core dumps", &["limit", "4"], Refused("EPERM"));
    table.same(
        "core-limit",
        "a core dump for the host's `core_pattern` program",
        &["core-limit"],
        Own("1 1", "1 byte: the kernel starts no such program and writes no file"),
    );
    table.same("crash", "a crash", &["crash"], Killed("SIGSEGV"));
    table.same(
        "affinity",
        "other CPUs (`sched_setaffinity`)",
        &["affinity"],
        Own("ok", "speed alone; the count that programs are told stays"),
    );
    table.same("lower-nice", "going before other processes (`setpriority`)", &["lower-nice"], Refused("EACCES"));
    table.same("raise-nice", "going behind other processes (`setpriority`)", &["raise-nice"], Own("ok", "speed alone"));
    table.same("real-time", "a real-time schedule", &["real-time"], Refused("EPERM"));
}

fn programs(table: &mut Table) {
    table.1 = "programs";
    table.same("descriptors", "descriptors left open", &["descriptors"], Refused("none"));
    for name in ["birth-fork", "birth-vfork", "birth-spawn", "birth-thread", "birth-sibling"] {
        let what = format!("descriptors after `{}`", &name["birth-".len()..]);
        table.same(name, &what, &[name], Refused("none"));
    }
    table.same(
        "from-memory",
        "a program in memory (`memfd_create`, `fexecve`)",
        &["from-memory"],
        Program("child", "/memfd:copy (sha256:"),
    );
    table.same(
        "from-unlinked",
        "a program that has no name any more",
        &["from-unlinked"],
        Program("child", "/build/unlinked"),
    );
    table
        .same(
            "unreadable",
            "a program that may be run, not read",
            &["unreadable"],
            ProgramOrLost("child", "/build/unreadable"),
        )
        .is_alone = true;
    table.same("own-loader", "a loader of its own", &["own-loader"], Told("own loader", Read, "/build/loader"));
    table.same(
        "rewrite-self",
        "rewriting its own program (`/proc/self/exe`)",
        &["rewrite-self"],
        Failed("ETXTBSY|EACCES", Barred, "/proc/self/exe"),
    );
    table.add(
        "write-own-code",
        "rewriting its own code (`/proc/self/mem`)",
        &["write-own-code"],
        [Refused("EROFS"), Refused("EROFS"), Refused("EACCES")],
    );
}

fn neighbours(table: &mut Table) {
    table.1 = "other processes";
    for (file, sibling, init, outside) in [
        ("mem", "sibling-mem", "init-mem", "outside-mem"),
        ("environ", "sibling-environ", "init-environ", "outside-environ"),
        ("maps", "sibling-maps", "init-maps", "outside-maps"),
    ] {
        let what = format!("`/proc/PID/{file}` of another process of the build");
        let own = Own("ok", "the build's own; the open is told");
        let unnumbered = Own("ENOENT", "the outer `/proc` shows other numbers");
        table.add(sibling, &what, &["sibling", file], [own, unnumbered, own]);
        table.same(init, &format!("`/proc/1/{file}`"), &["process", "1", file], Refused("EACCES"));
        let what = format!("`/proc/PID/{file}` of a process outside");
        let states = [Refused("ENOENT"), Refused("EACCES"), Refused("EACCES")];
        table.add(outside, &what, &["process", "VICTIM", file], states);
    }
    table.add(
        "outside-cmdline",
        "`/proc/PID/cmdline` of a process outside",
        &["process", "VICTIM", "cmdline"],
        [Refused("ENOENT"), Told("ok", Read, "/proc/VICTIM/cmdline"), Told("ok", Read, "/proc/VICTIM/cmdline")],
    );
    table.add(
        "outside-descriptor",
        "`/proc/PID/fd/0` of a process outside",
        &["process", "VICTIM", "fd/0"],
        [Refused("ENOENT"), Refused("EACCES"), Refused("EACCES")],
    );
    table.add(
        "outside-root",
        "`/proc/PID/root` of a process outside",
        &["process", "VICTIM", "root"],
        [Refused("ENOENT"), Refused("EACCES"), Refused("EACCES")],
    );
    table.add(
        "outside-exe",
        "`/proc/PID/exe` of a process outside",
        &["process", "VICTIM", "exe"],
        [Refused("ENOENT"), Refused("EACCES"), Refused("EACCES")],
    );
    table.same("init-exe", "`/proc/1/exe`", &["process", "1", "exe"], Refused("EACCES"));
    table.add(
        "signal-outside",
        "a signal to a process outside",
        &["signal", "VICTIM", "15"],
        [Refused("ESRCH"), Refused("ESRCH"), Refused("EPERM")],
    );
    table.add(
        "signal-init",
        "a signal to process 1",
        &["signal", "1", "23"],
        [
            Own("ok", "process 1 takes none from inside"),
            Own("ok", "process 1 takes none from inside"),
            Refused("EPERM"),
        ],
    );
    table.add(
        "stop-init",
        "stopping its init",
        &["keeper", "1", "19"],
        [Own("ok", "it is let run on"), Own("ENOENT", "the outer `/proc` shows other numbers"), Refused("EPERM")],
    );
    table.add(
        "signal-supervisor",
        "a signal to the supervisor",
        &["keeper", "2", "19"],
        [Own("out of sight", "no number names it"), Own("ENOENT", "no number names it"), Refused("EPERM")],
    );
    table.same(
        "signal-all",
        "a signal to all (`kill -1`)",
        &["signal", "-1", "23"],
        Own("ok", "its own processes alone"),
    );
    table.same("stop-storm", "a storm of stops", &["stop-storm"], Own("ok", "its own processes"));
    table.same("daemon", "a daemon that outlives its step", &["daemon"], Ended(1));
}

fn pinned(table: &mut Table) {
    table.1 = "pinned inputs";
    table.add(
        "write-input",
        "writing",
        &["write-at", "TOOLS", "/input"],
        [
            Failed("EROFS", Barred, "/tools/input"),
            Failed("EROFS", Barred, "/tools/input"),
            Failed("EACCES", Barred, "/tools/input"),
        ],
    );
    table.add(
        "make-beside-input",
        "a new file beside it",
        &["write-at", "TOOLS", "/new"],
        [
            Failed("EROFS", Barred, "/tools/new"),
            Failed("EROFS", Barred, "/tools/new"),
            Failed("EACCES", Barred, "/tools/new"),
        ],
    );
    table.add(
        "map-input",
        "a writable mapping",
        &["map-input"],
        [
            Failed("EROFS", Barred, "/tools/input"),
            Failed("EROFS", Barred, "/tools/input"),
            Failed("EACCES", Barred, "/tools/input"),
        ],
    );
    table.add(
        "reopen-input",
        "opening its own read-only descriptor again for writing",
        &["reopen-input"],
        [Refused("EROFS"), Refused("EROFS"), Refused("EACCES")],
    );
    table.add(
        "link-input",
        "a hard link to it in the workspace",
        &["link-input"],
        [
            Failed("EXDEV", Barred, "/tools/escape"),
            Failed("EXDEV", Barred, "/tools/escape"),
            Failed("EXDEV|EACCES", Barred, "/tools/escape"),
        ],
    );
    table.add(
        "rename-input",
        "renaming it away",
        &["rename-input"],
        [
            Failed("EXDEV", Barred, "/tools/escape"),
            Failed("EXDEV", Barred, "/tools/escape"),
            Failed("EACCES", Barred, "/tools/escape"),
        ],
    );
    table.add(
        "rename-over",
        "renaming another over it",
        &["rename-over"],
        [
            Failed("EXDEV", Barred, "/tools/input"),
            Failed("EXDEV", Barred, "/tools/input"),
            Failed("EACCES", Barred, "/tools/input"),
        ],
    );
    table.add(
        "remove-input",
        "removing",
        &["remove-input"],
        [
            Failed("EROFS", Barred, "/tools/input"),
            Failed("EROFS", Barred, "/tools/input"),
            Failed("EACCES", Barred, "/tools/input"),
        ],
    );
    table.add(
        "times-of-input",
        "other times",
        &["times-of-input"],
        [
            Failed("EROFS", Barred, "/tools/input"),
            Failed("EROFS", Barred, "/tools/input"),
            Denied("utimensat(/tools/input)"),
        ],
    );
    table.add(
        "mode-of-input",
        "another mode",
        &["mode-of-input"],
        [
            Failed("EROFS", Barred, "/tools/input"),
            Failed("EROFS", Barred, "/tools/input"),
            Denied("chmod(/tools/input)"),
        ],
    );
    table.add(
        "input-by-descriptor",
        "another mode by a descriptor",
        &["input-by-descriptor"],
        [Refused("EROFS"), Refused("EROFS"), Denied("fchmod(/tools/input)")],
    );
    table.same("mount-over-input", "a mount over it", &["call", &libc::SYS_mount.to_string()], Denied("mount"));
    table.same(
        "lock-input",
        "a lock on it (`flock`)",
        &["lock-input"],
        Open("ok", "whoever outside locks the same file waits, until the step ends"),
    );
}

fn attributes(table: &mut Table) {
    table.1 = "attributes";
    table.same(
        "xattr-security",
        "`security.*`",
        &["attribute", "security.escape"],
        Failed("EPERM", Barred, "/build/attributed"),
    );
    table.same(
        "xattr-trusted",
        "`trusted.*`",
        &["attribute", "trusted.escape"],
        Failed("EPERM", Barred, "/build/attributed"),
    );
    table.same("xattr-user", "`user.*`", &["attribute", "user.escape"], Told("ok", Attributes, "/build/attributed"));
    table.same(
        "file-capability",
        "a program with capabilities",
        &["capability"],
        Failed("EPERM", Barred, "/build/capable"),
    );
    table.same("acl", "an access list", &["acl"], Told("ok", Attributes, "/build/listed"));
    table.same(
        "set-user-id-bit",
        "a set-user-id bit",
        &["set-user-id-bit"],
        Told("ok", Attributes, "/build/set-user-id"),
    );
    table.same("device", "a block device", &["device"], Failed("EPERM", Barred, "/build/device"));
    table.add(
        "whiteout",
        "a device 0/0",
        &["whiteout"],
        [
            Failed("EACCES", Barred, "/build/whiteout"),
            Failed("EACCES", Barred, "/build/whiteout"),
            Failed("ENXIO|EACCES", Barred, "/build/whiteout"),
        ],
    );
}

fn names(table: &mut Table) {
    table.1 = "names that lead elsewhere";
    table.same(
        "path-descriptor",
        "an `O_PATH` descriptor, opened again",
        &["path-descriptor"],
        Told("ok", Read, "/build/sub/b"),
    );
    table.same(
        "passed-descriptor",
        "a descriptor through a socket, opened again",
        &["passed-descriptor"],
        Told("ok", Read, "/build/sub/b"),
    );
    table.same("by-directory", "`/proc/self/cwd/..`", &["by-directory"], Told("ok", Read, "/build/a"));
    table.same("by-own-root", "`/proc/self/root`", &["by-own-root"], Told("ok", Read, "/build/a"));
    table.same("link-farm", "ten links to one file", &["link-farm"], Told("ok", Read, "/build/sub/b"));
    table.same("dotted", "a path full of dots", &["dotted"], Told("ok", Read, "/build/sub/b"));
    table.same(
        "race-open",
        "a path that another thread changes, opened",
        &["race-open"],
        Counted(Read, ["/build/race-a", "/build/race-b"]),
    );
    table.same(
        "race-link",
        "a link that another thread turns, opened",
        &["race-link"],
        Counted(Read, ["/build/a", "/build/sub/b"]),
    );
    let states = SumOrLost(Remove, ["/build/race-a", "/build/race-b"]);
    table.same("race-remove", "a path that another thread changes, removed", &["race-remove"], states).is_alone = true;
    table.same("deep", "a path longer than any may be", &["deep"], Lost("ok")).is_alone = true;
}

fn host_files(table: &mut Table) {
    table.1 = "files of the host";
    for (name, path) in
        [("new-at-root", "/new"), ("new-in-etc", "/etc/new"), ("new-in-usr", "/usr/new"), ("new-in-dev", "/dev/new")]
    {
        let (own, fence) = (Failed("EROFS", Barred, path), Failed("EACCES", Barred, path));
        table.add(name, &format!("writing `{path}`"), &["write", path], [own, own, fence]);
    }
    for (name, path) in [
        ("new-in-proc", "/proc/new"),
        ("sysrq", "/proc/sysrq-trigger"),
        ("host-name", "/proc/sys/kernel/hostname"),
        ("core-pattern", "/proc/sys/kernel/core_pattern"),
        ("own-oom-score", "/proc/self/oom_score_adj"),
    ] {
        // What a kernel does not have is `ENOENT`.
        let (own, fence) = (Refused("EROFS|ENOENT"), Refused("EACCES|ENOENT"));
        table.add(name, &format!("writing `{path}`"), &["write", path], [own, own, fence]);
    }
    table.add(
        "cgroup",
        "writing a control group",
        &["write", "/sys/fs/cgroup/escape"],
        [
            Failed("ENOENT", Missing, "/sys/fs/cgroup/escape"),
            Failed("ENOENT", Missing, "/sys/fs/cgroup/escape"),
            Failed("EACCES", Barred, "/sys/fs/cgroup/escape"),
        ],
    );
    table.add(
        "sys-power",
        "writing `/sys/power/state`",
        &["write", "/sys/power/state"],
        [
            Failed("ENOENT", Missing, "/sys/power/state"),
            Failed("ENOENT", Missing, "/sys/power/state"),
            Refused("EACCES|ENOENT"),
        ],
    );
    table.add(
        "sys-read",
        "reading `/sys/kernel/uevent_seqnum`",
        &["read", "/sys/kernel/uevent_seqnum"],
        [
            Failed("ENOENT", Missing, "/sys/kernel/uevent_seqnum"),
            Failed("ENOENT", Missing, "/sys/kernel/uevent_seqnum"),
            Told("ok", Read, "/sys/kernel/uevent_seqnum"),
        ],
    );
    table.add(
        "host-file",
        "reading a file that is no input",
        &["read", "SECRET"],
        [Failed("ENOENT", Missing, "SECRET"), Failed("ENOENT", Missing, "SECRET"), Told("ok", Read, "SECRET")],
    );
    table.same("kernel-memory", "`/proc/kcore`", &["read", "/proc/kcore"], Refused("EACCES|EPERM|ENOENT"));
    table.add(
        "kernel-log",
        "`/dev/kmsg`",
        &["read", "/dev/kmsg"],
        [
            Failed("ENOENT", Missing, "/dev/kmsg"),
            Failed("ENOENT", Missing, "/dev/kmsg"),
            Failed("EACCES|EPERM", Barred, "/dev/kmsg"),
        ],
    );
    table.add(
        "terminal",
        "the terminal (`/dev/tty`)",
        &["read", "/dev/tty"],
        [
            Failed("ENOENT", Missing, "/dev/tty"),
            Failed("ENOENT", Missing, "/dev/tty"),
            Failed("EACCES", Barred, "/dev/tty"),
        ],
    );
    table.add(
        "terminals",
        "other people's terminals (`/dev/pts/ptmx`)",
        &["read", "/dev/pts/ptmx"],
        [
            Failed("ENOENT", Missing, "/dev/pts/ptmx"),
            Failed("ENOENT", Missing, "/dev/pts/ptmx"),
            Failed("EACCES", Barred, "/dev/pts/ptmx"),
        ],
    );
    table.add(
        "shared-directory",
        "writing `/dev/shm`",
        &["write", "/dev/shm/escape"],
        [
            Told("ok", Write, "/dev/shm/escape"),
            Told("ok", Write, "/dev/shm/escape"),
            Failed("EACCES", Barred, "/dev/shm/escape"),
        ],
    );
}

fn network(table: &mut Table) {
    table.1 = "networks and services";
    let (inet, unix) = (Denied("socket(AF_INET)"), Denied("socket(AF_UNIX)"));
    let mut reach = |name, what: &str, argv: &[&str], told: &'static str| {
        let state = Reached("ENETUNREACH", told);
        table.add(name, what, argv, [state, state, inet]);
    };
    reach("internet", "an address of the Internet", &["connect", "192.0.2.1", "443"], "connect 192.0.2.1:443");
    reach(
        "metadata",
        "a cloud's metadata address",
        &["connect", "169.254.169.254", "80"],
        "connect 169.254.169.254:80",
    );
    reach(
        "host-loopback",
        "a service on the host's loopback",
        &["connect", "127.0.0.1", "PORT"],
        "connect 127.0.0.1:PORT",
    );
    reach("name-service", "a name server", &["name-service"], "sendto 127.0.0.1:53");
    table.add("raw", "a raw socket", &["socket", "2", "3", "255"], [Refused("EPERM"), Refused("EPERM"), inet]);
    for (name, family, told) in [
        ("packet", "17", "socket(AF_PACKET)"),
        ("alg", "38", "socket(AF_ALG)"),
        ("vsock", "40", "socket(AF_VSOCK)"),
        ("xdp", "44", "socket(AF_XDP)"),
        ("bluetooth", "31", "socket(AF_BLUETOOTH)"),
    ] {
        table.same(name, &format!("`{told}`"), &["socket", family, "3"], Denied(told));
    }
    table.add(
        "netlink",
        "netlink",
        &["socket", "16", "3", "0"],
        [Own("ok", "its own network namespace"), Own("ok", "its own network namespace"), Denied("socket(AF_NETLINK)")],
    );
    table.add(
        "netlink-events",
        "the kernel's events by netlink",
        &["socket", "16", "3", "15"],
        [
            Own("ok", "its own network namespace, which has none"),
            Own("ok", "its own network namespace, which has none"),
            Denied("socket(AF_NETLINK)"),
        ],
    );
    table.add(
        "abstract-socket",
        "an abstract socket of the host",
        &["abstract"],
        [Refused("ECONNREFUSED"), Refused("ECONNREFUSED"), unix],
    );
    let socket = Denied("connect(unix:/tools/service)");
    table.add("named-socket", "a socket of the host in a pinned tree", &["named-socket"], [socket, socket, unix]);
    let own = Own("ok", "its own, in the workspace");
    table.add("own-socket", "a socket of its own", &["own-socket"], [own, own, unix]);
    table.add(
        "named-pipe",
        "a pipe of the host in a pinned tree",
        &["named-pipe"],
        [Told("ok", Write, "/tools/pipe"), Told("ok", Write, "/tools/pipe"), Failed("EACCES", Barred, "/tools/pipe")],
    );
}

fn shared(table: &mut Table) {
    table.1 = "memory shared between processes";
    let own = Own("ok", "its own IPC namespace, gone with the step");
    for (name, what, told) in [
        ("shared-memory", "System V shared memory", "shmget"),
        ("semaphores", "System V semaphores", "semget"),
        ("messages", "System V messages", "msgget"),
        ("queue", "a POSIX message queue", "mq_open"),
    ] {
        table.add(name, what, &[name], [own, own, Denied(told)]);
    }
    table.add(
        "shared-memory-outside",
        "shared memory of a process outside",
        &["shared-memory-outside"],
        [Refused("ENOENT"), Refused("ENOENT"), Denied("shmget")],
    );
}

/// Returns the page's table.
pub(super) fn table() -> String {
    let mut text = String::new();
    let mut group = "";
    for attempt in all() {
        if attempt.group != group {
            group = attempt.group;
            text.push_str(&format!("\n### {}{}\n\n", group[..1].to_uppercase(), &group[1..]));
            let levels = Level::ALL.map(|level| format!("`{level}`")).join(" | ");
            text.push_str(&format!("| attempt | {levels} |\n| --- | --- | --- | --- |\n"));
        }
        let [first, rest @ ..] = attempt.at.map(State::words);
        let same = rest.iter().all(|words| *words == first);
        let states = if same {
            format!("{first} | the same | the same")
        } else {
            format!("{first} | {} | {}", rest[0], rest[1])
        };
        text.push_str(&format!("| {} | {states} |\n", attempt.what));
    }
    text
}

impl State {
    fn words(self) -> String {
        match self {
            Denied(_) => "refused, told".to_owned(),
            Refused("none") => "there are none".to_owned(),
            Refused(word) => format!("refused ({})", answer(word)),
            Failed(word, ..) => format!("refused ({}), told", answer(word)),
            Killed(word) => format!("killed (`{word}`)"),
            Told(..) | Program(..) | Counted(..) => "recorded".to_owned(),
            Reached(word, _) => format!("refused ({}), told", answer(word)),
            ProgramOrLost(..) => "recorded, or told as a loss, which fails a build".to_owned(),
            SumOrLost(..) => {
                "recorded, mostly as a loss; **open**: a thread that is fast enough has the other name told".to_owned()
            }
            Lost(_) => "told as a loss, which fails a build".to_owned(),
            Ended(_) => "killed with its step, told".to_owned(),
            Own(_, why) => format!("its own: {why}"),
            Open(_, why) => format!("**open**: {why}"),
        }
    }
}

/// The error names of an answer, in code.
fn answer(words: &str) -> String {
    words.split('|').map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}
