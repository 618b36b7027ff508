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
        ("version = 4", ""),
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
        Cargo.lock:1:11: lock file version 9 is not known; versions 3 and 4 are read
        Cargo.lock:1:1: the lock file names no version; run `cargo update --workspace`
        Cargo.lock:3:11: unclosed array table, expected `]`
        Cargo.lock:3:1: `../../etc 1.0.219` is no name and version of a crate; run `cargo generate-lockfile` to write the file anew
        Cargo.lock:3:1: `serde ../x` is no name and version of a crate; run `cargo generate-lockfile` to write the file anew
        Cargo.lock:3:1: the checksum of `serde 1.0.219` is not 64 hexadecimal digits; run `cargo generate-lockfile` to write the file anew
        Cargo.lock:3:1: `serde 1.0.219` has no checksum; run `cargo generate-lockfile` to write the file anew
        Cargo.lock:3:1: `serde 1.0.219` comes from `ftp+https://github.com/rust-lang/crates.io-index`, neither a registry nor git; run `cargo generate-lockfile` to write the file anew
        Cargo.lock:16:1: git dependency `inner` names no commit; run `cargo generate-lockfile` to write the file anew
        Cargo.lock:16:1: git dependency `inner` names no commit of 40 or 64 hexadecimal digits; run `cargo generate-lockfile` to write the file anew"#]].assert_eq(&found.join("\n"));
}

#[test]
fn limits_hold() {
    let problem = parse(FILE, &vec![b'#'; SIZE_MAX + 1]).expect_err("too large");
    assert!(problem.message.contains("more than"), "{problem}");
    let one = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n";
    let many = format!("version = 4\n{}", one.repeat(PACKAGES_MAX + 1));
    assert!(parse(FILE, many.as_bytes()).expect_err("too many").message.contains("20001 packages"));
    assert!(parse(FILE, b"\xff").is_err());
}

#[test]
fn mutations_never_panic() {
    fuzz(LOCK.as_bytes(), |bytes| drop(parse(FILE, bytes)));
}
