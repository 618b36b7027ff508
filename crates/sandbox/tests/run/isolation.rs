//! What a step finds inside, and the escapes that it may try: each refused, and told where it is a refused call.

use std::collections::BTreeMap;

use sandbox::outcome::Exit;

use crate::harness::{Bench, Test, step};

pub(crate) const TESTS: &[Test] = &[
    ("identity", identity),
    ("environment_is_the_plans", environment_is_the_plans),
    ("no_descriptor_is_inherited", no_descriptor_is_inherited),
    ("devices", devices),
    ("nothing_else_is_writable", nothing_else_is_writable),
    ("host_is_out_of_sight", host_is_out_of_sight),
    ("refused_calls", refused_calls),
    ("refused_calls_of_a_static_program", refused_calls_of_a_static_program),
    ("other_entries_are_killed", other_entries_are_killed),
    ("own_filters_change_nothing", own_filters_change_nothing),
    ("cpu_count", cpu_count),
];

fn identity() {
    let script = "id -u; id -g; hostname; umask; pwd; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; cat /proc/self/cgroup | head -1; \
                  ulimit -c; ulimit -n; ls /; uname -n";
    let mut bench = Bench::new("identity", script);
    bench.plan.limits.open_files = 512;
    bench.pass();
    let none = "0000000000000000";
    let expected = [
        "1000",
        "1000",
        "build",
        "0022",
        "/build",
        &format!("CapInh:\t{none}"),
        &format!("CapPrm:\t{none}"),
        &format!("CapEff:\t{none}"),
        &format!("CapBnd:\t{none}"),
        &format!("CapAmb:\t{none}"),
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ];
    let lines: Vec<&str> = bench.output.lines().collect();
    assert_eq!(lines[..expected.len()], expected);
    let rest = [
        "0", "512", "bin", "build", "dev", "etc", "home", "lib", "lib64", "proc", "self", "sys", "tmp", "tools", "usr",
        "build",
    ];
    assert_eq!(lines[expected.len() + 1..], rest);
    assert!(lines[expected.len()].ends_with(":/"), "own control group namespace: {}", lines[expected.len()]);
}

fn environment_is_the_plans() {
    // SAFETY: the tests run one after the other, in one thread.
    unsafe { std::env::set_var("SANDBOX_TEST_LEAK", "1") };
    let mut bench = Bench::new("environment", "");
    bench.plan.steps = vec![step("env", &["/usr/bin/env"])];
    let variables = BTreeMap::from([("ONLY".to_owned(), "this one".to_owned())]);
    bench.plan.steps[0].variables = variables.clone();
    let outcome = bench.pass();
    assert_eq!(bench.output, "ONLY=this one\n");
    assert_eq!(outcome.processes[0].variables, variables);
}

fn no_descriptor_is_inherited() {
    let open = std::fs::File::open("/etc/passwd").expect("a file to leak");
    let copy = unsafe_duplicate(&open);
    let mut bench = Bench::new("descriptors", "");
    bench.plan.steps = vec![step("list", &["/self/run", "__inside", "descriptors"])];
    bench.pass();
    assert_eq!(bench.output, "0 1 2\n");
    drop(copy);
    let mut bench = Bench::new("stdin", "readlink /proc/self/fd/0; cat");
    bench.pass();
    assert_eq!(bench.output, "/dev/null\n");
}

/// A descriptor that `execve` would keep.
fn unsafe_duplicate(file: &std::fs::File) -> std::os::fd::OwnedFd {
    use std::os::fd::{AsRawFd, FromRawFd};
    // SAFETY: the copy is owned by nobody else.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(libc::dup(file.as_raw_fd())) }
}

fn devices() {
    let script = "ls /dev; head -c 4 /dev/zero | od -An -tx1; head -c 8 /dev/urandom | wc -c; echo x > /dev/null; \
                  echo x > /dev/full || echo full; echo y > /dev/shm/x && cat /dev/shm/x; mknod /tmp/sda b 8 0 2>/dev/null || echo no; \
                  cat < /dev/stdin; echo out > /dev/stdout";
    let mut bench = Bench::new("devices", script);
    bench.pass();
    let lines: Vec<&str> = bench.output.lines().collect();
    let expected = [
        "fd",
        "full",
        "null",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "urandom",
        "zero",
        " 00 00 00 00",
        "8",
        "full",
        "y",
        "no",
        "out",
    ];
    assert_eq!(lines, expected);
}

fn nothing_else_is_writable() {
    let script = "for d in / /etc /usr /usr/bin /tools /dev /sys /sys/devices/system/cpu /self /proc /proc/sys/kernel; do \
                  touch $d/new 2>/dev/null && echo $d; mv $d/new $d/newer 2>/dev/null && echo $d; done; \
                  for f in /etc/passwd /tools/hostile /self/run /proc/cpuinfo /proc/sys/kernel/hostname /proc/sysrq-trigger \
                  /proc/self/oom_score_adj /sys/devices/system/cpu/online /usr/bin/true; do (echo x > $f) 2>/dev/null && echo $f; \
                  chmod 777 $f 2>/dev/null && echo chmod $f; rm $f 2>/dev/null </dev/null && echo rm $f; done; true";
    let mut bench = Bench::new("read-only", script);
    bench.pass();
    assert_eq!(bench.output, "", "these could be written");
}

fn host_is_out_of_sight() {
    let paths = "/etc/shadow /root /home/user /proc/1/environ /proc/1/mem +/proc/1/mem /proc/1/root/etc/shadow /proc/1/fd/0 \
                 /proc/1/maps /proc/kcore /dev/mem /dev/kmsg /dev/tty /dev/sda /run /var /sys/kernel /proc/sys/../../etc/shadow \
                 *../../../../new *//new2 /proc/self/cwd/../etc/shadow +/proc/self/exe /dev/fd/9";
    let mut bench = Bench::new(
        "sight",
        &format!("/tools/hostile open {paths}; set -- /proc/[0-9]*; echo processes $#; cat /proc/1/cmdline"),
    );
    bench.run();
    let opened: Vec<&str> = bench.output.lines().filter(|line| line.ends_with(": ok")).collect();
    assert_eq!(opened, [""; 0]);
    assert!(bench.output.contains("processes 2\n"), "init and the shell: {}", bench.output);
    assert!(!bench.output.contains(&bench.place.display().to_string()), "{}", bench.output);
}

/// What the hostile suite prints for each thing that it tries.
const REFUSED: &[&str] = &[
    "ptrace",
    "process_vm_readv",
    "keyctl",
    "bpf",
    "userfaultfd",
    "perf_event_open",
    "io_uring_setup",
    "mount",
    "umount2",
    "fsopen",
    "open_tree",
    "move_mount",
    "mount_setattr",
    "pivot_root",
    "chroot",
    "setns",
    "unshare-user",
    "unshare-net",
    "unshare-time",
    "clone-user",
    "clone-net",
    "clone-untraced",
    "personality",
    "tiocsti",
    "kexec_file_load",
    "init_module",
    "reboot",
    "clock_settime",
    "open_by_handle_at",
    "fanotify_init",
    "kcmp",
    "pidfd_getfd",
    "swapon",
    "not-dumpable",
    "vsock",
    "packet",
    "alg",
    "listener",
];

fn refused_calls() {
    check_suite("/tools/hostile");
}

fn refused_calls_of_a_static_program() {
    check_suite("/tools/hostile-static");
}

fn check_suite(program: &str) {
    let mut bench = Bench::new("suite", "");
    bench.plan.steps = vec![step("suite", &[program, "suite"])];
    let outcome = bench.pass();
    let said: BTreeMap<&str, &str> = bench.output.lines().filter_map(|line| line.split_once(": ")).collect();
    for what in REFUSED {
        assert_eq!(said.get(what), Some(&"EPERM"), "{what}");
    }
    assert_eq!((said["clone3"], said["unknown-call"]), ("ENOSYS", "ENOSYS"));
    // Process 1 gets the signals and is not touched by them: the run went on.
    assert_eq!((said["setuid-root"], said["kill-init"]), ("EINVAL", "ok"));
    let denied: Vec<&str> = outcome.denied.iter().map(|one| one.what.as_str()).collect();
    for what in [
        "ptrace",
        "mount",
        "io_uring_setup",
        "userfaultfd",
        "bpf",
        "keyctl",
        "kexec_file_load",
        "ioctl(TIOCSTI)",
        "unshare(CLONE_NEWUSER)",
        "clone(CLONE_NEWUSER)",
        "clone(CLONE_NEWNET)",
        "clone(CLONE_UNTRACED)",
        "personality",
        "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)",
        "prctl(PR_SET_DUMPABLE)",
        "socket(AF_VSOCK)",
        "socket(AF_PACKET)",
        "socket(AF_ALG)",
    ] {
        assert!(denied.contains(&what), "`{what}` is not told: {denied:?}");
    }
    assert_eq!(denied.len(), REFUSED.len(), "each refusal is told: {denied:?}");
    assert!(outcome.denied.iter().all(|one| outcome.processes[one.process].exe == program && one.count == 1));
}

fn other_entries_are_killed() {
    for entry in ["entry-32", "entry-x32"] {
        let mut bench = Bench::new(entry, "");
        bench.plan.steps = vec![step("enter", &["/tools/hostile", entry])];
        let outcome = bench.run();
        let is_killed = matches!(outcome.steps[0].exit, Exit::Signal(31));
        assert!(is_killed, "{entry}: {:?} {}", outcome.steps[0].exit, bench.output);
    }
}

fn own_filters_change_nothing() {
    let mut bench = Bench::new("own-filter", "/tools/hostile own-filter; true");
    let outcome = bench.pass();
    assert_eq!(bench.output, "traced-getppid: ENOSYS\ntraced-mount: EPERM\n");
    assert_eq!(outcome.denied[0].what, "mount");
}

fn cpu_count() {
    let script = "nproc; getconf _NPROCESSORS_ONLN; getconf _NPROCESSORS_CONF; grep -c ^processor /proc/cpuinfo; /self/run __inside parallelism";
    for cpus in [1, 2, 3, 70] {
        let mut bench = Bench::new("cpus", script);
        bench.plan.cpus = cpus;
        bench.pass();
        assert_eq!(bench.output, format!("{cpus}\n").repeat(5));
    }
}
