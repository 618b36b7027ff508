use wire::mutation::Mutator;

use super::*;
use crate::lock_file::{Finding, Pin};

const V1: &str = include_str!("../../../fixtures/npm/v1.json");
const V2: &str = include_str!("../../../fixtures/npm/v2.json");
const V3: &str = include_str!("../../../fixtures/npm/v3.json");

/// What `npm query '*' --package-lock-only` of npm 11.19.1 says of `v3.json`: place, package, places that it needs.
const QUERY: &str = include_str!("../../../fixtures/npm/query.txt");

fn parsed(text: &str) -> LockFile {
    parse("package-lock.json", text.as_bytes()).expect("a lock file")
}

fn place(package: &Locked) -> &str {
    match (&package.installed, &package.origin) {
        (Some(place), _) => place,
        (None, Origin::Workspace(place)) if place.is_empty() => ".",
        (None, Origin::Workspace(place)) => place,
        (None, other) => panic!("{other:?} has no place"),
    }
}

#[test]
fn agrees_with_npm() {
    let lock = parsed(V3);
    let mut lines: Vec<String> = Vec::new();
    for package in &lock.packages {
        let mut needs: Vec<&str> = package.dependencies.iter().map(|edge| place(&lock.packages[edge.to])).collect();
        needs.sort_unstable();
        lines.push(format!("{} {}@{} needs [{}]", place(package), package.name, package.version, needs.join(", ")));
    }
    lines.sort_unstable();
    assert_eq!(lines.join("\n"), QUERY.trim_end());
}

/// Writes what a package is and where from.
fn shown(lock: &LockFile) -> Vec<String> {
    let one = |package: &Locked| {
        let origin = match &package.origin {
            Origin::Registry { registry, artifacts } => {
                format!("registry {} with {} pins", registry.as_deref().unwrap_or("-"), artifacts[0].pins.len())
            }
            Origin::Git { url, commit, .. } => format!("git {url} at {}", &commit.as_str()[..7]),
            Origin::Bundled(position) => format!("inside {}", lock.packages[*position].name),
            other => format!("{other:?}"),
        };
        format!("{}: {} {:?} from {origin}", package.line, package.purl, package.scope.need)
    };
    lock.packages.iter().map(one).collect()
}

#[test]
fn reads_format_3() {
    let lock = parsed(V3);
    assert_eq!(
        shown(&lock),
        [
            "7: pkg:npm/demo@1.0.0?download_url=file://. Always from Workspace(\"\")",
            "32: pkg:npm/%40types/ms@0.7.34 Always from registry https://registry.npmjs.org with 1 pins",
            "38: pkg:npm/debug@4.3.4 Always from registry https://registry.npmjs.org with 1 pins",
            "55: pkg:npm/ms@2.1.2 Always from registry https://registry.npmjs.org with 1 pins",
            "61: pkg:npm/fsevents@2.3.3 Optional from registry https://registry.npmjs.org with 1 pins",
            "74: pkg:npm/gitdep@0.3.0?vcs_url=git%2Bssh://git%40git.example.org/demo/gitdep.git%40b9439241ee61ab47fe0bf4a91997881d860cbfd7 Always from git ssh://git@git.example.org/demo/gitdep.git at b943924",
            "78: pkg:npm/lodash.once@4.1.1 Always from registry https://registry.npmjs.org with 1 pins",
            "85: pkg:npm/ms@2.0.0 Dev from registry https://registry.npmjs.org with 1 pins",
            "92: pkg:npm/packed@1.0.0?download_url=file://./packed-1.0.0.tgz Always from Path(\"packed-1.0.0.tgz\")",
            "103: pkg:npm/inner@2.0.0 Always from inside packed",
            "111: pkg:npm/%40demo/greet@0.2.0?download_url=file://./packages/greet Always from Workspace(\"packages/greet\")",
            "118: pkg:npm/ms@2.1.3 Always from registry https://registry.npmjs.org with 1 pins",
            "124: pkg:npm/tiny@1.0.0?download_url=file://./vendored/tiny Always from Workspace(\"vendored/tiny\")",
        ]
    );
    assert_eq!(lock.findings, []);
    let fsevents = &lock.packages[4];
    assert_eq!((fsevents.scope.os.clone(), fsevents.origin.artifacts().len()), (vec!["darwin".to_owned()], 1));
    let artifact = &lock.packages[2].origin.artifacts()[0];
    assert_eq!(artifact.url.as_deref(), Some("https://registry.npmjs.org/debug/-/debug-4.3.4.tgz"));
    assert!(matches!(&artifact.pins[..], [Pin::Bytes(digest)] if digest.algorithm() == "sha512"));
}

#[test]
fn reads_formats_1_and_2() {
    let two = parsed(V2);
    assert_eq!((two.format.as_deref(), two.findings.len()), (Some("2"), 0));
    assert!(two.packages.iter().all(|package| package.origin.is_pinned()));
    assert!(shown(&two).iter().any(|line| line.contains("debug@4.3.4") && line.contains("registry - with 1 pins")));

    let one = parsed(V1);
    assert_eq!((one.format.as_deref(), one.findings.len()), (Some("1"), 0));
    assert_eq!(
        shown(&one),
        [
            "1: pkg:npm/demo@1.0.0?download_url=file://. Always from Workspace(\"\")",
            "7: pkg:npm/%40demo/greet?download_url=file://./packages/greet Always from Path(\"packages/greet\")",
            "13: pkg:npm/ms@2.1.3 Always from registry https://registry.npmjs.org with 1 pins",
            "20: pkg:npm/%40types/ms@0.7.34 Always from registry https://registry.npmjs.org with 1 pins",
            "25: pkg:npm/debug@4.3.4 Always from registry https://registry.npmjs.org with 1 pins",
            "33: pkg:npm/ms@2.1.2 Always from registry https://registry.npmjs.org with 1 pins",
            "40: pkg:npm/fsevents@2.3.3 Optional from registry https://registry.npmjs.org with 1 pins",
            "46: pkg:npm/gitdep?vcs_url=git%2Bssh://git%40git.example.org/demo/gitdep.git%40b9439241ee61ab47fe0bf4a91997881d860cbfd7 Always from git ssh://git@git.example.org/demo/gitdep.git at b943924",
            "50: pkg:npm/lodash.once@4.1.1 Always from registry https://registry.npmjs.org with 1 pins",
            "55: pkg:npm/ms@2.0.0 Dev from registry https://registry.npmjs.org with 1 pins",
            "61: pkg:npm/packed?download_url=file://./packed-1.0.0.tgz Always from Path(\"packed-1.0.0.tgz\")",
            "68: pkg:npm/inner@2.0.0 Always from inside packed",
            "74: pkg:npm/tiny?download_url=file://./vendored/tiny Always from Path(\"vendored/tiny\")",
        ]
    );
    let needs: Vec<&str> = one.packages[4].dependencies.iter().map(|edge| place(&one.packages[edge.to])).collect();
    assert_eq!(needs, ["node_modules/debug/node_modules/ms"]);
}

/// A lock file of format 3 with one package, whose members are given.
fn with(members: &str) -> String {
    format!("{{\"lockfileVersion\":3,\"packages\":{{\"node_modules/a\":{{{members}}}}}}}")
}

#[test]
fn finds_what_does_not_pin() {
    let cases = [
        (r#""version":"1.0.0""#, "`a`: no digest pins what is fetched"),
        (
            r#""version":"1.0.0","integrity":"sha1-L8gTaPYHKLaDwVKzFOtXcqKqIfA=""#,
            "`a`: only a digest by SHA-1 stands for what is fetched, and those can be forged",
        ),
        (
            r#""version":"1.0.0","integrity":"sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC""#,
            "`a`: only a digest by `sha384` stands for what is fetched: expected sha256 or sha512",
        ),
        (
            r#""version":"1.0.0","resolved":"git+https://github.com/a/a.git#main""#,
            "`a`: `main` of `https://github.com/a/a.git` is no commit, so it can move",
        ),
        (
            r#""version":"1.0.0","resolved":"github:a/a""#,
            "`a`: `HEAD` of `https://github.com/a/a.git` is no commit, so it can move",
        ),
        (
            r#""version":"1.0.0","resolved":"file:../a.tgz""#,
            "`a`: `../a.tgz` lies outside of the project, so the source tree does not hold it",
        ),
        (r#""version":"1.0.0","inBundle":true"#, "`a`: no digest pins what is fetched"),
    ];
    for (members, expected) in cases {
        let lock = parsed(&with(members));
        let said: Vec<String> = lock.open().map(Finding::to_string).collect();
        assert_eq!(said, [format!("package-lock.json:1:34: {expected}")]);
    }
    let pinned = r#""integrity":"sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==""#;
    let lock = parsed(&with(&format!(
        r#""version":"1.0.0","resolved":"http://u:pass@r.example.org/a/-/a-1.0.0.tgz",{pinned}"#
    )));
    assert_eq!((lock.findings.len(), lock.open().count()), (2, 0));
    assert!(!format!("{lock:?}").contains("pass"));
    assert_eq!(lock.packages[0].purl.to_string(), "pkg:npm/a@1.0.0?repository_url=http://r.example.org");
    let lock = parsed(&with(&format!(r#""version":"1.0.0","resolved":"https://example.org/a.tgz",{pinned}"#)));
    assert_eq!(lock.packages[0].purl.to_string(), "pkg:npm/a@1.0.0?download_url=https://example.org/a.tgz");
}

#[test]
fn refuses_what_is_malformed() {
    let cases = [
        (r#"{"lockfileVersion":4}"#.to_owned(), "1:2: format version `4` is not read: expected 1 to 3"),
        (r#"{"lockfileVersion":2}"#.to_owned(), "1:1: `packages` is missing"),
        (with(r#""version":1"#), "1:52: `version` is a number: expected a text"),
        (with(r#""version":"a b""#), "1:34: package `a`: `a b` is no version"),
        (with(""), "1:34: package `a`: `` is no version"),
        (
            with(r#""version":"1.0.0","integrity":"sha512-eA==""#),
            "1:34: package `a`: `sha512-eA==` is no digest of a package's file",
        ),
        (
            with(r#""version":"1.0.0","resolved":"ftp://x""#),
            "1:34: package `a`: `ftp://x` says no origin: expected an `http(s)`, `git` or `file` address",
        ),
        (with("").replace("node_modules/a", "node_modules/../a"), "1:34: package `../a`: the name is no package name"),
        (with("").replace("node_modules/a", "../node_modules/a"), "1:34: package `a`: the name is no package name"),
        (with(r#""name":"@a/b/c","version":"1.0.0""#), "1:34: package `@a/b/c`: the name is no package name"),
        ("[]".to_owned(), "1:1: `` is a list: expected a table"),
    ];
    for (text, expected) in cases {
        assert_eq!(parse("f", text.as_bytes()).expect_err(expected).to_string(), format!("f:{expected}"));
    }
    let deep = "/node_modules/a".repeat(100);
    let text = with("").replace("node_modules/a", deep.trim_start_matches('/'));
    assert!(matches!(parse("f", text.as_bytes()), Err(LockFileError { reason: Reason::Package { .. }, .. })));
}

#[test]
fn has_limits() {
    let names = |what: &str| {
        (0..50_001).map(|index| format!("\"{what}{index}\":{{\"version\":\"1.0.0\"}}")).collect::<Vec<_>>().join(",")
    };
    for text in [
        format!("{{\"lockfileVersion\":3,\"packages\":{{{}}}}}", names("node_modules/a")),
        format!("{{\"lockfileVersion\":1,\"dependencies\":{{{}}}}}", names("a")),
    ] {
        let error = parse("f", text.as_bytes()).expect_err("too many").to_string();
        assert!(error.ends_with("the file has more packages than the 50000 allowed"), "{error}");
    }
}

#[test]
fn survives_mutation() {
    for (seed, text) in [(1, V1), (2, V3)] {
        Mutator::new(seed).each(1500, text.as_bytes(), |bytes| {
            let Ok(lock) = parse("f", bytes) else { return };
            for package in &lock.packages {
                assert!(is_package_name(&package.name) && !package.name.contains(".."));
                assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
                assert!(!package.installed.as_deref().is_some_and(crate::lock_file::reading::leads_out));
                assert!(package.origin.is_pinned() || lock.open().count() > 0);
            }
        });
    }
}
