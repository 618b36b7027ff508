//! Tampering at rest is found: a byte is flipped in every file of a stopped home, one at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
        let ran = place.assay(&project, &["admin", "fsck", "--json"]).exits(1);
        let found = ran.json();
        let named =
            found["findings"].as_array().expect("findings").iter().any(|f| f["path"] == path.to_str().expect("UTF-8"));
        assert!(named, "{}: {found}", path.display());
        write(path, &bytes, mode.permissions().mode(), times);
    }
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
}

/// Writes in place, and puts mode and times back, as one who hides would.
fn write(path: &Path, bytes: &[u8], mode: u32, times: (std::time::SystemTime, std::time::SystemTime)) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::write(path, bytes).expect("writable");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    let times = fs::FileTimes::new().set_modified(times.0).set_accessed(times.1);
    fs::File::open(path).and_then(|file| file.set_times(times)).expect("times");
}
