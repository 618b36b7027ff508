//! Init: process 1 of the sandbox. It makes the file system, then forks one process for each step, and reaps what is orphaned.
//!
//! It is a forked copy of the supervisor, so plan and layout are in its memory already; over its socket come the trees to copy and the
//! commands. Order matters in three places, each marked: binds are cloned while the outer identity may still read them; tmpfs is
//! made after the change of user, or its files would belong to nobody; capabilities go last.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use libc::pid_t;
use serde::{Deserialize, Serialize};

use super::calls::Settings;
use super::cpu::Count;
use super::layout::{CPUINFO, Node};
use super::transfer::{TransferError, receive};
use super::translate::Translation;
use super::{fence, step};
use crate::plan::{Host, Level, Mount, Plan};
use crate::sys;
use crate::sys::mount;
use crate::sys::process::fix_addresses;
use crate::tier::Tier;

/// User and group of the steps inside, where their root is read-only.
const BUILDER: u32 = 1000;
/// The same where they may write it: files of a root belong to root.
const ROOT: u32 = 0;
/// Modification time of what the sandbox itself makes: 1980-01-01, the first that every archive format can hold.
const OWN_TIME_UNIX_S: i64 = 315_532_800;
/// What `/`, with the directories and small files of the plan, may hold.
const ROOT_BYTES: u64 = 64 << 20;
/// Files on one tmpfs: more than any source tree, far below what would fill kernel memory.
const INODES_MAX: &str = "4000000";

/// Commands of the supervisor, one byte each; `STEP` is followed by the step's number (4 bytes).
pub(super) const GO: u8 = b'g';
pub(super) const STEP: u8 = b's';
pub(super) const QUIET: u8 = b'q';
/// Init's first word: all is prepared; the second, the tracer must tell the host name. Trouble begins with a brace.
pub(super) const READY: u8 = b'r';
pub(super) const READY_UNNAMED: u8 = b'u';
/// Answers to `QUIET`.
pub(super) const YES: u8 = b'y';
pub(super) const NO: u8 = b'n';

/// What init is told by being a copy.
pub(super) struct Orders<'a> {
    pub(super) level: Level,
    pub(super) plan: &'a Plan,
    pub(super) host: &'a Host,
    /// The file system, at the levels that have one.
    pub(super) layout: Option<Node>,
    pub(super) settings: Settings,
    pub(super) count: Count,
    pub(super) supervisor: pid_t,
}

/// User and group of the steps inside.
pub(super) fn user(plan: &Plan) -> u32 {
    if plan.root_source().is_some() { ROOT } else { BUILDER }
}

/// What went wrong inside; `machine` if the kernel refused something that another level can do without.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) machine: bool,
    pub(super) what: String,
    pub(super) place: String,
    pub(super) reason: String,
    pub(super) errno: Option<i32>,
}

impl Trouble {
    fn machine(what: &str, place: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::with(true, what, place)
    }

    fn plan(what: &str, place: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::with(false, what, place)
    }

    fn with(machine: bool, what: &str, place: &Path) -> impl FnOnce(io::Error) -> Self {
        let (what, place) = (what.to_owned(), place.display().to_string());
        move |error| Self { machine, what, place, reason: error.to_string(), errno: error.raw_os_error() }
    }
}

impl From<TransferError> for Trouble {
    fn from(error: TransferError) -> Self {
        Self::plan("copying into the sandbox", &error.path)(error.error)
    }
}

/// Runs as init; never returns.
pub(super) fn main(mut orders: Orders<'_>, socket: UnixStream) -> ! {
    let code = match prepare(&mut orders, &socket) {
        Ok(()) => serve(&orders, socket).map_or(1, |()| 0),
        Err(trouble) => {
            let text = serde_json::to_vec(&trouble).unwrap_or_default();
            // The supervisor sees the end of init in any case; there is nobody else to tell.
            (&socket).write_all(&text).ok();
            1
        }
    };
    sys::exit(code)
}

fn prepare(orders: &mut Orders<'_>, socket: &UnixStream) -> Result<(), Trouble> {
    let nowhere = Path::new("");
    // In a new pid namespace the parent has no number.
    let parent = if orders.level == Level::TraceOnly { orders.supervisor } else { 0 };
    sys::die_with_parent(libc::SIGKILL, parent).map_err(Trouble::machine("tying init to its supervisor", nowhere))?;
    let mut commands = socket;
    let mut go = [0_u8];
    commands.read_exact(&mut go).map_err(Trouble::machine("waiting for the supervisor", nowhere))?;
    sys::set_umask(0o022);
    let (Count::Real(cpus) | Count::Told(cpus)) = &orders.count;
    sys::use_cpus(cpus).map_err(Trouble::machine("choosing CPUs", nowhere))?;
    let mut input = BufReader::with_capacity(1 << 16, socket);
    let root = match &orders.layout {
        Some(layout) => {
            let (root, is_named) = isolated(orders, layout, &mut input)?;
            orders.settings.host_name = !is_named;
            root
        }
        None => outside(orders, &mut input)?,
    };
    check_confinement(orders)?;
    sys::ignore_children();
    sys::block_signals();
    let word = if orders.settings.host_name { READY_UNNAMED } else { READY };
    commands.write_all(&[word]).map_err(Trouble::machine("answering the supervisor", nowhere))?;
    sys::send_descriptor(socket.as_fd(), root.as_fd()).map_err(Trouble::machine("handing out the root", nowhere))
}

/// Makes our own view of the machine; returns its root, and whether it has the plan's host name.
fn isolated(orders: &Orders<'_>, layout: &Node, input: &mut impl Read) -> Result<(OwnedFd, bool), Trouble> {
    let nowhere = Path::new("");
    mount::make_private().map_err(Trouble::machine("parting from the outer mounts", Path::new("/")))?;
    // Before the change of user: the outer identity may read what the steps' may not, and only the bound directory itself is shown.
    let mut binds = Binds::default();
    binds.open(layout)?;
    let outer_proc = match orders.level {
        Level::NoProc => Some(open_bind(Path::new("/proc"), mount::READ_ONLY | mount::NO_SUID | mount::NO_DEV, true)?),
        _ => None,
    };
    let door = match &orders.host.door {
        Some(path) => Some(UnixStream::connect(path).map_err(Trouble::plan("reaching the caller's door", path))?),
        None => None,
    };
    // Before tmpfs is made: its files belong to who makes it.
    become_builder(user(orders.plan)).map_err(Trouble::machine("becoming the builder", nowhere))?;
    // Containers' filters refuse this one call where they allow all the rest; the tracer can tell the name instead.
    let is_named = sys::set_hostname(&orders.plan.hostname).is_ok();
    if orders.plan.loopback {
        sys::loopback_up().map_err(Trouble::machine("bringing the loopback interface up", nowhere))?;
    }
    if let Some(stream) = door {
        crate::door::hand_out(&stream).map_err(Trouble::plan("opening the caller's door", nowhere))?;
    }
    let base = build(layout, &mut binds, outer_proc)?;
    std::env::set_current_dir(&base).map_err(Trouble::machine("entering the new root", &base))?;
    mount::pivot_here().map_err(Trouble::machine("changing the root", &base))?;
    receive_copies(orders.plan, Path::new(""), input)?;
    let read_only = if orders.plan.root_source().is_some() { 0 } else { mount::READ_ONLY };
    mount::restrict_path(c"/", read_only | mount::NO_SUID | mount::NO_DEV)
        .map_err(Trouble::machine("making the root read-only", Path::new("/")))?;
    Ok((open_path(Path::new("/"))?, is_named))
}

/// A change of user forgets the parent's death signal and closes this process to its tracer; both are set again.
fn become_builder(user: u32) -> io::Result<()> {
    sys::become_user(user, user)?;
    sys::prctl(libc::PR_SET_DUMPABLE, 1)?;
    sys::die_with_parent(libc::SIGKILL, 0)
}

fn receive_copies(plan: &Plan, prefix: &Path, input: &mut impl Read) -> Result<(), Trouble> {
    for one in &plan.mounts {
        if let Mount::Copy { mtime_unix_s, .. } | Mount::Root { mtime_unix_s, .. } = one {
            let target = one.target();
            let target = PathBuf::from(format!("{}{target}", prefix.display()));
            receive(&target, *mtime_unix_s, input)?;
        }
    }
    Ok(())
}

fn open_path(path: &Path) -> Result<OwnedFd, Trouble> {
    let opened = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path);
    opened.map(OwnedFd::from).map_err(Trouble::plan("opening", path))
}

/// Detached clones of host mounts, in the order in which the layout is walked.
#[derive(Default)]
struct Binds(std::collections::VecDeque<OwnedFd>);

impl Binds {
    fn open(&mut self, node: &Node) -> Result<(), Trouble> {
        const SAFE: u64 = mount::READ_ONLY | mount::NO_SUID;
        match node {
            Node::Directory { children, .. } => children.values().try_for_each(|child| self.open(child)),
            Node::Bind { source, .. } => {
                self.0.push_back(open_bind(source, SAFE | mount::NO_DEV, false)?);
                Ok(())
            }
            Node::Device(source) => {
                self.0.push_back(open_bind(source, SAFE | mount::NO_EXEC, false)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn attach(&mut self, path: &Path) -> Result<(), Trouble> {
        let next = self.0.pop_front().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT));
        next.and_then(|bind| mount::attach(bind.as_fd(), path)).map_err(Trouble::machine("mounting", path))
    }
}

fn open_bind(source: &Path, attributes: u64, is_machine: bool) -> Result<OwnedFd, Trouble> {
    let bind = mount::open_tree(source).map_err(|error| {
        // What is not there, or not readable, is no fault of the level.
        let missing = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EACCES | libc::ENOTDIR));
        Trouble::with(is_machine || !missing, "binding", source)(error)
    })?;
    mount::restrict(bind.as_fd(), attributes).map_err(Trouble::machine("making read-only", source))?;
    Ok(bind)
}

fn temporary(size_bytes: u64, mode: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let size = CString::new(size_bytes.to_string()).map_err(io::Error::other)?;
    let inodes = CString::new(INODES_MAX).map_err(io::Error::other)?;
    let options = [(c"size", size.as_c_str()), (c"mode", mode), (c"nr_inodes", inodes.as_c_str())];
    mount::new_file_system(c"tmpfs", &options, mount::NO_SUID | mount::NO_DEV)
}

/// Makes the whole layout over a directory that every system has, and returns that directory.
fn build(layout: &Node, binds: &mut Binds, outer_proc: Option<OwnedFd>) -> Result<PathBuf, Trouble> {
    let (root_bytes, layout) = match layout {
        Node::Directory { tmpfs: Some(own), children } => {
            (own.size_bytes, &Node::Directory { tmpfs: None, children: children.clone() })
        }
        other => (ROOT_BYTES, other),
    };
    let root = temporary(root_bytes, c"755").map_err(Trouble::machine("making a tmpfs for", Path::new("/")))?;
    let base = ["/tmp", "/mnt", "/run", "/proc"].into_iter().map(PathBuf::from).find(|path| path.is_dir());
    let base = base.unwrap_or_else(|| PathBuf::from("/dev"));
    mount::attach(root.as_fd(), &base).map_err(Trouble::machine("mounting the new root over", &base))?;
    let mut outer_proc = outer_proc;
    realize(layout, &base, binds, &mut outer_proc)?;
    let cpuinfo = base.join(&CPUINFO[1..]);
    if cpuinfo.exists() {
        let bind = open_bind(&cpuinfo, mount::READ_ONLY | mount::NO_SUID | mount::NO_DEV, true)?;
        let place = base.join("proc/cpuinfo");
        mount::attach(bind.as_fd(), &place).map_err(Trouble::machine("mounting", &place))?;
    }
    Ok(base)
}

fn realize(node: &Node, path: &Path, binds: &mut Binds, outer_proc: &mut Option<OwnedFd>) -> Result<(), Trouble> {
    match node {
        Node::Directory { tmpfs, children } => {
            make_directory(path)?;
            if let Some(tmpfs) = tmpfs {
                let made = temporary(tmpfs.size_bytes, if tmpfs.is_shared { c"1777" } else { c"755" });
                let made = made.and_then(|made| mount::attach(made.as_fd(), path));
                made.map_err(Trouble::machine("making a tmpfs for", path))?;
            }
            for (name, child) in children {
                realize(child, &path.join(name), binds, outer_proc)?;
            }
            sys::set_times(path, OWN_TIME_UNIX_S).map_err(Trouble::plan("setting times of", path))
        }
        Node::Bind { is_directory: true, .. } => {
            make_directory(path)?;
            binds.attach(path)
        }
        Node::Bind { .. } | Node::Device(_) => {
            make_file(path, "", false)?;
            binds.attach(path)
        }
        Node::Link(to) => std::os::unix::fs::symlink(to, path).map_err(Trouble::plan("linking", path)),
        Node::File { content, executable } => make_file(path, content, *executable),
        Node::Proc => {
            make_directory(path)?;
            mount_proc(path, outer_proc.take())
        }
    }
}

fn mount_proc(path: &Path, outer: Option<OwnedFd>) -> Result<(), Trouble> {
    // Read-only as a whole: /proc/sys, sysrq-trigger and the rest refuse writes without further masks.
    let attributes = mount::READ_ONLY | mount::NO_SUID | mount::NO_DEV | mount::NO_EXEC;
    let fresh = || mount::new_file_system(c"proc", &[], attributes);
    let made = outer.map_or_else(fresh, Ok).map_err(Trouble::machine("mounting a fresh", Path::new("/proc")))?;
    mount::attach(made.as_fd(), path).map_err(Trouble::machine("mounting", path))
}

fn make_directory(path: &Path) -> Result<(), Trouble> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Trouble::plan("making directory", path)(error))
        }
        _ => Ok(()),
    }
}

fn make_file(path: &Path, content: &str, executable: bool) -> Result<(), Trouble> {
    let made = fs::write(path, content)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(if executable { 0o755 } else { 0o644 })))
        .and_then(|()| sys::set_times(path, OWN_TIME_UNIX_S));
    made.map_err(Trouble::plan("writing", path))
}

/// At `trace-only`: makes the plan's writable part in the scratch directory, and links for the rest.
fn outside(orders: &Orders<'_>, input: &mut impl Read) -> Result<OwnedFd, Trouble> {
    let scratch = &orders.host.scratch;
    if orders.host.door.is_some() {
        let none = io::Error::other("at this level there is no network of its own");
        return Err(Trouble::machine("opening the caller's door", Path::new(""))(none));
    }
    let translation = Translation::new(orders.plan, scratch);
    sys::subreaper().map_err(Trouble::machine("becoming the reaper of orphans", Path::new("")))?;
    for one in orders.plan.mounts.iter().filter(|one| one.target() != "/") {
        let path = translation.path(one.target());
        let above = path.parent().unwrap_or(scratch);
        fs::create_dir_all(above).map_err(Trouble::plan("making directory", above))?;
        match one {
            Mount::Tree { source, .. } => {
                let source = orders.host.sources.get(source).cloned().unwrap_or_default();
                std::os::unix::fs::symlink(&source, &path).map_err(Trouble::plan("linking", &path))?;
            }
            Mount::File { content, executable, .. } => make_file(&path, &translation.text(content), *executable)?,
            Mount::Link { to, .. } => {
                std::os::unix::fs::symlink(translation.text(to), &path).map_err(Trouble::plan("linking", &path))?
            }
            Mount::Copy { .. } | Mount::Scratch { .. } | Mount::Root { .. } => make_directory(&path)?,
        }
    }
    for step in &orders.plan.steps {
        let path = translation.path(&step.cwd);
        fs::create_dir_all(&path).map_err(Trouble::plan("making directory", &path))?;
    }
    receive_copies(orders.plan, scratch, input)?;
    open_path(Path::new("/"))
}

/// Confines a child as every step will be, so that a kernel that refuses it is found before the first step.
fn check_confinement(orders: &Orders<'_>) -> Result<(), Trouble> {
    if orders.plan.tier() >= Tier::T1 {
        // Some containers' filters refuse this alone.
        check_in_child("turning off the randomisation of addresses", || {
            fix_addresses().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO))
        })?;
    }
    check_in_child("confining a process", || {
        step::check(orders).map_or_else(|trouble| trouble.errno.unwrap_or(libc::EIO), |()| 0)
    })
}

/// Runs what returns 0 or an error number in a process of its own.
fn check_in_child(what: &str, errno: impl FnOnce() -> i32) -> Result<(), Trouble> {
    let refused = |error| Trouble::machine(what, Path::new(""))(error);
    match sys::clone_process(0).map_err(refused)? {
        0 => sys::exit(errno()),
        pid => match sys::wait_child(pid).map_err(refused)? {
            0 => Ok(()),
            status if libc::WIFEXITED(status) => Err(refused(io::Error::from_raw_os_error(libc::WEXITSTATUS(status)))),
            _ => Err(refused(io::Error::other("the check was killed"))),
        },
    }
}

/// Forks steps on command until the supervisor hangs up.
fn serve(orders: &Orders<'_>, mut socket: UnixStream) -> io::Result<()> {
    loop {
        let mut command = [0_u8];
        socket.read_exact(&mut command)?;
        match command[0] {
            STEP => {
                let mut number = [0_u8; 4];
                socket.read_exact(&mut number)?;
                let number = u32::from_le_bytes(number) as usize;
                if orders.level == Level::TraceOnly {
                    // Same user, same namespace: only this keeps a step from this process's memory where Landlock is missing.
                    sys::prctl(libc::PR_SET_DUMPABLE, 0)?;
                }
                if sys::clone_process(0)? == 0 {
                    step::run(orders, number);
                }
            }
            QUIET => {
                let answer = if sys::has_children() { NO } else { YES };
                socket.write_all(&[answer])?;
            }
            _ => return Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
    }
}

/// Makes the fence of `trace-only`; elsewhere the file system is fence enough.
pub(super) fn fence_in(orders: &Orders<'_>) -> Result<(), Trouble> {
    if orders.level != Level::TraceOnly {
        return Ok(());
    }
    fence::fence(&orders.host.scratch, &orders.host.deny)
        .map_err(|error| Trouble::machine("fencing with Landlock", Path::new(""))(io::Error::other(error)))
}
