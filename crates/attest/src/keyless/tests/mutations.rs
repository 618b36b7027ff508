//! One change to each field and step: every one refuses, and says what is wrong.

use sign::authority::Window;
use wire::sigstore_bundle::{InclusionPromise, TransparencyLogEntry};

use super::*;

struct Case {
    bundle: Bundle,
    root: TrustedRoot,
    now: Timestamp,
}

impl Case {
    fn new(name: &str, root_name: &str) -> Case {
        Case { bundle: bundle(name), root: root(root_name), now: now() }
    }

    fn entry(&mut self) -> &mut TransparencyLogEntry {
        &mut self.bundle.verification_material.tlog_entries[0]
    }

    fn verify(&self, artifact: Digest) -> Result<Keyless, String> {
        let authorities = Authorities::of(&self.root).map_err(|error| all(&error))?;
        verify(&self.bundle, &Artifact::Sha256(artifact), &authorities, self.now).map_err(|error| all(&error))
    }
}

type Change = (&'static str, fn(&mut Case), &'static str);

fn certificate(case: &mut Case) -> &mut Vec<u8> {
    match &mut case.bundle.verification_material.signer {
        Signer::Certificate(der) => der,
        Signer::PublicKey { .. } => panic!("a certificate"),
    }
}

fn signature(case: &mut Case) -> &mut Vec<u8> {
    match &mut case.bundle.content {
        Content::Envelope(envelope) => &mut envelope.signature.sig,
        Content::Message(message) => &mut message.signature,
    }
}

fn flip_last(bytes: &mut [u8]) {
    *bytes.last_mut().expect("bytes") ^= 1;
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn check(name: &str, root: &str, changes: &[Change]) {
    let artifact = stated(&bundle(name));
    Case::new(name, root).verify(artifact).expect("good before the change");
    let mut wrong = Vec::new();
    for (what, change, expected) in changes {
        let mut case = Case::new(name, root);
        change(&mut case);
        match case.verify(artifact) {
            Ok(_) => wrong.push(format!("{what}: accepted")),
            Err(error) if !error.contains(expected) => wrong.push(format!("{what}: {error}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// Rekor v1: a promise and a proof, a time-stamp beside them, a blob.
#[test]
fn of_a_blob_in_rekor_v1() {
    check(
        "cosign-v3-blob",
        "public",
        &[
            ("signature", |case| flip_last(signature(case)), "time-stamp is over another signature"),
            (
                "signature, without the stamp",
                |case| {
                    case.bundle.verification_material.timestamps.clear();
                    flip_last(signature(case));
                },
                "another signature than the bundle",
            ),
            ("certificate's signature", |case| flip_last(certificate(case)), "its signature is not the issuer's"),
            ("certificate cut", |case| certificate(case).truncate(700), "malformed structure"),
            (
                "digest",
                |case| match &mut case.bundle.content {
                    Content::Message(message) => flip_last(&mut message.message_digest.as_mut().expect("one").digest),
                    Content::Envelope(_) => panic!("a blob"),
                },
                "about another file",
            ),
            ("body", |case| flip_last(&mut case.entry().canonicalized_body), "signed entry timestamp of log"),
            ("index", |case| case.entry().log_index += 1, "signed entry timestamp of log"),
            ("time", |case| case.entry().integrated_time += 1, "signed entry timestamp of log"),
            (
                "promise",
                |case| flip_last(&mut case.entry().inclusion_promise.as_mut().expect("one").signed_entry_timestamp),
                "signed entry timestamp of log",
            ),
            ("no promise", |case| case.entry().inclusion_promise = None, "which the log did not sign"),
            (
                "no promise, no time",
                |case| {
                    case.entry().inclusion_promise = None;
                    case.entry().integrated_time = 0;
                },
                "another `logIndex` than its proof",
            ),
            ("log", |case| flip_last(&mut case.entry().log_id.key_id), "unknown log"),
            ("kind", |case| case.entry().kind_version.kind = "dsse".to_owned(), "another kind than its body's"),
            ("version", |case| case.entry().kind_version.version = "0.0.2".to_owned(), "another kind than its body's"),
            ("proof's index", |case| case.entry().inclusion_proof.log_index -= 1, "inclusion proof"),
            ("proof's root", |case| flip_last(&mut case.entry().inclusion_proof.root_hash), "`rootHash`"),
            ("proof's size", |case| case.entry().inclusion_proof.tree_size += 1, "`treeSize`"),
            ("proof's hashes", |case| flip_last(&mut case.entry().inclusion_proof.hashes[0]), "inclusion proof"),
            ("a hash less", |case| drop(case.entry().inclusion_proof.hashes.pop()), "inclusion proof"),
            (
                "checkpoint's size",
                |case| {
                    let note = &mut case.entry().inclusion_proof.checkpoint.envelope;
                    *note = note.replacen("616408488", "616408489", 1);
                },
                "checkpoint's signature of log",
            ),
            (
                "checkpoint's signer",
                |case| {
                    let note = &mut case.entry().inclusion_proof.checkpoint.envelope;
                    *note = note.replacen("— rekor.sigstore.dev ", "— rekor.sigstore.org ", 1);
                },
                "not of the log that signed it",
            ),
            ("no entry", |case| case.bundle.verification_material.tlog_entries.clear(), "not logged"),
            (
                "a bad stamp beside a good promise",
                |case| flip_last(&mut case.bundle.verification_material.timestamps[0].signed_timestamp),
                "checking time-stamp 0",
            ),
            (
                "one stamp twice",
                |case| {
                    let first = case.bundle.verification_material.timestamps[0].clone();
                    case.bundle.verification_material.timestamps.push(first);
                },
                "stands twice",
            ),
            ("clock", |case| case.now = time("2025-01-01T00:00:00Z"), "and it is 2025-01-01"),
            ("no authority", |case| case.root.certificate_authorities.clear(), "no certificate authority is trusted"),
            (
                "authority's window",
                |case| case.root.certificate_authorities[1].valid_for.end = Some(time("2025-12-03T18:36:41Z")),
                "no certificate authority is trusted",
            ),
            (
                "authority without its intermediate",
                |case| drop(case.root.certificate_authorities[1].cert_chain.certificates.remove(0)),
                "no certificate of the authority issued it",
            ),
            ("no log of certificates", |case| case.root.ctlogs.clear(), "none of the certificate's 1"),
            (
                "window of the log of certificates",
                |case| case.root.ctlogs[1].public_key.valid_for.end = Some(time("2025-12-01T00:00:00Z")),
                "when the log was not trusted",
            ),
            (
                "key of the log of certificates",
                |case| case.root.ctlogs[1].public_key.raw_bytes = case.root.ctlogs[0].public_key.raw_bytes.clone(),
                "another id than its key's",
            ),
            ("no log", |case| case.root.tlogs.clear(), "unknown log"),
            (
                "window of the log",
                |case| case.root.tlogs[0].public_key.valid_for.end = Some(time("2025-12-01T00:00:00Z")),
                "its entry is of 2025-12-03",
            ),
            (
                "key of the log",
                |case| case.root.tlogs[0].public_key.raw_bytes = case.root.ctlogs[0].public_key.raw_bytes.clone(),
                "signed entry timestamp of log",
            ),
            (
                "no time-stamp authority",
                |case| case.root.timestamp_authorities.clear(),
                "no time-stamp authority is trusted",
            ),
            (
                "time-stamp authority's window",
                |case| case.root.timestamp_authorities[0].valid_for.end = Some(time("2025-12-01T00:00:00Z")),
                "no time-stamp authority is trusted",
            ),
        ],
    );
}

/// Rekor v2: no promise, a time-stamp alone, an envelope as `hashedrekord` 0.0.2.
#[test]
fn of_an_envelope_in_rekor_v2() {
    check(
        "conda-attestation-rekor2",
        "staging",
        &[
            (
                "payload",
                |case| match &mut case.bundle.content {
                    Content::Envelope(envelope) => envelope.payload.push(b' '),
                    Content::Message(_) => panic!("an envelope"),
                },
                "the entry's data is not that of the content",
            ),
            (
                "payload type",
                |case| match &mut case.bundle.content {
                    Content::Envelope(envelope) => envelope.payload_type.push('x'),
                    Content::Message(_) => panic!("an envelope"),
                },
                "the entry's data is not that of the content",
            ),
            ("no stamp", |case| case.bundle.verification_material.timestamps.clear(), "no signed time"),
            ("a time that nobody signs", |case| case.entry().integrated_time = 1_700_000_000, "did not sign"),
            (
                "a promise of nobody",
                |case| case.entry().inclusion_promise = Some(InclusionPromise { signed_entry_timestamp: vec![1; 64] }),
                "signed entry timestamp of log",
            ),
            ("index", |case| case.entry().log_index += 1, "another `logIndex`"),
            ("signature", |case| flip_last(signature(case)), "time-stamp is over another signature"),
            ("body", |case| flip_last(&mut case.entry().canonicalized_body), "canonicalizedBody"),
            (
                "a body with another certificate",
                |case| {
                    let other = bundle("staging-rekor-v2-dsse").verification_material.tlog_entries[0]
                        .canonicalized_body
                        .clone();
                    case.entry().canonicalized_body = other;
                },
                "not that of the content",
            ),
            (
                "checkpoint's signer",
                |case| {
                    let note = &mut case.entry().inclusion_proof.checkpoint.envelope;
                    *note = note.replacen("— log2025-alpha3.", "— log2025-alpha4.", 1);
                },
                "no signature of log",
            ),
            (
                "checkpoint's key",
                |case| case.root.tlogs[3].public_key.raw_bytes = case.root.tlogs[2].public_key.raw_bytes.clone(),
                "checkpoint's signature of log",
            ),
            (
                "window of the log",
                |case| case.root.tlogs[3].public_key.valid_for.end = Some(time("2025-09-24T00:00:00Z")),
                "and the signature is of",
            ),
        ],
    );
}

/// Every byte of certificate and time-stamp counts: whatever changes, nothing is accepted and nothing panics.
#[test]
fn of_every_byte_of_certificate_and_stamp() {
    let artifact = stated(&bundle("conda-attestation-rekor2"));
    let good = Case::new("conda-attestation-rekor2", "staging");
    let authorities = Authorities::of(&good.root).expect("authorities");
    let accepts = |bundle: &Bundle| verify(bundle, &Artifact::Sha256(artifact), &authorities, good.now).is_ok();
    let mut case = Case::new("conda-attestation-rekor2", "staging");
    for index in 0..certificate(&mut case).len() {
        certificate(&mut case)[index] ^= 4;
        assert!(!accepts(&case.bundle), "byte {index} of the certificate");
        certificate(&mut case)[index] ^= 4;
    }
    let mut outside = Vec::new();
    for index in 0..case.bundle.verification_material.timestamps[0].signed_timestamp.len() {
        case.bundle.verification_material.timestamps[0].signed_timestamp[index] ^= 4;
        if accepts(&case.bundle) {
            outside.push(index);
        }
        case.bundle.verification_material.timestamps[0].signed_timestamp[index] ^= 4;
    }
    assert_eq!(outside, Vec::<usize>::new());
    assert!(accepts(&case.bundle));
}

#[test]
fn windows_hold_both_ends() {
    let window = Window { start: time("2026-01-01T00:00:00Z"), end: Some(time("2026-01-02T00:00:00Z")) };
    let inside = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
    let outside = ["2025-12-31T23:59:59Z", "2026-01-02T00:00:01Z"];
    assert!(inside.iter().all(|text| window.contains(time(text))));
    assert!(outside.iter().all(|text| !window.contains(time(text))));
}
