use expect_test::{Expect, expect};

use super::*;
use crate::testing::fuzz;

const STDERR: &str = "   Compiling greeter v0.1.0 (/build)
    Finished `release` profile [optimized] target(s) in 0.52s
     Running unittests src/lib.rs (target/release/deps/greeter-2a87b8a9a0f4f8d1)
     Running unittests src/main.rs (target/release/deps/greeter-9f86d081884c7d65)
     Running tests/api.rs (target/release/deps/api-60303ae22b998861)
   Doc-tests greeter
";

const STDOUT: &str = "
running 3 tests
test tests::greets ... ok
test tests::refuses - should panic ... ok
test tests::slow ... ignored, takes an hour

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 1 test
test answers ... FAILED

failures:

---- answers stdout ----
test nothing ... ok but this is output of the test

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s


running 1 test
test src/lib.rs - greet (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s
";

fn report(stdout: &str, stderr: &str, exit: i32) -> Report {
    read(TestFormat::Cargo, &Output { stdout: stdout.as_bytes(), stderr: stderr.as_bytes(), exit: Some(exit) })
}

fn check(report: &Report, expected: Expect) {
    let lines: Vec<String> =
        report.cases.iter().map(|(name, passed)| format!("{} {name}", if *passed { "ok  " } else { "FAIL" })).collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn cases_are_named_by_their_binary() {
    let stdout = STDOUT.replace("test nothing ... ok but this is output of the test\n", "");
    check(
        &report(&stdout, STDERR, 101),
        expect![[r#"
            FAIL api tests/api.rs: answers
            ok   greeter documentation: src/lib.rs - greet (line 3)
            ok   greeter src/lib.rs: tests::greets
            ok   greeter src/lib.rs: tests::refuses"#]],
    );
}

#[test]
fn output_that_looks_like_a_case_is_noticed() {
    check(
        &report(STDOUT, STDERR, 101),
        expect![[r#"
            FAIL api tests/api.rs: (unreadable output)
            FAIL api tests/api.rs: answers
            ok   api tests/api.rs: nothing
            ok   greeter documentation: src/lib.rs - greet (line 3)
            ok   greeter src/lib.rs: tests::greets
            ok   greeter src/lib.rs: tests::refuses"#]],
    );
}

#[test]
fn a_binary_that_crashes_has_failed() {
    let stdout = "running 2 tests\ntest a ... ok\n";
    let stderr = "     Running unittests src/main.rs (target/debug/deps/x-2a87b8a9a0f4f8d1)\nerror: test failed\n";
    check(
        &report(stdout, stderr, 101),
        expect![[r#"
        FAIL x src/main.rs: (ended early)
        ok   x src/main.rs: a"#]],
    );
}

#[test]
fn what_the_cases_do_not_explain_is_a_failure() {
    check(&report("", "error: could not compile", 101), expect!["FAIL (exit code)"]);
    check(&report("", "", 0), expect![""]);
    let killed = Output { stdout: b"", stderr: b"", exit: None };
    check(&read(TestFormat::Cargo, &killed), expect!["FAIL (exit code)"]);
    check(&read(TestFormat::Exit, &Output { exit: Some(0), ..killed }), expect!["ok   (exit code)"]);
}

#[test]
fn binaries_without_a_harness_leave_the_others_numbered() {
    let stderr = format!("     Running benches/own.rs (target/release/deps/own-2a87b8a9a0f4f8d1)\n{STDERR}");
    let stdout = "running 1 test\ntest a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored;\n";
    check(&report(stdout, &stderr, 0), expect!["ok   binary 1: a"]);
}

#[test]
fn outcomes_that_differ_are_unstable() {
    let good = report(
        "running 2 tests\ntest a ... ok\ntest b ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored\n",
        "",
        0,
    );
    let flaky = report(
        "running 2 tests\ntest a ... ok\ntest b ... FAILED\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\n",
        "",
        101,
    );
    let gone = report("running 1 test\ntest a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored\n", "", 0);
    let finished = Timestamp::from_unix_s(1_795_376_460).expect("in range");
    let run = |reports: &[Report]| outcome("unit", Vec::new(), Digest::of(b"plan"), reports, finished);
    let twice = run(&[good.clone(), good.clone()]);
    assert_eq!((twice.passed.len(), twice.passed()), (2, true));
    for second in [&flaky, &gone] {
        let run = run(&[good.clone(), second.clone()]);
        assert_eq!(run.unstable, ["binary 1: b"]);
        assert!(!run.passed());
    }
    assert_eq!(run(&[flaky.clone(), flaky]).failed, ["binary 1: b"]);
    assert!(!run(&[]).passed(), "no case is no pass");
}

#[test]
fn mutations_never_panic() {
    fuzz(STDOUT.as_bytes(), |bytes| {
        drop(read(TestFormat::Cargo, &Output { stdout: bytes, stderr: STDERR.as_bytes(), exit: Some(0) }));
    });
    fuzz(STDERR.as_bytes(), |bytes| {
        drop(read(TestFormat::Cargo, &Output { stdout: STDOUT.as_bytes(), stderr: bytes, exit: Some(0) }));
    });
}
