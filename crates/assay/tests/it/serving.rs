//! `assay serve`: one process, one directory; commands of the same home speak to it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::Place;
use crate::tamper::small;

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(place: &Place) -> Server {
        let mut child = place
            .program(&place.work())
            .args(["serve", "--quiet", "--listen", "127.0.0.1:0"])
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

    /// SIGTERM ends it with exit code 0.
    fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        assert!(self.child.wait().expect("waited").success());
    }
}

fn fetch(server: &Server, path: &str, token: Option<&str>) -> (String, Vec<u8>) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--output", "-", "--write-out", "\n%{http_code}"]);
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.arg(format!("{}{path}", server.address)).output().expect("curl runs").stdout;
    let at = output.iter().rposition(|byte| *byte == b'\n').expect("a status line");
    (String::from_utf8_lossy(&output[at + 1..]).into_owned(), output[..at].to_vec())
}

/// M4.1 M11.1
#[test]
fn commands_answer_the_same_through_the_server() {
    let place = Place::new("serving");
    let project = small(&place);
    let questions: [&[&str]; 4] =
        [&["why", "production"], &["why", "small"], &["verify", "small"], &["env", "show", "production"]];
    let ask = |arguments: &[&str]| {
        let mut answer = place.json(&project, 0, arguments);
        if let Some(object) = answer.as_object_mut() {
            object.remove("at"); // the time of the question
        }
        answer
    };
    let before: Vec<Value> = questions.iter().map(|question| ask(question)).collect();

    let server = Server::start(&place);
    let through: Vec<Value> = questions.iter().map(|question| ask(question)).collect();
    assert_eq!(through, before);
    let token = std::fs::read_to_string(place.home().join("keys/operator.token")).expect("the operator's token");
    let token = token.trim();
    assert_eq!(fetch(&server, "/", None).0, "303", "the dashboard asks who it is");
    let (status, page) = fetch(&server, "/", Some(token));
    assert_eq!(status, "200");
    assert!(String::from_utf8_lossy(&page).contains("small"));
    assert_eq!(fetch(&server, "/api/v1/artifacts", None).0, "401");
    let (status, checkpoint) = fetch(&server, "/log/checkpoint", Some(token));
    assert_eq!(status, "200");
    assert!(String::from_utf8_lossy(&checkpoint).starts_with("assay.local/"));

    // What is stated through the server is in the log when it has stopped.
    place.assay(&project, &["env", "observe", "production"]).exits(0);
    server.stop();
    let after = place.json(&project, 0, &["why", "production"]);
    assert!(after["nodes"].as_array().expect("nodes").len() >= before[0]["nodes"].as_array().expect("nodes").len());
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
}
