//! Opens a sandbox at one level, or tells why this machine refuses it and what would help.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use libc::{c_int, pid_t};

use super::calls::Settings;
use super::cpu::{self, Count};
use super::inside::{self, GO, Orders, READY, READY_UNNAMED, Trouble};
use super::layout::{Entry, Node, layout, system_nodes};
use super::transfer;
use crate::error::Failure;
use crate::outcome::Refusal;
use crate::plan::{Host, Level, Mount, Plan};
use crate::sys;
use crate::sys::trace;

#[cfg(test)]
mod tests;

/// When root runs the sandbox, steps are this user outside: one that owns nothing. systemd's table of users calls 65520 to 65533 unused.
const OUTER_BUILDER: u32 = 65530;
const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWCGROUP;
/// What init may say when it fails.
const TROUBLE_BYTES_MAX: u64 = 1 << 16;

/// Why a level did not open.
pub(super) enum Closed {
    /// A weaker level may.
    Refused(Refusal),
    /// No level would.
    Failed(Failure),
}

/// An open sandbox: init waits for commands. Everything inside ends when this is dropped.
pub(super) struct Session {
    pub(super) init: pid_t,
    pub(super) socket: UnixStream,
    pub(super) root: Option<OwnedFd>,
    pub(super) settings: Settings,
    scratch: Option<PathBuf>,
}

impl Drop for Session {
    /// Ends init, and with it its namespace; whatever else reports itself is killed too, and all is reaped, or init could not end.
    fn drop(&mut self) {
        sys::kill(self.init, libc::SIGKILL).ok();
        loop {
            match trace::next_report() {
                Ok(Some(report)) if libc::WIFSTOPPED(report.status) => {
                    sys::kill(report.pid, libc::SIGKILL).ok();
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        if let Some(scratch) = &self.scratch {
            remove_tree(scratch).ok();
        }
    }
}

/// Opens a sandbox for a plan at one level.
pub(super) fn open(level: Level, plan: &Plan, host: &Host) -> Result<Session, Closed> {
    let failed = |what: &'static str| move |error: io::Error| Closed::Failed(Failure::setup(what, "", error));
    let allowed = sys::cpus().map_err(failed("counting CPUs"))?;
    let count = cpu::count(plan.cpus, &allowed);
    let is_own = level != Level::TraceOnly;
    let settings = Settings { own_network: is_own, affinity: matches!(count, Count::Told(_)), host_name: !is_own };
    let scratch = match level {
        Level::TraceOnly => Some(make_scratch(&host.scratch)?),
        _ => None,
    };
    let layout = if level == Level::TraceOnly { None } else { Some(compute_layout(plan, &host.sources)?) };
    let (ours, theirs) = UnixStream::pair().map_err(failed("making a socket"))?;
    let supervisor = sys::process_id();
    let orders = Orders { level, plan, host, layout, settings, count, supervisor };
    let flags = if level == Level::TraceOnly { 0 } else { NAMESPACES };
    let init = sys::clone_process(flags)
        .map_err(|error| refuse(level, "making namespaces", "", &error.to_string(), error.raw_os_error()))?;
    if init == 0 {
        let theirs = close_all_but(theirs);
        inside::main(orders, theirs)
    }
    drop(theirs);
    let mut session = Session { init, socket: ours, root: None, settings, scratch };
    if level != Level::TraceOnly {
        map_users(init, inside::user(plan))
            .map_err(|(what, error)| refuse(level, what, "", &error.to_string(), error.raw_os_error()))?;
    }
    let sent = send(&session.socket, plan, host);
    let (root, host_name) = receive_root(level, &session.socket, sent)?;
    (session.root, session.settings.host_name) = (Some(root), host_name);
    Ok(session)
}

/// In init: keeps only the standard descriptors and its own socket, so that the caller's line ends with the supervisor.
fn close_all_but(socket: UnixStream) -> UnixStream {
    match sys::duplicate(socket.as_fd()).and_then(sys::keep_only) {
        Ok(kept) => {
            std::mem::forget(socket);
            UnixStream::from(kept)
        }
        Err(_) => sys::exit(1),
    }
}

fn make_scratch(path: &Path) -> Result<PathBuf, Closed> {
    fs::create_dir(path).map_err(|error| {
        Closed::Failed(Failure::setup("making the scratch directory", &path.to_string_lossy(), error))
    })?;
    Ok(path.to_owned())
}

fn compute_layout(plan: &Plan, sources: &BTreeMap<String, PathBuf>) -> Result<Node, Closed> {
    let machine = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let system = system_nodes(plan.cpus, &cpu::cpuinfo(&machine, plan.cpus));
    layout(plan, sources, system, &list)
        .map_err(|error| Closed::Failed(Failure::setup("laying out the sandbox's file system", "", error)))
}

fn list(path: &Path) -> io::Result<Option<Vec<(String, Entry)>>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(None);
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a name is not UTF-8"))?;
        let entry = if kind.is_symlink() {
            Entry::Link(fs::read_link(entry.path())?.to_string_lossy().into_owned())
        } else if kind.is_dir() {
            Entry::Directory
        } else if kind.is_file() {
            Entry::File
        } else {
            Entry::Other
        };
        entries.push((name, entry));
    }
    Ok(Some(entries))
}

/// Maps the builder inside to one user outside: an unused one for root where there is one, else the caller.
fn map_users(init: pid_t, inside: u32) -> Result<(), (&'static str, io::Error)> {
    let (user, group) = (sys::user_id(), sys::group_id());
    let mut choices = vec![(user, group)];
    if user == 0 && is_mapped("/proc/self/uid_map") && is_mapped("/proc/self/gid_map") {
        choices.insert(0, (OUTER_BUILDER, OUTER_BUILDER));
        // Without the capability they stay, as they do for a user.
        sys::drop_groups().ok();
        // So that `/dev/stdout` can be opened by name; without it only that fails.
        sys::give_output(OUTER_BUILDER).ok();
    }
    fs::write(format!("/proc/{init}/setgroups"), "deny").map_err(|error| ("giving up groups", error))?;
    let write = |name: &str, id: u32| fs::write(format!("/proc/{init}/{name}"), format!("{inside} {id} 1\n"));
    let mut refused = io::Error::from_raw_os_error(libc::EPERM);
    for (user, group) in choices {
        match write("gid_map", group) {
            Ok(()) => return write("uid_map", user).map_err(|error| ("mapping the builder's user", error)),
            Err(error) => refused = error,
        }
    }
    Err(("mapping the builder's group", refused))
}

fn is_mapped(map: &str) -> bool {
    let covers = |line: &str| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&u64::from(OUTER_BUILDER)))
    };
    fs::read_to_string(map).is_ok_and(|text| text.lines().any(covers))
}

/// Sends the word to begin, then each tree to copy.
fn send(socket: &UnixStream, plan: &Plan, host: &Host) -> Result<(), transfer::TransferError> {
    let at = |error| transfer::TransferError { path: PathBuf::from("init"), error };
    let mut to = BufWriter::with_capacity(1 << 17, socket);
    to.write_all(&[GO]).map_err(at)?;
    for one in &plan.mounts {
        if let Mount::Copy { source, .. } | Mount::Root { source, .. } = one {
            let root = host.sources.get(source).cloned().unwrap_or_default();
            transfer::send(&root, &mut to)?;
        }
    }
    to.flush().map_err(at)
}

/// Takes init's answer: the root, and whether the tracer is to tell the host name. What init says about a failure is better than what the line says.
fn receive_root(
    level: Level,
    mut socket: &UnixStream,
    sent: Result<(), transfer::TransferError>,
) -> Result<(OwnedFd, bool), Closed> {
    let failed = |what: &str, place: &str, reason: String| Closed::Failed(Failure::setup(what, place, reason));
    let broken = |kind| matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
    let is_line_broken = sent.as_ref().is_err_and(|sent| broken(sent.error.kind()));
    if let (Err(sent), false) = (&sent, is_line_broken) {
        return Err(failed("copying into the sandbox", &sent.path.to_string_lossy(), sent.error.to_string()));
    }
    let mut answer = Vec::new();
    let mut first = [0_u8];
    match over_reset(|| socket.read_exact(&mut first)) {
        Ok(()) if [READY, READY_UNNAMED].contains(&first[0]) => {
            return sys::receive_descriptor(socket.as_fd())
                .map(|root| (root, first[0] == READY_UNNAMED))
                .map_err(|error| failed("receiving the root", "", error.to_string()));
        }
        Ok(()) => answer.push(first[0]),
        Err(error) => return Err(failed("preparing the sandbox", "", format!("init ended: {error}"))),
    }
    let rest = over_reset(|| socket.take(TROUBLE_BYTES_MAX).read_to_end(&mut answer));
    match rest
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_slice::<Trouble>(&answer).map_err(|error| error.to_string()))
    {
        Ok(trouble) if trouble.machine => {
            Err(refuse(level, &trouble.what, &trouble.place, &trouble.reason, trouble.errno))
        }
        Ok(trouble) => Err(failed(&trouble.what, &trouble.place, trouble.reason)),
        Err(reason) => Err(failed("preparing the sandbox", "", reason)),
    }
}

/// Reads again after a reset: the kernel says it once, before or after init's own words, when init left words of ours unread.
fn over_reset<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match read() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => read(),
        other => other,
    }
}

pub(super) fn refuse(level: Level, what: &str, place: &str, reason: &str, errno: Option<i32>) -> Closed {
    let hint = hint(level, what, errno, container());
    let what = if place.is_empty() { what.to_owned() } else { format!("{what} `{place}`") };
    Closed::Refused(Refusal { level, what, reason: reason.to_owned(), hint })
}

/// The container program that this process runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    None,
    Podman,
    Docker,
}

fn container() -> Container {
    if Path::new("/run/.containerenv").exists() {
        Container::Podman
    } else if Path::new("/.dockerenv").exists() {
        Container::Docker
    } else {
        Container::None
    }
}

/// Returns what would help against a refusal.
fn hint(level: Level, what: &str, errno: Option<i32>, container: Container) -> Option<String> {
    let in_container = |podman: &str, docker: &str| match container {
        Container::Podman => Some(format!("start the container with `{podman}`")),
        Container::Docker => Some(format!("start the container with `{docker}`")),
        Container::None => None,
    };
    match (what, errno) {
        ("mounting a fresh", _) => in_container("--security-opt unmask=ALL", "--security-opt systempaths=unconfined"),
        ("making namespaces", Some(libc::ENOSPC)) => {
            Some("raise the limit with `sysctl user.max_user_namespaces=15000`".to_owned())
        }
        ("mapping the builder's user" | "mapping the builder's group", Some(libc::EPERM))
            if container != Container::None =>
        {
            in_container("--cap-add SETFCAP", "--cap-add SETFCAP")
        }
        ("attaching with ptrace", _) => in_container("--cap-add SYS_PTRACE", "--cap-add SYS_PTRACE"),
        _ if level == Level::TraceOnly => None,
        _ if container == Container::None
            && Path::new("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists() =>
        {
            Some("allow user namespaces with `sysctl kernel.apparmor_restrict_unprivileged_userns=0`".to_owned())
        }
        ("making namespaces", Some(libc::EPERM)) if container == Container::None => {
            Some("allow user namespaces with `sysctl kernel.unprivileged_userns_clone=1`".to_owned())
        }
        _ => in_container(
            "--security-opt seccomp=unconfined --security-opt unmask=ALL",
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined",
        ),
    }
}

/// Removes a directory with all in it, also where a step took its own permissions away.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_directories(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn open_directories(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_directories(&entry.path())?;
        }
    }
    Ok(())
}
