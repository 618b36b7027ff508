//! The network of the lock phase: `build::inputs::Fetch` over HTTPS.

use std::error::Error;
use std::time::Duration;

use build::inputs::{Fetch, FetchError};
use reqwest::{Client, StatusCode, redirect};
use tokio::runtime::Handle;

use crate::error::{Context, Result};

/// How often a request is tried before it is given up.
const TRIES: u32 = 4;
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 5;
/// How long one request may take to connect, and how long it may stay silent.
const CONNECT: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);

/// Fetches over HTTPS; usable from several threads that are not the runtime's own.
pub(crate) struct Https {
    client: Client,
    runtime: Handle,
}

/// Makes the HTTP client that all of the program uses.
pub(crate) fn client() -> Result<Client> {
    client_with(redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > REDIRECTS_MAX || attempt.url().scheme() != "https" {
            attempt.stop()
        } else {
            attempt.follow()
        }
    }))
}

/// The same, but it hands out redirects as they are.
pub(crate) fn client_without_redirects() -> Result<Client> {
    client_with(redirect::Policy::none())
}

fn client_with(redirects: redirect::Policy) -> Result<Client> {
    // The process has one TLS provider; whoever comes second finds it installed.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(redirects)
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("network", "preparing the HTTP client")
}

impl Https {
    /// Makes a fetcher that runs its requests on `runtime`.
    pub(crate) fn new(runtime: Handle) -> Result<Https> {
        Ok(Https { client: client()?, runtime })
    }

    async fn once(&self, url: &str, size_max: u64) -> std::result::Result<Vec<u8>, FetchError> {
        let unreachable =
            |error: reqwest::Error| FetchError::Unreachable { url: url.to_owned(), source: Box::new(error) };
        let too_large = || FetchError::TooLarge { url: url.to_owned(), size_max };
        let mut answer = self.client.get(url).send().await.map_err(unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.to_owned(), status: answer.status().as_u16() });
        }
        if answer.content_length().is_some_and(|length| length > size_max) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if (body.len() + chunk.len()) as u64 > size_max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn patiently(&self, url: &str, size_max: u64) -> std::result::Result<Vec<u8>, FetchError> {
        let mut tried = 1;
        loop {
            match self.once(url, size_max).await {
                Err(error) if tried < TRIES && may_pass(&error) => {
                    tokio::time::sleep(Duration::from_millis(400 << tried)).await;
                    tried += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

fn may_pass(error: &FetchError) -> bool {
    match error {
        FetchError::Unreachable { source, .. } => !is_dns(source.as_ref()),
        FetchError::Status { status, .. } => *status == 429 || *status >= 500,
        FetchError::TooLarge { .. } => false,
    }
}

/// A name that does not resolve will not resolve in a second either: say so at once.
fn is_dns(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.to_string().contains("dns error") {
            return true;
        }
        next = cause.source();
    }
    false
}

impl Fetch for Https {
    fn fetch(&self, url: &str, size_max: u64) -> std::result::Result<Vec<u8>, FetchError> {
        self.runtime.block_on(self.patiently(url, size_max))
    }
}
