//! Python's other lock files, from `init` to `test`, with the index deleted afterwards and every cache gone.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{INICONFIG, Upstream, artifact, commit, fetched, locked_and_built_twice, outlives_its_upstream, project};
use crate::place::Place;

const WHEEL: &str = "iniconfig-2.0.0-py3-none-any.whl";
const DIGEST: &str = "b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374";

/// As Poetry 2.1 writes it for a project with an index of its own: it names digests and no addresses.
const POETRY: &str = r#"[[package]]
name = "iniconfig"
version = "2.0.0"
description = "brain-dead simple config-ini parsing"
optional = false
python-versions = ">=3.7"
groups = ["main"]
files = [
    {file = "iniconfig-2.0.0-py3-none-any.whl", hash = "sha256:DIGEST"},
]

[package.source]
type = "legacy"
url = "UPSTREAM/simple"
reference = "own"

[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
content-hash = "0000000000000000000000000000000000000000000000000000000000000000"
"#;

const PYLOCK: &str = r#"lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.9"

[[packages]]
name = "iniconfig"
version = "2.0.0"
index = "UPSTREAM/simple"
wheels = [{ url = "UPSTREAM/f/iniconfig-2.0.0-py3-none-any.whl", size = 5892, hashes = { sha256 = "DIGEST" } }]
"#;

const MAIN: &str = "import iniconfig\n\nprint(iniconfig.__name__)\n";
const TEST: &str = "import unittest\n\nimport iniconfig\n\n\nclass Reads(unittest.TestCase):\n    def test(self):\n        \
                    self.assertTrue(iniconfig.IniConfig)\n";

/// A program with this lock file, as `init` proposes to build it.
fn proposed(place: &Place, upstream: &Upstream, name: &str, lock: &str, manifest: &str) -> PathBuf {
    let lock = lock.replace("UPSTREAM", &upstream.url()).replace("DIGEST", DIGEST);
    let files = [(name, lock.as_str()), ("pyproject.toml", manifest), ("main.py", MAIN), ("tests/test_main.py", TEST)];
    let project = project(place, &files);
    place.assay(&project, &["init"]).exits(0);
    commit(&project);
    project
}

/// Other bytes are refused with both digests; the right ones are built, tested and outlive the index.
#[track_caller]
fn from_an_index_that_is_deleted(place: &Place, upstream: Upstream, project: &Path, lock_file: &str) {
    let path = format!("/f/{WHEEL}");
    upstream.serve("/simple/iniconfig/", format!("<a href=\"/f/{WHEEL}#sha256={DIGEST}\">{WHEEL}</a>\n"));
    upstream.serve(&path, *b"substituted");
    let error = place.json(project, 2, &["lock"]);
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(
        message.contains(&format!("`{lock_file}` says")) || message.contains(&format!("{lock_file} says")),
        "{message}"
    );
    upstream.serve(&path, fetched(INICONFIG));
    let built = locked_and_built_twice(place, project);
    assert_eq!(built["complete"], json!(true));
    drop(upstream);
    outlives_its_upstream(place, project);
    let tar = artifact(place, project, "project.tar");
    assert!(String::from_utf8_lossy(&tar).contains("./lib/iniconfig/__init__.py"));
}

#[test]
fn poetry_outlives_its_index() {
    let place = Place::new("poetry");
    let upstream = Upstream::new();
    let manifest = "[tool.poetry]\npackage-mode = false\n\n[tool.poetry.dependencies]\npython = \">=3.9\"\niniconfig = \"2.0.0\"\n";
    let project = proposed(&place, &upstream, "poetry.lock", POETRY, manifest);
    from_an_index_that_is_deleted(&place, upstream, &project, "poetry.lock");
}

#[test]
fn pylock_outlives_its_index() {
    let place = Place::new("pylock");
    let upstream = Upstream::new();
    let project = proposed(&place, &upstream, "pylock.toml", PYLOCK, "[tool.nothing]\n");
    from_an_index_that_is_deleted(&place, upstream, &project, "pylock.toml");
}
