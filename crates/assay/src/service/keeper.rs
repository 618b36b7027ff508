//! The supervisor process of a service, `__service PLAN`: starts it, starts it again when it ends, and says in a file what runs.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::processes::ProcessId;
use super::{STOP_GRACE, ServicePlan, ServiceState, state_file};
use crate::runbook::durable;

/// A service that ends more often than this within [`RESTART_WINDOW`] is given up.
const RESTARTS_MAX: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// The process itself.
pub(crate) fn main(arguments: &[String]) -> u8 {
    let Some(plan) = arguments.first().and_then(|json| serde_json::from_str::<ServicePlan>(json).ok()) else {
        return 2;
    };
    let _leader = rustix::process::setsid(); // fails only when it leads a session already
    if plan.own_network && sandbox::network::own().is_err() {
        return 2;
    }
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

/// Standard input is the supervisor's lock, which the service must not hold; its output is the log, by which it is found.
fn spawn(plan: &ServicePlan) -> std::io::Result<Child> {
    let (program, arguments) = plan.argv.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        .current_dir(&plan.release)
        .env_clear()
        .envs(&plan.variables)
        .stdin(std::process::Stdio::null())
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
        own_network: plan.own_network,
    };
    durable(&state_file(&plan.directory), &serde_json::to_vec(&state)?)
}
