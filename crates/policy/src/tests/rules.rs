//! Rules about the build: signers, log, completeness, source, age; and how one rule is checked. // M3.4 M4.6

use attest::sample::time;
use expect_test::{Expect, expect};
use model::run::Undeclared;
use model::verdict::{Fresh, Outcome, RuleResult};

use super::{Said, evidence, policy, recipe, run, said, test, unlogged};
use crate::evidence::Evidence;
use crate::gate::gate;

pub(super) fn text(rule: &RuleResult) -> String {
    let mut text = format!("{} on {}: {}\n", rule.result.name(), rule.evidence.len(), rule.found);
    if let Some(fix) = &rule.fix {
        text.push_str(&format!("fix: {fix}\n"));
    }
    if let Fresh::Seconds(seconds) = rule.fresh {
        text.push_str(&format!("fresh for {seconds} s\n"));
    }
    assert_eq!(rule.fix.is_none(), rule.result == Outcome::Pass, "what does not pass says what would help");
    text
}

/// Judges one rule at 100 seconds after the build began.
pub(super) fn check(rule: &str, said: &[Said], expected: Expect) {
    check_evidence(rule, &evidence(said), expected);
}

pub(super) fn check_evidence(rule: &str, evidence: &Evidence, expected: Expect) {
    let verdict = gate(&policy(&format!("[[rules]]\nrule = {rule}\n")), evidence, "production", time(100));
    assert_eq!(verdict.result, verdict.rules[0].result);
    expected.assert_eq(&text(&verdict.rules[0]));
}

#[test]
fn signed_by() {
    let rule = "\"signed-by\"\nidentities = [\"builder-full\", \"ci-*\"]";
    check(
        rule,
        &[said("builder-full", recipe()), said("builder-full", run(|_| ()))],
        expect![[r#"
            pass on 2: statements `recipe` and `run` of greeter (4b249b519fef) are signed by `builder-full`
        "#]],
    );
    // The recipe is the same whoever signed it; the run is not.
    let both = [said("builder-no-proc", recipe()), said("builder-full", recipe()), said("builder-full", run(|_| ()))];
    check(
        rule,
        &both,
        expect![[r#"
            pass on 2: statements `recipe` and `run` of greeter (4b249b519fef) are signed by `builder-full`
        "#]],
    );
    check(
        rule,
        &[said("builder-full", recipe()), said("builder-no-proc", run(|_| ()))],
        expect![[r#"
            fail on 2: run d1bcea4bfb04 is signed by `builder-no-proc`, which is not `builder-full` or `ci-*`
            fix: `assay build` with a key that the policy names
        "#]],
    );
    check(
        rule,
        &[said("builder-no-proc", recipe()), said("builder-full", run(|_| ()))],
        expect![[r#"
            fail on 2: recipe 901e180c11de is signed by `builder-no-proc`, which is not `builder-full` or `ci-*`
            fix: `assay build` with a key that the policy names
        "#]],
    );
    check(
        rule,
        &[said("builder-full", recipe())],
        expect![[r#"
        unknown on 1: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]],
    );
    check(
        rule,
        &[said("builder-full", run(|_| ()))],
        expect![[r#"
        unknown on 1: no recipe statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]],
    );
    // Signed by one of the names, who may not say that.
    let rule = "\"signed-by\"\nidentities = [\"*\"]";
    check(
        rule,
        &[said("tester", recipe()), said("tester", run(|_| ()))],
        expect![[r#"
        unknown on 0: no recipe statement about greeter (4b249b519fef) was found (recipe signed by `tester` does not count: role `builder` is needed)
        fix: `assay build`
    "#]],
    );
    let rule = "\"signed-by\"\nidentities = [\"tester\"]\npredicates = [\"test\"]";
    check(
        rule,
        &[said("tester", test(|_| ()))],
        expect![[r#"
            pass on 1: statements `test` of greeter (4b249b519fef) are signed by `tester`
        "#]],
    );
    check(
        rule,
        &[said("tester", test(|_| ())), said("second-tester", test(|_| ()))],
        expect![[r#"
            fail on 1: test c14bb5546dbd is signed by `second-tester`, which is not `tester`
            fix: `assay test` with a key that the policy names
        "#]],
    );
    check(
        rule,
        &[said("builder-full", run(|_| ()))],
        expect![[r#"
        unknown on 0: no test statement about greeter (4b249b519fef) was found
        fix: `assay test`
    "#]],
    );
}

#[test]
fn logged() {
    let rule = "\"logged\"";
    check(
        rule,
        &[said("builder-full", recipe()), said("builder-full", run(|_| ()))],
        expect![[r#"
        pass on 2: 2 statements stand in log `example.org/log` at 0, 1
    "#]],
    );
    check(
        rule,
        &[said("builder-full", recipe()), unlogged("builder-full", run(|_| ()))],
        expect![[r#"
            fail on 2: run d1bcea4bfb04 came without a proof that a log holds it
            fix: `assay push` to a server that logs it, or make it again in a home with a log: `assay build`
        "#]],
    );
    check(
        rule,
        &[unlogged("builder-full", recipe()), said("builder-full", run(|_| ()))],
        expect![[r#"
            fail on 2: recipe 901e180c11de came without a proof that a log holds it
            fix: `assay push` to a server that logs it, or make it again in a home with a log: `assay build`
        "#]],
    );
    check(
        rule,
        &[],
        expect![[r#"
        unknown on 0: no statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]],
    );
    // Of what is not used nothing is asked.
    let other = [said("builder-full", recipe()), said("builder-full", run(|_| ())), unlogged("tester", test(|_| ()))];
    check(
        rule,
        &other,
        expect![[r#"
        pass on 2: 2 statements stand in log `example.org/log` at 0, 1
    "#]],
    );
    let rules = "[[rules]]\nrule = \"logged\"\n[[rules]]\nrule = \"tests-passed\"\nsuites = [\"unit\"]\n";
    let verdict = gate(&policy(rules), &evidence(&other), "production", time(100));
    expect![[r#"
        fail on 3: test c14bb5546dbd came without a proof that a log holds it
        fix: `assay push` to a server that logs it, or make it again in a home with a log: `assay build`
    "#]]
    .assert_eq(&text(&verdict.rules[0]));
}

#[test]
fn complete_hermetic_build() {
    let rule = "\"complete-hermetic-build\"";
    let check_run = |change: &dyn Fn(&mut model::run::Record), expected| {
        check(rule, &[said("builder-full", run(change))], expected);
    };
    check_run(
        &|_| (),
        expect![[r#"
            pass on 1: run d1bcea4bfb04 at level `full` is complete: 41 processes seen, nothing opened that is not pinned
        "#]],
    );
    check_run(
        &|record| {
            record.level = "trace-only".to_owned();
            record.completeness.complete = false;
            record.completeness.reasons = vec![
                "the machine allows no user namespaces".to_owned(),
                "start the container with `--privileged`".to_owned(),
            ];
        },
        expect![[r#"
            fail on 1: run 94cef9e4b6ec was isolated at level `trace-only`, not `full` or `no-proc`: the machine allows no user namespaces; start the container with `--privileged`
            fix: start the container with `--privileged`; then `assay build`
        "#]],
    );
    check_run(
        &|record| {
            record.level = "trace-only".to_owned();
            record.completeness.complete = false;
            record.completeness.reasons = vec!["the machine allows no user namespaces".to_owned()];
        },
        expect![[r#"
            fail on 1: run 8e02b87feef7 was isolated at level `trace-only`, not `full` or `no-proc`: the machine allows no user namespaces
            fix: `assay build` where user namespaces are allowed: outside of a container, or in one started with `--security-opt seccomp=unconfined --security-opt unmask=ALL` or `--privileged`
        "#]],
    );
    check_run(
        &|record| {
            record.completeness.complete = false;
            record.completeness.lost = 7;
            record.completeness.reasons = vec!["7 events were lost".to_owned()];
        },
        expect![[r#"
            fail on 1: run de6925633222 at level `full` is not complete: 7 events were lost
            fix: remove the reason, then `assay build`
        "#]],
    );
    let opened = |path: &str| Undeclared { path: path.to_owned(), process: 0, argv0: "cc".to_owned(), count: 1 };
    check_run(
        &|record| record.undeclared = vec![opened("/etc/passwd")],
        expect![[r#"
            fail on 1: run 272edbac9341 opened 1 file that nothing pins: `/etc/passwd` by `cc`
            fix: add what holds them to `base` in assay.toml, or stop opening them; then `assay lock` and `assay build`
        "#]],
    );
    check_run(
        &|record| record.undeclared = ["/a", "/b", "/c", "/d", "/e"].map(opened).to_vec(),
        expect![[r#"
            fail on 1: run 945e786b27b5 opened 5 files that nothing pins: `/a` by `cc`, `/b` by `cc`, `/c` by `cc` and 2 more
            fix: add what holds them to `base` in assay.toml, or stop opening them; then `assay lock` and `assay build`
        "#]],
    );
    check(
        rule,
        &[said("builder-full", recipe())],
        expect![[r#"
        unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]],
    );
    // The newest run counts: a later one that is not complete, and an earlier one.
    let incomplete = || run(|record| record.undeclared = vec![opened("/etc/passwd")]);
    check(
        rule,
        &[said("builder-full", run(|_| ())), said("builder-full", incomplete())],
        expect![[r#"
            fail on 1: run 272edbac9341 opened 1 file that nothing pins: `/etc/passwd` by `cc`
            fix: add what holds them to `base` in assay.toml, or stop opening them; then `assay lock` and `assay build`
        "#]],
    );
    check(
        rule,
        &[said("builder-full", incomplete()), said("builder-full", run(|_| ()))],
        expect![[r#"
            pass on 1: run d1bcea4bfb04 at level `full` is complete: 41 processes seen, nothing opened that is not pinned
        "#]],
    );
    // Where no log tells the order, all must be good.
    check(
        rule,
        &[unlogged("builder-full", incomplete()), said("builder-full", run(|_| ()))],
        expect![[r#"
            fail on 2: run 272edbac9341 opened 1 file that nothing pins: `/etc/passwd` by `cc`
            fix: add what holds them to `base` in assay.toml, or stop opening them; then `assay lock` and `assay build`
        "#]],
    );
    // By somebody who may not say that, it neither helps nor harms.
    check(
        rule,
        &[said("builder-full", run(|_| ())), said("tester", incomplete())],
        expect![[r#"
            pass on 1: run d1bcea4bfb04 at level `full` is complete: 41 processes seen, nothing opened that is not pinned
        "#]],
    );
    let strict = "\"complete-hermetic-build\"\nlevels = [\"full\"]";
    check(
        strict,
        &[said("builder-full", run(|record| record.level = "no-proc".to_owned()))],
        expect![[r#"
            fail on 1: run 0933b682d6e7 was isolated at level `no-proc`, not `full`
            fix: `assay build` where user namespaces are allowed: outside of a container, or in one started with `--security-opt seccomp=unconfined --security-opt unmask=ALL` or `--privileged`
        "#]],
    );
}

#[test]
fn source() {
    let rule = "\"source\"\nrepository = \"https://git.example.org/*\"\nbranches = [\"main\", \"release/*\"]";
    let check_run = |change: &dyn Fn(&mut model::source::Revision), expected| {
        let change = |record: &mut model::run::Record| change(record.source.revision.as_mut().expect("under git"));
        check(rule, &[said("builder-full", run(change))], expected);
    };
    check_run(
        &|_| (),
        expect![[r#"
            pass on 1: run d1bcea4bfb04 was made from commit 4c1f0a9be2d7 on branch `main` of `https://git.example.org/greeter`, as local-git says
        "#]],
    );
    check_run(
        &|revision| revision.branch = Some("release/1.0".to_owned()),
        expect![[r#"
            pass on 1: run 803f23886fba was made from commit 4c1f0a9be2d7 on branch `release/1.0` of `https://git.example.org/greeter`, as local-git says
        "#]],
    );
    check_run(
        &|revision| revision.branch = Some("feature".to_owned()),
        expect![[r#"
            fail on 1: run 3a30f19c1023 was made from branch `feature` of `https://git.example.org/greeter`, not `main` or `release/*`
            fix: bring commit 4c1f0a9be2d7 to `main` or `release/*`, then `assay build` there
        "#]],
    );
    check_run(
        &|revision| revision.branch = None,
        expect![[r#"
            fail on 1: run dc00b9c2f35d was made from commit 4c1f0a9be2d7 of `https://git.example.org/greeter` on no branch
            fix: `git switch` to `main` or `release/*`, then `assay build`
        "#]],
    );
    check_run(
        &|revision| revision.repository = "https://evil.example.com/greeter".to_owned(),
        expect![[r#"
            fail on 1: run d91e81f80761 was made from repository `https://evil.example.com/greeter`, not `https://git.example.org/*`
            fix: clone `https://git.example.org/*` and `assay build` there
        "#]],
    );
    check(
        rule,
        &[said("builder-full", run(|record| record.source.revision = None))],
        expect![[r#"
            fail on 1: run 0f6e9440c4ba was made from files that are under no version control
            fix: commit the project to the repository that the policy names, then `assay build`
        "#]],
    );
    check(
        rule,
        &[],
        expect![[r#"
        unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]],
    );
}

#[test]
fn no_uncommitted_changes() {
    let rule = "\"no-uncommitted-changes\"";
    check(
        rule,
        &[said("builder-full", run(|_| ()))],
        expect![[r#"
            pass on 1: run d1bcea4bfb04 was made from commit 4c1f0a9be2d7 with no uncommitted change
        "#]],
    );
    let dirty = run(|record| {
        let revision = record.source.revision.as_mut().expect("under git");
        revision.dirty = vec!["Cargo.toml".to_owned(), "src/main.rs".to_owned()];
    });
    check(
        rule,
        &[said("builder-full", dirty)],
        expect![[r#"
            fail on 1: run bcda38d06e8f was made with changes that were not committed: `Cargo.toml`, `src/main.rs`
            fix: commit your changes, then `assay build`
        "#]],
    );
    check(
        rule,
        &[said("builder-full", run(|record| record.source.revision = None))],
        expect![[r#"
            fail on 1: run 0f6e9440c4ba was made from files that are under no version control
            fix: `git init`, commit the project, then `assay build`
        "#]],
    );
    check(
        rule,
        &[],
        expect![[r#"
        unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]],
    );
}

#[test]
fn age() {
    let rule = "\"age\"\nmax_days = 1";
    let ended = |seconds| run(|record| record.finished = time(seconds));
    check(
        rule,
        &[said("builder-full", ended(100))],
        expect![[r#"
            pass on 1: run add9e30830d4 ended at 2026-11-22T19:42:40Z, 0 days ago: no more than 1
            fresh for 86400 s
        "#]],
    );
    check(
        rule,
        &[said("builder-full", ended(100 - 86_400))],
        expect![[r#"
            pass on 1: run 9fac50615c11 ended at 2026-11-21T19:42:40Z, 1 day ago: no more than 1
            fresh for 0 s
        "#]],
    );
    check(
        rule,
        &[said("builder-full", ended(99 - 86_400))],
        expect![[r#"
            fail on 1: run 2dee9470528d ended at 2026-11-21T19:42:39Z, 1 day ago: more than 1
            fix: `assay build`
        "#]],
    );
    check(
        rule,
        &[said("builder-full", ended(101))],
        expect![[r#"
            unknown on 1: run 401f46806dc5 ended at 2026-11-22T19:42:41Z by the builder's clock, and here it is 2026-11-22T19:42:40Z
            fix: set the clock that is wrong; if it was the builder's, `assay build`
            fresh for 1 s
        "#]],
    );
    check(
        rule,
        &[],
        expect![[r#"
        unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]],
    );
}
