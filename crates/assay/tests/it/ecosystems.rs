//! Each ecosystem by the shipped binary: init or a written specification, lock, built twice with equal digests at level
//! full, tested, and built once more after upstream deleted what was fetched.

mod upstream;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wire::digest::Digest;

use crate::place::{Place, git};
use upstream::Upstream;

/// Commits a project, so that it has a commit time.
fn commit(project: &Path) {
    git(project, &["init", "--quiet"]);
    git(project, &["add", "--all"]);
    git(project, &["commit", "--quiet", "-m", "as it is"]);
}

/// Makes a project of files and commits it.
fn project(place: &Place, files: &[(&str, &str)]) -> PathBuf {
    let project = place.work().join("project");
    for (path, text) in files {
        let path = project.join(path);
        fs::create_dir_all(path.parent().expect("it lies in the project")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    commit(&project);
    project
}

/// Locks twice with equal bytes, builds twice with equal digests, and returns what the second build says.
#[track_caller]
fn locked_and_built_twice(place: &Place, project: &Path) -> Value {
    place.json(project, 0, &["check"]);
    place.json(project, 0, &["lock"]);
    assert_eq!(place.json(project, 0, &["lock"])["changed"], false);
    let built = place.json(project, 0, &["build"]);
    assert_eq!((&built["level"], &built["complete"]), (&json!("full"), &json!(true)), "{built}");
    rebuilt(place, project)
}

#[track_caller]
fn rebuilt(place: &Place, project: &Path) -> Value {
    let built = place.json(project, 0, &["build", "--again"]);
    assert_eq!(built["rebuilt"]["equal"], true, "{built}");
    built
}

/// The bytes of the artifact of a name.
fn artifact(place: &Place, project: &Path, name: &str) -> Vec<u8> {
    let out = place.work().join("out");
    place.assay(project, &["build", "--output", out.to_str().expect("UTF-8")]).exits(0);
    fs::read(out.join(name)).expect("the artifact")
}

#[test]
fn c_with_a_makefile() {
    let place = Place::new("c");
    let project = place.copy("examples/tally");
    place.assay(&project, &["init"]).exits(0);
    commit(&project);
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(built["artifacts"][0]["name"], "tally");
    assert_eq!(place.json(&project, 0, &["test"])["result"], "pass");
}

const FETCHING: &str = r#"version = 1
[project]
name = "fetching"
owners = ["ada"]
[base]
packages = ["coreutils", "dash"]
[[fetch]]
url = "URL/tool.sh"
digest = "DIGEST"
path = "/fetched/tool/tool.sh"
executable = true
[[step]]
name = "run"
run = ["sh", "-c", "/fetched/tool/tool.sh > made"]
[[artifact]]
name = "made"
path = "made"
"#;

#[test]
fn a_file_by_url_and_digest_outlives_its_upstream() {
    let place = Place::new("fetch");
    let upstream = Upstream::new();
    let tool = b"#!/bin/sh\necho made by a tool\n";
    let spec = FETCHING.replace("URL", &upstream.url()).replace("DIGEST", &Digest::of(tool).to_string());
    let project = project(&place, &[("assay.toml", &spec)]);
    let error = place.json(&project, 2, &["lock"]);
    assert!(error["error"]["message"].as_str().expect("a message").contains("/tool.sh` answered with status 404"), "{error}");
    upstream.serve("/tool.sh", *b"#!/bin/sh\necho something else\n");
    let error = place.json(&project, 2, &["lock"]);
    let message = error["error"]["message"].as_str().expect("a message");
    let other = Digest::of(b"#!/bin/sh\necho something else\n");
    assert!(message.contains(&other.to_string()) && message.contains(&Digest::of(tool).to_string()), "{message}");
    upstream.serve("/tool.sh", *tool);
    locked_and_built_twice(&place, &project);
    drop(upstream);
    rebuilt(&place, &project);
    assert_eq!(place.json(&project, 0, &["lock", "--check"])["changed"], false, "nothing is asked for again");
    assert_eq!(artifact(&place, &project, "made"), b"made by a tool\n");
}

/// cJSON 1.7.15, as Debian keeps its upstream's release: nobody here wrote it.
const CJSON: &str = r#"version = 1
[project]
name = "cjson"
owners = ["ada"]
[base]
packages = ["cmake", "coreutils", "dash", "gcc", "libc6-dev", "make"]
[[fetch]]
url = "http://deb.debian.org/debian/pool/main/c/cjson/cjson_1.7.15.orig.tar.gz"
digest = "sha256:5308fd4bd90cef7aa060558514de6a1a4a0819974a26e6ed13973c5f624c24b2"
path = "/fetched/cjson"
unpack = true
[[step]]
name = "configure"
run = ["cmake", "-S", "/fetched/cjson/cJSON-1.7.15", "-B", "out", "-DENABLE_CJSON_TEST=Off"]
[[step]]
name = "compile"
run = ["cmake", "--build", "out"]
[[artifact]]
name = "libcjson"
path = "out/libcjson.so.1.7.15"
"#;

#[test]
fn somebody_elses_library_with_cmake() {
    let place = Place::new("cjson");
    let project = project(&place, &[("assay.toml", CJSON)]);
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(built["artifacts"][0]["name"], "libcjson");
    assert!(artifact(&place, &project, "libcjson").starts_with(b"\x7fELF"));
}
