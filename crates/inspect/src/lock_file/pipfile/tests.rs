use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::requirements;
use crate::lock_file::shown::shown;

/// Made by pipenv (`pipenv lock`), and what `pipenv requirements --dev --hash` made of it.
const LOCK: &str = include_str!("../../../fixtures/python/Pipfile.lock");
const EXPORTED: &str = include_str!("../../../fixtures/python/Pipfile.requirements.txt");

fn check(text: &str, expected: Expect) {
    match parse("Pipfile.lock", text.as_bytes()) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn reads_what_pipenv_writes() {
    check(
        LOCK,
        expect![[r#"
        17 pkg:pypi/click@8.1.7
            registry https://pypi.org/simple: - [sha256:ae74fb96], - [sha256:ca9853ad]
            groups default; marker python_version >= '3.7'
        26 pkg:pypi/colorama@0.4.6
            registry -: - [sha256:08695f5c], - [sha256:4f1d9991]
            groups default
        35 pkg:pypi/six@1.16.0
            registry https://pypi.org/simple: - [sha256:1e61c374], - [sha256:8abb2f1d]
            Dev; groups develop; marker python_version >= '2.7' and python_version != '3.0' and python_version != '3.1' and python_version != '3.2'
    "#]],
    );
    let exported = requirements::parse("r", EXPORTED.as_bytes()).expect("requirements");
    let pins = |lock: &LockFile| {
        let one =
            |one: &Locked| (one.name.clone(), one.version.clone(), one.origin.digests().copied().collect::<Vec<_>>());
        let mut pins: Vec<_> = lock.packages.iter().map(one).collect();
        pins.sort();
        pins
    };
    assert_eq!(pins(&parse("f", LOCK.as_bytes()).expect("a lock file")), pins(&exported));
}

fn with(members: &str) -> String {
    format!(
        "{{\"_meta\":{{\"pipfile-spec\":6,\"sources\":[{{\"name\":\"x\",\"url\":\"https://h.org/simple\"}}]}},\n\"default\":{{\"a\":{{{members}}}}},\n\"develop\":{{\"a\":{{{members}}}}}}}"
    )
}

#[test]
fn reads_what_comes_from_elsewhere() {
    check(
        &with(&format!("\"version\":\"==1.0\",\"index\":\"x\",\"hashes\":[\"sha256:{}\"]", "0".repeat(64))),
        expect![[r#"
            2 pkg:pypi/a@1.0?repository_url=https://h.org/simple
                registry https://h.org/simple: - [sha256:00000000]
                groups default develop
        "#]],
    );
    check(
        &with("\"git\":\"https://h.org/a.git\",\"ref\":\"main\""),
        expect![[r#"
        2 pkg:pypi/a?download_url=git%2Bhttps://h.org/a.git
            url a.git []
            groups default develop
        open Pipfile.lock:2:12: `a`: `main` of `https://h.org/a.git` is no commit, so it can move
        open Pipfile.lock:3:12: `a`: `main` of `https://h.org/a.git` is no commit, so it can move
    "#]],
    );
    check(
        &with("\"editable\":true,\"path\":\"../a\""),
        expect![[r#"
        2 pkg:pypi/a?download_url=file://./../a
            path `../a`
            groups default develop
        note Pipfile.lock:2:12: `a`: `a` is installed as editable
        open Pipfile.lock:2:12: `a`: `../a` lies outside of the project, so the source tree does not hold it
        note Pipfile.lock:3:12: `a`: `a` is installed as editable
        open Pipfile.lock:3:12: `a`: `../a` lies outside of the project, so the source tree does not hold it
    "#]],
    );
    check(
        &with("\"file\":\"https://h.org/a.zip\""),
        expect![[r#"
        2 pkg:pypi/a?download_url=https://h.org/a.zip
            url a.zip []
            groups default develop
        open Pipfile.lock:2:12: `a`: no digest pins what is fetched
        open Pipfile.lock:3:12: `a`: no digest pins what is fetched
    "#]],
    );
    check(
        &with("\"version\":\"*\""),
        expect![[r#"
        open Pipfile.lock:2:12: `a`: `*` names no single version
        open Pipfile.lock:3:12: `a`: `*` names no single version
    "#]],
    );
}

#[test]
fn refuses_what_is_malformed() {
    check("{}", expect!["Pipfile.lock:1:1: `_meta` is missing"]);
    check("{\"_meta\":{\"pipfile-spec\":5}}", expect!["Pipfile.lock:1:1: format version `5` is not read: expected 6"]);
    check(&with("\"version\":\"==1/0\",\"hashes\":[]"), expect!["Pipfile.lock:2:12: package `a`: `1/0` is no version"]);
    check(
        &with("\"version\":\"==1.0\",\"hashes\":[\"sha256:0\"]"),
        expect!["Pipfile.lock:2:12: package `a`: `0` is no digest of a package's file"],
    );
    check(&with("\"version\":1"), expect!["Pipfile.lock:2:17: `version` is a number: expected a text"]);
}

#[test]
fn survives_mutation() {
    Mutator::new(8).each(1500, LOCK.as_bytes(), |bytes| {
        let Ok(lock) = parse("f", bytes) else { return };
        for package in &lock.packages {
            assert!(!package.name.contains('/') && !package.version.contains('/'));
            assert!(package.origin.is_pinned() || lock.open().count() > 0);
        }
    });
}
