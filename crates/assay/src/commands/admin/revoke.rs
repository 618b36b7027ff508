//! `assay admin revoke`

use attest::predicate::revocation::Revocation;
use serde_json::json;
use wire::timestamp::Timestamp;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::keys::KeyName;
use crate::machine;
use crate::report::Report;
use crate::session::Session;

mod key;

/// Take somebody's word for nothing any more, by a logged statement
///
/// Of ISSUER: from now on the server issues no certificates to SUBJECT, or without one to nobody of the issuer, and what they sign
/// does not count. What they signed before still counts.
///
/// With --key: what that key has signed counts only where it was logged before --from, at once and for every gate. Of the
/// home's own keys a new one takes the place. Lists what the key has signed since, and what of it was deployed where. Killed at
/// any step, the same command ends it. Stop `assay serve` first.
///
/// Examples: assay admin revoke https://accounts.example.org jane@example.org --reason 'has left'
///           assay admin revoke --key builder-full --from 2026-11-22T19:41:00Z --reason 'laptop stolen'
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// URL of the issuer of identity tokens, letter by letter
    #[arg(value_name = "ISSUER", required_unless_present = "key", conflicts_with = "key")]
    issuer: Option<String>,
    /// The name in certificates, letter by letter: an e-mail address or a URI
    #[arg(value_name = "SUBJECT")]
    subject: Option<String>,
    /// A key of trust.json: its id, or the name of one of the home's own
    #[arg(long, value_name = "NAME|KEYID", requires = "from")]
    key: Option<String>,
    /// Since when the key is not its owner's alone: 2026-11-22T19:41:00Z
    #[arg(long, value_name = "TIME", requires = "key")]
    from: Option<Timestamp>,
    /// Why, for who reads it later
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) fn run(args: &RevokeArgs, context: &Context) -> Result<Report> {
    match (&args.issuer, &args.key, args.from) {
        (None, Some(key), Some(from)) => key::revoke(key, from, &args.reason, context),
        (Some(issuer), None, None) => of_issuer(issuer, args, context),
        _ => Err(Failure::new("usage", "either ISSUER, or --key with --from").hint("assay admin revoke --help")),
    }
}

fn of_issuer(issuer: &str, args: &RevokeArgs, context: &Context) -> Result<Report> {
    let revocation = Revocation {
        issuer: issuer.to_owned(),
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
    let text = format!("revoked the certificates of {whose} of {issuer} from {} on", revocation.at);
    let json = json!({"issuer": issuer, "subject": args.subject, "at": revocation.at, "statement": payload});
    Ok(Report::yes(json, text))
}
