//! What one logged envelope gives the ledger, found out before the database is touched.
//!
//! Signatures are checked as of the time at which the log took the statement in, so that the same log always gives
//! the same rows. That time is the log's own, and nobody can log anything in the past. A policy that judges today
//! checks again, as of today.
//!
//! A publication may bring a statement from another log: a manifest whose one layer is a bundle. It is taken in if
//! the trust root has its signer *and* its log. It tells of builds and verdicts; it never moves a tag here, grants
//! anything, or says what is live.

use attest::{Attestation, Claim, OpenError, Verified};
use model::lineage::{Fact, NodeId};
use sign::trust::Trust;
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::in_toto::Statement;
use wire::oci_image::{Document, MANIFEST_SIZE_MAX, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use wire::rekor::Body;
use wire::sigstore_bundle::{self, Bundle, Content};
use wire::timestamp::Timestamp;

use super::rows::Elsewhere;
use crate::blobs::{BlobError, Blobs};
use crate::log::{LoggedContent, LoggedEntry};

/// All rows of one log entry, as values.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    /// Of a statement, and of one that it brings along.
    Statement(Box<Prepared>, Option<Box<Prepared>>),
    /// Of an entry that came without what was signed.
    Bare(Bare),
}

/// The rows of an entry that came without what was signed.
#[derive(Clone, Debug)]
pub(super) struct Bare {
    pub(super) index: u64,
    pub(super) leaf: String,
    pub(super) logged: Timestamp,
    /// `sha256:9f86…`
    pub(super) digest: String,
    pub(super) key_id: Digest,
    /// `hashedrekord 0.0.2`
    pub(super) kind: String,
}

/// All rows of one statement, as values.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) index: u64,
    pub(super) leaf: Option<String>,
    pub(super) logged: Timestamp,
    pub(super) stated: Timestamp,
    pub(super) envelope: Digest,
    pub(super) payload: Digest,
    pub(super) predicate: String,
    pub(super) signer: Option<String>,
    pub(super) key_id: Option<Digest>,
    pub(super) subject: Option<String>,
    pub(super) subjects: Vec<(Digest, String)>,
    pub(super) elsewhere: Option<Elsewhere>,
    pub(super) fact: Fact,
    pub(super) claim: Claim,
    pub(super) manifest: Option<Manifest>,
}

/// What the ledger keeps of a published manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) artifact_type: Option<String>,
    pub(super) size: u64,
    pub(super) subject: Option<Digest>,
    pub(super) annotations: Option<String>,
    pub(super) references: Vec<Digest>,
    /// The blob of a bundle that it brings.
    bundle: Option<Digest>,
}

/// Why a logged envelope could not be read. The log promises that it is there, so this is damage.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The blob is missing or damaged.
    #[error("reading the envelope of log entry {index}")]
    Blob {
        /// Number of the entry.
        index: u64,
        /// What is wrong.
        #[source]
        source: BlobError,
    },
    /// The blob is no envelope.
    #[error("reading the envelope of log entry {index}")]
    Envelope {
        /// Number of the entry.
        index: u64,
        /// What is wrong.
        #[source]
        source: wire::dsse::EnvelopeError,
    },
    /// An entry whose index entry says that it came without what was signed, and that is none of those.
    #[error("log entry {index} is damaged: its index entry says that it came without what was signed")]
    Bare {
        /// Number of the entry.
        index: u64,
    },
}

/// Finds what rows a log entry gives: those of its envelope, which is read and checked against `trust`, or of the entry
/// alone.
pub(super) fn prepare(entry: &LoggedEntry, blobs: &Blobs, trust: &Trust) -> Result<Rows, PrepareError> {
    match &entry.content {
        LoggedContent::Envelope(envelope) => {
            let (prepared, brought) = statement(entry, envelope, blobs, trust)?;
            Ok(Rows::Statement(Box::new(prepared), brought.map(Box::new)))
        }
        LoggedContent::Entry(body) => {
            bare(entry, body).map(Rows::Bare).ok_or(PrepareError::Bare { index: entry.index })
        }
    }
}

fn bare(entry: &LoggedEntry, body: &[u8]) -> Option<Bare> {
    let body = Body::parse(body).ok()?;
    let (digest, key_id) = tlog::proposal::of_digest(&body)?;
    let kind = body.kind_version();
    let kind = format!("{} {}", kind.kind, kind.version);
    Some(Bare { index: entry.index, leaf: hex(&entry.leaf), logged: entry.logged, digest, key_id, kind })
}

/// Reads the envelope of a log entry, checks it against `trust`, and finds what rows it gives: its own, and those of
/// a statement that it brings along.
fn statement(
    entry: &LoggedEntry,
    digest: &Digest,
    blobs: &Blobs,
    trust: &Trust,
) -> Result<(Prepared, Option<Prepared>), PrepareError> {
    let index = entry.index;
    let blob = |source| PrepareError::Blob { index, source };
    let bytes = blobs.read(digest, wire::dsse::SIZE_MAX as u64).map_err(blob)?;
    let envelope = Envelope::parse(&bytes).map_err(|source| PrepareError::Envelope { index, source })?;
    let mut prepared = untrusted(entry, *digest, &envelope);
    match attest::unlogged(&envelope, trust, entry.logged) {
        Ok(attestation) => {
            trusted(&mut prepared, &attestation);
            if attestation.authorised() {
                prepared.claim = attestation.claim().clone();
                prepared.manifest = manifest(&prepared.claim, blobs).map_err(blob)?;
            }
        }
        // Signed by somebody trusted, and malformed: it is his, and says nothing.
        Err(OpenError::Claim { .. }) => {
            if let Ok(statement) = attest::verify(&envelope, trust, entry.logged) {
                signed(&mut prepared, &statement);
            }
        }
        Err(_) => {}
    }
    let bundle = prepared.manifest.as_ref().and_then(|manifest| manifest.bundle);
    let brought = match bundle {
        Some(bundle) => brought(entry, &bundle, blobs, trust).map_err(blob)?,
        None => None,
    };
    Ok((prepared, brought))
}

/// What can be said of an envelope that nobody trusted has signed: that it is there, and what it says it is about.
fn untrusted(entry: &LoggedEntry, digest: Digest, envelope: &Envelope) -> Prepared {
    let statement = Statement::parse(&envelope.payload).ok();
    let subjects = statement.iter().flat_map(|statement| &statement.subject);
    Prepared {
        index: entry.index,
        leaf: Some(hex(&entry.leaf)),
        logged: entry.logged,
        stated: entry.logged,
        envelope: digest,
        payload: Digest::of(&envelope.payload),
        predicate: statement.as_ref().map(|statement| statement.predicate_type.clone()).unwrap_or_default(),
        signer: None,
        key_id: None,
        subject: statement.as_ref().and_then(|statement| statement.subject.first()?.name.clone()),
        subjects: subjects
            .flat_map(|subject| {
                let name = subject.name.clone().unwrap_or_default();
                subject.digests().map(move |digest| (digest, name.clone()))
            })
            .collect(),
        elsewhere: None,
        fact: Fact::default(),
        claim: Claim::Other,
        manifest: None,
    }
}

fn trusted(prepared: &mut Prepared, attestation: &Attestation) {
    signed(prepared, attestation.statement());
    prepared.fact = attest::facts(attestation);
    let id = NodeId::digest(&prepared.payload);
    let own = prepared.fact.nodes.iter().find(|node| node.id == id).and_then(|node| node.time);
    prepared.stated = own.unwrap_or(prepared.logged).min(prepared.logged);
}

fn signed(prepared: &mut Prepared, statement: &Verified<Statement>) {
    prepared.signer = Some(statement.identity().to_owned());
    prepared.key_id = Some(*statement.key());
}

/// Reads a bundle that a publication names. One that is missing, malformed or not trusted gives nothing.
fn brought(entry: &LoggedEntry, bundle: &Digest, blobs: &Blobs, trust: &Trust) -> Result<Option<Prepared>, BlobError> {
    let Some(json) = read_blob(blobs, bundle, sigstore_bundle::SIZE_MAX as u64)? else { return Ok(None) };
    let Ok(parsed) = Bundle::parse(&json) else { return Ok(None) };
    let (Ok(attestation), Content::Envelope(envelope)) = (attest::open(&parsed, trust, entry.logged), &parsed.content)
    else {
        return Ok(None);
    };
    let Some(logged) = attestation.logged() else { return Ok(None) };
    let elsewhere = Elsewhere { origin: logged.origin().to_owned(), index: logged.index(), bundle: *bundle };
    // The index entry behind the publication gives it a place of its own.
    let place = LoggedEntry { index: entry.index + 1, ..entry.clone() };
    let envelope = untrusted(&place, *attestation.statement().envelope(), envelope);
    let mut prepared = Prepared { leaf: None, elsewhere: Some(elsewhere), ..envelope };
    trusted(&mut prepared, &attestation);
    if attestation.authorised() && matches!(attestation.claim(), Claim::Recipe(_) | Claim::Run(_) | Claim::Verdict(_)) {
        prepared.claim = attestation.claim().clone();
    }
    Ok(Some(prepared))
}

/// Reads the manifest that a publication names. One that is missing, or is no manifest, gives nothing; one that
/// can't be read is an error, or the rows would depend on the moment.
fn manifest(claim: &Claim, blobs: &Blobs) -> Result<Option<Manifest>, BlobError> {
    let Claim::Publication(publication) = claim else { return Ok(None) };
    let Some(json) = read_blob(blobs, &publication.manifest, MANIFEST_SIZE_MAX as u64)? else { return Ok(None) };
    let media_type = media_type(&json);
    let Ok(document) = Document::parse(&media_type, &json) else { return Ok(None) };
    let annotations = document.annotations().map(wire::jcs::to_vec);
    Ok(Some(Manifest {
        media_type,
        artifact_type: document.artifact_type().map(str::to_owned),
        size: json.len() as u64,
        subject: document.subject().map(|subject| subject.digest),
        annotations: annotations.map(|json| String::from_utf8(json).expect("canonical JSON is UTF-8")),
        references: document.references().iter().map(|descriptor| descriptor.digest).collect(),
        bundle: bundle(&document),
    }))
}

fn bundle(document: &Document) -> Option<Digest> {
    let Document::Manifest(manifest) = document else { return None };
    match &manifest.layers[..] {
        [layer] if layer.media_type == sigstore_bundle::MEDIA_TYPE => Some(layer.digest),
        _ => None,
    }
}

fn read_blob(blobs: &Blobs, digest: &Digest, size_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
    match blobs.read(digest, size_max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(BlobError::Missing(_) | BlobError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says what a manifest is: what it says itself, or for old ones without a type, what its fields show.
fn media_type(json: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let probe = serde_json::from_slice(json).unwrap_or(Probe { media_type: None, manifests: None });
    let guess = if probe.manifests.is_some() { MEDIA_TYPE_INDEX } else { MEDIA_TYPE_MANIFEST };
    probe.media_type.unwrap_or_else(|| guess.to_owned())
}

/// Returns lower-case hexadecimal, as the `leaves` table has it.
pub(super) fn hex(bytes: &[u8; 32]) -> String {
    Digest::Sha256(*bytes).hex()
}
