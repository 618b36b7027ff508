//! `greeter [--listen ADDR]`

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use greeter::config::Config;
use greeter::server;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let config = Config::read(std::env::args().skip(1), |name| std::env::var(name).ok())?;
    // Before the socket: a signal that comes between the two must not be lost.
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let running = server::start(&config)?;
    let mut out = io::stdout();
    writeln!(out, "greeter {} listens on http://{}", env!("CARGO_PKG_VERSION"), running.address())?;
    out.flush()?;
    signals.forever().next();
    running.stop();
    writeln!(out, "greeter stopped")?;
    Ok(())
}

/// The error and its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
