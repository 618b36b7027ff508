use sign::LogKey;
use sign::cosignature::Algorithm;

use super::*;
use crate::testlog::{ORIGIN, TestLog, leaves, time};
use crate::tile::Tiles;

/// The request by which a log of some size asks for a cosignature, from an older size.
fn request(log: &TestLog, old: u64) -> AddCheckpoint {
    let size = log.checkpoint().size;
    let mut fetch = log.fetch();
    let mut tiles = Tiles::new(size, &mut fetch);
    let proof = tiles.consistency_proof(old).expect("provable");
    let checkpoint = String::from_utf8(log.files["checkpoint"].clone()).expect("text");
    AddCheckpoint { old, proof, checkpoint }
}

fn seen(log: &TestLog, size: u64) -> Seen {
    Seen { size, root: merkle::root(&log.hashes[..size as usize]) }
}

fn decide(log: &TestLog, request: &AddCheckpoint, seen: &Seen) -> Result<Accepted, Refusal> {
    check(request, &[log.note_key()], seen)
}

#[test]
fn what_continues_is_accepted_at_every_pair_of_sizes() {
    for size in [0, 1, 2, 3, 7, 8, 255, 256, 257, 300] {
        let log = TestLog::of_size(size);
        for old in [0, 1, 2, 3, 6, 7, 8, 100, 255, 256, 257, 300] {
            if old > size {
                continue;
            }
            let seen = if old == 0 { Seen::nothing() } else { seen(&log, old) };
            let accepted = decide(&log, &request(&log, old), &seen).unwrap_or_else(|e| panic!("{old} {size}: {e:?}"));
            assert_eq!(accepted.seen(), Seen { size, root: merkle::root(&log.hashes) });
            assert_eq!(accepted.origin(), ORIGIN);
        }
    }
}

#[test]
fn what_was_accepted_is_cosigned_as_it_stands() {
    let log = TestLog::of_size(5);
    let accepted = decide(&log, &request(&log, 0), &Seen::nothing()).expect("accepted");
    let checkpoint = log.checkpoint();
    for algorithm in [Algorithm::Ed25519, Algorithm::MlDsa44] {
        let key = WitnessKey::generate("w1.example.org", algorithm).expect("a key");
        let now = time("2026-11-22T19:41:00Z");
        let line = accepted.cosign(&key, now).expect("signed");
        let body = checkpoint.body();
        let cosigned = Cosigned { body: &body, origin: ORIGIN, size: 5, root: &checkpoint.root };
        assert_eq!(key.public().verify(&line, &cosigned), Ok(now));
    }
    assert_eq!(accepted.signed().as_bytes(), log.files["checkpoint"]);
}

#[test]
fn every_refusal_has_its_cause() {
    let log = TestLog::of_size(9);
    let good = request(&log, 4);
    let seen_4 = seen(&log, 4);
    let with = |change: &dyn Fn(&mut AddCheckpoint)| {
        let mut changed = good.clone();
        change(&mut changed);
        decide(&log, &changed, &seen_4)
    };
    assert!(with(&|_| {}).is_ok());
    assert_eq!(with(&|r| r.old = 10), Err(Refusal::Older { old: 10, size: 9 }));
    assert_eq!(with(&|r| r.old = 3), Err(Refusal::Seen { old: 3, seen: 4 }));
    assert_eq!(with(&|r| r.old = 0), Err(Refusal::Seen { old: 0, seen: 4 }));
    for at in 0..good.proof.len() {
        let refusal = with(&|r| r.proof[at][0] ^= 1).expect_err("another hash");
        assert!(refusal.is_evidence(), "{refusal:?}");
    }
    let longer = with(&|r| r.proof.push([0; 32])).expect_err("one too many");
    assert!(matches!(&longer, Refusal::Proof { source: ProofError::Length { .. }, .. }) && !longer.is_evidence());
    assert!(matches!(with(&|r| r.proof.truncate(1)), Err(Refusal::Proof { .. })));
    assert!(matches!(with(&|r| r.checkpoint.truncate(20)), Err(Refusal::Form(FormError::Note(_)))));
    let no_size = |r: &mut AddCheckpoint| r.checkpoint = r.checkpoint.replacen("\n9\n", "\nnine\n", 1);
    assert!(matches!(with(&no_size), Err(Refusal::Form(FormError::Checkpoint(_)))));
    let larger = |r: &mut AddCheckpoint| r.checkpoint = r.checkpoint.replacen("\n9\n", "\n10\n", 1);
    assert!(matches!(with(&larger), Err(Refusal::Signature(note::NoteError::Signature(_)))));

    assert_eq!(check(&good, &[], &seen_4), Err(Refusal::UnknownLog(ORIGIN.to_owned())));
    let elsewhere = NoteKey::new("example.org/other", log.key.public()).expect("a name");
    assert_eq!(check(&good, &[elsewhere], &seen_4), Err(Refusal::UnknownLog(ORIGIN.to_owned())));
    let stranger = LogKey::generate().expect("a key");
    let stranger = NoteKey::new(ORIGIN, stranger.public()).expect("a name");
    assert!(matches!(check(&good, std::slice::from_ref(&stranger), &seen_4), Err(Refusal::Signature(_))));
    // While a key is rotated both are known, and one signature is enough.
    assert!(check(&good, &[stranger, log.note_key()], &seen_4).is_ok());
}

/// A log that was rewritten, restored from an old copy, or shown to others in another form.
#[test]
fn another_history_is_never_cosigned() {
    let mut log = TestLog::of_size(6);
    let witness = seen(&log, 6);
    let mut other = beginning(&log, 5);
    other.append(&leaves(100, 3));
    for old in [0, 5, 6, 8] {
        let mut request = request(&other, old.min(5));
        request.old = old;
        let refusal = decide(&log, &request, &witness).expect_err("another history");
        assert!(matches!(refusal, Refusal::Proof { .. } | Refusal::Seen { .. }), "{refusal:?}");
    }
    // The same size with another root is a fork, whatever the proof.
    let mut same = beginning(&log, 5);
    same.append(&leaves(100, 1));
    let fork = AddCheckpoint { old: 6, proof: Vec::new(), ..request(&same, 5) };
    assert!(decide(&log, &fork, &witness).expect_err("a fork").is_evidence());
    // A smaller one is an old copy.
    let old_copy = beginning(&log, 4);
    let back = AddCheckpoint { old: 4, proof: Vec::new(), ..request(&old_copy, 4) };
    assert_eq!(decide(&log, &back, &witness), Err(Refusal::Seen { old: 4, seen: 6 }));
    log.append(&leaves(6, 2));
    assert!(decide(&log, &request(&log, 6), &witness).is_ok(), "the true one goes on");
}

/// From nothing every root follows; a log of nothing has one root all the same.
#[test]
fn an_empty_log_has_the_empty_root() {
    let log = TestLog::new();
    let lie = Checkpoint { origin: ORIGIN.to_owned(), size: 0, root: [7; 32] };
    let request = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: lie.sign(&log.key) };
    let refusal = decide(&log, &request, &Seen::nothing()).expect_err("a lie");
    assert_eq!(refusal, Refusal::Proof { old: 0, size: 0, source: ProofError::Root });
}

/// The beginning of a log, with its key.
fn beginning(log: &TestLog, size: u64) -> TestLog {
    let mut copy = TestLog { key: LogKey::from_pem(&log.key.to_pem()).expect("a key"), ..TestLog::new() };
    copy.append(&leaves(0, size));
    copy
}
