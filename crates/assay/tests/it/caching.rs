//! A former build as the answer: a share is built again, and one that differs is an alarm and not used any more.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::place::{Place, git};

const SPEC: &str = r#"version = 1

[project]
name = "drawn"
owners = ["ada@example.org"]

[base]
packages = ["coreutils", "dash"]

[build]
recheck = 0

[[stage]]
name = "draw"

[[stage]]
name = "copy"
inputs = [{ stage = "draw", path = "drawn", at = "/in/drawn" }]

[[step]]
name = "draw"
stage = "draw"
run = ["sh", "-c", "COMMAND > drawn"]

[[step]]
name = "copy"
stage = "copy"
run = ["cp", "/in/drawn", "copied"]

[[artifact]]
name = "copied"
path = "copied"
"#;

/// A project whose first stage keeps what a command prints; locked.
fn project(place: &Place, command: &str) -> PathBuf {
    let here = place.work().join("here");
    fs::create_dir_all(&here).expect("it is writable");
    fs::write(here.join("assay.toml"), SPEC.replace("COMMAND", command)).expect("it is writable");
    git(&here, &["init", "-q"]);
    git(&here, &["add", "."]);
    git(&here, &["commit", "-qm", "draw"]);
    place.assay(&here, &["lock"]).exits(0);
    here
}

#[test]
fn a_former_build_that_is_drawn_and_differs_is_an_alarm_and_not_used_any_more() {
    let place = Place::new("caching-differs");
    let here = project(&place, "head -c 16 /dev/urandom");
    let first = place.json(&here, 0, &["build"]);
    let former = place.json(&here, 0, &["build"]);
    assert_eq!((&former["cached"], &former["run"]), (&json!(true), &first["run"]));

    let alarm = place.json(&here, 1, &["build", "--recheck", "1"]);
    let rebuilt = &alarm["rebuilt"];
    assert_eq!((&rebuilt["equal"], &rebuilt["stages"]), (&json!(false), &json!(["draw"])), "{alarm}");
    let digests = json!([first["artifacts"][0]["digest"], alarm["artifacts"][0]["digest"]]);
    assert_eq!(rebuilt["differences"], json!([{"name": "copied", "digests": digests}]));

    let anew = place.json(&here, 0, &["build"]);
    assert_eq!((&anew["cached"], &anew["distrusted"]), (&json!(false), &rebuilt["statement"]), "{anew}");
    assert!(![&first["run"], &alarm["run"]].contains(&&anew["run"]));
    let text = place.assay(&here, &["build"]).exits(0).stdout;
    assert!(text.contains("a former build was not used, as builds of it differ: sha256:"), "{text}");
    let text = place.assay(&here, &["build", "--again"]).exits(1).stdout;
    assert!(text.contains("NOT equal") && text.contains("stage draw left something else"), "{text}");
}

#[test]
fn a_former_build_that_is_drawn_and_equal_is_used_again() {
    let place = Place::new("caching-equal");
    let here = project(&place, "echo drawn");
    let first = place.json(&here, 0, &["build"]);
    let drawn = place.json(&here, 0, &["build", "--recheck", "1"]);
    assert_eq!((&drawn["cached"], &drawn["rebuilt"]["equal"]), (&json!(false), &json!(true)), "{drawn}");
    assert_eq!((&drawn["recipe"], &drawn["rebuilt"]["stages"]), (&first["recipe"], &json!([])));
    let former = place.json(&here, 0, &["build"]);
    assert_eq!((&former["cached"], &former["run"], &former["rebuilt"]), (&json!(true), &drawn["run"], &Value::Null));

    // What the specification says holds without the option, which goes before it.
    let all = SPEC.replace("COMMAND", "echo drawn").replace("recheck = 0", "recheck = 1");
    fs::write(here.join("assay.toml"), &all).expect("it is writable");
    place.assay(&here, &["lock"]).exits(0);
    place.json(&here, 0, &["build"]);
    assert_eq!(place.json(&here, 0, &["build"])["rebuilt"]["equal"], true);
    assert_eq!(place.json(&here, 0, &["build", "--recheck", "0"])["cached"], true);
    fs::write(here.join("assay.toml"), all.replace("recheck = 1", "recheck = -1")).expect("it is writable");
    let error = place.json(&here, 2, &["build"]);
    assert!(error.to_string().contains("a whole number from 0 to 1000000"), "{error}");
}

/// The step leaves one of two files. The newest comparison decides, so that somebody can trust builds of it again.
#[test]
fn an_equal_comparison_after_one_that_differed_lifts_the_distrust() {
    const TRIES: usize = 60;
    let place = Place::new("caching-lifted");
    let here = project(&place, "echo $(( $(od -An -N1 -tu1 /dev/urandom) % 2 ))");
    let compared = |equal: bool| {
        let found = (0..TRIES).any(|_| {
            let ran = place.assay(&here, &["build", "--again", "--json"]);
            ran.json()["rebuilt"]["equal"] == equal
        });
        assert!(found, "{TRIES} comparisons, none with `equal`: {equal}");
    };
    compared(false);
    assert_eq!(place.json(&here, 0, &["build"])["cached"], false);
    compared(true);
    let trusted = place.json(&here, 0, &["build"]);
    assert_eq!((&trusted["cached"], &trusted["distrusted"]), (&json!(true), &Value::Null), "{trusted}");
}
