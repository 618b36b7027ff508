//! `assay witness`

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;
use server::WitnessConfig;
use sign::note::NoteKey;
use store::witness::{Witness, WitnessError};
use tokio::net::TcpListener;

use crate::commands::{log, serve};
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::report::Report;

/// Watch logs of others: cosign a log's checkpoint if it only grew since the last one
///
/// A witness keeps one directory with its keys and the newest checkpoint of each log that it follows. It speaks C2SP
/// tlog-witness, so any log that does can use it. A witness whose directory was lost, or restored from a copy, may
/// cosign a second history: give it new keys with `assay witness init`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Init(InitArgs),
    Serve(ServeArgs),
    Keys(KeysArgs),
}

/// Make a witness's directory and its keys, and print them as lines of a policy
///
/// Example: assay witness init /var/lib/witness --name witness.example.org/w1
#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// An empty directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The witness's name in cosignatures: a URL without scheme that identifies it
    #[arg(long)]
    name: String,
}

/// Serve C2SP tlog-witness until SIGTERM
///
/// One line is printed when it is ready. The logs that it follows are the `log` lines of the policy file; see
/// docs/formats/witness-policy.md.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// The witness's directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// A C2SP tlog-policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8480")]
    listen: SocketAddr,
}

/// Print a witness's public keys as lines of a policy, and what it has seen
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArgs {
    /// The witness's directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report> {
    match command {
        Command::Init(args) => {
            Witness::create(&args.directory, &args.name).map_err(|error| of_witness("making a witness", error))?;
            keys(&args.directory)
        }
        Command::Keys(args) => keys(&args.directory),
        Command::Serve(args) => serve(args, context),
    }
}

fn keys(directory: &Path) -> Result<Report> {
    let witness = open(directory)?;
    let keys: Vec<String> = witness.keys().map(ToString::to_string).collect();
    let seen: Vec<_> = witness.seen().iter().map(|log| json!({"origin": log.origin, "size": log.size})).collect();
    // One of the two is enough for a policy; the newer kind is the one to prefer.
    let lines: Vec<String> = keys.iter().rev().map(|key| format!("witness {} {key}", witness.name())).collect();
    let mut text = lines.join("\n");
    for log in witness.seen() {
        text.push_str(&format!("\n# seen {}: {} entries", log.origin, log.size));
    }
    Ok(Report::yes(json!({"name": witness.name(), "keys": keys, "seen": seen}), text))
}

fn serve(args: &ServeArgs, context: &Context) -> Result<Report> {
    serve::start_tracing(context.global.quiet);
    let quorum = log::read_policy(&args.policy)?;
    let logs: Vec<NoteKey> = quorum.logs().to_vec();
    if logs.is_empty() {
        let message = format!("`{}` names no log, so there is nothing to witness", args.policy.display());
        return Err(
            Failure::new("policy", message).hint("add the line that `assay log key` prints on the log's machine")
        );
    }
    let witness = open(&args.directory)?;
    let followed = logs.len();
    context.runtime.block_on(async {
        let listener =
            TcpListener::bind(args.listen).await.context("listen", format!("listening on {}", args.listen))?;
        let address = listener.local_addr().context("listen", "asking for the address")?;
        let shutdown = serve::until_told()?;
        let ready = format!("witness {} follows {followed} logs on http://{address}\n", witness.name());
        let mut stdout = std::io::stdout();
        stdout
            .write_all(ready.as_bytes())
            .and_then(|()| stdout.flush())
            .context("stdout", "saying that the witness is ready")?;
        server::serve_witness(listener, WitnessConfig { witness, logs, clock: serve::clock }, shutdown).await;
        Ok(Report::yes(json!({"stopped": true}), ""))
    })
}

fn open(directory: &Path) -> Result<Witness> {
    Witness::open(directory, None).map_err(|error| of_witness("opening the witness", error))
}

fn of_witness(doing: &str, error: WitnessError) -> Failure {
    let failure = Failure::new("witness", doing).because(&error);
    match &error {
        WitnessError::NotAWitness(path) => failure.hint(format!("assay witness init {} --name NAME", path.display())),
        WitnessError::Damaged { .. } => Failure { exit: 1, ..failure }.hint(
            "a witness that forgot what it saw must not go on: keep the directory, and make a new one with new keys",
        ),
        _ => failure,
    }
}
