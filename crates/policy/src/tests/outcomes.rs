//! Rules about what came after the build: rebuilt, tests, references. // M2.6 M3.4

use attest::sample;
use expect_test::expect;

use super::rules::{check, check_evidence};
use super::{Said, earlier_run, greeter, live, open, rebuilt, recipe, run, said, scene, test};
use crate::evidence::{Evidence, Live};

#[test]
fn rebuilt_times() {
    let rule = "\"rebuilt\"\ntimes = 2";
    let equal = || rebuilt(|_| ());
    let unequal = || {
        rebuilt(|rebuilt| {
            rebuilt.equal = false;
            rebuilt.differences =
                vec![("greeter".to_owned(), vec![sample::digest("greeter"), sample::digest("other greeter")])];
        })
    };
    check(
        rule,
        &[said("builder-full", equal())],
        expect![[r#"
            pass on 1: rebuilt 9cc7de875075 compared 2 builds of greeter (4b249b519fef) and they are equal
        "#]],
    );
    check(
        rule,
        &[said("builder-full", unequal())],
        expect![[r#"
            fail on 1: rebuilt 3c674654bd95 compared 2 builds and they differ in `greeter`
            fix: `assay diff` the two outputs, remove the cause, then `assay build --again`
        "#]],
    );
    // A later no beats an earlier yes; a later yes of the same signer beats an earlier no; of another it does not.
    check(
        rule,
        &[said("builder-full", equal()), said("builder-full", unequal())],
        expect![[r#"
            fail on 1: rebuilt 3c674654bd95 compared 2 builds and they differ in `greeter`
            fix: `assay diff` the two outputs, remove the cause, then `assay build --again`
        "#]],
    );
    check(
        rule,
        &[said("builder-full", unequal()), said("builder-full", equal())],
        expect![[r#"
            pass on 1: rebuilt 9cc7de875075 compared 2 builds of greeter (4b249b519fef) and they are equal
        "#]],
    );
    check(
        rule,
        &[said("builder-full", unequal()), said("builder-no-proc", equal())],
        expect![[r#"
            fail on 2: rebuilt 3c674654bd95 compared 2 builds and they differ in `greeter`
            fix: `assay diff` the two outputs, remove the cause, then `assay build --again`
        "#]],
    );
    check(
        "\"rebuilt\"\ntimes = 3",
        &[said("builder-full", equal())],
        expect![[r#"
            fail on 1: rebuilt 9cc7de875075 compared 2 builds, 3 are asked for
            fix: `assay build --again`
        "#]],
    );
    let twice_the_same = rebuilt(|rebuilt| rebuilt.runs[1] = rebuilt.runs[0]);
    check(
        rule,
        &[said("builder-full", twice_the_same)],
        expect![[r#"
            fail on 1: rebuilt e2f6aeb31e75 compared 1 builds, 2 are asked for
            fix: `assay build --again`
        "#]],
    );
    check(
        rule,
        &[said("tester", equal())],
        expect![[r#"
        unknown on 0: no comparison with a second build of greeter (4b249b519fef) was found (rebuilt signed by `tester` does not count: role `builder` is needed)
        fix: `assay build --again`
    "#]],
    );
}

#[test]
fn tests_passed() {
    let rule = "\"tests-passed\"\nsuites = [\"unit\"]";
    let failing = || {
        test(|test| {
            test.failed = vec!["greets".to_owned()];
            test.unstable = vec!["parses".to_owned()];
            test.passed = vec!["starts".to_owned()];
        })
    };
    check(
        rule,
        &[said("tester", test(|_| ()))],
        expect![[r#"
        pass on 1: 2 cases of `unit` passed for greeter (4b249b519fef); nothing is live yet, so none can have vanished
    "#]],
    );
    check(
        rule,
        &[said("tester", failing())],
        expect![[r#"
        fail on 1: test 8b66fa30c299 says that suite `unit` did not pass: `greets` failed, `parses` passed one time and failed another
        fix: `assay test` shows the output of each case; repair it, then `assay build` and `assay test`
    "#]],
    );
    check(
        rule,
        &[said("tester", test(|test| test.passed.clear()))],
        expect![[r#"
        fail on 1: test b5edd9b3b982 says that suite `unit` did not pass: it has no case
        fix: `assay test` shows the output of each case; repair it, then `assay build` and `assay test`
    "#]],
    );
    check(
        rule,
        &[said("tester", test(|test| test.suite = "pipeline".to_owned()))],
        expect![[r#"
        unknown on 0: no outcome of suite `unit` for greeter (4b249b519fef) was found
        fix: `assay test`
    "#]],
    );
    check(
        rule,
        &[said("tester", failing()), said("tester", test(|_| ()))],
        expect![[r#"
        pass on 1: 2 cases of `unit` passed for greeter (4b249b519fef); nothing is live yet, so none can have vanished
    "#]],
    );
    check(
        rule,
        &[said("tester", test(|_| ())), said("tester", failing())],
        expect![[r#"
        fail on 1: test 8b66fa30c299 says that suite `unit` did not pass: `greets` failed, `parses` passed one time and failed another
        fix: `assay test` shows the output of each case; repair it, then `assay build` and `assay test`
    "#]],
    );
    check(
        rule,
        &[said("tester", failing()), said("second-tester", test(|_| ()))],
        expect![[r#"
        fail on 2: test 8b66fa30c299 says that suite `unit` did not pass: `greets` failed, `parses` passed one time and failed another
        fix: `assay test` shows the output of each case; repair it, then `assay build` and `assay test`
    "#]],
    );
    check(
        rule,
        &[said("builder-full", test(|_| ()))],
        expect![[r#"
        unknown on 0: no outcome of suite `unit` for greeter (4b249b519fef) was found (test signed by `builder-full` does not count: role `tester` is needed)
        fix: `assay test`
    "#]],
    );
    let two = "\"tests-passed\"\nsuites = [\"unit\", \"pipeline\"]";
    check(
        two,
        &[said("tester", test(|_| ()))],
        expect![[r#"
        unknown on 1: no outcome of suite `pipeline` for greeter (4b249b519fef) was found
        fix: `assay test`
    "#]],
    );
    let other = test(|test| test.subjects = vec![("greeter".to_owned(), sample::digest("other greeter"))]);
    check(
        rule,
        &[said("tester", other)],
        expect![[r#"
        unknown on 0: no outcome of suite `unit` for greeter (4b249b519fef) was found
        fix: `assay test`
    "#]],
    );
}

#[test]
fn none_vanished() {
    let deployed = |live: bool| {
        let mut deployment = sample::deployment();
        deployment.artifact.1 = sample::digest("live greeter");
        deployment.live = live;
        attest::deployment(&deployment)
    };
    let before = |passed: &[&str]| {
        test(|test| {
            test.subjects = vec![("greeter".to_owned(), sample::digest("live greeter"))];
            test.passed = passed.iter().map(|&name| name.to_owned()).collect();
        })
    };
    let check_live = |said_live: &[Said], expected| {
        let mut scene = scene();
        let live = Some(live(&mut scene, said_live));
        let attestations = open(&mut scene, &[said("tester", test(|_| ()))]);
        let evidence = Evidence { subject: greeter(), attestations, live, refused: Vec::new() };
        check_evidence("\"tests-passed\"\nsuites = [\"unit\"]", &evidence, expected);
    };
    check_live(
        &[said("deployer", deployed(true)), said("tester", before(&["greets"]))],
        expect![[r#"
        pass on 3: 2 cases of `unit` passed for greeter (4b249b519fef); none vanished that passed for what is live (16009e4e1b74)
    "#]],
    );
    let more = before(&["greets", "shouts", "whispers"]);
    check_live(
        &[said("deployer", deployed(true)), said("tester", more)],
        expect![[r#"
        fail on 3: of suite `unit`, 2 cases passed for what is live (16009e4e1b74) and not here: `shouts`, `whispers`
        fix: bring the missing cases back, then `assay build` and `assay test`
    "#]],
    );
    check_live(
        &[said("deployer", deployed(true))],
        expect![[r#"
        unknown on 2: 16009e4e1b74 is live, and no outcome of suite `unit` for it was found
        fix: `assay test sha256:16009e4e1b744e9816f8267364c6c868643d8be07f8979bfc63ab95dd5fca8c9`
    "#]],
    );
    check_live(
        &[said("deployer", deployed(false)), said("tester", before(&["shouts"]))],
        expect![[r#"
            unknown on 2: deployment 73d36c833e25 is not a live deployment by a deployer, so what is live is not known
            fix: `assay deploy` again
        "#]],
    );
    check_live(
        &[said("builder-full", deployed(true)), said("tester", before(&["greets"]))],
        expect![[r#"
            unknown on 2: deployment 4556e4fd6a35 is not a live deployment by a deployer, so what is live is not known
            fix: `assay deploy` again
        "#]],
    );
    check_live(
        &[said("deployer", deployed(true)), said("deployer", before(&["shouts"]))],
        expect![[r#"
        unknown on 2: 16009e4e1b74 is live, and no outcome of suite `unit` for it was found
        fix: `assay test sha256:16009e4e1b744e9816f8267364c6c868643d8be07f8979bfc63ab95dd5fca8c9`
    "#]],
    );
    check_live(
        &[said("deployer", deployed(true)), said("tester", test(|_| ()))],
        expect![[r#"
        unknown on 2: 16009e4e1b74 is live, and no outcome of suite `unit` for it was found
        fix: `assay test sha256:16009e4e1b744e9816f8267364c6c868643d8be07f8979bfc63ab95dd5fca8c9`
    "#]],
    );

    let mut scene = scene();
    let gone = [said("deployer", deployed(true)), said("tester", before(&["shouts"]))];
    let live: Option<Live> = Some(live(&mut scene, &gone));
    let attestations = open(&mut scene, &[said("tester", test(|_| ()))]);
    let evidence = Evidence { subject: greeter(), attestations, live, refused: Vec::new() };
    check_evidence(
        "\"tests-passed\"\nsuites = [\"unit\"]\nnone_vanished = false",
        &evidence,
        expect![[r#"
        pass on 1: 2 cases of `unit` passed for greeter (4b249b519fef)
    "#]],
    );
}

#[test]
fn reference_digest() {
    let rule = "\"reference-digest\"";
    let alone = [said("builder-full", recipe()), said("builder-full", run(|_| ()))];
    let with = |more: &[Said]| [&alone, more].concat();
    let reference = |text: &str, commit: Option<&str>| {
        let mut reference = sample::reference();
        reference.digest = sample::digest(text);
        reference.commit = commit.map(str::to_owned);
        attest::reference(&reference)
    };
    check(
        rule,
        &alone,
        expect![[r#"
        unknown on 2: no earlier build and no reference record of greeter (4b249b519fef) was found
        fix: `assay build --again`, or `assay reference add`
    "#]],
    );
    check(
        "\"reference-digest\"\nrequired = false",
        &alone,
        expect![[r#"
        pass on 2: no earlier build and no reference record of greeter (4b249b519fef) was found, and none is required
    "#]],
    );
    check(
        "\"reference-digest\"\nrequired = false",
        &[],
        expect![[r#"
        unknown on 0: no run statement about greeter (4b249b519fef) was found
        fix: `assay build`
    "#]],
    );
    check(
        rule,
        &[said("builder-full", run(|_| ()))],
        expect![[r#"
            unknown on 1: the recipe that run d1bcea4bfb04 names was not found
            fix: `assay build`, or `assay pull` the artifact with all its statements
        "#]],
    );
    check(
        rule,
        &with(&[said("builder-full", earlier_run())]),
        expect![[r#"
            pass on 3: run d1bcea4bfb04 agrees with greeter (4b249b519fef)
        "#]],
    );
    check(
        rule,
        &with(&[said("admin", reference("greeter", None))]),
        expect![[r#"
        pass on 3: reference be5be05a1b75 agrees with greeter (4b249b519fef)
    "#]],
    );
    check(
        rule,
        &with(&[said("admin", reference("other", None))]),
        expect![[r#"
        fail on 3: reference f14eac5a76fa says greeter (4b249b519fef) should be d9298a10d1b0, as https://example.org/greeter/SHA256SUMS has it
        fix: find out which of the two is right; `assay reference add` records the right one
    "#]],
    );
    check(
        rule,
        &with(&[said("admin", reference("other", Some(sample::COMMIT)))]),
        expect![[r#"
        fail on 3: reference 9f29d3e43eb8 says greeter (4b249b519fef) should be d9298a10d1b0, as https://example.org/greeter/SHA256SUMS has it
        fix: find out which of the two is right; `assay reference add` records the right one
    "#]],
    );
    check(
        rule,
        &with(&[said("admin", reference("other", Some("0000")))]),
        expect![[r#"
        unknown on 2: no earlier build and no reference record of greeter (4b249b519fef) was found
        fix: `assay build --again`, or `assay reference add`
    "#]],
    );
    check(
        rule,
        &with(&[said("tester", reference("other", None))]),
        expect![[r#"
        unknown on 2: no earlier build and no reference record of greeter (4b249b519fef) was found
        fix: `assay build --again`, or `assay reference add`
    "#]],
    );
    let both = [said("admin", reference("other", None)), said("admin", reference("greeter", None))];
    check(
        rule,
        &with(&both),
        expect![[r#"
        pass on 3: reference be5be05a1b75 agrees with greeter (4b249b519fef)
    "#]],
    );

    // The same inputs, other bytes.
    let mut other = sample::recipe();
    other.outputs[0].digest = sample::digest("other greeter");
    let other_recipe = attest::recipe(&other);
    check(
        rule,
        &with(&[said("builder-full", other_recipe.clone())]),
        expect![[r#"
            fail on 3: recipe 2002489574a8 is of the same build and made 98c77f4dcae8 where this is 4b249b519fef
            fix: `assay diff` the two, remove the cause, then `assay build --again`
        "#]],
    );
    check(
        rule,
        &with(&[said("tester", other_recipe)]),
        expect![[r#"
        unknown on 2: no earlier build and no reference record of greeter (4b249b519fef) was found
        fix: `assay build --again`, or `assay reference add`
    "#]],
    );
    other.plan = sample::digest("another plan");
    check(
        rule,
        &with(&[said("builder-full", attest::recipe(&other))]),
        expect![[r#"
        unknown on 2: no earlier build and no reference record of greeter (4b249b519fef) was found
        fix: `assay build --again`, or `assay reference add`
    "#]],
    );
}
