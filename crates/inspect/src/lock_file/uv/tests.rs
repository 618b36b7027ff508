use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::shown::shown;
use crate::lock_file::{pylock, requirements};

/// Made by uv 0.13.9 (`uv lock`) of a project with a member, git, an address, an extra and a group; the address of
/// the git repository was changed afterwards.
const LOCK: &str = include_str!("../../../fixtures/python/uv.lock");

/// What `uv export --all-extras --no-emit-workspace` of the same uv made of it, in two formats.
const REQUIREMENTS: &str = include_str!("../../../fixtures/python/requirements.txt");
const PYLOCK: &str = include_str!("../../../fixtures/python/pylock.toml");

fn check(text: &str, expected: Expect) {
    match parse("uv.lock", text.as_bytes()) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn reads_every_kind_of_package() {
    check(
        LOCK,
        expect![[r#"
        11 pkg:pypi/click@8.1.7
            registry https://pypi.org/simple: click-8.1.7.tar.gz 336121 [sha256:ca9853ad], click-8.1.7-py3-none-any.whl 97941 [sha256:ae74fb96]
            needs colorama@0.4.6 if sys_platform == 'win32'
        23 pkg:pypi/colorama@0.4.6
            registry https://pypi.org/simple: colorama-0.4.6.tar.gz 27697 [sha256:08695f5c], colorama-0.4.6-py2.py3-none-any.whl 25335 [sha256:4f1d9991]
        32 pkg:pypi/demo@1.0.0?download_url=file://.
            workspace ``
            needs click@8.1.7, gitpy@0.3.0, greet@0.2.0, idna@3.10, iniconfig@2.0.0 if extra extra, typing-extensions@4.12.2 if group dev
        66 pkg:pypi/gitpy@0.3.0?vcs_url=git%2Bssh://git%40git.example.org/demo/gitpy.git%40d2bde5cf2c8a11fc2947ab9501094106fc920497
            git ssh://git@git.example.org/demo/gitpy.git Branch("master") d2bde5c
        71 pkg:pypi/greet@0.2.0?download_url=file://./packages/greet
            workspace `packages/greet`
            needs six@1.16.0
        82 pkg:pypi/idna@3.10?download_url=https://files.pythonhosted.org/packages/76/c6/c88e154df9c4e1a2a66ccf0005a88dfb2650c1dffb6f5ce603dfbd452ce3/idna-3.10-py3-none-any.whl
            url idna-3.10-py3-none-any.whl [sha256:946d195a]
        99 pkg:pypi/iniconfig@2.0.0
            registry https://pypi.org/simple: iniconfig-2.0.0.tar.gz 4646 [sha256:2d91e135], iniconfig-2.0.0-py3-none-any.whl 5892 [sha256:b6a85871]
        108 pkg:pypi/six@1.16.0
            registry https://pypi.org/simple: six-1.16.0.tar.gz 34041 [sha256:1e61c374], six-1.16.0-py2.py3-none-any.whl 11053 [sha256:8abb2f1d]
        117 pkg:pypi/typing-extensions@4.12.2
            registry https://pypi.org/simple: typing_extensions-4.12.2.tar.gz 85321 [sha256:1a7ead55], typing_extensions-4.12.2-py3-none-any.whl 37438 [sha256:04e5ca03]
    "#]],
    );
}

/// Each fetched package with its version and digests.
fn pins(lock: &LockFile) -> BTreeMap<String, BTreeSet<String>> {
    let one = |package: &super::super::Locked| {
        let mut pins: BTreeSet<String> = package.origin.digests().map(ToString::to_string).collect();
        if let Origin::Git { url, commit, .. } = &package.origin {
            pins.insert(format!("{url} {commit}"));
        }
        (normalized(&package.name), pins)
    };
    lock.fetched().map(one).collect()
}

#[test]
fn agrees_with_what_uv_exports() {
    let lock = pins(&parse("uv.lock", LOCK.as_bytes()).expect("uv.lock"));
    assert_eq!(lock.len(), 7);
    assert_eq!(lock, pins(&requirements::parse("r", REQUIREMENTS.as_bytes()).expect("requirements")));
    assert_eq!(lock, pins(&pylock::parse("p", PYLOCK.as_bytes()).expect("pylock.toml")));
}

/// A lock file with one package, whose lines are given.
fn with(lines: &str) -> String {
    format!("version = 1\n[[package]]\nname = \"a\"\nversion = \"1.0\"\n{lines}")
}

#[test]
fn finds_what_does_not_pin() {
    check(
        &with(
            "source = { registry = \"http://pypi.example.org/simple\" }\nwheels = [{ url = \"https://h.org/a-1.0-py3-none-any.whl\" }]",
        ),
        expect![[r#"
            2 pkg:pypi/a@1.0?repository_url=http://pypi.example.org/simple
                registry http://pypi.example.org/simple: a-1.0-py3-none-any.whl []
            note uv.lock:2:1: `a`: `http://pypi.example.org/simple` is fetched without TLS
            open uv.lock:2:1: `a`: no digest pins what is fetched
        "#]],
    );
    check(
        &with("source = { git = \"https://h.org/a?tag=v1\" }"),
        expect![[r#"
            2 pkg:pypi/a@1.0?download_url=git%2Bhttps://h.org/a
                url a []
            open uv.lock:2:1: `a`: `v1` of `https://h.org/a` is no commit, so it can move
        "#]],
    );
    check(
        &with("source = { url = \"https://u:p@h.org/a.zip\" }"),
        expect![[r#"
        2 pkg:pypi/a@1.0?download_url=https://h.org/a.zip
            url a.zip []
        note uv.lock:2:1: `a`: the address at `h.org` holds a password
        open uv.lock:2:1: `a`: no digest pins what is fetched
    "#]],
    );
    check(
        &with("source = { directory = \"../a\" }"),
        expect![[r#"
        2 pkg:pypi/a@1.0?download_url=file://./../a
            path `../a`
        open uv.lock:2:1: `a`: `../a` lies outside of the project, so the source tree does not hold it
    "#]],
    );
    check(
        &with(
            "source = { registry = \"../wheels\" }\nwheels = [{ path = \"a-1.0-py3-none-any.whl\", hash = \"md5:00\" }]",
        ),
        expect![[r#"
            2 pkg:pypi/a@1.0?repository_url=../wheels
                registry ../wheels: a-1.0-py3-none-any.whl []
            open uv.lock:2:1: `a`: `../wheels` lies outside of the project, so the source tree does not hold it
            open uv.lock:2:1: `a`: only a digest by MD5 stands for what is fetched, and those can be forged
        "#]],
    );
}

#[test]
fn refuses_what_is_malformed() {
    check("", expect!["uv.lock:1:1: `version` is missing"]);
    check("version = 2", expect!["uv.lock:1:11: format version `2` is not read: expected 1"]);
    check(&with(""), expect!["uv.lock:2:1: `source` is missing"]);
    check(
        &with("source = { svn = \"x\" }"),
        expect![
            "uv.lock:5:10: package `a`: `svn` says no origin: expected `registry`, `git`, `url`, `path`, `directory`, `editable` or `virtual`"
        ],
    );
    check(
        &with("source = { virtual = \".\" }\ndependencies = [{ name = \"b\" }]"),
        expect!["uv.lock:6:17: package `a`: dependency `b` names no single package of the lock file"],
    );
    check(
        &with("source = { virtual = \".\" }").replace("\"a\"", "\"../a\""),
        expect!["uv.lock:2:1: package `../a`: the name is no package name"],
    );
    check(
        &with("source = { virtual = \".\" }").replace("1.0", "1/0"),
        expect!["uv.lock:2:1: package `a`: `1/0` is no version"],
    );
    check(
        &with("source = { url = \"https://h.org/a\" }\nsdist = { hash = \"sha256:12\" }"),
        expect!["uv.lock:6:9: package `a`: `12` is no digest of a package's file"],
    );
    check(
        &with("source = { url = \"no address\" }"),
        expect!["uv.lock:2:1: package `a`: `no address` says no origin: expected an address `scheme://host/…`"],
    );
}

#[test]
fn survives_mutation() {
    Mutator::new(3).each(1500, LOCK.as_bytes(), |bytes| {
        let Ok(lock) = parse("f", bytes) else { return };
        for package in &lock.packages {
            assert!(!package.name.contains('/') && !package.version.contains('/'));
            assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
            assert!(package.origin.is_pinned() || lock.open().count() > 0);
        }
    });
}
