use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::*;

/// Says what it was asked.
struct Echo;

impl Answers for Echo {
    fn answer<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        let body = format!("{} {} {:?}", question.method, question.url, accepted(&question.headers)).into_bytes();
        Box::pin(std::future::ready(Reply { status: 200, body, ..Reply::default() }))
    }
}

fn asked(request: &str) -> String {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().expect("a runtime");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (authority, ended) = (Authority::new(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let server = scope.spawn(|| runtime.block_on(serve(listener, &Echo, &authority, &ended)));
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        let mut reader = BufReader::new(stream);
        while reader.read_line(&mut text).expect("it answers") > 0 {}
        ended.store(true, Ordering::SeqCst);
        server.join().expect("it ends").expect("no error");
        text
    })
}

#[test]
fn a_whole_address_is_answered_and_another_is_not() {
    let head = "Host: a.example\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let answer = asked(&format!("GET http://a.example/x?y=1 HTTP/1.1\r\n{head}"));
    assert!(answer.ends_with("GET http://a.example/x?y=1 Some(\"text/html\")"), "{answer}");
    let answer = asked(&format!("HEAD http://a.example/ HTTP/1.1\r\n{head}"));
    assert!(answer.to_lowercase().contains("content-length: 40") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = asked(&format!("GET /x HTTP/1.1\r\n{head}"));
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = asked("GET  nonsense\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}
