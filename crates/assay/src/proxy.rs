//! The one way out of a sandbox's network: an HTTP proxy on its loopback interface, which either asks the network and keeps the
//! answers ([`recorder`]), or has nothing but kept answers ([`replayer`]).
//!
//! Specification: RFC 9110 §9.3.6 (`CONNECT`), RFC 9112 §3.2.2 (absolute form). TLS is taken apart with a certificate of
//! [`authority`]: an answer that cannot be seen cannot be kept. A request is `GET` or `HEAD`; `Range` is passed over, so that
//! every answer is whole (RFC 9110 §14.2 allows it).
//!
//! One thread and one task: connections are futures of one set, so that answering may borrow the store.

pub(crate) mod authority;

pub(crate) mod recorder;

pub(crate) mod replayer;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sandbox::door::Door;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;

use crate::error::{Context as _, Result};
use authority::Authority;

/// What a client asks.
pub(crate) struct Question {
    pub(crate) method: Method,
    /// The whole address.
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
}

/// What it is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) encoding: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// An answer of the proxy itself.
    pub(crate) fn refusal(status: u16, reason: &str) -> Reply {
        let media_type = Some("text/plain".to_owned());
        Reply { status, media_type, body: format!("{reason}\n").into_bytes(), ..Reply::default() }
    }
}

/// Whoever answers. Contract: called for one question at a time or for several at once, from one thread.
pub(crate) trait Answers: Sync {
    /// Answers a question.
    fn answer<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;
}

/// Runs `work`, which opens a sandbox with the door at the given path, while `answers` answers there.
pub(crate) fn with_door<T>(
    runtime: &Handle,
    answers: &dyn Answers,
    work: impl FnOnce(PathBuf) -> Result<T>,
) -> Result<T> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // In the directory of temporary files: the path of a Unix socket has at most 107 bytes.
    let path = std::env::temp_dir().join(format!("assay-door-{}-{number}", std::process::id()));
    let door = Door::new(&path).context("sandbox", format!("making the socket `{}`", path.display()))?;
    let authority = Authority::new();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve_door(runtime, &door, answers, &authority, &ended));
        let made = work(path.clone());
        ended.store(true, Ordering::SeqCst);
        Door::close(&path);
        let served = server.join().unwrap_or_else(|_| Err(io::Error::other("the proxy stopped")));
        let made = made?;
        served.context("sandbox", "answering the sandbox")?;
        Ok(made)
    })
}

/// Serves each listener that is handed out; the last ends with its sandbox.
fn serve_door(
    runtime: &Handle,
    door: &Door,
    answers: &dyn Answers,
    authority: &Authority,
    ended: &AtomicBool,
) -> io::Result<()> {
    std::thread::scope(|scope| {
        while let Some(listener) = door.wait()? {
            scope.spawn(move || runtime.block_on(serve(listener, answers, authority, ended)));
        }
        Ok(())
    })
}

/// How often it is looked whether the sandbox has ended.
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);

async fn serve(
    listener: TcpListener,
    answers: &dyn Answers,
    authority: &Authority,
    ended: &AtomicBool,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = FuturesUnordered::new();
    while !ended.load(Ordering::SeqCst) {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.push(connection(stream, answers, authority));
            }
            // Of a connection that broke, its client is told by that.
            Some(_) = connections.next(), if !connections.is_empty() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    Ok(())
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Serves one connection, and what it becomes after `CONNECT`.
async fn connection(
    stream: tokio::net::TcpStream,
    answers: &dyn Answers,
    authority: &Authority,
) -> std::result::Result<(), Broken> {
    let upgraded: Mutex<Option<(String, OnUpgrade)>> = Mutex::new(None);
    let service = service_fn(|mut request: Request<Incoming>| {
        let connects = request.method() == Method::CONNECT;
        let host = request.uri().authority().map(ToString::to_string);
        if let Some(host) = host.filter(|_| connects) {
            let mut slot = upgraded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *slot = Some((host, hyper::upgrade::on(&mut request)));
        }
        async move {
            match connects {
                true => Ok::<_, Broken>(Response::new(Full::new(Bytes::new()))),
                false => Ok(respond(answers, "", request).await),
            }
        }
    });
    let io = TokioIo::new(stream);
    http1::Builder::new().auto_date_header(false).serve_connection(io, service).with_upgrades().await?;
    let slot = upgraded.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some((host, upgrade)) = slot else { return Ok(()) };
    let stream = TokioIo::new(upgrade.await?);
    let acceptor = TlsAcceptor::from(authority.server(&host)?);
    inside(acceptor.accept(stream).await?, &host, answers).await
}

/// Serves what was inside of TLS.
async fn inside(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    host: &str,
    answers: &dyn Answers,
) -> std::result::Result<(), Broken> {
    let base = format!("https://{}", host.strip_suffix(":443").unwrap_or(host));
    let service = service_fn(|request: Request<Incoming>| {
        let base = base.clone();
        async move { Ok::<_, Broken>(respond(answers, &base, request).await) }
    });
    Ok(http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service).await?)
}

async fn respond(answers: &dyn Answers, base: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let url = match base {
        "" => request.uri().to_string(),
        base => format!("{base}{}", request.uri().path_and_query().map_or("/", |path| path.as_str())),
    };
    let is_head = request.method() == Method::HEAD;
    let (parts, _) = request.into_parts();
    let reply = match url.starts_with("http://") || url.starts_with("https://") {
        true => answers.answer(Question { method: parts.method, url, headers: parts.headers }).await,
        false => Reply::refusal(400, "this is a proxy: ask it for a whole address"),
    };
    let size = reply.body.len();
    let body = if is_head { Bytes::new() } else { Bytes::from(reply.body) };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: Option<&str>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    };
    set(hyper::header::LOCATION, reply.location.as_deref());
    set(hyper::header::CONTENT_TYPE, reply.media_type.as_deref());
    set(hyper::header::CONTENT_ENCODING, reply.encoding.as_deref());
    if is_head {
        set(hyper::header::CONTENT_LENGTH, Some(&size.to_string()));
    }
    response
}

/// What a client says that it takes, where that is not anything: it can decide what is answered.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<String> {
    let accept = headers.get(hyper::header::ACCEPT)?.to_str().ok()?;
    (accept != "*/*" && !accept.is_empty()).then(|| accept.to_owned())
}

#[cfg(test)]
mod tests;
