//! Writes bundles for stock Sigstore clients to verify: `cargo run -p tlog --example sigstore_fixtures -- DIRECTORY`.
//!
//! ```text
//! trusted_root.json  key.pem              what the client must believe
//! good-NAME.sigstore.json                 what it must accept
//! bad-NAME.sigstore.json                  what it must refuse: one field changed in each
//! unread-NAME.sigstore.json               one field changed that sigstore-js does not read, though it should
//! ```
//!
//! [`tlog::verify`] refuses a change of any field, also of the last kind: its tests have a row for each.

#![allow(clippy::disallowed_methods, reason = "an example is a program, not the library")]

use std::error::Error;
use std::path::Path;

use serde_json::{Value, json};
use sign::trust::{self, LogIdentity, Trust};
use sign::{LogKey, SigningKey};
use tlog::{Head, Leaf};
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};
use wire::sigstore_bundle::{Bundle, Content, Signer, VerificationMaterial};
use wire::timestamp::Timestamp;

const ORIGIN: &str = "assay.example.org/log";

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: sigstore_fixtures DIRECTORY")?;
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory)?;
    let (key, log_key) = (SigningKey::generate()?, LogKey::generate()?);
    let log = LogIdentity {
        origin: ORIGIN.to_owned(),
        key: log_key.public().clone(),
        valid_from: Timestamp::from_unix_s(0).ok_or("no time")?,
        valid_until: None,
    };
    let trust = Trust { logs: vec![log], ..Trust::default() };
    std::fs::write(directory.join("trusted_root.json"), trust::to_trusted_root_json(&trust))?;
    std::fs::write(directory.join("key.pem"), key.public().to_pem())?;

    let first = bundle(&key, &log_key, 0)?;
    let last = bundle(&key, &log_key, 700)?;
    write(directory, "good-first", &first)?;
    write(directory, "good-701st", &last)?;
    for (name, change) in CHANGES {
        let mut bundle = last.clone();
        change(&mut bundle);
        write(directory, name, &bundle)?;
    }
    Ok(())
}

/// Logs an attestation after `before` other leaves, and bundles it.
fn bundle(key: &SigningKey, log_key: &LogKey, before: usize) -> Result<Value, Box<dyn Error>> {
    let subject = ResourceDescriptor::named("greeter", &Digest::of(b"the binary"));
    let statement = Statement::new(vec![subject], "https://slsa.dev/provenance/v1", json!({}));
    let envelope = sign::seal(wire::dsse::IN_TOTO, &statement.to_json(), key);
    let entry = tlog::entry::attestation(&envelope, key.public())?;
    let other = |index: usize| Leaf::new(format!("leaf {index}").into_bytes());
    let mut leaves = (0..before).map(other).collect::<Result<Vec<_>, _>>()?;
    leaves.push(entry.clone());
    leaves.push(other(before)?);
    let step = tlog::step(&Head::empty(ORIGIN), &leaves, log_key);
    let bundle = Bundle {
        verification_material: VerificationMaterial {
            signer: Signer::PublicKey { hint: envelope.signature.keyid.clone() },
            tlog_entries: vec![step.receipt(before as u64, entry.bytes()).to_log_entry()?],
            timestamps: Vec::new(),
        },
        content: Content::Envelope(envelope),
    };
    Ok(serde_json::to_value(bundle)?)
}

type Change = fn(&mut Value);

const CHANGES: &[(&str, Change)] = &[
    ("bad-payload", |bundle| flip(bundle, "/dsseEnvelope/payload")),
    ("bad-payload-type", |bundle| set(bundle, "/dsseEnvelope/payloadType", json!("text/plain"))),
    ("bad-signature", |bundle| flip(bundle, "/dsseEnvelope/signatures/0/sig")),
    ("bad-no-entry", |bundle| set(bundle, "/verificationMaterial/tlogEntries", json!([]))),
    ("bad-entry-body", |bundle| flip(bundle, "/verificationMaterial/tlogEntries/0/canonicalizedBody")),
    ("bad-entry-kind", |bundle| {
        set(bundle, "/verificationMaterial/tlogEntries/0/kindVersion/kind", json!("hashedrekord"))
    }),
    ("bad-entry-version", |bundle| {
        set(bundle, "/verificationMaterial/tlogEntries/0/kindVersion/version", json!("0.0.2"))
    }),
    ("unread-log-id", |bundle| flip(bundle, "/verificationMaterial/tlogEntries/0/logId/keyId")),
    ("bad-proof-index", |bundle| {
        set(bundle, "/verificationMaterial/tlogEntries/0/inclusionProof/logIndex", json!("1"))
    }),
    ("bad-proof-hash", |bundle| flip(bundle, "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/2")),
    ("unread-proof-root", |bundle| flip(bundle, "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash")),
    ("bad-checkpoint-size", |bundle| replace_in_checkpoint(bundle, "\n702\n", "\n703\n")),
    ("bad-checkpoint-origin", |bundle| {
        replace_in_checkpoint(bundle, "assay.example.org/log\n", "other.example.org/log\n")
    }),
    ("bad-checkpoint-unsigned", |bundle| replace_in_checkpoint(bundle, "— assay", "— other")),
];

fn set(bundle: &mut Value, pointer: &str, value: Value) {
    *bundle.pointer_mut(pointer).expect("the field is in every bundle") = value;
}

/// Changes the tenth character of a base64 field, which keeps it base64.
fn flip(bundle: &mut Value, pointer: &str) {
    let field = bundle.pointer_mut(pointer).expect("the field is in every bundle");
    let mut text = field.as_str().expect("it is text").to_owned();
    let other = if &text[10..11] == "A" { "B" } else { "A" };
    text.replace_range(10..11, other);
    *field = json!(text);
}

fn replace_in_checkpoint(bundle: &mut Value, from: &str, to: &str) {
    let pointer = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
    let text = bundle.pointer(pointer).and_then(Value::as_str).expect("every bundle has a checkpoint");
    let text = text.replacen(from, to, 1);
    set(bundle, pointer, json!(text));
}

fn write(directory: &Path, name: &str, bundle: &Value) -> Result<(), Box<dyn Error>> {
    Ok(std::fs::write(directory.join(format!("{name}.sigstore.json")), serde_json::to_vec(bundle)?)?)
}
