//! `assay serve`: one process, one directory; commands of the same home speak to it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::place::{Place, git};
use crate::tamper::small;

/// A running `assay serve`; it is killed when this value is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(place: &Place) -> Server {
        Server::start_with(place, &[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(place: &Place, arguments: &[&str]) -> Server {
        let mut child = place
            .program(&place.work())
            .args(["serve", "--quiet", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
        let address = ready.trim().rsplit(' ').next().expect("an address").to_owned();
        assert!(address.starts_with("http://127.0.0.1:"), "{ready}");
        Server { child, address }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM ends it with exit code 0.
    pub(crate) fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        assert!(self.child.wait().expect("waited").success());
    }

    /// SIGKILL ends it wherever it is.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After an orderly end there is nothing left to kill.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

pub(crate) fn fetch(server: &Server, path: &str, token: Option<&str>) -> (String, Vec<u8>) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--output", "-", "--write-out", "\n%{http_code}"]);
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.arg(format!("{}{path}", server.address)).output().expect("curl runs").stdout;
    let at = output.iter().rposition(|byte| *byte == b'\n').expect("a status line");
    (String::from_utf8_lossy(&output[at + 1..]).into_owned(), output[..at].to_vec())
}

/// Requests that the server has answered, but for those that ask this.
fn requests(server: &Server, token: &str) -> u64 {
    let (status, text) = fetch(server, "/metrics", Some(token));
    assert_eq!(status, "200");
    let text = String::from_utf8_lossy(&text).into_owned();
    let counts = text.lines().filter(|line| line.starts_with("assay_requests_total"));
    counts.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count")).sum()
}

/// What no two answers agree about: the time of the question.
fn timeless(mut answer: Value) -> Value {
    if let Some(object) = answer.as_object_mut() {
        object.remove("at");
    }
    answer
}

/// The questions that a command may ask of a home whose service was built once and deployed several times.
fn questions(place: &Place, project: &Path) -> Vec<Vec<String>> {
    let commit = git(project, &["rev-parse", "HEAD"]);
    let shown = place.json(project, 0, &["why", "production", "--all"]);
    let nodes = shown["nodes"].as_array().expect("nodes");
    let of_kind = |kind: &str| {
        let node = nodes.iter().find(|node| node["kind"] == kind);
        node.and_then(|node| node["id"].as_str()).unwrap_or_else(|| panic!("no {kind}: {shown}")).to_owned()
    };
    let (artifact, package, environment) = (of_kind("artifact"), of_kind("package"), "env:production".to_owned());
    let ask = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    vec![
        ask(&["why", "production"]),
        ask(&["why", &environment, "--all"]),
        ask(&["why", "small"]),
        ask(&["why", &artifact]),
        ask(&["where", &commit]),
        ask(&["where", &commit[..9]]),
        ask(&["where", &artifact]),
        ask(&["where", &package, "--all"]),
        ask(&["verify", "small"]),
        ask(&["verify", &format!("small@{artifact}")]),
        ask(&["gate", "small", "--env", "production"]),
        ask(&["env", "show", "production"]),
        ask(&["admin", "token", "list"]),
        ask(&["admin", "trusted-root"]),
        ask(&["check"]),
    ]
}

/// M4.1 M11.1
#[test]
fn commands_answer_the_same_through_the_server() {
    let place = Place::new("serving");
    let project = small(&place);
    place
        .assay(&project, &["reference", "add", "small", &digest_of("x"), "--source", "https://example.org/x"])
        .exits(0);
    for _ in 0..3 {
        place.assay(&project, &["deploy", "small", "production"]).exits(0);
    }
    // The first server gives the operator a token; what it states is stated before the answers are compared.
    let server = Server::start(&place);
    server.stop();
    let questions = questions(&place, &project);
    let ask = |question: &[String]| {
        let arguments: Vec<&str> = question.iter().map(String::as_str).chain(["--json"]).collect();
        let ran = place.assay(&project, &arguments);
        (ran.exit, timeless(ran.json()))
    };
    let before: Vec<_> = questions.iter().map(|question| ask(question)).collect();
    assert!(before.iter().all(|(exit, _)| *exit == 0), "{before:#?}");

    let server = Server::start(&place);
    let token = place.operator();
    for (question, before) in questions.iter().zip(&before) {
        let earlier = requests(&server, &token);
        assert_eq!(&ask(question), before, "{question:?}");
        let needed = requests(&server, &token) - earlier - 1;
        assert!(needed <= 10, "{question:?} took {needed} requests");
    }
    for unknown in [&["why", "nothing"][..], &["where", "nothing"], &["verify", "nothing:x"], &["why", "env:nothing"]] {
        let through = place.assay(&project, unknown);
        assert_ne!(through.exit, 0, "{unknown:?}");
        let local = place.assay(&project, &[unknown, &["--server", &server.address, "--token", &token]].concat());
        assert_eq!((through.exit, &through.stderr), (local.exit, &local.stderr), "{unknown:?}");
    }
    assert_eq!(fetch(&server, "/", None).0, "303", "the dashboard asks who it is");
    let (status, page) = fetch(&server, "/", Some(&token));
    assert_eq!(status, "200");
    assert!(String::from_utf8_lossy(&page).contains("small"));
    assert_eq!(fetch(&server, "/api/v1/artifacts", None).0, "401");
    let (status, checkpoint) = fetch(&server, "/log/checkpoint", Some(&token));
    assert_eq!(status, "200");
    assert!(String::from_utf8_lossy(&checkpoint).starts_with("assay.local/"));

    // What is stated through the server is in the log when it has stopped.
    for statement in [
        &["env", "observe", "production"][..],
        &["gate", "small", "--env", "production", "--record"],
        &["deploy", "small", "production"],
        &["reference", "add", "small", &digest_of("y"), "--source", "https://example.org/y"],
    ] {
        let through = place.json(&project, 0, statement);
        assert!(through.as_object().is_some_and(|object| object.len() > 3), "{through}");
    }
    // The policy is on record already, and the server says so: it is not recorded again.
    let policies = format!("/api/v1/statements?predicate={}", attest::predicate::POLICY);
    let (status, policies) = fetch(&server, &policies, Some(&token));
    let policies: Value = serde_json::from_slice(&policies).expect("JSON");
    assert_eq!((status.as_str(), policies["statements"].as_array().map(Vec::len)), ("200", Some(1)));
    let through = ask(&questions[0]);
    let deployments = place.json(&project, 0, &["env", "show", "production"]);
    server.stop();
    assert_eq!(ask(&questions[0]), through);
    assert_eq!(place.json(&project, 0, &["env", "show", "production"]), deployments);
    assert_eq!(deployments["deployments"].as_array().map(Vec::len), Some(5));
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
}

/// A token is given, listed and revoked with the same words whoever holds the home.
#[test]
fn tokens_are_administered_through_the_server() {
    let place = Place::new("tokens");
    let work = place.work();
    let session = |serving: bool| {
        let server = serving.then(|| Server::start(&place));
        let name = if serving { "through" } else { "local" };
        let create = ["admin", "token", "create", name, "--role", "publisher", "--repository", "team/*"];
        let mut made = place.json(&work, 0, &create);
        let token = made["token"].as_str().expect("a token").to_owned();
        assert_eq!((&token[..6], token.len()), ("assay_", 70));
        assert_eq!(made["digest"], digest_of(&token));
        made["token"].take();
        made["digest"].take();
        made["name"].take();
        let shown = place.assay(&work, &create).exits(0).stdout;
        assert!(shown.contains("only time that the token is shown"), "{shown}");

        let list = place.json(&work, 0, &["admin", "token", "list"]);
        let mine: Vec<Value> =
            list["tokens"].as_array().expect("a list").iter().filter(|row| row["name"] == name).cloned().collect();
        assert_eq!(mine.len(), 2);
        let keys: Vec<String> = mine[0].as_object().expect("a row").keys().cloned().collect();
        assert!(mine.iter().any(|row| row["token"] == digest_of(&token)), "{mine:?}");

        let by_digest = place.json(&work, 0, &["admin", "token", "revoke", &digest_of(&token)]);
        let by_name = place.json(&work, 0, &["admin", "token", "revoke", name]);
        let nobody = place.assay(&work, &["admin", "token", "revoke", "nobody/at all", "--json"]).exits(1);
        let left = place.assay(&work, &["admin", "token", "list"]).exits(0).stdout;
        assert!(!left.contains(name), "{left}");
        let refusals = [
            &["admin", "token", "create", "x", "--role", "owner"][..],
            &["admin", "token", "create", "x<y", "--role", "reader"],
            &["admin", "token", "create", "x", "--role", "reader", "--repository", "a b"],
        ];
        let refusals = refusals.map(|words| place.assay(&work, words).exits(2).stderr);
        if let Some(server) = server {
            assert_eq!(fetch(&server, "/api/v1/server", Some(&token)).0, "401", "a revoked token is dead at once");
            server.stop();
        }
        (made, keys, by_digest, by_name, nobody.json(), refusals)
    };
    assert_eq!(session(false), session(true));
    assert_eq!(place.json(&work, 0, &["admin", "fsck"])["result"], "pass");
}

/// A statement that was logged while its key was good stays good when the key has expired, from a server too.
#[test]
fn a_key_that_expired_since_leaves_its_statements_good_through_the_server() {
    let place = Place::new("expired");
    let project = small(&place);
    let path = place.home().join("trust.json");
    let mut trust: Value = serde_json::from_slice(&fs::read(&path).expect("trust.json")).expect("JSON");
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let expiry = seconds();
    let text = Command::new("date").args(["--utc", "--date", &format!("@{expiry}"), "+%Y-%m-%dT%H:%M:%SZ"]).output();
    let text = String::from_utf8(text.expect("date runs").stdout).expect("text");
    for identity in trust["identities"].as_array_mut().expect("a list") {
        if identity["roles"][0] == "builder" {
            identity["validUntil"] = Value::from(text.trim());
        }
    }
    assert!(trust.to_string().contains(text.trim()), "no builder in {trust}");
    fs::write(&path, trust.to_string()).expect("written");
    place.json(&project, 0, &["admin", "accept"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while seconds() <= expiry + 1 {
        assert!(Instant::now() < deadline, "the clock stands still");
        std::thread::yield_now();
    }
    let questions =
        [&["verify", "small"][..], &["gate", "small", "--env", "production"], &["env", "show", "production"]];
    let ask = |question: &[&str]| timeless(place.json(&project, 0, question));
    let before: Vec<Value> = questions.iter().map(|question| ask(question)).collect();
    let server = Server::start(&place);
    let through: Vec<Value> = questions.iter().map(|question| ask(question)).collect();
    server.stop();
    assert_eq!(through, before);
    // The key is no good for anything new.
    assert_ne!(place.assay(&project, &["build", "--again"]).exit, 0);
}

fn digest_of(text: &str) -> String {
    wire::digest::Digest::of(text.as_bytes()).to_string()
}
