//! `assay export` and `assay verify --offline`: one file, checked where there is neither home nor network.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::place::{Place, Ran, ran};
use crate::tamper::small;

/// Verifies in a network namespace without any interface that is up, with a home that does not exist.
fn offline(work: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", env!("CARGO_BIN_EXE_assay"), "--json", "verify", "--offline"]);
    ran(command.args(arguments).env("ASSAY_HOME", work.join("no-home")).current_dir(work).output().expect("it runs"))
}

/// M4.2 M10.3: a kit is verified by itself; each changed byte is found, and a stranger's trust accepts nothing.
#[test]
fn a_kit_is_verified_without_home_and_network() {
    let place = Place::new("kit");
    let project = small(&place);
    place.json(&project, 0, &["build"]);
    let name = fs::read_to_string(project.join("assay.toml")).expect("a project");
    let name = name.split("[[artifact]]\nname = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a name");
    let exported = place.json(&project, 0, &["export", name, "-o", "a.tar"]);
    assert!(exported["statements"].as_u64() >= Some(2), "{exported}");
    place.json(&project, 0, &["export", name, "-o", "b.tar"]);
    let kit = fs::read(project.join("a.tar")).expect("a kit");
    assert_eq!(kit, fs::read(project.join("b.tar")).expect("a kit"), "the same bytes twice");
    place.json(&project, 2, &["export", name, "-o", "a.tar"]);
    let listed = Command::new("tar").arg("-tf").arg(project.join("a.tar")).output().expect("tar runs");
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("index.json\nblobs/sha256-"), "{listed:?}");

    fs::copy(place.home().join("trust.json"), project.join("trust.json")).expect("copied");
    let good = offline(&project, &["a.tar", "--trust", "trust.json"]).exits(0).json();
    assert_eq!((&good["result"], &good["trust"]), (&"pass".into(), &"file".into()));
    assert_eq!(offline(&project, &["a.tar", "--trust-kit"]).exits(0).json()["trust"], "kit");
    assert_eq!(offline(&project, &["a.tar"]).exits(2).json()["error"]["code"], "trust");
    let stranger = Place::new("kit-stranger");
    place_trust(&stranger, &project);
    offline(&project, &["a.tar", "--trust", "stranger.json"]).exits(1);
    assert!(!project.join("no-home").exists());

    // A byte in every block: of each header, of each member, of what fills a block, and of the end.
    for at in (0..kit.len()).step_by(512).map(|block| block + (block / 512 * 37) % 512) {
        let mut changed = kit.clone();
        changed[at] ^= 1;
        fs::write(project.join("c.tar"), changed).expect("written");
        let answer = place.assay(&project, &["--json", "verify", "--offline", "c.tar", "--trust", "trust.json"]);
        assert_eq!(answer.exits(1).json()["error"]["code"], "kit-damaged", "byte {at}");
    }
    fs::write(project.join("c.tar"), &kit[..kit.len() - 1]).expect("written");
    offline(&project, &["c.tar", "--trust", "trust.json"]).exits(1);
}

fn place_trust(stranger: &Place, project: &Path) {
    let other = small(stranger);
    stranger.json(&other, 0, &["build"]);
    fs::copy(stranger.home().join("trust.json"), project.join("stranger.json")).expect("copied");
}
