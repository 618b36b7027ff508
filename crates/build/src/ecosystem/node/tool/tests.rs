use expect_test::{Expect, expect};

use super::*;

fn read(kind: LockFileKind, manifest: &str) -> Result<Option<Tool>, Problem> {
    let beside = vec![("web/package.json".to_owned(), manifest.as_bytes().to_vec())];
    of(&ProjectFile { path: "web/any".to_owned(), kind, bytes: Vec::new(), beside })
}

fn refused(package_manager: &str, expected: Expect) {
    let manifest = format!("{{\n  \"packageManager\": \"{package_manager}\"\n}}\n");
    let problem = read(LockFileKind::Pnpm, &manifest).expect_err("it pins nothing");
    expected.assert_eq(&problem.one_line());
}

#[test]
fn a_manager_has_a_version_and_a_digest() {
    let digest = "sha512.".to_owned() + &"a".repeat(128);
    let manifest = format!("{{\"packageManager\": \"pnpm@9.15.9+{digest}\"}}");
    let tool = read(LockFileKind::Pnpm, &manifest).expect("it is good").expect("it is named");
    assert_eq!((tool.name.as_str(), tool.version.as_str(), tool.is_berry), ("pnpm", "9.15.9", false));
    assert_eq!(read(LockFileKind::Npm, &manifest), Ok(None), "npm is part of node");
    assert_eq!(read(LockFileKind::Yarn, &manifest), Ok(None), "a pnpm installs no yarn.lock");
    assert_eq!(read(LockFileKind::Pnpm, "{}"), Ok(None));
    let manifest = manifest.replace("pnpm@9.15.9", "yarn@4.9.2");
    let tool = read(LockFileKind::YarnBerry, &manifest).expect("it is good").expect("it is named");
    let wanted = tool.wanted(&Registries::public());
    assert_eq!(wanted.url, "https://registry.npmjs.org/@yarnpkg/cli-dist/-/cli-dist-4.9.2.tgz");
    assert!(matches!(wanted.integrity, Integrity::Member { path, .. } if path == "package/bin/yarn.js"));
}

#[test]
fn what_pins_no_manager_is_refused_with_the_command_that_does() {
    refused(
        "pnpm@9.15.9",
        expect![
            "web/package.json:2:1: `packageManager` names `pnpm@9.15.9` without a SHA-256 or SHA-512; run `corepack use pnpm@9.15.9`, which writes it"
        ],
    );
    refused(
        "pnpm@9.15.9+sha1.aa",
        expect![
            "web/package.json:2:1: `packageManager` names `pnpm@9.15.9` without a SHA-256 or SHA-512; run `corepack use pnpm@9.15.9`, which writes it"
        ],
    );
    refused(
        "pnpm@latest",
        expect![
            "web/package.json:2:1: `packageManager` is `pnpm@latest`, which names no version; run `corepack use pnpm@latest`, which writes version and digest"
        ],
    );
    refused(
        "pnpm@9/../x",
        expect![
            "web/package.json:2:1: `packageManager` is `pnpm@9/../x`, which names no version; run `corepack use pnpm@latest`, which writes version and digest"
        ],
    );
}

#[test]
fn a_program_lies_inside_its_package() {
    let tool = read(LockFileKind::Pnpm, &format!("{{\"packageManager\": \"pnpm@9.1.0+sha256.{}\"}}", "a".repeat(64)));
    let tool = tool.expect("it is good").expect("it is named");
    let file = |text: &str| TreeSource::Bytes { bytes: text.into(), executable: false };
    let found = |manifest: &str| {
        let files = [("package/package.json", file(manifest)), ("package/bin/pnpm.cjs", file(""))];
        program(&tool, &files.map(|(path, source)| (path.to_owned(), source)).into())
    };
    let good = Some("bin/pnpm.cjs".to_owned());
    assert_eq!(found(r#"{"bin": {"pnpm": "./bin/pnpm.cjs", "pnpx": "bin/pnpx.cjs"}}"#), good);
    assert_eq!(found(r#"{"bin": "bin/pnpm.cjs"}"#), good);
    assert_eq!(found(r#"{"bin": {"pnpm": "../../usr/bin/env"}}"#), None);
    assert_eq!(found(r#"{"bin": {"pnpm": "bin/absent"}}"#), None);
    assert_eq!(found("{}"), None);
}
