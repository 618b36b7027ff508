//! What goes wrong between a client and a server: either dies at any moment, the disk is full, nobody is there.
//!
//! What was acknowledged is there afterwards; what was not is there wholly or not at all; the same command again
//! completes it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use wire::digest::Digest;

use crate::place::{Place, free_port};
use crate::serving::Server;
use crate::tamper::small;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest whose parts every registry of ours has; `note` makes it another each time.
fn manifest(note: &str) -> String {
    let empty = format!(r#"{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{}","size":2}}"#, digest(b"{}"));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{empty},"layers":[{empty}],"annotations":{{"note":"{note}"}}}}"#
    )
}

fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

/// An answer: status, head, body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }
}

/// Sends a request on a connection of its own; `None` when there is no whole answer. `length` is what the head says.
pub(crate) fn send(
    address: &str,
    token: &str,
    line: &str,
    headers: &[&str],
    body: &[u8],
    length: usize,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).ok()?;
    let mut head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n");
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
    stream.write_all(head.as_bytes()).ok()?;
    // A server that refuses may have closed already; its answer is there all the same.
    let _sent = stream.write_all(body);
    if length > body.len() {
        stream.shutdown(std::net::Shutdown::Write).ok()?;
    }
    let mut bytes = Vec::new();
    let _read = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

fn put_manifest(server: &str, token: &str, tag: &str, manifest: &str) -> Option<Answer> {
    let kind = format!("Content-Type: {MANIFEST}");
    send(server, token, &format!("PUT /v2/a/manifests/{tag}"), &[&kind], manifest.as_bytes(), manifest.len())
}

fn get(server: &str, token: &str, path: &str) -> Answer {
    send(server, token, &format!("GET {path}"), &[], b"", 0).expect("an answer")
}

/// A proxy that ends a process when it has seen a number of requests: before the last one goes on, or after.
struct Assassin {
    address: String,
    seen: Arc<AtomicUsize>,
    victim: Arc<Mutex<Option<std::process::Child>>>,
}

impl Assassin {
    fn new(server: &str, at: usize, forwards_it: bool) -> Assassin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(AtomicUsize::new(0));
        let victim: Arc<Mutex<Option<std::process::Child>>> = Arc::default();
        let (server, count, target) =
            (server.trim_start_matches("http://").to_owned(), Arc::clone(&seen), Arc::clone(&victim));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, count, target) = (client.expect("a connection"), Arc::clone(&count), Arc::clone(&target));
                let server = TcpStream::connect(&server).expect("the server is there");
                thread::spawn(move || carry(client, server, &count, &target, at, forwards_it));
            }
        });
        Assassin { address, seen, victim }
    }

    /// Runs a command to its end, natural or not; returns whether it was killed.
    fn run(&self, command: &mut Command) -> bool {
        let mut held = self.victim.lock().expect("nobody panicked");
        *held = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
        drop(held);
        loop {
            let mut held = self.victim.lock().expect("nobody panicked");
            if let Some(status) = held.as_mut().expect("it was started").try_wait().expect("waited") {
                return status.code().is_none();
            }
            drop(held);
            thread::yield_now();
        }
    }
}

/// Carries bytes both ways; each request of this client begins where its method stands after the end of the last one.
fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    count: &AtomicUsize,
    victim: &Mutex<Option<std::process::Child>>,
    at: usize,
    forwards_it: bool,
) {
    let (mut back, mut to) = (server.try_clone().expect("cloned"), client.try_clone().expect("cloned"));
    thread::spawn(move || {
        let _copied = std::io::copy(&mut back, &mut to);
        let _closed = to.shutdown(std::net::Shutdown::Both);
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let begins =
            ["GET /", "HEAD /", "POST /", "PUT /", "PATCH /"].iter().any(|verb| buffer.starts_with(verb.as_bytes()));
        let number = if begins { count.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let dies = begins && number == at;
        if dies && !forwards_it {
            kill(victim);
        }
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
        if dies && forwards_it {
            kill(victim);
        }
    }
    let _closed = server.shutdown(std::net::Shutdown::Write);
}

fn kill(victim: &Mutex<Option<std::process::Child>>) {
    if let Some(child) = victim.lock().expect("nobody panicked").as_mut() {
        child.kill().expect("killed");
    }
}

/// What a repository has of a push: the tag's manifest, or none.
fn tagged(server: &Server, token: &str, repository: &str) -> Option<Value> {
    let answer = get(&server.address, token, &format!("/v2/{repository}/manifests/x"));
    match answer.status {
        200 => Some(serde_json::from_slice(&answer.body).expect("a manifest")),
        status => {
            assert_eq!(status, 404);
            None
        }
    }
}

/// `assay push` is killed at each of its requests, before and after the server has it.
#[test]
fn a_push_that_was_killed_is_completed_by_the_next() {
    let place = Place::new("killed-push");
    let project = small(&place);
    let server = Server::start(&place);
    let token = place.operator();
    let push = |address: &str, repository: &str| {
        let mut command = place.program(&project);
        command.args(["push", "small", &format!("{repository}:x"), "--server", address, "--token", &token, "--json"]);
        command
    };
    let whole = Assassin::new(&server.address, usize::MAX, true);
    assert!(!whole.run(&mut push(&whole.address, "whole")));
    let requests = whole.seen.load(Ordering::SeqCst);
    let complete = tagged(&server, &token, "whole").expect("pushed");
    assert!((8..60).contains(&requests), "{requests} requests");
    let blobs: Vec<String> = std::iter::once(&complete["config"])
        .chain(complete["layers"].as_array().expect("layers"))
        .map(|blob| blob["digest"].as_str().expect("a digest").to_owned())
        .collect();
    let statements = |repository: &str| {
        let digest = digest(&get(&server.address, &token, &format!("/v2/{repository}/manifests/x")).body);
        let list = get(&server.address, &token, &format!("/v2/{repository}/referrers/{digest}"));
        let list: Value = serde_json::from_slice(&list.body).expect("a list");
        list["manifests"].as_array().expect("a list").len()
    };
    let expected = statements("whole");

    for at in 1..=requests {
        for forwards_it in [false, true] {
            let repository = format!("killed-{at}-{forwards_it}");
            let assassin = Assassin::new(&server.address, at, forwards_it);
            let killed = assassin.run(&mut push(&assassin.address, &repository));
            assert!(killed || (at == requests && forwards_it), "request {at} of {requests}");
            // The tag comes last: who finds it finds all.
            let found = tagged(&server, &token, &repository);
            assert!(found.is_none() || at == requests, "{repository}: {found:?}");
            let has = |blob: &&String| {
                send(&server.address, &token, &format!("HEAD /v2/{repository}/blobs/{blob}"), &[], b"", 0)
                    .is_some_and(|answer| answer.status == 200)
            };
            let missing = blobs.iter().filter(|blob| !has(blob)).count();
            let again = push(&server.address, &repository).output().expect("it runs");
            assert!(again.status.success(), "{repository}: {}", String::from_utf8_lossy(&again.stderr));
            let report: Value = serde_json::from_slice(&again.stdout).expect("JSON");
            // A request that was on its way may have arrived meanwhile.
            assert!(report["blobs_sent"].as_u64().is_some_and(|sent| sent <= missing as u64), "{repository}: {report}");
            assert_eq!(tagged(&server, &token, &repository).as_ref(), Some(&complete));
            assert_eq!(statements(&repository), expected, "{repository}");
        }
    }
    server.stop();
    assert_eq!(place.json(&project, 0, &["admin", "fsck"])["result"], "pass");
}

/// The server is killed while manifests come in one after the other.
#[test]
fn a_server_that_was_killed_has_what_it_acknowledged() {
    let place = Place::new("killed-server");
    let server = Server::start(&place);
    let token = place.operator();
    server.stop();
    for round in 0..4_usize {
        let server = Server::start(&place);
        let address = server.address.clone();
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let pusher = {
            let (token, acknowledged) = (token.clone(), Arc::clone(&acknowledged));
            thread::spawn(move || {
                for number in 0.. {
                    let tag = format!("t{round}-{number}");
                    match put_manifest(&address, &token, &tag, &manifest(&tag)) {
                        Some(answer) if answer.status == 201 => acknowledged.lock().expect("a list").push(tag),
                        _ => return tag,
                    }
                }
                unreachable!("the server is killed")
            })
        };
        // An upload is under way, too: half of it is there.
        let begun = send(&server.address, &token, "POST /v2/a/blobs/uploads/", &[], b"", 0).expect("begun");
        let upload = begun.header("location").expect("a location").to_owned();
        let first = send(&server.address, &token, &format!("PATCH {upload}"), &["Content-Range: 0-4"], b"01234", 5);
        assert_eq!(first.map(|answer| answer.status), Some(202));
        while acknowledged.lock().expect("a list").len() < 3 + 5 * round {
            thread::yield_now();
        }
        server.kill();
        let unanswered = pusher.join().expect("no panic");

        let server = Server::start(&place);
        for tag in acknowledged.lock().expect("a list").iter() {
            let found = get(&server.address, &token, &format!("/v2/a/manifests/{tag}"));
            assert_eq!((found.status, found.body), (200, manifest(tag).into_bytes()), "{tag}");
        }
        let found = get(&server.address, &token, &format!("/v2/a/manifests/{unanswered}"));
        assert!(matches!(found.status, 200 | 404), "{unanswered}: {}", found.status);
        assert!(found.status == 404 || found.body == manifest(&unanswered).into_bytes(), "{unanswered}");
        // What was acknowledged of the upload is there, and it goes on.
        let stands = get(&server.address, &token, &upload);
        assert_eq!((stands.status, stands.header("range")), (204, Some("0-4")));
        let line = format!("PUT {upload}?digest={}", digest(b"0123456789"));
        let ended = send(&server.address, &token, &line, &["Content-Range: 5-9"], b"56789", 5).expect("an answer");
        assert_eq!(ended.status, 201);
        server.stop();
        assert_eq!(place.json(&place.work(), 0, &["admin", "fsck"])["result"], "pass");
    }
}

/// The server is killed while commands log statements through it.
#[test]
fn a_statement_that_was_acknowledged_outlives_the_server() {
    let place = Place::new("killed-append");
    let server = Server::start(&place);
    let token = place.operator();
    let (work, address) = (place.work(), server.address.clone());
    let add = move |place: &Place, number: usize| {
        let checksum = digest(number.to_string().as_bytes());
        let words = ["reference", "add", "greeter", &checksum, "--source", "https://example.org/sums", "--json"];
        place.assay(&work, &[&words[..], &["--server", &address, "--token", &token]].concat())
    };
    let acknowledged = Mutex::new(Vec::new());
    let mut server = Some(server);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                let ran = add(&place, number);
                match ran.exit {
                    0 => acknowledged
                        .lock()
                        .expect("a list")
                        .push(ran.json()["statement"].as_str().expect("a digest").to_owned()),
                    2 => {
                        assert!(ran.json()["error"]["hint"].is_string(), "{}", ran.stdout);
                        return;
                    }
                    other => panic!("exit {other}: {}", ran.stdout),
                }
            }
        });
        while acknowledged.lock().expect("a list").len() < 4 {
            thread::yield_now();
        }
        server.take().expect("it runs").kill();
    });
    let server = Server::start(&place);
    let token = place.operator();
    for statement in acknowledged.lock().expect("a list").iter() {
        assert_eq!(get(&server.address, &token, &format!("/api/v1/statements/{statement}")).status, 200, "{statement}");
    }
    server.stop();
    assert_eq!(place.json(&place.work(), 0, &["admin", "fsck"])["result"], "pass");
}

/// A server on a file system of 24 MiB, in a mount namespace of its own.
#[test]
fn a_full_disk_is_said_and_leaves_nothing_half_written() {
    let place = Place::new("full");
    fs::create_dir_all(place.home()).expect("a directory");
    let script = "mount -t tmpfs -o size=24m none \"$ASSAY_HOME\" && exec \"$0\" serve --quiet --listen 127.0.0.1:0";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_assay")]);
    command.env("ASSAY_HOME", place.home()).env("XDG_STATE_HOME", place.root().join("state"));
    command.current_dir(place.work()).env_remove("ASSAY_SERVER").env_remove("ASSAY_TOKEN");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unshare runs");
    let mut line = String::new();
    let mut told = BufReader::new(child.stderr.take().expect("stderr"));
    told.read_line(&mut line).expect("a line");
    let token = line.trim().rsplit(' ').next().expect("a token").to_owned();
    assert!(token.starts_with("assay_"), "user namespaces are needed: {line}");
    let mut ready = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
    let address = ready.trim().rsplit(' ').next().expect("an address").to_owned();
    // What the server says later fills no pipe.
    thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));

    let said = |answer: Option<Answer>| {
        let answer = answer.expect("an answer");
        assert!(answer.status >= 500, "{}", answer.head);
        let errors: Value = serde_json::from_slice(&answer.body).expect("an OCI error");
        assert!(errors["errors"][0]["code"].is_string(), "{errors}");
        errors["errors"][0]["message"].as_str().expect("a message").to_owned()
    };
    assert_eq!(put_manifest(&address, &token, "before", &manifest("before")).map(|answer| answer.status), Some(201));
    let begun = send(&address, &token, "POST /v2/a/blobs/uploads/", &[], b"", 0).expect("begun");
    let upload = begun.header("location").expect("a location").to_owned();
    let large = vec![7; 40 << 20];
    let refused = send(&address, &token, &format!("PATCH {upload}"), &[], &large, large.len());
    assert!(said(refused).contains("disk is full"));
    let line = format!("PUT {upload}?digest={}", digest(&large));
    let ended = send(&address, &token, &line, &[], b"", 0).expect("an answer");
    assert!(ended.status == 400 || ended.status == 507, "{}", ended.head);
    assert_eq!(get(&address, &token, &format!("/v2/a/blobs/{}", digest(&large))).status, 404);

    // The disk is filled again, and stays so: nothing can be pushed, and what is there can be read.
    let begun = send(&address, &token, "POST /v2/a/blobs/uploads/", &[], b"", 0).expect("begun");
    let upload = begun.header("location").expect("a location").to_owned();
    said(send(&address, &token, &format!("PATCH {upload}"), &[], &large, large.len()));
    said(put_manifest(&address, &token, "during", &manifest(&"x".repeat(100_000))));
    assert_eq!(get(&address, &token, "/v2/a/manifests/before").status, 200);
    assert_eq!(get(&address, &token, "/v2/a/manifests/during").status, 404);

    // Room again, and all goes on.
    let cancelled = send(&address, &token, &format!("DELETE {upload}"), &[], b"", 0).expect("an answer");
    assert_eq!(cancelled.status, 204);
    let after = manifest(&"x".repeat(100_000));
    assert_eq!(put_manifest(&address, &token, "during", &after).map(|answer| answer.status), Some(201));
    assert_eq!(get(&address, &token, "/v2/a/manifests/during").body, after.into_bytes());
    assert_eq!(get(&address, &token, "/healthz").status, 200);
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(told.success() && child.wait().expect("waited").success());
}

/// Nobody is there, or somebody else is.
#[test]
fn a_server_that_is_away_is_exit_2_with_a_hint() {
    let place = Place::new("away");
    let work = place.work();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for words in [
        &["why", "greeter"][..],
        &["where", "0123456789abcdef"],
        &["verify", "greeter"],
        &["reference", "add", "greeter", &digest(b"x"), "--source", "https://example.org/x"],
        &["pull", "greeter"],
        &["admin", "token", "list"],
        &["admin", "token", "create", "ci", "--role", "reader"],
        &["admin", "token", "revoke", "ci"],
    ] {
        let ran = place.json(&work, 2, &[words, &["--server", &nobody, "--token", "t"]].concat());
        assert_eq!(ran["error"]["code"], "unreachable", "{words:?}: {ran}");
        assert!(ran["error"]["hint"].as_str().is_some_and(|hint| hint.contains("is it running?")), "{ran}");
    }
}
