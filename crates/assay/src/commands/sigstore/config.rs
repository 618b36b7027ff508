//! `assay sigstore trusted-root`, `signing-config` and `trust-config`: what clients need to use this home's server.

use std::path::PathBuf;

use serde_json::Value;
use sign::trust::Trust;

use crate::authority;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::keys;
use crate::report::Report;
use crate::session::Session;

/// Where a server is, if neither it nor the command says.
const USUAL: &str = "http://127.0.0.1:8470";

/// Print whom clients trust: this home's logs and authorities, as a trusted_root.json (v0.1)
#[derive(Debug, clap::Args)]
pub(crate) struct TrustedRootArgs {}

/// Print where clients sign: this home's server, as a signing_config.json (v0.2)
///
/// Example: assay sigstore signing-config --url https://sigstore.example.org
#[derive(Debug, clap::Args)]
pub(crate) struct SigningConfigArgs {
    #[command(flatten)]
    place: Place,
}

/// Print both as a client trust configuration (v0.1)
///
/// Example: assay sigstore trust-config > trust.json && sigstore --trust-config trust.json sign app.tar
#[derive(Debug, clap::Args)]
pub(crate) struct TrustConfigArgs {
    #[command(flatten)]
    place: Place,
}

/// Where the server is, and whose tokens it takes.
#[derive(Debug, clap::Args)]
struct Place {
    /// The URL by which clients reach the server (default: that of the server which holds this home)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Whose identity tokens it takes, if not $ASSAY_HOME/issuers.toml says
    #[arg(long, value_name = "FILE")]
    issuers: Option<PathBuf>,
}

pub(super) fn trusted_root(context: &Context) -> Result<Report> {
    printed(sign::trust::to_trusted_root_json(&trust(context)?))
}

pub(super) fn signing_config(args: &SigningConfigArgs, context: &Context) -> Result<Report> {
    let (trust, operator, url, issuers) = place(&args.place, context)?;
    printed(server::signing_config_at(&url, &operator, &trust, &issuers).to_json())
}

pub(super) fn trust_config(args: &TrustConfigArgs, context: &Context) -> Result<Report> {
    let (trust, operator, url, issuers) = place(&args.place, context)?;
    printed(server::trust_config_at(&url, &operator, &trust, &issuers).to_json())
}

fn printed(text: String) -> Result<Report> {
    let json: Value = serde_json::from_str(&text).context("sigstore", "reading what is printed")?;
    Ok(Report::yes(json, text.trim_end()))
}

/// The home's trust root; a home that never issued is told what to do.
fn trust(context: &Context) -> Result<Trust> {
    let trust = keys::read_trust(&context.home.trust())?.unwrap_or_default();
    match trust.authorities.certificates.is_empty() {
        false => Ok(trust),
        true => Err(Failure::new("no-authority", "this home has no certificate authority yet")
            .hint("assay serve, which makes it at its first start")),
    }
}

fn place(place: &Place, context: &Context) -> Result<(Trust, String, String, Vec<String>)> {
    let trust = trust(context)?;
    let operator = trust.logs.first().map(|log| log.origin.clone()).unwrap_or_default();
    let url = match &place.url {
        Some(url) => url.clone(),
        None => {
            let session = Session::open(context)?;
            let url = session.server().map(|server| server.address().to_string());
            session.close()?;
            url.unwrap_or_else(|| USUAL.to_owned())
        }
    };
    let issuers = authority::issuers(&context.home, place.issuers.as_deref())?;
    Ok((trust, operator, url, issuers.into_iter().map(|issuer| issuer.url).collect()))
}
