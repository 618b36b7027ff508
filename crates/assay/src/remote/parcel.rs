//! What an artifact looks like in a registry. Pure.
//!
//! An image is itself. A file is the one layer of an artifact manifest, so that any registry can hold it; a bundle is a
//! referrer as cosign and our server have it (`registry::referrer`).
//!
//! ```json
//! {"artifactType":"application/vnd.assay.artifact.v1",
//!  "config":{"digest":"sha256:44136fa3…","mediaType":"application/vnd.oci.empty.v1+json","size":2},
//!  "layers":[{"annotations":{"org.opencontainers.image.title":"greeter"},"digest":"sha256:…",
//!             "mediaType":"application/octet-stream","size":812345}],
//!  "mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}
//! ```

use std::collections::BTreeMap;

use attest::Attestation;
use model::lineage::NodeId;
use registry::referrer::{self, BundleReferrer};
use wire::digest::Digest;
use wire::in_toto::Statement;
use wire::oci_image::{ANNOTATION_TITLE, Descriptor, Document, ImageError, MEDIA_TYPE_MANIFEST, Manifest};
use wire::sigstore_bundle::{self, Bundle, Content};
use wire::timestamp::Timestamp;

/// Artifact type of a file's manifest.
pub(crate) const ARTIFACT_TYPE: &str = "application/vnd.assay.artifact.v1";
/// Media type of the file in it.
const FILE_TYPE: &str = "application/octet-stream";
/// The longest file name.
const NAME_MAX: usize = 200;

/// An artifact as it travels.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// The manifest.
    pub(crate) manifest: Vec<u8>,
    /// Names the manifest.
    pub(crate) descriptor: Descriptor,
    /// What the manifest names.
    pub(crate) blobs: Vec<Descriptor>,
    /// What it holds.
    pub(crate) contents: Contents,
}

/// What a manifest holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// A file, and the name to write it under.
    File(String, Digest),
    /// An image.
    Image,
}

/// A statement beside a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Referrer {
    /// Names the referrer's manifest, as a list shows it.
    pub(crate) descriptor: Descriptor,
    /// The referrer's manifest.
    pub(crate) manifest: Vec<u8>,
    /// Names the bundle in it.
    pub(crate) layer: Descriptor,
    /// The bundle.
    pub(crate) bundle: Vec<u8>,
}

/// What can be read of a bundle without believing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Digest of the envelope.
    pub(crate) envelope: Digest,
    /// Type of the predicate; empty when the payload is no statement.
    pub(crate) predicate_type: String,
}

impl Parcel {
    /// A file's parcel.
    pub(crate) fn of_file(name: &str, digest: Digest, size: u64) -> Parcel {
        let mut file = Descriptor::new(FILE_TYPE, digest, size);
        file.annotations = Some(BTreeMap::from([(ANNOTATION_TITLE.to_owned(), name.to_owned())]));
        let mut manifest = Manifest::new(Descriptor::empty(), vec![file]);
        manifest.artifact_type = Some(ARTIFACT_TYPE.to_owned());
        let bytes = manifest.to_json();
        let descriptor = Descriptor::new(MEDIA_TYPE_MANIFEST, Digest::of(&bytes), bytes.len() as u64);
        Parcel::new(descriptor, bytes, &manifest)
    }

    /// The parcel of a manifest that is there already.
    pub(crate) fn of_manifest(digest: Digest, bytes: Vec<u8>, manifest: &Manifest) -> Parcel {
        let media_type = manifest.media_type.as_deref().unwrap_or(MEDIA_TYPE_MANIFEST);
        Parcel::new(Descriptor::new(media_type, digest, bytes.len() as u64), bytes, manifest)
    }

    fn new(descriptor: Descriptor, bytes: Vec<u8>, manifest: &Manifest) -> Parcel {
        let mut blobs: Vec<Descriptor> = std::iter::once(&manifest.config).chain(&manifest.layers).cloned().collect();
        let mut seen = std::collections::BTreeSet::new();
        blobs.retain(|blob| seen.insert(blob.digest));
        Parcel { manifest: bytes, descriptor, blobs, contents: contents(manifest) }
    }

    /// The digests that statements about it name.
    pub(crate) fn subjects(&self) -> Vec<Digest> {
        match &self.contents {
            Contents::File(_, digest) => vec![*digest, self.descriptor.digest],
            // The configuration too: a client may have compressed the layers again, and so made another manifest.
            Contents::Image => {
                std::iter::once(self.descriptor.digest).chain(self.blobs.first().map(|config| config.digest)).collect()
            }
        }
    }
}

fn contents(manifest: &Manifest) -> Contents {
    match (manifest.artifact_type.as_deref(), manifest.layers.as_slice()) {
        (Some(ARTIFACT_TYPE), [file]) => {
            let title = file.annotations.as_ref().and_then(|notes| notes.get(ANNOTATION_TITLE));
            Contents::File(file_name(title.map_or("", String::as_str)), file.digest)
        }
        _ => Contents::Image,
    }
}

/// A name that is one plain file in whatever directory it is written to.
fn file_name(title: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    let name: String = title.chars().take(NAME_MAX).map(|c| if plain(c) { c } else { '_' }).collect();
    if name.trim_matches('.').is_empty() { "artifact".to_owned() } else { name }
}

/// Reads stored bytes as an image manifest; `None` when they are something else.
pub(crate) fn as_manifest(bytes: &[u8]) -> Result<Option<Manifest>, ImageError> {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let Some(media_type) = value["mediaType"].as_str() else { return Ok(None) };
    match Document::parse(media_type, bytes) {
        Ok(Document::Manifest(manifest)) => Ok(Some(manifest)),
        Ok(Document::Index(_)) | Err(ImageError::MediaType(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the referrer of a bundle about a manifest. `stated` is the statement's own time, so that the same statement
/// gives the same bytes whoever pushes it.
pub(crate) fn referrer(subject: &Descriptor, bundle: &Bundle, stated: Timestamp) -> Option<Referrer> {
    let label = label(bundle)?;
    let json = bundle.to_json();
    let layer = Descriptor::new(sigstore_bundle::MEDIA_TYPE, Digest::of(&json), json.len() as u64);
    let manifest = referrer::manifest(&BundleReferrer {
        subject: Some(subject),
        bundle: &layer.digest,
        bundle_size: layer.size,
        envelope: &label.envelope,
        predicate_type: &label.predicate_type,
        created: stated,
    });
    let bytes = manifest.to_json();
    let mut descriptor = Descriptor::new(MEDIA_TYPE_MANIFEST, Digest::of(&bytes), bytes.len() as u64);
    descriptor.artifact_type = manifest.artifact_type;
    descriptor.annotations = manifest.annotations;
    Some(Referrer { descriptor, manifest: bytes, layer, bundle: json })
}

/// Reads what a bundle is; `None` for one that holds no envelope.
pub(crate) fn label(bundle: &Bundle) -> Option<Label> {
    let Content::Envelope(envelope) = &bundle.content else { return None };
    let predicate_type =
        Statement::parse(&envelope.payload).map(|statement| statement.predicate_type).unwrap_or_default();
    Some(Label { envelope: Digest::of(&envelope.to_json()), predicate_type })
}

/// The time that a statement gives itself.
pub(crate) fn own_time(attestation: &Attestation) -> Option<Timestamp> {
    let id = NodeId::digest(attestation.statement().payload());
    attest::facts(attestation).nodes.into_iter().find(|node| node.id == id)?.time
}

#[cfg(test)]
mod tests;
