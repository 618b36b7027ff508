//! Bad input and bad luck: a clear error with the place and what to do, nothing lost, and the same command works again.

use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::place::{Place, git};
use crate::tamper::small;

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_do() {
    let place = Place::new("errors");
    let work = place.work();
    let error = place.json(&work, 2, &["build"]);
    assert_eq!(
        (error["error"]["code"].as_str(), error["error"]["hint"].as_str()),
        (Some("no-spec"), Some("assay init"))
    );

    fs::write(work.join("assay.toml"), "version = 1\n\n[project]\nname = \"x\"\nownners = []\n").expect("a file");
    let error = place.json(&work, 2, &["build"]);
    let at = &error["error"]["where"];
    assert_eq!(
        (at["file"].as_str(), at["line"].as_u64(), at["column"].as_u64()),
        (Some("assay.toml"), Some(1), Some(1)),
        "{error}"
    );
    assert!(error["error"]["hint"].as_str().expect("a hint").contains("[base]"), "{error}");
    let also = error["error"]["also"].to_string();
    assert!(
        also.contains("assay.toml:5:1: unknown key `ownners`") && also.contains("did you mean `owners`"),
        "{error}"
    );

    let text = place.assay(&work, &["build"]).exits(2);
    assert!(text.stdout.is_empty(), "stdout is data");
    assert!(text.stderr.contains("--> assay.toml:1:1") && text.stderr.contains("version = 1"), "{}", text.stderr);

    let error = place.json(&work, 2, &["verify", "nothing"]);
    assert_eq!(error["error"]["code"], "ref-unknown");
    let error = place.json(&work, 2, &["--server", "http://127.0.0.1:1", "verify", "nothing"]);
    assert!(error["error"]["hint"].is_string(), "{error}");
    place.assay(&work, &["no-such-command"]).exits(2);
}

#[test]
fn a_lock_that_does_not_fit_is_refused_with_the_command_that_mends_it() {
    let place = Place::new("stale");
    let project = small(&place);
    let spec = fs::read_to_string(project.join("assay.toml")).expect("assay.toml");
    fs::write(project.join("assay.toml"), spec.replace("cpus = 1", "cpus = 2")).expect("a file");
    let error = place.json(&project, 2, &["build"]);
    assert_eq!(
        (error["error"]["code"].as_str(), error["error"]["hint"].as_str()),
        (Some("lock-stale"), Some("assay lock"))
    );
    fs::write(project.join("assay.toml"), &spec).expect("a file");
    let lock = fs::read_to_string(project.join("assay.lock")).expect("assay.lock");
    fs::write(project.join("assay.lock"), lock.replacen("sha256:", "sha256:0", 1)).expect("a file");
    let error = place.json(&project, 2, &["build"]);
    assert_eq!(error["error"]["where"]["file"], "assay.lock", "{error}");
    fs::remove_file(project.join("assay.lock")).expect("removed");
    assert_eq!(place.json(&project, 2, &["build"])["error"]["code"], "no-lock");
    place.assay(&project, &["lock"]).exits(0);
    assert_eq!(place.json(&project, 0, &["build", "--recheck", "0"])["cached"], true);
}

#[test]
fn a_step_that_fails_is_an_honest_no_and_states_nothing() {
    let place = Place::new("failing");
    let project = small(&place);
    let before = place.json(&project, 0, &["admin", "status"])["size"].clone();
    let spec = fs::read_to_string(project.join("assay.toml")).expect("assay.toml");
    fs::write(project.join("assay.toml"), spec.replace("echo exit 0 >> made", "echo no luck; exit 7")).expect("a file");
    place.assay(&project, &["lock"]).exits(0);
    let error = place.json(&project, 1, &["build"]);
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains("exit code 7") && message.contains("no luck"), "{message}");
    assert_eq!(place.json(&project, 0, &["admin", "status"])["size"], before);
}

/// The clock went back, or the key is new: what the builder says does not count, neither what is said now nor what was said.
#[test]
fn a_key_whose_time_has_not_come_signs_nothing_that_counts() {
    let place = Place::new("not-yet");
    let project = small(&place);
    assert_eq!(place.json(&project, 0, &["verify", "small"])["result"], "pass");
    let size = || place.json(&project, 0, &["admin", "status"])["size"].clone();
    let file = place.home().join("trust.json");
    let good = fs::read_to_string(&file).expect("trust.json");
    let mut trust: serde_json::Value = serde_json::from_str(&good).expect("JSON");
    for identity in trust["identities"].as_array_mut().expect("identities") {
        if identity["roles"][0] == "builder" {
            identity["validFrom"] = "2999-01-01T00:00:00Z".into();
        }
    }
    // An administrator changes the trust root, and says so.
    let change = |text: &str| {
        fs::write(&file, text).expect("a file");
        place.json(&project, 0, &["admin", "accept"]);
    };
    change(&trust.to_string());
    let before = size();
    // What the builder said is not read at all, so the artifact is not known by it: the question is open.
    for question in [&["verify", "small"][..], &["gate", "small", "--env", "production"]] {
        assert_eq!(place.json(&project, 2, question)["error"]["code"], "ref-unknown");
    }
    let error = place.json(&project, 2, &["build", "--again"]);
    assert!(error["error"]["message"].as_str().expect("a message").contains("is accepted from 2999"), "{error}");
    assert_eq!(size(), before, "nothing was logged meanwhile");
    change(&good);
    assert_eq!(place.json(&project, 0, &["verify", "small"])["result"], "pass");
}

/// kill -9 in the middle of a build: nothing is left running, and the same command works.
#[test]
fn a_killed_build_leaves_nothing_and_can_be_typed_again() {
    let place = Place::new("killed");
    let project = small(&place);
    let spec = fs::read_to_string(project.join("assay.toml")).expect("assay.toml");
    let marker = format!("sleep 0.{}", std::process::id());
    let slow = spec.replace("packages = [\"dash\"]", "packages = [\"dash\", \"coreutils\"]");
    let slow = slow.replace(
        "echo exit 0 >> made",
        &format!("echo exit 0 >> made; echo started; for i in 1 2 3 4 5 6 7 8 9; do {marker}; done"),
    );
    fs::write(project.join("assay.toml"), slow).expect("a file");
    place.assay(&project, &["lock"]).exits(0);
    git(&project, &["commit", "--quiet", "--all", "-m", "slow"]);

    let mut child =
        place.program(&project).args(["build", "--json"]).stdout(Stdio::piped()).spawn().expect("it starts");
    wait_for(|| running(&marker));
    let held = place.json(&project, 2, &["verify", "small"]);
    assert!(held["error"]["message"].as_str().expect("a message").contains("in use by process"), "{held}");
    child.kill().expect("killed");
    child.wait().expect("waited");
    let mut out = String::new();
    child.stdout.take().expect("stdout").read_to_string(&mut out).expect("UTF-8");
    assert!(out.is_empty(), "{out}");
    wait_for(|| !running(&marker));

    let built = place.json(&project, 0, &["build"]);
    assert_eq!(
        (&built["cached"], &built["complete"]),
        (&serde_json::json!(false), &serde_json::json!(true)),
        "{built}"
    );
    let left: Vec<_> = fs::read_dir(place.home().join("runs")).expect("listed").flatten().collect();
    assert!(left.is_empty(), "what the killed build collected is gone: {left:?}");
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
}

/// Whether a process with this text in its arguments runs.
fn running(text: &str) -> bool {
    let wanted = text.replace(' ', "\0");
    fs::read_dir("/proc").expect("proc").filter_map(Result::ok).any(|entry| {
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).starts_with(&wanted)
    })
}

fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come to pass in two minutes");
        std::thread::yield_now();
    }
}
