//! `assay sbom`

use attest::Claim;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;

/// Print the bill of materials of an artifact: what was pinned for its build, and what that build read
///
/// A CycloneDX 1.6 document, as it was signed and logged, of the newest build: what no process opened a file of has the scope
/// `excluded`. With --json it is the field `bom`, beside the digest of its statement.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The artifact
    #[arg(value_name = "REF")]
    reference: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let resolved = resolve(&session, &args.reference)?;
    let found = session.about(&[resolved.digest])?.attestations;
    session.close()?;
    let of_sbom = |one: &&attest::Attestation| one.authorised() && matches!(one.claim(), Claim::Sbom(_));
    let at = |one: &&attest::Attestation| match one.claim() {
        Claim::Sbom(sbom) => Some(sbom.at),
        _ => None,
    };
    let Some(newest) = found.iter().filter(of_sbom).max_by_key(at) else {
        return Err(Failure::no("no-sbom", format!("no build of `{}` stated what it read", resolved.name))
            .hint("assay build --again"));
    };
    let statement = newest.statement();
    let bom = statement.value().predicate.clone();
    let text = serde_json::to_string_pretty(&bom).expect("a document has string keys only");
    Ok(Report::yes(serde_json::json!({ "bom": bom, "statement": statement.payload() }), text))
}
