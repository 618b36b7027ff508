//! The home's keys: a rotation loses nothing, however it ends; a revoked key counts no longer, and what it did is listed.
//!
//! M3.2 M6.3 M10.3 M11.5

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::place::Place;
use crate::serving::Server;
use crate::tamper::small;

/// The rows of `admin key list` with a name.
fn keys(place: &Place, name: &str) -> Vec<Value> {
    let list = place.json(&place.work(), 0, &["admin", "key", "list"]);
    let rows = list["keys"].as_array().expect("keys").clone();
    rows.into_iter().filter(|row| row["name"] == name).collect()
}

/// Id of the key that the home signs with under a name: exactly one.
fn signs(place: &Place, name: &str) -> String {
    let signing: Vec<Value> = keys(place, name).into_iter().filter(|row| row["state"] == "signs").collect();
    let [one] = &signing[..] else { panic!("`{name}` signs with {signing:?}") };
    one["keyId"].as_str().expect("an id").to_owned()
}

/// Has the admin's key sign something.
fn state(place: &Place, what: &str) -> String {
    let digest = format!("sha256:{:064x}", what.bytes().fold(7_u128, |sum, byte| sum * 131 + u128::from(byte)));
    let arguments = ["reference", "add", what, &digest, "--source", "https://example.org/a"];
    let added = place.json(&place.work(), 0, &arguments);
    added["statement"].as_str().expect("a statement").to_owned()
}

fn whole(place: &Place) {
    assert_eq!(place.json(&place.work(), 0, &["admin", "fsck"])["result"], "pass");
    assert_eq!(place.json(&place.work(), 0, &["admin", "key", "check"])["result"], "pass");
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn time(unix_s: u64) -> String {
    let text = Command::new("date").args(["--utc", "--date", &format!("@{unix_s}"), "+%Y-%m-%dT%H:%M:%SZ"]).output();
    String::from_utf8(text.expect("date runs").stdout).expect("text").trim().to_owned()
}

fn until_after(unix_s_then: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while unix_s() <= unix_s_then {
        assert!(Instant::now() < deadline, "the clock stands still");
        std::thread::yield_now();
    }
}

#[test]
fn a_rotated_key_keeps_its_window_and_its_word() {
    let place = Place::new("rotate");
    let work = place.work();
    let before = state(&place, "before");
    let old = signs(&place, "admin");
    let rotated = place.json(&work, 0, &["admin", "key", "rotate", "admin", "--overlap", "30d"]);
    let new = signs(&place, "admin");
    assert_eq!((rotated["key"].as_str(), rotated["successor"].as_str()), (Some(&old[..]), Some(&new[..])), "{rotated}");
    assert_ne!(old, new);
    assert_eq!(rotated["verified"], 1, "the admin alone has signed: {rotated}");
    let rows = keys(&place, "admin");
    assert_eq!((&rows[0]["state"], &rows[0]["validUntil"]), (&json!("accepted"), &rotated["until"]), "{rows:?}");
    assert_eq!((&rows[1]["state"], &rows[1]["validUntil"]), (&json!("signs"), &Value::Null), "{rows:?}");
    assert_eq!(rows[1]["validFrom"], rotated["from"]);
    let after = state(&place, "after");
    for statement in [&before, &after, rotated["statement"].as_str().expect("on record")] {
        place.assay(&work, &["why", statement]).exits(0);
    }
    let walked = place.assay(&work, &["where", &new]).exits(0);
    assert!(walked.stdout.contains("https://assay.dev/trust/v1"), "{}", walked.stdout);
    let check = place.json(&work, 0, &["admin", "key", "check"]);
    let verified = |id: &str| {
        let rows = check["keys"].as_array().expect("keys");
        rows.iter().find(|row| row["keyId"] == id).map(|row| row["verified"].clone())
    };
    assert_eq!((verified(&old), verified(&new)), (Some(json!(2)), Some(json!(1))), "{check}");
    whole(&place);

    // Another rotation ends the window of the second alone.
    place.json(&work, 0, &["admin", "key", "rotate", "admin"]);
    assert_eq!(keys(&place, "admin").len(), 3);
    assert_eq!(keys(&place, "admin")[0]["validUntil"], rotated["until"]);
    whole(&place);
}

#[test]
fn a_successor_waits_for_its_time() {
    let place = Place::new("rotate-at");
    let work = place.work();
    let old = signs(&place, "tester");
    let at = time(unix_s() + 3600);
    let rotated = place.json(&work, 0, &["admin", "key", "rotate", "tester", "--at", &at]);
    let new = rotated["successor"].as_str().expect("an id").to_owned();
    assert_eq!((&rotated["ended"], &rotated["from"]), (&json!(false), &json!(at)), "{rotated}");
    assert_eq!(signs(&place, "tester"), old);
    assert_eq!(keys(&place, "tester")[1]["state"], "waits");
    assert_eq!(place.json(&work, 2, &["admin", "key", "rotate", "tester"])["error"]["code"], "rotation-waits");
    whole(&place);

    // Its time has come, by a window that begins now: whoever opens the home next puts it in its place.
    let path = place.home().join("trust.json");
    let text = fs::read_to_string(&path).expect("trust.json");
    fs::write(&path, text.replace(&at, &time(unix_s()))).expect("written");
    place.assay(&work, &["admin", "accept"]).exits(0);
    assert_eq!(signs(&place, "tester"), new);
    assert!(!place.home().join("keys/tester.next.pem").exists());
    whole(&place);

    // One that is revoked while it waits never signs, and is no obstacle to another.
    let waits = place.json(&work, 0, &["admin", "key", "rotate", "tester", "--at", &at]);
    revoke(&place, 0, waits["successor"].as_str().expect("an id"), &time(unix_s()));
    assert_eq!(signs(&place, "tester"), new);
    let rotated = place.json(&work, 0, &["admin", "key", "rotate", "tester"]);
    assert_ne!(rotated["successor"], waits["successor"]);
    assert_eq!(rotated["successor"].as_str(), Some(&signs(&place, "tester")[..]));
    whole(&place);
}

#[test]
fn what_cannot_be_rotated_is_said() {
    let place = Place::new("rotate-bad");
    let work = place.work();
    place.assay(&work, &["admin", "status"]).exits(0);
    let trust = fs::read(place.home().join("trust.json")).expect("trust.json");
    for (arguments, word) in [
        (&["nobody"][..], "has no key"),
        (&["ca"], "has no key"),
        (&["../admin"], "has no key"),
        (&["admin", "--overlap", "0s"], "--overlap"),
        (&["admin", "--overlap", "week"], "--overlap"),
        (&["admin", "--at", "2001-01-01T00:00:00Z"], "past"),
        (&["admin", "--at", "soon"], "--at"),
    ] {
        let ran = place.assay(&work, &[&["admin", "key", "rotate"], arguments].concat()).exits(2);
        assert!(ran.stderr.contains(word), "{arguments:?}: {}", ran.stderr);
    }
    let server = Server::start(&place);
    let ran = place.assay(&work, &["admin", "key", "rotate", "admin"]).exits(2);
    assert!(ran.stderr.contains("stop `assay serve` first"), "{}", ran.stderr);
    let ran = place.assay(&work, &["admin", "revoke", "--key", "admin", "--from", &time(unix_s()), "--reason", "x"]);
    assert!(ran.exits(2).stderr.contains("stop `assay serve` first"));
    server.stop();
    assert_eq!(keys(&place, "admin").len(), 1);
    assert!(!place.home().join("keys/admin.next.pem").exists());
    let without = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON")["identities"].clone();
    assert_eq!(without(&fs::read(place.home().join("trust.json")).expect("trust.json")), without(&trust));
    whole(&place);
}

/// Each state that a crash can leave, made by hand: no home is without a key that counts, and the same command ends it.
#[test]
fn a_rotation_that_was_cut_off_is_ended_by_the_same_command() {
    let place = Place::new("rotate-cut");
    let work = place.work();
    let own = place.home().join("keys/admin.pem");
    let next = place.home().join("keys/admin.next.pem");
    let seal = place.home().join("data/seal.json");
    state(&place, "first");
    let old = fs::read(&own).expect("a key");

    // Killed after the trust root was replaced: any command puts the key in its place.
    let rotated = place.json(&work, 0, &["admin", "key", "rotate", "admin"]);
    let new = signs(&place, "admin");
    for ender in [&["admin", "status"][..], &["admin", "key", "rotate", "admin"]] {
        fs::rename(&own, &next).expect("moved");
        fs::write(&own, &old).expect("written");
        fs::remove_file(&seal).expect("a crash leaves no seal");
        let ended = place.json(&work, 0, ender);
        assert_eq!(signs(&place, "admin"), new, "{ended}");
        assert!(!next.exists());
        assert_eq!(keys(&place, "admin").len(), 2, "nothing was rotated again");
    }
    assert_eq!(rotated["successor"], new);
    whole(&place);

    // Killed before: the successor that was made is the one that is taken, and until then the old one signs.
    let other = Place::new("rotate-other");
    other.assay(&other.work(), &["admin", "status"]).exits(0);
    fs::copy(other.home().join("keys/admin.pem"), &next).expect("copied");
    fs::remove_file(&seal).expect("a crash leaves no seal");
    state(&place, "second");
    assert_eq!(signs(&place, "admin"), new);
    let rotated = place.json(&work, 0, &["admin", "key", "rotate", "admin"]);
    assert_eq!(rotated["successor"].as_str(), Some(&signs(&other, "admin")[..]));
    assert_eq!(signs(&place, "admin"), signs(&other, "admin"));
    state(&place, "third");
    whole(&place);

    // A successor that cannot be read is named, and nothing is lost by removing it.
    fs::write(&next, "no key\n").expect("written");
    fs::remove_file(&seal).expect("a crash leaves no seal");
    let ran = place.assay(&work, &["admin", "key", "rotate", "admin"]).exits(2);
    assert!(ran.stderr.contains("admin.next.pem") && ran.stderr.contains("remove it"), "{}", ran.stderr);
    fs::remove_file(&next).expect("removed");
    state(&place, "fourth");
    whole(&place);
}

/// Killed with SIGKILL as soon as one of its effects is seen.
#[test]
fn a_killed_rotation_leaves_a_home_that_signs() {
    let place = Place::new("rotate-killed");
    let work = place.work();
    state(&place, "first");
    let bytes = |name: &str| fs::read(place.home().join(name)).unwrap_or_default();
    let windows = || keys(&place, "admin").iter().map(|row| row["keyId"].clone()).collect::<Vec<Value>>();
    for (round, effect) in ["keys/admin.next.pem", "trust.json", "keys/admin.pem", "data/log/head"].iter().enumerate() {
        let (before, known) = (bytes(effect), windows());
        let mut command = place.program(&work);
        command.args(["admin", "key", "rotate", "admin"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        while bytes(effect) == before && child.try_wait().expect("waited for").is_none() {
            std::hint::spin_loop();
        }
        let _dead = child.kill();
        child.wait().expect("waited for");
        state(&place, &format!("between-{round}"));
        place.json(&work, 0, &["admin", "key", "rotate", "admin"]);
        let now = windows();
        assert!(known.iter().all(|id| now.contains(id)), "{effect}: {known:?} in {now:?}");
        assert!(now.len() > known.len(), "{effect}: {now:?}");
        signs(&place, "admin");
        state(&place, &format!("after-{round}"));
        whole(&place);
    }
}

/// The builder whose statements the home has.
fn builder(place: &Place) -> (String, String) {
    let check = place.json(&place.work(), 0, &["admin", "key", "check"]);
    let rows = check["keys"].as_array().expect("keys");
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let row = rows.iter().find(|row| text(row, "name").starts_with("builder")).expect("a builder");
    (text(row, "name"), text(row, "keyId"))
}

fn revoke(place: &Place, exit: i32, key: &str, from: &str) -> Value {
    place.json(&place.work(), exit, &["admin", "revoke", "--key", key, "--from", from, "--reason", "laptop stolen"])
}

#[test]
fn a_revoked_key_denies_at_once_and_what_it_did_is_listed() {
    let place = Place::new("revoke-key");
    let start = unix_s();
    let project = small(&place);
    let gate = |exit| place.json(&project, exit, &["gate", "small", "--env", "production"]);
    let passed = gate(0);
    assert_eq!(passed["result"], "pass");
    let digest = passed["subject"]["digests"][0].as_str().expect("a digest").to_owned();
    let (name, id) = builder(&place);

    // From now on: what was logged before keeps counting.
    until_after(unix_s());
    let now = time(unix_s());
    let revoked = revoke(&place, 0, &name, &now);
    assert_eq!((revoked["key"].as_str(), &revoked["count"]), (Some(&id[..]), &json!(0)), "{revoked}");
    assert_eq!(revoked["successor"].as_str(), Some(&signs(&place, &name)[..]));
    assert_eq!(gate(0)["result"], "pass");
    whole(&place);

    // From before the build: the gate denies, and all of it is listed, with the deployment.
    let later = revoked["statement"].clone();
    let revoked = revoke(&place, 0, &id, &time(start));
    assert_ne!(revoked["statement"], later, "an earlier time goes on record, too");
    assert!(revoked["count"].as_u64() >= Some(3), "recipe, run and rebuilt: {revoked}");
    assert_eq!(revoked["statements"].as_array().map(Vec::len).map(|count| count as u64), revoked["count"].as_u64());
    assert_eq!(revoked["deployments"].as_array().map(Vec::len), Some(1), "{revoked}");
    let denied = place.json(&project, 1, &["gate", &digest, "--env", "production"]);
    assert_ne!(denied["result"], "pass");
    assert_ne!(place.assay(&project, &["gate", "small", "--env", "production"]).exit, 0);
    assert_ne!(place.assay(&project, &["deploy", "small", "production"]).exit, 0);
    let verified = place.assay(&project, &["verify", &digest]).exits(1);
    assert!(verified.stdout.contains("revoked at"), "{}", verified.stdout);
    let walked = place.assay(&project, &["where", &id]).exits(0);
    assert!(walked.stdout.contains("https://assay.dev/trust/v1"), "{}", walked.stdout);

    // The same again changes nothing and logs nothing; a later time takes nothing back.
    let size = || place.json(&project, 0, &["admin", "status"])["size"].clone();
    let before = size();
    let again = revoke(&place, 0, &id, &time(start));
    assert_eq!((&again["statement"], &again["count"]), (&revoked["statement"], &revoked["count"]));
    assert_eq!(size(), before);
    assert_eq!(revoke(&place, 2, &id, &now)["error"]["code"], "usage");
    whole(&place);

    // What is built now is the successor's word, and passes.
    place.assay(&project, &["build", "--again"]).exits(0);
    assert_eq!(gate(0)["result"], "pass");
    whole(&place);
}

/// The compromised key may be the one that puts revocations on record.
#[test]
fn the_admins_own_key_is_revoked_and_its_successor_says_so() {
    let place = Place::new("revoke-admin");
    let from = time(unix_s());
    state(&place, "evil");
    let old = signs(&place, "admin");
    let revoked = revoke(&place, 0, "admin", &from);
    let new = signs(&place, "admin");
    assert_eq!((revoked["key"].as_str(), revoked["successor"].as_str()), (Some(&old[..]), Some(&new[..])));
    assert_eq!(revoked["count"], 1, "{revoked}");
    let check = place.json(&place.work(), 0, &["admin", "key", "check"]);
    let row = |id: &str| check["keys"].as_array().and_then(|rows| rows.iter().find(|row| row["keyId"] == id)).cloned();
    assert_eq!(row(&old).expect("a row")["revoked"], 1, "{check}");
    assert_eq!(row(&new).expect("a row")["verified"], 1, "{check}");

    // Killed before the statement was logged: by name it is still the old key that is meant.
    let trust = place.home().join("trust.json");
    let text = fs::read_to_string(&trust).expect("trust.json");
    until_after(unix_s());
    let second = time(unix_s());
    cut_off_after_trust(&place, &trust, &text, &new, &second);
    let ended = revoke(&place, 0, &new, &second);
    assert_eq!(ended["key"].as_str(), Some(&new[..]));
    assert!(ended["statement"].is_string(), "{ended}");
    state(&place, "good");
    whole(&place);
}

/// What a kill after `trust.json` leaves: revoked there, with a successor that waits in its file.
fn cut_off_after_trust(place: &Place, path: &Path, text: &str, id: &str, from: &str) {
    let other = Place::new("revoke-other");
    let own = signs(&other, "admin");
    let of_other: Value =
        serde_json::from_slice(&fs::read(other.home().join("trust.json")).expect("read")).expect("JSON");
    let is = |row: &&Value| row["name"] == "admin" && own.starts_with("sha256:");
    let mut successor = of_other["identities"].as_array().and_then(|rows| rows.iter().find(is)).expect("admin").clone();
    successor["validFrom"] = json!(from);
    let mut trust: Value = serde_json::from_str(text).expect("JSON");
    let rows = trust["identities"].as_array_mut().expect("a list");
    let index = keys_index(place, id);
    rows[index]["revokedAt"] = json!(from);
    rows.push(successor);
    fs::write(path, trust.to_string()).expect("written");
    fs::copy(other.home().join("keys/admin.pem"), place.home().join("keys/admin.next.pem")).expect("copied");
    fs::remove_file(place.home().join("data/seal.json")).expect("a crash leaves no seal");
}

/// Where a key stands in `trust.json`: `admin key list` keeps the order.
fn keys_index(place: &Place, id: &str) -> usize {
    let list = place.json(&place.work(), 0, &["admin", "key", "list"]);
    let rows = list["keys"].as_array().expect("keys");
    rows.iter().position(|row| row["keyId"] == id).expect("in the list")
}

#[test]
fn what_cannot_be_revoked_is_said() {
    let place = Place::new("revoke-bad");
    place.assay(&place.work(), &["admin", "status"]).exits(0);
    let unknown = format!("sha256:{}", "0".repeat(64));
    let (now, future) = (time(unix_s()), time(unix_s() + 3600));
    for (key, from, code) in [
        ("admin", &future, "usage"),
        ("nobody", &now, "unknown"),
        (&unknown, &now, "unknown"),
        ("admin", &"2001-01-01T00:00:00Z".to_owned(), "unknown"),
    ] {
        assert_eq!(revoke(&place, 2, key, from)["error"]["code"], code, "{key} {from}");
    }
    for arguments in [
        &["--key", "admin", "--reason", "x"][..],
        &["--from", &now, "--reason", "x"],
        &["https://a.example", "--key", "admin", "--from", &now, "--reason", "x"],
        &["--reason", "x"],
        &["--key", "admin", "--from", "yesterday", "--reason", "x"],
    ] {
        place.assay(&place.work(), &[&["admin", "revoke"], arguments].concat()).exits(2);
    }
    assert_eq!(keys(&place, "admin").len(), 1);
    whole(&place);
}
