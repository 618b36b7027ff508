use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::shown::shown;

/// Made by yarn 1.22.22 (`yarn install`); the address of the git repository was changed afterwards.
const CLASSIC: &str = include_str!("../../../fixtures/yarn/v1.lock");

/// Made by yarn 4.18.1 (`yarn install`), and what its `yarn info --all --recursive --json` says: locators.
const BERRY: &str = include_str!("../../../fixtures/yarn/berry.lock");
const INFO: &str = include_str!("../../../fixtures/yarn/info.txt");

fn check(text: &str, expected: Expect) {
    match parse("yarn.lock", text.as_bytes()) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn reads_yarn_1() {
    check(
        CLASSIC,
        expect![[r#"
        5 pkg:npm/%40types/ms@0.7.34
            registry https://registry.yarnpkg.com: ms-0.7.34.tgz [sha512:9c6f7a1b]
        10 pkg:npm/debug@4.3.4
            registry https://registry.yarnpkg.com: debug-4.3.4.tgz [sha512:3d15851e]
            needs ms@2.1.2
        17 pkg:npm/fsevents@2.3.3
            registry https://registry.yarnpkg.com: fsevents-2.3.3.tgz [sha512:e71a037d]
        22 pkg:npm/gitdep@0.3.0?vcs_url=git%2Bssh://git%40git.example.org/demo/gitdep.git%40b9439241ee61ab47fe0bf4a91997881d860cbfd7
            git ssh://git@git.example.org/demo/gitdep.git Default b943924
        26 pkg:npm/lodash.once@4.1.1
            registry https://registry.yarnpkg.com: lodash.once-4.1.1.tgz [sha512:49be3ced]
        31 pkg:npm/ms@2.0.0
            registry https://registry.yarnpkg.com: ms-2.0.0.tgz [sha512:4e9a7ad0]
        36 pkg:npm/ms@2.1.2
            registry https://registry.yarnpkg.com: ms-2.1.2.tgz [sha512:b0690fc7]
        41 pkg:npm/ms@2.1.3
            registry https://registry.yarnpkg.com: ms-2.1.3.tgz [sha512:e85973b9]
        46 pkg:npm/plain@1.0.0?download_url=file://./plain-1.0.0.tgz
            path `plain-1.0.0.tgz`
        50 pkg:npm/tiny@1.0.0?download_url=file://./vendored/tiny
            path `vendored/tiny`
    "#]],
    );
}

#[test]
fn reads_berry() {
    let lock = parse("yarn.lock", BERRY.as_bytes()).expect("a lock file");
    let few = |one: &&crate::lock_file::Locked| {
        ["demo", "@demo/greet", "fsevents", "plain", "tiny", "lodash.once", "debug"].contains(&one.name.as_str())
    };
    let text = shown(&lock);
    let mut lines: Vec<&str> = Vec::new();
    for package in lock.packages.iter().filter(few) {
        let start = format!("{} {}", package.line, package.purl);
        let mut following = text.lines().skip_while(|line| **line != start);
        lines.extend(following.next());
        lines.extend(following.take_while(|line| line.starts_with(' ')));
    }
    lines.extend(text.lines().filter(|line| line.starts_with("open")));
    expect![[r#"
        8 pkg:npm/%40demo/greet?download_url=file://./packages/greet
            workspace `packages/greet`
            needs ms@2.1.3
        46 pkg:npm/debug@4.3.4
            registry -: - [yarn 10c0:cedbec45]
            needs ms@2.1.2
        58 pkg:npm/demo?download_url=file://.
            workspace ``
            needs @types/ms@0.7.34, debug@4.3.4, fsevents@2.3.3, lodash.once@4.1.1, ms@2.0.0, plain@1.0.0, tiny@1.0.0
        101 pkg:npm/fsevents@2.3.3
            registry -: - [yarn 10c0:a1f0c445]
            needs node-gyp@13.1.0
            marker os=darwin
        134 pkg:npm/lodash.once@4.1.1
            registry -: - [yarn 10c0:46a9a0a6]
        216 pkg:npm/plain@1.0.0?download_url=file://./plain-1.0.0.tgz
            path `plain-1.0.0.tgz`
        252 pkg:npm/tiny@1.0.0?download_url=file://./vendored/tiny
            path `vendored/tiny`
        open yarn.lock:4:1: the checksums are those of yarn's own zips, so none stands for what is fetched
    "#]]
    .assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn agrees_with_berry() {
    let lock = parse("yarn.lock", BERRY.as_bytes()).expect("a lock file");
    // A locator with a path has a hash of its content behind it; a patched package is the one below the patch.
    let name_of = |locator: &str| match split_name(locator).expect("a locator") {
        (name, reference) if reference.starts_with("npm:") => format!("{name}@{}", &reference[4..]),
        (name, reference) if reference.starts_with("patch:") => {
            let version = reference.split_once("npm%3A").expect("a version").1;
            format!("{name}@{}", version.split('#').next().expect("the version"))
        }
        (name, _) => name.to_owned(),
    };
    let mut expected: BTreeSet<(String, BTreeSet<String>)> = BTreeSet::new();
    for line in INFO.lines() {
        let (locator, needs) = line.trim_end_matches(']').split_once(" needs [").expect("a line");
        let needs = needs.split(", ").filter(|need| !need.is_empty()).map(name_of).collect();
        expected.insert((name_of(locator), needs));
    }
    let label = |position: usize| {
        let package = &lock.packages[position];
        let named = !package.origin.is_fetched();
        if named { package.name.clone() } else { format!("{}@{}", package.name, package.version) }
    };
    let of = |(position, package): (usize, &crate::lock_file::Locked)| {
        (label(position), package.dependencies.iter().map(|edge| label(edge.to)).collect())
    };
    assert_eq!(lock.packages.iter().enumerate().map(of).collect::<BTreeSet<_>>(), expected);
}

fn berry(key: &str, members: &str) -> String {
    format!("__metadata:\n  version: 6\n  cacheKey: 8\n\n\"{key}\":\n  version: 1.0.0\n  {members}\n")
}

#[test]
fn reads_what_comes_from_elsewhere() {
    let commit = "b9439241ee61ab47fe0bf4a91997881d860cbfd7";
    check(
        &berry("a@https://h.org/a.git", &format!("resolution: \"a@https://h.org/a.git#commit={commit}\"")),
        expect![[r#"
            5 pkg:npm/a@1.0.0?vcs_url=git%2Bhttps://h.org/a.git%40b9439241ee61ab47fe0bf4a91997881d860cbfd7
                git https://h.org/a.git Default b943924
        "#]],
    );
    check(
        &berry("a@github:u/a", &format!("resolution: \"a@git@github.com:u/a.git#workspace=a&commit={commit}\"")),
        expect![[r#"
            5 pkg:npm/a@1.0.0?vcs_url=git%2Bssh://git%40github.com/u/a.git%40b9439241ee61ab47fe0bf4a91997881d860cbfd7
                git ssh://git@github.com/u/a.git Default b943924
        "#]],
    );
    check(
        &berry(
            "a@https://h.org/a.tgz",
            &format!("resolution: \"a@https://h.org/a.tgz\"\n  checksum: {}", "0".repeat(128)),
        ),
        expect![[r#"
            5 pkg:npm/a@1.0.0?download_url=https://h.org/a.tgz
                url a.tgz [yarn 8:00000000]
            open yarn.lock:1:1: the checksums are those of yarn's own zips, so none stands for what is fetched
        "#]],
    );
    check(
        &berry(
            "a@npm:1",
            "resolution: \"a@npm:1.0.0::__archiveUrl=https%3A%2F%2Fr.example.org%2Fa.tgz\"\n  conditions: os=darwin & cpu=x64",
        ),
        expect![[r#"
            5 pkg:npm/a@1.0.0?download_url=https://r.example.org/a.tgz
                url a.tgz []
                marker os=darwin & cpu=x64
            open yarn.lock:1:1: the checksums are those of yarn's own zips, so none stands for what is fetched
        "#]],
    );
    let twice =
        "  version: 2.0.0\n  resolution: \"a@patch:a@patch%3Aa@npm%253A1.0.0%23x.patch#y.patch::version=1.0.0\"\n";
    let text = format!("{}\n\"a@patch:a\":\n{twice}", berry("a@npm:1.0.0", "resolution: \"a@npm:1.0.0\""));
    assert_eq!(parse("f", text.as_bytes()).expect("sound").packages.len(), 1, "a patched package is the one below");
    check(
        &berry("a@portal:../a", "resolution: \"a@portal:../a::locator=x\""),
        expect![[r#"
        5 pkg:npm/a@1.0.0?download_url=file://./../a
            path `../a`
        open yarn.lock:5:1: `a`: `../a` lies outside of the project, so the source tree does not hold it
    "#]],
    );
    check(
        &format!(
            "a@^1.0.0, \"a@>=1 <2\":\n  version \"1.0.0\"\n  resolved \"https://codeload.github.com/u/a/tar.gz/{commit}\"\n  dependencies:\n    \"@x/b\" \"^1.0.0 || ^2\"\n\n\"@x/b@^1.0.0 || ^2\":\n  version \"2.0.0\"\n  resolved \"https://registry.yarnpkg.com/@x/b/-/b-2.0.0.tgz#{commit}\"\n"
        ),
        expect![[r#"
            1 pkg:npm/a@1.0.0?vcs_url=git%2Bhttps://github.com/u/a.git%40b9439241ee61ab47fe0bf4a91997881d860cbfd7
                git https://github.com/u/a.git Default b943924
                needs @x/b@2.0.0
            7 pkg:npm/%40x/b@2.0.0
                registry https://registry.yarnpkg.com: b-2.0.0.tgz []
            open yarn.lock:7:1: `@x/b`: only a digest by SHA-1 stands for what is fetched, and those can be forged
        "#]],
    );
    check(
        "a@^1:\n  version \"1.0.0\"\n  resolved \"https://github.com/u/a.git#main\"\n",
        expect![[r#"
        1 pkg:npm/a@1.0.0?download_url=git%2Bhttps://github.com/u/a.git
            url a.git []
        open yarn.lock:1:1: `a`: `main` of `https://github.com/u/a.git` is no commit, so it can move
    "#]],
    );
}

#[test]
fn refuses_what_is_malformed() {
    check("a@^1:\n", expect!["yarn.lock:1:1: `version` is missing"]);
    check("a@^1:\n   version \"1\"", expect![[r#"yarn.lock:2:4: `   version "1"` is no line of a yarn.lock"#]]);
    check("a@^1:\n  version \"1", expect![[r#"yarn.lock:2:3: `  version "1` is no line of a yarn.lock"#]]);
    check("  version \"1\"", expect![[r#"yarn.lock:1:3: `  version "1"` is no line of a yarn.lock"#]]);
    check("<<<<<<< HEAD\na@^1:\n  version \"1\"", expect!["yarn.lock:1:1: `<<<<<<< HEAD` is no line of a yarn.lock"]);
    check("a@^1:\n  version \"1\"\n  version \"2\"", expect!["yarn.lock:3:3: key `version` stands twice"]);
    check(
        "a@^1:\n  version \"1.0.0\"\n  integrity sha512-x",
        expect!["yarn.lock:1:1: package `a`: `sha512-x` is no digest of a package's file"],
    );
    check(
        "a@^1:\n  version \"1.0.0\"\na@^1:\n  version \"1.0.0\"",
        expect!["yarn.lock:3:1: package `a@^1`: it stands twice in the lock file"],
    );
    check(
        "\"../a@^1\":\n  version \"1.0.0\"",
        expect!["yarn.lock:1:1: package `../a@^1`: the name is no package name"],
    );
    check("a@^1:\n  version \"1/0\"", expect!["yarn.lock:1:1: package `a`: `1/0` is no version"]);
    check(
        &berry("a@npm:1", "checksum: 00").replace("  version: 6", "  version: 11"),
        expect!["yarn.lock:1:1: format version `11` is not read: expected 1, and 4 to 10"],
    );
    check(&berry("a@npm:1", "checksum: 00"), expect!["yarn.lock:5:1: `resolution` is missing"]);
    check(
        &berry("a@npm:1", "resolution: \"a@npm:1.0.0\"\n  checksum: 00"),
        expect!["yarn.lock:5:1: package `a`: `00` is no digest of a package's file"],
    );
    check(
        &berry("a@exec:x", "resolution: \"a@exec:x\""),
        expect![
            "yarn.lock:5:1: package `a`: `exec:x` says no origin: expected `npm:`, `workspace:`, `file:`, `link:`, `portal:`, `patch:`, git or an address"
        ],
    );
    check(
        &berry("a@patch:b", "resolution: \"a@patch:b@npm%3A1.0.0#x.patch\""),
        expect![
            "yarn.lock:5:1: package `b@npm:1.0.0`: dependency `b@npm:1.0.0` names no single package of the lock file"
        ],
    );
    check(
        &berry("a@npm:1", "resolution: \"../a@npm:1.0.0\""),
        expect!["yarn.lock:5:1: package `../a@npm:1.0.0`: the name is no package name"],
    );
}

#[test]
fn has_limits() {
    let error = parse("f", "a@1:\n".repeat(50_001).as_bytes()).expect_err("too many").to_string();
    assert_eq!(error, "f:50001:1: the file has more packages than the 50000 allowed");
}

#[test]
fn survives_mutation() {
    for (seed, text) in [(1, CLASSIC), (2, BERRY)] {
        Mutator::new(seed).each(1000, text.as_bytes(), |bytes| {
            let Ok(lock) = parse("f", bytes) else { return };
            for package in &lock.packages {
                assert!(crate::lock_file::javascript::is_package_name(&package.name) && !package.version.contains('/'));
                assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
                assert!(package.origin.is_pinned() || lock.open().count() > 0);
            }
        });
    }
}
