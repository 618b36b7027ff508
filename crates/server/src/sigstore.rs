//! A private Sigstore: certificates for identity tokens, times, and the log of issued certificates.
//!
//! ```text
//! ca    /api/v2/signingCert, trustBundle, configuration    Fulcio's API v2
//! tsa   /api/v1/timestamp, timestamp/certchain             RFC 3161 over HTTP, and Sigstore's JSON form of it
//! ct    /ct/v1/…                                           RFC 6962 §4, reading only
//! ```
//!
//! Who has what in his token is [`sign::identity`]'s to say, what a certificate says [`sign::issuing`]'s, and what is durable
//! before it leaves [`store::certificates`]'. Here they meet.
//!
//! Of the two protocols for reading a log of certificates this is the older one. Its promises have no extensions, and those
//! every released client verifies; static-ct-api's carry the position in one. The tree is served as C2SP tiles beside it.

mod ca;
mod ct;
mod revoked;
mod tsa;

pub(crate) mod config;

pub(crate) use revoked::Revoked;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sign::SigningKey;
use sign::identity::Issuer;
use sign::issuing::Authority;
use sign::stamping::Stamper;
use store::certificates::CertificateLog;
use wire::jwt::JwkSet;

use crate::error::Problem;
use crate::state::Server;

/// What a server needs to be a Sigstore of its own.
pub struct Sigstore {
    /// Issues certificates.
    pub authority: Authority,
    /// Issues times.
    pub stamper: Stamper,
    /// Signs promises to show certificates, and the heads of their log.
    pub log_key: SigningKey,
    /// The log of certificates.
    pub certificates: CertificateLog,
    /// Whose tokens are taken.
    pub issuers: Vec<Issuer>,
    /// Where their keys come from.
    pub keys: Arc<dyn IssuerKeys>,
    /// The key of pseudonyms.
    pub pseudonyms: [u8; 32],
}

/// Why an issuer's keys are not known.
pub type KeysError = Box<dyn std::error::Error + Send + Sync>;

/// An issuer's keys, on their way.
pub type PendingKeys<'a> = Pin<Box<dyn Future<Output = Result<Arc<JwkSet>, KeysError>> + Send + 'a>>;

/// Finds the keys of issuers; whoever implements it keeps them for a while.
pub trait IssuerKeys: Send + Sync {
    /// Returns the keys of an issuer. `without` is a set that was returned before and lacks the key that a token names: a
    /// newer one is looked for, but not for every token that somebody makes up.
    fn keys<'a>(&'a self, issuer: &'a Issuer, without: Option<&'a Arc<JwkSet>>) -> PendingKeys<'a>;
}

/// The paths.
pub(crate) fn router() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/v2/signingCert", post(ca::signing_cert))
        .route("/api/v2/trustBundle", get(ca::trust_bundle))
        .route("/api/v2/configuration", get(ca::configuration))
        .route("/api/v1/timestamp", post(tsa::timestamp))
        .route("/api/v1/timestamp/certchain", get(tsa::chain))
        .route("/api/v1/signing_config.json", get(config::signing_config))
        .route("/api/v1/trust_config.json", get(config::trust_config))
        .route("/ct/v1/get-sth", get(ct::head))
        .route("/ct/v1/get-sth-consistency", get(ct::consistency))
        .route("/ct/v1/get-proof-by-hash", get(ct::proof))
        .route("/ct/v1/get-entries", get(ct::entries))
        .route("/ct/v1/get-roots", get(ct::roots))
        .route("/ct/checkpoint", get(ct::checkpoint))
        .route("/ct/tile/{*path}", get(ct::tile))
}

impl Server {
    /// Returns the Sigstore, or why there is none.
    pub(crate) fn sigstore(&self) -> Result<&Sigstore, Problem> {
        let absent = || Problem::not_found("this server issues no certificates and no times");
        self.sigstore.as_ref().ok_or_else(absent)
    }
}

/// An error in the form of a gRPC gateway.
pub(crate) struct Gateway(pub(crate) Problem);

impl<E: Into<Problem>> From<E> for Gateway {
    fn from(problem: E) -> Gateway {
        Gateway(problem.into())
    }
}

impl IntoResponse for Gateway {
    fn into_response(self) -> Response {
        self.0.into_rekor()
    }
}
