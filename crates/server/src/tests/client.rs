//! A plain HTTP client: what is written is what goes out.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    asked: String,
}

/// Sends a request on a connection of its own.
pub(super) async fn send(address: &str, line: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
    let mut head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let stated = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if let (Some(body), false) = (body, stated) {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sends");
    // A server that refuses by the head alone may have closed already.
    drop(stream.write_all(body.unwrap_or_default()).await);
    if stated {
        stream.shutdown().await.expect("closes its side");
    }
    let mut bytes = Vec::new();
    // After a refusal the rest of what was sent is answered by a reset.
    drop(stream.read_to_end(&mut bytes).await);
    parse(line, &bytes)
}

fn parse(line: &str, bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("{line}: no answer"));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = &bytes[end + 4..];
    Answer { status, headers, body: if chunked { unchunk(body) } else { body.to_vec() }, asked: line.to_owned() }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&bytes[..end]), 16).expect("a chunk size");
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    body
}

impl Answer {
    /// Asserts the status.
    #[track_caller]
    pub(super) fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self
    }

    /// Asserts a header.
    #[track_caller]
    pub(super) fn has(self, name: &str, value: &str) -> Answer {
        assert_eq!(self.header(name), Some(value), "{}: {name}", self.asked);
        self
    }

    /// Asserts that the body has a text in it.
    #[track_caller]
    pub(super) fn says(self, text: &str) -> Answer {
        assert!(self.text().contains(text), "{}: no {text:?} in {}", self.asked, self.text());
        self
    }

    /// Asserts an OCI error's code.
    #[track_caller]
    pub(super) fn code(self, code: &str) -> Answer {
        assert_eq!(self.json()["errors"][0]["code"], code, "{}: {}", self.asked, self.text());
        self
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}: {}", self.asked, self.text()))
    }
}
