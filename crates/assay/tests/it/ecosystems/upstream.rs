//! A registry on this machine that can be switched off: files by path, over HTTP, until it is dropped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Status line with headers, and body, by the path of the URL.
type Files = BTreeMap<String, (String, Vec<u8>)>;

/// The server; dropping it is deleting what it served.
pub(super) struct Upstream {
    address: SocketAddr,
    files: Arc<Mutex<Files>>,
    directory: Arc<Mutex<Option<(String, PathBuf)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(super) fn new() -> Upstream {
        Upstream::at("127.0.0.1")
    }

    /// At another address of this machine: what clients ask at 127.0.0.1 goes past a proxy.
    pub(super) fn at(address: &str) -> Upstream {
        let listener = TcpListener::bind((address, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (files, stop) = (Arc::new(Mutex::new(Files::new())), Arc::new(AtomicBool::new(false)));
        let directory = Arc::new(Mutex::new(None));
        let (served, below, stopped) = (files.clone(), directory.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let _broken = connection.and_then(|connection| answer(connection, &served, &below));
            }
        });
        Upstream { address, files, directory, stop, thread: Some(thread) }
    }

    /// `http://ADDRESS:PORT`
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves a file, in place of what was there.
    pub(super) fn serve(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.answer(path, &format!("200 OK\r\nContent-Length: {}", bytes.len()), bytes);
    }

    /// Serves what lies in a directory, below a path.
    pub(super) fn serve_directory(&self, path: &str, directory: &Path) {
        let both = Some((path.to_owned(), directory.to_owned()));
        *self.directory.lock().expect("no thread panics with it") = both;
    }

    /// Answers with this status line and these headers.
    pub(super) fn answer(&self, path: &str, head: &str, body: impl Into<Vec<u8>>) {
        let answer = (head.to_owned(), body.into());
        self.files.lock().expect("no thread panics with it").insert(path.to_owned(), answer);
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

fn answer(
    connection: TcpStream,
    files: &Mutex<Files>,
    directory: &Mutex<Option<(String, PathBuf)>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let found = files.lock().expect("no thread panics with it").get(path).cloned();
    let below = directory.lock().expect("no thread panics with it").clone();
    let found = found.or_else(|| {
        let (prefix, directory) = below?;
        let body = std::fs::read(directory.join(path.strip_prefix(&format!("{prefix}/"))?)).ok()?;
        Some((format!("200 OK\r\nContent-Length: {}", body.len()), body))
    });
    let (head, body) = found.unwrap_or_else(|| ("404 Not Found\r\nContent-Length: 0".to_owned(), Vec::new()));
    let mut connection = reader.into_inner();
    write!(connection, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n")?;
    connection.write_all(&body)
}
