//! `assay pull`

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use attest::Attestation;
use model::recipe::{Artifact, ArtifactKind};
use serde_json::{Value, json};
use wire::digest::Digest;
use wire::oci_distribution::{Location, Name, Reference};
use wire::oci_image::{Descriptor, Document, Index};
use wire::sigstore_bundle::{self, Bundle};

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::layout;
use crate::machine;
use crate::remote::address::Address;
use crate::remote::api::{Api, Info};
use crate::remote::import::{self, Trusted};
use crate::remote::parcel::{self, Contents, Parcel};
use crate::remote::place::Place;
use crate::report::Report;
use crate::runbook::durable;
use crate::session::Session;

/// How many tags or platforms an error names.
const NAMED_MAX: usize = 12;

/// Fetch an artifact with all its statements from a registry
///
/// Every byte is checked against its digest before it is kept. Statements whose signer and log trust.json accepts come
/// into the ledger, so that `assay verify`, `gate` and `why` know them; the others are listed as not trusted here. With
/// -o an image is written as an OCI layout NAME.oci, a file as it is, and the bundles beside it as NAME.sigstore.jsonl.
///
/// Example: assay pull registry.example.org/team/greeter:v1.2 -o out
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// HOST/NAME[:TAG|@DIGEST]; without HOST the server, without TAG `latest`
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Write it into this directory too
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Speak plain HTTP although the registry is not on this machine
    #[arg(long)]
    plain_http: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut session = Session::open(context)?;
    let outcome = pull(args, &mut session);
    session.close()?;
    outcome
}

/// What was pulled.
struct Pulled {
    name: Name,
    repository: String,
    parcel: Parcel,
    fetched: usize,
    statements: Statements,
    /// The server's log, if it is a server of ours.
    log: Option<Info>,
}

/// The statements that came with it.
#[derive(Default)]
struct Statements {
    /// By the digest of the envelope.
    bundles: BTreeMap<Digest, Bundle>,
    trusted: BTreeMap<Digest, Attestation>,
    /// Why not.
    refused: BTreeMap<Digest, String>,
    /// Referrers that say they are bundles, and cannot be read.
    unreadable: Vec<(Digest, String)>,
    /// Referrers of other kinds: artifact type, and how many.
    others: BTreeMap<String, usize>,
}

fn pull(args: &Args, session: &mut Session<'_>) -> Result<Report> {
    let text = &args.source;
    let location: Location = text
        .parse()
        .context("source", format!("reading `{text}`"))
        .map_err(|failure| failure.hint("HOST/NAME[:TAG|@DIGEST], as registry.example.org/team/greeter:v1.2"))?;
    let pulled = fetch(args, session, &location)?;
    let bundles = &pulled.statements.bundles;
    let pair = |(envelope, attestation)| Some(Trusted { bundle: bundles.get(envelope)?, attestation });
    let trusted: Vec<Trusted<'_>> = pulled.statements.trusted.iter().filter_map(pair).collect();
    let new = import::import(session, &pulled.name, &pulled.parcel, &trusted)?;
    let written = match &args.output {
        Some(directory) => write(session, &pulled, directory)?,
        None => Vec::new(),
    };
    Ok(report(&pulled, new, &written))
}

fn fetch(args: &Args, session: &Session<'_>, location: &Location) -> Result<Pulled> {
    let address = match (&location.host, session.server()) {
        (Some(host), _) => Address::of_host(host, args.plain_http)?,
        (None, Some(server)) => server.address().clone(),
        (None, None) => {
            return Err(Failure::new("source", format!("`{}` names no registry, and no server is known", args.source))
                .hint("assay pull HOST/NAME[:TAG], or --server URL"));
        }
    };
    let place = Place::find(session, &address)?;
    let name = location.name.clone();
    let reference = match location.reference() {
        Some(reference) => reference,
        None => Reference::Tag("latest".parse().context("source", "naming the tag")?),
    };
    let found = place.client.manifest(&name, &reference)?;
    let found = found.ok_or_else(|| unknown(&place, &address, &name, &reference))?;
    let manifest = match found.document {
        Document::Manifest(manifest) => manifest,
        Document::Index(index) => return Err(several(&address, &name, &index)),
    };
    let parcel = Parcel::of_manifest(found.digest, found.bytes, &manifest);
    let blobs = &session.inputs().blobs;
    let mut fetched = 0;
    for blob in &parcel.blobs {
        session.context().progress.doing(&format!("pulling {} ({} bytes)", blob.digest.short(), blob.size));
        fetched += usize::from(place.client.pull_blob(&name, blob, blobs)?);
    }
    let statements = statements(session, &place, &name, &parcel)?;
    // The manifest last: who finds it in the store finds its parts too.
    let doing = || format!("keeping the manifest {}", found.digest);
    blobs
        .put(&mut parcel.manifest.as_slice(), Some(&found.digest), parcel.manifest.len() as u64)
        .context("store", doing())?;
    let log = place.ours.as_ref().map(Api::info).transpose()?;
    Ok(Pulled { repository: format!("{}/{name}", address.host()), name, parcel, fetched, statements, log })
}

fn unknown(place: &Place, address: &Address, name: &Name, reference: &Reference) -> Failure {
    let failure = Failure::no("not-found", format!("{} has no `{name}` `{reference}`", address.host()));
    let mut tags = place.client.tags(name).unwrap_or_default();
    tags.retain(|tag| !tag.starts_with("sha256-")); // lists of referrers, and signatures of other tools
    match tags.is_empty() {
        true => failure,
        false => {
            failure.hint(format!("it has the tags {}", tags.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ")))
        }
    }
}

/// An index names several images, and which one is meant is not ours to guess.
fn several(address: &Address, name: &Name, index: &Index) -> Failure {
    let line = |image: &Descriptor| {
        let platform = image.platform.as_ref().map_or_else(String::new, |p| format!("{}/{} ", p.os, p.architecture));
        format!("{platform}{}/{name}@{}", address.host(), image.digest)
    };
    let mut failure =
        Failure::new("several-images", format!("`{name}` is an index of {} images", index.manifests.len()))
            .hint("pull one of them by its digest");
    failure.also = index.manifests.iter().take(NAMED_MAX).map(line).collect();
    failure
}

/// Fetches the bundles about a parcel, and opens them.
fn statements(session: &Session<'_>, place: &Place, name: &Name, parcel: &Parcel) -> Result<Statements> {
    session.context().progress.doing("pulling statements");
    let mut statements = Statements::default();
    match &place.ours {
        Some(api) => {
            for subject in parcel.subjects() {
                for dated in api.about(&subject)? {
                    statements.add(dated.bundle);
                }
            }
        }
        None => {
            for referrer in place.client.referrers(name, &parcel.descriptor.digest)? {
                statements.add_referrer(session, place, name, &referrer)?;
            }
        }
    }
    // Not the time at which another log took it: here a statement counts from when it is brought here.
    let now = machine::now()?;
    for (envelope, bundle) in &statements.bundles {
        match attest::open(bundle, session.trust(), now) {
            Ok(attestation) => drop(statements.trusted.insert(*envelope, attestation)),
            Err(error) => {
                let causes = Failure::new("bundle", "").because(&error).causes;
                statements.refused.insert(*envelope, causes.join(": "));
            }
        }
    }
    Ok(statements)
}

impl Statements {
    fn add(&mut self, bundle: Bundle) {
        if let Some(label) = parcel::label(&bundle) {
            self.bundles.insert(label.envelope, bundle);
        }
    }

    /// Takes the bundle out of a referrer. One that is malformed is said to be so, and hides no others; one whose bytes
    /// are not those of its digest ends the pull.
    fn add_referrer(&mut self, session: &Session<'_>, place: &Place, name: &Name, referrer: &Descriptor) -> Result<()> {
        let kind = referrer.artifact_type.as_deref().unwrap_or("unknown");
        if kind != sigstore_bundle::MEDIA_TYPE {
            *self.others.entry(kind.chars().take(100).collect()).or_default() += 1;
            return Ok(());
        }
        let Some(found) = place.client.manifest(name, &Reference::Digest(referrer.digest))? else {
            self.unreadable.push((referrer.digest, "the registry lists it and does not have it".to_owned()));
            return Ok(());
        };
        let layer = match &found.document {
            Document::Manifest(manifest) => {
                manifest.layers.iter().find(|layer| layer.media_type == sigstore_bundle::MEDIA_TYPE)
            }
            Document::Index(_) => None,
        };
        let Some(layer) = layer.filter(|layer| layer.size <= sigstore_bundle::SIZE_MAX as u64) else {
            self.unreadable.push((referrer.digest, "it has no bundle, or one that is too large".to_owned()));
            return Ok(());
        };
        let blobs = &session.inputs().blobs;
        place.client.pull_blob(name, layer, blobs)?;
        let bytes = blobs.read(&layer.digest, sigstore_bundle::SIZE_MAX as u64);
        match Bundle::parse(&bytes.context("store", format!("reading the bundle {}", layer.digest))?) {
            Ok(bundle) => self.add(bundle),
            Err(error) => self.unreadable.push((referrer.digest, error.to_string())),
        }
        Ok(())
    }
}

/// Writes the artifact, and its bundles beside it.
fn write(session: &Session<'_>, pulled: &Pulled, directory: &Path) -> Result<Vec<PathBuf>> {
    let blobs = &session.inputs().blobs;
    fs::create_dir_all(directory).context("output", format!("making `{}`", directory.display()))?;
    let (stem, path) = match &pulled.parcel.contents {
        Contents::File(name, digest) => {
            let size = blobs.size(digest).context("store", format!("looking for {digest}"))?.unwrap_or_default();
            let file =
                Artifact { name: name.clone(), path: name.clone(), kind: ArtifactKind::File, digest: *digest, size };
            layout::write_artifacts(blobs, std::slice::from_ref(&file), directory)?;
            (name.clone(), directory.join(name))
        }
        Contents::Image => {
            let name = pulled.name.as_str().rsplit('/').next().unwrap_or_default().to_owned();
            let path = directory.join(format!("{name}.oci"));
            layout::write_layout(blobs, &pulled.parcel.descriptor.digest, &path)?;
            (name, path)
        }
    };
    let mut lines = Vec::new();
    for bundle in pulled.statements.bundles.values() {
        lines.extend(bundle.to_json());
        lines.push(b'\n');
    }
    let bundles = directory.join(format!("{stem}.sigstore.jsonl"));
    durable(&bundles, &lines).context("output", format!("writing `{}`", bundles.display()))?;
    Ok(vec![path, bundles])
}

fn report(pulled: &Pulled, new: usize, written: &[PathBuf]) -> Report {
    let Pulled { repository, parcel, fetched, statements, .. } = pulled;
    let trusted = |(envelope, attestation): (&Digest, &Attestation)| -> Value {
        let statement = attestation.statement();
        json!({
            "envelope": envelope, "payload": statement.payload(), "predicate_type": statement.value().predicate_type,
            "signer": statement.identity(), "authorised": attestation.authorised(),
            "log": attestation.logged().map(|logged| logged.origin()),
        })
    };
    let refused = |(envelope, reason): (&Digest, &String)| -> Value { json!({"envelope": envelope, "reason": reason}) };
    let (kind, artifact) = match &parcel.contents {
        Contents::File(_, digest) => ("file", digest),
        Contents::Image => ("image", &parcel.descriptor.digest),
    };
    let json = json!({
        "repository": repository,
        "manifest": parcel.descriptor.digest,
        "kind": kind,
        "digest": artifact,
        "log": pulled.log.as_ref().map(|log| json!({"origin": log.origin, "key": log.log_key})),
        "blobs_fetched": fetched,
        "statements": statements.trusted.iter().map(trusted).collect::<Vec<_>>(),
        "not_trusted": statements.refused.iter().map(refused).collect::<Vec<_>>(),
        "unreadable": statements.unreadable.iter().map(|(referrer, reason)| json!({"referrer": referrer, "reason": reason})).collect::<Vec<_>>(),
        "other_referrers": statements.others,
        "imported": new,
        "written": written,
    });
    Report::yes(json, text(pulled, new, written))
}

fn text(pulled: &Pulled, new: usize, written: &[PathBuf]) -> String {
    let Pulled { repository, parcel, fetched, statements, .. } = pulled;
    let mut lines = vec![
        format!("pulled {repository}@{}", parcel.descriptor.digest),
        format!("{fetched} blobs fetched; {} statements are trusted here, {new} of them new", statements.trusted.len()),
    ];
    for (envelope, reason) in &statements.refused {
        lines.push(format!("not trusted here: envelope {envelope}: {reason}"));
    }
    for (referrer, reason) in &statements.unreadable {
        lines.push(format!("not readable: referrer {referrer}: {reason}"));
    }
    for (kind, count) in &statements.others {
        lines.push(format!("not looked at: {count} referrers of type {kind}"));
    }
    lines.extend(written.iter().map(|path| format!("wrote {}", path.display())));
    lines.join("\n")
}
