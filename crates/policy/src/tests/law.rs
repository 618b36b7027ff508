//! The law of missing evidence, over generated evidence: see the crate's documentation. // M3.4

use attest::Attestation;
use attest::sample::{self, Scene, time};
use model::run::Undeclared;
use model::verdict::{Outcome, Verdict};
use wire::digest::Digest;

use super::{
    EVERY_RULE, Said, earlier_run, good, greeter, live, open, policy, rebuilt, run, said, scene, test, unlogged,
};
use crate::evidence::{Evidence, Live};
use crate::gate::gate;
use crate::policy::Policy;

/// A small deterministic generator (xorshift64*).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound as u64) as usize
    }
}

/// Statements that speak against, do not count, or confuse the order.
fn others() -> Vec<Said> {
    let opened = || Undeclared { path: "/etc/passwd".to_owned(), process: 0, argv0: "cc".to_owned(), count: 1 };
    let dirty = run(|record| {
        record.source.revision.as_mut().expect("under git").dirty = vec!["src/main.rs".to_owned()];
    });
    let branch = run(|record| {
        record.source.revision.as_mut().expect("under git").branch = Some("feature".to_owned());
    });
    let mut reference = sample::reference();
    reference.digest = sample::digest("other");
    let mut recipe = sample::recipe();
    recipe.outputs[0].digest = sample::digest("other greeter");
    let unequal = rebuilt(|rebuilt| {
        rebuilt.equal = false;
        rebuilt.differences = vec![("greeter".to_owned(), vec![sample::digest("greeter"), sample::digest("x")])];
    });
    let failing = test(|test| test.failed = vec!["greets".to_owned()]);
    let fewer = test(|test| test.passed = vec!["greets".to_owned()]);
    vec![
        said("builder-full", run(|record| record.undeclared = vec![opened()])),
        said("builder-trace-only", run(|record| record.level = "trace-only".to_owned())),
        said("builder-full", run(|record| record.finished = time(1_000))),
        said("builder-full", run(|record| record.finished = time(-10_000_000))),
        said("builder-full", dirty),
        said("builder-full", branch.clone()),
        unlogged("builder-full", branch),
        unlogged("builder-full", run(|_| ())),
        unlogged("builder-no-proc", earlier_run()),
        said("tester", run(|_| ())),
        said("admin", attest::reference(&reference)),
        unlogged("admin", attest::reference(&reference)),
        said("builder-full", attest::recipe(&recipe)),
        said("builder-no-proc", super::recipe()),
        said("builder-full", unequal.clone()),
        said("builder-no-proc", unequal),
        said("builder-no-proc", rebuilt(|rebuilt| rebuilt.runs.truncate(1))),
        said("tester", failing.clone()),
        said("second-tester", failing),
        said("second-tester", fewer),
        unlogged("second-tester", test(|_| ())),
    ]
}

/// Signs some of the good statements and some of the others, logged in a random order.
fn generated(random: &mut Random) -> Evidence {
    let mut chosen: Vec<Said> = good().into_iter().filter(|_| random.below(8) > 0).collect();
    let others = others();
    for _ in 0..random.below(5) {
        let at = random.below(chosen.len() + 1);
        chosen.insert(at, others[random.below(others.len())].clone());
    }
    let mut scene = scene();
    let live = (random.below(2) == 0).then(|| generated_live(&mut scene, random));
    let attestations = open(&mut scene, &chosen);
    Evidence { subject: greeter(), attestations, live, refused: Vec::new() }
}

fn generated_live(scene: &mut Scene, random: &mut Random) -> Live {
    let mut deployment = sample::deployment();
    deployment.artifact.1 = sample::digest("live greeter");
    let before = |name: &str| {
        test(|test| {
            test.subjects = vec![("greeter".to_owned(), sample::digest("live greeter"))];
            test.passed = vec![name.to_owned()];
        })
    };
    let mut statements = vec![said("deployer", attest::deployment(&deployment))];
    for name in ["greets", "shouts"] {
        if random.below(2) == 0 {
            statements.push(said(if name == "shouts" { "second-tester" } else { "tester" }, before(name)));
        }
    }
    live(scene, &statements)
}

/// Returns the evidence without one statement, for each that it has.
fn without_one(evidence: &Evidence) -> Vec<(Digest, Evidence)> {
    let payload = |attestation: &Attestation| *attestation.statement().payload();
    let mut out = Vec::new();
    for index in 0..evidence.attestations.len() {
        let mut less = evidence.clone();
        out.push((payload(&less.attestations.remove(index)), less));
    }
    if let Some(live) = &evidence.live {
        out.push((payload(&live.deployment), Evidence { live: None, ..evidence.clone() }));
        for index in 0..live.tests.len() {
            let mut tests = live.tests.clone();
            let gone = payload(&tests.remove(index));
            let live = Live { deployment: live.deployment.clone(), tests };
            out.push((gone, Evidence { live: Some(live), ..evidence.clone() }));
        }
    }
    out
}

fn named_against(verdict: &Verdict, payload: &Digest) -> bool {
    verdict.rules.iter().any(|rule| rule.result != Outcome::Pass && rule.evidence.contains(payload))
}

#[test]
fn what_is_missing_can_allow_only_where_it_was_named() {
    let policies: Vec<Policy> = EVERY_RULE
        .split("[[rules]]")
        .filter(|rule| rule.contains("rule ="))
        .map(|rule| policy(&format!("[[rules]]{rule}")))
        .chain([
            policy(EVERY_RULE),
            policy(&EVERY_RULE.replace("\"reference-digest\"", "\"reference-digest\"\nrequired = false")),
        ])
        .collect();
    let judge = |policy: &Policy, evidence: &Evidence| gate(policy, evidence, "production", time(100));
    let mut random = Random(0xa55a);
    let (mut passes, mut flips) = (0, 0);
    for round in 0..150 {
        let evidence = generated(&mut random);
        for policy in &policies {
            let before = judge(policy, &evidence);
            if before.result == Outcome::Pass {
                passes += 1;
                continue;
            }
            for (gone, less) in without_one(&evidence) {
                if judge(policy, &less).result == Outcome::Pass {
                    flips += 1;
                    assert!(named_against(&before, &gone), "round {round}: {gone} was not named in {before:#?}");
                }
            }
        }
    }
    assert!(passes > 200 && flips > 100, "the evidence generated says something: {passes} passes, {flips} flips");
}

#[test]
fn without_any_statement_nothing_passes() {
    let nothing = super::evidence(&[]);
    for rule in EVERY_RULE.split("[[rules]]").filter(|rule| rule.contains("rule =")) {
        let verdict = gate(&policy(&format!("[[rules]]{rule}")), &nothing, "production", time(100));
        assert_eq!(verdict.result, Outcome::Unknown, "{rule}");
    }
    let lenient = "[[rules]]\nrule = \"reference-digest\"\nrequired = false\n";
    assert_eq!(gate(&policy(lenient), &nothing, "production", time(100)).result, Outcome::Unknown);
}

/// Every statement that good evidence rests on is needed: the gate notices when it is gone, or another of its kind is left.
#[test]
fn each_supporting_statement_is_missed() {
    let evidence = super::evidence(&good());
    let judge = |evidence: &Evidence| gate(&policy(EVERY_RULE), evidence, "production", time(100)).result;
    assert_eq!(judge(&evidence), Outcome::Pass);
    let results: Vec<&str> = without_one(&evidence).iter().map(|(_, less)| judge(less).name()).collect();
    // recipe, earlier run, run, rebuilt, test, reference: runs and references stand in for each other.
    assert_eq!(results, ["unknown", "pass", "pass", "unknown", "unknown", "pass"]);
}

/// Where nothing speaks against, more never hurts and less never helps: of all subsets of good evidence, none passes that lies
/// in one that does not.
#[test]
fn less_of_good_evidence_never_passes_where_more_did_not() {
    let whole = super::evidence(&good());
    let count = whole.attestations.len();
    let policies = EVERY_RULE.split("[[rules]]").filter(|rule| rule.contains("rule ="));
    let policies: Vec<Policy> =
        policies.map(|rule| policy(&format!("[[rules]]{rule}"))).chain([policy(EVERY_RULE)]).collect();
    for policy in &policies {
        let passes = |subset: usize| {
            let kept = (0..count).filter(|index| subset >> index & 1 == 1);
            let attestations = kept.map(|index| whole.attestations[index].clone()).collect();
            let evidence = Evidence { attestations, ..whole.clone() };
            gate(policy, &evidence, "production", time(100)).result == Outcome::Pass
        };
        let passing: Vec<bool> = (0..1 << count).map(passes).collect();
        assert!(passing[passing.len() - 1] && !passing[0]);
        for subset in 0..passing.len() {
            for index in (0..count).filter(|index| subset >> index & 1 == 1) {
                let less = subset & !(1 << index);
                assert!(
                    passing[subset] || !passing[less],
                    "{} passes with {less:b}, not with {subset:b}",
                    policy.rules()[0].name()
                );
            }
        }
    }
}
