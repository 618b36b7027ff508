use std::error::Error;

use sign::SigningKey;
use sign::trust::LogIdentity;
use wire::mutation::Mutator;
use wire::sigstore_bundle::{Bundle, Content, InclusionPromise, Signer, VerificationMaterial};

use super::*;
use crate::testlog::{ORIGIN, TestLog, envelope, leaves, time};

/// A logged attestation and all that its verification depends on.
#[derive(Clone)]
struct Case {
    entry: TransparencyLogEntry,
    envelope: Envelope,
    trust: Trust,
    now: Timestamp,
}

impl Case {
    fn new() -> Case {
        let (key, mut log) = (SigningKey::generate().expect("key"), TestLog::of_size(300));
        let envelope = envelope(&key);
        let leaf = entry::attestation(&envelope, key.public()).expect("small");
        let step = log.append(&[leaf.clone(), leaves(301, 1).remove(0)]);
        let entry = step.receipt(300, leaf.bytes()).to_log_entry().expect("dsse");
        Case { entry, envelope, trust: log.trust(), now: time("2026-11-22T19:41:00Z") }
    }

    fn verify(&self) -> Result<Logged, LogError> {
        verify(&self.entry, &self.envelope, &self.trust, self.now)
    }

    /// Returns the whole refusal, causes included.
    fn refusal(&self, name: &str) -> String {
        let error = self.verify().expect_err(name);
        let mut text = error.to_string();
        let mut cause: Option<&dyn Error> = error.source();
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        text
    }
}

fn edit_checkpoint(case: &mut Case, from: &str, to: &str) {
    let text = &mut case.entry.inclusion_proof.checkpoint.envelope;
    assert!(text.contains(from), "{text}");
    *text = text.replacen(from, to, 1);
}

/// Changes the character at a position of a line of the checkpoint to another that is as good in base64.
fn edit_part(case: &mut Case, line: usize, at: usize) {
    let text = &mut case.entry.inclusion_proof.checkpoint.envelope;
    let mut lines: Vec<Vec<char>> = text.split('\n').map(|line| line.chars().collect()).collect();
    let place = &mut lines[line][at];
    *place = if *place == 'B' { 'C' } else { 'B' };
    *text = lines.iter().map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n");
}

fn edit_body(case: &mut Case, from: &str, to: &str) {
    let body = String::from_utf8(case.entry.canonicalized_body.clone()).expect("text");
    assert!(body.contains(from), "{body}");
    case.entry.canonicalized_body = body.replacen(from, to, 1).into_bytes();
}

type Change = fn(&mut Case);

/// One change for each field, and how the refusal names it.
const CHANGES: &[(&str, Change, &str)] = &[
    // The envelope.
    ("payload", |case| case.envelope.payload[9] ^= 1, "the log entry's envelopeHash"),
    ("payloadType", |case| case.envelope.payload_type.push('x'), "the log entry's envelopeHash"),
    ("sig", |case| case.envelope.signature.sig[9] ^= 1, "the log entry's envelopeHash"),
    ("keyid", |case| case.envelope.signature.keyid.push('0'), "the log entry's envelopeHash"),
    // The entry.
    ("logIndex", |case| case.entry.log_index += 1, "states `logIndex` 301 but its proof is for 300"),
    ("logId", |case| case.entry.log_id.key_id[3] ^= 1, "logged in an unknown log"),
    ("logId cut", |case| case.entry.log_id.key_id.truncate(4), "an unknown log (logId `4 bytes`)"),
    ("logId empty", |case| case.entry.log_id.key_id.clear(), "an unknown log"),
    ("kind", |case| case.entry.kind_version.kind = "hashedrekord".into(), "states kind `hashedrekord 0.0.1`"),
    ("version", |case| case.entry.kind_version.version = "0.0.2".into(), "its body is `dsse 0.0.1`"),
    ("integratedTime", |case| case.entry.integrated_time = 1, "has `integratedTime`, which no trusted log signs"),
    (
        "inclusionPromise",
        |case| case.entry.inclusion_promise = Some(InclusionPromise { signed_entry_timestamp: vec![1] }),
        "has `inclusionPromise`, which no trusted log signs",
    ),
    // The entry's body.
    ("body envelopeHash", |case| edit_body(case, "\"value\":\"", "\"value\":\"0"), "the log entry's envelopeHash"),
    ("body algorithm", |case| edit_body(case, "sha256", "sha512"), "the log entry's envelopeHash"),
    (
        "body payloadHash",
        |case| {
            edit_body(
                case,
                "\"payloadHash\":{\"algorithm\":\"sha256\",\"value\":\"",
                "\"payloadHash\":{\"algorithm\":\"sha256\",\"value\":\"0",
            )
        },
        "the log entry's payloadHash",
    ),
    ("body signature", |case| edit_body(case, "\"signature\":\"ME", "\"signature\":\"MF"), "another signature"),
    ("body verifier", |case| edit_body(case, "\"verifier\":\"LS0", "\"verifier\":\"LS1"), "key"),
    ("body apiVersion", |case| edit_body(case, "0.0.1", "0.0.3"), "unknown kind of log entry `dsse` 0.0.3"),
    ("body kind", |case| edit_body(case, "\"dsse\"", "\"rpm\""), "unknown kind of log entry `rpm` 0.0.1"),
    ("body space", |case| edit_body(case, "{", "{ "), "log entry is not canonical JSON"),
    ("body field", |case| edit_body(case, "{\"api", "{\"aaa\":1,\"api"), "not a log entry"),
    ("body empty", |case| case.entry.canonicalized_body.clear(), "not a log entry"),
    ("body large", |case| case.entry.canonicalized_body = vec![b' '; 65_536], "larger than the limit"),
    // The proof.
    ("proof logIndex", |case| case.entry.inclusion_proof.log_index -= 1, "but its proof is for 299"),
    (
        "both logIndex",
        |case| (case.entry.log_index, case.entry.inclusion_proof.log_index) = (301, 301),
        "checking the inclusion proof of entry 301: proof leads to another root",
    ),
    (
        "proof treeSize",
        |case| case.entry.inclusion_proof.tree_size -= 1,
        "states `treeSize` 301 but its checkpoint has 302",
    ),
    ("proof rootHash", |case| case.entry.inclusion_proof.root_hash[5] ^= 1, "`rootHash` is not the root"),
    (
        "proof rootHash cut",
        |case| case.entry.inclusion_proof.root_hash.truncate(31),
        "`rootHash` has a hash that is not 32",
    ),
    (
        "proof rootHash empty",
        |case| case.entry.inclusion_proof.root_hash.clear(),
        "`rootHash` has a hash that is not 32",
    ),
    ("proof hash", |case| case.entry.inclusion_proof.hashes[1][0] ^= 1, "proof leads to another root"),
    ("proof hash cut", |case| case.entry.inclusion_proof.hashes[1].truncate(31), "`hashes` has a hash that is not 32"),
    ("proof hash gone", |case| drop(case.entry.inclusion_proof.hashes.pop()), "hashes instead of"),
    ("proof hash more", |case| case.entry.inclusion_proof.hashes.push(vec![0; 32]), "hashes instead of"),
    ("proof hashes swapped", |case| case.entry.inclusion_proof.hashes.swap(0, 1), "proof leads to another root"),
    ("proof hashes gone", |case| case.entry.inclusion_proof.hashes.clear(), "proof has 0 hashes instead of"),
    // The checkpoint.
    ("checkpoint origin", |case| edit_checkpoint(case, ORIGIN, "example.org/lag"), "does not match the note"),
    ("checkpoint size", |case| edit_checkpoint(case, "\n302\n", "\n303\n"), "does not match the note"),
    ("checkpoint root", |case| edit_part(case, 2, 5), "does not match the note"),
    ("checkpoint extension", |case| edit_checkpoint(case, "=\n\n", "=\nmore\n\n"), "does not match the note"),
    ("checkpoint key id", |case| edit_part(case, 4, ORIGIN.len() + 5), "no signature of a known key"),
    ("checkpoint signature", |case| edit_part(case, 4, ORIGIN.len() + 30), "does not match the note"),
    (
        "checkpoint signer",
        |case| edit_checkpoint(case, "— example.org", "— example.net"),
        "no signature of a known key",
    ),
    ("checkpoint unsigned", |case| edit_checkpoint(case, "\n\n—", "\n—"), "note has no text, empty line"),
    ("checkpoint empty", |case| case.entry.inclusion_proof.checkpoint.envelope.clear(), "reading a signed note"),
    // Trust.
    ("no logs", |case| case.trust.logs.clear(), "logged in an unknown log"),
    ("log key", |case| case.trust.logs[0].key = other_log().key, "logged in an unknown log"),
    ("log origin", |case| case.trust.logs[0].origin.push('x'), "logged in an unknown log"),
    (
        "log not yet",
        |case| case.trust.logs[0].valid_from = case.now.plus_s(1),
        "is not accepted at 2026-11-22T19:41:00Z",
    ),
    (
        "log no longer",
        |case| case.trust.logs[0].valid_until = Some(case.now.plus_s(-1)),
        "is not accepted at 2026-11-22T19:41:00Z",
    ),
];

fn other_log() -> LogIdentity {
    TestLog::new().trust().logs.remove(0)
}

#[test]
fn what_was_logged_verifies() {
    let case = Case::new();
    let logged = case.verify().expect("logged");
    assert_eq!((logged.origin(), logged.index(), logged.size()), (ORIGIN, 300, 302));
    assert_eq!(logged.log_id().bytes(), case.entry.log_id.key_id);
    assert_eq!(logged.key_id().to_string(), case.envelope.signature.keyid);
}

#[test]
fn a_change_of_any_field_is_refused_and_named() {
    let good = Case::new();
    for (name, change, expected) in CHANGES {
        let mut case = good.clone();
        change(&mut case);
        let refusal = case.refusal(name);
        assert!(refusal.contains(expected), "{name}: {refusal}");
    }
}

#[test]
fn an_entry_of_another_envelope_by_the_same_key_is_refused() {
    let (first, second) = (Case::new(), Case::new());
    let case = Case { envelope: second.envelope, ..first };
    assert!(case.refusal("another envelope").contains("the log entry's envelopeHash"));
}

#[test]
fn another_logs_proof_is_refused() {
    let (first, second) = (Case::new(), Case::new());
    let mut case = first.clone();
    case.trust.logs.extend(second.trust.logs);
    assert!(case.verify().is_ok());
    case.entry.inclusion_proof.checkpoint = second.entry.inclusion_proof.checkpoint.clone();
    assert!(case.refusal("another checkpoint").contains("no signature of a known key"));
}

#[test]
fn a_blobs_entry_is_checked_alike() {
    let (key, mut log) = (SigningKey::generate().expect("key"), TestLog::of_size(3));
    let (digest, signature) = (Digest::of(b"blob"), key.sign(b"blob"));
    let leaf = entry::blob(&digest, &signature, key.public()).expect("small");
    let entry = log.append(std::slice::from_ref(&leaf)).receipt(3, leaf.bytes()).to_log_entry().expect("hashedrekord");
    let (trust, now) = (log.trust(), time("2026-11-22T19:41:00Z"));
    let logged = verify_blob(&entry, &digest, &signature, key.public(), &trust, now).expect("logged");
    assert_eq!(logged.index(), 3);
    let other = SigningKey::generate().expect("key");
    assert!(verify_blob(&entry, &digest, &signature, other.public(), &trust, now).is_err());
    assert!(verify_blob(&entry, &Digest::of(b"x"), &signature, key.public(), &trust, now).is_err());
    assert!(verify(&entry, &envelope(&key), &trust, now).is_err());
}

#[test]
fn no_damaged_bundle_verifies_as_something_else() {
    let case = Case::new();
    let bundle = Bundle {
        verification_material: VerificationMaterial {
            signer: Signer::PublicKey { hint: String::new() },
            tlog_entries: vec![case.entry.clone()],
            timestamps: Vec::new(),
        },
        content: Content::Envelope(case.envelope.clone()),
    };
    let mut parsed = 0;
    Mutator::new(26).each(4_000, &bundle.to_json(), |bytes| {
        let Ok(damaged) = Bundle::parse(bytes) else { return };
        let Content::Envelope(envelope) = damaged.content else { return };
        let [entry] = &damaged.verification_material.tlog_entries[..] else { return };
        parsed += 1;
        if verify(entry, &envelope, &case.trust, case.now).is_ok() {
            assert_eq!((entry, &envelope), (&case.entry, &case.envelope), "{}", String::from_utf8_lossy(bytes));
        }
    });
    assert!(parsed > 100, "only {parsed} damaged bundles could be read");
}

/// A logged index entry and all that its verification depends on.
#[derive(Clone)]
struct IndexCase {
    entry: TransparencyLogEntry,
    trust: Trust,
}

impl IndexCase {
    fn new() -> IndexCase {
        let (key, mut log) = (SigningKey::generate().expect("key"), TestLog::of_size(300));
        let envelope = envelope(&key);
        let leaf = entry::attestation(&envelope, key.public()).expect("small");
        let index_key = crate::index::IndexKey::from_hex(&Digest::of(b"index key").hex()).expect("a key");
        let indexed = crate::index::Indexed {
            entry: 300,
            envelope: Digest::of(&envelope.to_json()),
            time: time("2026-11-22T19:41:00Z"),
            subjects: &[Digest::of(b"subject")],
            predicate: "https://example.org/scan",
            signer: &key.public().id(),
        };
        let index = IndexEntry::of(&index_key, &indexed).remove(0).to_leaf();
        let step = log.append(&[leaf, index.clone()]);
        IndexCase {
            entry: step.receipt(301, index.bytes()).to_index_entry().expect("an index entry"),
            trust: log.trust(),
        }
    }

    fn edit_body(&mut self, from: &str, to: &str) {
        let body = String::from_utf8(self.entry.canonicalized_body.clone()).expect("text");
        assert!(body.contains(from), "{body}");
        self.entry.canonicalized_body = body.replacen(from, to, 1).into_bytes();
    }
}

type IndexChange = fn(&mut IndexCase);

const INDEX_CHANGES: &[(&str, IndexChange, &str)] = &[
    ("time", |case| case.edit_body("19:41:00Z", "19:40:00Z"), "checking the inclusion proof of entry 301"),
    ("envelope", |case| case.edit_body("sha256:", "sha256:0"), "reading an index entry"),
    ("entry", |case| case.edit_body("\"entry\":300", "\"entry\":299"), "index entry 301 is about entry 299"),
    ("space", |case| case.edit_body("{", "{ "), "reading an index entry"),
    ("empty", |case| case.entry.canonicalized_body.clear(), "reading an index entry"),
    ("kind", |case| case.entry.kind_version.kind = "dsse".into(), "states kind `dsse 1`"),
    ("version", |case| case.entry.kind_version.version = "2".into(), "states kind `assayIndex 2`"),
    ("logIndex", |case| case.entry.log_index += 1, "index entry 302 is about entry 300"),
    ("proof logIndex", |case| case.entry.inclusion_proof.log_index += 1, "but its proof is for 302"),
    ("integratedTime", |case| case.entry.integrated_time = 1, "has `integratedTime`"),
    (
        "inclusionPromise",
        |case| case.entry.inclusion_promise = Some(InclusionPromise { signed_entry_timestamp: vec![1] }),
        "has `inclusionPromise`",
    ),
    ("treeSize", |case| case.entry.inclusion_proof.tree_size += 1, "states `treeSize` 303"),
    ("rootHash", |case| case.entry.inclusion_proof.root_hash[5] ^= 1, "`rootHash` is not the root"),
    ("hash", |case| case.entry.inclusion_proof.hashes[0][0] ^= 1, "checking the inclusion proof"),
    (
        "checkpoint",
        |case| {
            let text = &mut case.entry.inclusion_proof.checkpoint.envelope;
            *text = text.replacen("\n302\n", "\n303\n", 1);
        },
        "checking the log's checkpoint",
    ),
    ("logId", |case| case.entry.log_id.key_id[3] ^= 1, "logged in an unknown log"),
    ("no logs", |case| case.trust.logs.clear(), "logged in an unknown log"),
    (
        "log not yet",
        |case| case.trust.logs[0].valid_from = time("2026-11-22T19:41:01Z"),
        "is not accepted at 2026-11-22T19:41:00Z",
    ),
    (
        "log no longer",
        |case| case.trust.logs[0].valid_until = Some(time("2026-11-22T19:40:59Z")),
        "is not accepted at 2026-11-22T19:41:00Z",
    ),
];

#[test]
fn an_index_entry_says_when_its_log_took_an_envelope() {
    let good = IndexCase::new();
    let found = verify_index(&good.entry, &good.trust).expect("logged");
    assert_eq!((found.entry, found.time), (300, time("2026-11-22T19:41:00Z")));
    for (name, change, expected) in INDEX_CHANGES {
        let mut case = good.clone();
        change(&mut case);
        let refusal = verify_index(&case.entry, &case.trust).expect_err(name).to_string();
        assert!(refusal.contains(expected), "{name}: {refusal}");
    }
    // The Sigstore entry beside it is none, and it is no Sigstore entry.
    let sigstore = Case::new();
    assert!(verify_index(&sigstore.entry, &sigstore.trust).is_err());
    assert!(verify(&good.entry, &sigstore.envelope, &good.trust, sigstore.now).is_err());
}
