//! Bundles opened, and refused with one thing changed. // M3.2

use serde_json::{Value, json};
use sign::trust::{Role, TrustError};
use tlog::LogError;
use wire::dsse::Envelope;
use wire::in_toto::Statement;
use wire::sigstore_bundle::{Bundle, Content, Signer};

use super::{Random, all};
use crate::open::{OpenError, VerifyError, bundle, open, unlogged, verify};
use crate::predicate::Predicate;
use crate::sample::{self, Scene, time};

const ORIGIN: &str = "example.org/log";

fn scene() -> Scene {
    Scene::new(ORIGIN).expect("keys can be made")
}

/// The one of the cast who may sign a predicate.
fn signer(predicate: Predicate) -> &'static str {
    match predicate.role() {
        Role::Builder => "builder-full",
        Role::Tester => "tester",
        Role::Publisher => "publisher",
        Role::Verifier => "verifier",
        Role::Deployer => "deployer",
        Role::Admin => "admin",
    }
}

#[test]
fn opens_every_kind() {
    let mut scene = scene();
    for (index, predicate) in all().enumerate() {
        let statement = sample::statement(predicate);
        let bundle = scene.bundle(signer(predicate), &statement);
        let again = Bundle::parse(&bundle.to_json()).expect("our bundles are well formed");
        let attestation = open(&again, scene.trust(), time(0)).expect("nothing is wrong with it");
        let Content::Envelope(envelope) = &bundle.content else { panic!("a bundle of an attestation") };
        let signed = attestation.statement();
        assert_eq!(signed.value(), &statement);
        assert_eq!(signed.identity(), signer(predicate));
        assert_eq!(signed.roles(), [predicate.role()]);
        assert_eq!(signed.payload(), &wire::digest::Digest::of(&envelope.payload));
        assert_eq!(signed.envelope(), &wire::digest::Digest::of(&envelope.to_json()));
        assert_eq!(signed.key().to_string(), envelope.signature.keyid);
        assert_eq!(attestation.claim().predicate(), Some(predicate));
        assert!(attestation.authorised());
        let logged = attestation.logged().expect("it was logged");
        assert_eq!((logged.origin(), logged.index()), (ORIGIN, index as u64));
    }
}

/// Statement, envelope, verification, statement: the same, for whatever a predicate may hold.
#[test]
fn any_statement_comes_back_as_it_was_signed() {
    let mut random = wire::mutation::Mutator::new(31);
    let scene = scene();
    for round in 0..300 {
        let subjects = (0..=random.below(4)).map(|number| {
            let digest = wire::digest::Digest::of(&random.next().to_be_bytes());
            wire::in_toto::ResourceDescriptor::named(&format!("n\u{fc}mber {number}\n"), &digest)
        });
        let subjects = subjects.collect();
        let mut predicate = json!({});
        for _ in 0..random.below(6) {
            let key = format!("{:x}\"", random.next());
            predicate[key] = match random.below(4) {
                0 => json!(random.next() as i32),
                1 => json!([null, true, "\u{1f600}\u{0}", {"a": {"b": []}}]),
                2 => json!("x".repeat(random.below(5000))),
                _ => json!((2 * random.below(1_000_000) + 1) as f64 / 128.0),
            };
        }
        let statement = Statement::new(subjects, "https://example.org/anything/v1", predicate);
        let envelope = scene.sign("tester", &statement);
        let again = Envelope::parse(&envelope.to_json()).expect("ours");
        assert_eq!(again, envelope, "round {round}");
        let verified = verify(&again, scene.trust(), time(0)).expect("nothing is wrong with it");
        assert_eq!(verified.value(), &statement, "round {round}");
        assert_eq!(verified.value().to_json(), envelope.payload, "round {round}");
        assert_eq!(verified.identity(), "tester");
    }
}

#[test]
fn unlogged_is_never_shown_as_logged() {
    let scene = scene();
    let attestation = scene.unlogged("builder-full", &sample::statement(Predicate::Run)).expect("signed well");
    assert!(attestation.logged().is_none());
}

#[test]
fn a_signer_without_the_role_is_told_apart() {
    let mut scene = scene();
    for predicate in all() {
        let other = if predicate.role() == Role::Tester { "builder-full" } else { "tester" };
        let attestation = scene.logged(other, &sample::statement(predicate)).expect("signed well");
        assert!(!attestation.authorised(), "{other} may not state {}", predicate.name());
    }
    let foreign = Statement::new(sample::statement(Predicate::Run).subject, "https://spdx.dev/Document", json!({}));
    assert!(scene.logged("tester", &foreign).expect("signed well").authorised());
}

/// Every leaf of a bundle's JSON changed, every field and entry removed, every entry doubled.
#[test]
fn one_change_anywhere_is_found() {
    let mut scene = scene();
    scene.bundle("builder-full", &sample::statement(Predicate::Recipe));
    scene.bundle("builder-full", &sample::statement(Predicate::Rebuilt));
    let bundle = scene.bundle("builder-full", &sample::statement(Predicate::Run));
    let good: Value = serde_json::from_slice(&bundle.to_json()).expect("JSON");
    let mut accepted = Vec::new();
    for path in leaves(&good) {
        for (how, changed) in changes(&good, &path) {
            assert_ne!(changed, good, "{path} {how}");
            let opened = Bundle::parse(changed.to_string().as_bytes())
                .ok()
                .and_then(|bundle| open(&bundle, scene.trust(), time(0)).ok());
            if opened.is_some() {
                accepted.push(format!("{how} {path}"));
            }
        }
    }
    accepted.sort();
    // The hint proves nothing and refuses nothing; what is left out reads as zero or as nothing, which is what it was.
    assert_eq!(
        accepted,
        [
            "less /verificationMaterial/publicKey/hint",
            "less /verificationMaterial/timestampVerificationData",
            "less /verificationMaterial/timestampVerificationData/rfc3161Timestamps",
            "less /verificationMaterial/tlogEntries/0/integratedTime",
            "other /verificationMaterial/publicKey/hint",
            "other /verificationMaterial/timestampVerificationData",
        ]
    );
}

/// Every field of a bundle v0.3 and of the messages in it, by the specification's `.proto` files: those that our bundles have
/// stand in a bundle of ours; the others are put into one, with a value that is good in form.
const FIELDS: &[(&str, Option<&str>)] = &[
    ("/mediaType", None),
    ("/verificationMaterial", None),
    ("/verificationMaterial/publicKey", None),
    ("/verificationMaterial/publicKey/hint", None),
    ("/verificationMaterial/x509CertificateChain", Some(r#"{"certificates":[{"rawBytes":"MAA="}]}"#)),
    ("/verificationMaterial/certificate", Some(r#"{"rawBytes":"MAA="}"#)),
    ("/verificationMaterial/tlogEntries", None),
    ("/verificationMaterial/tlogEntries/0/logIndex", None),
    ("/verificationMaterial/tlogEntries/0/logId", None),
    ("/verificationMaterial/tlogEntries/0/logId/keyId", None),
    ("/verificationMaterial/tlogEntries/0/kindVersion", None),
    ("/verificationMaterial/tlogEntries/0/kindVersion/kind", None),
    ("/verificationMaterial/tlogEntries/0/kindVersion/version", None),
    ("/verificationMaterial/tlogEntries/0/integratedTime", None),
    ("/verificationMaterial/tlogEntries/0/inclusionPromise", Some(r#"{"signedEntryTimestamp":"MAA="}"#)),
    ("/verificationMaterial/tlogEntries/0/inclusionProof", None),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/logIndex", None),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/rootHash", None),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/treeSize", None),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/hashes", None),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0", None),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint", None),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope", None),
    ("/verificationMaterial/tlogEntries/0/canonicalizedBody", None),
    ("/verificationMaterial/timestampVerificationData", None),
    ("/verificationMaterial/timestampVerificationData/rfc3161Timestamps", Some(r#"[{"signedTimestamp":"MAA="}]"#)),
    ("/messageSignature", Some(r#"{"signature":"MAA="}"#)),
    ("/messageSignature", Some(r#"{"messageDigest":{"algorithm":"SHA2_256","digest":"MAA="},"signature":"MAA="}"#)),
    ("/dsseEnvelope", None),
    ("/dsseEnvelope/payload", None),
    ("/dsseEnvelope/payloadType", None),
    ("/dsseEnvelope/signatures", None),
    ("/dsseEnvelope/signatures/0/sig", None),
    ("/dsseEnvelope/signatures/0/keyid", None),
];

/// [`one_change_anywhere_is_found`] changes what stands in a bundle of ours: here, that this is every field there can be,
/// and that what does not stand in it cannot be put in.
#[test]
fn every_field_of_the_format_is_in_a_bundle_or_refused_in_one() {
    let mut scene = scene();
    scene.bundle("builder-full", &sample::statement(Predicate::Recipe));
    let bundle = scene.bundle("builder-full", &sample::statement(Predicate::Run));
    let good: Value = serde_json::from_slice(&bundle.to_json()).expect("JSON");
    let present = leaves(&good);
    for (path, added) in FIELDS {
        let Some(added) = added else {
            assert!(present.iter().any(|leaf| leaf == path), "{path} is not in a bundle, so no test changes it");
            continue;
        };
        let (parent, name) = path.rsplit_once('/').expect("a pointer has a slash");
        let mut changed = good.clone();
        changed.pointer_mut(parent).expect("the parent is there")[name] = serde_json::from_str(added).expect("JSON");
        let opened = Bundle::parse(changed.to_string().as_bytes()).map(|bundle| open(&bundle, scene.trust(), time(0)));
        assert!(!matches!(opened, Ok(Ok(_))), "{path} was added and nobody noticed");
    }
    let named = |leaf: &String| FIELDS.iter().any(|(path, _)| path == leaf);
    let unnamed: Vec<&String> = present.iter().filter(|leaf| !named(leaf) && !leaf.ends_with("/0")).collect();
    assert!(unnamed.is_empty(), "fields that the specification does not have: {unnamed:?}");
}

#[test]
fn each_reason_has_its_error() {
    let mut scene = scene();
    let statement = sample::statement(Predicate::Run);
    let good = scene.bundle("builder-full", &statement);
    let other = scene.bundle("builder-full", &sample::statement(Predicate::Recipe));
    let refused = |bundle: &Bundle, scene: &Scene| open(bundle, scene.trust(), time(0)).expect_err("refused");

    let mut bundle = good.clone();
    bundle.verification_material.tlog_entries.clear();
    assert!(matches!(refused(&bundle, &scene), OpenError::Entries { count: 0 }));
    let mut bundle = good.clone();
    bundle.verification_material.tlog_entries.extend(other.verification_material.tlog_entries.clone());
    assert!(matches!(refused(&bundle, &scene), OpenError::Entries { count: 2 }));
    let mut bundle = good.clone();
    bundle.verification_material.tlog_entries = other.verification_material.tlog_entries;
    assert!(matches!(log_error(refused(&bundle, &scene)), LogError::Entry(_)));
    let mut bundle = good.clone();
    bundle.verification_material.signer = Signer::Certificate(vec![0x30, 0]);
    assert!(matches!(refused(&bundle, &scene), OpenError::Keyless { .. }));

    let mut bundle = good.clone();
    let stamp = wire::sigstore_bundle::Rfc3161Timestamp { signed_timestamp: vec![0x30, 0] };
    bundle.verification_material.timestamps.push(stamp);
    assert!(matches!(refused(&bundle, &scene), OpenError::Timestamps { count: 1 }));

    let log = scene.trust_mut().logs.pop().expect("the scene has a log");
    assert!(matches!(log_error(refused(&good, &scene)), LogError::UnknownLog(_)));
    scene.trust_mut().logs.push(log);

    let before = open(&good, scene.trust(), time(-2_000_000)).expect_err("before the key's time");
    assert!(matches!(before, OpenError::Verify(VerifyError::Trust { source: TrustError::NotYetValid { .. }, .. })));
    scene.trust_mut().identities[0].revoked_at = Some(time(-1));
    assert!(matches!(
        refused(&good, &scene),
        OpenError::Verify(VerifyError::Trust { source: TrustError::Revoked { .. }, .. })
    ));
    scene.trust_mut().identities.remove(0);
    assert!(matches!(
        refused(&good, &scene),
        OpenError::Verify(VerifyError::Trust { source: TrustError::UnknownKey { .. }, .. })
    ));
}

fn log_error(error: OpenError) -> LogError {
    match error {
        OpenError::Log { source, .. } => *source,
        other => panic!("not the log's fault: {other}"),
    }
}

#[test]
fn signed_rubbish_is_refused() {
    let scene = scene();
    let key = sign::SigningKey::generate().expect("a key");
    let mut trust = scene.trust().clone();
    trust.identities[0].key = key.public().clone();
    let seal = |kind: &str, payload: &[u8]| sign::seal(kind, payload, &key);
    let refused = |envelope: &Envelope| verify(envelope, &trust, time(0)).expect_err("refused");

    let good = sample::statement(Predicate::Run).to_json();
    assert!(matches!(refused(&seal("text/plain", &good)), VerifyError::PayloadType { .. }));
    assert!(matches!(refused(&seal(wire::dsse::IN_TOTO, b"[]")), VerifyError::Statement { .. }));
    assert!(matches!(refused(&seal(wire::dsse::IN_TOTO, b"")), VerifyError::Statement { .. }));

    let mut malformed = sample::statement(Predicate::Run);
    malformed.predicate["assay"]["recipe"] = json!("sha256:0");
    let envelope = seal(wire::dsse::IN_TOTO, &malformed.to_json());
    let error = unlogged(&envelope, &trust, time(0)).expect_err("the predicate is malformed");
    assert!(matches!(error, OpenError::Claim { .. }), "{error}");
    // The signature is good all the same, and the statement can be read as that.
    assert!(verify(&envelope, &trust, time(0)).is_ok());
}

#[test]
fn an_index_leaf_goes_into_no_bundle() {
    let mut scene = scene();
    let envelope = scene.sign("builder-full", &sample::statement(Predicate::Run));
    let mut receipt = scene.log("builder-full", &envelope);
    receipt.body = br#"{"assayIndex":1}"#.to_vec();
    assert!(bundle(&envelope, &receipt, "hint").is_err());
}

#[test]
fn damaged_bundles_never_open() {
    let mut scene = scene();
    let good = scene.bundle("builder-full", &sample::statement(Predicate::Run));
    let bytes = good.to_json();
    let mut random = Random(0xb0b);
    for _ in 0..2_000 {
        let mut damaged = bytes.clone();
        let at = random.below(damaged.len());
        damaged[at] ^= 1 << random.below(7);
        let Ok(mut bundle) = Bundle::parse(&damaged) else { continue };
        if open(&bundle, scene.trust(), time(0)).is_ok() {
            // Only the hint may have changed, or how the same bundle is written: an optional field that was empty.
            bundle.verification_material.signer = good.verification_material.signer.clone();
            assert_eq!(bundle, good, "byte {at} was changed");
        }
    }
}

/// Returns the JSON pointers of all fields and entries.
fn leaves(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut walk = |step: String, child: &Value| {
        found.push(step.clone());
        found.extend(leaves(child).into_iter().map(|path| format!("{step}{path}")));
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, child)| walk(format!("/{name}"), child)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, child)| walk(format!("/{index}"), child)),
        _ => {}
    }
    found
}

/// Returns the value with what is at a pointer taken away, made another, or doubled.
fn changes(good: &Value, path: &str) -> Vec<(&'static str, Value)> {
    let (parent, name) = path.rsplit_once('/').expect("a pointer has a slash");
    let mut less = good.clone();
    let mut out = Vec::new();
    match less.pointer_mut(parent).expect("the parent is there") {
        Value::Object(map) => drop(map.remove(name)),
        Value::Array(list) => {
            let index: usize = name.parse().expect("an index");
            let entry = list.remove(index);
            let mut double = good.clone();
            if let Some(Value::Array(list)) = double.pointer_mut(parent) {
                list.insert(index, entry);
            }
            out.push(("double", double));
        }
        _ => {}
    }
    out.push(("less", less));
    let mut other = good.clone();
    let place = other.pointer_mut(path).expect("the place is there");
    match place {
        Value::String(text) => *place = json!(another(text)),
        Value::Number(_) | Value::Bool(_) | Value::Null => *place = json!("1"),
        Value::Array(_) | Value::Object(_) => *place = json!(null),
    }
    out.push(("other", other));
    out
}

/// Changes the first character of a text to another that is as good in base64 and in numbers.
fn another(text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    match letters.first_mut() {
        Some(first) if first.is_ascii_digit() => *first = if *first == '1' { '2' } else { '1' },
        Some(first) => *first = if *first == 'B' { 'C' } else { 'B' },
        None => letters.push('B'),
    }
    letters.into_iter().collect()
}
