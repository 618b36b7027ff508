//! A deployed service: one supervisor process for each environment and service, which outlives the command that
//! started it, keeps the service running, and says in a file what runs.
//!
//! `service.json`, version 1, written atomically in `deployments/ENV/SERVICE/`:
//!
//! ```json
//! {"version":1,"supervisor":{"pid":812,"start":190233},"service":{"pid":813,"start":190240},"restarts":0,"state":"running"}
//! ```
//!
//! Beside it, `service.lock` is locked from before a supervisor is started until it ended: it is its standard input. `service.log` is
//! the output of the service and of all that it starts, and so tells which processes belong to it, also when their supervisor was
//! killed before it wrote down one of them.
//!
//! `start` is the process's start time in clock ticks since boot (proc(5), stat field 22): a pid alone may be another's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Failure, Result};

pub(crate) mod inside;
pub(crate) mod keeper;
pub(crate) mod processes;

use processes::ProcessId;

#[cfg(test)]
mod tests;

/// How long a service may take to end after SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// How to run a service; passed to the supervisor as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServicePlan {
    /// Where `service.json` and `service.log` are written.
    pub(crate) directory: PathBuf,
    /// The release directory; the service's working directory.
    pub(crate) release: PathBuf,
    /// Program (an absolute path) and arguments.
    pub(crate) argv: Vec<String>,
    /// All its variables.
    pub(crate) variables: BTreeMap<String, String>,
    /// Signal that asks it to end, as `SIGTERM`.
    pub(crate) stop: String,
    /// Whether it gets a network of its own, with loopback alone.
    pub(crate) own_network: bool,
}

/// What `service.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceState {
    version: u32,
    /// The supervisor.
    pub(crate) supervisor: ProcessId,
    /// The service; absent while it is not running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<ProcessId>,
    restarts: usize,
    /// `running`, `restarting`, `stopped` or `gave-up`.
    pub(crate) state: String,
    /// Whether it is in a network of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) own_network: bool,
}

/// Reads what a service directory says; `None` when nothing was ever started there.
pub(crate) fn state(directory: &Path) -> Result<Option<ServiceState>> {
    let path = state_file(directory);
    let doing = || format!("reading `{}`", path.display());
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .context("service-state", doing())
            .map_err(|failure| failure.hint(format!("remove `{}`; processes are found without it", path.display())))
            .map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("service-state", doing()),
    }
}

fn state_file(directory: &Path) -> PathBuf {
    directory.join("service.json")
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("service.log")
}

fn lock_file(directory: &Path) -> PathBuf {
    directory.join("service.lock")
}

/// The processes of the service in a directory: the one that its supervisor wrote down, and all that write to its log.
pub(crate) fn processes(directory: &Path) -> Result<Vec<ProcessId>> {
    let state = state(directory)?;
    let supervisors = supervisors(directory)?;
    let mut found: Vec<ProcessId> =
        state.and_then(|state| state.service).filter(|one| one.alive()).into_iter().collect();
    for process in processes::writers(&log_file(directory)) {
        if !found.contains(&process) && !supervisors.contains(&process) {
            found.push(process);
        }
    }
    Ok(found)
}

/// The process that is the service: the one written down; else, where a supervisor was killed before it did, the oldest.
pub(crate) fn main_process(directory: &Path) -> Result<Option<ProcessId>> {
    let written = state(directory)?.and_then(|state| state.service).filter(|process| process.alive());
    match written {
        Some(process) => Ok(Some(process)),
        None => Ok(processes(directory)?.into_iter().min_by_key(|process| process.age_key())),
    }
}

fn supervisors(directory: &Path) -> Result<Vec<ProcessId>> {
    // A command that is about to start one holds the lock, too.
    let mut found = processes::writers(&lock_file(directory));
    found.retain(|process| process.is_called_with("__service"));
    let written = state(directory)?.map(|state| state.supervisor).filter(|one| one.alive() && !found.contains(one));
    found.extend(written);
    Ok(found)
}

/// Starts the supervisor and waits until the service runs; an earlier one is stopped first.
pub(crate) fn start(plan: &ServicePlan) -> Result<ServiceState> {
    let lock = vacate(&plan.directory)?;
    let exe = crate::machine::this_program();
    let json = serde_json::to_string(plan).context("service", "describing the service")?;
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(log_file(&plan.directory))
        .context("service", "opening the service's log")?;
    let also = log.try_clone().context("service", "opening the service's log")?;
    let mut supervisor = std::process::Command::new(exe)
        .args(["__service", &json])
        .env_clear()
        .stdin(Stdio::from(lock))
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(also))
        .spawn()
        .context("service", "starting the service's supervisor")?;
    let deadline = Instant::now() + STOP_GRACE;
    loop {
        if let Some(state) = state(&plan.directory)?.filter(|state| state.supervisor.pid == supervisor.id()) {
            match (state.state.as_str(), state.service) {
                ("running", Some(_)) => return Ok(state),
                ("gave-up", _) => return Err(failed(plan)),
                _ => {}
            }
        }
        let ended = supervisor.try_wait().context("service", "watching the service's supervisor")?;
        if ended.is_some() || Instant::now() > deadline {
            return Err(failed(plan));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn failed(plan: &ServicePlan) -> Failure {
    Failure::no("service-start", format!("`{}` does not stay up", plan.argv.join(" ")))
        .hint(format!("read `{}`", log_file(&plan.directory).display()))
}

/// Stops what runs in a service directory, and waits until it has ended.
pub(crate) fn stop(directory: &Path) -> Result<()> {
    if directory.is_dir() { vacate(directory).map(drop) } else { Ok(()) }
}

/// Stops the supervisor, then whatever of the service outlived it, and returns the lock of the next supervisor.
fn vacate(directory: &Path) -> Result<fs::File> {
    let doing = || format!("locking `{}`", lock_file(directory).display());
    let left = |processes: Vec<ProcessId>| match processes.first() {
        Some(first) => Err(Failure::new("service-stop", format!("process {} does not end", first.pid))
            .hint(format!("end it, then try again: `kill -9 {}`", first.pid))),
        None => Ok(()),
    };
    // A supervisor gives the service the same grace before it kills it.
    let grace = STOP_GRACE + Duration::from_secs(2);
    left(processes::end(&|| supervisors(directory), grace)?)?;
    left(processes::end(&|| processes(directory), STOP_GRACE)?)?;
    let lock = fs::File::options().create(true).truncate(false).write(true).open(lock_file(directory));
    let lock = lock.context("service-stop", doing())?;
    lock.try_lock().map_err(|error| {
        Failure::new("service-stop", doing()).because(&error).hint("another command starts this service: wait for it")
    })?;
    Ok(lock)
}
