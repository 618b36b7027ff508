//! `assay verify`

use crate::context::Context;
use crate::error::Result;
use crate::judge;
use crate::machine;
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;
use model::verdict::Outcome;

/// Check integrity and authorship of an artifact and of every statement about it
///
/// Signatures, signers, log proofs and checkpoints are checked against trust.json; nothing is signed or written, and no
/// network is used. Policy is `assay gate`'s matter.
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
    let evidence = judge::evidence(&session, &resolved, None)?;
    let verdict = policy::integrity(&evidence, machine::now()?);
    session.close()?;
    Ok(Report::of(verdict.result == Outcome::Pass, judge::json(&verdict), judge::text(&verdict)))
}
