//! Projects that nobody here wrote, by `scripts/real-projects`: two small ones of its list, and that the script tells a
//! difference.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::place::{Place, Ran, ran};
use wire::digest::Digest;

/// The script with a place of its own.
fn script(place: &Place) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/real-projects"));
    command.env("ASSAY", env!("CARGO_BIN_EXE_assay")).env("PLACE", place.work());
    command
}

fn run(command: &mut Command) -> Ran {
    ran(command.output().expect("the script runs: it needs python3"))
}

#[test]
fn two_are_equal_under_hostile_variation() {
    let place = Place::new("real-projects");
    let ran = run(script(&place).args(["bzip2", "six"])).exits(0);
    for says in ["bzip2: equal [", "    libbz2.a sha256:", "six: equal [", "    six.whl sha256:"] {
        assert!(ran.stdout.contains(says), "{says}: {}", ran.stdout);
    }
}

/// A project that asks for the clock, and one that is not what the list says it is.
#[test]
fn a_difference_and_other_bytes_are_told() {
    let place = Place::new("real-difference");
    let project = place.work().join("clock-1.0");
    fs::create_dir(&project).expect("a directory");
    fs::write(project.join("Makefile"), "all: made\nmade:\n\tdate +%s%N > made\n").expect("a file");
    let archive = place.work().join("clock.tar");
    let packed = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(place.work()).arg("clock-1.0").status();
    assert!(packed.is_ok_and(|status| status.success()), "tar runs");
    let digest = Digest::of(&fs::read(&archive).expect("the archive")).to_string();
    let (url, other) = (format!("file://{}", archive.display()), "0".repeat(64));
    let section =
        |name: &str, sha256: &str| format!("[[project]]\nname = \"{name}\"\nurl = \"{url}\"\nsha256 = \"{sha256}\"\n");
    let list = place.work().join("projects.toml");
    let sha256 = digest.strip_prefix("sha256:").expect("a SHA-256");
    fs::write(&list, section("clock", sha256) + &section("substituted", &other)).expect("a file");
    let ran = run(script(&place).env("PROJECTS", &list)).exits(1);
    assert!(ran.stdout.contains("clock: DIFFERS: made is sha256:"), "{}", ran.stdout);
    assert!(ran.stdout.contains(&format!("substituted: DIFFERS: {url} has SHA-256 {sha256}")), "{}", ran.stdout);
}

const ABSENT: &str = r#"version = 1
[project]
name = "absent"
owners = ["ada"]
[base]
packages = ["coreutils", "dash"]
[[step]]
name = "run"
run = ["sh", "-c", "echo done"]
[[artifact]]
name = "made"
path = "dist/made"
"#;

/// Of six, whose wheel had another name than was guessed, it was said that its step ended with exit code 0.
#[test]
fn an_artifact_that_no_step_left_is_named() {
    let place = Place::new("absent");
    let project = super::project(&place, &[("assay.toml", ABSENT)]);
    place.json(&project, 0, &["lock"]);
    let error = place.json(&project, 1, &["build"]);
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("all steps ended with exit code 0, but left nothing at `dist/made`\ndone"), "{error}");
}
