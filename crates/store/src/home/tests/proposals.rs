//! Entries of anybody: one place for each, and what the ledger says of those that came without payload.

use wire::rekor::request::Request;
use wire::rekor::{Der, Verifier};

use super::*;
use crate::ledger::Page;

#[tokio::test]
async fn an_entry_has_one_place() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    let (first, second) = (sample.proposal(b"first"), sample.proposal(b"second"));
    let all = vec![first.clone(), second.clone(), first.clone()];
    let placed = home.log_proposals(&all, now()).await.expect("logged");
    let [Placed::New(one), Placed::New(two), Placed::Known(again)] = &placed[..] else { panic!("{placed:?}") };
    assert_eq!((one.index, two.index, *again), (0, 2, 0));
    home.close().await.expect("closed");
    Witness::default().check(&sample, &[acknowledged(one), acknowledged(two)]);
    let home = sample.open().await;
    let placed = home.log_proposals(&[second, first], now()).await.expect("known");
    assert_eq!(placed, [Placed::Known(2), Placed::Known(0)]);
    assert_eq!(home.log().size(), 4);
}

#[tokio::test]
async fn what_came_without_payload_is_known_by_hash_and_key() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    home.append(vec![sample.unique(1)], now()).await.expect("logged");
    home.log_proposals(&[sample.proposal(b"artifact")], now()).await.expect("logged");
    home.caught_up().await.expect("read");
    let artifact = Digest::of(b"artifact");
    let rows = home.ledger().bare_entries_about(&artifact, &Page::first(10)).await.expect("asked");
    let [row] = &rows[..] else { panic!("one entry") };
    assert_eq!((row.index, row.kind.as_str(), row.logged), (2, "hashedrekord 0.0.2", now()));
    assert_eq!(row.key_id, sample.keys["builder"].public().id());
    let other = home.ledger().bare_entries_about(&Digest::of(b"other"), &Page::first(10)).await.expect("asked");
    assert_eq!(other, []);
    let (entries, _) = home.reindex().await.expect("made again");
    assert_eq!(entries, 4);
    home.close().await.expect("closed");
    assert_eq!(crate::fsck::fsck(&sample.fsck_target()).await.expect("looked"), []);
}

/// An envelope that stands in the log in two forms of entry is one statement: a grant that was revoked cannot be
/// repeated by logging it again.
#[tokio::test]
async fn an_envelope_counts_once() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    let envelope = sample.sample(Predicate::Deployment);
    home.append(vec![envelope.clone()], now()).await.expect("logged");
    let key = sample.keys["deployer"].public();
    let verifier = Verifier {
        key_details: key.key_details().to_owned(),
        public_key: Some(Der { raw_bytes: key.spki_der().to_vec() }),
        x509_certificate: None,
    };
    let request = Request::Dsse002 { envelope: envelope.clone(), verifiers: vec![verifier] };
    let again = Proposal::check(request).expect("signed");
    let placed = home.log_proposals(std::slice::from_ref(&again), now()).await.expect("logged");
    assert!(matches!(&placed[..], [Placed::New(receipt)] if receipt.index == 2), "{placed:?}");
    let rows = home.ledger().statements_by_payload(&Digest::of(&envelope.payload)).await.expect("asked");
    assert_eq!(rows.iter().map(|row| row.index).collect::<Vec<_>>(), [0]);
    assert_eq!(home.log_proposals(&[again], now()).await.expect("known"), [Placed::Known(2)]);
}
