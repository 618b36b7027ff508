//! Requests: sent, sent again where that is harmless, answers read up to a limit.
//!
//! Absent on purpose: cookies, caches, compression. A redirect is followed where the server may lead us; an
//! `Authorization` goes to the server it was made for and nowhere else.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::address::Address;
use super::retry::{Ended, pause};
use crate::error::{Context as _, Failure, Result};

/// How many redirects are followed.
const REDIRECTS_MAX: usize = 5;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(20);
/// How long an answer may stay silent: a registry that hashes a large layer before it answers takes a while.
const SILENCE: Duration = Duration::from_secs(120);
/// Unit of reading a file that is sent.
const BUFFER: usize = 256 << 10;
/// What of a foreign text is shown in an error.
const SHOWN_MAX: usize = 1000;

/// The way to one server.
pub(super) struct Http {
    client: Client,
    address: Address,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: Method,
    pub(super) url: Url,
    headers: Vec<(HeaderName, String)>,
    body: Body,
    again: bool,
}

#[derive(Clone, Debug)]
enum Body {
    Empty,
    Bytes(Vec<u8>),
    File(Slice),
}

/// A part of a file.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// The file.
    pub(super) path: PathBuf,
    /// Its first byte.
    pub(super) first: u64,
    /// How many bytes.
    pub(super) length: u64,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) url: Url,
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// The connection; the same request may do better.
    Connection(reqwest::Error),
    /// Something that trying again does not change.
    Final(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Final(failure)
    }
}

impl Call {
    /// A request that may be sent again.
    pub(super) fn new(method: Method, url: Url) -> Call {
        Call { method, url, headers: Vec::new(), body: Body::Empty, again: true }
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends bytes.
    pub(super) fn bytes(mut self, bytes: Vec<u8>) -> Call {
        self.body = Body::Bytes(bytes);
        self
    }

    /// Sends a part of a file.
    pub(super) fn file(mut self, slice: Slice) -> Call {
        self.body = Body::File(slice);
        self
    }

    /// Not to be sent twice: what it does, it would do twice.
    pub(super) fn once(mut self) -> Call {
        self.again = false;
        self
    }
}

impl Http {
    /// Prepares the way; nothing is sent.
    pub(super) fn new(address: Address) -> Result<Http> {
        Http::patient(address, SILENCE)
    }

    fn patient(address: Address, silence: Duration) -> Result<Http> {
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default(); // once a process; the first wins
        let origin = address.clone();
        let mut client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(silence)
            .redirect(redirect::Policy::custom(move |attempt| {
                match attempt.previous().len() > REDIRECTS_MAX || !origin.may_lead_to(attempt.url()) {
                    true => attempt.stop(),
                    false => attempt.follow(),
                }
            }))
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")));
        if address.is_loopback() {
            client = client.no_proxy(); // a proxy has another idea of what this machine is
        }
        Ok(Http { client: client.build().context("network", "preparing the HTTP client")?, address })
    }

    /// The server.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request and reads the answer, of at most `size_max` bytes.
    pub(super) async fn exchange(
        &self,
        call: &Call,
        authorization: Option<&str>,
        size_max: usize,
    ) -> std::result::Result<Answer, Trouble> {
        let mut tried = 1;
        loop {
            let response = self.open(call, authorization).await?;
            match self.whole(response, size_max).await {
                Err(Trouble::Connection(error)) => match pause(Ended::Broken, tried).filter(|_| call.again) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(Trouble::Connection(error)),
                },
                outcome => return outcome,
            }
            tried += 1;
        }
    }

    /// Sends a request until it is answered, and returns the head of the answer.
    pub(super) async fn open(
        &self,
        call: &Call,
        authorization: Option<&str>,
    ) -> std::result::Result<Response, Trouble> {
        let mut tried = 1;
        loop {
            let sent = self.request(call, authorization).await?.send().await;
            let wait = match &sent {
                Ok(response) => {
                    let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
                    pause(Ended::Answered(response.status().as_u16(), after), tried)
                }
                Err(error) if error.is_connect() => pause(Ended::Unconnected, tried),
                Err(_) => pause(Ended::Broken, tried),
            };
            match wait.filter(|_| call.again) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return sent.map_err(Trouble::Connection),
            }
            tried += 1;
        }
    }

    async fn request(&self, call: &Call, authorization: Option<&str>) -> Result<RequestBuilder> {
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization.filter(|_| self.address.owns(&call.url)) {
            request = request.header(AUTHORIZATION, authorization);
        }
        Ok(match &call.body {
            Body::Empty if call.method == Method::GET || call.method == Method::HEAD => request,
            Body::Empty => request.header(CONTENT_LENGTH, 0),
            Body::Bytes(bytes) => request.body(bytes.clone()),
            Body::File(slice) => {
                let doing = || format!("reading `{}` to send it", slice.path.display());
                let mut file = tokio::fs::File::open(&slice.path).await.context("store", doing())?;
                file.seek(std::io::SeekFrom::Start(slice.first)).await.context("store", doing())?;
                let stream = ReaderStream::with_capacity(file.take(slice.length), BUFFER);
                request.header(CONTENT_LENGTH, slice.length).body(reqwest::Body::wrap_stream(stream))
            }
        })
    }

    /// Reads an answer of at most `size_max` bytes.
    pub(super) async fn whole(&self, mut response: Response, size_max: usize) -> std::result::Result<Answer, Trouble> {
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(Trouble::Connection)? {
            if body.len() + piece.len() > size_max {
                let message = format!("{} answered `{}` with more than {size_max} bytes", self.address, url.path());
                return Err(Trouble::Final(Failure::new("answer-too-large", message)));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body, url })
    }

    /// What a command says when there is no answer.
    pub(super) fn failure(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Final(failure) => failure,
            Trouble::Connection(error) => {
                let silent = error.is_timeout() && !error.is_connect();
                let hint = match self.address.is_loopback() {
                    _ if silent => "it is there and does not answer: type the same command again later".to_owned(),
                    true => format!("is it running? `assay serve --listen {}`", self.address.host()),
                    false => "check the address and the network, and type the same command again".to_owned(),
                };
                Failure::new("unreachable", format!("asking {}", self.address)).because(&error.without_url()).hint(hint)
            }
        }
    }
}

/// The first of a foreign text, on one line, for an error.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_MAX)]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
