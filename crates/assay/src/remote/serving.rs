//! `assay serve` as a child process, for as long as something of this program needs a server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Context as _, Failure, Result};
use crate::home::Home;

/// How long the server may take to end its requests and seal the home.
const STOP_MAX: Duration = Duration::from_secs(30);
/// Between two looks at whether it has ended.
const STEP: Duration = Duration::from_millis(20);

/// A running server; it is stopped when this value is dropped.
pub(crate) struct Serving {
    child: Child,
}

impl Serving {
    /// Serves the home on a free port of this machine, and returns when the server is ready.
    pub(crate) fn start(home: &Home) -> Result<Serving> {
        let exe = crate::machine::this_program();
        let mut child = Command::new(exe)
            .args(["serve", "--quiet", "--listen", "127.0.0.1:0"])
            .env("ASSAY_HOME", home.root())
            .env_remove("ASSAY_SERVER")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()) // an admin token stands there, the first time
            .spawn()
            .context("serve", "starting the server")?;
        let stdout = child.stdout.take();
        let serving = Serving { child };
        let mut ready = String::new();
        let stdout = stdout.ok_or_else(|| Failure::new("serve", "the server has no output"))?;
        BufReader::new(stdout).read_line(&mut ready).context("serve", "waiting for the server")?;
        match ready.is_empty() {
            false => Ok(serving),
            true => Err(Failure::new("serve", "the server ended before it was ready").hint("assay serve")),
        }
    }

    /// Stops the server, and returns when it has sealed the home.
    pub(crate) fn stop(mut self) -> Result<()> {
        let ended = self.end();
        match ended.context("serve", "stopping the server")? {
            true => Ok(()),
            false => {
                Err(Failure::new("serve", "the server did not end in time and was killed").hint("assay admin fsck"))
            }
        }
    }

    /// Whether it ended by itself.
    fn end(&mut self) -> std::io::Result<bool> {
        if self.child.try_wait()?.is_some() {
            return Ok(true);
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let deadline = Instant::now() + STOP_MAX;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(true);
            }
            std::thread::sleep(STEP);
        }
        self.child.kill()?;
        self.child.wait().map(|_| false)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended = self.end();
    }
}
