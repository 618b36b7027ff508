use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::shown::shown;

/// Made by uv 0.13.9; what it pins is held against `uv.lock` in the tests of that module.
const LOCK: &str = include_str!("../../../fixtures/python/pylock.toml");

fn check(text: &str, expected: Expect) {
    match parse("pylock.toml", text.as_bytes()) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn reads_every_kind_of_package() {
    check(
        LOCK,
        expect![[r#"
        7 pkg:pypi/click@8.1.7
            registry https://pypi.org/simple: click-8.1.7.tar.gz 336121 [sha256:ca9853ad], click-8.1.7-py3-none-any.whl 97941 [sha256:ae74fb96]
        14 pkg:pypi/colorama@0.4.6
            registry https://pypi.org/simple: colorama-0.4.6.tar.gz 27697 [sha256:08695f5c], colorama-0.4.6-py2.py3-none-any.whl 25335 [sha256:4f1d9991]
            marker sys_platform == 'win32'
        22 pkg:pypi/gitpy@0.3.0?vcs_url=git%2Bssh://git%40git.example.org/demo/gitpy.git%40d2bde5cf2c8a11fc2947ab9501094106fc920497
            git ssh://git@git.example.org/demo/gitpy.git Rev("master") d2bde5c
        27 pkg:pypi/idna@3.10?download_url=https://files.pythonhosted.org/packages/76/c6/c88e154df9c4e1a2a66ccf0005a88dfb2650c1dffb6f5ce603dfbd452ce3/idna-3.10-py3-none-any.whl
            url idna-3.10-py3-none-any.whl [sha256:946d195a]
        32 pkg:pypi/iniconfig@2.0.0
            registry https://pypi.org/simple: iniconfig-2.0.0.tar.gz 4646 [sha256:2d91e135], iniconfig-2.0.0-py3-none-any.whl 5892 [sha256:b6a85871]
        39 pkg:pypi/six@1.16.0
            registry https://pypi.org/simple: six-1.16.0.tar.gz 34041 [sha256:1e61c374], six-1.16.0-py2.py3-none-any.whl 11053 [sha256:8abb2f1d]
        46 pkg:pypi/typing-extensions@4.12.2
            registry https://pypi.org/simple: typing_extensions-4.12.2.tar.gz 85321 [sha256:1a7ead55], typing_extensions-4.12.2-py3-none-any.whl 37438 [sha256:04e5ca03]
    "#]],
    );
}

fn with(lines: &str) -> String {
    format!("lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nversion = \"1.0\"\n{lines}")
}

#[test]
fn reads_what_uv_does_not_write() {
    check(
        &with(
            "dependencies = [{name = \"b\"}]\nwheels = [{name = \"a-1.0-py3-none-any.whl\", path = \"wheels/a.whl\", hashes = {md5 = \"00\", sha512 = \"x\"}}]\n[[packages]]\nname=\"b\"\ndirectory={path=\"b\"}",
        )
        .replace("\"x\"", &format!("\"{}\"", "0f".repeat(64))),
        expect![[r#"
            2 pkg:pypi/a@1.0
                registry -: a-1.0-py3-none-any.whl [sha512:0f0f0f0f]
                needs b@
            7 pkg:pypi/b?download_url=file://./b
                path `b`
        "#]],
    );
    check(
        &with("archive = {path = \"a.zip\", hashes = {sha256 = \"00\"}}"),
        expect![[r#"
        2 pkg:pypi/a@1.0?download_url=file://./a.zip
            path `a.zip`
    "#]],
    );
    check(
        &with("vcs = {type = \"git\", url = \"https://h.org/a\", commit-id = \"main\"}"),
        expect![[r#"
        2 pkg:pypi/a@1.0?download_url=git%2Bhttps://h.org/a
            url a []
        open pylock.toml:2:1: `a`: `main` of `https://h.org/a` is no commit, so it can move
    "#]],
    );
    check(
        &with("sdist = {url = \"https://h.org/a-1.0.tar.gz\", hashes = {sha1 = \"00\"}}"),
        expect![[r#"
            2 pkg:pypi/a@1.0
                registry -: a-1.0.tar.gz []
            open pylock.toml:2:1: `a`: only a digest by SHA-1 stands for what is fetched, and those can be forged
        "#]],
    );
}

#[test]
fn refuses_what_is_malformed() {
    check("", expect!["pylock.toml:1:1: `lock-version` is missing"]);
    check("lock-version = \"2.0\"", expect!["pylock.toml:1:1: format version `2.0` is not read: expected 1"]);
    check(
        &with("vcs = {type = \"hg\", url = \"https://h.org/a\"}"),
        expect!["pylock.toml:2:1: package `a`: `hg` says no origin: expected `git`"],
    );
    check(
        &with("dependencies = [{name = \"b\"}]"),
        expect!["pylock.toml:5:17: package `a`: dependency `b` names no single package of the lock file"],
    );
    check(&with("").replace("version = \"1.0\"\n", ""), expect!["pylock.toml:1:6: key with no value, expected `=`"]);
    check(
        &with("sdist = {hashes = {sha256 = \"00\"}}"),
        expect!["pylock.toml:5:9: package `a`: `00` is no digest of a package's file"],
    );
}

#[test]
fn survives_mutation() {
    Mutator::new(4).each(1500, LOCK.as_bytes(), |bytes| {
        let Ok(lock) = parse("f", bytes) else { return };
        for package in &lock.packages {
            assert!(!package.name.contains('/') && !package.version.contains('/'));
            assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
            assert!(package.origin.is_pinned() || lock.open().count() > 0);
        }
    });
}
