//! The only room that speaks HTTP in: the OCI registry, the log, the API and the dashboard.
//!
//! ```text
//! listen ─ routes ─┬─ oci    OCI Distribution 1.1    registry
//!                  ├─ log    C2SP tlog-tiles         store
//!                  ├─ rekor  Rekor v2                tlog, store
//!                  ├─ api    JSON, version 1         store, registry, attest
//!                  ├─ pages  HTML, no script         store
//!                  └─ sigstore  Fulcio, RFC 3161   sign, store
//! listen ─ witness          C2SP tlog-witness       store
//! ```
//!
//! It holds no rules of its own (who may what and what a push changes is `registry`'s), runs no build, and prints
//! nothing. Each error becomes a status and a public message in one place, `error`. Deliberately absent: TLS (a proxy
//! before it has that), HTTP/2, sessions that a server must remember.

#![forbid(unsafe_code)]

mod listen;

mod routes;

mod state;

mod record;

mod auth;

mod error;

mod body;

mod send;

mod metrics;

mod oci;

mod log;

mod rekor;

mod api;

mod pages;

mod sigstore;

mod picture;

mod readable;

mod witness;

use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;

pub use record::ServerKeys;
pub use rekor::LogWrites;
pub use routes::{ROUTES, Route};
pub use sigstore::config::{signing_config_at, trust_config_at};
pub use sigstore::{IssuerKeys, KeysError, PendingKeys, Sigstore};
pub use state::{Clock, Config, Random, ServeError, Settings};
pub use witness::{WitnessConfig, serve_witness};

/// Serves until `shutdown` is done and the requests under way have ended. The caller then closes the home.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let server = Arc::new(state::Server::open(config)?);
    listen::run(listener, routes::router(server), shutdown).await;
    Ok(())
}

#[cfg(test)]
mod tests;
