//! A statement of a signer who has a certificate in place of a key: published, found, and found again after the ledger
//! was made anew.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sign::PublicKey;
use sign::authority::Authorities;
use sign::trust::{CertifiedIdentity, LogIdentity, Role, SubjectRule, Trust};
use wire::sigstore_bundle::Bundle;
use wire::trusted_root::TrustedRoot;

use super::bench::{Bench, Cast, now};
use crate::Settings;

const SUBJECT: &str = "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main";

fn file(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/sigstore");
    std::fs::read(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Trusts the public Sigstore, and one workflow that it certifies.
fn trust_the_workflow(trust: &mut Trust) {
    let root = TrustedRoot::parse(&file("public.trusted_root.json")).expect("a trusted root");
    let start = "2021-01-12T11:53:27Z".parse().expect("a time");
    let key = PublicKey::from_spki_der(&root.tlogs[0].public_key.raw_bytes).expect("a key");
    trust.logs.push(LogIdentity { origin: "rekor.sigstore.dev".to_owned(), key, valid_from: start, valid_until: None });
    trust.certified.push(CertifiedIdentity {
        name: "conda".to_owned(),
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        subject: SubjectRule::Exact(SUBJECT.to_owned()),
        roles: vec![Role::Builder],
        valid_from: start,
        valid_until: None,
        revoked_at: None,
    });
    trust.authorities = Authorities { logs: Vec::new(), ..Authorities::of(&root).expect("authorities") };
}

#[tokio::test]
async fn a_certificates_statement_is_published_and_found_again() {
    let cast = Arc::new(Cast::trusting(trust_the_workflow));
    let bench = Bench::with(Arc::clone(&cast), "example.org/log", Settings::default()).await;
    let sent = file("conda-attestation.sigstore.json");
    let post = "POST /api/v1/statements?repository=conda";
    let added = bench.send("publisher", post, &[], Some(&sent)).await.is(201).json();
    let statement = added["statements"][0].clone();
    assert_eq!(statement["signer"], "conda");
    assert_eq!(statement["elsewhere"]["origin"], "rekor.sigstore.dev");

    let subject = attest::open(&Bundle::parse(&sent).expect("a bundle"), bench.home.trust(), now()).expect("verifies");
    let subject = subject.statement().value().digests().next().expect("a subject");
    let find = async || {
        let about = bench.ask("reader", &format!("GET /api/v1/statements?digest={subject}")).await.is(200).json();
        let found = about["statements"][0].clone();
        let bundle = Bundle::parse(found["bundle"].to_string().as_bytes()).expect("a bundle");
        attest::open(&bundle, bench.home.trust(), now()).expect("still verifies");
        let field = |name: &str| found[name].clone();
        [field("signer"), field("payload"), field("elsewhere"), field("index")]
    };
    let before = find().await;
    assert_eq!(before[0], "conda");
    // Again: nothing new is logged.
    let size = bench.home.log().size();
    bench.send("publisher", post, &[], Some(&sent)).await.is(201);
    assert_eq!(bench.home.log().size(), size);

    bench.home.reindex().await.expect("made again");
    assert_eq!(find().await, before);
}

#[tokio::test]
async fn a_certificate_of_nobody_trusted_is_not_published() {
    let sent = file("conda-attestation.sigstore.json");
    let post = "POST /api/v1/statements?repository=conda";
    let check = async |change: fn(&mut Trust), expected: &str| {
        let cast = Cast::trusting(|trust| {
            trust_the_workflow(trust);
            change(trust);
        });
        let bench = Bench::with(Arc::new(cast), "example.org/log", Settings::default()).await;
        let size = bench.home.log().size();
        bench.send("publisher", post, &[], Some(&sent)).await.is(422).says(expected);
        assert_eq!(bench.home.log().size(), size);
    };
    check(|trust| trust.certified.clear(), "whom no identity in the trust file is").await;
    check(|trust| trust.certified[0].revoked_at = Some(now()), "was revoked at").await;
    check(|trust| trust.authorities.certificates.clear(), "no certificate authority is trusted").await;

    let bench = Bench::with(Arc::new(Cast::trusting(trust_the_workflow)), "example.org/log", Settings::default()).await;
    let mut envelope: Value = serde_json::from_slice(&sent).expect("JSON");
    envelope = envelope["dsseEnvelope"].take();
    // Without its certificate nobody knows who signed.
    bench.send("publisher", "POST /api/v1/statements", &[], Some(envelope.to_string().as_bytes())).await.is(422);
}
