//! Keys of issuers of identity tokens: asked for by OpenID Connect Discovery, kept for a while.
//!
//! Specification: OpenID Connect Discovery 1.0 §4 <https://openid.net/specs/openid-connect-discovery-1_0.html>. The
//! document must say that it is the configured issuer's, letter by letter, and its keys must be reached over https, or on
//! this machine. No redirect is followed: where keys come from is whoever's who decides about it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, redirect};
use server::{IssuerKeys, KeysError, PendingKeys};
use sign::identity::{Issuer, is_fetchable};
use wire::jwt::{DOCUMENT_SIZE_MAX, Discovery, JwkSet};

use crate::error::{Context as _, Result};

/// How long keys are believed before they are asked for again.
const FRESH: Duration = Duration::from_secs(3600);

/// How long they are used on while the issuer cannot be reached.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// How often a token with an unknown key makes us ask again.
const AGAIN: Duration = Duration::from_secs(10);

/// How long connecting, and the whole of one answer, may take.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);

/// Keys of issuers, by the issuer's URL.
pub(crate) struct Fetched {
    client: Client,
    known: Mutex<BTreeMap<String, Known>>,
    /// Held by who asks, so that many tokens at once ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<JwkSet>,
    at: Instant,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("asking `{url}`")]
    Network {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("`{url}` answered {status}")]
    Status { url: String, status: u16 },
    #[error("`{url}` answered more than {DOCUMENT_SIZE_MAX} bytes")]
    Size { url: String },
    #[error("reading what `{url}` answered")]
    Form {
        url: String,
        #[source]
        source: wire::jwt::TokenFormError,
    },
    #[error("`{url}` says that its issuer is `{found}`")]
    Issuer { url: String, found: String },
    #[error("keys are at `{0}`, which is neither https nor on this machine")]
    Place(String),
    #[error("reading the keys in `{path}`")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

impl Fetched {
    /// Prepares; nothing is sent.
    pub(crate) fn new() -> Result<Fetched> {
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default(); // once a process; the first wins
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("network", "preparing the HTTP client")?;
        Ok(Fetched { client, known: Mutex::default(), asking: tokio::sync::Mutex::default() })
    }

    fn known(&self, issuer: &Issuer) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&issuer.url).cloned()
    }

    async fn find(
        &self,
        issuer: &Issuer,
        without: Option<&Arc<JwkSet>>,
    ) -> std::result::Result<Arc<JwkSet>, FetchError> {
        if let Some(known) = self.known(issuer).filter(|known| is_good(known, without)) {
            return Ok(known.keys);
        }
        let _asking = self.asking.lock().await;
        // Somebody may have asked meanwhile.
        let known = self.known(issuer);
        if let Some(known) = known.clone().filter(|known| is_good(known, without)) {
            return Ok(known.keys);
        }
        match self.ask(issuer).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                let known = Known { keys: Arc::clone(&keys), at: Instant::now() };
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.url.clone(), known);
                Ok(keys)
            }
            Err(error) => match known.filter(|known| is_usable(known.at.elapsed())) {
                Some(known) => {
                    tracing::warn!(issuer = issuer.url, %error, "the keys of an issuer are those of the last time");
                    Ok(known.keys)
                }
                None => Err(error),
            },
        }
    }

    async fn ask(&self, issuer: &Issuer) -> std::result::Result<JwkSet, FetchError> {
        if let Some(path) = &issuer.keys {
            let read = tokio::fs::read(path).await;
            let bytes = read.map_err(|source| FetchError::File { path: path.clone(), source })?;
            return JwkSet::parse(&bytes).map_err(|source| FetchError::Form { url: path.clone(), source });
        }
        let url = format!("{}/.well-known/openid-configuration", issuer.url.trim_end_matches('/'));
        let document = self.get(&url).await?;
        let document = Discovery::parse(&document).map_err(|source| FetchError::Form { url: url.clone(), source })?;
        if document.issuer != issuer.url {
            return Err(FetchError::Issuer { url, found: document.issuer.chars().take(200).collect() });
        }
        if !is_fetchable(&document.jwks_uri) {
            return Err(FetchError::Place(document.jwks_uri.chars().take(200).collect()));
        }
        let keys = self.get(&document.jwks_uri).await?;
        JwkSet::parse(&keys).map_err(|source| FetchError::Form { url: document.jwks_uri, source })
    }

    async fn get(&self, url: &str) -> std::result::Result<Vec<u8>, FetchError> {
        let network = |source| FetchError::Network { url: url.to_owned(), source };
        let mut response = self.client.get(url).send().await.map_err(network)?;
        if !response.status().is_success() {
            return Err(FetchError::Status { url: url.to_owned(), status: response.status().as_u16() });
        }
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(network)? {
            if bytes.len() + piece.len() > DOCUMENT_SIZE_MAX {
                return Err(FetchError::Size { url: url.to_owned() });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// Whether keys that are known will do.
fn is_good(known: &Known, without: Option<&Arc<JwkSet>>) -> bool {
    let lacking = without.is_some_and(|without| Arc::ptr_eq(without, &known.keys));
    is_young(known.at.elapsed(), lacking)
}

/// Whether keys of that age are believed without asking; those that lack a token's key, only for a moment.
fn is_young(age: Duration, lacking: bool) -> bool {
    age < if lacking { AGAIN } else { FRESH }
}

/// Whether keys of that age are believed while their issuer is away.
fn is_usable(age: Duration) -> bool {
    age < STALE
}

impl IssuerKeys for Fetched {
    fn keys<'a>(&'a self, issuer: &'a Issuer, without: Option<&'a Arc<JwkSet>>) -> PendingKeys<'a> {
        Box::pin(async move { self.find(issuer, without).await.map_err(|error| Box::new(error) as KeysError) })
    }
}

#[cfg(test)]
mod tests;
