//! `assay push`

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use attest::predicate::{PUBLICATION, TAG};
use serde_json::json;
use sign::trust::Trust;
use wire::digest::Digest;
use wire::oci_distribution::{Location, Name, Reference, Tag};
use wire::oci_image::{EMPTY, MANIFEST_SIZE_MAX};
use wire::sigstore_bundle::Bundle;
use wire::timestamp::Timestamp;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::machine;
use crate::project::Project;
use crate::remote::address::Address;
use crate::remote::oci::{Client, Pushed};
use crate::remote::parcel::{self, Parcel, Referrer};
use crate::remote::place::Place;
use crate::remote::serving::Serving;
use crate::report::Report;
use crate::resolve::{Resolved, resolve};
use crate::session::Session;

/// The largest file of an image layout that is taken into the store.
const IMPORT_MAX: u64 = 64 << 30;

/// Move an artifact with all its statements to a registry
///
/// Layers that are there are not sent again; the tag is set at the end, when all the rest is there. A server of assay
/// keeps the statements with their proofs, unchanged; any other OCI registry gets them as referrers. A file travels as
/// an OCI artifact.
///
/// REF is NAME[:TAG][@sha256:…], sha256:…, oci:DIR, or a path that contains `/`. Logins are those of `podman login`; for a
/// server of assay, --token.
///
/// Example: assay push greeter registry.example.org/team/greeter:v1.2
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to push
    #[arg(value_name = "REF")]
    reference: String,
    /// HOST/NAME[:TAG]; without HOST the server, without NAME the artifact's own, without TAG `latest`
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Another repository of that registry, which may have the layers already
    #[arg(long, value_name = "NAME")]
    mount: Option<String>,
    /// Speak plain HTTP although the registry is not on this machine
    #[arg(long)]
    plain_http: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let session = Session::open(context)?;
    let outcome = push(args, &session);
    session.close()?;
    outcome
}

fn push(args: &Args, session: &Session<'_>) -> Result<Report> {
    let moved = transfer(args, session)?;
    Ok(report(&moved))
}

/// What was pushed.
struct Moved {
    target: Target,
    parcel: Parcel,
    statements: BTreeMap<Digest, Bundle>,
    sent: usize,
}

/// Blobs, then the manifest, then the statements, then the tag: whoever finds one of them finds all before it.
fn transfer(args: &Args, session: &Session<'_>) -> Result<Moved> {
    let mount: Option<Name> =
        args.mount.as_deref().map(str::parse).transpose().context("target", "reading `--mount`")?;
    let resolved = named(resolve(session, &args.reference)?, &args.reference);
    let target = target(args, session, &resolved)?;
    let parcel = pack(session, &args.reference, &resolved)?;
    let statements = statements(session, &parcel)?;
    let place = Place::find(session, &target.address)?;
    let progress = &session.context().progress;

    let mut sent = 0;
    for blob in &parcel.blobs {
        progress.doing(&format!("pushing {} ({} bytes)", blob.digest.short(), blob.size));
        let path = session.inputs().blobs.path(&blob.digest);
        let pushed = place.client.push_blob(&target.name, blob, &path, mount.as_ref())?;
        sent += usize::from(pushed == Pushed::Sent);
    }
    let origin = statements.values().find_map(origin).filter(|_| place.ours.is_some());
    let (kind, digest) = (parcel.descriptor.media_type.as_str(), parcel.descriptor.digest);
    place.client.put_manifest(&target.name, &Reference::Digest(digest), kind, &parcel.manifest, origin)?;
    progress.doing(&format!("pushing {} statements", statements.len()));
    match &place.ours {
        Some(api) => drop(api.publish(&target.name, &statements.values().cloned().collect::<Vec<_>>())?),
        None => sent += attach(session, &place.client, &target.name, &parcel, &statements)?,
    }
    let tag = Reference::Tag(target.tag.clone());
    place.client.put_manifest(&target.name, &tag, kind, &parcel.manifest, origin)?;
    Ok(Moved { target, parcel, statements, sent })
}

/// Serves this home for a moment, pushes the project's image to it, and looks for it there.
///
/// The home must not be open in this process: the server holds it meanwhile.
pub(crate) fn rehearse(context: &Context, tell: &mut dyn FnMut(&str, Option<String>)) -> Result<()> {
    let project = Project::load(context)?;
    let outputs = project
        .spec
        .image
        .iter()
        .map(|image| &image.name)
        .chain(project.spec.artifacts.iter().map(|artifact| &artifact.name));
    let name =
        outputs.into_iter().next().ok_or_else(|| Failure::new("no-artifact", "assay.toml declares no artifact"))?;
    let serving = Serving::start(&context.home)?;
    let session = Session::open(context)?;
    let outcome = there_and_back(&session, name);
    session.close()?;
    serving.stop()?;
    let (pushed, statements) = outcome?;
    let what = format!("served the home, pushed `{name}` with {statements} statements and found it there; manifest");
    tell(&what, Some(pushed.to_string()));
    Ok(())
}

fn there_and_back(session: &Session<'_>, name: &str) -> Result<(Digest, usize)> {
    let args = Args { reference: name.to_owned(), target: None, mount: None, plain_http: false };
    let Moved { target, parcel, statements, .. } = transfer(&args, session)?;
    let place = Place::find(session, &target.address)?;
    let found = place.client.manifest(&target.name, &Reference::Tag(target.tag.clone()))?;
    let found = found.map(|manifest| manifest.digest);
    if found != Some(parcel.descriptor.digest) {
        return Err(Failure::no(
            "registry",
            format!("`{}:{}` leads to {found:?} after it was pushed", target.name, target.tag),
        ));
    }
    Ok((parcel.descriptor.digest, statements.len()))
}

fn report(moved: &Moved) -> Report {
    let Moved { target, parcel, statements, sent } = moved;
    let repository = format!("{}/{}", target.address.host(), target.name);
    let shown = statements.values().filter_map(parcel::label);
    let shown = shown.map(|label| json!({"envelope": label.envelope, "predicate_type": label.predicate_type}));
    let json = json!({
        "manifest": parcel.descriptor.digest,
        "repository": repository,
        "tag": target.tag,
        "blobs_sent": sent,
        "statements": shown.collect::<Vec<_>>(),
    });
    let text = format!(
        "pushed {repository}:{} {}\n{sent} blobs sent, {} statements with it",
        target.tag,
        parcel.descriptor.digest,
        statements.len()
    );
    Report::yes(json, text)
}

/// Where it goes.
struct Target {
    address: Address,
    name: Name,
    tag: Tag,
}

fn target(args: &Args, session: &Session<'_>, resolved: &Resolved) -> Result<Target> {
    let text = args.target.as_deref().unwrap_or(&resolved.name);
    let location: Location = text
        .parse()
        .context("target", format!("reading the target `{text}`"))
        .map_err(|failure| failure.hint("HOST/NAME[:TAG], as registry.example.org/team/greeter:v1.2"))?;
    if location.digest.is_some() {
        return Err(Failure::new("target", format!("`{text}` names a digest, but the artifact has its own"))
            .hint("HOST/NAME[:TAG]"));
    }
    let address = match (&location.host, session.server()) {
        (Some(host), _) => Address::of_host(host, args.plain_http)?,
        (None, Some(server)) => server.address().clone(),
        (None, None) => {
            return Err(Failure::new("target", format!("`{text}` names no registry, and no server is known"))
                .hint("assay push REF HOST/NAME[:TAG], or --server URL"));
        }
    };
    let tag = match location.tag {
        Some(tag) => tag,
        None => own_tag(&args.reference).map_or_else(|| "latest".parse(), Ok).context("target", "naming the tag")?,
    };
    Ok(Target { address, name: location.name, tag })
}

/// A file that the ledger does not know has the name that it has on disk.
pub(super) fn named(resolved: Resolved, reference: &str) -> Resolved {
    let path = Path::new(reference);
    match path.file_name() {
        Some(name) if resolved.artifact.is_none() && path.is_file() => {
            Resolved { name: name.to_string_lossy().into_owned(), ..resolved }
        }
        _ => resolved,
    }
}

/// The tag in `NAME:TAG`.
fn own_tag(reference: &str) -> Option<Tag> {
    let location: Location = reference.parse().ok()?;
    location.tag.filter(|_| !reference.starts_with("oci:"))
}

/// Puts together what travels; a file or layout that is not in the store is taken in first.
pub(super) fn pack(session: &Session<'_>, reference: &str, resolved: &Resolved) -> Result<Parcel> {
    let blobs = &session.inputs().blobs;
    let doing = || format!("reading `{}` {}", resolved.name, resolved.digest);
    if blobs.size(&resolved.digest).context("store", doing())?.is_none() {
        take_in(session, reference, &resolved.digest)?;
    }
    // An empty configuration belongs to every file's manifest.
    blobs.put_bytes(EMPTY).context("store", doing())?;
    let size = blobs.size(&resolved.digest).context("store", doing())?;
    let size = size.ok_or_else(|| absent(resolved))?;
    if size <= MANIFEST_SIZE_MAX as u64 {
        let bytes = blobs.read(&resolved.digest, MANIFEST_SIZE_MAX as u64).context("store", doing())?;
        if let Some(manifest) = parcel::as_manifest(&bytes).context("manifest", doing())? {
            let parcel = Parcel::of_manifest(resolved.digest, bytes, &manifest);
            return whole(session, parcel);
        }
    }
    Ok(Parcel::of_file(&resolved.name, resolved.digest, size))
}

/// Refuses a parcel of which a part is missing or has another size than its manifest says.
fn whole(session: &Session<'_>, parcel: Parcel) -> Result<Parcel> {
    for blob in &parcel.blobs {
        let size =
            session.inputs().blobs.size(&blob.digest).context("store", format!("looking for {}", blob.digest))?;
        if size != Some(blob.size) {
            let what = if size.is_none() { "is not in the store" } else { "has another size than the manifest says" };
            return Err(Failure::no(
                "artifact-damaged",
                format!("{}, a part of {}, {what}", blob.digest, parcel.descriptor.digest),
            )
            .hint("assay build, or assay admin fsck"));
        }
    }
    Ok(parcel)
}

fn absent(resolved: &Resolved) -> Failure {
    Failure::no(
        "artifact-missing",
        format!("`{}` {} is known, but its bytes are not here", resolved.name, resolved.digest),
    )
    .hint("assay build makes them, `assay pull` fetches them")
}

fn take_in(session: &Session<'_>, reference: &str, digest: &Digest) -> Result<()> {
    let Some(directory) = reference.strip_prefix("oci:") else {
        let path = Path::new(reference);
        return if path.is_file() { take_file(session, path, digest) } else { Ok(()) };
    };
    let directory = Path::new(directory);
    let file = |digest: &Digest| directory.join("blobs").join(digest.algorithm()).join(digest.hex());
    take_file(session, &file(digest), digest)?;
    let doing = || format!("reading the manifest of `{}`", directory.display());
    let bytes = session.inputs().blobs.read(digest, MANIFEST_SIZE_MAX as u64).context("oci-layout", doing())?;
    if let Some(manifest) = parcel::as_manifest(&bytes).context("oci-layout", doing())? {
        for blob in Parcel::of_manifest(*digest, bytes, &manifest).blobs {
            take_file(session, &file(&blob.digest), &blob.digest)?;
        }
    }
    Ok(())
}

fn take_file(session: &Session<'_>, path: &Path, digest: &Digest) -> Result<()> {
    let doing = || format!("taking `{}` into the store", path.display());
    let mut file = fs::File::open(path).context("store", doing())?;
    session.inputs().blobs.put(&mut file, Some(digest), IMPORT_MAX).map(drop).context("store", doing())
}

/// All statements about a parcel, by the digest of their envelopes. What a registry states of itself stays there.
pub(super) fn statements(session: &Session<'_>, parcel: &Parcel) -> Result<BTreeMap<Digest, Bundle>> {
    let mut statements = BTreeMap::new();
    for bundle in session.about_bundles(&parcel.subjects())? {
        let Some(label) = parcel::label(&bundle) else { continue };
        if label.predicate_type != PUBLICATION && label.predicate_type != TAG {
            statements.insert(label.envelope, bundle);
        }
    }
    Ok(statements)
}

/// The log in which a bundle's statement stands: the first line of its checkpoint.
fn origin(bundle: &Bundle) -> Option<&str> {
    let entry = bundle.verification_material.tlog_entries.first()?;
    entry.inclusion_proof.checkpoint.envelope.lines().next()
}

/// Attaches those statements that a foreign registry lacks. Returns how many blobs were sent.
fn attach(
    session: &Session<'_>,
    client: &Client,
    name: &Name,
    parcel: &Parcel,
    statements: &BTreeMap<Digest, Bundle>,
) -> Result<usize> {
    let subject = &parcel.descriptor;
    let listed = client.referrers(name, &subject.digest)?;
    let now = machine::now()?;
    let mut new: Vec<Referrer> = Vec::new();
    let mut sent = 0;
    let empty = wire::oci_image::Descriptor::empty();
    let blobs = &session.inputs().blobs;
    for bundle in statements.values() {
        let Some(referrer) = parcel::referrer(subject, bundle, stated(bundle, session.trust(), now)) else { continue };
        if listed.iter().any(|known| known.digest == referrer.descriptor.digest) {
            continue;
        }
        blobs.put_bytes(&referrer.bundle).context("store", "keeping a bundle")?;
        for blob in [&empty, &referrer.layer] {
            let pushed = client.push_blob(name, blob, &blobs.path(&blob.digest), None)?;
            sent += usize::from(pushed == Pushed::Sent);
        }
        new.push(referrer);
    }
    client.attach(name, &subject.digest, &new)?;
    Ok(sent)
}

/// A statement's own time; of one that does not verify here, nothing is believed, and its referrer says 1970.
fn stated(bundle: &Bundle, trust: &Trust, now: Timestamp) -> Timestamp {
    let opened = attest::open(bundle, trust, now).ok();
    let own = opened.as_ref().and_then(parcel::own_time);
    own.or_else(|| Timestamp::from_unix_s(0)).unwrap_or(now)
}
