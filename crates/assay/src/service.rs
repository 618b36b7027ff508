//! A deployed service: one supervisor process for each environment and service, which outlives the command that
//! started it, keeps the service running, and says in a file what runs.
//!
//! `service.json`, version 1, written atomically in `deployments/ENV/SERVICE/`:
//!
//! ```json
//! {"version":1,"supervisor":{"pid":812,"start":190233},"service":{"pid":813,"start":190240},"restarts":0,"state":"running"}
//! ```
//!
//! `start` is the process's start time in clock ticks since boot (proc(5), stat field 22): a pid alone may be another's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Context, Failure, Result};

/// A service that ends more often than this within [`RESTART_WINDOW`] is given up.
const RESTARTS_MAX: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);
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
    /// `running`, `stopped` or `gave-up`.
    pub(crate) state: String,
}

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// Process id.
    pub(crate) pid: u32,
    start: u64,
}

impl ProcessId {
    /// Identifies a process that runs now.
    pub(crate) fn of(pid: u32) -> Option<ProcessId> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let after_name = &stat[stat.rfind(')')? + 1..];
        let mut fields = after_name.split_whitespace();
        if fields.next()? == "Z" {
            return None;
        }
        let start = fields.nth(18)?.parse().ok()?; // field 22, counted from the state, which is field 3
        Some(ProcessId { pid, start })
    }

    /// Whether that very process still runs.
    pub(crate) fn alive(self) -> bool {
        ProcessId::of(self.pid) == Some(self)
    }

    fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (true, Some(pid)) = (self.alive(), pid) {
            let _gone = kill_process(pid, signal); // it may have ended meanwhile, which is what we want
        }
    }
}

/// Reads what runs in a service directory; `None` when nothing was ever started there.
pub(crate) fn state(directory: &Path) -> Result<Option<ServiceState>> {
    let path = directory.join("service.json");
    match fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).context("service-state", format!("reading `{}`", path.display())).map(Some)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("service-state", format!("reading `{}`", path.display())),
    }
}

/// Starts the supervisor and waits until the service runs; an earlier one is stopped first.
pub(crate) fn start(plan: &ServicePlan) -> Result<ServiceState> {
    stop(&plan.directory)?;
    let exe = crate::machine::this_program();
    let json = serde_json::to_string(plan).context("service", "describing the service")?;
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(plan.directory.join("service.log"))
        .context("service", "opening the service's log")?;
    let also = log.try_clone().context("service", "opening the service's log")?;
    let mut supervisor = std::process::Command::new(exe)
        .args(["__service", &json])
        .env_clear()
        .stdin(Stdio::null())
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
        .hint(format!("read `{}`", plan.directory.join("service.log").display()))
}

/// Stops what runs in a service directory, and waits until it has ended.
pub(crate) fn stop(directory: &Path) -> Result<()> {
    let Some(state) = state(directory)? else { return Ok(()) };
    state.supervisor.signal(Signal::TERM);
    let deadline = Instant::now() + STOP_GRACE + Duration::from_secs(2);
    while state.supervisor.alive() {
        if Instant::now() > deadline {
            state.supervisor.signal(Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    if let Some(service) = state.service {
        service.signal(Signal::KILL); // only if the supervisor was killed before it could
    }
    Ok(())
}

/// The supervisor process: `__service PLAN`.
pub(crate) fn main(arguments: &[String]) -> u8 {
    let Some(plan) = arguments.first().and_then(|json| serde_json::from_str::<ServicePlan>(json).ok()) else {
        return 2;
    };
    let _leader = rustix::process::setsid(); // fails only when it leads a session already
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(supervise(&plan))) {
        Ok(Ok(())) => 0,
        Ok(Err(_)) | Err(_) => 2,
    }
}

async fn supervise(plan: &ServicePlan) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut ends: Vec<Instant> = Vec::new();
    loop {
        let mut child = spawn(plan)?;
        write_state(plan, child.id(), ends.len(), "running")?;
        tokio::select! {
            _ = terminate.recv() => {
                end(&mut child, stop_signal(&plan.stop)).await?;
                return write_state(plan, None, ends.len(), "stopped");
            }
            _ = child.wait() => {}
        }
        let now = Instant::now();
        ends.push(now);
        ends.retain(|end| now.duration_since(*end) < RESTART_WINDOW);
        if ends.len() > RESTARTS_MAX {
            return write_state(plan, None, ends.len(), "gave-up");
        }
        write_state(plan, None, ends.len(), "restarting")?;
        let pause = Duration::from_millis(100 << ends.len());
        tokio::select! {
            _ = terminate.recv() => return write_state(plan, None, ends.len(), "stopped"),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn spawn(plan: &ServicePlan) -> std::io::Result<Child> {
    let (program, arguments) = plan.argv.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        .current_dir(&plan.release)
        .env_clear()
        .envs(&plan.variables)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

fn stop_signal(name: &str) -> Signal {
    match name {
        "SIGINT" => Signal::INT,
        "SIGQUIT" => Signal::QUIT,
        "SIGHUP" => Signal::HUP,
        _ => Signal::TERM,
    }
}

async fn end(child: &mut Child, signal: Signal) -> std::io::Result<()> {
    if let Some(id) = child.id().and_then(ProcessId::of) {
        id.signal(signal);
    }
    match tokio::time::timeout(STOP_GRACE, child.wait()).await {
        Ok(status) => status.map(|_how| ()),
        Err(_) => child.kill().await,
    }
}

fn write_state(plan: &ServicePlan, pid: Option<u32>, restarts: usize, state: &str) -> std::io::Result<()> {
    let supervisor = ProcessId::of(std::process::id()).ok_or(std::io::ErrorKind::NotFound)?;
    let state = ServiceState {
        version: 1,
        supervisor,
        service: pid.and_then(ProcessId::of),
        restarts,
        state: state.to_owned(),
    };
    let json = serde_json::to_vec(&state)?;
    let temporary = plan.directory.join("service.json.new");
    fs::write(&temporary, json)?;
    fs::rename(temporary, plan.directory.join("service.json"))
}
