//! `assay sigstore`

mod config;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use attest::keyless::{self, Artifact, Keyless, Source};
use serde_json::{Value, json};
use sign::authority::Authorities;
use sign::certificate::SubjectKey;
use wire::digest::Digest;
use wire::pem;
use wire::sigstore_bundle::{self, Bundle};
use wire::trusted_root::{self, TrustedRoot};

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::machine;
use crate::report::Report;

/// The largest artifact that is read: it lies in memory while its signature is checked.
const ARTIFACT_SIZE_MAX: u64 = 1 << 30;

/// Verify Sigstore bundles that others made, and let others sign here
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    VerifyBundle(VerifyBundleArgs),
    TrustedRoot(config::TrustedRootArgs),
    SigningConfig(config::SigningConfigArgs),
    TrustConfig(config::TrustConfigArgs),
}

/// Check a bundle (v0.3): who signed the artifact, when, and that a log holds it
///
/// Trusted are the authorities in the file of --trusted-root alone; the home's trust.json has no say, and no network is used.
/// Exit 0: good. Exit 1: refused. Exit 2: could not tell.
///
/// Example: assay sigstore verify-bundle --bundle app.sigstore.json --certificate-identity jane@example.org
/// --certificate-oidc-issuer https://accounts.example.org --trusted-root trusted_root.json app.tar
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyBundleArgs {
    /// Taken for the sake of callers that say it: the file of --trusted-root decides whom to trust
    #[arg(long)]
    staging: bool,
    /// The bundle
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The name that the certificate must have: an e-mail address or a URI
    #[arg(long, value_name = "ID", requires = "certificate_oidc_issuer", required_unless_present = "key")]
    certificate_identity: Option<String>,
    /// Who must have vouched for the name
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    certificate_oidc_issuer: Option<String>,
    /// The public key that must have signed, in place of a certificate
    #[arg(long, value_name = "PEM", conflicts_with_all = ["certificate_identity", "certificate_oidc_issuer"])]
    key: Option<PathBuf>,
    /// Whom to trust: a Sigstore trusted_root.json
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// What was signed: a file, or its digest
    #[arg(value_name = "FILE_OR_sha256:HEX")]
    artifact: String,
}

pub(super) fn run(command: &Command, context: &mut Context) -> Result<Report> {
    match command {
        Command::VerifyBundle(args) => verify_bundle(args),
        Command::TrustedRoot(_) => config::trusted_root(context),
        Command::SigningConfig(args) => config::signing_config(args, context),
        Command::TrustConfig(args) => config::trust_config(args, context),
    }
}

fn verify_bundle(args: &VerifyBundleArgs) -> Result<Report> {
    let authorities = authorities(args)?;
    let bundle_text = read(&args.bundle, sigstore_bundle::SIZE_MAX as u64)?;
    let artifact_bytes;
    let artifact = match args.artifact.starts_with("sha256:") {
        true => Artifact::Sha256(args.artifact.parse::<Digest>().context("artifact", "reading the artifact's digest")?),
        false => {
            artifact_bytes = read(Path::new(&args.artifact), ARTIFACT_SIZE_MAX)?;
            Artifact::Bytes(&artifact_bytes)
        }
    };
    let refused = |error: &(dyn std::error::Error + 'static)| {
        Failure::no("refused", format!("`{}` does not verify", args.bundle.display())).because(error)
    };
    let bundle = Bundle::parse(&bundle_text).map_err(|error| refused(&error))?;
    let now = machine::now()?;
    let verified = match &args.key {
        Some(path) => keyless::verify_with_key(&bundle, &artifact, &key(path)?, &authorities, now),
        None => keyless::verify(&bundle, &artifact, &authorities, now),
    };
    let signed = verified.map_err(|error| refused(&error))?;
    check_identity(args, &signed)?;
    Ok(Report::yes(to_json(&signed), to_text(&signed)))
}

/// The certificate's name and issuer must be those that were asked for, letter by letter.
fn check_identity(args: &VerifyBundleArgs, signed: &Keyless) -> Result<()> {
    let Some(subject) = signed.subject() else { return Ok(()) };
    let wanted = (args.certificate_identity.as_deref(), args.certificate_oidc_issuer.as_deref());
    let (name, issuer) = (subject.name.text(), subject.issuer.as_str());
    if wanted == (Some(name), Some(issuer)) {
        return Ok(());
    }
    let (identity, from) = (wanted.0.unwrap_or_default(), wanted.1.unwrap_or_default());
    let message = format!("signed by `{name}` of `{issuer}`, not by `{identity}` of `{from}`");
    Err(Failure::no("identity", message))
}

fn authorities(args: &VerifyBundleArgs) -> Result<Authorities> {
    let Some(path) = &args.trusted_root else {
        let instance = if args.staging { "staging" } else { "public" };
        let message =
            format!("whom to trust is not said: assay has no copy of the {instance} Sigstore's root, and fetches none");
        return Err(Failure::new("trusted-root", message).hint(
            "assay sigstore verify-bundle --trusted-root trusted_root.json …, with the file from the instance's TUF repository or your organisation",
        ));
    };
    let doing = || format!("reading the trusted root `{}`", path.display());
    let root = TrustedRoot::parse(&read(path, trusted_root::SIZE_MAX as u64)?).context("trusted-root", doing())?;
    Authorities::of(&root).context("trusted-root", doing())
}

fn key(path: &Path) -> Result<SubjectKey> {
    let doing = || format!("reading the key `{}`", path.display());
    let text = String::from_utf8(read(path, pem::SIZE_MAX as u64)?).context("key", doing())?;
    let der = pem::decode(pem::PUBLIC_KEY, &text).context("key", doing())?;
    SubjectKey::from_spki_der(&der).context("key", doing())
}

/// Reads a file whole, if it is not larger than the limit.
pub(crate) fn read(path: &Path, size_max: u64) -> Result<Vec<u8>> {
    let doing = || format!("reading `{}`", path.display());
    let file = fs::File::open(path).context("read", doing())?;
    let mut bytes = Vec::new();
    file.take(size_max + 1).read_to_end(&mut bytes).context("read", doing())?;
    if bytes.len() as u64 > size_max {
        return Err(Failure::new("read", format!("`{}` is larger than the limit of {size_max} bytes", path.display())));
    }
    Ok(bytes)
}

fn to_json(signed: &Keyless) -> Value {
    let source = |source: &Source| match source {
        Source::Stamp => "timestamp",
        Source::Log => "log",
    };
    let times = signed.times().iter();
    let times: Vec<Value> =
        times.map(|time| json!({"at": time.at.to_string(), "source": source(&time.source), "by": time.by})).collect();
    let logged = signed.logged().iter();
    let logged: Vec<Value> = logged.map(|place| json!({"log": place.origin(), "index": place.index()})).collect();
    let mut out = json!({"verified": true, "key": signed.key().to_string(), "times": times, "logged": logged});
    if let (Some(subject), Some(certified)) = (signed.subject(), signed.certified()) {
        let certificate = certified.certificate();
        let claims = certificate.claims().iter();
        let claims: serde_json::Map<String, Value> =
            claims.map(|(claim, text)| (claim.name().to_owned(), json!(text))).collect();
        out["certificate"] = json!({
            "identity": subject.name.text(),
            "issuer": subject.issuer,
            "authority": certified.authority(),
            "digest": certificate.digest().to_string(),
            "claims": claims,
        });
    }
    out
}

fn to_text(signed: &Keyless) -> String {
    let mut lines = vec![match signed.subject() {
        Some(subject) => format!("good: signed by {} of {}", subject.name.text(), subject.issuer),
        None => format!("good: signed by the key {}", signed.key()),
    }];
    lines.extend(signed.times().iter().map(|time| format!("  at {} by {}", time.at, time.by)));
    lines.extend(
        signed.logged().iter().map(|place| format!("  logged in {} as entry {}", place.origin(), place.index())),
    );
    lines.join("\n")
}
