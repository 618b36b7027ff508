use wire::mutation::Mutator;

use super::*;
use crate::lock_file::{Finding, Pin};

/// Made by uv 0.13.9 (`uv export --format requirements-txt --all-extras --no-emit-workspace`); the address of the git
/// repository was changed afterwards.
const EXPORTED: &str = include_str!("../../../fixtures/python/requirements.txt");

/// Continued lines, comments, spaces, and what pip 23.2.1 (`pip._internal.req.req_file.parse_requirements`) makes of it.
const NASTY: &str = include_str!("../../../fixtures/python/nasty-requirements.txt");
const NASTY_EXPECTED: &str = include_str!("../../../fixtures/python/nasty-requirements.expected");

fn parsed(text: &str) -> LockFile {
    parse("requirements.txt", text.as_bytes()).expect("a requirements file")
}

fn hashes(package: &Locked) -> Vec<String> {
    package.origin.digests().map(ToString::to_string).collect()
}

#[test]
fn agrees_with_pip_about_lines() {
    let shown = |package: &Locked| {
        let what = match &package.origin {
            Origin::Url(artifact) => artifact.url.clone().expect("an address"),
            _ if package.name == "ruamel.yaml" => format!("==={}", package.version),
            _ => format!("=={}", package.version),
        };
        let marker = package.scope.marker.clone().unwrap_or("-".to_owned()).replace('\'', "\"");
        let hashes: Vec<String> = hashes(package).iter().map(|hash| hash[..15].to_owned()).collect();
        let hashes = if hashes.is_empty() { "-".to_owned() } else { hashes.join(",") };
        format!("{} {what} marker={marker} hashes={hashes}", package.name)
    };
    let lines: Vec<String> = parsed(NASTY).packages.iter().map(shown).collect();
    assert_eq!(lines.join("\n"), NASTY_EXPECTED.trim_end());
    let unpinned: Vec<String> = parsed(NASTY).open().map(Finding::to_string).collect();
    assert_eq!(
        unpinned,
        [
            "requirements.txt:5:1: `six`: no digest pins what is fetched",
            "requirements.txt:13:1: `attrs`: no digest pins what is fetched"
        ]
    );
}

#[test]
fn reads_what_uv_exports() {
    let lock = parsed(EXPORTED);
    assert_eq!(lock.findings, []);
    let shown: Vec<String> = lock
        .packages
        .iter()
        .map(|one| format!("{}: {} {} {:?}", one.line, one.purl, hashes(one).len(), one.scope.marker))
        .collect();
    assert_eq!(
        shown,
        [
            "3: pkg:pypi/click@8.1.7 2 None",
            "7: pkg:pypi/colorama@0.4.6 2 Some(\"sys_platform == 'win32'\")",
            "11: pkg:pypi/gitpy?vcs_url=git%2Bssh://git%40git.example.org/demo/gitpy.git%40d2bde5cf2c8a11fc2947ab9501094106fc920497 0 None",
            "13: pkg:pypi/idna@3.10?download_url=https://files.pythonhosted.org/packages/76/c6/c88e154df9c4e1a2a66ccf0005a88dfb2650c1dffb6f5ce603dfbd452ce3/idna-3.10-py3-none-any.whl 1 None",
            "16: pkg:pypi/iniconfig@2.0.0 2 None",
            "20: pkg:pypi/six@1.16.0 2 None",
            "24: pkg:pypi/typing-extensions@4.12.2 2 None",
        ]
    );
    let artifacts = lock.packages[0].origin.artifacts();
    assert!(artifacts.iter().all(|one| matches!(one.pins[..], [Pin::Bytes(_)]) && one.url.is_none()));
}

const HASH: &str = "--hash=sha256:ae74fb96c20a0277a1d615f1e4d73c8414f5a98db8b799a7931d1582f3390c28";

#[test]
fn finds_what_does_not_pin() {
    let cases = [
        ("flask>=2", "1:1: `flask`: `flask>=2` names no single version"),
        ("flask", "1:1: `flask`: `flask` names no single version"),
        ("flask==2.*", "1:1: `flask`: `flask==2.*` names no single version"),
        ("flask==2,<3", "1:1: `flask`: `flask==2,<3` names no single version"),
        ("flask==${V} ", "1:1: `flask==${V}` names no single version"),
        ("\n  flask==2.0", "2:3: `flask`: no digest pins what is fetched"),
        (
            "flask==2.0 --hash=md5:7d4d",
            "1:1: `flask`: only a digest by MD5 stands for what is fetched, and those can be forged",
        ),
        (
            "flask==2.0 --hash=sha384:00",
            "1:1: `flask`: only a digest by `sha384` stands for what is fetched: expected sha256 or sha512",
        ),
        ("-r dev.txt", "1:1: the packages of `dev.txt` belong to it as well"),
        ("-rdev.txt", "1:1: the packages of `dev.txt` belong to it as well"),
        ("--requirement=dev.txt", "1:1: the packages of `dev.txt` belong to it as well"),
        ("--constraint limits.txt", "1:1: the file `limits.txt` limits what may be taken"),
        (
            "-i https://u:pw@pypi.example.org/simple",
            "1:1: the address at `pypi.example.org` holds a password; 1:1: option `--index-url` with `https://pypi.example.org/simple` changes where packages are looked for",
        ),
        (
            "--extra-index-url https://pypi.example.org",
            "1:1: option `--extra-index-url` with `https://pypi.example.org` changes where packages are looked for",
        ),
        (
            "--find-links /opt/wheels",
            "1:1: option `--find-links` with `/opt/wheels` changes where packages are looked for",
        ),
        ("--trusted-host h", "1:1: option `--trusted-host` with `h` changes where packages are looked for"),
        ("-e .", "1:1: `.` is installed as editable"),
        (
            "-e ../lib",
            "1:1: `../lib` lies outside of the project, so the source tree does not hold it; 1:1: `../lib` is installed as editable",
        ),
        (
            "-e git+https://h.org/a.git@main#egg=a",
            "1:1: `a`: `main` of `https://h.org/a.git` is no commit, so it can move; 1:1: `git+https://h.org/a.git@main#egg=a` is installed as editable",
        ),
        ("a @ git+ssh://git@h.org/a.git", "1:1: `a`: `HEAD` of `ssh://git@h.org/a.git` is no commit, so it can move"),
        ("a @ https://h.org/a-1.0.tar.gz", "1:1: `a`: no digest pins what is fetched"),
        ("git+https://h.org/a.git", "1:1: `git+https://h.org/a.git` names no package"),
        ("./wheels/a-1.0-py3-none-any.whl", "1:1: `./wheels/a-1.0-py3-none-any.whl` names no package"),
        ("https://u:pw@h.org/a.whl", "1:1: `https://h.org/a.whl` names no package"),
        ("a @ file:wheels/a-1.0-py3-none-any.whl", ""),
        ("--no-index\n--only-binary :all:", ""),
    ];
    for (text, expected) in cases {
        let said: Vec<String> = parsed(text).findings.iter().map(Finding::to_string).collect();
        assert_eq!(said.join("; ").replace("requirements.txt:", ""), expected, "{text}");
    }
    let lock = parsed(&format!("a[x,y]==1.0 ; python_version<'3' {HASH} --hash=sha384:00"));
    assert_eq!((lock.findings.len(), hashes(&lock.packages[0]).len()), (0, 1), "a digest that is none adds nothing");
    let lock = parsed(&format!("A_b @ https://h.org/a.b-1.0-py3-none-any.whl#{}", &HASH[7..].replace(':', "=")));
    assert_eq!(
        lock.packages[0].purl.to_string(),
        "pkg:pypi/a-b@1.0?download_url=https://h.org/a.b-1.0-py3-none-any.whl"
    );
    assert_eq!(lock.findings, []);
    let lock = parsed("a @ git+https://h.org/x/a.git@b9439241ee61ab47fe0bf4a91997881d860cbfd7#subdirectory=py");
    let Origin::Git { url, subdirectory, .. } = &lock.packages[0].origin else { panic!("a git origin") };
    assert_eq!((url.as_str(), subdirectory.as_deref()), ("https://h.org/x/a.git", Some("py")));
}

#[test]
fn refuses_what_is_malformed() {
    let cases = [
        (format!("a==1.0 {HASH}\nA==1.0 {HASH}"), "2:1: package `A`: it stands twice in the lock file"),
        ("a==1.0 --hash=sha256:00".to_owned(), "1:1: package `a`: `00` is no digest of a package's file"),
        ("a==1.0 \\\n  --hash=sha256".to_owned(), "2:3: `sha256` is no hash"),
        ("a==1.0 \\\n  --hush=x".to_owned(), "2:3: option `--hush=x` is not known"),
        ("--hush".to_owned(), "1:1: option `--hush` is not known"),
        ("-r".to_owned(), "1:1: option `-r` is not known"),
        ("a==1/2".to_owned(), "1:1: package `a`: `1/2` is no version"),
        ("ü==1".to_owned(), "1:1: package `ü==1`: the name is no package name"),
        (
            "# safe\u{c}evil==1.0".to_owned(),
            "1:7: a control character stands in the line, and pip would cut the line there",
        ),
        (
            "a @ git+https://h.org/a.git@main#subdirectory=../x".to_owned(),
            "1:1: package `a`: `../x` says no origin: expected a directory inside the repository",
        ),
        (
            format!("a @ https://h.org/a.whl {HASH} {}", HASH.replace("ae7", "be7")),
            "1:1: package `a`: `several digests for one address` is no digest of a package's file",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(parse("f", text.as_bytes()).expect_err(expected).to_string(), format!("f:{expected}"));
    }
}

#[test]
fn has_limits() {
    let error = |text: &str| parse("f", text.as_bytes()).expect_err("too many").to_string();
    assert_eq!(error(&"a\n".repeat(100_001)), "f:1:1: the file has more findings than the 100000 allowed");
    assert_eq!(
        error(&"a \\\n".repeat(600_000)),
        "f:524289:1: the file has more bytes in a line than the 1048576 allowed"
    );
}

#[test]
fn survives_mutation() {
    for (seed, text) in [(1, EXPORTED), (2, NASTY)] {
        Mutator::new(seed).each(2000, text.as_bytes(), |bytes| {
            let Ok(lock) = parse("f", bytes) else { return };
            for package in &lock.packages {
                assert!(is_project_name(&package.name) && !package.version.contains('/'));
                assert!(package.origin.is_pinned() || lock.open().count() > 0);
            }
        });
    }
}
