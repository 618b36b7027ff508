use expect_test::expect;

use super::*;
use crate::testing::fuzz;

const LOCK: &str = r#"version = 4

[[package]]
name = "serde"
version = "1.0.219"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "5f0e2c6ed6606019b4e29e69dbaba95b11854410e5347d525002456dbbb786b6"

[[package]]
name = "greeter"
version = "0.1.0"
dependencies = [
 "serde",
]

[[package]]
name = "inner"
version = "0.3.0"
source = "git+https://git.example.org/inner?branch=main#73e321f84cd2493e93e093d455f52c39f9acbff7"
"#;

#[test]
fn reads_the_three_origins() {
    let packages = parse(FILE, LOCK.as_bytes()).expect("it is good");
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, ["greeter", "inner", "serde"]);
    assert_eq!(packages[0].origin, Origin::Path);
    let source = "git+https://git.example.org/inner?branch=main".to_owned();
    let commit = "73e321f84cd2493e93e093d455f52c39f9acbff7".to_owned();
    assert_eq!(packages[1].origin, Origin::Git { source, commit });
    assert!(packages[2].origin.is_crates_io());
}

#[test]
fn malformed_files_are_refused_with_their_place() {
    let cases = [
        ("version = 4", "version = 9"),
        ("[[package]]", "[[package]"),
        ("name = \"serde\"", "name = \"../../etc\""),
        ("version = \"1.0.219\"", "version = \"../x\""),
        ("checksum = \"5f", "checksum = \"zz"),
        ("checksum", "sum"),
        ("registry+https", "ftp+https"),
        ("#73e321f84cd2493e93e093d455f52c39f9acbff7", ""),
        ("#73e321f84cd2493e93e093d455f52c39f9acbff7", "#main"),
    ];
    let found: Vec<String> = cases
        .iter()
        .map(|(from, to)| parse(FILE, LOCK.replacen(from, to, 1).as_bytes()).expect_err(to).one_line())
        .collect();
    expect![[r#"
        Cargo.lock:1:11: format version `9` is not read: expected 1 to 4
        Cargo.lock:3:11: unclosed array table, expected `]`
        Cargo.lock:3:1: package `../../etc`: the name is no package name
        Cargo.lock:3:1: package `serde`: `../x` is no version
        Cargo.lock:3:1: package `serde`: `zz0e2c6ed6606019b4e29e69dbaba95b11854410e5347d525002456dbbb786b6` is no digest of a package's file
        Cargo.lock:3:1: `serde`: no digest pins what is fetched; run `cargo generate-lockfile` to write the file anew
        Cargo.lock:3:1: package `serde`: `ftp+https://github.com/rust-lang/crates.io-index` says no origin: expected `registry+URL`, `sparse+URL` or `git+URL#COMMIT`
        Cargo.lock:16:1: package `inner`: `git+https://git.example.org/inner?branch=main` says no origin: expected `registry+URL`, `sparse+URL` or `git+URL#COMMIT`
        Cargo.lock:16:1: package `inner`: `git+https://git.example.org/inner?branch=main#main` says no origin: expected `registry+URL`, `sparse+URL` or `git+URL#COMMIT`"#]].assert_eq(&found.join("\n"));
}

#[test]
fn what_is_no_text_is_refused() {
    assert!(parse(FILE, b"\xff").is_err());
    let problem = parse(FILE, &vec![b'#'; inspect::lock_file::LOCK_BYTES_MAX + 1]).expect_err("too large");
    assert!(problem.message.contains("more than"), "{problem}");
}

#[test]
fn mutations_never_panic() {
    fuzz(LOCK.as_bytes(), |bytes| drop(parse(FILE, bytes)));
}
