//! `assay verify`

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::judge;
use crate::machine;
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;
use model::verdict::Outcome;

/// Check integrity and authorship of an artifact and of every statement about it
///
/// The artifact's stored bytes are digested again; signatures, signers, log proofs and checkpoints are checked against
/// trust.json. Nothing is signed or written, and no network is used. Policy is `assay gate`'s matter.
///
/// REF is NAME[:TAG][@sha256:…], sha256:…, oci:DIR, or a path that contains `/`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to verify
    #[arg(value_name = "REF")]
    reference: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let resolved = resolve(&session, &args.reference)?;
    let blobs = &session.inputs().blobs;
    if blobs.has(&resolved.digest).context("store", "looking for the artifact")? {
        blobs.verify(&resolved.digest).map_err(|error| {
            Failure::no("artifact-damaged", format!("the stored bytes of `{}`", resolved.name))
                .because(&error)
                .hint("assay admin fsck")
        })?;
    }
    let evidence = judge::evidence(&session, &resolved, None)?;
    let verdict = policy::integrity(&evidence, machine::now()?);
    session.close()?;
    Ok(Report::of(verdict.result == Outcome::Pass, judge::json(&verdict), judge::text(&verdict)))
}
