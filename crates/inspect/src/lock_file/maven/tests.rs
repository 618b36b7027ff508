use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;
use crate::lock_file::shown::shown;

/// Written by hand after files that maven-lockfile 5.14 made: no repository of Maven's was at hand to let it make one.
const LOCK: &str = include_str!("../../../fixtures/maven/lockfile.json");

fn check(text: &str, expected: Expect) {
    match parse("lockfile.json", text.as_bytes()) {
        Ok(lock) => expected.assert_eq(&shown(&lock)),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn reads_dependencies_parents_boms_and_plugins() {
    check(
        LOCK,
        expect![[r#"
        1 pkg:maven/org.example/app@1?download_url=file://.
            workspace ``
            needs org.junit.jupiter:junit-jupiter-api@5.9.2, org.junit.jupiter:junit-jupiter-api@5.9.2, org.apache.maven.plugins:maven-resources-plugin@3.3.0, org.springframework.boot:spring-boot-starter-parent@3.3.2
        24 pkg:maven/org.junit.jupiter/junit-jupiter-api@5.9.2
            registry -: junit-jupiter-api-5.9.2.jar [sha256:f767a170]
            needs org.apiguardian:apiguardian-api@1.1.2, org.junit:junit-bom@5.9.2
            Dev; groups test
        37 pkg:maven/org.apiguardian/apiguardian-api@1.1.2
            registry -: apiguardian-api-1.1.2.jar [sha256:b509448a]
            Dev; groups test
        55 pkg:maven/org.junit/junit-bom@5.9.2?type=pom
            registry -: description junit-bom-5.9.2.pom [sha256:2ed07d65]
        66 pkg:maven/org.junit.jupiter/junit-jupiter-api@5.9.2?classifier=sources&repository_url=https://repo.example.org/releases
            registry https://repo.example.org/releases: junit-jupiter-api-5.9.2-sources.jar [sha256:2b04279c]
            groups compile
        99 pkg:maven/org.apache.maven.plugins/maven-resources-plugin@3.3.0
            registry -: - []
            groups plugin
        12 pkg:maven/org.springframework.boot/spring-boot-starter-parent@3.3.2?type=pom
            registry -: description spring-boot-starter-parent-3.3.2.pom [sha256:9686e13c]
        open lockfile.json:99:5: `org.apache.maven.plugins:maven-resources-plugin`: no digest pins what is fetched
    "#]],
    );
}

fn with(members: &str) -> String {
    format!(
        "{{\"artifactID\":\"app\",\"groupID\":\"g\",\"version\":\"1\",\"lockFileVersion\":1,\"dependencies\":[{{\"groupId\":\"g\",\"artifactId\":\"a\",\"version\":\"1\"{members}}}]}}"
    )
}

#[test]
fn reads_older_files_and_odd_entries() {
    check(
        &with(&format!(",\"checksumAlgorithm\":\"SHA-512\",\"checksum\":\"{}\"", "0".repeat(128))),
        expect![[r#"
        1 pkg:maven/g/app@1?download_url=file://.
            workspace ``
            needs g:a@1
        1 pkg:maven/g/a@1
            registry -: - [sha512:00000000]
    "#]],
    );
    check(
        &with(",\"checksumAlgorithm\":\"SHA-1\",\"checksum\":\"00\",\"resolved\":\"http://u:p@r.example.org/x.jar\""),
        expect![[r#"
            1 pkg:maven/g/app@1?download_url=file://.
                workspace ``
                needs g:a@1
            1 pkg:maven/g/a@1?download_url=http://r.example.org/x.jar
                url x.jar []
            note lockfile.json:1:85: `g:a`: the address at `r.example.org` holds a password
            note lockfile.json:1:85: `g:a`: `http://r.example.org/x.jar` is fetched without TLS
            open lockfile.json:1:85: `g:a`: only a digest by SHA-1 stands for what is fetched, and those can be forged
        "#]],
    );
    check(
        &with(",\"children\":[{\"groupId\":\"g\",\"artifactId\":\"app\",\"version\":\"1\"}]"),
        expect![[r#"
        1 pkg:maven/g/app@1?download_url=file://.
            workspace ``
            needs g:a@1
        1 pkg:maven/g/a@1
            registry -: - []
            needs g:app@1
        open lockfile.json:1:85: `g:a`: no digest pins what is fetched
    "#]],
    );
}

#[test]
fn refuses_what_is_malformed() {
    check("{}", expect!["lockfile.json:1:1: `lockFileVersion` is missing"]);
    check("{\"lockFileVersion\":2}", expect!["lockfile.json:1:2: format version `2` is not read: expected 1"]);
    check("{\"lockFileVersion\":1}", expect!["lockfile.json:1:1: package `:`: the name is no package name"]);
    check(
        &with(",\"checksum\":\"00\""),
        expect!["lockfile.json:1:85: package `g:a`: `00` is no digest of a package's file"],
    );
    check(&with(",\"classifier\":\"../x\""), expect!["lockfile.json:1:85: package `g:a`: the name is no package name"]);
    check(
        &with("").replace("\"a\"", "\"a/b\""),
        expect!["lockfile.json:1:85: package `g:a/b`: the name is no package name"],
    );
    check(&with("").replace("\"groupId\":\"g\",", ""), expect!["lockfile.json:1:85: `groupId` is missing"]);
    let one = format!(",\"checksum\":\"{}\"", "0".repeat(64));
    check(
        &with(&format!(
            "{one},\"children\":[{{\"groupId\":\"g\",\"artifactId\":\"a\",\"version\":\"1\"{}}}]",
            one.replace('0', "1")
        )),
        expect![
            "lockfile.json:1:221: package `g:a`: `1111111111111111111111111111111111111111111111111111111111111111` is no digest of a package's file"
        ],
    );
}

#[test]
fn survives_mutation() {
    Mutator::new(1).each(1500, LOCK.as_bytes(), |bytes| {
        let Ok(lock) = parse("f", bytes) else { return };
        for package in &lock.packages {
            assert!(!package.name.contains(['/', ' ']) && !package.version.contains('/'));
            assert!(package.dependencies.iter().all(|edge| edge.to < lock.packages.len()));
            assert!(package.origin.is_pinned() || lock.open().count() > 0);
        }
    });
}
