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
