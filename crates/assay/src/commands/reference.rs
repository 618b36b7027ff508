//! `assay reference`

use attest::predicate::reference::Reference;
use serde_json::json;
use wire::digest::Digest;

use crate::context::Context;
use crate::error::{Context as _, Result};
use crate::keys::KeyName;
use crate::machine;
use crate::report::Report;
use crate::session::Session;

/// Record digests that somebody else vouches for, as reference for the rule `reference-digest`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(AddArgs),
}

/// Record a published checksum of an artifact
///
/// Example: assay reference add greeter sha256:9f86… --source https://example.org/greeter-1.2.0.sha256
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Artifact name
    name: String,
    /// The digest that it should have
    digest: String,
    /// Where the checksum was published
    #[arg(long, value_name = "URL")]
    source: String,
    /// The commit that it is the reference for (default: every build of that name, until a newer record)
    #[arg(long)]
    commit: Option<String>,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report> {
    let Command::Add(args) = command;
    let digest: Digest = args.digest.parse().context("digest", format!("reading `{}`", args.digest))?;
    let mut session = Session::open(context)?;
    let reference = Reference {
        artifact: args.name.clone(),
        digest,
        commit: args.commit.clone(),
        origin: args.source.clone(),
        actor: machine::invoker(),
        at: machine::now()?,
    };
    let payload = session.record(KeyName::Admin, &[attest::reference(&reference)])?;
    session.close()?;
    let json = json!({"name": args.name, "digest": digest, "source": args.source, "statement": payload.first()});
    Ok(Report::yes(json, format!("recorded: {} should be {digest}, says {}", args.name, args.source)))
}
