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
            assay.toml:8:12: `[base]` names both `image` and `packages`; take one of the two: an image is the whole root file system of a build
            assay.toml:9:9: image `rust:latest` is not pinned: its tag can be moved; write it as `NAME@sha256:…`
            assay.toml:15:27: `native` builds for the CPU of whatever machine builds; name the CPU, as `x86-64-v3`
            assay.toml:19:11: `network = true` cannot be reproduced; no step has a network: what it needs is fetched by `assay lock`, from lock files
            assay.toml:51:3: unknown key `source` in the file; allowed: `version`, `project`, `base`, `fetch`, `build`, `limits`, `stage`, `step`, `artifact`, `normalise`, `image`, `test`, `environment`
            assay.toml:53:10: branch `main` moves: it is no source; pin a commit with `rev`
            assay.toml:55:7: a repository without a commit moves: it is no source; pin a commit with `rev`"#]],
    );
}

#[test]
fn a_pinned_image_a_layout_and_an_archive_are_no_findings() {
    let digest = wire::digest::Digest::of(b"");
    let packages = "packages = [\"gcc\", \"libc6-dev\"]";
    assert!(GREETER.contains(packages));
    for base in [
        format!("image = \"docker.io/library/rust@{digest}\""),
        format!("image = \"oci:../image@{digest}\""),
        "image = \"oci:../image\"".to_owned(),
        format!("{packages}\nfrom = \"archive\""),
    ] {
        check_text(&GREETER.replace(packages, &base), expect![""]);
    }
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
        ..Files::default()
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
    crate::testing::fuzz(step(r#"["sh", "-c", "env A=1 curl x"]"#).as_bytes(), |bytes| {
        drop(check_spec("a", bytes, &[]))
    });
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

#[test]
fn lock_files_that_pin_badly_or_that_nobody_named() {
    let directory = crate::testing::Directory::new("check-lock-files");
    let spec = step(r#"["npm", "ci"]"#);
    directory.write(
        "package-lock.json",
        r#"{"lockfileVersion": 3, "packages": {"": {},
"node_modules/a": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"}}}"#,
    );
    let names = ["package-lock.json", "bun.lock", "docs/yarn.lock", "Cargo.lock"].map(str::to_owned);
    directory.write("assay.toml", &spec);
    let files = Files::read(directory.path(), &names).expect("all is readable");
    expect![[r#"
        assay.toml:7:1: nothing of `package-lock.json` is fetched, since `lock-files` does not name it; add `lock-files = ["package-lock.json"]`, or `lock-files = []` if no step needs it
        assay.toml:7:1: `bun.lock` is no lock file that is read, so nothing of it is fetched; read are: Cargo.lock, go.sum, package-lock.json, requirements.txt, uv.lock, poetry.lock, pylock.toml, yarn.lock, pnpm-lock.yaml, assay.record
        assay.toml:18:8: `npm ci` finds no packages: no lock file of node is named; name it under `[base]`, as `lock-files = ["…"]`: `assay lock` fetches what it names"#]].assert_eq(&found(&files));
    directory.write("assay.toml", spec.replacen("[base]\n", "[base]\nlock-files = [\"package-lock.json\"]\n", 1));
    let files = Files::read(directory.path(), &names[..1]).expect("all is readable");
    expect!["package-lock.json:2:1: `a`: no digest pins what is fetched; remove the file and `node_modules`, and run `npm install` with npm 7 or newer"].assert_eq(&found(&files));
}

/// Found by a large file: the place of each of 20,000 findings was counted from the beginning of the file.
#[test]
fn no_more_findings_are_made_than_anybody_reads() {
    let dependencies: String = (0..20_000).map(|n| format!("d{n} = {{ git = \"https://x.example/{n}\" }}\n")).collect();
    let manifest = ("Cargo.toml".to_owned(), format!("[dependencies]\n{dependencies}").into_bytes());
    let steps = "[[step]]\nname = \"x\"\nrun = [\"curl\", \"x\"]\n".repeat(20_000);
    let spec = ("assay.toml".to_owned(), format!("version = 1\n{steps}").into_bytes());
    let findings = check(&Files { spec: Some(spec), manifests: vec![manifest], ..Files::default() });
    assert!((1..200).contains(&findings.len()), "{}", findings.len());
}

#[test]
fn package_managers_may_install_what_a_lock_file_names_and_nothing_else() {
    let all = [Ecosystem::Node, Ecosystem::Python];
    let cases: [(&str, bool); 16] = [
        ("npm ci", true),
        ("npm install", false),
        ("npm install left-pad", false),
        ("npx cowsay", false),
        ("yarn install --offline --frozen-lockfile", true),
        ("yarn install --frozen-lockfile", false),
        ("pip install -r requirements.txt", true),
        ("python3 -m pip install --require-hashes -r requirements.txt .", true),
        ("pip3 wheel --no-deps -w dist .", true),
        ("v/bin/pip install dist/x-1.0-py3-none-any.whl", true),
        ("pip install requests", false),
        ("pip install -r requirements.txt requests", false),
        ("pip download -d x requests", false),
        ("pip install", false),
        ("go build ./...", true),
        ("go install example.org/x@latest", false),
    ];
    for (command, good) in cases {
        let words: Vec<(&str, usize)> = command.split(' ').map(|word| (word, 0)).collect();
        assert_eq!(command::check(&words, &all).is_empty(), good, "{command}");
        let needs_lock_file = good && !command.starts_with("go ") && !command.contains("--no-deps");
        assert_eq!(command::check(&words, &[]).is_empty(), good && !needs_lock_file, "{command} without a lock file");
    }
}
