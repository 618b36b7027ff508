//! `assay verify`

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use attest::{Attestation, Claim};
use model::verdict::{Outcome, Subject};
use policy::{Evidence, Refused};
use sign::trust::Trust;
use wire::digest::Digest;
use wire::oci_image::MANIFEST_SIZE_MAX;
use wire::sigstore_bundle::Bundle;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::judge;
use crate::kit::{self, Kit};
use crate::machine;
use crate::remote::parcel;
use crate::report::Report;
use crate::resolve::resolve;
use crate::session::Session;

/// Check integrity and authorship of an artifact and of every statement about it
///
/// The artifact's stored bytes are digested again; signatures, signers, log proofs and checkpoints are checked against
/// trust.json. Nothing is signed or written, and no network is used. Policy is `assay gate`'s matter.
///
/// REF is NAME[:TAG][@sha256:…], sha256:…, oci:DIR, or a path that contains `/`. With --offline it is a kit that `assay
/// export` wrote, and neither home nor network is used.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to verify
    #[arg(value_name = "REF")]
    reference: String,
    /// REF is a kit of `assay export`
    #[arg(long)]
    offline: bool,
    /// With --offline: whose statements count
    #[arg(long, value_name = "FILE", requires = "offline")]
    trust: Option<PathBuf>,
    /// With --offline, in place of --trust: believe the kit's own trust.json, which proves nothing about who wrote it
    #[arg(long, requires = "offline", conflicts_with = "trust")]
    trust_kit: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    if args.offline {
        return offline(args);
    }
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

/// Verifies a kit: its own bytes, then what its statements prove to who has this trust.
fn offline(args: &Args) -> Result<Report> {
    let path = Path::new(&args.reference);
    let doing = || format!("opening the kit `{}`", path.display());
    let mut file = std::io::BufReader::new(fs::File::open(path).context("kit", doing())?);
    let damaged = |error: &(dyn std::error::Error + 'static)| {
        Failure::no("kit-damaged", format!("`{}` is not a whole kit", path.display())).because(error)
    };
    let kit = Kit::parse(&mut file).map_err(|error| damaged(&error))?;
    let trust = trust_for(args, &kit)?;
    let digests = subjects(&kit)?;
    let evidence = evidence(&kit, &trust, digests)?;
    let verdict = policy::integrity(&evidence, machine::now()?);
    let mut json = judge::json(&verdict);
    json["trust"] = if args.trust_kit { "kit" } else { "file" }.into();
    let mut text = judge::text(&verdict);
    if args.trust_kit {
        text.push_str("\nby the kit's own trust.json: who could write the kit could write that, too");
    }
    Ok(Report::of(verdict.result == Outcome::Pass, json, text))
}

fn trust_for(args: &Args, kit: &Kit) -> Result<Trust> {
    let text = match (&args.trust, args.trust_kit) {
        (Some(path), _) => fs::read_to_string(path).context("trust", format!("reading `{}`", path.display()))?,
        (None, true) => String::from_utf8_lossy(kit.read(kit::TRUST).unwrap_or_default()).into_owned(),
        (None, false) => {
            return Err(Failure::new("trust", "whose statements count is not said")
                .hint("assay verify --offline KIT --trust trust.json, with the file from somebody whom you trust"));
        }
    };
    Trust::parse(&text).context("trust", "reading whose statements count")
}

/// What statements may be about: the file; or the manifest and its configuration. All parts of an image must be there,
/// and nothing else.
fn subjects(kit: &Kit) -> Result<Vec<Digest>> {
    let subject = kit.index.subject;
    let wrong = |message: String| Failure::no("kit-damaged", message);
    let bytes = kit.read(&kit::blob_path(&subject)).filter(|bytes| bytes.len() <= MANIFEST_SIZE_MAX);
    let manifest = bytes.map(parcel::as_manifest).transpose().context("manifest", "reading the artifact")?.flatten();
    let mut subjects = vec![subject];
    let mut parts = BTreeSet::from([subject]);
    if let Some(manifest) = &manifest {
        subjects.push(manifest.config.digest);
        parts.extend(std::iter::once(&manifest.config).chain(&manifest.layers).map(|part| part.digest));
    }
    let held: BTreeSet<Digest> = kit.blobs().map(|member| member.digest).collect();
    if let Some(lacking) = parts.difference(&held).next() {
        return Err(wrong(format!("the kit lacks {lacking}, a part of {subject}")));
    }
    match held.difference(&parts).next() {
        Some(foreign) => Err(wrong(format!("the kit holds {foreign}, which is no part of {subject}"))),
        None => Ok(subjects),
    }
}

fn evidence(kit: &Kit, trust: &Trust, digests: Vec<Digest>) -> Result<Evidence> {
    let now = machine::now()?;
    let mut attestations = Vec::new();
    let mut refused = Vec::new();
    for (path, bytes) in kit.bundles() {
        let opened = Bundle::parse(bytes).map_err(|error| Failure::new("bundle", "not read").because(&error)).and_then(
            |bundle| {
                attest::open(&bundle, trust, now)
                    .map_err(|error| Failure::new("bundle", "not accepted").because(&error))
            },
        );
        match opened {
            Ok(attestation) => attestations.push(attestation),
            Err(failure) => refused.push(Refused { what: path.to_owned(), reason: failure.to_string() }),
        }
    }
    let name = name(&attestations, &digests).unwrap_or_else(|| kit.index.subject.short());
    Ok(Evidence { subject: Subject { name, digests }, attestations, live: None, refused })
}

/// The artifact's name, on the word of an authorised recipe.
fn name(attestations: &[Attestation], digests: &[Digest]) -> Option<String> {
    let authorised = attestations.iter().filter(|attestation| attestation.authorised());
    let outputs = authorised.filter_map(|attestation| match attestation.claim() {
        Claim::Recipe(recipe) => Some(recipe.outputs.iter()),
        _ => None,
    });
    outputs.flatten().find(|output| digests.contains(&output.digest)).map(|output| output.name.clone())
}
