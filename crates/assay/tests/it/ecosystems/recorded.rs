//! Commands without a lock file: recorded once with the network, then answered from the record alone.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Upstream, artifact, locked_and_built_twice, outlives_its_upstream, project};
use crate::place::{Place, git};

const SPEC: &str = r#"version = 1
[project]
name = "recorded"
owners = ["ada"]
[base]
packages = ["coreutils", "curl", "dash"]
lock-files = ["assay.record"]
[[step]]
name = "fetch"
run = ["sh", "fetch.sh"]
[[artifact]]
name = "made"
path = "made"
[[test]]
name = "again"
run = ["sh", "fetch.sh"]
format = "exit"
"#;

/// A redirect, a query, an answer of 404, and what a real server says over TLS.
const SCRIPT: &str = r#"set -eu
curl --fail --silent --show-error --location UPSTREAM/moved > made
curl --fail --silent --show-error 'UPSTREAM/query?version=1' >> made
curl --silent --output /dev/null --write-out '%{http_code}\n' UPSTREAM/absent >> made
curl --fail --silent --show-error --range 0-3 UPSTREAM/whole >> made
curl --fail --silent --show-error https://registry.npmjs.org/ms/-/ms-2.1.3.tgz | sha512sum >> made
"#;

fn served(upstream: &Upstream) {
    upstream.answer("/moved", &format!("302 Found\r\nLocation: {}/here\r\nContent-Length: 0", upstream.url()), *b"");
    upstream.serve("/here", *b"here\n");
    upstream.serve("/query?version=1", *b"one\n");
    upstream.serve("/whole", *b"all of it\n");
}

/// Records a command.
#[track_caller]
fn recorded(place: &Place, project: &Path, exit: i32, command: &[&str]) -> Value {
    let arguments = [&["lock", "--json", "--record", "--"], command].concat();
    place.assay(project, &arguments).exits(exit).json()
}

#[test]
fn a_recorded_command_is_answered_from_its_record() {
    let place = Place::new("recorded");
    let upstream = Upstream::at("127.0.0.2");
    served(&upstream);
    let script = SCRIPT.replace("UPSTREAM", &upstream.url());
    let project = project(&place, &[("assay.toml", SPEC), ("fetch.sh", &script)]);
    let error = place.json(&project, 2, &["lock"]);
    assert!(error.to_string().contains("`assay.record` is missing; run `assay lock --record -- COMMAND`"), "{error}");
    let locked = recorded(&place, &project, 0, &["sh", "fetch.sh"]);
    assert_eq!(locked["recorded"], json!(6), "{locked}");
    let record = fs::read_to_string(project.join("assay.record")).expect("the record");
    assert!(record.contains("status = 404") && record.contains("location = \"http://127.0.0.2:"), "{record}");
    assert!(record.contains("url = \"https://registry.npmjs.org/ms/-/ms-2.1.3.tgz\""), "{record}");
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "-m", "recorded"]);
    drop(upstream);
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(built["level"], "full");
    outlives_its_upstream(&place, &project);
    let made = String::from_utf8(artifact(&place, &project, "made")).expect("text");
    assert!(made.starts_with("here\none\n404\nall of it\ne85973b9b4cb646d"), "{made}");
    // A question that was not recorded has no answer, although the network would have one.
    fs::write(project.join("fetch.sh"), "curl --fail https://registry.npmjs.org/ms/-/ms-2.1.2.tgz > made\n")
        .expect("a file");
    let error = place.json(&project, 1, &["build"]);
    assert!(error.to_string().contains("504"), "{error}");
}

#[test]
fn what_cannot_be_answered_again_is_refused_with_its_address() {
    let place = Place::new("unrecorded");
    let upstream = Upstream::at("127.0.0.2");
    upstream.answer("/part", "206 Partial Content\r\nContent-Length: 4\r\nContent-Range: bytes 0-3/9", *b"part");
    upstream.answer("/short", "200 OK\r\nContent-Length: 100", *b"short");
    upstream.answer("/busy", "503 Service Unavailable\r\nContent-Length: 0", *b"");
    let url = upstream.url();
    let project = project(&place, &[("assay.toml", SPEC), ("fetch.sh", "")]);
    let script = format!(
        "curl --silent --data x {url}/post\ncurl --silent {url}/part\ncurl --silent {url}/short\ncurl --silent {url}/busy\n\
         curl --silent --user ada:secret {url}/secret\n"
    );
    fs::write(project.join("fetch.sh"), script).expect("a file");
    let error = recorded(&place, &project, 2, &["sh", "fetch.sh"]);
    let text = error.to_string();
    for expected in [
        &format!("POST {url}/post, asked by `curl/"),
        "what is sent to a server cannot be answered again",
        &format!("{url}/part, asked by `curl/"),
        "a part of the file (206)",
        &format!("{url}/short"),
        "its body was cut off",
        "status 503, which may be another the next time",
        &format!("{url}/secret"),
        "carries a secret",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("ada:secret") && !project.join("assay.record").exists(), "{text}");
    fs::write(project.join("fetch.sh"), "exit 3\n").expect("a file");
    let error = recorded(&place, &project, 1, &["sh", "fetch.sh"]);
    assert!(error.to_string().contains("step `record` ended with exit code 3"), "{error}");
    fs::write(project.join("assay.toml"), SPEC.replace("lock-files = [\"assay.record\"]\n", "")).expect("a file");
    let error = recorded(&place, &project, 2, &["true"]);
    assert!(error.to_string().contains("add `lock-files = ["), "{error}");
}
