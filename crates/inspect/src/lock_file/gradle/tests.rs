use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::shown::shown;

/// Written by hand after Gradle's manual and the schema: no repository of Maven's was at hand to let Gradle write them.
const STATE: &str = include_str!("../../../fixtures/gradle/gradle.lockfile");
const VERIFICATION: &str = include_str!("../../../fixtures/gradle/verification-metadata.xml");

fn check(states: &[&str], verification: Option<&str>, expected: Expect) {
    let states: Vec<Input<'_>> =
        states.iter().map(|text| Input { file: "gradle.lockfile", bytes: text.as_bytes() }).collect();
    let verification = verification.map(|text| Input { file: "verification-metadata.xml", bytes: text.as_bytes() });
    match parse(&states, verification) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn reads_both_files() {
    check(
        &[STATE],
        Some(VERIFICATION),
        expect![[r#"
        4 pkg:maven/org.apiguardian/apiguardian-api@1.1.2
            registry -: apiguardian-api-1.1.2.jar []
            groups testCompileClasspath
        5 pkg:maven/org.junit.jupiter/junit-jupiter-api@5.9.2
            registry -: junit-jupiter-api-5.9.2.jar [sha256:f767a170], description junit-jupiter-api-5.9.2.module [sha256:b509448a], description junit-jupiter-api-5.9.2.module [sha256:624a3d74]
            groups testCompileClasspath testRuntimeClasspath
        6 pkg:maven/org.opentest4j/opentest4j@1.2.0
            registry -: 
            groups testCompileClasspath testRuntimeClasspath
        7 pkg:maven/org.slf4j/slf4j-api@2.0.13
            registry -: slf4j-api-2.0.13.jar [sha256:e7c2a48e], description slf4j-api-2.0.13.pom []
            groups compileClasspath runtimeClasspath testCompileClasspath testRuntimeClasspath
        16 pkg:maven/org.junit/junit-bom@5.9.2
            registry -: description junit-bom-5.9.2.pom [sha256:2ed07d65]
        note verification-metadata.xml:7:10: the file exempts file .*-javadoc[.]jar, regex true from verification
        open verification-metadata.xml:12:10: `org.apiguardian:apiguardian-api`: only a key stands for what is fetched, so its holder can change it
        open verification-metadata.xml:37:10: `org.slf4j:slf4j-api`: only a digest by MD5 stands for what is fetched, and those can be forged
        open gradle.lockfile:6:1: `org.opentest4j:opentest4j`: no digest pins what is fetched
    "#]],
    );
}

#[test]
fn versions_alone_pin_nothing() {
    check(
        &["a:b:1.0\n", "a:b:1.0=x,y\nc:d:1-SNAPSHOT=y\n"],
        None,
        expect![[r#"
        1 pkg:maven/a/b@1.0
            registry -: 
            groups x y
        2 pkg:maven/c/d@1-SNAPSHOT
            registry -: 
            groups y
        note gradle.lockfile:2:1: `c:d`: `1-SNAPSHOT` is a snapshot, so what was locked may be gone
        open gradle.lockfile:1:1: `a:b`: no digest pins what is fetched
        open gradle.lockfile:2:1: `c:d`: no digest pins what is fetched
    "#]],
    );
    check(&[], None, expect![""]);
}

fn component(artifact: &str) -> String {
    format!(
        "<verification-metadata><components><component group=\"a\" name=\"b\" version=\"1\">{artifact}</component></components></verification-metadata>"
    )
}

#[test]
fn refuses_what_is_malformed() {
    check(&["a:b"], None, expect!["gradle.lockfile:1:1: `a:b` is no line of a gradle.lockfile"]);
    check(&["a:../b:1"], None, expect!["gradle.lockfile:1:1: package `a:../b`: the name is no package name"]);
    check(&["a:b:1/0"], None, expect!["gradle.lockfile:1:1: package `a:b`: `1/0` is no version"]);
    check(
        &[],
        Some("<a/>"),
        expect!["verification-metadata.xml:1:1: format version `a` is not read: expected `verification-metadata`"],
    );
    check(
        &[],
        Some("<verification-metadata>\n<a>"),
        expect!["verification-metadata.xml:1:1: the root node was opened but never closed"],
    );
    check(
        &[],
        Some("<!DOCTYPE a [<!ENTITY b \"c\">]><verification-metadata>&b;</verification-metadata>"),
        expect!["verification-metadata.xml:1:1: XML with DTD detected"],
    );
    check(
        &[],
        Some("<verification-metadata>&b;</verification-metadata>"),
        expect!["verification-metadata.xml:1:24: unknown entity reference 'b'"],
    );
    check(&[], Some(&component("<artifact/>")), expect!["verification-metadata.xml:1:78: `name` is missing"]);
    check(
        &[],
        Some(&component("<artifact name=\"../b\"/>")),
        expect!["verification-metadata.xml:1:78: package `../b`: the name is no package name"],
    );
    check(
        &[],
        Some(&component("<artifact name=\"b\"><sha256/></artifact>")),
        expect!["verification-metadata.xml:1:78: `value` is missing"],
    );
    check(
        &[],
        Some(&component("<artifact name=\"b\"><sha256 value=\"00\"/></artifact>")),
        expect!["verification-metadata.xml:1:78: package `a:b`: `00` is no digest of a package's file"],
    );
    check(
        &[],
        Some(&component("").replace(" version=\"1\"", "")),
        expect!["verification-metadata.xml:1:36: `version` is missing"],
    );
    check(
        &[],
        Some(
            "<verification-metadata><configuration><verify-metadata>false</verify-metadata></configuration></verification-metadata>",
        ),
        expect![[r#"
            note verification-metadata.xml:1:39: the file exempts POMs and module files from verification
        "#]],
    );
    let deep = format!("<verification-metadata>{}", "<a>".repeat(100_000));
    let input = Input { file: "f", bytes: deep.as_bytes() };
    assert!(parse(&[], Some(input)).is_err());
}

#[test]
fn survives_mutation() {
    for (seed, which) in [(1, 0), (2, 1)] {
        Mutator::new(seed).each(1500, [STATE, VERIFICATION][which].as_bytes(), |bytes| {
            let mut inputs = [STATE.as_bytes(), VERIFICATION.as_bytes()];
            inputs[which] = bytes;
            let [state, verification] = inputs.map(|bytes| Input { file: "f", bytes });
            let Ok(lock) = parse(&[state], Some(verification)) else { return };
            for package in &lock.packages {
                assert!(!package.name.contains(['/', ' ']) && !package.version.contains('/'));
                assert!(package.origin.is_pinned() || lock.open().count() > 0);
            }
        });
    }
}
