//! `assay admin`

pub(super) mod token;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use store::fsck::{self, Target};

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys;
use crate::report::Report;
use crate::session::{self, Session};

pub(crate) mod accept;
pub(crate) mod key;
pub(crate) mod revoke;

mod backup;

/// Look after the home: integrity, back-ups, derived tables, tokens, keys, the log's head
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Fsck(FsckArgs),
    Accept(accept::AcceptArgs),
    Reindex(ReindexArgs),
    Status(StatusArgs),
    #[command(subcommand)]
    Token(token::Command),
    #[command(subcommand)]
    Log(LogCommand),
    TrustedRoot(TrustedRootArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Revoke(revoke::RevokeArgs),
    #[command(subcommand)]
    Key(key::Command),
}

/// Check every file of the home, and every row of the ledger; write nothing
///
/// Each file is content-addressed, derivable from the log, or covered by the seal that was written when the home was closed;
/// a file that is none of these is a finding. Exit 1 when there is one.
#[derive(Debug, clap::Args)]
pub(crate) struct FsckArgs {}

/// Rebuild what is derived: tables from log and blobs, damaged hash tiles from the log's entries
#[derive(Debug, clap::Args)]
pub(crate) struct ReindexArgs {}

/// Show the log's size and head, and what protects it
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {}

/// Print the trust root as a Sigstore trusted_root.json, for stock clients
#[derive(Debug, clap::Args)]
pub(crate) struct TrustedRootArgs {}

/// The log of this home
#[derive(Debug, clap::Subcommand)]
pub(crate) enum LogCommand {
    Adopt(AdoptArgs),
    Recover(backup::RecoverArgs),
}

/// Accept the log in this home as the newest, after a back-up was restored knowingly
///
/// The newest checkpoint is also kept outside the home; when that one is missing or newer, nothing is signed until this command
/// was given. Entries made after the back-up are lost, and whoever saw them can prove it. Files that differ from the home's seal
/// are accepted as by `assay admin accept`.
#[derive(Debug, clap::Args)]
pub(crate) struct AdoptArgs {}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report> {
    match command {
        Command::Fsck(_) => fsck_home(context),
        Command::Accept(_) => accept::accept(context),
        Command::Reindex(_) => reindex(context),
        Command::Status(_) => status(context),
        Command::Token(command) => token::run(command, context),
        Command::Log(LogCommand::Adopt(_)) => adopt(context),
        Command::Log(LogCommand::Recover(args)) => backup::recover(args, context),
        Command::TrustedRoot(_) => trusted_root(context),
        Command::Backup(args) => backup::back_up(args, context),
        Command::Restore(args) => backup::restore(args, context),
        Command::Revoke(args) => revoke::run(args, context),
        Command::Key(command) => key::run(command, context),
    }
}

fn fsck_home(context: &Context) -> Result<Report> {
    let home = &context.home;
    if !home.data().is_dir() {
        return Err(Failure::new("no-home", format!("`{}` is no home of assay", home.root().display()))
            .hint("ASSAY_HOME=DIR assay admin fsck"));
    }
    let trust = keys::read_trust(&home.trust()).ok().flatten().map(Arc::new);
    let options = session::options(home, trust.clone().unwrap_or_default());
    let scratch = std::env::temp_dir().join(format!("assay-fsck-{}", std::process::id()));
    let target = Target {
        data: home.data(),
        covered: options.covered,
        heads: Some(home.heads().to_path_buf()),
        trust,
        scratch: scratch.clone(),
    };
    let findings = context.runtime.block_on(fsck::fsck(&target));
    let _absent = std::fs::remove_dir_all(&scratch);
    let findings = findings.context("fsck", "checking the home")?;
    let paths: BTreeSet<PathBuf> = findings.iter().map(|finding| finding.path.clone()).collect();
    let json = json!({
        "result": if findings.is_empty() { "pass" } else { "fail" },
        "findings": findings.iter().map(|finding| json!({"path": finding.path, "what": finding.to_string()})).collect::<Vec<_>>(),
    });
    let text = match findings.len() {
        0 => format!("`{}` is whole: every file is what it should be", home.root().display()),
        _ => {
            let mut lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            lines.push(format!("{} finding(s) in {} file(s)", findings.len(), paths.len()));
            lines.join("\n")
        }
    };
    Ok(Report::of(findings.is_empty(), json, text))
}

pub(crate) fn local<'a>(session: &'a Session<'_>, what: &str) -> Result<&'a store::home::Home> {
    session.local().ok_or_else(|| {
        Failure::new("held", format!("a server holds the home, and {what} needs it alone"))
            .hint("stop `assay serve` first")
    })
}

fn reindex(context: &Context) -> Result<Report> {
    let session = match Session::open_to_reindex(context) {
        // Only who has the lock gets as far as reading the ledger; one that cannot be read is made again from nothing.
        Err(failure) if failure.code == "ledger-damaged" => {
            for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
                let _absent = std::fs::remove_file(context.home.data().join(name));
            }
            Session::open_to_reindex(context)?
        }
        opened => opened?,
    };
    let read = local(&session, "reindexing").and_then(|home| {
        context
            .runtime
            .block_on(home.reindex())
            .map_err(|error| session::of_home("rebuilding the derived tables", error))
    });
    session.close()?;
    let (read, tiles) = read?;
    let mut text = format!("rebuilt every derived table from {read} log entries");
    for tile in &tiles {
        text.push_str(&format!("\nrebuilt `{}` from the log's entries", tile.display()));
    }
    Ok(Report::yes(json!({"entries": read, "tiles": tiles}), text))
}

fn status(context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let outcome = local(&session, "its status").map(|home| {
        let log = home.log();
        (
            log.origin().to_owned(),
            log.size(),
            log.checkpoint().to_string(),
            home.ready().map_err(|error| error.to_string()),
        )
    });
    session.close()?;
    let (origin, size, checkpoint, ready) = outcome?;
    let json = json!({
        "home": context.home.root(), "origin": origin, "size": size, "checkpoint": checkpoint,
        "ready": ready.is_ok(), "refused": ready.as_ref().err(), "head": context.home.heads(),
    });
    let state = match &ready {
        Ok(()) => "ready to sign".to_owned(),
        Err(reason) => format!("refuses to sign: {reason}"),
    };
    let text = format!(
        "home   {}\nlog    {origin}, {size} entries, {state}\nhead   also kept in {}, outside the home\n\
         note   a restored back-up of the home is noticed by that head; only a witness would notice a snapshot of the whole machine\n{checkpoint}",
        context.home.root().display(),
        context.home.heads().display(),
    );
    Ok(Report::of(ready.is_ok(), json, text.trim_end()))
}

fn adopt(context: &Context) -> Result<Report> {
    let (mut session, changes) = Session::open_to_accept(context)?;
    let outcome = local(&session, "adopting the log").and_then(|home| {
        home.adopt().map_err(|error| session::of_home("adopting the log", error))?;
        Ok((home.log().origin().to_owned(), home.log().size()))
    });
    let recorded = outcome.and_then(|adopted| accept::record(&mut session, &changes).map(|_| adopted));
    session.close()?;
    let (origin, size) = recorded?;
    let mut text = format!("{origin} goes on from {size} entries");
    for change in &changes {
        text.push_str(&format!("\naccepted: {change}"));
    }
    Ok(Report::yes(json!({"origin": origin, "size": size, "accepted": accept::paths(&changes)}), text))
}

fn trusted_root(context: &Context) -> Result<Report> {
    let trust = session::prepare(context)?;
    let text = sign::trust::to_trusted_root_json(&trust);
    let json: serde_json::Value = serde_json::from_str(&text).context("trust", "reading the trusted root")?;
    Ok(Report::yes(json!({"trustedRoot": json, "identities": identities(&trust)}), text))
}

fn identities(trust: &sign::trust::Trust) -> Vec<serde_json::Value> {
    trust
        .identities
        .iter()
        .map(|identity| json!({"name": identity.name, "keyId": identity.key.id(), "publicKey": identity.key.to_pem()}))
        .collect()
}
