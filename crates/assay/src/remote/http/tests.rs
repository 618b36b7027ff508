use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::*;

const SHORT: Duration = Duration::from_millis(50);

/// A server that reads a request, says `answer`, and then nothing more, for as long as the client stays.
fn mute(answer: &'static str) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = Address::of_url(&format!("http://{}", listener.local_addr().expect("an address")));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut buffer = [0; 4096];
            while let Ok(1..) = stream.read(&mut buffer) {
                // The client may be gone.
                let _said = stream.write_all(answer.as_bytes());
            }
        }
    });
    address.expect("an address")
}

#[test]
fn a_server_that_falls_silent_is_not_waited_for_for_ever() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"ver"] {
        let http = Http::patient(mute(answer), SHORT).expect("prepared");
        let url = http.address().at("/api/v1/server").expect("a URL");
        let trouble = runtime.block_on(http.exchange(&Call::new(Method::GET, url).once(), None, 100));
        let failure = http.failure(trouble.expect_err("no answer"));
        assert_eq!((failure.code, failure.exit), ("unreachable", 2), "{answer:?}");
        assert!(failure.hint.as_deref().is_some_and(|hint| hint.contains("does not answer")), "{failure}");
    }
}

#[test]
fn an_endless_answer_has_an_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let http = Http::patient(mute("HTTP/1.1 200 OK\r\n\r\n0123456789"), SHORT).expect("prepared");
    let url = http.address().at("/").expect("a URL");
    let trouble = runtime.block_on(http.exchange(&Call::new(Method::GET, url).once(), None, 5));
    assert_eq!(http.failure(trouble.expect_err("too large")).code, "answer-too-large");
}
