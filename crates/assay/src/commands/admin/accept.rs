//! `assay admin accept`: files that an administrator changed on purpose are put on record, and sealed as they are.

use serde_json::json;
use store::seal::{self, Change, Seen};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys::KeyName;
use crate::machine;
use crate::report::Report;
use crate::session::Session;

/// The predicate type; see `docs/formats/accepted.md`.
pub(crate) const TYPE: &str = "https://assay.dev/accepted/v1";

/// Accept what was changed in the home since it was closed, and log that as a signed statement
///
/// A command that finds a file of the home changed ends with exit code 1 and names it; so does every command after it, until the
/// file is put back, or this command was given. Give it only for changes that you made yourself, such as an edited trust.json.
/// Look at `assay admin fsck` first. A changed ledger is made again, not accepted.
#[derive(Debug, clap::Args)]
pub(crate) struct AcceptArgs {}

pub(super) fn accept(context: &Context) -> Result<Report> {
    let (mut session, changes) = Session::open_to_accept(context)?;
    let statement = record(&mut session, &changes);
    session.close()?;
    let Some(statement) = statement? else {
        return Ok(Report::yes(json!({"accepted": []}), "nothing has changed since the home was closed"));
    };
    let mut lines: Vec<String> = changes.iter().map(|change| format!("accepted: {change}")).collect();
    lines.push(format!("logged as statement {statement}"));
    Ok(Report::yes(json!({"accepted": paths(&changes), "statement": statement}), lines.join("\n")))
}

/// Logs what is accepted; only then may closing seal it. Returns the digest of the statement's payload; `None` when nothing has
/// changed.
pub(super) fn record(session: &mut Session<'_>, changes: &[Change]) -> Result<Option<Digest>> {
    super::local(session, "accepting changes")?;
    if changes.is_empty() {
        return Ok(None);
    }
    let recorded = session.record(KeyName::Admin, &[statement(changes)?])?;
    super::local(session, "accepting changes")?.accept();
    Ok(recorded.into_iter().next())
}

/// The paths of changes, for `--json`.
pub(super) fn paths(changes: &[Change]) -> Vec<&std::path::Path> {
    changes.iter().map(|change| change.path.as_path()).collect()
}

fn statement(changes: &[Change]) -> Result<Statement> {
    let mut subjects = Vec::new();
    let mut files = Vec::new();
    for change in changes {
        let name = format!("{}/{}", change.root, change.name);
        let now = match &change.now {
            Seen::Missing => None,
            Seen::Bytes(digest) => Some(*digest),
            Seen::Unreadable(_) => {
                Some(seal::file_digest(&change.path).context("home", format!("reading `{}`", change.path.display()))?)
            }
        };
        let about = now.or(change.was).ok_or_else(|| Failure::new("home", format!("{change}, and was not there")))?;
        subjects.push(ResourceDescriptor::named(&name, &about));
        files.push(json!({"file": name, "was": change.was, "now": now}));
    }
    let predicate = json!({"version": 1, "files": files, "actor": machine::invoker(), "at": machine::now()?});
    Ok(Statement::new(subjects, TYPE, predicate))
}
