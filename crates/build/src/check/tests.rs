use expect_test::{Expect, expect};

use super::*;
use crate::spec::tests::GREETER;

fn found(files: &Files) -> String {
    let lines: Vec<String> = check(files).iter().map(Problem::one_line).collect();
    lines.join("\n")
}

fn check_text(text: &str, expected: Expect) {
    let files = Files { spec: Some(("assay.toml".to_owned(), text.as_bytes().to_vec())), ..Files::default() };
    expected.assert_eq(&found(&files));
}

/// The greeter's specification whose step is this command.
fn step(run: &str) -> String {
    GREETER.replacen("[\"cargo\", \"build\", \"--release\", \"--locked\"]", run, 1)
}

#[test]
fn a_good_specification_has_no_findings() {
    check_text(GREETER, expect![""]);
}

#[test]
fn commands_that_fetch_install_or_float() {
    let commands = [
        r#"["curl", "-O", "https://x.example/y"]"#,
        r#"["/usr/bin/wget", "x"]"#,
        r#"["git", "clone", "https://x.example/y"]"#,
        r#"["git", "-C", "x", "status"]"#,
        r#"["apt-get", "-y", "install", "gcc"]"#,
        r#"["python3", "-m", "pip", "install", "x"]"#,
        r#"["pip3", "install", "x"]"#,
        r#"["npm", "install"]"#,
        r#"["npm", "run", "build"]"#,
        r#"["cargo", "install", "x"]"#,
        r#"["cargo", "update"]"#,
        r#"["cargo", "build"]"#,
        r#"["cargo", "+nightly", "test", "--", "--locked"]"#,
        r#"["cargo", "test", "--frozen"]"#,
        r#"["cargo", "fmt", "--check"]"#,
        r#"["env", "A=1", "sudo", "curl", "x"]"#,
        r#"["sh", "-c", "make && curl x | tar x; cargo build"]"#,
        r#"["sh", "-ec", "echo $(wget x)"]"#,
        r#"["sh", "build.sh"]"#,
        r#"["docker", "run", "rust:latest"]"#,
        r#"["go", "install", "x@latest"]"#,
        r#"["echo", "a:latest"]"#,
    ];
    let mut lines = Vec::new();
    for command in commands {
        let files = Files { spec: Some(("a".to_owned(), step(command).into_bytes())), ..Files::default() };
        let found = found(&files);
        lines.push(format!("{command}\n{}", if found.is_empty() { "-" } else { &found }));
    }
    expect![[r#"
        ["curl", "-O", "https://x.example/y"]
        a:18:8: `curl` needs a network, and a step has none; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["/usr/bin/wget", "x"]
        a:18:8: `wget` needs a network, and a step has none; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["git", "clone", "https://x.example/y"]
        a:18:8: `git clone` fetches or installs what nothing pins; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["git", "-C", "x", "status"]
        -
        ["apt-get", "-y", "install", "gcc"]
        a:18:8: `apt-get install` fetches or installs what nothing pins; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["python3", "-m", "pip", "install", "x"]
        a:18:8: `python3 -m pip install` fetches or installs what nothing pins; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["pip3", "install", "x"]
        a:18:8: `pip3 install` fetches or installs what nothing pins; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["npm", "install"]
        a:18:8: `npm install` fetches or installs what nothing pins; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["npm", "run", "build"]
        -
        ["cargo", "install", "x"]
        a:18:8: `cargo install` fetches or installs what nothing pins; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["cargo", "update"]
        a:18:8: `cargo update` fetches or installs what nothing pins; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["cargo", "build"]
        a:18:8: `cargo build` without `--locked` may change Cargo.lock; add "--locked"
        ["cargo", "+nightly", "test", "--", "--locked"]
        a:18:8: `cargo test` without `--locked` may change Cargo.lock; add "--locked"
        ["cargo", "test", "--frozen"]
        -
        ["cargo", "fmt", "--check"]
        -
        ["env", "A=1", "sudo", "curl", "x"]
        a:18:30: `curl` needs a network, and a step has none; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["sh", "-c", "make && curl x | tar x; cargo build"]
        a:18:20: `curl` needs a network, and a step has none; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        a:18:20: `cargo build` without `--locked` may change Cargo.lock; add "--locked"
        ["sh", "-ec", "echo $(wget x)"]
        a:18:21: `wget` needs a network, and a step has none; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        ["sh", "build.sh"]
        -
        ["docker", "run", "rust:latest"]
        a:18:8: `docker` needs a network, and a step has none; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        a:18:25: `rust:latest` names whatever is newest; name a version, and let a lock file pin it
        ["go", "install", "x@latest"]
        a:18:8: `go install` fetches or installs what nothing pins; name packages in `[base]` and dependencies in a lock file: `assay lock` fetches them
        a:18:25: `x@latest` names whatever is newest; name a version, and let a lock file pin it
        ["echo", "a:latest"]
        a:18:16: `a:latest` names whatever is newest; name a version, and let a lock file pin it"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn images_branches_networks_and_native_cpus() {
    let text = GREETER
        .replace("packages = [\"gcc\", \"libc6-dev\"]", "packages = []\nimage = \"rust:latest\"")
        .replace("name = \"compile\"", "name = \"compile\"\nnetwork = true")
        .replace("GREETING = \"hello\"", "RUSTFLAGS = \"-C target-cpu=native\"");
    let source =
        "\n[[source]]\ngit = \"https://x.example/y\"\nbranch = \"main\"\n[[source]]\ngit = \"https://x.example/z\"\n";
    check_text(
        &format!("{text}{source}"),
        expect![[r#"
            assay.toml:9:1: unknown key `image` in [base]; allowed: `packages`, `toolchains`, `targets`
            assay.toml:9:9: image `rust:latest` is not pinned: its tag can be moved; write it as `NAME@sha256:…`
            assay.toml:15:27: `native` builds for the CPU of whatever machine builds; name the CPU, as `x86-64-v3`
            assay.toml:19:11: `network = true` cannot be reproduced; no step has a network: what it needs is fetched by `assay lock`, from lock files
            assay.toml:51:3: unknown key `source` in the file; allowed: `version`, `project`, `base`, `build`, `step`, `artifact`, `normalise`, `image`, `test`, `environment`
            assay.toml:53:10: branch `main` moves: it is no source; pin a commit with `rev`
            assay.toml:55:7: a repository without a commit moves: it is no source; pin a commit with `rev`"#]],
    );
}

#[test]
fn a_pinned_image_is_only_unknown() {
    let digest = wire::digest::Digest::of(b"");
    let text = GREETER.replace("packages", &format!("image = \"rust@{digest}\"\npackages"));
    check_text(
        &text,
        expect!["assay.toml:8:1: unknown key `image` in [base]; allowed: `packages`, `toolchains`, `targets`"],
    );
}

#[test]
fn manifests_with_dependencies_that_nothing_pins() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na = { git = \"https://x.example/a\", branch = \"main\" }\n\
                    b = { git = \"https://x.example/b\" }\nc = { git = \"https://x.example/c\", rev = \"abc\" }\n\
                    d = { path = \"../d\" }\ne = { path = \"crates/../e\" }\n\
                    [target.'cfg(unix)'.dev-dependencies]\nf = { path = \"/srv/f\" }\n";
    let lock = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                source = \"git+https://x.example/a?branch=main#73e321f84cd2493e93e093d455f52c39f9acbff7\"\n";
    let mut files = Files {
        spec: None,
        cargo_lock: Some(("Cargo.lock".to_owned(), lock.into())),
        manifests: vec![
            ("Cargo.toml".to_owned(), manifest.into()),
            ("crates/y/Cargo.toml".to_owned(), "[dependencies]\nd = { path = \"../../d\" }\n".into()),
        ],
    };
    expect![[r#"
        Cargo.toml:5:13: `b` is built from branch `HEAD`, which Cargo.lock does not pin; run `cargo update --workspace`, or pin a commit with `rev`
        Cargo.toml:7:14: `d` lies outside of the project, at `../d`; a build sees the project alone: move it in, or depend on it by git
        Cargo.toml:10:14: `f` lies outside of the project, at `/srv/f`; a build sees the project alone: move it in, or depend on it by git"#]].assert_eq(&found(&files));
    files.cargo_lock = None;
    files.manifests.truncate(1);
    expect!["Cargo.toml:1:1: there is no Cargo.lock beside this manifest: every version floats; run `cargo generate-lockfile` and commit it"].assert_eq(found(&files).lines().next().expect("there is one"));
    files.cargo_lock = Some(("Cargo.lock".to_owned(), b"version = 4\n[[package]\n".to_vec()));
    expect!["Cargo.lock:2:11: unclosed array table, expected `]`"].assert_eq(&found(&files));
}

#[test]
fn mutations_never_panic() {
    crate::testing::fuzz(step(r#"["sh", "-c", "env A=1 curl x"]"#).as_bytes(), |bytes| drop(check_spec("a", bytes)));
    let manifest = b"[dependencies]\na = { git = \"https://x.example/a\", path = \"../..\" }\n";
    crate::testing::fuzz(manifest, |bytes| {
        drop(check(&Files { manifests: vec![("a".to_owned(), bytes.to_vec())], ..Files::default() }));
    });
}

#[test]
fn a_project_without_specification_is_told_so() {
    let directory = crate::testing::Directory::new("check");
    let error = Files::read(directory.path(), &[]).expect_err("there is none");
    assert!(error.to_string().ends_with("assay.toml` is missing; run `assay init`"), "{error}");
}

/// Found by a large file: the place of each of 20,000 findings was counted from the beginning of the file.
#[test]
fn no_more_findings_are_made_than_anybody_reads() {
    let dependencies: String = (0..20_000).map(|n| format!("d{n} = {{ git = \"https://x.example/{n}\" }}\n")).collect();
    let manifest = ("Cargo.toml".to_owned(), format!("[dependencies]\n{dependencies}").into_bytes());
    let steps = "[[step]]\nname = \"x\"\nrun = [\"curl\", \"x\"]\n".repeat(20_000);
    let spec = ("assay.toml".to_owned(), format!("version = 1\n{steps}").into_bytes());
    let findings = check(&Files { spec: Some(spec), cargo_lock: None, manifests: vec![manifest] });
    assert!((1..200).contains(&findings.len()), "{}", findings.len());
}
