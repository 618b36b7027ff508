use expect_test::expect;

use super::*;
use crate::testing::fuzz;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn spec() -> Spec {
    Spec::parse("assay.toml", crate::spec::tests::GREETER.as_bytes()).expect("it is good")
}

/// A `Cargo.lock` with one package from the registry.
pub(crate) const CARGO_LOCK: &str = r#"version = 4

[[package]]
name = "serde"
version = "1.0.219"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "5f0e2c6ed6606019b4e29e69dbaba95b11854410e5347d525002456dbbb786b6"
"#;

fn file(text: &str) -> ProjectFile {
    ProjectFile { path: "Cargo.lock".to_owned(), kind: LockFileKind::Cargo, bytes: text.into(), beside: Vec::new() }
}

/// A lock with everything in it.
pub(crate) fn sample() -> Lock {
    let package = |name: &str| BasePackage {
        name: name.to_owned(),
        version: "12.2.0-14+deb12u1".to_owned(),
        architecture: "amd64".to_owned(),
        digest: digest(name),
        deb: None,
        url: None,
        purl: format!("pkg:deb/debian/{name}@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"),
    };
    let registry = Dependency {
        name: "serde".to_owned(),
        version: "1.0.219".to_owned(),
        ecosystem: Some(Ecosystem::Cargo),
        file: None,
        integrity: None,
        kind: DependencyKind::Registry,
        source: "registry+https://github.com/rust-lang/crates.io-index".to_owned(),
        commit: None,
        digest: digest("serde"),
        purl: "pkg:cargo/serde@1.0.219".to_owned(),
    };
    let git = Dependency {
        name: "inner".to_owned(),
        version: "0.3.0".to_owned(),
        ecosystem: Some(Ecosystem::Cargo),
        file: None,
        integrity: None,
        kind: DependencyKind::Git,
        source: "git+https://git.example.org/inner?branch=feature%2Fx".to_owned(),
        commit: Some("73e321f84cd2493e93e093d455f52c39f9acbff7".to_owned()),
        digest: digest("inner"),
        purl: "pkg:cargo/inner@0.3.0".to_owned(),
    };
    let pins = Pins {
        fetched: None,
        lock_files: vec![LockFile {
            path: "Cargo.lock".to_owned(),
            kind: LockFileKind::Cargo,
            digest: digest(CARGO_LOCK),
            tree: Some(digest("vendor")),
        }],
        base: Base {
            distribution: "debian 12".to_owned(),
            tree: digest("base"),
            image: None,
            packages: vec![package("libc6-dev"), package("gcc-12")],
        },
        toolchains: vec![Toolchain {
            name: "rust".to_owned(),
            version: "rustc 1.95.0 (59807616e 2026-04-14)".to_owned(),
            tree: digest("rust"),
        }],
        dependencies: vec![registry, git],
    };
    Lock::new(&spec(), pins)
}

#[test]
fn the_text_is_as_documented() {
    expect![[r##"
        # Written by `assay lock`; do not edit. Run `assay lock` to write it anew.
        version = 2
        spec = "sha256:b4cdccbde80c199b730a053091f24cf3155953f8b64905999802ecd4d4243a03"
        tier = "T0"
        cpus = 2
        output-format = 1

        [base]
        distribution = "debian 12"
        tree = "sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2"

        [[base.package]]
        name = "gcc-12"
        version = "12.2.0-14+deb12u1"
        architecture = "amd64"
        digest = "sha256:6734ff919067319f81df149aecd5d711daf17c92150876d26101e550f073ef67"
        purl = "pkg:deb/debian/gcc-12@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"

        [[base.package]]
        name = "libc6-dev"
        version = "12.2.0-14+deb12u1"
        architecture = "amd64"
        digest = "sha256:dd3a0e20485d46f1a9b4ca81b2fa9e61547ef6ec21350b2c22acc55553c43bd8"
        purl = "pkg:deb/debian/libc6-dev@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"

        [[toolchain]]
        name = "rust"
        version = "rustc 1.95.0 (59807616e 2026-04-14)"
        tree = "sha256:521fe5c9ece1aa1f8b66228171598263574aefc6fa4ba06a61747ec81ee9f5a3"

        [[lock-file]]
        path = "Cargo.lock"
        kind = "cargo"
        digest = "sha256:c9a173d32305a3e88d8df9462b9b4263ae8bc7ea40943c2bb3477546c0e587bb"
        tree = "sha256:630ba09448af522154f38ef7685ef1f44b0f3e9430f80829a03ce24f400f3754"

        [[dependency]]
        name = "inner"
        version = "0.3.0"
        ecosystem = "cargo"
        kind = "git"
        source = "git+https://git.example.org/inner?branch=feature%2Fx"
        commit = "73e321f84cd2493e93e093d455f52c39f9acbff7"
        digest = "sha256:33bf6fbd7cd8379785a21e233d8e09f824e7bab459168a96312c1c882c1d7e1f"
        purl = "pkg:cargo/inner@0.3.0"

        [[dependency]]
        name = "serde"
        version = "1.0.219"
        ecosystem = "cargo"
        kind = "registry"
        source = "registry+https://github.com/rust-lang/crates.io-index"
        digest = "sha256:8b917c4b6163bc82ef4aff025c6f5f4d54205232c4595f39b7b43008256a6cb7"
        purl = "pkg:cargo/serde@1.0.219"
    "##]]
    .assert_eq(&sample().to_text());
}

#[test]
fn reads_back_what_it_wrote() {
    let lock = sample();
    let text = lock.to_text();
    assert_eq!(Lock::parse(FILE, text.as_bytes()), Ok(lock.clone()));
    assert_eq!(lock.digest(), Digest::of(text.as_bytes()));
    let empty = Lock { lock_files: Vec::new(), toolchains: Vec::new(), dependencies: Vec::new(), ..lock };
    assert_eq!(Lock::parse(FILE, empty.to_text().as_bytes()), Ok(empty));
}

/// An image that is a base.
pub(crate) fn image() -> Image {
    Image {
        reference:
            "registry.example.org/team/base:1@sha256:fb62a45427b8bb6d06b9b8a6ebe8a6d3d8e45b50e9b5ea0a2de3dfc6f4be4a2b"
                .to_owned(),
        digest: digest("manifest"),
        platform: "linux/amd64".to_owned(),
        config: digest("config"),
        layers: vec![digest("first"), digest("second")],
        variables: vec!["PATH=/opt/tool/bin:/usr/bin".to_owned(), "QUOTE=\"".to_owned()],
    }
}

#[test]
fn a_lock_with_an_image_has_a_version_of_its_own() {
    let spec = spec();
    let lock = sample();
    let base = Base { image: Some(image()), packages: Vec::new(), ..lock.base };
    let pins = Pins { fetched: None, base, toolchains: Vec::new(), lock_files: Vec::new(), dependencies: Vec::new() };
    let lock = Lock::new(&spec, pins);
    let text = lock.to_text();
    let shown: Vec<&str> = text.lines().filter(|line| !line.starts_with("spec")).collect();
    expect![[r##"
        # Written by `assay lock`; do not edit. Run `assay lock` to write it anew.
        version = 3
        tier = "T0"
        cpus = 2
        output-format = 1

        [base]
        distribution = "debian 12"
        tree = "sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2"

        [base.image]
        reference = "registry.example.org/team/base:1@sha256:fb62a45427b8bb6d06b9b8a6ebe8a6d3d8e45b50e9b5ea0a2de3dfc6f4be4a2b"
        digest = "sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f"
        platform = "linux/amd64"
        config = "sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910"
        layers = [
            "sha256:a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
            "sha256:16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4",
        ]
        variables = [
            "PATH=/opt/tool/bin:/usr/bin",
            "QUOTE=\"",
        ]"##]].assert_eq(&shown.join("\n"));
    assert_eq!(Lock::parse(FILE, text.as_bytes()), Ok(lock.clone()));
    let older = text.replace("version = 3", "version = 2");
    let problem = Lock::parse(FILE, older.as_bytes()).expect_err("version 2 has no image");
    assert_eq!(problem.line, 2);
    let empty = Image { layers: Vec::new(), variables: Vec::new(), ..image() };
    let lock = Lock { base: Base { image: Some(empty), ..lock.base.clone() }, ..lock };
    assert_eq!(Lock::parse(FILE, lock.to_text().as_bytes()), Ok(lock));
}

#[test]
fn an_image_gives_its_search_path_and_variables() {
    let mut base = Base { image: Some(image()), ..sample().base };
    assert_eq!(base.search_path(), ["/opt/tool/bin", "/usr/bin"]);
    assert_eq!(base.image_variables()["QUOTE"], "\"");
    let of = |path: &str| Base { image: Some(Image { variables: vec![path.to_owned()], ..image() }), ..sample().base };
    assert_eq!(of("PATH=relative:/a::.:/b").search_path(), ["/a", "/b"]);
    assert_eq!(of("PATH=.").search_path(), ["/usr/bin", "/bin", "/usr/sbin"]);
    base.image = None;
    assert_eq!(base.search_path(), ["/usr/bin", "/bin", "/usr/sbin"]);
    assert!(base.image_variables().is_empty());
}

#[test]
fn values_with_quotes_and_control_characters_come_back() {
    let mut lock = sample();
    lock.base.packages[0].version = "1\"\\\n\u{7f}ü".to_owned();
    assert_eq!(Lock::parse(FILE, lock.to_text().as_bytes()), Ok(lock));
}

#[test]
fn an_edited_or_damaged_file_is_refused() {
    let text = sample().to_text();
    let cases = [
        ("cpus = 2", "cpus =  2"),
        ("version = 2\n", "version = 1\n"),
        ("version = 2\n", "version = 3\n"),
        ("version = 2\n", "version = 4\n"),
        ("tier = \"T0\"\n", ""),
        ("[base]\n", "[base]\nextra = 1\n"),
        ("kind = \"git\"", "kind = \"svn\""),
        ("tree = \"sha256:", "tree = \"sha256:zz"),
        ("# Written", "# Edited"),
    ];
    let mut found = Vec::new();
    for (from, to) in cases {
        assert!(text.contains(from), "{from}");
        found.push(Lock::parse(FILE, text.replacen(from, to, 1).as_bytes()).expect_err(to).one_line());
    }
    let half = &text.as_bytes()[..text.len() / 2];
    found.push(Lock::parse(FILE, half).expect_err("half a file").message);
    expect![[r#"
        assay.lock:5:8: this is not what `assay lock` writes: the file was edited; run `assay lock`
        assay.lock:2:1: lock version 1 was written by an older assay: this one reads 2 to 3; run `assay lock`
        assay.lock:2:11: this is not what `assay lock` writes: the file was edited; run `assay lock`
        assay.lock:2:1: lock version 4 was written by a newer assay: this one reads 2 to 3; run `assay lock`
        assay.lock:1:1: missing field `tier`; run `assay lock`
        assay.lock:9:1: unknown field `extra`, expected one of `distribution`, `tree`, `image`, `package`; run `assay lock`
        assay.lock:41:8: unknown variant `svn`, expected one of `registry`, `git`, `url`; run `assay lock`
        assay.lock:10:8: `zzcae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2` is not a digest value: expected lower-case hexadecimal of the algorithm's length; run `assay lock`
        assay.lock:1:3: this is not what `assay lock` writes: the file was edited; run `assay lock`
        invalid basic string, expected `"`"#]].assert_eq(&found.join("\n"));
    assert!(Lock::parse(FILE, &vec![b'#'; SIZE_MAX + 1]).is_err());
    assert!(Lock::parse(FILE, b"\xff").is_err());
}

#[test]
fn a_stale_lock_says_why_and_what_to_do() {
    let lock = sample();
    assert_eq!(lock.stale(&spec(), &[file(CARGO_LOCK)]), []);
    let other = crate::spec::tests::GREETER.replace("cpus = 2", "cpus = 4");
    let cpus = Spec::parse("assay.toml", other.as_bytes()).expect("it is good");
    let other = format!("{}# a comment\n", crate::spec::tests::GREETER);
    let comment = Spec::parse("assay.toml", other.as_bytes()).expect("it is good");
    let newer = CARGO_LOCK.replace("1.0.219", "1.0.220");
    let old = Lock { output_format: 0, ..lock.clone() };
    let reasons = [
        lock.stale(&cpus, &[file(CARGO_LOCK)]),
        lock.stale(&comment, &[file(CARGO_LOCK)]),
        lock.stale(&spec(), &[file(&newer)]),
        lock.stale(&spec(), &[]),
        old.stale(&spec(), &[file(CARGO_LOCK)]),
    ];
    let lines: Vec<String> = reasons.concat().iter().map(ToString::to_string).collect();
    expect![[r#"
        the lock is for tier T0, 2 CPUs, assay.toml for tier T0, 4 CPUs; run `assay lock`
        assay.toml changed since the lock was made (b4cdccbde80c ≠ 15b552ea06f2); run `assay lock`
        Cargo.lock changed since the lock was made (serde 1.0.220 is new, inner 0.3.0 is gone, serde 1.0.219 is gone); run `assay lock`
        Cargo.lock changed since the lock was made; run `assay lock`
        the lock is for output format 0, this assay writes 1; run `assay lock`"#]].assert_eq(&lines.join("\n"));
}

/// What version 1 wrote.
const OLD: &str = r#"# Written by `assay lock`; do not edit. Run `assay lock` to write it anew.
version = 1
spec = "sha256:b4cdccbde80c199b730a053091f24cf3155953f8b64905999802ecd4d4243a03"
cargo-lock = "sha256:c9a173d32305a3e88d8df9462b9b4263ae8bc7ea40943c2bb3477546c0e587bb"
tier = "T0"
cpus = 2
output-format = 1

[base]
distribution = "debian 12"
tree = "sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2"
"#;

#[test]
fn a_lock_of_version_1_is_answered_with_the_command_that_mends_it() {
    let problem = Lock::parse(FILE, OLD.as_bytes()).expect_err("an older version");
    expect!["assay.lock:2:1: lock version 1 was written by an older assay: this one reads 2 to 3; run `assay lock`"]
        .assert_eq(&problem.one_line());
}

#[test]
fn mutations_never_panic_and_never_pass() {
    let text = sample().to_text();
    fuzz(text.as_bytes(), |bytes| {
        if let Ok(lock) = Lock::parse(FILE, bytes) {
            assert_eq!(lock.to_text().as_bytes(), bytes);
        }
    });
}

#[test]
fn a_stage_with_a_base_of_its_own_is_pinned_for_itself() {
    let mut lock = sample();
    let mut own = sample();
    own.base.tree = digest("small");
    own.toolchains.clear();
    lock.add_stage("package", own.clone());
    let text = lock.to_text();
    let plain = sample().to_text().replacen("version = 2", "version = 3", 1);
    assert!(text.starts_with(&plain), "what all stages see stands as it did");
    assert!(text.contains("\n[[stage]]\nname = \"package\"\n\n[stage.base]\n"), "{text}");
    assert!(text.contains("\n[[stage.base.package]]\n") && !text.contains("[[stage.toolchain]]"), "{text}");
    assert_eq!(Lock::parse(FILE, text.as_bytes()), Ok(lock.clone()));
    assert_eq!(lock.of_stage("package"), own);
    assert_eq!(lock.of_stage("compile"), sample());
}
