//! `assay admin revoke`

use attest::predicate::revocation::Revocation;
use serde_json::json;

use crate::context::Context;
use crate::error::Result;
use crate::keys::KeyName;
use crate::machine;
use crate::report::Report;
use crate::session::Session;

/// Give somebody no further certificates, by a logged statement
///
/// From then on the server issues none to them, and what they sign does not count. Without SUBJECT this is true of everybody
/// of the issuer. What they signed before still counts.
///
/// Example: assay admin revoke https://accounts.example.org jane@example.org --reason 'has left'
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// URL of the issuer of identity tokens, letter by letter
    #[arg(value_name = "ISSUER")]
    issuer: String,
    /// The name in certificates, letter by letter: an e-mail address or a URI
    #[arg(value_name = "SUBJECT")]
    subject: Option<String>,
    /// Why, for who reads it later
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) fn run(args: &RevokeArgs, context: &Context) -> Result<Report> {
    let revocation = Revocation {
        issuer: args.issuer.clone(),
        subject: args.subject.clone(),
        at: machine::now()?,
        reason: args.reason.clone(),
        actor: machine::invoker(),
    };
    let mut session = Session::open(context)?;
    let recorded = session.record(KeyName::Admin, &[attest::revocation(&revocation)]);
    session.close()?;
    let payload = recorded?.first().map(ToString::to_string);
    let whose = args.subject.as_deref().unwrap_or("everybody");
    let text = format!("revoked the certificates of {whose} of {} from {} on", args.issuer, revocation.at);
    let json = json!({"issuer": args.issuer, "subject": args.subject, "at": revocation.at, "statement": payload});
    Ok(Report::yes(json, text))
}
