use expect_test::expect;
use wire::dsse::{Envelope, IN_TOTO, Signature};
use wire::in_toto::ResourceDescriptor;
use wire::sigstore_bundle::{Signer, VerificationMaterial};

use super::*;

fn bundle() -> Bundle {
    let subject = ResourceDescriptor::named("greeter", &Digest::of(b"image"));
    let statement = Statement::new(vec![subject], "https://assay.dev/recipe/v1", serde_json::json!({}));
    Bundle {
        verification_material: VerificationMaterial {
            signer: Signer::PublicKey { hint: "sha256:00".to_owned() },
            tlog_entries: Vec::new(),
            timestamps: Vec::new(),
        },
        content: Content::Envelope(Envelope {
            payload: statement.to_json(),
            payload_type: IN_TOTO.to_owned(),
            signature: Signature { keyid: String::new(), sig: vec![1, 2, 3] },
        }),
    }
}

#[test]
fn a_file_is_a_layer() {
    let parcel = Parcel::of_file("greeter", Digest::of(b"program"), 7);
    let text = String::from_utf8(parcel.manifest.clone()).expect("text");
    expect![[r#"{"artifactType":"application/vnd.assay.artifact.v1","config":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"application/vnd.oci.empty.v1+json","size":2},"layers":[{"annotations":{"org.opencontainers.image.title":"greeter"},"digest":"sha256:1310ca2c8932dbd118668bd97442558a3e1f546b5e15c69699dfbd6024f548d8","mediaType":"application/octet-stream","size":7}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#]].assert_eq(&text);
    assert_eq!(parcel.contents, Contents::File("greeter".to_owned(), Digest::of(b"program")));
    assert_eq!(parcel.subjects(), [Digest::of(b"program"), Digest::of(&parcel.manifest)]);
    assert_eq!(parcel.blobs.len(), 2);
    let read = as_manifest(&parcel.manifest).expect("read").expect("a manifest");
    assert_eq!(
        Parcel::of_manifest(Digest::of(&parcel.manifest), parcel.manifest.clone(), &read).contents,
        parcel.contents
    );
}

#[test]
fn a_bundle_is_a_referrer() {
    let subject = Descriptor::new(MEDIA_TYPE_MANIFEST, Digest::of(b"image"), 5);
    let referrer =
        referrer(&subject, &bundle(), Timestamp::from_unix_s(1_795_376_460).expect("in range")).expect("an envelope");
    expect![[r#"{"annotations":{"dev.assay.envelope":"sha256:559e87cd6b5f53c399739b058c6c616e6adef3f2c68891642da164cf8c88dee1","dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"https://assay.dev/recipe/v1","org.opencontainers.image.created":"2026-11-22T19:41:00Z"},"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json","config":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"application/vnd.oci.empty.v1+json","size":2},"layers":[{"digest":"sha256:a662d1c36c9e39a72b66f5e78c92efca1df8983674bf33d16fd7d4dca499d214","mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":590}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2,"subject":{"digest":"sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d","mediaType":"application/vnd.oci.image.manifest.v1+json","size":5}}"#]].assert_eq(&String::from_utf8(referrer.manifest.clone()).expect("text"));
    assert_eq!(referrer.descriptor.digest, Digest::of(&referrer.manifest));
    assert_eq!(referrer.layer.digest, Digest::of(&referrer.bundle));
    assert_eq!(referrer.descriptor.artifact_type.as_deref(), Some(sigstore_bundle::MEDIA_TYPE));
}

#[test]
fn names_stay_in_their_directory() {
    let check = |title: &str, expected: &str| assert_eq!(file_name(title), expected);
    check("greeter", "greeter");
    check("greeter-1.2+x_y", "greeter-1.2+x_y");
    check("../../etc/passwd", ".._.._etc_passwd");
    check("/etc/passwd", "_etc_passwd");
    check("", "artifact");
    check(".", "artifact");
    check("..", "artifact");
    check("a\0b\n", "a_b_");
    assert_eq!(file_name(&"x".repeat(5000)).len(), NAME_MAX);
}

#[test]
fn what_is_no_manifest_is_a_file() {
    let check = |bytes: &[u8]| assert!(matches!(as_manifest(bytes), Ok(None)), "{bytes:?}");
    check(b"");
    check(b"\x7fELF");
    check(b"{}");
    check(br#"{"mediaType":"text/plain"}"#);
    check(br#"{"mediaType":7}"#);
    assert!(as_manifest(br#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#).is_err());
}
