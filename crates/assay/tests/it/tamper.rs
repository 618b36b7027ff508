//! Tampering at rest is found: a byte is flipped in every file of a stopped home, one at a time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::{Place, git};

/// A project without a compiler: its home is small, and still has every kind of file.
pub(crate) fn small(place: &Place) -> PathBuf {
    let project = place.work().join("small");
    fs::create_dir(&project).expect("a directory");
    fs::write(
        project.join("assay.toml"),
        r#"version = 1

[project]
name = "small"
owners = ["ada@example.org"]

[base]
packages = ["dash"]

[build]
tier = "T0"
cpus = 1

[[step]]
name = "make"
run = ["/bin/sh", "-c", "echo '#!/bin/sh' > made; echo exit 0 >> made"]

[[artifact]]
name = "small"
path = "made"

[[test]]
name = "says"
run = ["/bin/sh", "-c", ". $ASSAY_ARTIFACTS/small"]
format = "exit"

[environment.production]
policy = "policy.toml"
kind = "release"
check = ["/bin/true"]
"#,
    )
    .expect("assay.toml");
    fs::write(project.join("policy.toml"), "version = 1\nname = \"production\"\n\n[[rules]]\nrule = \"logged\"\n")
        .expect("a policy");
    git(&project, &["init", "--quiet"]);
    place.assay(&project, &["lock"]).exits(0);
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "-m", "small"]);
    place.assay(&project, &["build", "--again"]).exits(0);
    place.assay(&project, &["test"]).exits(0);
    place.assay(&project, &["deploy", "small", "production"]).exits(0);
    place.assay(&project, &["env", "observe", "production"]).exits(0);
    project
}

fn files(directory: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("readable").map(|entry| entry.expect("an entry")) {
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            files(&entry.path(), out);
        } else if kind.is_file() {
            out.push(entry.path());
        }
    }
}

#[test]
fn a_flipped_byte_in_any_file_is_found_and_named() {
    let place = Place::new("tamper");
    let project = small(&place);
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
    let mut all = Vec::new();
    files(&place.home(), &mut all);
    // What runs is observed, not sealed: `env observe` compares it.
    all.retain(|path| !path.starts_with(place.home().join("deployments")));
    all.sort();
    assert!(all.len() > 40, "{} files", all.len());
    for path in &all {
        let bytes = fs::read(path).expect("readable");
        if bytes.is_empty() {
            continue;
        }
        let mode = fs::metadata(path).expect("metadata");
        let times = (mode.modified().expect("a time"), mode.accessed().expect("a time"));
        let mut changed = bytes.clone();
        let at = bytes.len() / 2;
        changed[at] ^= 0x01;
        write(path, &changed, mode.permissions().mode(), times);
        if sealed(&place, path) {
            refused(&place, &project, path);
        }
        let ran = place.assay(&project, &["admin", "fsck", "--json"]).exits(1);
        let found = ran.json();
        let named =
            found["findings"].as_array().expect("findings").iter().any(|f| f["path"] == path.to_str().expect("UTF-8"));
        assert!(named, "{}: {found}", path.display());
        write(path, &bytes, mode.permissions().mode(), times);
    }
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
}

/// Whether the seal is the file's witness, or it is the seal: blobs, trees and tiles have their own.
fn sealed(place: &Place, path: &Path) -> bool {
    let data = place.home().join("data");
    !["blobs", "trees", "log/tile"].iter().any(|name| path.starts_with(data.join(name)))
}

/// An ordinary command says no and names the file, and what can be done.
fn refused(place: &Place, project: &Path, path: &Path) {
    let ran = place.assay(project, &["admin", "status"]).exits(1);
    assert!(ran.stderr.contains(&format!("`{}` ", path.display())), "{}: {}", path.display(), ran.stderr);
    let ledger = path.ends_with("ledger.sqlite");
    let hint = if ledger { "hint: assay admin reindex" } else { "hint: assay admin fsck" };
    assert!(ran.stderr.contains(hint), "{}: {}", path.display(), ran.stderr);
}

/// Opening a home used to remove its seal unseen, so that the command after a tampering sealed the tampered state.
#[test]
fn what_was_changed_on_purpose_is_accepted_and_on_record() {
    let place = Place::new("accept");
    let project = small(&place);
    let accepted = place.json(&project, 0, &["admin", "accept"]);
    assert_eq!(accepted["accepted"].as_array().map(Vec::len), Some(0), "{accepted}");
    let size = || place.json(&project, 0, &["admin", "status"])["size"].as_u64().expect("a size");
    let before = size();

    let key = place.home().join("keys/notes.pem");
    fs::write(&key, "put here by hand\n").expect("written");
    let ledger = place.home().join("data/ledger.sqlite");
    let mut bytes = fs::read(&ledger).expect("readable");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&ledger, &bytes).expect("writable");
    let no = place.json(&project, 1, &["admin", "status"]);
    assert_eq!(no["error"]["code"], "home-changed", "{no}");
    for arguments in [&["why", "small"][..], &["build"], &["admin", "reindex"], &["admin", "trusted-root"]] {
        let ran = place.assay(&project, arguments).exits(1);
        assert!(ran.stderr.contains("keys/notes.pem"), "{arguments:?}: {}", ran.stderr);
    }
    let accepted = place.json(&project, 0, &["admin", "accept"]);
    assert_eq!(accepted["accepted"], serde_json::json!([ledger, key]), "{accepted}");
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
    assert!(size() > before, "the acceptance is in the log");
    let statement = accepted["statement"].as_str().expect("a digest");
    place.assay(&project, &["why", statement]).exits(0);

    // The ledger alone is mended by making it again.
    bytes[at] ^= 3;
    fs::write(&ledger, &bytes).expect("writable");
    refused(&place, &project, &ledger);
    place.assay(&project, &["admin", "reindex"]).exits(0);
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
}

/// A hash tile can be derived: it is named, it stops nothing, and `reindex` writes it again.
#[test]
fn a_damaged_hash_tile_is_rebuilt() {
    let place = Place::new("tile");
    let project = small(&place);
    let mut tiles = Vec::new();
    files(&place.home().join("data/log/tile/0"), &mut tiles);
    let [tile] = &tiles[..] else { panic!("one tile: {tiles:?}") };
    let good = fs::read(tile).expect("readable");
    fs::remove_file(tile).expect("removed");
    assert_eq!(place.json(&project, 1, &["admin", "fsck"])["findings"][0]["path"], tile.to_str().expect("UTF-8"));
    place.assay(&project, &["admin", "status"]).exits(0);
    let rebuilt = place.json(&project, 0, &["admin", "reindex"]);
    assert_eq!(rebuilt["tiles"], serde_json::json!([tile]), "{rebuilt}");
    assert_eq!(fs::read(tile).expect("readable"), good);
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
}

/// A server of another directory makes a log that `trust.json` accepts, and a token: that is no tampering with the home.
#[test]
fn a_server_elsewhere_does_not_break_the_seal() {
    let place = Place::new("elsewhere");
    place.assay(&place.work(), &["admin", "status"]).exits(0);
    for _ in 0..2 {
        let data = place.root().join("elsewhere");
        let mut server = place.program(&place.work());
        server.args(["serve", "--quiet", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        let mut child = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
        assert!(ready.contains("http://127.0.0.1:"), "{ready}");
        place.assay(&place.work(), &["admin", "status"]).exits(0);
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(told.success() && child.wait().expect("waited").success());
        place.assay(&place.work(), &["admin", "status"]).exits(0);
        assert_eq!(place.json(&place.work(), 0, &["admin", "fsck"])["result"], "pass");
    }
}

/// Writes in place, and puts mode and times back, as one who hides would.
fn write(path: &Path, bytes: &[u8], mode: u32, times: (std::time::SystemTime, std::time::SystemTime)) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::write(path, bytes).expect("writable");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    let times = fs::FileTimes::new().set_modified(times.0).set_accessed(times.1);
    fs::File::open(path).and_then(|file| file.set_times(times)).expect("times");
}
