//! `assay log`

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use store::log::Reader;
use tlog::quorum::Quorum;
use wire::digest::Digest;
use wire::tlog_policy::{self, TlogPolicy};
use wire::tlog_proof::{self, TlogProof};

use crate::commands::admin::local;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::machine;
use crate::remote::witness::{self, Round};
use crate::report::Report;
use crate::session::{self, Session};

/// Look at the log, have it cosigned by witnesses, and take proofs out of it
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Key(KeyArgs),
    Cosign(CosignArgs),
    Prove(ProveArgs),
    CheckProof(CheckProofArgs),
}

/// Print the log's public key as a line of a policy, for witnesses and verifiers
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {}

/// Ask the witnesses of a policy to cosign the newest checkpoint, and keep what they answer
///
/// Exit 1 when the policy's quorum is not met, or a witness has seen another history of this log: then this is an old copy
/// or a fork. `assay serve --witnesses FILE` does the same whenever the log has grown.
#[derive(Debug, clap::Args)]
pub(crate) struct CosignArgs {
    /// A C2SP tlog-policy file; witnesses with a URL are asked
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

/// Write the proof that a statement is logged as a C2SP .tlog-proof file
#[derive(Debug, clap::Args)]
pub(crate) struct ProveArgs {
    /// Digest of the statement's payload, or the number of a log entry
    #[arg(value_name = "DIGEST|INDEX")]
    entry: String,
    /// Where to write it (default: standard output)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Check a .tlog-proof against a policy, without a network: an envelope is logged, and a quorum has seen the log
#[derive(Debug, clap::Args)]
pub(crate) struct CheckProofArgs {
    /// The proof
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The log entry's bytes
    #[arg(long, value_name = "FILE")]
    entry: PathBuf,
    /// A C2SP tlog-policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report> {
    match command {
        Command::Key(_) => with_log(context, |log| {
            let key = log.note_key().to_string();
            Ok(Report::yes(json!({"origin": log.origin(), "key": key}), format!("log {key}")))
        }),
        Command::Cosign(args) => cosign(args, context),
        Command::Prove(args) => prove(args, context),
        Command::CheckProof(args) => check_proof(args),
    }
}

/// Reads a policy file whose every key can be used.
pub(crate) fn read_policy(path: &Path) -> Result<Quorum> {
    let doing = || format!("reading the policy `{}`", path.display());
    let text = read_text(path, tlog_policy::SIZE_MAX)?;
    let policy = TlogPolicy::parse(&text).context("policy", doing())?;
    Quorum::new(policy).context("policy", doing())
}

fn read_text(path: &Path, size_max: usize) -> Result<String> {
    let doing = || format!("reading `{}`", path.display());
    let bytes = store::durable::read(path, size_max as u64).context("input", doing())?;
    String::from_utf8(bytes).context("input", doing())
}

fn with_log(context: &Context, act: impl FnOnce(&Reader) -> Result<Report>) -> Result<Report> {
    let session = Session::open(context)?;
    let report = local(&session, "its log").and_then(|home| act(home.log()));
    session.close()?;
    report
}

fn cosign(args: &CosignArgs, context: &Context) -> Result<Report> {
    let quorum = read_policy(&args.policy)?;
    if quorum.policy().witnesses.iter().all(|witness| witness.url.is_none()) {
        let message = format!("`{}` names no witness with a URL", args.policy.display());
        return Err(Failure::new("policy", message).hint("witness NAME VKEY https://witness.example.org"));
    }
    let session = Session::open(context)?;
    let outcome = local(&session, "having its log cosigned").and_then(|home| {
        let round = context.runtime.block_on(witness::ask_all(&quorum, home.log()))?;
        home.keep_cosigned(&round.note).map_err(|error| session::of_home("keeping the cosignatures", error))?;
        Ok((round, home.log().note_key().clone()))
    });
    session.close()?;
    let (round, key) = outcome?;
    let met = quorum.check(&round.note, std::slice::from_ref(&key), machine::now()?);
    let (json, text) = told(&round, met.as_ref().err().map(ToString::to_string));
    Ok(Report::of(met.is_ok(), json, text))
}

/// What came of asking, for people and for programs.
fn told(round: &Round, refused: Option<String>) -> (Value, String) {
    let mut lines = Vec::new();
    let mut witnesses = Vec::new();
    for asked in &round.asked {
        let name = &asked.name;
        match &asked.outcome {
            Ok(at) => {
                lines.push(format!("cosigned  {name} at {at}"));
                witnesses.push(json!({"name": name, "cosigned": at}));
            }
            Err(failure) => {
                lines.push(format!("refused   {name}: {}", failure.sentence()));
                witnesses.push(json!({"name": name, "code": failure.code, "message": failure.sentence()}));
            }
        }
    }
    lines.push(match &refused {
        Some(reason) => reason.clone(),
        None => format!("{} entries, and the quorum is met", round.size),
    });
    let met = refused.is_none();
    (json!({"size": round.size, "witnesses": witnesses, "met": met, "refused": refused}), lines.join("\n"))
}

fn prove(args: &ProveArgs, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let outcome = local(&session, "a proof of its log").and_then(|home| {
        let index = match args.entry.parse::<u64>() {
            Ok(index) => index,
            Err(_) => index_of(&session, home, &args.entry)?,
        };
        if index >= home.log().size() {
            let message = format!("the log has no entry {index}: it has {} entries", home.log().size());
            return Err(Failure::no("no-entry", message));
        }
        home.log().receipt(index).context("log", format!("proving entry {index}"))
    });
    session.close()?;
    let receipt = outcome?;
    let proof = TlogProof {
        extra: None,
        index: receipt.index,
        hashes: receipt.proof.clone(),
        checkpoint: receipt.checkpoint.clone(),
    };
    let text = proof.to_string();
    let json = json!({"index": receipt.index, "size": receipt.size, "proof": text, "entry": wire::base64::encode(&receipt.body)});
    match &args.output {
        None => Ok(Report::yes(json, text.trim_end())),
        Some(path) => {
            let entry = path.with_extension("entry");
            for (path, bytes) in [(path, text.as_bytes()), (&entry, &receipt.body)] {
                std::fs::write(path, bytes).context("output", format!("writing `{}`", path.display()))?;
            }
            let said = format!("wrote `{}` and the entry `{}`", path.display(), entry.display());
            Ok(Report::yes(json, said))
        }
    }
}

fn index_of(session: &Session<'_>, home: &store::home::Home, text: &str) -> Result<u64> {
    let digest: Digest = text.parse().context("input", format!("`{text}` is neither a digest nor a number"))?;
    let rows = session.context().runtime.block_on(home.ledger().statements_by_payload(&digest));
    let rows = rows.context("ledger", "looking for the statement")?;
    let logged = rows.iter().find(|row| row.elsewhere.is_none()).map(|row| row.index);
    logged.ok_or_else(|| Failure::no("no-entry", format!("no statement with payload `{digest}` is logged here")))
}

fn check_proof(args: &CheckProofArgs) -> Result<Report> {
    let quorum = read_policy(&args.policy)?;
    let doing = || format!("reading `{}`", args.proof.display());
    let proof = TlogProof::parse(&read_text(&args.proof, tlog_proof::SIZE_MAX)?).context("proof", doing())?;
    let entry = store::durable::read(&args.entry, tlog::LEAF_SIZE_MAX as u64)
        .context("input", format!("reading `{}`", args.entry.display()))?;
    let checked = quorum.check(&proof.checkpoint, &[], machine::now()?);
    let witnessed = match checked {
        Ok(witnessed) => witnessed,
        Err(error) => return Err(Failure::no("not-witnessed", "checking the checkpoint").because(&error)),
    };
    let (leaf, checkpoint) = (tlog::merkle::leaf_hash(&entry), witnessed.checkpoint());
    tlog::merkle::verify_inclusion(proof.index, checkpoint.size, &leaf, &proof.hashes, &checkpoint.root)
        .map_err(|error| Failure::no("not-logged", "checking that the entry is in the log").because(&error))?;
    let cosigned: Vec<String> = witnessed.cosigned().iter().map(|(name, at)| format!("{name} at {at}")).collect();
    let text = format!(
        "entry {} of {} is in the log of {} entries; cosigned by {}",
        proof.index,
        checkpoint.origin,
        checkpoint.size,
        if cosigned.is_empty() { "nobody, and the policy asks for none".to_owned() } else { cosigned.join(", ") }
    );
    let json = json!({
        "origin": checkpoint.origin, "index": proof.index, "size": checkpoint.size, "cosigned": witnessed.cosigned(),
    });
    Ok(Report::yes(json, text))
}
