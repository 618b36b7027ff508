use sign::LogKey;
use sign::cosignature::{Algorithm, WitnessKey};
use wire::note::Signature;

use super::*;
use crate::testlog::time;

const NOW: &str = "2026-11-22T19:41:00Z";

struct Scene {
    log: LogKey,
    witnesses: Vec<WitnessKey>,
}

impl Scene {
    /// Three Ed25519 witnesses `a`, `b`, `c` and two of ML-DSA-44, `d` and `e`.
    fn new() -> Scene {
        let witness = |name: &str| {
            let algorithm = if name < "d" { Algorithm::Ed25519 } else { Algorithm::MlDsa44 };
            WitnessKey::generate(&format!("{name}.example"), algorithm).expect("a key")
        };
        let log = LogKey::generate().expect("a key");
        Scene { log, witnesses: ["a", "b", "c", "d", "e"].map(witness).into() }
    }

    fn key(&self) -> NoteKey {
        NoteKey::new("example.org/log", self.log.public()).expect("a name")
    }

    fn policy(&self, rest: &str) -> Quorum {
        let mut text = format!("log {}\n", self.key());
        for (name, witness) in ["a", "b", "c", "d", "e"].iter().zip(&self.witnesses) {
            text.push_str(&format!("witness {name} {}\n", witness.public()));
        }
        Quorum::new(TlogPolicy::parse(&format!("{text}{rest}")).expect("a policy")).expect("keys")
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: "example.org/log".to_owned(), size: 12, root: [3; 32] }
    }

    fn line(&self, name: char, at: &str) -> Signature {
        let checkpoint = self.checkpoint();
        let body = checkpoint.body();
        let cosigned = Cosigned { body: &body, origin: &checkpoint.origin, size: 12, root: &checkpoint.root };
        self.witnesses[(name as u8 - b'a') as usize].cosign(&cosigned, time(at)).expect("signed")
    }

    /// The log's checkpoint with the cosignatures of some.
    fn cosigned(&self, names: &str) -> String {
        let mut note = Note::parse(&self.checkpoint().sign(&self.log)).expect("a note");
        note.signatures.extend(names.chars().map(|name| self.line(name, NOW)));
        note.to_string()
    }
}

const NESTED: &str = "group x 2 a b c\ngroup y any d e\ngroup xy all x y\nquorum xy";

#[test]
fn a_quorum_counts_members_of_groups() {
    let scene = Scene::new();
    for (policy, names, met) in [
        ("quorum none", "", true),
        ("quorum a", "", false),
        ("quorum a", "b", false),
        ("quorum a", "a", true),
        ("group g any a b\nquorum g", "b", true),
        ("group g all a b\nquorum g", "b", false),
        (NESTED, "ab", false),
        (NESTED, "de", false),
        (NESTED, "ad", false),
        (NESTED, "abe", true),
        (NESTED, "abcde", true),
        // The same witness twice is one.
        (NESTED, "aad", false),
    ] {
        let checked = scene.policy(policy).check(&scene.cosigned(names), &[], time(NOW));
        assert_eq!(checked.is_ok(), met, "{policy} by {names}: {checked:?}");
        if let Ok(witnessed) = checked {
            assert_eq!(witnessed.checkpoint(), &scene.checkpoint());
            let distinct: std::collections::BTreeSet<String> = names.chars().map(String::from).collect();
            assert!(witnessed.cosigned().keys().eq(distinct.iter()));
        }
    }
}

/// Every subset of the witnesses, against the rule written out by hand: more cosignatures never hurt.
#[test]
fn more_cosignatures_never_hurt() {
    let scene = Scene::new();
    let quorum = scene.policy(NESTED);
    for subset in 0_u32..32 {
        let times: BTreeMap<usize, Timestamp> =
            (0..5).filter(|bit| subset >> bit & 1 == 1).map(|bit| (bit, time(NOW))).collect();
        let expected = (subset & 0b111).count_ones() >= 2 && subset & 0b11000 != 0;
        assert_eq!(quorum.is_met(&times), expected, "{subset:05b}");
    }
}

#[test]
fn a_refusal_names_who_counts_and_who_is_ahead() {
    let scene = Scene::new();
    let mut note = Note::parse(&scene.cosigned("a")).expect("a note");
    note.signatures.push(scene.line('b', "2026-11-22T20:41:00Z"));
    let error = scene.policy(NESTED).check(&note.to_string(), &[], time(NOW)).expect_err("too few");
    let [have, ahead] = [vec!["a".to_owned()], vec!["b".to_owned()]];
    assert_eq!(error, QuorumError::NotMet { quorum: "xy".to_owned(), have, ahead });
    assert_eq!(error.to_string(), "the quorum `xy` is not met: cosigned by a");
    // A clock that is a little ahead is no lie.
    let mut note = Note::parse(&scene.cosigned("")).expect("a note");
    note.signatures.push(scene.line('a', "2026-11-22T19:41:59Z"));
    assert!(scene.policy("quorum a").check(&note.to_string(), &[], time(NOW)).is_ok());
}

#[test]
fn what_was_changed_or_signed_by_others_is_refused() {
    let scene = Scene::new();
    let quorum = scene.policy("quorum a");
    let good = scene.cosigned("ab");
    assert!(quorum.check(&good, &[], time(NOW)).is_ok());
    // One byte of a known witness's cosignature: somebody changed the checkpoint, whoever else has signed.
    let mut note = Note::parse(&good).expect("a note");
    note.signatures[2].bytes[20] ^= 1;
    let error = quorum.check(&note.to_string(), &[], time(NOW)).expect_err("changed");
    assert_eq!(error, QuorumError::Cosignature(CosignatureError::Signature("b.example".to_owned())));
    // Unknown witnesses are passed over.
    let other = Scene::new();
    let mut note = Note::parse(&good).expect("a note");
    note.signatures.push(other.line('c', NOW));
    assert!(quorum.check(&note.to_string(), &[], time(NOW)).is_ok());
    // Another log's key, another root, another size.
    assert!(matches!(quorum.check(&other.cosigned("a"), &[], time(NOW)), Err(QuorumError::Log(_))));
    for (from, to) in [("\n12\n", "\n13\n"), ("AwMD", "AwME")] {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        assert!(matches!(quorum.check(&changed, &[], time(NOW)), Err(QuorumError::Log(NoteError::Signature(_)))));
    }
    let stranger = Checkpoint { origin: "example.org/other".to_owned(), ..scene.checkpoint() };
    let signed = note::sign(&scene.log, "example.org/log", &stranger.body());
    let error = scene.policy("quorum none").check(&signed, &[], time(NOW)).expect_err("of another log");
    assert_eq!(error, QuorumError::Origin { found: "example.org/other".to_owned() });
}

#[test]
fn a_policy_without_logs_takes_the_callers() {
    let scene = Scene::new();
    let text = format!("witness a {}\nquorum a", scene.witnesses[0].public());
    let quorum = Quorum::new(TlogPolicy::parse(&text).expect("a policy")).expect("keys");
    assert!(quorum.check(&scene.cosigned("a"), &[scene.key()], time(NOW)).is_ok());
    assert!(matches!(quorum.check(&scene.cosigned("a"), &[], time(NOW)), Err(QuorumError::Log(_))));
}

#[test]
fn keys_of_the_wrong_kind_are_refused() {
    let scene = Scene::new();
    let as_log = format!("log {}\nquorum none", scene.witnesses[0].public());
    let error = Quorum::new(TlogPolicy::parse(&as_log).expect("a policy")).expect_err("no log's key");
    assert!(matches!(error, PolicyKeyError::Log(_)));
    let as_witness = format!("witness a {}\nquorum a", scene.key());
    let error = Quorum::new(TlogPolicy::parse(&as_witness).expect("a policy")).expect_err("no witness's key");
    assert!(matches!(error, PolicyKeyError::Witness { name, .. } if name == "a"));
}
