//! `assay serve`

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;
use server::{Config, ServerKeys, Settings};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wire::timestamp::Timestamp;

use crate::commands::admin;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::{self, KeyName};
use crate::machine;
use crate::report::Report;
use crate::session::{self, Session};

/// Serve registry, log, API and dashboard from one directory, until SIGTERM
///
/// One process and one directory. The first time, an admin token is printed once on standard error. While a server runs,
/// commands with the same ASSAY_HOME speak to it. One line is printed when it is ready.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data directory (default: $ASSAY_HOME/data)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8470")]
    listen: SocketAddr,
    /// Let everybody read without a token
    #[arg(long)]
    anonymous_read: bool,
    /// The URL by which clients reach the server, if a proxy stands before it
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<Report> {
    if let Some(data) = &args.data {
        context.home.data_at(data)?;
    }
    context.global.server = None;
    start_tracing(context.global.quiet);
    let mut session = Session::open(context)?;
    let Some(home) = session.local().cloned() else {
        return Err(
            Failure::new("held", "another server holds this directory").hint("stop it, or speak to it with --server")
        );
    };
    let served = serve(&mut session, home, args);
    session.close()?;
    served?;
    Ok(Report::yes(json!({"stopped": true}), ""))
}

#[allow(clippy::print_stderr)]
fn serve(session: &mut Session<'_>, home: store::home::Home, args: &Args) -> Result<()> {
    let context = session.context();
    if keys::operator_token(&context.home).is_none() {
        let token = admin::grant(session, "operator", "admin", &["*".to_owned()])?;
        keys::write_operator_token(&context.home, &token)?;
        eprintln!("admin token (shown once): {token}");
    }
    let config = Config {
        home: home.clone(),
        keys: ServerKeys {
            publisher: keys::read_key(&context.home, KeyName::Publisher)?,
            admin: Some(keys::read_key(&context.home, KeyName::Admin)?),
        },
        settings: Settings {
            anonymous_read: args.anonymous_read,
            public_url: args.public_url.clone(),
            ..Settings::default()
        },
        clock,
        random,
    };
    context.runtime.block_on(async {
        let listener =
            TcpListener::bind(args.listen).await.context("listen", format!("listening on {}", args.listen))?;
        let address = listener.local_addr().context("listen", "asking for the address")?;
        home.announce(&format!("http://{address}"))
            .map_err(|error| session::of_home("announcing the server", error))?;
        let mut terminate = signal(SignalKind::terminate()).context("signal", "waiting for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("signal", "waiting for SIGINT")?;
        let mut stdout = std::io::stdout();
        let ready = format!("assay serves {} on http://{address}\n", home.path().display());
        stdout
            .write_all(ready.as_bytes())
            .and_then(|()| stdout.flush())
            .context("stdout", "saying that the server is ready")?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        server::serve(listener, config, shutdown).await.context("serve", "serving")
    })
}

/// The clock of the server; a clock outside the years 1970 to 9999 was refused at the start.
fn clock() -> Timestamp {
    machine::now().unwrap_or_else(|_| Timestamp::from_unix_s(0).expect("1970 is in range"))
}

fn random(buffer: &mut [u8]) {
    use std::io::Read;
    let filled = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(buffer));
    // Without randomness tokens could be guessed: ending the process is the only safe answer.
    filled.expect("`/dev/urandom` can be read");
}

fn start_tracing(quiet: bool) {
    let level =
        if quiet { tracing::level_filters::LevelFilter::ERROR } else { tracing::level_filters::LevelFilter::INFO };
    let _already = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).try_init();
}
