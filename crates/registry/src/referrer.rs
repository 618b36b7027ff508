//! Statements as referrers: the manifest through which an OCI client finds a bundle beside the image it is about.
//!
//! Specification: cosign's bundle specification
//! <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>, OCI image format 1.1, "subject".
//!
//! ```json
//! {"annotations":{"dev.assay.envelope":"sha256:…","dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"https://assay.dev/recipe/v1",
//!   "org.opencontainers.image.created":"2026-11-22T19:41:00Z"},
//!  "artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json",
//!  "config":{"digest":"sha256:44136fa3…","mediaType":"application/vnd.oci.empty.v1+json","size":2},
//!  "layers":[{"digest":"sha256:…","mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":4242}],
//!  "mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2,"subject":{…}}
//! ```
//!
//! The same statement about the same manifest gives the same bytes, whoever makes it: a bundle is frozen when it is
//! first published, and the time in the annotation is the statement's.

use std::collections::BTreeMap;

use wire::digest::Digest;
use wire::oci_image::{ANNOTATION_CREATED, Annotations, Descriptor, Manifest};
use wire::sigstore_bundle;
use wire::timestamp::Timestamp;

/// Annotation: what the bundle holds.
pub const ANNOTATION_CONTENT: &str = "dev.sigstore.bundle.content";

/// Annotation: type of the predicate in it.
pub const ANNOTATION_PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// Annotation of ours: digest of the envelope in it, which names the statement whatever proof stands beside it.
pub const ANNOTATION_ENVELOPE: &str = "dev.assay.envelope";

/// A bundle that is to be found in a repository.
#[derive(Clone, Debug)]
pub struct BundleReferrer<'a> {
    /// The manifest that the statement is about; `None` when it is about something else, such as a file.
    pub subject: Option<&'a Descriptor>,
    /// Digest of the bundle's JSON.
    pub bundle: &'a Digest,
    /// Size of the bundle's JSON.
    pub bundle_size: u64,
    /// Digest of the envelope in it.
    pub envelope: &'a Digest,
    /// The statement's predicate type.
    pub predicate_type: &'a str,
    /// The statement's time.
    pub created: Timestamp,
}

/// Returns the manifest of a bundle, with the annotations that a referrers list shows.
pub fn manifest(referrer: &BundleReferrer<'_>) -> Manifest {
    let layer = Descriptor::new(sigstore_bundle::MEDIA_TYPE, *referrer.bundle, referrer.bundle_size);
    let plain = |subject: &Descriptor| Descriptor::new(&subject.media_type, subject.digest, subject.size);
    let mut manifest = Manifest::new(Descriptor::empty(), vec![layer]);
    manifest.artifact_type = Some(sigstore_bundle::MEDIA_TYPE.to_owned());
    manifest.subject = referrer.subject.map(plain);
    manifest.annotations = Some(annotations(referrer));
    manifest
}

fn annotations(referrer: &BundleReferrer<'_>) -> Annotations {
    BTreeMap::from([
        (ANNOTATION_CONTENT.to_owned(), "dsse-envelope".to_owned()),
        (ANNOTATION_PREDICATE.to_owned(), referrer.predicate_type.to_owned()),
        (ANNOTATION_ENVELOPE.to_owned(), referrer.envelope.to_string()),
        (ANNOTATION_CREATED.to_owned(), referrer.created.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_statement_gives_the_same_bytes() {
        let subject = Descriptor::new("application/vnd.oci.image.manifest.v1+json", Digest::of(b"image"), 5);
        let bundle = Digest::of(b"bundle");
        let referrer = BundleReferrer {
            subject: Some(&subject),
            bundle: &bundle,
            bundle_size: 6,
            envelope: &Digest::of(b"{}"),
            predicate_type: "https://assay.dev/recipe/v1",
            created: Timestamp::from_unix_s(1_795_376_460).expect("in range"),
        };
        let json = String::from_utf8(manifest(&referrer).to_json()).expect("text");
        assert_eq!(
            json,
            concat!(
                r#"{"annotations":{"dev.assay.envelope":"#,
                r#""sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","#,
                r#""dev.sigstore.bundle.content":"dsse-envelope","#,
                r#""dev.sigstore.bundle.predicateType":"https://assay.dev/recipe/v1","#,
                r#""org.opencontainers.image.created":"2026-11-22T19:41:00Z"},"#,
                r#""artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json","#,
                r#""config":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","#,
                r#""mediaType":"application/vnd.oci.empty.v1+json","size":2},"#,
                r#""layers":[{"digest":"sha256:1e6ed65d77d6364eeaed5a745ba5c4985ae2b700dd85d7cf7f027bdf294a33fc","#,
                r#""mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":6}],"#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2,"#,
                r#""subject":{"digest":"sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d","#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","size":5}}"#
            )
        );
    }
}
