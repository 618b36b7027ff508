//! Builds that a Dockerfile says, as a user sees them: the image is the same wherever it is made, and stock tools read and run it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use build::image::{Bytes, Content, Entry, Spec, assemble};
use serde_json::{Value, json};

use crate::place::{Place, Ran, git, ran};

/// Compiles nothing, but runs, copies, removes and caches as real ones do.
const DOCKERFILE: &str = r#"ARG BASE=base:1
FROM $BASE AS builder
ARG GREETING=hello
WORKDIR /src
COPY --chmod=755 *.sh .
COPY conf/ conf/
RUN --mount=type=cache,target=/cache echo warm > /cache/x && ./make.sh "$GREETING" > /out.txt
RUN <<EOF
mkdir -p /opt/tool/bin
cp greet.sh /opt/tool/bin/greet
date -u +%Y > /opt/tool/year
test ! -e /cache
ls -a /src > /opt/tool/seen
EOF

FROM builder AS tests
RUN false

FROM base:1
COPY --from=builder /opt/tool /opt/tool
COPY --from=builder /out.txt /bin/greeting /etc/
RUN rm /etc/gone && ln -s /opt/tool/bin/greet /usr/bin/greet && id -u > /etc/who && touch /tmp/left && rm /tmp/left
ENV PATH=/opt/tool/bin:$PATH
USER 65532:65532
WORKDIR /data
EXPOSE 8080
LABEL org.opencontainers.image.title="greeter"
ENTRYPOINT ["greet"]
CMD ["you"]
"#;

const SPEC: &str = r#"version = 1

[project]
name = "greeter"
owners = ["ada@example.org"]

[build]
tier = "T2"
dockerfile = "Dockerfile"
args = { GREETING = "good day" }
images = { "base:1" = "oci:base" }

[image]
name = "greeter"
"#;

/// An image of one static program and its names.
fn base(directory: &Path) {
    let found = Command::new("sh").args(["-c", "command -v busybox"]).output().expect("sh runs").stdout;
    let busybox = PathBuf::from(String::from_utf8(found).expect("a path").trim());
    assert!(busybox.is_file(), "`busybox` is missing: `scripts/test` installs it");
    let entry = |path: &str, content| Entry { path: path.to_owned(), content };
    let text = |text: &str| Content::File { bytes: Bytes::Here(text.into()), executable: false };
    let mut entries = vec![
        entry("usr/bin/busybox", Content::File { bytes: Bytes::File(busybox), executable: true }),
        entry("bin", Content::Link { target: "usr/bin".to_owned() }),
        entry("etc/gone", text("x\n")),
        entry("etc/passwd", text("root:x:0:0:root:/root:/bin/sh\n")),
        entry("usr/bin/greeting", text("from the base\n")),
        entry("tmp", Content::Directory { shared: true }),
    ];
    for name in ["cat", "chmod", "cp", "date", "echo", "id", "ln", "ls", "mkdir", "rm", "sh", "stat", "touch"] {
        entries.push(entry(&format!("usr/bin/{name}"), Content::Link { target: "busybox".to_owned() }));
    }
    let image = assemble(&Spec {
        epoch_unix_s: 1_700_000_000,
        architecture: if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }.to_owned(),
        entrypoint: vec!["/bin/sh".to_owned()],
        arguments: Vec::new(),
        user: String::new(),
        ports: Vec::new(),
        variables: [("FROM_BASE".to_owned(), "yes".to_owned())].into(),
        labels: Default::default(),
        base: None,
        entries,
    });
    build::image::write(&image.expect("it is an image"), directory).expect("it is writable");
}

fn project(directory: &Path) {
    fs::create_dir_all(directory.join("conf")).expect("it is writable");
    base(&directory.join("base"));
    for (name, text) in [
        ("Dockerfile", DOCKERFILE),
        ("assay.toml", SPEC),
        (".dockerignore", "base\n*.log\n"),
        ("make.sh", "#!/bin/sh\ntest $FROM_BASE = yes && echo \"$1 from $(ls conf)\"\n"),
        ("greet.sh", "#!/bin/sh\necho \"$(cat /etc/out.txt), $1\"\n"),
        ("conf/name", "x\n"),
        ("conf/debug.log", "kept, since only the top is ignored\n"),
        ("build.log", "ignored\n"),
    ] {
        fs::write(directory.join(name), text).expect("it is writable");
    }
    git(directory, &["init", "-q"]);
    git(directory, &["add", "."]);
    git(directory, &["commit", "-qm", "greet"]);
}

fn podman(place: &Place, arguments: &[&str]) -> Ran {
    let mut podman = Command::new("podman");
    podman.args(["--root", place.root().join("podman").to_str().expect("a path")]);
    podman.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
    ran(podman.args(arguments).output().expect("podman runs"))
}

#[test]
fn a_dockerfile_becomes_the_same_image_everywhere_and_stock_tools_run_it() {
    let place = Place::new("dockerfile");
    let here = place.work().join("here");
    project(&here);
    place.json(&here, 0, &["lock"]);
    place.json(&here, 0, &["lock", "--check"]);
    let built = place.json(&here, 0, &["build", "--output", "../out"]);
    assert_eq!(built["complete"], true, "{built}");
    let names: Vec<&Value> = built["stages"].as_array().expect("a list").iter().map(|stage| &stage["name"]).collect();
    assert_eq!(names, ["builder", "stage-2"], "and not what the image doesn't need");
    assert_eq!(place.json(&here, 0, &["build", "--recheck", "0"])["cached"], true);
    let again = place.json(&here, 0, &["build", "--again"]);
    assert_eq!(again["rebuilt"]["equal"], true, "{again}");

    // Elsewhere, as somebody else where that can be.
    let other = Place::new("dockerfile-other");
    let there = other.work().join("a/longer/path");
    project(&there);
    fs::copy(here.join("assay.lock"), there.join("assay.lock")).expect("it is writable");
    let theirs = as_another_user(&other, &there);
    assert_eq!((&theirs["artifacts"], &theirs["recipe"]), (&built["artifacts"], &built["recipe"]), "{theirs}");

    let image = format!("oci:{}", place.work().join("out/greeter.oci").display());
    let inspected = Command::new("skopeo").args(["inspect", &image]).output().expect("skopeo runs");
    let inspected: Value = serde_json::from_slice(&inspected.stdout).expect("JSON");
    assert_eq!(inspected["Digest"], built["artifacts"][0]["digest"]);
    let layers = inspected["Layers"].as_array().expect("a list");
    assert_eq!(layers.len(), 2, "the base's, and one for the stage");
    let below: Value = serde_json::from_slice(&layer_source(&here)).expect("a manifest");
    assert_eq!(layers[0], below["layers"][0]["digest"], "the base's own, byte for byte");
    assert_eq!(inspected["Labels"]["org.opencontainers.image.title"], "greeter");

    let loaded = podman(&place, &["pull", "--quiet", &image]).exits(0).stdout;
    let run = |more: &[&str]| {
        let fixed = ["run", "--rm", "--runtime", "runc", "--network", "none", "--log-driver", "none"];
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"];
        podman(&place, &[&fixed[..], &limits, more].concat()).exits(0).stdout
    };
    assert_eq!(run(&[loaded.trim()]), "good day from debug.log\nname, you\n");
    let look = "ls -d /etc/gone; cat /etc/who /etc/greeting /opt/tool/year /opt/tool/seen; stat -c '%a %u' /tmp /etc/who; id -u; echo $PWD";
    let seen = run(&["--entrypoint", "sh", loaded.trim(), "-c", look]);
    assert_eq!(seen, "0\nfrom the base\n2026\n.\n..\nconf\ngreet.sh\nmake.sh\n1777 0\n644 0\n65532\n/data\n");
    let why = place.assay(&here, &["why", "greeter", "--all"]).exits(0).stdout;
    for said in ["stage builder: 2 steps", "stage stage-2: 1 step", "oci:base"] {
        assert!(why.contains(said), "{said}: {why}");
    }
    place.assay(&here, &["verify", "greeter"]).exits(0);
}

/// The manifest of the base.
fn layer_source(project: &Path) -> Vec<u8> {
    let index: Value =
        serde_json::from_slice(&fs::read(project.join("base/index.json")).expect("a layout")).expect("JSON");
    let digest = index["manifests"][0]["digest"].as_str().expect("a digest").replace("sha256:", "");
    fs::read(project.join("base/blobs/sha256").join(digest)).expect("the manifest")
}

/// Builds as an ordinary user where the test is root's, else as the same one.
fn as_another_user(place: &Place, project: &Path) -> Value {
    if !rustix::process::geteuid().is_root() {
        return place.json(project, 0, &["build"]);
    }
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(place.root()).status().expect("chown runs");
    assert!(owned.success());
    // A program that anybody may reach.
    let program = place.root().join("assay");
    fs::copy(env!("CARGO_BIN_EXE_assay"), &program).expect("a copy");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program).args(["build", "--json"]);
    command.current_dir(project).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", place.root());
    command.env("ASSAY_HOME", place.home()).env("XDG_CACHE_HOME", place.root().join("cache"));
    ran(command.output().expect("setpriv runs")).exits(0).json()
}

#[test]
fn what_cannot_be_made_again_is_refused_before_anything_is_fetched() {
    let place = Place::new("dockerfile-refused");
    let here = place.work().join("here");
    project(&here);
    let check = |text: &str, line: u64, column: u64, message: &str| {
        fs::write(here.join("Dockerfile"), text).expect("it is writable");
        let error = &place.json(&here, 2, &["lock"])["error"];
        assert_eq!((&error["code"], &error["where"]["file"]), (&json!("dockerfile"), &json!("Dockerfile")), "{error}");
        assert_eq!((&error["where"]["line"], &error["where"]["column"]), (&json!(line), &json!(column)), "{error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(message)), "{error}");
    };
    check("FROM base:1\nFROM debian\n", 2, 6, "it has no digest");
    check("FROM base:1\nRUN true\n  RUN apt-get install -y curl\n", 3, 7, "whatever version");
    check("FROM base:1\nADD http://example.org/x /\n", 2, 5, "no network");
    check("FROM base:1\nBOGUS x\n", 2, 1, "no instruction");
}

#[test]
fn a_copy_of_nothing_and_a_command_that_fails_are_an_honest_no() {
    let place = Place::new("dockerfile-no");
    let here = place.work().join("here");
    project(&here);
    place.json(&here, 0, &["lock"]);
    fs::write(here.join("Dockerfile"), "FROM base:1\nCOPY conf /x\nCOPY base/index.json /\n").expect("it is writable");
    let error = &place.json(&here, 1, &["build"])["error"];
    assert_eq!((&error["where"]["line"], &error["code"]), (&json!(3), &json!("dockerfile")), "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("nothing fits")), "ignored: {error}");
    fs::write(here.join("Dockerfile"), "FROM base:1\nRUN echo seen && exit 3\n").expect("it is writable");
    let error = &place.json(&here, 1, &["build"])["error"];
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("step `stage-0:2` ended with exit code 3") && message.contains("seen"), "{error}");
    // Other images need another lock.
    fs::write(here.join("Dockerfile"), "FROM scratch\nCOPY conf /x\n").expect("it is writable");
    assert_eq!(place.json(&here, 2, &["build"])["error"]["code"], "lock-stale");
    place.json(&here, 0, &["lock"]);
    let built = place.json(&here, 0, &["build", "--again"]);
    assert_eq!((&built["rebuilt"]["equal"], &built["processes"]), (&json!(true), &json!(0)), "{built}");
}
