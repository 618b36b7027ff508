//! Looking at a service from within its own network: `__inside PID ask URL`, `__inside PID run PROGRAM...`, `__inside probe`.
//!
//! A process of its own, since entering another user's namespace needs a single thread.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::error::{Context, Failure, Result};
use crate::live;
use crate::machine;

/// Whether a service can be given a network of its own here.
pub(crate) fn is_possible() -> bool {
    let probe = Command::new(machine::this_program())
        .args(["__inside", "probe"])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    probe.is_ok_and(|status| status.success())
}

/// The command that runs another one in the network of a process.
pub(crate) fn command(pid: u32) -> Command {
    let mut command = Command::new(machine::this_program());
    command.args(["__inside", &pid.to_string(), "run"]);
    command
}

/// Asks a URL in the network of a process; returns what was answered.
pub(crate) fn ask(pid: u32, url: &str) -> Result<String> {
    let output = Command::new(machine::this_program())
        .args(["__inside", &pid.to_string(), "ask", url])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .context("health", format!("asking `{url}` in the service's network"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(Failure::no("health", said(&output.stderr))) }
}

/// The process itself.
pub(crate) fn main(arguments: &[String]) -> u8 {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["probe"] => sandbox::network::own().context("network", "making a network"),
        [pid, "ask", url] => join(pid)
            .and_then(|()| asked(url))
            .and_then(|answer| writeln!(std::io::stdout(), "{answer}").context("health", "saying what was answered")),
        [pid, "run", program, ref rest @ ..] => join(pid).and_then(|()| {
            let error = Command::new(program).args(rest).exec();
            Err(Failure::new("runbook", format!("running `{program}`")).because(&error))
        }),
        _ => Err(Failure::new("usage", "`__inside` is no command for people")),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => {
            let _closed = writeln!(std::io::stderr(), "{failure}"); // the exit code says as much
            1
        }
    }
}

fn join(pid: &str) -> Result<()> {
    let number = pid.parse().context("network", format!("reading the process id `{pid}`"))?;
    sandbox::network::join(number).context("network", format!("entering the network of process {pid}"))
}

fn asked(url: &str) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("health", "preparing to ask")?.block_on(live::answer(url))
}
