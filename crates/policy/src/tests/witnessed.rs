//! The rule `witnessed`, over real cosignatures of both kinds.

use attest::Attestation;
use attest::sample::{Scene, time};
use expect_test::{Expect, expect};
use model::verdict::Outcome;
use sign::cosignature::{Algorithm, Cosigned, WitnessKey};
use tlog::checkpoint::Checkpoint;
use wire::in_toto::Statement;
use wire::note::Note;

use super::{greeter, recipe, run, scene};
use crate::evidence::Evidence;
use crate::policy::Policy;
use crate::problem::Problem;

struct Witnesses {
    scene: Scene,
    keys: Vec<WitnessKey>,
}

impl Witnesses {
    fn new() -> Witnesses {
        let key = |(name, algorithm)| WitnessKey::generate(name, algorithm).expect("a key");
        let keys = [("w1.example", Algorithm::Ed25519), ("w2.example", Algorithm::MlDsa44)].map(key).into();
        Witnesses { scene: scene(), keys }
    }

    /// The policy by which both must have cosigned.
    fn text(&self) -> String {
        let log = self.scene.trust().logs[0].note_key();
        let [w1, w2] = [self.keys[0].public(), self.keys[1].public()];
        format!("log {log}\nwitness w1 {w1}\nwitness w2 {w2}\ngroup both all w1 w2\nquorum both\n")
    }

    /// A logged statement whose checkpoint some have cosigned: `names` has `1`, `2`, both or none.
    fn said(&mut self, statement: &Statement, names: &str) -> Attestation {
        let mut bundle = self.scene.bundle("builder-full", statement);
        let text = &mut bundle.verification_material.tlog_entries[0].inclusion_proof.checkpoint.envelope;
        let mut note = Note::parse(text).expect("a note");
        let Checkpoint { origin, size, root } = Checkpoint::parse(&note.body).expect("a checkpoint");
        let cosigned = Cosigned { body: &note.body.clone(), origin: &origin, size, root: &root };
        for name in names.chars() {
            let key = &self.keys[if name == '1' { 0 } else { 1 }];
            note.signatures.push(key.cosign(&cosigned, time(0)).expect("signed"));
        }
        *text = note.to_string();
        attest::open(&bundle, self.scene.trust(), time(0)).expect("cosignatures do no harm")
    }

    fn judge(&self, attestations: Vec<Attestation>) -> (Outcome, String) {
        let policy = policy(&self.text()).expect("a policy");
        let evidence = Evidence { subject: greeter(), attestations, live: None, refused: Vec::new() };
        let verdict = crate::gate(&policy, &evidence, "production", time(0));
        let [rule] = &verdict.rules[..] else { panic!("one rule") };
        (rule.result, format!("{:?} on {}: {}\n", rule.result, rule.evidence.len(), rule.found))
    }
}

fn policy(text: &str) -> Result<Policy, Vec<Problem>> {
    let rules =
        format!("version = 1\nname = \"test\"\n\n[[rules]]\nrule = \"witnessed\"\npolicy = \"\"\"\n{text}\"\"\"\n");
    Policy::parse("test.toml", &rules)
}

fn check(first: &str, second: &str, expected: Expect) {
    let mut witnesses = Witnesses::new();
    let attestations = vec![witnesses.said(&recipe(), first), witnesses.said(&run(|_| ()), second)];
    expected.assert_eq(&witnesses.judge(attestations).1);
}

#[test]
fn every_statement_must_be_in_a_log_that_the_quorum_has_seen() {
    check(
        "12",
        "12",
        expect![[r#"
        Pass on 2: 2 statements stand in a log that was cosigned by `w1` and `w2`
    "#]],
    );
    check(
        "12",
        "",
        expect![[r#"
            Fail on 2: the log that holds run d1bcea4bfb04: the quorum `both` is not met: cosigned by nobody
        "#]],
    );
    check(
        "1",
        "12",
        expect![[r#"
        Fail on 2: the log that holds recipe 901e180c11de: the quorum `both` is not met: cosigned by w1
    "#]],
    );
    check(
        "2",
        "2",
        expect![[r#"
        Fail on 2: the log that holds recipe 901e180c11de: the quorum `both` is not met: cosigned by w2
    "#]],
    );
}

#[test]
fn what_no_log_holds_is_seen_by_nobody() {
    let mut witnesses = Witnesses::new();
    let recipe = witnesses.said(&recipe(), "12");
    let unlogged = witnesses.scene.unlogged("builder-full", &run(|_| ())).expect("signed well");
    let (outcome, found) = witnesses.judge(vec![recipe, unlogged]);
    assert_eq!(outcome, Outcome::Fail);
    assert!(found.contains("came without a proof that a log holds it"), "{found}");
    assert_eq!(witnesses.judge(Vec::new()).0, Outcome::Unknown);
}

/// Of two signed copies of a statement one that was seen is enough.
#[test]
fn one_copy_that_was_seen_is_enough() {
    let mut witnesses = Witnesses::new();
    let recipe = witnesses.said(&recipe(), "12");
    let copies = [witnesses.said(&run(|_| ()), ""), witnesses.said(&run(|_| ()), "12")];
    let [unseen, seen] = copies;
    assert_eq!(witnesses.judge(vec![recipe.clone(), unseen.clone()]).0, Outcome::Fail);
    assert_eq!(witnesses.judge(vec![recipe, unseen, seen]).0, Outcome::Pass);
}

#[test]
fn a_policy_that_cannot_hold_is_refused_with_its_place() {
    let problem = |text: &str| policy(text).expect_err("refused")[0].to_string();
    let witnesses = Witnesses::new();
    let without_log = witnesses.text().lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    for (text, part) in [
        (without_log.as_str(), "names no log"),
        ("quorum nobody\n", "line 1: `nobody` names no witness"),
        ("log x\nquorum none\n", "line 1: `x` is no note verification key"),
        ("", "a string of 1 to"),
        (&witnesses.text().replace("log example", "witness w3 example"), "reading the key of witness `w3`"),
    ] {
        let said = problem(text);
        assert!(said.contains(part) && said.starts_with("test.toml:6:10"), "{part}: {said}");
    }
}
