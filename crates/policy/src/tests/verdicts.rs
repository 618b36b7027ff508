//! Whole verdicts: all rules together, images, integrity, and the statement of a verdict. // M3.4 M4.6

use attest::sample::{self, Scene, time};
use expect_test::{Expect, expect};
use model::verdict::{BuildLevel, Outcome, Verdict};
use wire::timestamp::Timestamp;

use super::rules::text;
use super::{EVERY_RULE, evidence, good, greeter, open, policy, run, said, scene, test, unlogged};
use crate::evidence::{Evidence, Refused};
use crate::gate::{gate, integrity};

#[test]
fn everything_as_it_should_be_passes() {
    let verdict = gate(&policy(EVERY_RULE), &evidence(&good()), "production", time(100));
    let lines: Vec<String> = verdict.rules.iter().map(|rule| format!("{} {}", rule.name, text(rule))).collect();
    expect![[r#"
        signed-by pass on 2: statements `recipe` and `run` of greeter (4b249b519fef) are signed by `builder-full`
        logged pass on 6: 6 statements stand in log `example.org/log` at 0, 1, 2, 3, 4, 5
        complete-hermetic-build pass on 1: run d1bcea4bfb04 at level `full` is complete: 41 processes seen, nothing opened that is not pinned
        source pass on 1: run d1bcea4bfb04 was made from commit 4c1f0a9be2d7 on branch `main` of `https://git.example.org/greeter`, as local-git says
        no-uncommitted-changes pass on 1: run d1bcea4bfb04 was made from commit 4c1f0a9be2d7 with no uncommitted change
        rebuilt pass on 1: rebuilt 9cc7de875075 compared 2 builds of greeter (4b249b519fef) and they are equal
        tests-passed pass on 1: 2 cases of `unit` passed for greeter (4b249b519fef); nothing is live yet, so none can have vanished
        age pass on 1: run d1bcea4bfb04 ended at 2026-11-22T19:41:08Z, 0 days ago: no more than 30
        fresh for 2591908 s
        reference-digest pass on 4: run 934a10fe9e1f and 1 more agree with greeter (4b249b519fef)
    "#]].assert_eq(&lines.concat());
    assert_eq!((verdict.result, verdict.level), (Outcome::Pass, BuildLevel::One));
    assert_eq!(verdict.environment.as_deref(), Some("production"));
}

#[test]
fn nothing_known_is_unknown() {
    let verdict = gate(&policy(EVERY_RULE), &evidence(&[]), "production", time(100));
    let lines: Vec<String> = verdict.rules.iter().map(|rule| format!("{} {}", rule.name, text(rule))).collect();
    expect![[r#"
        signed-by unknown on 0: no recipe statement about greeter (4b249b519fef) was found
        fix: `assay build`
        logged unknown on 0: no statement about greeter (4b249b519fef) was found
        fix: `assay build`
        complete-hermetic-build unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
        source unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
        no-uncommitted-changes unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
        rebuilt unknown on 0: no comparison with a second build of greeter (4b249b519fef) was found
        fix: `assay build --again`
        tests-passed unknown on 0: no outcome of suite `unit` for greeter (4b249b519fef) was found
        fix: `assay test`
        age unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
        reference-digest unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]]
    .assert_eq(&lines.concat());
    assert_eq!((verdict.result, verdict.level), (Outcome::Unknown, BuildLevel::Unevaluated));
}

#[test]
fn an_image_is_judged_by_manifest_or_configuration() {
    let mut evidence = evidence(&good());
    for digest in ["image manifest", "image config"] {
        evidence.subject.digests = vec![sample::digest(digest)];
        let verdict = gate(
            &policy("[[rules]]\nrule = \"source\"\nrepository = \"*\"\nbranches = [\"*\"]\n"),
            &evidence,
            "",
            time(100),
        );
        assert_eq!((verdict.result, verdict.environment), (Outcome::Pass, None));
    }
    evidence.subject.digests = vec![sample::digest("image layer")];
    let verdict = gate(&policy("[[rules]]\nrule = \"logged\"\n"), &evidence, "", time(100));
    assert_eq!(verdict.result, Outcome::Unknown, "a layer is no image");
}

fn lines(verdict: &Verdict) -> String {
    verdict.rules.iter().map(|rule| format!("{} {}", rule.name, text(rule))).collect()
}

#[test]
fn integrity_is_about_signatures_signers_and_log() {
    let check = |evidence: &Evidence, expected: Expect| expected.assert_eq(&lines(&integrity(evidence, time(100))));
    check(
        &evidence(&good()),
        expect![[r#"
            signatures pass on 6: every statement found, 6 in all, carries a good signature of an accepted identity
            signers pass on 6: every statement is signed by one who may say it: `admin`, `builder-full` and `tester`
            logged pass on 6: 6 statements stand in log `example.org/log` at 0, 1, 2, 3, 4, 5
        "#]],
    );
    check(
        &evidence(&[]),
        expect![[r#"
        signatures unknown on 0: no statement about it was found
        fix: `assay build`, or `assay pull` it
        signers unknown on 0: no recipe statement about greeter was found
        fix: `assay build`
        logged unknown on 0: no statement was found
        fix: `assay build`, or `assay pull` it
    "#]],
    );
    check(
        &evidence(&[said("tester", test(|_| ()))]),
        expect![[r#"
            signatures pass on 1: every statement found, 1 in all, carries a good signature of an accepted identity
            signers unknown on 1: no recipe statement about greeter was found
            fix: `assay build`
            logged pass on 1: 1 statement stands in log `example.org/log` at 0
        "#]],
    );
    let mut some = good();
    some.push(unlogged("tester", test(|_| ())));
    some.push(unlogged("second-tester", test(|test| test.passed.clear())));
    some.push(said("tester", run(|_| ())));
    let mut evidence = evidence(&some);
    evidence.refused = vec![Refused { what: "sha256:00".to_owned(), reason: "signed by an unknown key".to_owned() }];
    check(
        &evidence,
        expect![[r#"
            signatures fail on 7: 1 of 9 stored statements cannot be relied on: sha256:00: signed by an unknown key
            fix: `assay admin fsck` names damaged files; a signer that should count belongs in trust.json
            signers fail on 7: run d1bcea4bfb04 is signed by `tester`, which has not the role `builder`
            fix: give that identity the role in trust.json, or have the statement made by one that has it
            logged fail on 7: test b5edd9b3b982 came without a proof that a log holds it
            fix: `assay push` to a server that logs it, or make it again in a home with a log: `assay build`
        "#]],
    );
    let verdict = integrity(&evidence, time(100));
    evidence.attestations.reverse();
    assert_eq!(integrity(&evidence, time(100)), verdict, "order of finding does not matter");
    assert_eq!(verdict.policy.digest, wire::digest::Digest::of(crate::INTEGRITY.as_bytes()));
}

#[test]
fn a_verdict_is_a_statement_and_the_same_bytes_again() {
    let mut scene: Scene = scene();
    let attestations = open(&mut scene, &good());
    let mut evidence = Evidence { subject: greeter(), attestations, live: None, refused: Vec::new() };
    let judge = |evidence: &Evidence, now| gate(&policy(EVERY_RULE), evidence, "production", time(now));
    let first = attest::verdict(&judge(&evidence, 100)).to_json();
    evidence.attestations.reverse();
    assert_eq!(attest::verdict(&judge(&evidence, 100)).to_json(), first, "order of finding does not matter");
    evidence.attestations.extend(evidence.attestations.clone());
    assert_eq!(attest::verdict(&judge(&evidence, 100)).to_json(), first, "finding twice does not matter");
    assert_ne!(attest::verdict(&judge(&evidence, 101)).to_json(), first, "the time is part of it");
    // Fresh signatures over the same statements: the payloads decide, not the signatures.
    let again = super::evidence(&good());
    assert_eq!(attest::verdict(&judge(&again, 100)).to_json(), first);
    let attestation = scene.logged("verifier", &attest::verdict(&judge(&evidence, 100))).expect("it reads back");
    let attest::Claim::Verdict(verdict) = attestation.claim() else { panic!("a verdict") };
    assert_eq!(verdict.as_ref(), &judge(&evidence, 100));
}

/// The clock stands before the statements' own times, or years after: a rule that asks it denies, the others do not care, and
/// whatever was judged is judged the same again when the verdict's own time is given.
#[test]
fn a_clock_that_jumps_denies_by_the_one_rule_that_asks_it() {
    let mut scene: Scene = scene();
    let attestations = open(&mut scene, &good());
    let evidence = Evidence { subject: greeter(), attestations, live: None, refused: Vec::new() };
    let judge = |at| gate(&policy(EVERY_RULE), &evidence, "production", at);
    let by_rule = |verdict: &Verdict| -> Vec<(String, Outcome)> {
        verdict.rules.iter().map(|rule| (rule.name.clone(), rule.result)).collect()
    };
    let right = by_rule(&judge(time(100)));
    assert!(right.iter().all(|(_, result)| *result == Outcome::Pass), "{right:?}");
    let (first, last) = (Timestamp::from_unix_s(0).expect("1970"), "9999-12-30T00:00:00Z".parse().expect("a time"));
    for (at, expected) in [
        (first, Outcome::Unknown),
        (time(-86_400 * 365), Outcome::Unknown),
        (time(7), Outcome::Unknown),
        (time(8), Outcome::Pass),
        (time(86_400 * 31), Outcome::Fail),
        (last, Outcome::Fail),
    ] {
        let verdict = judge(at);
        assert_eq!(verdict.result, expected, "{at}");
        let wanted = right.iter().map(|(name, _)| match name.as_str() {
            "age" => (name.clone(), expected),
            _ => (name.clone(), Outcome::Pass),
        });
        assert_eq!(by_rule(&verdict), wanted.collect::<Vec<_>>(), "{at}");
        let statement = attest::verdict(&verdict);
        let attestation = scene.logged("verifier", &statement).expect("it reads back");
        let attest::Claim::Verdict(stated) = attestation.claim() else { panic!("a verdict") };
        assert_eq!(attest::verdict(&judge(stated.at)).to_json(), statement.to_json(), "{at}");
    }
}

/// What was signed when the key did not count yet, or any more, never becomes evidence, whatever the statement says of its time.
#[test]
fn a_statement_from_outside_the_keys_time_is_no_evidence() {
    let scene = scene();
    let envelope = scene.sign("builder-full", &run(|_| ()));
    let opened = |at| attest::unlogged(&envelope, scene.trust(), at).map(|_| ());
    assert!(opened(time(-1_000_000)).is_ok(), "the first second counts");
    let early = opened(time(-1_000_001)).expect_err("a second before").to_string();
    assert!(early.contains("checking the signature"), "{early}");
    let mut trust = scene.trust().clone();
    trust.identities.iter_mut().for_each(|identity| identity.valid_until = Some(time(50)));
    assert!(attest::unlogged(&envelope, &trust, time(50)).is_ok(), "the last second counts");
    assert!(attest::unlogged(&envelope, &trust, time(51)).is_err());
}
