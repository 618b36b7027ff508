use expect_test::expect;

use super::*;
use crate::spec::{EnvironmentKind, Spec};
use crate::testing::Directory;

const LOCK: &str = "version = 4\n";

fn project(name: &str, files: &[(&str, &str)]) -> Directory {
    let directory = Directory::new(name);
    for (path, content) in files {
        directory.write(path, content);
    }
    directory
}

/// Proposes, and reads the proposal back: what is proposed must be right.
fn proposed(directory: &Directory) -> (Proposal, Spec) {
    let proposal = propose(directory.path(), "ada").expect("it is a project");
    let spec = Spec::parse("assay.toml", proposal.text.as_bytes());
    let spec = spec.unwrap_or_else(|problems| panic!("{}\n{problems:#?}", proposal.text));
    (proposal, spec)
}

#[test]
fn a_service() {
    let main = "use axum::Router;\n#[tokio::main]\nasync fn main() {\n    let app = Router::new().route(\"/\", x).route(\"/health\", y);\n\
                    let l = TcpListener::bind(\"127.0.0.1:3000\");\n}\n#[test]\nfn works() {}\n";
    let directory = project(
        "init-service",
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"greeter\"\nversion = \"0.1.0\"\nauthors = [\"Ada <ada@example.org>\"]\n[dependencies]\naxum = \"0.8\"\n",
            ),
            ("Cargo.lock", LOCK),
            ("src/main.rs", main),
        ],
    );
    let (proposal, _) = proposed(&directory);
    expect![[r##"
        # How this project is built, tested and deployed. `assay lock` pins everything that is named here.
        version = 1

        [project]
        name = "greeter"
        # Who answers for it.
        owners = ["Ada <ada@example.org>"]

        # The build sees these Debian packages (with what they depend on), the toolchain, and nothing else of
        # this machine. Versions are pinned by the lock.
        [base]
        packages = ["coreutils", "dash", "gcc", "libc6-dev"]
        toolchains = ["rust"]

        [build]
        # T0: one fixed path, constructed variables, fixed source times. T1 and T2 hide more of the machine.
        tier = "T0"
        # The number of CPUs can change a build's bytes, so it is part of the lock.
        cpus = 2

        # Steps run in order, in /build, without a network and without a shell. `--locked`: Cargo.lock decides.
        [[step]]
        name = "compile"
        run = ["cargo", "build", "--release", "--locked"]

        # What the steps leave: each is digested, signed for, and can be deployed.
        [[artifact]]
        name = "greeter"
        path = "target/release/greeter"

        # An OCI image of the artifacts, each at /NAME. "closure" packs the libraries that they need; "none" is for
        # static programs.
        [image]
        name = "greeter-image"
        artifacts = ["greeter"]
        entrypoint = ["/greeter"]
        libraries = "closure"
        ports = [3000]

        # Tests run in the same sandbox, as often as said; a case whose outcome differs counts as failed.
        [[test]]
        name = "unit"
        run = ["cargo", "test", "--release", "--locked"]
        repetitions = 2
        format = "cargo"

        # Where it is deployed, and the policy that must let it.
        [environment.production]
        policy = "policies/production.toml"
        # It depends on axum, so it is taken for a service. Check the port and the path of the health check.
        kind = "service"
        run = ["greeter"]
        health = "http://127.0.0.1:3000/health"
        stop = "SIGTERM"
    "##]]
    .assert_eq(&proposal.text);
    expect![[r#"
        builds greeter
        taken for a service, since it depends on axum: port 3000, health check /health"#]]
    .assert_eq(&proposal.notes.join("\n"));
}

#[test]
fn a_workspace_of_tools() {
    let directory = project(
        "init-workspace",
        &[
            ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\", \"absent\"]\nexclude = [\"crates/old\"]\n"),
            ("Cargo.lock", LOCK),
            ("crates/core/Cargo.toml", "[package]\nname = \"core-of-it\"\nversion = \"0.1.0\"\n"),
            ("crates/core/src/lib.rs", ""),
            ("crates/old/Cargo.toml", "[package]\nname = \"old\"\nversion = \"0.1.0\"\n"),
            ("crates/old/src/main.rs", ""),
            (
                "crates/tool/Cargo.toml",
                "[package]\nname = \"Tool\"\nversion = \"0.1.0\"\n[[bin]]\nname = \"extra\"\npath = \"x.rs\"\nrequired-features = [\"y\"]\n",
            ),
            ("crates/tool/src/main.rs", ""),
            ("crates/tool/src/bin/one.rs", ""),
            ("crates/tool/src/bin/two/main.rs", ""),
        ],
    );
    let (proposal, spec) = proposed(&directory);
    assert_eq!(proposal.binaries, ["Tool", "one", "two"]);
    assert_eq!(spec.steps[0].run, ["cargo", "build", "--release", "--locked", "-p", "Tool"]);
    let artifacts: Vec<String> = spec.artifacts.iter().map(|a| format!("{} {}", a.name, a.path)).collect();
    assert_eq!(artifacts, ["one target/release/one", "tool target/release/Tool", "two target/release/two"]);
    assert!(matches!(spec.environments["production"].kind, EnvironmentKind::Release { .. }));
    assert!(spec.tests.is_empty() && proposal.text.contains("# [[test]]"));
    assert!(!proposal.service);
}

#[test]
fn system_libraries_follow_from_the_lock_file() {
    let package = |name: &str, dependencies: &[&str]| {
        let list: Vec<String> = dependencies.iter().map(|name| format!("\"{name}\"")).collect();
        format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\ndependencies = [{}]\n", list.join(", "))
    };
    let cases = [
        (vec![package("openssl-sys", &["cc"])], "coreutils dash gcc libc6-dev libssl-dev pkg-config"),
        (
            vec![package("openssl-sys", &["openssl-src"]), package("openssl-src", &["cc"])],
            "coreutils dash gcc libc6-dev make perl",
        ),
        (vec![package("libsqlite3-sys", &["cc 1.0.0", "pkg-config"])], "coreutils dash gcc libc6-dev"),
        (vec![package("libsqlite3-sys", &["pkg-config"])], "coreutils dash gcc libc6-dev libsqlite3-dev pkg-config"),
        (vec![package("aws-lc-sys", &["cmake"]), package("cmake", &["cc"])], "coreutils dash gcc libc6-dev"),
        (
            vec![package("libz-ng-sys", &["cmake"]), package("cmake", &["cc"])],
            "cmake coreutils dash g++ gcc libc6-dev make",
        ),
    ];
    for (packages, expected) in cases {
        let lock = format!("{LOCK}{}", packages.concat());
        assert_eq!(system::packages(&system::read(lock.as_bytes())).0.join(" "), expected);
    }
}

#[test]
fn a_configured_target_moves_the_output() {
    let directory = project(
        "init-target",
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"x\"\nversion = \"0.1.0\"\nautobins = false\n[[bin]]\nname = \"y\"\npath = \"src/main.rs\"\n",
            ),
            ("Cargo.lock", LOCK),
            ("src/main.rs", ""),
            (".cargo/config.toml", "[build]\ntarget = \"x86_64-unknown-linux-musl\"\n"),
        ],
    );
    let (_, spec) = proposed(&directory);
    assert_eq!(spec.artifacts[0].path, "target/x86_64-unknown-linux-musl/release/y");
    assert_eq!(spec.base.targets, ["x86_64-unknown-linux-musl"]);
}

#[test]
fn names_become_ones_that_are_allowed() {
    for (name, expected) in [("Über Tool", "-ber-tool"), ("a/b", "a-b"), ("___", "project"), ("x", "x")] {
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
        let directory = project("init-name", &[("Cargo.toml", &manifest), ("Cargo.lock", LOCK)]);
        let (root, members) = manifest::read_all(directory.path()).expect("it is a manifest");
        assert_eq!(project_name(directory.path(), &root, &members), expected.trim_start_matches('-'));
    }
}

#[test]
fn what_cannot_be_proposed_for_is_named() {
    let manifest = ("Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.1.0\"\n");
    let lib = ("src/lib.rs", "");
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("README", "")], "holds no Cargo.toml"),
        (&[manifest, lib], "Cargo.lock` is missing; run `cargo generate-lockfile`"),
        (&[manifest, lib, ("Cargo.lock", LOCK)], "`x` is a library"),
        (&[("Cargo.toml", "[package\n"), ("Cargo.lock", LOCK)], "Cargo.toml:1:9: "),
    ];
    for (files, message) in cases {
        let directory = project("init-refused", files);
        let error = propose(directory.path(), "ada").expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
    let directory = project(
        "init-member",
        &[manifest, ("Cargo.lock", LOCK), ("crates/y/Cargo.toml", manifest.1), ("crates/y/src/main.rs", "")],
    );
    let error = propose(&directory.path().join("crates/y"), "ada").expect_err("a member").to_string();
    assert!(error.contains("is a member of the workspace in"), "{error}");
}

#[test]
fn ports_and_health_checks_are_guessed_from_texts() {
    assert_eq!(port("bind(\"0.0.0.0:8000\")"), Some(8000));
    assert_eq!(port("bind(\"127.0.0.1:0\") // \"127.0.0.1:99999\""), None);
    assert_eq!(health(r#".route("/status", a).route("/api/healthz", b)"#), Some("/api/healthz".to_owned()));
    assert_eq!(health(r#".route("/users", a) "health" "/a b/health""#), None);
}
