//! `assay serve`

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use server::{Config, LogWrites, ServerKeys, Settings};
use tlog::quorum::Quorum;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wire::timestamp::Timestamp;

use crate::authority;
use crate::commands::{admin, log};
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::{self, KeyName};
use crate::machine;
use crate::remote::issuer_keys::Fetched;
use crate::remote::witness;
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
    /// A C2SP tlog-policy file: its witnesses with a URL are asked to cosign the log whenever it has grown
    #[arg(long, value_name = "FILE")]
    witnesses: Option<PathBuf>,
    /// Whose identity tokens get certificates (default: $ASSAY_HOME/issuers.toml; without one nobody's)
    #[arg(long, value_name = "FILE")]
    issuers: Option<PathBuf>,
    /// The URL by which clients reach the server, if a proxy stands before it
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Who may log entries by Rekor's API, for which stock clients send no token: `off`, `token`, `certified` (a token, or a
    /// certificate of an authority of the trust root), `anyone`
    #[arg(long, value_name = "WHO", default_value = "certified", value_parser = log_writes)]
    log_writes: LogWrites,
}

/// How often the server looks whether the log has grown since it was cosigned.
const COSIGN_EVERY: Duration = Duration::from_secs(1);

/// When a witness that did not cosign is asked again.
const COSIGN_AGAIN: Duration = Duration::from_secs(10);

pub(super) fn run(args: &Args, context: &mut Context) -> Result<Report> {
    if let Some(data) = &args.data {
        context.home.data_at(data)?;
    }
    context.global.server = None;
    start_tracing(context.global.quiet);
    let issuers = authority::issuers(&context.home, args.issuers.as_deref())?;
    authority::prepare(context, &authority::url(args.public_url.as_deref(), args.listen))?;
    let mut session = Session::open(context)?;
    let Some(home) = session.local().cloned() else {
        return Err(
            Failure::new("held", "another server holds this directory").hint("stop it, or speak to it with --server")
        );
    };
    let served = serve(&mut session, home, issuers, args);
    session.close()?;
    served?;
    Ok(Report::yes(json!({"stopped": true}), ""))
}

#[allow(clippy::print_stderr)]
fn serve(
    session: &mut Session<'_>,
    home: store::home::Home,
    issuers: Vec<sign::identity::Issuer>,
    args: &Args,
) -> Result<()> {
    let context = session.context();
    let quorum = args.witnesses.as_deref().map(log::read_policy).transpose()?;
    if keys::operator_token(&context.home).is_none() {
        let token = admin::token::grant(session, "operator", "admin", &["*".to_owned()])?;
        session::amend(context, || keys::write_operator_token(&context.home, &token))?;
        eprintln!("admin token (shown once): {token}");
    }
    let named = issuers.iter().any(|issuer| !issuer.pseudonymous);
    if named {
        tracing::warn!(
            "identities in certificates stay in the certificate log for ever: `pseudonymous = true` hides them"
        );
    }
    let sigstore = authority::open(&context.home, &home, issuers, Arc::new(Fetched::new()?))?;
    let config = Config {
        home: home.clone(),
        keys: ServerKeys {
            publisher: keys::read_key(&context.home, KeyName::Publisher)?,
            admin: Some(keys::read_key(&context.home, KeyName::Admin)?),
        },
        settings: Settings {
            anonymous_read: args.anonymous_read,
            public_url: args.public_url.clone(),
            log_writes: args.log_writes,
            ..Settings::default()
        },
        sigstore: Some(sigstore),
        clock,
        random,
    };
    context.runtime.block_on(async {
        let listener =
            TcpListener::bind(args.listen).await.context("listen", format!("listening on {}", args.listen))?;
        let address = listener.local_addr().context("listen", "asking for the address")?;
        home.announce(&format!("http://{address}"))
            .map_err(|error| session::of_home("announcing the server", error))?;
        let shutdown = until_told()?;
        let mut stdout = std::io::stdout();
        let ready = format!("assay serves {} on http://{address}\n", home.path().display());
        stdout
            .write_all(ready.as_bytes())
            .and_then(|()| stdout.flush())
            .context("stdout", "saying that the server is ready")?;
        let cosigning = quorum.map(|quorum| tokio::spawn(keep_cosigned(quorum, home.clone())));
        let served = server::serve(listener, config, shutdown).await.context("serve", "serving");
        if let Some(cosigning) = cosigning {
            cosigning.abort();
            let _cancelled = cosigning.await;
        }
        served
    })
}

fn log_writes(text: &str) -> std::result::Result<LogWrites, String> {
    let found = LogWrites::ALL.iter().find(|(_, name)| *name == text);
    found.map(|(writes, _)| *writes).ok_or_else(|| "expected `off`, `token`, `certified` or `anyone`".to_owned())
}

/// Is done at SIGTERM or SIGINT. To be made in the runtime, before anybody is told that it is ready.
pub(crate) fn until_told() -> Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate()).context("signal", "waiting for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signal", "waiting for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Has the log cosigned whenever it has grown. Publishing never waits for it; a witness that is away is asked again.
async fn keep_cosigned(quorum: Quorum, home: store::home::Home) {
    let mut pause = COSIGN_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let log = home.log();
        let cosigned = log.cosigned().ok().flatten().map_or(0, |(_, checkpoint)| checkpoint.size);
        if cosigned == log.size() && pause == COSIGN_EVERY {
            continue;
        }
        let round = match witness::ask_all(&quorum, log).await {
            Ok(round) => round,
            Err(failure) => {
                tracing::error!(error = failure.sentence(), "having the log cosigned");
                pause = COSIGN_AGAIN;
                continue;
            }
        };
        let mut complete = true;
        for asked in &round.asked {
            if let Err(failure) = &asked.outcome {
                complete = false;
                match failure.exit {
                    1 => {
                        tracing::error!(witness = asked.name, error = failure.sentence(), "this log is not the newest")
                    }
                    _ => tracing::warn!(witness = asked.name, error = failure.sentence(), "not cosigned"),
                }
            }
        }
        let (kept, note) = (home.clone(), round.note);
        let kept = tokio::task::spawn_blocking(move || kept.keep_cosigned(&note)).await;
        if let Ok(Err(error)) = kept {
            tracing::error!(%error, "keeping the cosignatures");
        }
        pause = if complete { COSIGN_EVERY } else { COSIGN_AGAIN };
    }
}

/// The clock of the server; a clock outside the years 1970 to 9999 was refused at the start.
pub(crate) fn clock() -> Timestamp {
    machine::now().unwrap_or_else(|_| Timestamp::from_unix_s(0).expect("1970 is in range"))
}

fn random(buffer: &mut [u8]) {
    use std::io::Read;
    let filled = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(buffer));
    // Without randomness tokens could be guessed: ending the process is the only safe answer.
    filled.expect("`/dev/urandom` can be read");
}

pub(crate) fn start_tracing(quiet: bool) {
    let level =
        if quiet { tracing::level_filters::LevelFilter::ERROR } else { tracing::level_filters::LevelFilter::INFO };
    let _already = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).try_init();
}
