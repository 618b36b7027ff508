use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::requirements;
use crate::lock_file::shown::shown;

/// Made by Poetry 2.5.1 and 1.4.2; the git address and, in the first, the index (poetry's default has no `source`)
/// were changed afterwards.
const LOCK: &str = include_str!("../../../fixtures/python/poetry-2.1.lock");
const LOCK_OLD: &str = include_str!("../../../fixtures/python/poetry-2.0.lock");

/// What `poetry export --all-extras --with dev` of Poetry 2.5.1 made of the first.
const EXPORTED: &str = include_str!("../../../fixtures/python/poetry-2.1.requirements.txt");

fn check(text: &str, expected: Expect) {
    match parse("poetry.lock", text.as_bytes()) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn reads_lock_version_2_1() {
    check(
        LOCK,
        expect![[r#"
        3 pkg:pypi/click@8.1.7
            registry -: click-8.1.7-py3-none-any.whl [sha256:ae74fb96], click-8.1.7.tar.gz [sha256:ca9853ad]
            needs colorama@0.4.6 if platform_system == "Windows"
            groups main; language >=3.7
        18 pkg:pypi/colorama@0.4.6
            registry -: colorama-0.4.6-py2.py3-none-any.whl [sha256:4f1d9991], colorama-0.4.6.tar.gz [sha256:08695f5c]
            groups main; marker platform_system == "Windows"; language !=3.0.*,!=3.1.*,!=3.2.*,!=3.3.*,!=3.4.*,!=3.5.*,!=3.6.*,>=2.7
        31 pkg:pypi/gitpy@0.3.0?vcs_url=git%2Bssh://git%40git.example.org/demo/gitpy.git%40d2bde5cf2c8a11fc2947ab9501094106fc920497
            git ssh://git@git.example.org/demo/gitpy.git Rev("HEAD") d2bde5c
            groups main
        47 pkg:pypi/greet@0.2.0?download_url=file://./packages/greet
            path `packages/greet`
            needs six@1.16.0
            groups main; language >=3.9
        64 pkg:pypi/idna@3.10?download_url=https://files.pythonhosted.org/packages/76/c6/c88e154df9c4e1a2a66ccf0005a88dfb2650c1dffb6f5ce603dfbd452ce3/idna-3.10-py3-none-any.whl
            url idna-3.10-py3-none-any.whl [sha256:946d195a]
            groups main; language >=3.6
        82 pkg:pypi/iniconfig@2.0.0
            registry -: iniconfig-2.0.0-py3-none-any.whl [sha256:b6a85871], iniconfig-2.0.0.tar.gz [sha256:2d91e135]
            Optional; groups main; marker extra == "extra"; language >=3.7
        95 pkg:pypi/six@1.16.0
            registry -: six-1.16.0-py2.py3-none-any.whl [sha256:8abb2f1d], six-1.16.0.tar.gz [sha256:1e61c374]
            groups main; language >=2.7, !=3.0.*, !=3.1.*, !=3.2.*
        107 pkg:pypi/typing-extensions@4.12.2
            registry -: typing_extensions-4.12.2-py3-none-any.whl [sha256:04e5ca03], typing_extensions-4.12.2.tar.gz [sha256:1a7ead55]
            Dev; groups dev; language >=3.8
    "#]],
    );
}

#[test]
fn agrees_with_what_poetry_exports() {
    let pins = |lock: &LockFile| -> BTreeMap<String, BTreeSet<String>> {
        let digests = |one: &Locked| one.origin.digests().map(ToString::to_string).collect();
        lock.fetched().map(|one| (normalized(&one.name), digests(one))).collect()
    };
    let exported = pins(&requirements::parse("r", EXPORTED.as_bytes()).expect("requirements"));
    assert_eq!(exported.len(), 7);
    assert_eq!(pins(&parse("f", LOCK.as_bytes()).expect("2.1")), exported);
    assert_eq!(pins(&parse("f", LOCK_OLD.as_bytes()).expect("2.0")), exported);
}

#[test]
fn reads_version_1() {
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let shared = format!(
        r#"
[[package]]
name = "A.b"
version = "1.0"
category = "main"
optional = false
python-versions = "*"

[[package]]
name = "A.b"
version = "2.0"
category = "dev"
optional = false
python-versions = ">=3"

[package.dependencies]
c = {{version = "*", markers = "os_name == 'nt'"}}
"A.b" = [{{version = "1.0"}}, {{version = "2.0"}}]

[metadata]
lock-version = "1.1"
content-hash = "x"

[metadata.files]
"a.b" = [
    {{file = "A_b-1.0-py3-none-any.whl", hash = "{}"}},
    {{file = "A.b-2.0.tar.gz", hash = "{}"}},
]
"#,
        digest("a"),
        digest("b")
    );
    check(
        &shared,
        expect![[r#"
        2 pkg:pypi/a-b@1.0
            registry -: A_b-1.0-py3-none-any.whl [sha256:aaaaaaaa]
            groups main
        9 pkg:pypi/a-b@2.0
            registry -: A.b-2.0.tar.gz [sha256:bbbbbbbb]
            needs A.b@1.0, A.b@2.0
            Dev; groups dev; language >=3
    "#]],
    );
    let bare = shared.replace("[metadata.files]", "[metadata.hashes]").replace("1.1", "1.0");
    let from = bare.find("\"a.b\" = [").expect("there");
    check(
        &format!("{}\"a.b\" = [\"{}\"]", &bare[..from], "c".repeat(64)),
        expect![[r#"
        2 pkg:pypi/a-b@1.0
            registry -: - [sha256:cccccccc]
            groups main
        9 pkg:pypi/a-b@2.0
            registry -: - [sha256:cccccccc]
            needs A.b@1.0, A.b@2.0
            Dev; groups dev; language >=3
    "#]],
    );
}

fn with(lines: &str) -> String {
    format!("[metadata]\nlock-version = \"2.1\"\n[[package]]\nname = \"a\"\nversion = \"1.0\"\n{lines}")
}

#[test]
fn finds_what_does_not_pin() {
    check(
        &with("files = []"),
        expect![[r#"
            3 pkg:pypi/a@1.0
                registry -: - []
            open poetry.lock:3:1: `a`: no digest pins what is fetched
        "#]],
    );
    check(
        &with(
            "markers = {main = \"x\", dev = \"y\"}\ngroups = [\"dev\"]\noptional = true\nfiles = [{file = \"a-1.0.zip\", hash = \"md5:00\"}]",
        ),
        expect![[r#"
            3 pkg:pypi/a@1.0
                registry -: a-1.0.zip []
                DevAndOptional; groups dev; marker (x) or (y)
            open poetry.lock:3:1: `a`: only a digest by MD5 stands for what is fetched, and those can be forged
        "#]],
    );
    check(
        &with("[package.source]\ntype = \"git\"\nurl = \"https://h.org/a\"\nresolved_reference = \"main\""),
        expect![[r#"
            3 pkg:pypi/a@1.0?download_url=git%2Bhttps://h.org/a
                url a []
            open poetry.lock:3:1: `a`: `main` of `https://h.org/a` is no commit, so it can move
        "#]],
    );
    check(
        &with("[package.source]\ntype = \"file\"\nurl = \"/srv/a.whl\""),
        expect![[r#"
        3 pkg:pypi/a@1.0?download_url=file://.//srv/a.whl
            path `/srv/a.whl`
        open poetry.lock:3:1: `a`: `/srv/a.whl` lies outside of the project, so the source tree does not hold it
    "#]],
    );
}

#[test]
fn refuses_what_is_malformed() {
    check("", expect!["poetry.lock:1:1: `metadata` is missing"]);
    check(
        "[metadata]\nlock-version = \"3.0\"",
        expect!["poetry.lock:1:1: format version `3.0` is not read: expected 1 and 2"],
    );
    check(
        &with("[package.source]\ntype = \"svn\"\nurl = \"https://h.org/a\""),
        expect![
            "poetry.lock:3:1: package `a`: `svn` says no origin: expected `legacy`, `git`, `url`, `file` or `directory`"
        ],
    );
    check(
        &with("files = [{file = \"a-1.0.zip\", hash = \"sha256:xx\"}]"),
        expect!["poetry.lock:6:10: package `a`: `xx` is no digest of a package's file"],
    );
    check(&with("").replace("\"a\"", "\"-a\""), expect!["poetry.lock:3:1: package `-a`: the name is no package name"]);
}

#[test]
fn survives_mutation() {
    for (seed, text) in [(5, LOCK), (6, LOCK_OLD)] {
        Mutator::new(seed).each(1000, text.as_bytes(), |bytes| {
            let Ok(lock) = parse("f", bytes) else { return };
            for package in &lock.packages {
                assert!(!package.name.contains('/') && !package.version.contains('/'));
                assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
                assert!(package.origin.is_pinned() || lock.open().count() > 0);
            }
        });
    }
}
