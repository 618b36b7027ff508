//! `assay admin backup` and `assay admin restore`; `assay admin log recover`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use store::backup::{self, BackupError, Copy, Place, Source, Taken};
use store::log::Newer;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::machine;
use crate::remote::copy::RemoteCopy;
use crate::report::Report;
use crate::session::{self, Session};

/// Copy what can't be made again to DIR, beside whoever is at work; the second time only what is new
///
/// DIR then holds log, blobs, trees, keys and trust root as of one checkpoint; keep it as safe as the home, for the private keys
/// are in it. Not in it: the ledger, which is made again, deployments, and the head outside the home, which tells an old copy from
/// the newest. Exit 1 when a blob or a tree of the home is damaged; everything else is taken all the same.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    /// An empty directory, or one with a back-up of this home
    #[arg(value_name = "DIR")]
    to: PathBuf,
}

/// Put a back-up back as this home, which must not be there yet, or check it
///
/// Every byte is hashed, and the log's root is computed from all its entries. Where the head outside the home is newer, the
/// restored home can be read and refuses to sign: `assay admin log recover` takes over what another copy has, `assay admin log
/// adopt` gives it up. After an interruption the same command goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// A directory that `assay admin backup` wrote
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// Check the back-up and write nothing
    #[arg(long)]
    check: bool,
}

/// Take over the log entries that another copy of this log has and this home lost
///
/// For a restored back-up: a mirror, a later copy or another server may have what it lacks. Only entries that this log's own key
/// has signed and that continue the entries here are taken, with their envelopes; so no second history is made. From a directory,
/// missing blobs and trees come along. Exit 1 when the head outside is newer than the other copy, too.
#[derive(Debug, clap::Args)]
pub(crate) struct RecoverArgs {
    /// Another home, data directory or back-up, or the URL of an `assay serve`
    #[arg(long, value_name = "DIR|URL")]
    from: String,
}

pub(super) fn back_up(args: &BackupArgs, context: &Context) -> Result<Report> {
    let home = &context.home;
    if !home.data().join("VERSION").is_file() {
        return Err(Failure::new("no-home", format!("`{}` is no home of assay", home.root().display()))
            .hint("ASSAY_HOME=DIR assay admin backup DIR"));
    }
    let covered = session::options(home, Default::default()).covered;
    let source = Source { data: home.data(), covered };
    let mut told = |what: &str| context.progress.doing(&format!("copying {what}"));
    let taken = backup::back_up(&source, &args.to, machine::now()?, &mut told)
        .map_err(|error| of_backup("taking a back-up", error))?;
    let text = format!(
        "{} holds {} log entries, {}, {}: {} new bytes",
        args.to.display(),
        taken.entries,
        counted(taken.blobs.copied, taken.blobs.there, "blobs"),
        counted(taken.trees.copied, taken.trees.there, "trees"),
        taken.bytes,
    );
    Ok(told_of(&taken, json!({"directory": args.to}), text, "could not be taken"))
}

pub(super) fn restore(args: &RestoreArgs, context: &Context) -> Result<Report> {
    let home = &context.home;
    let beside = ["deployments", "projects", "runs"].map(str::to_owned).to_vec();
    let roots = BTreeMap::from([("home".to_owned(), home.root().to_path_buf())]);
    let place = Place { data: home.data(), roots, beside };
    let mut told = |what: &str| context.progress.doing(&format!("checking {what}"));
    let place = (!args.check).then_some(&place);
    let taken =
        backup::restore(&args.from, place, &mut told).map_err(|error| of_backup("restoring a back-up", error))?;
    if args.check {
        let text = format!(
            "`{}` is whole: {} log entries, {} blobs, {} trees",
            args.from.display(),
            taken.entries,
            taken.blobs.there,
            taken.trees.there
        );
        return Ok(told_of(&taken, json!({"directory": args.from}), text, "is damaged"));
    }
    context.progress.doing("making the ledger from the log");
    let session = Session::open(context)?;
    let ready = super::local(&session, "restoring").map(|home| home.ready().err().map(|error| error.to_string()));
    session.close()?;
    let refused = ready?;
    let mut text = format!("`{}` is a home of {} log entries again", home.root().display(), taken.entries);
    if let Some(refused) = &refused {
        text.push_str(&format!("\nit can be read, and refuses to sign: {refused}\nif another copy has what is missing: assay admin log recover --from DIR|URL"));
    }
    let json = json!({"home": home.root(), "refuses": refused});
    Ok(told_of(&taken, json, text, "is damaged"))
}

pub(super) fn recover(args: &RecoverArgs, context: &Context) -> Result<Report> {
    let remote = args.from.contains("://");
    let copy = if remote { None } else { Some(directory(Path::new(&args.from))?) };
    let newer: Box<dyn Newer + Send> = match &copy {
        Some(copy) => Box::new(copy.clone()),
        None => Box::new(RemoteCopy::new(&args.from, context)?),
    };
    let session = Session::open(context)?;
    let outcome = super::local(&session, "recovering the log").and_then(|home| {
        context.progress.doing("comparing the two copies of the log");
        let recovered = context
            .runtime
            .block_on(home.recover(newer))
            .map_err(|error| session::of_home("recovering the log", error))?;
        let taken = copy.as_ref().map(|copy| backup::take_missing(home, copy)).transpose();
        Ok((recovered, taken.map_err(|error| of_backup("copying blobs and trees", error))?.unwrap_or_default()))
    });
    session.close()?;
    let (recovered, taken) = outcome?;
    let mut text =
        format!("took over {} log entries: there are {} now", recovered.size - recovered.before, recovered.size);
    if taken.blobs.copied + taken.trees.copied > 0 {
        text.push_str(&format!(
            ", and {} blobs and {} trees that were missing",
            taken.blobs.copied, taken.trees.copied
        ));
    }
    let refused = recovered.refused.as_ref().map(ToString::to_string);
    match &refused {
        None => text.push_str("\nthis is the newest copy of the log, and signs again"),
        Some(refused) => text.push_str(&format!("\nit still refuses to sign: {refused}")),
    }
    let json = json!({"before": recovered.before, "size": recovered.size, "refuses": refused, "damaged": taken.damaged,
        "blobs": taken.blobs.copied, "trees": taken.trees.copied});
    Ok(Report::of(refused.is_none() && taken.damaged.is_empty(), json, text))
}

fn directory(path: &Path) -> Result<Copy> {
    Copy::at(path).map_err(|error| {
        Failure::new("input", error.to_string()).hint("name a home, a data directory, a back-up, or a URL")
    })
}

fn counted(copied: u64, there: u64, what: &str) -> String {
    format!("{} {what} ({copied} new)", copied + there)
}

/// What was taken, and what was not; the latter is the honest no.
fn told_of(taken: &Taken, mut json: Value, mut text: String, what: &str) -> Report {
    json["entries"] = json!(taken.entries);
    json["blobs"] = json!({"copied": taken.blobs.copied, "there": taken.blobs.there});
    json["trees"] = json!({"copied": taken.trees.copied, "there": taken.trees.there});
    json["bytes"] = json!(taken.bytes);
    json["damaged"] = json!(taken.damaged);
    if !taken.damaged.is_empty() {
        text = taken.damaged.iter().map(|damaged| format!("{what}: {damaged}\n")).collect::<String>();
        text.push_str(&format!("{} of it {what}; the rest is whole", taken.damaged.len()));
    }
    Report::of(taken.damaged.is_empty(), json, text)
}

fn of_backup(doing: &str, error: BackupError) -> Failure {
    let code = match &error {
        BackupError::Occupied { .. } | BackupError::Exists(_) | BackupError::Inside { .. } => "occupied",
        BackupError::OtherLog { .. } | BackupError::Newer { .. } => "other-log",
        BackupError::Damaged { .. } | BackupError::Blob(_) | BackupError::Trees(_) => "backup-damaged",
        BackupError::Manifest(_) => "no-backup",
        BackupError::Lock(_) => "held",
        BackupError::Log(_) => "log",
        BackupError::File(_) => "store",
    };
    let hint = match &error {
        BackupError::Occupied { .. } | BackupError::OtherLog { .. } | BackupError::Inside { .. } => {
            Some("choose an empty directory outside of the home")
        }
        BackupError::Exists(_) => Some("ASSAY_HOME=EMPTY_DIR assay admin restore DIR"),
        BackupError::Damaged { .. } | BackupError::Blob(_) | BackupError::Trees(_) => {
            Some("assay admin restore --check DIR, and look for another back-up")
        }
        _ => None,
    };
    // Damage is the honest no; all else leaves open whether there is any.
    let failure = if code == "backup-damaged" { Failure::no(code, doing) } else { Failure::new(code, doing) };
    let failure = failure.because(&error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
