//! A registry on this machine that can be switched off: files by path, over HTTP, until it is dropped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Files by the path of their URL.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The server; dropping it is deleting what it served.
pub(super) struct Upstream {
    address: SocketAddr,
    files: Arc<Mutex<Files>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(super) fn new() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (files, stop) = (Arc::new(Mutex::new(Files::new())), Arc::new(AtomicBool::new(false)));
        let (served, stopped) = (files.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let _broken = connection.and_then(|connection| answer(connection, &served));
            }
        });
        Upstream { address, files, stop, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves a file, in place of what was there.
    pub(super) fn serve(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().expect("no thread panics with it").insert(path.to_owned(), bytes.into());
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn answer(connection: TcpStream, files: &Mutex<Files>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let found = files.lock().expect("no thread panics with it").get(path).cloned();
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let mut connection = reader.into_inner();
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    connection.write_all(&body)
}
