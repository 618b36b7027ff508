use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::shown::shown;

/// Made by pnpm 8.15.9 and 9.15.9 (`pnpm install --lockfile-only`).
const V6: &str = include_str!("../../../fixtures/pnpm/v6.yaml");
const V9: &str = include_str!("../../../fixtures/pnpm/v9.yaml");

/// What `pnpm ls -r --json --depth Infinity` of pnpm 9.15.9 says of the second.
const LS: &str = include_str!("../../../fixtures/pnpm/ls.txt");

fn check(text: &str, expected: Expect) {
    match parse("pnpm-lock.yaml", text.as_bytes()) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn agrees_with_pnpm() {
    for text in [V6, V9] {
        let lock = parse("f", text.as_bytes()).expect("a lock file");
        let label = |position: usize| format!("{}@{}", lock.packages[position].name, lock.packages[position].version);
        let mut lines: Vec<String> = Vec::new();
        for (position, package) in lock.packages.iter().enumerate() {
            let mut needs: Vec<String> = package.dependencies.iter().map(|edge| label(edge.to)).collect();
            needs.sort_unstable();
            lines.push(format!("{} needs [{}]", label(position), needs.join(", ")));
        }
        lines.sort_unstable();
        assert_eq!(lines.join("\n"), LS.trim_end());
    }
}

#[test]
fn reads_version_9() {
    check(
        V9,
        expect![[r#"
        52 pkg:npm/%40types/ms@0.7.34
            registry -: - [sha512:9c6f7a1b]
        55 pkg:npm/debug@4.3.4
            registry -: - [sha512:3d15851e]
            needs ms@2.1.2
            language >=6.0
        64 pkg:npm/fsevents@2.3.3
            registry -: - [sha512:e71a037d]
            Optional; os darwin; language ^8.16.0 || ^10.6.0 || >=11.0.0
        69 pkg:npm/js-tokens@4.0.0
            registry -: - [sha512:45d2547e]
        72 pkg:npm/lodash.once@4.1.1
            registry -: - [sha512:49be3ced]
        75 pkg:npm/loose-envify@1.4.0
            registry -: - [sha512:972bb13c]
            needs js-tokens@4.0.0
        79 pkg:npm/ms@2.0.0
            registry -: - [sha512:4e9a7ad0]
            Dev
        82 pkg:npm/ms@2.1.2
            registry -: - [sha512:b0690fc7]
        85 pkg:npm/ms@2.1.3
            registry -: - [sha512:e85973b9]
        88 pkg:npm/packed@1.0.0?download_url=file://./packed-1.0.0.tgz
            path `packed-1.0.0.tgz`
        94 pkg:npm/react@18.2.0
            registry -: - [sha512:ff722331]
            needs loose-envify@1.4.0
            language >=0.10.0
        98 pkg:npm/tiny?download_url=file://./vendored/tiny
            path `vendored/tiny`
        101 pkg:npm/use-sync-external-store@1.2.0
            registry -: - [sha512:78482717]
            needs react@18.2.0
        11 pkg:npm/%40demo/greet?download_url=file://./packages/greet
            workspace `packages/greet`
            needs ms@2.1.3
    "#]],
    );
}

#[test]
fn version_6_says_the_same() {
    let packages = |text: &str| {
        let lock = parse("f", text.as_bytes()).expect("a lock file");
        let mut packages = lock.packages;
        packages.iter_mut().for_each(|package| {
            package.line = 0;
            package.dependencies.clear();
        });
        packages.sort_by_key(|package| package.purl.to_string());
        (packages, lock.findings)
    };
    let (six, nine) = (packages(V6), packages(V9));
    assert_eq!(six.0.len(), 14);
    // Packed and workspace members have no flags in version 6 where 9 has them from the graph.
    assert_eq!(six, nine);
}

/// A lock file of version 9 with one package.
fn with(key: &str, members: &str) -> String {
    format!("lockfileVersion: '9.0'\npackages:\n  '{key}':\n    {members}\n")
}

#[test]
fn reads_what_comes_from_elsewhere() {
    check(
        &with(
            "a@https://codeload.github.com/u/a/tar.gz/b9439241ee61ab47fe0bf4a91997881d860cbfd7",
            "resolution: {tarball: https://codeload.github.com/u/a/tar.gz/b9439241ee61ab47fe0bf4a91997881d860cbfd7}\n    version: 1.0.0",
        ),
        expect![[r#"
            3 pkg:npm/a@1.0.0?vcs_url=git%2Bhttps://github.com/u/a.git%40b9439241ee61ab47fe0bf4a91997881d860cbfd7
                git https://github.com/u/a.git Default b943924
                Dev
        "#]],
    );
    check(
        &with(
            "a@git+https://h.org/a.git#main",
            "resolution: {type: git, repo: https://h.org/a.git, commit: main, path: /packages/a}",
        ),
        expect![[r#"
            3 pkg:npm/a?download_url=git%2Bhttps://h.org/a.git
                url a.git []
                Dev
            open pnpm-lock.yaml:3:3: `a`: `main` of `https://h.org/a.git` is no commit, so it can move
        "#]],
    );
    check(
        &with(
            "a@git+ssh://git@h.org/a.git#b94",
            "resolution: {type: git, repo: git@h.org:u/a.git, commit: b9439241ee61ab47fe0bf4a91997881d860cbfd7, path: /packages/a}\n    version: 2.0.0",
        ),
        expect![[r#"
            3 pkg:npm/a@2.0.0?vcs_url=git%2Bssh://git%40h.org/u/a.git%40b9439241ee61ab47fe0bf4a91997881d860cbfd7
                git ssh://git@h.org/u/a.git Default b943924 below packages/a
                Dev
        "#]],
    );
    check(
        &with("a@1.0.0", "resolution: {tarball: http://r.example.org/a/-/a-1.0.0.tgz}"),
        expect![[r#"
        3 pkg:npm/a@1.0.0?repository_url=http://r.example.org
            registry http://r.example.org: a-1.0.0.tgz []
            Dev
        note pnpm-lock.yaml:3:3: `a`: `http://r.example.org/a/-/a-1.0.0.tgz` is fetched without TLS
        open pnpm-lock.yaml:3:3: `a`: no digest pins what is fetched
    "#]],
    );
    check(
        &with("a@file:../a", "resolution: {directory: ../a, type: directory}"),
        expect![[r#"
        3 pkg:npm/a?download_url=file://./../a
            path `../a`
            Dev
        open pnpm-lock.yaml:3:3: `a`: `../a` lies outside of the project, so the source tree does not hold it
    "#]],
    );
    check(
        "lockfileVersion: '6.0'\ndependencies:\n  a: {specifier: 'link:../a', version: 'link:../a'}\n",
        expect![[r#"
            open pnpm-lock.yaml:3:3: `a`: `./../a` lies outside of the project, so the source tree does not hold it
        "#]],
    );
}

#[test]
fn refuses_what_is_malformed() {
    check("", expect!["pnpm-lock.yaml:1:1: the file is empty"]);
    check("lockfileVersion: 5.4", expect!["pnpm-lock.yaml:1:1: format version `5.4` is not read: expected 6 and 9"]);
    check(
        "lockfileVersion: '9.0'\nlockfileVersion: '9.0'",
        expect!["pnpm-lock.yaml:2:1: key `lockfileVersion` stands twice"],
    );
    check("lockfileVersion: &a '9.0'\nx: *a", expect!["pnpm-lock.yaml:1:18: anchors are not read in lock files"]);
    check("lockfileVersion: '9.0'\nx: *a", expect!["pnpm-lock.yaml:2:4: while parsing node, found unknown anchor"]);
    check("lockfileVersion: !!str '9.0'", expect!["pnpm-lock.yaml:1:18: tags are not read in lock files"]);
    check(
        "lockfileVersion: '9.0'\n---\na: b",
        expect!["pnpm-lock.yaml:2:1: several documents are not read in lock files"],
    );
    check("lockfileVersion: '9.0'\n? [a]\n: b", expect!["pnpm-lock.yaml:2:3: keys must be texts"]);
    check(&"[".repeat(100), expect!["pnpm-lock.yaml:1:65: the file has more levels than the 64 allowed"]);
    check(
        "lockfileVersion: '9.0'\n a: b",
        expect!["pnpm-lock.yaml:2:2: while parsing a block mapping, did not find expected key"],
    );
    check(&with("a@1.0.0", "version: 1.0.0"), expect!["pnpm-lock.yaml:3:3: `resolution` is missing"]);
    check(
        &with("a", "resolution: {integrity: sha512-x}"),
        expect!["pnpm-lock.yaml:3:3: package `a`: the name is no package name"],
    );
    check(
        &with("../a@1.0.0", "resolution: {integrity: sha512-x}"),
        expect!["pnpm-lock.yaml:3:3: package `../a`: the name is no package name"],
    );
    check(
        &with("a@1.0.0", "resolution: {integrity: sha512-x}"),
        expect!["pnpm-lock.yaml:3:3: package `a`: `sha512-x` is no digest of a package's file"],
    );
    check(
        &with("a@1.0.0", "resolution: {directory: a}").replace("packages", "snapshots"),
        expect!["pnpm-lock.yaml:3:3: package `a@1.0.0`: dependency `a@1.0.0` names no single package of the lock file"],
    );
    check(
        &format!(
            "{}snapshots:\n  a@1.0.0:\n    dependencies: {{b: 1.0.0}}\n",
            with("a@1.0.0", "resolution: {directory: a}")
        ),
        expect!["pnpm-lock.yaml:7:20: package `a`: dependency `b@1.0.0` names no single package of the lock file"],
    );
}

#[test]
fn survives_mutation() {
    for (seed, text) in [(1, V6), (2, V9)] {
        Mutator::new(seed).each(1500, text.as_bytes(), |bytes| {
            let Ok(lock) = parse("f", bytes) else { return };
            for package in &lock.packages {
                assert!(is_package_name(&package.name) && !package.version.contains('/'));
                assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
                assert!(package.origin.is_pinned() || lock.open().count() > 0);
            }
        });
    }
}
