//! The service as a client sees it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use greeter::config::Config;
use greeter::server;

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the service listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: greeter\r\nConnection: close\r\n\r\n").expect("a request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in UTF-8");
    answer
}

#[test]
fn answers_over_http() {
    let config = Config::read(["--listen=127.0.0.1:0".to_owned()], |_| None).expect("a valid configuration");
    let running = server::start(&config).expect("a free port");
    let health = get(running.address(), "/health");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    assert!(health.contains("Content-Type: application/json"), "{health}");
    let greeting = get(running.address(), "/greet/Ada?language=es");
    assert!(greeting.ends_with(r#"{"greeting":"¡Hola, Ada!","language":"es"}"#), "{greeting}");
    assert!(get(running.address(), "/missing").starts_with("HTTP/1.1 404 "));
    running.stop();
}

fn start_binary() -> Child {
    Command::new(env!("CARGO_BIN_EXE_greeter"))
        .args(["--listen", "127.0.0.1:0"])
        .env("GREETER_LANGUAGE", "fr")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

#[test]
fn ends_cleanly_on_sigterm() {
    let mut child = start_binary();
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let first = lines.next().expect("a line").expect("UTF-8");
    let address = first.rsplit("http://").next().and_then(|text| text.parse().ok()).expect("an address");
    assert!(get(address, "/greet/Ada").contains("Bonjour, Ada !"));
    let pid = libc::pid_t::try_from(child.id()).expect("a process number");
    // SAFETY: `kill` touches no memory of ours, and the process is our own child, not yet waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(lines.next().expect("a line").expect("UTF-8"), "greeter stopped");
}

#[test]
fn refuses_unknown_arguments() {
    let output = Command::new(env!("CARGO_BIN_EXE_greeter")).arg("--verbose").output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(message, "error: unknown argument `--verbose`: only `--listen ADDR` is taken\n");
}
