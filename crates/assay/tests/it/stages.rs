//! Builds of several stages, as a user sees them: each sees what it declares, and hands on by digest.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::place::{Place, git};

const SPEC: &str = r#"version = 1

[project]
name = "greeter"
owners = ["ada@example.org"]

[base]
packages = ["coreutils", "dash", "gcc", "libc6-dev"]

[[stage]]
name = "compile"

[[stage]]
name = "try"
inputs = [{ stage = "compile", path = "out/greeter", at = "/in/greeter" }]

[[stage]]
name = "package"
base = { packages = ["coreutils", "dash", "tar"] }
inputs = [
    { stage = "compile", path = "out", at = "/in/out" },
    { stage = "try", path = "report.txt", at = "/in/report.txt" },
]

[[step]]
name = "cc"
stage = "compile"
run = ["sh", "-c", "mkdir -p out/empty && gcc -static -o out/greeter greeter.c && ln -s greeter out/hello"]

[[step]]
name = "run"
stage = "try"
run = ["sh", "-c", "/in/greeter > report.txt && test ! -e greeter.c && gcc --version"]

[[step]]
name = "look"
stage = "package"
run = ["sh", "-c", "for it in gcc /usr/bin/gcc /build/greeter.c /in/greeter; do ! command -v $it && ! test -e $it || exit 9; done"]

[[step]]
name = "pack"
stage = "package"
run = ["sh", "-c", "cp -rL /in/. . && tar --sort=name --mtime=@$SOURCE_DATE_EPOCH -cf greeter.tar out report.txt"]

[[artifact]]
name = "archive"
path = "greeter.tar"

[[artifact]]
name = "greeter"
stage = "compile"
path = "out/greeter"

[image]
name = "greeter-image"
artifacts = ["greeter"]
entrypoint = ["/greeter"]

[[test]]
name = "in-package"
stage = "package"
run = ["sh", "-c", "test -x /in/out/hello && test -d /in/out/empty && ! test -e greeter.c && test -x /artifacts/greeter"]
format = "exit"

[[test]]
name = "in-compile"
run = ["sh", "-c", "test -e greeter.c && gcc --version && ! test -e /in"]
format = "exit"
"#;

const SOURCE: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";

fn project(directory: &Path) {
    fs::create_dir_all(directory).expect("it is writable");
    fs::write(directory.join("assay.toml"), SPEC).expect("it is writable");
    fs::write(directory.join("greeter.c"), SOURCE).expect("it is writable");
    git(directory, &["init", "-q"]);
    git(directory, &["add", "."]);
    git(directory, &["commit", "-qm", "greet"]);
}

#[test]
fn each_stage_sees_what_it_declares_and_hands_on_by_digest() {
    let place = Place::new("stages");
    let here = place.work().join("here");
    project(&here);
    let lock = place.json(&here, 0, &["lock"]);
    assert_eq!(place.json(&here, 0, &["lock", "--check"])["lock"], lock["lock"]);
    let text = fs::read_to_string(here.join("assay.lock")).expect("it is written");
    let (all, own) = text.split_once("[[stage]]\nname = \"package\"").expect("the stage has a base of its own");
    assert!(all.contains("name = \"gcc\"") && !own.contains("name = \"gcc\""), "{text}");

    let built = place.json(&here, 0, &["build", "--output", "../out"]);
    assert_eq!(built["complete"], true, "{built}");
    let stages = built["stages"].as_array().expect("a list");
    let named: Vec<&Value> = stages.iter().map(|stage| &stage["name"]).collect();
    assert_eq!(named, ["compile", "try", "package"]);
    let tree_of = |stage: &Value, path: &str| {
        let outputs = stage["outputs"].as_array().expect("a list");
        outputs.iter().find(|output| output["path"] == path).expect("it was left")["tree"].clone()
    };
    assert_eq!(stages[1]["inputs"][0]["tree"], tree_of(&stages[0], "out/greeter"));
    assert_eq!(stages[2]["inputs"][0]["tree"], tree_of(&stages[0], "out"));
    assert_eq!(stages[2]["inputs"][1]["tree"], tree_of(&stages[1], "report.txt"));
    let listed = std::process::Command::new("tar").arg("tf").arg(place.work().join("out/archive")).output();
    let listed = String::from_utf8(listed.expect("tar runs").stdout).expect("names");
    assert_eq!(listed, "out/\nout/empty/\nout/greeter\nout/hello\nreport.txt\n");

    // Nothing changed: the build is the answer, for all of its stages.
    assert_eq!(place.json(&here, 0, &["build", "--recheck", "0"])["cached"], true);
    // The same elsewhere, and a second time: plans, trees and artifacts.
    let there = place.work().join("another/place");
    project(&there);
    fs::copy(here.join("assay.lock"), there.join("assay.lock")).expect("it is writable");
    let again = place.json(&there, 0, &["build", "--again"]);
    assert_eq!((&again["rebuilt"]["equal"], &again["stages"]), (&Value::Bool(true), &built["stages"]), "{again}");
    assert_eq!((&again["artifacts"], &again["recipe"]), (&built["artifacts"], &built["recipe"]));

    place.json(&here, 0, &["test"]);
    let why = place.assay(&here, &["why", "archive", "--all"]).exits(0).stdout;
    for said in ["stage compile: 1 step", "stage try: 1 step", "stage package: 2 steps", "compile: out/greeter"] {
        assert!(why.contains(said), "{said}: {why}");
    }
    // The run's traces are those of its stages, each with the steps of its own.
    let commands = place.json(&here, 0, &["why", "archive", "--commands"]);
    let steps =
        |stage: &Value| stage["steps"].as_array().expect("steps").iter().filter(|step| !step["exit"].is_null()).count();
    let ran: Vec<_> =
        commands["stages"].as_array().expect("stages").iter().map(|one| (one["name"].clone(), steps(one))).collect();
    assert_eq!(ran, [("compile".into(), 1), ("try".into(), 1), ("package".into(), 2)]);
    place.assay(&here, &["verify", "archive"]).exits(0);
}

#[test]
fn what_a_stage_does_not_leave_fails_the_build() {
    let place = Place::new("stages-absent");
    let here = place.work().join("here");
    project(&here);
    let spec = SPEC.replace("/in/greeter > report.txt && ", "");
    fs::write(here.join("assay.toml"), spec).expect("it is writable");
    place.json(&here, 0, &["lock"]);
    let error = place.assay(&here, &["build"]).exits(1).stderr;
    assert!(error.contains("left nothing at `report.txt`"), "{error}");
}
