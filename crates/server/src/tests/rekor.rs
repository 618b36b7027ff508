//! Rekor v2's write API: what is logged, what is refused, and that the same entry has one place.

use std::sync::Arc;

use attest::predicate::Predicate;
use serde_json::{Value, json};
use sign::authority::Authorities;
use sign::{PublicKey, SigningKey};
use tlog::checkpoint::Checkpoint;
use tlog::merkle;
use tlog::tile::parse_bundle;
use wire::base64;
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::sigstore_bundle::{Bundle, Content, Signer, TransparencyLogEntry};
use wire::timestamp::Timestamp;
use wire::trusted_root::TrustedRoot;

use super::bench::{Bench, Cast};
use super::client::Answer;
use crate::{LogWrites, Settings};

const POST: &str = "POST /api/v2/log/entries";

fn settings(log_writes: LogWrites) -> Settings {
    Settings { log_writes, anonymous_read: true, ..Settings::default() }
}

async fn open_to(log_writes: LogWrites) -> Bench {
    Bench::with(Arc::new(Cast::new()), "example.org/log", settings(log_writes)).await
}

fn public_key(key: &PublicKey) -> Value {
    json!({"keyDetails": key.key_details(), "publicKey": {"rawBytes": base64::encode(key.spki_der())}})
}

fn hashed(key: &SigningKey, message: &[u8]) -> Value {
    let signature = json!({"content": base64::encode(&key.sign(message)), "verifier": public_key(key.public())});
    json!({"hashedRekordRequestV002": {"digest": base64::encode(Digest::of(message).bytes()), "signature": signature}})
}

fn dsse(envelope: &Envelope, key: &PublicKey) -> Value {
    json!({"dsseRequestV002": {"envelope": envelope, "verifiers": [public_key(key)]}})
}

async fn post(bench: &Bench, token: &str, request: &Value) -> Answer {
    bench.send(token, POST, &[("Content-Type", "application/json")], Some(request.to_string().as_bytes())).await
}

/// Reads an answer and checks its proof by the log's key alone.
fn logged(bench: &Bench, answer: &Answer) -> TransparencyLogEntry {
    let entry: TransparencyLogEntry = serde_json::from_slice(&answer.body).expect("a log entry");
    let proof = &entry.inclusion_proof;
    let checkpoint = Checkpoint::open(&proof.checkpoint.envelope, bench.home.log().note_key()).expect("signed");
    assert_eq!((checkpoint.size, checkpoint.root.as_slice()), (proof.tree_size, proof.root_hash.as_slice()));
    let hashes: Vec<_> = proof.hashes.iter().map(|hash| hash.as_slice().try_into().expect("32 bytes")).collect();
    let leaf = merkle::leaf_hash(&entry.canonicalized_body);
    merkle::verify_inclusion(entry.log_index, checkpoint.size, &leaf, &hashes, &checkpoint.root).expect("in the log");
    assert_eq!(entry.log_id.key_id, bench.home.log().note_key().log_id().bytes());
    entry
}

#[tokio::test]
async fn an_entry_is_answered_with_its_proof() {
    let bench = open_to(LogWrites::Anyone).await;
    let key = SigningKey::generate().expect("a key");
    let answer = post(&bench, "", &hashed(&key, b"artifact")).await.is(201).has("content-type", "application/json");
    let entry = logged(&bench, &answer);
    assert_eq!((entry.kind_version.kind.as_str(), entry.kind_version.version.as_str()), ("hashedrekord", "0.0.2"));
    let sent = answer.json();
    assert_eq!(sent["integratedTime"], "0", "what is zero is written");
    assert_eq!(sent["logIndex"], entry.log_index.to_string());
    // The same stands where clients of Rekor v2 read, and where those of C2SP do.
    let checkpoint = bench.ask("", "GET /api/v2/checkpoint").await.is(200).has("cache-control", "no-cache");
    assert_eq!(checkpoint.body, bench.ask("", "GET /log/checkpoint").await.is(200).body);
    let size = entry.inclusion_proof.tree_size;
    let bundle = bench.ask("", &format!("GET /api/v2/tile/entries/000.p/{size}")).await.is(200);
    let entries = parse_bundle(&bundle.body, size as u16).expect("whole");
    assert_eq!(entries[entry.log_index as usize], entry.canonicalized_body);
    assert!(entries[entry.log_index as usize + 1].starts_with(b"{\"assayIndex\":2,"), "indexed by hash and key alone");
    let tile = bench.ask("", &format!("GET /api/v2/tile/0/000.p/{size}")).await.is(200);
    assert_eq!(tile.body.len() as u64, size * 32);
}

/// sigstore-python refuses a proof without `logIndex` or `hashes`.
#[tokio::test]
async fn the_first_entry_of_a_log_has_its_zeros_written() {
    let bench = Bench::empty(settings(LogWrites::Anyone)).await;
    let key = SigningKey::generate().expect("a key");
    let answer = post(&bench, "", &hashed(&key, b"artifact")).await.is(201);
    logged(&bench, &answer);
    let proof = &answer.json()["inclusionProof"];
    assert_eq!((&proof["logIndex"], &proof["treeSize"]), (&json!("0"), &json!("2")));
    assert_eq!(proof["hashes"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer.json()["logIndex"], "0");
}

#[tokio::test]
async fn the_same_entry_has_one_place_for_ever() {
    let mut bench = open_to(LogWrites::Anyone).await;
    let key = SigningKey::generate().expect("a key");
    let request = Arc::new(hashed(&key, b"artifact"));
    let bench_shared = Arc::new(bench);
    let clients = (0..64).map(|_| {
        let (bench, request) = (Arc::clone(&bench_shared), Arc::clone(&request));
        tokio::spawn(async move { post(&bench, "", &request).await })
    });
    let mut answers = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        answers.push(client.await.expect("answered"));
    }
    bench = Arc::into_inner(bench_shared).expect("all clients are gone");
    let (new, known): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    let [new] = &new[..] else { panic!("{} entries were made", new.len()) };
    let index = logged(&bench, new).log_index.to_string();
    assert_eq!(known.len(), 63);
    let same = |answer: Answer| {
        let answer = answer.is(409).has("x-log-index", &index);
        let message = format!("an equivalent entry already exists in the transparency log with index {index}");
        assert_eq!(answer.json(), json!({"code": 6, "message": message, "details": []}));
    };
    known.into_iter().for_each(same);
    let size = bench.home.log().size();
    bench.restart().await;
    same(post(&bench, "", &request).await);
    assert_eq!(bench.home.log().size(), size, "nothing was added");
    // Another signature is another entry.
    post(&bench, "", &hashed(&key, b"artifact")).await.is(201);
}

#[tokio::test]
async fn what_is_not_signed_is_not_logged() {
    let bench = open_to(LogWrites::Anyone).await;
    let size = bench.home.log().size();
    let key = SigningKey::generate().expect("a key");
    let mut wrong = hashed(&key, b"artifact");
    wrong["hashedRekordRequestV002"]["digest"] = json!(base64::encode(Digest::of(b"other").bytes()));
    let answer = post(&bench, "", &wrong).await.is(400);
    assert_eq!(answer.json()["code"], 3);
    assert_eq!(answer.json()["details"], json!([]));
    answer.says("invalid hashedrekord request: the signature was made by no key of the request");
    let envelope = sign::seal("text/plain", b"text", &key);
    let other = SigningKey::generate().expect("a key");
    post(&bench, "", &dsse(&envelope, other.public())).await.is(400).says("invalid dsse request");
    post(&bench, "", &json!({})).await.is(400).says("invalid request: expected exactly one of");
    bench.send("", POST, &[], Some(b"no JSON")).await.is(400).says("\"code\":3");
    bench.send("", POST, &[("Content-Length", "99999999")], Some(&vec![b' '; (32 << 20) + 1])).await.is(413);
    bench.ask("", "GET /api/v2/log/entries").await.is(405);
    assert_eq!(bench.home.log().size(), size);
}

#[tokio::test]
async fn an_envelope_becomes_a_statement() {
    let bench = open_to(LogWrites::Anyone).await;
    let builder = bench.cast.key("builder");
    let envelope = bench.cast.sample(Predicate::Recipe);
    let request = dsse(&envelope, builder.public());
    // The server's own signers may say things that count: that takes whom it takes elsewhere.
    post(&bench, "", &request).await.is(401).says("\"code\":16").says("--log-writes anyone");
    post(&bench, "reader", &request).await.is(403).says("\"code\":7");
    let entry = logged(&bench, &post(&bench, "publisher", &request).await.is(201));
    assert_eq!((entry.kind_version.kind.as_str(), entry.kind_version.version.as_str()), ("dsse", "0.0.2"));
    let payload = Digest::of(&envelope.payload);
    let shown = bench.ask("", &format!("GET /api/v1/statements/{payload}")).await.is(200).json();
    assert_eq!(shown["statements"][0]["signer"], "builder");
    let bundle = Bundle::parse(shown["statements"][0]["bundle"].to_string().as_bytes()).expect("a bundle");
    assert_eq!(bundle.content, Content::Envelope(envelope.clone()));
    // In another form it is another entry, and the same statement.
    let text = String::from_utf8(envelope.to_json()).expect("text");
    let content = json!({"envelope": text, "verifiers": [base64::encode(builder.public().to_pem().as_bytes())]});
    let proposed = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}});
    let first = logged(&bench, &post(&bench, "publisher", &proposed).await.is(201));
    assert_eq!((first.kind_version.version.as_str(), first.log_index), ("0.0.1", entry.log_index + 2));
    let again = bench.ask("", &format!("GET /api/v1/statements/{payload}")).await.is(200).json();
    assert_eq!(again["statements"].as_array().map(Vec::len), Some(1), "an envelope counts once");
    // Strangers' envelopes are kept, and say nothing.
    let stranger = SigningKey::generate().expect("a key");
    let theirs = sign::seal(wire::dsse::IN_TOTO, &envelope.payload, &stranger);
    logged(&bench, &post(&bench, "", &dsse(&theirs, stranger.public())).await.is(201));
    let shown = bench.ask("", &format!("GET /api/v1/statements/{}", Digest::of(&theirs.to_json()))).await.is(200);
    assert_eq!(shown.json()["statements"][0]["signer"], Value::Null);
}

/// What the server states itself is taken from nobody, in no form of entry.
#[tokio::test]
async fn a_grant_cannot_be_repeated() {
    let bench = open_to(LogWrites::Anyone).await;
    let envelope = bench.cast.sample(Predicate::Grant);
    let request = dsse(&envelope, bench.cast.key("admin").public());
    post(&bench, "admin", &request).await.is(403).says("a server makes its own publications, tags and grants");
}

#[tokio::test]
async fn who_may_write_is_a_setting() {
    let key = SigningKey::generate().expect("a key");
    let request = hashed(&key, b"artifact");
    let off = open_to(LogWrites::Off).await;
    post(&off, "admin", &request).await.is(403).says("\"code\":7").says("--log-writes certified");
    for writes in [LogWrites::Token, LogWrites::Certified] {
        let bench = open_to(writes).await;
        let refused = post(&bench, "", &request).await.is(401).says("\"code\":16");
        assert!(refused.all("www-authenticate").len() == 2);
        post(&bench, "reader", &request).await.is(403).says("may not add statements");
        post(&bench, "deployer", &request).await.is(201);
        post(&bench, "no such token", &request).await.is(401);
    }
}

/// The certificate that an authority of another program issued, and a time at which it was good.
fn mock() -> (Authorities, Value) {
    let mock: Value =
        serde_json::from_slice(include_bytes!("../../../../tests/foreign/sigstore/mock.json")).expect("JSON");
    let root = TrustedRoot::parse(mock["root"].to_string().as_bytes()).expect("a root");
    let bundle = Bundle::parse(mock["bundles"]["good blob"].to_string().as_bytes()).expect("a bundle");
    let Content::Message(message) = &bundle.content else { panic!("a blob") };
    let Signer::Certificate(certificate) = &bundle.verification_material.signer else { panic!("a certificate") };
    let verifier = json!({
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        "x509Certificate": {"rawBytes": base64::encode(certificate)},
    });
    let artifact = mock["artifact"].as_str().expect("text").as_bytes();
    let signature = json!({"content": base64::encode(&message.signature), "verifier": verifier});
    let request = json!({"hashedRekordRequestV002": {
        "digest": base64::encode(Digest::of(artifact).bytes()), "signature": signature,
    }});
    (Authorities::of(&root).expect("authorities"), request)
}

/// Within the ten minutes of the certificate in `mock.json`.
fn then() -> Timestamp {
    "2026-11-25T09:52:00Z".parse().expect("a time")
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_may_log_without_a_token() {
    let (authorities, request) = mock();
    let cast = |authorities| Arc::new(Cast::new().with_authorities(authorities));
    let bench = |cast, clock| Bench::at(cast, "example.org/log", settings(LogWrites::Certified), clock);
    let trusting = bench(cast(authorities.clone()), then).await;
    logged(&trusting, &post(&trusting, "", &request).await.is(201));
    let late = bench(cast(authorities), || then().plus_s(86_400)).await;
    post(&late, "", &request).await.is(403).says("\"code\":7").says("of no authority").says("--log-writes anyone");
    let strange = bench(Arc::new(Cast::new()), then).await;
    post(&strange, "", &request).await.is(403).says("of no authority");
    post(&strange, "publisher", &request).await.is(201);
}
