use expect_test::{Expect, expect};

use super::*;
use crate::testing::fuzz;

pub(crate) mod stages;

pub(crate) const GREETER: &str = r#"version = 1

[project]
name = "greeter"
owners = ["ada@example.org"]

[base]
packages = ["gcc", "libc6-dev"]
toolchains = ["rust"]

[build]
tier = "T0"
cpus = 2
variables = { GREETING = "hello" }

[[step]]
name = "compile"
run = ["cargo", "build", "--release", "--locked"]

[[artifact]]
name = "greeter"
path = "target/release/greeter"

[image]
name = "greeter-image"
artifacts = ["greeter"]
entrypoint = ["/greeter"]
ports = [8080]

[[test]]
name = "unit"
run = ["cargo", "test", "--release", "--locked"]

[environment.staging]
policy = "policies/staging.toml"
kind = "service"
run = ["greeter"]
health = "http://127.0.0.1:8080/health"

[[environment.staging.runbook]]
name = "migrate"
run = ["greeter", "--migrate"]

[environment.tools]
policy = "policies/tools.toml"
kind = "release"
check = ["greeter", "--help"]
"#;

pub(super) fn check(text: &str, expected: Expect) {
    let problems = Spec::parse(FILE, text.as_bytes()).expect_err("it has problems");
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    expected.assert_eq(&text.join("\n"));
}

/// The greeter's specification with one line replaced.
fn with(line: &str, by: &str) -> String {
    assert!(GREETER.contains(line), "{line}");
    GREETER.replacen(line, by, 1)
}

#[test]
fn reads_every_section() {
    let spec = Spec::parse(FILE, GREETER.as_bytes()).expect("it is good");
    assert_eq!(spec.digest, Digest::of(GREETER.as_bytes()));
    assert_eq!(spec.build.variables["GREETING"], "hello");
    assert_eq!((spec.steps.len(), spec.artifacts.len(), spec.tests[0].repetitions), (1, 1, 2));
    let image = spec.image.expect("there is one");
    assert_eq!((image.libraries, image.user.as_str(), image.ports), (Libraries::Closure, "65532:65532", vec![8080]));
    let staging = &spec.environments["staging"];
    assert_eq!(staging.runbook[0].name, "migrate");
    let EnvironmentKind::Service { stop, health, .. } = &staging.kind else { panic!("it is a service") };
    assert_eq!(stop, "SIGTERM");
    assert_eq!(*health, Health::Url("http://127.0.0.1:8080/health".to_owned()));
    let check = vec!["greeter".to_owned(), "--help".to_owned()];
    assert_eq!(spec.environments["tools"].kind, EnvironmentKind::Release { check });
}

#[test]
fn syntax_errors_have_a_place() {
    check(
        "version = 1\n[project\nname = 3\n",
        expect![[r#"
            assay.toml:2:9: unclosed table, expected `]`
              | [project
              |         ^"#]],
    );
}

#[test]
fn several_problems_are_reported_at_once() {
    check(
        &GREETER.replace("owners", "onwers").replace("cpus = 2", "cpus = 0").replace("\"T0\"", "\"T3\""),
        expect![[r#"
            assay.toml:3:1: [project] lacks the key `owners`
              | [project]
              | ^
              = write owners = ["ada@example.org"]: who answers for the project
            assay.toml:5:1: unknown key `onwers` in [project]
              | onwers = ["ada@example.org"]
              | ^
              = did you mean `owners`? allowed: `name`, `owners`
            assay.toml:12:8: `T3` is no value of `tier`
              | tier = "T3"
              |        ^
              = did you mean `T0`? allowed: `T0`, `T1`, `T2`
            assay.toml:13:8: 0 is no value of `cpus`
              | cpus = 0
              |        ^
              = expected a whole number from 1 to 256"#]],
    );
}

#[test]
fn a_file_with_nothing_in_it() {
    check(
        "",
        expect![[r#"
            assay.toml:1:1: the file lacks the key `version`
              | 
              | ^
              = write version = 1
            assay.toml:1:1: the file lacks the key `project`
              | 
              | ^
              = write `[project]` on a line of its own, then its `name` and `owners`
            assay.toml:1:1: the file lacks the key `base`
              | 
              | ^
              = write `[base]` on a line of its own, then packages = ["gcc", "libc6-dev"]
            assay.toml:1:1: the file lacks the key `step`
              | 
              | ^
              = write `[[step]]` on a line of its own, then its `name` and `run`
            assay.toml:1:1: the file lacks the key `artifact`
              | 
              | ^
              = write `[[artifact]]` on a line of its own, then its `name` and `path`"#]],
    );
}

#[test]
fn each_refusal_says_what_is_allowed() {
    let cases = [
        ("version = 1", "version = 2"),
        ("name = \"greeter\"", "name = \"Gree ter\""),
        ("owners = [\"ada@example.org\"]", "owners = []"),
        ("\"libc6-dev\"", "\"libc6-dev=\""),
        ("[\"rust\"]", "[\"rsut\"]"),
        ("tier = \"T0\"", "tier = \"T9\""),
        ("name = \"compile\"", "name = \"compile\"\ntier = \"T1+\"\nrandomness = \"fake\""),
        ("{ GREETING = \"hello\" }", "{ HOME = \"/root\" }"),
        ("{ GREETING = \"hello\" }", "{ API_TOKEN = \"abc\" }"),
        ("{ GREETING = \"hello\" }", "{ \"A B\" = \"x\" }"),
        ("name = \"compile\"", "name = \"compile\"\nnetwork = true"),
        ("name = \"compile\"", "name = \"compile\"\ncwd = \"../x\""),
        ("run = [\"cargo\", \"build\", \"--release\", \"--locked\"]", "run = \"cargo build\""),
        ("run = [\"cargo\", \"build\", \"--release\", \"--locked\"]", "run = []"),
        ("path = \"target/release/greeter\"", "path = \"/usr/bin/greeter\""),
        ("path = \"target/release/greeter\"", "path = \"x\"\nkind = \"directory\""),
        ("name = \"greeter-image\"", "name = \"greeter\""),
        ("artifacts = [\"greeter\"]", "artifacts = [\"greter\"]"),
        ("ports = [8080]", "ports = [80800, \"x\"]"),
        ("ports = [8080]", "user = \"root\""),
        ("name = \"unit\"", "name = \"unit\"\nrepetitions = 1"),
        ("kind = \"service\"", "kind = \"servcie\""),
        ("health = \"http://127.0.0.1:8080/health\"", "health = \"/health\""),
        ("health = \"http://127.0.0.1:8080/health\"", ""),
        ("policy = \"policies/staging.toml\"", ""),
        ("check = [\"greeter\", \"--help\"]", "check = [\"greeter\"]\nrun = [\"greeter\"]"),
        ("[[artifact]]", "[artifact]"),
        ("[[step]]", "[[steps]]"),
    ];
    let mut found = Vec::new();
    for (line, by) in cases {
        let text = with(line, by);
        let problems = Spec::parse(FILE, text.as_bytes()).expect_err(by);
        found.extend(problems.iter().map(Problem::one_line));
    }
    expect![[r#"
        assay.toml:1:11: this version of the format is not known; write version = 1
        assay.toml:4:8: `Gree ter` is no name; a lower-case letter or digit, then up to 63 of those or `-`, `_`, `.`
        assay.toml:5:10: `owners` is empty; name at least one person or team
        assay.toml:8:20: `libc6-dev=` is no name of a Debian package; lower-case letters, digits, `+`, `-` and `.`; with a version as "gcc=4:12.2.0-3"
        assay.toml:9:15: unknown toolchain `rsut`; did you mean `rust`? allowed: `node`, `rust`
        assay.toml:12:8: `T9` is no value of `tier`; did you mean `T0`? allowed: `T0`, `T1`, `T2`
        assay.toml:18:8: `T1+` is no value of `tier`; did you mean `T1`? allowed: `T0`, `T1`, `T2`
        assay.toml:19:14: `fake` is no value of `randomness`; allowed: `real`, `seeded`
        assay.toml:14:15: `HOME` is set by the sandbox, the same everywhere; these are constructed: CARGO_BUILD_JOBS, CARGO_HOME, CARGO_INCREMENTAL, CARGO_NET_OFFLINE, GOENV, GOPROXY, GOSUMDB, GOTOOLCHAIN, HOME, LC_ALL, PATH, PIP_CONFIG_FILE, PIP_FIND_LINKS, PIP_NO_INDEX, PYTHONDONTWRITEBYTECODE, PYTHONHASHSEED, PYTHONNOUSERSITE, SOURCE_DATE_EPOCH, TMPDIR, TZ, USER, npm_config_cache, npm_config_nodedir, npm_config_offline, npm_config_update_notifier
        assay.toml:14:15: `API_TOKEN` looks like a secret, and this file is in every statement; leave it out: secrets never stand in `assay.toml`
        assay.toml:14:15: `A B` is no name of a variable; letters, digits and `_`, no digit first
        assay.toml:18:11: `network = true` cannot be reproduced; no step has a network: what it needs is fetched by `assay lock`, from lock files
        assay.toml:18:7: `../x` is no path below the project; as `target/release/greeter`: no leading `/`, no `..`
        assay.toml:18:7: `run` is a text: a command is a list, since no shell reads it; as run = ["cargo", "build", "--locked"]
        assay.toml:18:7: `run` names no program; as ["cargo", "build"]
        assay.toml:22:8: `/usr/bin/greeter` is no path below the project; as `target/release/greeter`: no leading `/`, no `..`
        assay.toml:23:8: `directory` is no value of `kind`; allowed: `file`
        assay.toml:25:8: `greeter` is the name of an artifact already; as `greeter-image`: statements tell outputs apart by name
        assay.toml:26:14: no artifact is called `greter`; did you mean `greeter`? allowed: `greeter`
        assay.toml:28:10: this is no port; TCP ports, as [8080]
        assay.toml:28:17: this is no port; TCP ports, as [8080]
        assay.toml:28:8: `root` is no user of an image; numbers, as "65532:65532": an image has no user names
        assay.toml:32:15: 1 is no value of `repetitions`; expected a whole number from 2 to 100
        assay.toml:36:8: `servcie` is no value of `kind`; did you mean `service`? allowed: `service`, `release`
        assay.toml:38:10: `/health` is no health check; a URL as "http://127.0.0.1:8080/health", or a command as ["check", "--live"]
        assay.toml:34:1: [environment.staging] lacks the key `health`; write health = "http://127.0.0.1:8080/health", or a command as a list
        assay.toml:34:1: [environment.staging] lacks the key `policy`; write policy = "policies/production.toml"
        assay.toml:48:1: unknown key `run` in [environment.tools]; allowed: `policy`, `kind`, `check`, `runbook`
        assay.toml:20:1: `artifact` is a table here; expected a list of tables: write `[[artifact]]` on a line of its own
        assay.toml:1:1: the file lacks the key `step`; write `[[step]]` on a line of its own, then its `name` and `run`
        assay.toml:16:3: unknown key `steps` in the file; did you mean `step`? allowed: `version`, `project`, `base`, `fetch`, `build`, `limits`, `stage`, `step`, `artifact`, `normalise`, `image`, `test`, `environment`"#]].assert_eq(&found.join("\n"));
}

#[test]
fn names_are_unique() {
    let step = "[[step]]\nname = \"compile\"\nrun = [\"true\"]\n";
    let artifact = "[[artifact]]\nname = \"greeter\"\npath = \"x\"\n";
    check(
        &format!("{GREETER}\n{step}{artifact}"),
        expect![[r#"
            assay.toml:50:8: another step is called `compile`
              | name = "compile"
              |        ^
            assay.toml:53:8: another artifact is called `greeter`
              | name = "greeter"
              |        ^"#]],
    );
}

#[test]
fn size_and_encoding_have_limits() {
    let large = vec![b'#'; SIZE_MAX + 1];
    let problems = Spec::parse(FILE, &large).expect_err("too large");
    assert_eq!(problems[0].message, format!("the file has {} bytes", SIZE_MAX + 1));
    let problems = Spec::parse(FILE, b"version = 1\n# \xff\n").expect_err("no UTF-8");
    assert_eq!((problems[0].line, problems[0].column), (2, 3));
    let deep = "[".repeat(100_000);
    Spec::parse(FILE, format!("a = {deep}").as_bytes()).expect_err("too deep");
}

#[test]
fn mutations_never_panic() {
    fuzz(GREETER.as_bytes(), |bytes| drop(Spec::parse(FILE, bytes)));
}

#[test]
fn fetched_files_and_lock_files_are_read_strictly() {
    let digest = Digest::of(b"");
    let one = |path: &str, more: &str| {
        format!("[[fetch]]\nurl = \"https://x.example/y\"\ndigest = \"{digest}\"\npath = \"{path}\"\n{more}")
    };
    let good =
        format!("{GREETER}\n{}{}", one("/fetched/a/b", "executable = true\n"), one("/fetched/c", "unpack = true\n"));
    let spec = Spec::parse("assay.toml", good.as_bytes()).expect("it is good");
    assert_eq!(
        spec.fetches.iter().map(|fetch| fetch.path.as_str()).collect::<Vec<_>>(),
        ["/fetched/a/b", "/fetched/c"]
    );
    let cases = [
        one("/usr/bin/x", ""),
        one("/fetched/../x", ""),
        one("/fetched/a", "unpack = true\nexecutable = true\n"),
        format!("{}{}", one("/fetched/a", ""), one("/fetched/a/b", "")),
        one("/fetched/a", "").replace("https", "ftp"),
        one("/fetched/a", "").replace("sha256:", "md5:"),
        one("/fetched/a", "").replace("digest", "sum"),
    ];
    let mut found = Vec::new();
    for case in &cases {
        let problems = Spec::parse("a", format!("{GREETER}\n{case}").as_bytes()).expect_err(case);
        found.extend(problems.iter().map(Problem::one_line));
    }
    for lock_files in ["[\"Pipfile.lock\"]", "[\"../Cargo.lock\"]", "[\"Cargo.lock\", \"./Cargo.lock\"]"] {
        let text = GREETER.replacen("[base]\n", &format!("[base]\nlock-files = {lock_files}\n"), 1);
        let problems = Spec::parse("a", text.as_bytes()).expect_err(lock_files);
        found.extend(problems.iter().map(Problem::one_line));
    }
    expect![[r#"
        a:52:8: `/usr/bin/x` does not lie below `/fetched`; as `/fetched/words.txt`: steps find it there
        a:52:8: `../x` is no path below the project; as `target/release/greeter`: no leading `/`, no `..`
        a:53:10: an archive's files keep their own executable bit; take one of the two
        a:53:1: `/fetched/a/b` and `/fetched/a` overlap; each file or archive has a place of its own
        a:50:7: `ftp://x.example/y` is no URL that is fetched; as `https://…`
        a:51:10: `md5:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b` is no digest; as `sha256:` and 64 hexadecimal digits, or `sha512:` and 128
        a:49:1: [[fetch]] lacks the key `digest`; write digest = "sha256:…": what the bytes must be, as `sha256sum` says it
        a:51:1: unknown key `sum` in [[fetch]]; allowed: `url`, `digest`, `path`, `executable`, `unpack`
        a:8:15: `Pipfile.lock` is no lock file that is read; read are: Cargo.lock, go.sum, package-lock.json, requirements.txt, uv.lock, poetry.lock, pylock.toml, yarn.lock, pnpm-lock.yaml, assay.record
        a:8:15: `../Cargo.lock` is no path below the project; as `target/release/greeter`: no leading `/`, no `..`
        a:8:29: `Cargo.lock` is named twice"#]].assert_eq(&found.join("\n"));
}

#[test]
fn a_dockerfile_says_the_build() {
    let spec = "version = 1\n[project]\nname = \"x\"\nowners = [\"ada\"]\n[build]\ndockerfile = \"Dockerfile\"\n[image]\nname = \"x\"\n";
    let read = Spec::parse(FILE, spec.as_bytes()).expect("it is good");
    assert_eq!((read.steps.len(), read.artifacts.len()), (0, 0));
    let more = "target = \"run\"\nargs = { A = \"1\", DB_PASSWORD = \"x\" }\nimages = { \"debian:12\" = \"debian:12\" }\n[image]\nentrypoint = [\"/x\"]\n";
    check(
        &format!("{}[[step]]\nname = \"a\"\nrun = [\"b\"]\n", spec.replace("[image]\n", more)),
        expect![[r#"
        assay.toml:8:19: `DB_PASSWORD` looks like a secret, and this file is in every statement
          | args = { A = "1", DB_PASSWORD = "x" }
          |                   ^
          = leave it out: secrets never stand in `assay.toml`
        assay.toml:9:12: image `debian:12`: it names no registry
          | images = { "debian:12" = "debian:12" }
          |            ^
          = as "HOST/NAME[:TAG]@sha256:…", or "oci:DIR[@sha256:…]" for a layout
        assay.toml:11:1: unknown key `entrypoint` in [image]
          | entrypoint = ["/x"]
          | ^
          = allowed: `name`
        assay.toml:13:1: `step` and a Dockerfile
          | [[step]]
          | ^
          = the Dockerfile says the build: leave one of the two out"#]],
    );
    check(
        &GREETER.replace("cpus = 2", "target = \"run\""),
        expect![[r#"
        assay.toml:13:10: `target` is for a build with a Dockerfile
          | target = "run"
          |          ^
          = write dockerfile = "Dockerfile", or leave it out"#]],
    );
}
