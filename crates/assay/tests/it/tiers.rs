//! Tiers by the shipped binary: what a step finds follows from the commit alone.

use std::fs;

use serde_json::json;
use wire::digest::Digest;

use crate::place::{Place, git};

const SPEC: &str = r#"version = 1

[project]
name = "small"
owners = ["ada@example.org"]

[base]
packages = ["coreutils", "dash"]

[build]
tier = "T1"
cpus = 1

[[step]]
name = "make"
run = ["/bin/sh", "-c", "uname -r > made; printenv PYTHONHASHSEED >> made; mktemp -u | wc -c >> made"]

[[step]]
name = "pack"
run = ["/bin/sh", "-c", "date +%s >> made; stat -c %Y made assay.toml >> made"]
tier = "T2"
randomness = "seeded"

[[artifact]]
name = "small"
path = "made"
"#;

#[test]
fn a_build_is_a_function_of_its_commit() {
    let place = Place::new("tiers");
    let project = place.work().join("small");
    fs::create_dir(&project).expect("a directory");
    fs::write(project.join("assay.toml"), SPEC).expect("assay.toml");
    git(&project, &["init", "--quiet"]);
    place.assay(&project, &["lock"]).exits(0);
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "-m", "small"]);
    let time = git(&project, &["log", "-1", "--format=%ct"]);
    let made = format!("6.1.0\n0\n20\n{time}\n{time}\n{time}\n");
    let built = place.json(&project, 0, &["build"]);
    assert_eq!(built["artifacts"][0]["digest"], json!(Digest::of(made.as_bytes()).to_string()), "{made}");
    assert_eq!(built["complete"], json!(true));
    let again = place.json(&project, 0, &["build", "--again"]);
    assert_eq!(again["rebuilt"]["equal"], json!(true));
    assert_eq!(again["recipe"], built["recipe"]);
}

/// A script trace changes no artifact; `why --commands` shows the branch that was taken, withholds secrets, and says when there is no record.
#[test]
fn branches_of_scripts_are_shown() {
    let place = Place::new("branches");
    let project = place.work().join("small");
    fs::create_dir(&project).expect("a directory");
    let script =
        "n=5; KEY_TOKEN=hush; if [ \\\"$n$KEY_TOKEN\\\" = 1 ]; then echo one > made; else echo other > made; fi";
    let spec = |trace: &str| {
        let steps = SPEC.split("[[step]]").next().expect("a beginning");
        let artifact = &SPEC[SPEC.find("[[artifact]]").expect("an artifact")..];
        let steps = steps.replace("cpus = 1", &format!("cpus = 1\n{trace}"));
        format!("{steps}[[step]]\nname = \"make\"\nrun = [\"/bin/sh\", \"-c\", \"{script}\"]\n\n{artifact}")
    };
    let build = |trace: &str| {
        fs::write(project.join("assay.toml"), spec(trace)).expect("assay.toml");
        place.assay(&project, &["lock"]).exits(0);
        let built = place.json(&project, 0, &["build"]);
        let shown = place.json(&project, 0, &["why", "small", "--commands"]);
        (built["artifacts"][0]["digest"].clone(), shown)
    };
    git(&project, &["init", "--quiet"]);
    let (digest, without) = build("");
    assert_eq!((&without["scriptRecord"], &without["commands"][0]["lines"]), (&json!("off"), &json!([])));
    let (same, with) = build("script-trace = true");
    assert_eq!((same, &with["scriptRecord"]), (digest, &json!("whole")));
    let lines = with["commands"][0]["lines"].as_array().expect("lines");
    let decided = lines.iter().find(|line| line["decides"] == json!(true)).expect("a condition");
    assert_eq!((&decided["taken"], &decided["values"]["n"]), (&json!("else"), &json!("5")));
    assert!(decided["values"]["KEY_TOKEN"].as_str().is_some_and(|value| value.starts_with("hmac:")), "{decided}");
    assert_eq!(lines.last().expect("a line")["text"], json!("echo other > made"));
}
