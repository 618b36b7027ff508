//! Every path of the server, in one table, and the router that is made of it.
//!
//! The table is what documentation is written from; a test asks the router for each row.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get, post};

use crate::metrics::Surface;
use crate::state::Server;
use crate::{api, log, oci, pages, rekor, sigstore};

/// One path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path; `{…}` stands for a part, `{*…}` for the rest.
    pub path: &'static str,
    /// Least role that it takes; `none` takes no token, and where reading is public so does `reader`.
    pub role: &'static str,
    /// What it does.
    pub does: &'static str,
}

const fn route(method: &'static str, path: &'static str, role: &'static str, does: &'static str) -> Route {
    Route { method, path, role, does }
}

/// All paths.
pub const ROUTES: &[Route] = &[
    route("GET", "/v2/", "reader", "OCI: says that the protocol is spoken here, or how to sign in"),
    route("GET", "/v2/{name}/blobs/{digest}", "reader", "OCI: a blob, whole or a range"),
    route("POST", "/v2/{name}/blobs/uploads/", "publisher", "OCI: begins an upload, mounts, or pushes at once"),
    route("GET", "/v2/{name}/blobs/uploads/{id}", "reader", "OCI: how much of an upload is there"),
    route("PATCH", "/v2/{name}/blobs/uploads/{id}", "publisher", "OCI: a chunk"),
    route("PUT", "/v2/{name}/blobs/uploads/{id}", "publisher", "OCI: ends an upload"),
    route("DELETE", "/v2/{name}/blobs/uploads/{id}", "publisher", "OCI: cancels an upload"),
    route("GET", "/v2/{name}/manifests/{reference}", "reader", "OCI: a manifest"),
    route("PUT", "/v2/{name}/manifests/{reference}", "publisher", "OCI: pushes a manifest; logs publication and tags"),
    route("DELETE", "/v2/{name}/manifests/{tag}", "publisher", "OCI: deletes a tag that is no release"),
    route("GET", "/v2/{name}/tags/list", "reader", "OCI: tags, in pages"),
    route("GET", "/v2/{name}/referrers/{digest}", "reader", "OCI: what refers to a manifest, statements too"),
    route("GET", "/token", "reader", "OCI: a short-lived bearer for a token"),
    route("GET", "/log/checkpoint", "reader", "log: the newest checkpoint"),
    route("GET", "/log/tile/{*path}", "reader", "log: a tile or an entry bundle"),
    route("POST", "/api/v2/log/entries", "by --log-writes", "log: adds an entry, as Rekor v2 does"),
    route("GET", "/api/v2/checkpoint", "reader", "log: the newest checkpoint, where Rekor v2 has it"),
    route("GET", "/api/v2/tile/{*path}", "reader", "log: a tile or an entry bundle, where Rekor v2 has it"),
    route("GET", "/api/v1/server", "reader", "API: the log's name and key, and what the caller may do"),
    route("GET", "/api/v1/trusted_root.json", "reader", "API: the trust root for Sigstore clients"),
    route("POST", "/api/v1/statements", "publisher or deployer", "API: adds envelopes, or bundles of another log"),
    route("GET", "/api/v1/statements", "reader", "API: statements about a digest, with payloads, or the newest"),
    route("GET", "/api/v1/statements/{digest}", "reader", "API: a statement by payload or envelope"),
    route("GET", "/api/v1/statements/{digest}/bundle", "reader", "API: its Sigstore bundle"),
    route("GET", "/api/v1/statements/{digest}/envelope", "reader", "API: its DSSE envelope"),
    route("GET", "/api/v1/blobs/{digest}", "reader", "API: a blob, whole or a range"),
    route("PUT", "/api/v1/blobs/{digest}", "publisher or deployer", "API: stores a blob"),
    route("GET", "/api/v1/trees/{digest}", "reader", "API: a tree's manifest"),
    route("GET", "/api/v1/lineage", "reader", "API: the walk over the chain, back or forward"),
    route("GET", "/api/v1/edges", "reader", "API: the edges at some nodes, in pages"),
    route("GET", "/api/v1/nodes", "reader", "API: nodes of the chain, by name or by how they begin"),
    route("GET", "/api/v1/artifacts", "reader", "API: artifacts, newest first"),
    route("GET", "/api/v1/artifacts/{digest}", "reader", "API: an artifact"),
    route("GET", "/api/v1/policies/{name}", "reader", "API: the newest policy of a name"),
    route("GET", "/api/v1/environments", "reader", "API: what is live where"),
    route("GET", "/api/v1/environments/{name}", "reader", "API: an environment with its history"),
    route("GET", "/api/v1/wait", "reader", "API: waits until the ledger has read a log entry"),
    route("GET", "/api/v1/tokens", "admin of *", "API: tokens by their digests"),
    route("POST", "/api/v1/tokens", "admin of *", "API: makes a token"),
    route("DELETE", "/api/v1/tokens/{token}", "admin of *", "API: revokes a token, by digest or by name"),
    route("GET", "/api/v1/signing_config.json", "reader", "Sigstore: where clients sign"),
    route("GET", "/api/v1/trust_config.json", "reader", "Sigstore: where clients sign, and whom they trust"),
    route("POST", "/api/v2/signingCert", "none", "Fulcio: a certificate for an identity token"),
    route("GET", "/api/v2/trustBundle", "none", "Fulcio: the authority's certificates"),
    route("GET", "/api/v2/configuration", "none", "Fulcio: whose tokens are taken"),
    route("POST", "/api/v1/timestamp", "none", "RFC 3161: a time-stamp"),
    route("GET", "/api/v1/timestamp/certchain", "none", "RFC 3161: the time-stamp authority's certificates"),
    route("GET", "/ct/v1/get-sth", "reader", "RFC 6962: the head of the log of certificates"),
    route("GET", "/ct/v1/get-sth-consistency", "reader", "RFC 6962: that one head continues another"),
    route("GET", "/ct/v1/get-proof-by-hash", "reader", "RFC 6962: that a certificate is logged"),
    route("GET", "/ct/v1/get-entries", "reader", "RFC 6962: logged certificates"),
    route("GET", "/ct/v1/get-roots", "reader", "RFC 6962: the authority's anchor"),
    route("GET", "/ct/checkpoint", "reader", "certificates: the log's newest checkpoint"),
    route("GET", "/ct/tile/{*path}", "reader", "certificates: a tile or an entry bundle"),
    route("GET", "/healthz", "none", "whether statements can be taken"),
    route("GET", "/metrics", "reader", "counts in Prometheus' text format"),
    route("GET", "/", "reader", "page: newest artifacts and how far each came"),
    route("GET", "/artifact/{digest}", "reader", "page: an artifact with lineage, verdicts, statements"),
    route("GET", "/node", "reader", "page: any other node of the chain"),
    route("GET", "/statement/{digest}", "reader", "page: a statement"),
    route("GET", "/environments", "reader", "page: what is live where"),
    route("GET", "/environment/{name}", "reader", "page: an environment"),
    route("GET", "/log", "reader", "page: the log"),
    route("GET", "/search", "reader", "page: finds nodes"),
    route("GET", "/login", "none", "page: signing in"),
    route("POST", "/login", "none", "page: sets the session cookie"),
    route("POST", "/logout", "none", "page: removes it"),
    route("GET", "/assets/{name}", "none", "style sheet and icon"),
];

/// Makes the router.
pub(crate) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/v2", any(oci::v2))
        .route("/v2/", any(oci::v2))
        .route("/v2/{*path}", any(oci::v2))
        .route("/token", get(oci::token))
        .route("/log/checkpoint", get(log::checkpoint))
        .route("/log/tile/{*path}", get(log::tile))
        .route("/api/v2/log/entries", post(rekor::create))
        .route("/api/v2/checkpoint", get(log::checkpoint))
        .route("/api/v2/tile/{*path}", get(log::tile))
        .merge(sigstore::router())
        .merge(api_router())
        .route("/healthz", get(api::meta::health))
        .route("/metrics", get(api::meta::metrics))
        .merge(pages_router())
        .fallback(pages::unknown)
        // Each body has a limit of its own, and blobs are larger than any that fits all.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&server), around))
        .with_state(server)
}

fn api_router() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/v1/server", get(api::meta::server))
        .route("/api/v1/trusted_root.json", get(api::meta::trusted_root))
        .route("/api/v1/statements", get(api::statements::list).post(api::statements::add))
        .route("/api/v1/statements/{digest}", get(api::statements::one))
        .route("/api/v1/statements/{digest}/bundle", get(api::statements::bundle))
        .route("/api/v1/statements/{digest}/envelope", get(api::statements::envelope))
        .route("/api/v1/blobs/{digest}", get(api::content::get_blob).put(api::content::put_blob))
        .route("/api/v1/trees/{digest}", get(api::content::tree))
        .route("/api/v1/lineage", get(api::chain::lineage))
        .route("/api/v1/edges", get(api::chain::edges))
        .route("/api/v1/nodes", get(api::chain::nodes))
        .route("/api/v1/artifacts", get(api::chain::artifacts))
        .route("/api/v1/artifacts/{digest}", get(api::chain::artifact_by_digest))
        .route("/api/v1/policies/{name}", get(api::chain::policy))
        .route("/api/v1/environments", get(api::chain::environments))
        .route("/api/v1/environments/{name}", get(api::chain::environment))
        .route("/api/v1/wait", get(api::meta::wait))
        .route("/api/v1/tokens", get(api::tokens::list).post(api::tokens::create))
        .route("/api/v1/tokens/{token}", axum::routing::delete(api::tokens::revoke))
        .route("/api/{*path}", any(api::unknown))
}

fn pages_router() -> Router<Arc<Server>> {
    Router::new()
        .route("/", get(pages::artifacts::newest))
        .route("/artifact/{digest}", get(pages::node::artifact))
        .route("/node", get(pages::node::node))
        .route("/statement/{digest}", get(pages::statement::one))
        .route("/environments", get(pages::environments::all))
        .route("/environment/{name}", get(pages::environments::one))
        .route("/log", get(pages::log::log))
        .route("/search", get(pages::search::search))
        .route("/login", get(pages::login::form).post(pages::login::sign_in))
        .route("/logout", post(pages::login::sign_out))
        .route("/assets/{name}", get(pages::assets))
}

/// Around every request: it is counted, and its answer can do nothing in a browser but be shown.
async fn around(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let surface = Surface::of(request.uri().path());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    server.metrics.answered(surface, response.status());
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    for (name, value) in HARDENING {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // A page that somebody signed in for is nobody else's.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}

const HARDENING: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];
