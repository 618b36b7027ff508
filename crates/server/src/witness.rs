//! A witness over HTTP: a server of its own, apart from the registry's, since it serves logs of others.
//!
//! Specification: C2SP tlog-witness <https://c2sp.org/tlog-witness>. Submission and monitoring prefix are the server's
//! root. There are no tokens: a request is as good as the signature on its checkpoint.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /add-checkpoint` | 200 cosignature lines; 400, 403, 404, 409 with the size, 413, 422, 500 |
//! | `GET /<SHA-256 of an origin>/checkpoint` | the newest cosigned checkpoint; 404 |
//! | `GET /` | the witness's name, its keys, and what it has seen |

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sign::note::NoteKey;
use store::witness::{Witness, WitnessError};
use tlog::witness::Refusal;
use tokio::net::TcpListener;
use wire::note::{Note, Signature};
use wire::tlog_witness::{ADD_CHECKPOINT, REQUEST_MAX, SIZE_TYPE};

use crate::body;
use crate::listen;
use crate::state::{Clock, blocking};

/// What a witness serves.
pub struct WitnessConfig {
    /// Its directory.
    pub witness: Witness,
    /// Keys of the logs that it follows.
    pub logs: Vec<NoteKey>,
    /// The time that stands in cosignatures.
    pub clock: Clock,
}

/// Serves a witness until `shutdown` is done and the requests under way have ended.
pub async fn serve_witness(listener: TcpListener, config: WitnessConfig, shutdown: impl Future<Output = ()> + Send) {
    listen::run(listener, router(Arc::new(config)), shutdown).await;
}

fn router(config: Arc<WitnessConfig>) -> Router {
    Router::new()
        .route(ADD_CHECKPOINT, post(add_checkpoint))
        .route("/{origin}/checkpoint", get(checkpoint))
        .route("/", get(about))
        .layer(DefaultBodyLimit::disable())
        .with_state(config)
}

async fn add_checkpoint(State(config): State<Arc<WitnessConfig>>, request: Body) -> Response {
    let request = match body::whole(request, REQUEST_MAX).await {
        Ok(bytes) => bytes,
        Err(problem) => return plain(problem.status, problem.message),
    };
    let Ok(request) = String::from_utf8(request) else {
        return plain(StatusCode::BAD_REQUEST, "the request is not UTF-8");
    };
    let now = (config.clock)();
    let decide = move || match config.witness.add_checkpoint(&request, &config.logs, now) {
        Err(WitnessError::Refused(refusal)) => Ok(Err(refusal)),
        answer => answer.map(Ok),
    };
    match blocking(decide).await {
        Ok(Ok(lines)) => plain(StatusCode::OK, text_of(lines)),
        Ok(Err(refusal)) => refused(&refusal),
        // What went wrong stands in the log; the checkpoint may be on record or not.
        Err(problem) => plain(problem.status, "the checkpoint could not be put on record; ask again"),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Form(_) | Refusal::Older { .. } => StatusCode::BAD_REQUEST,
        Refusal::UnknownLog(_) => StatusCode::NOT_FOUND,
        Refusal::Signature(_) => StatusCode::FORBIDDEN,
        Refusal::Seen { seen, .. } => {
            let headers = [(header::CONTENT_TYPE, SIZE_TYPE)];
            return (StatusCode::CONFLICT, headers, format!("{seen}\n")).into_response();
        }
        Refusal::Proof { .. } => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut message = refusal.to_string();
    let mut next = std::error::Error::source(refusal);
    while let Some(cause) = next {
        message.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    plain(status, message)
}

/// The lines as they stand under a checkpoint.
fn text_of(signatures: Vec<Signature>) -> String {
    let note = Note { body: String::new(), signatures }.to_string();
    note.strip_prefix('\n').unwrap_or(&note).to_owned()
}

async fn checkpoint(State(config): State<Arc<WitnessConfig>>, Path(origin): Path<String>) -> Response {
    match config.witness.checkpoint(&origin) {
        Some(note) => ([(header::CACHE_CONTROL, "no-cache")], plain(StatusCode::OK, note)).into_response(),
        None => plain(StatusCode::NOT_FOUND, "no log of that origin was cosigned here"),
    }
}

async fn about(State(config): State<Arc<WitnessConfig>>) -> Response {
    let mut text = format!("witness {}\n\n", config.witness.name());
    config.witness.keys().for_each(|key| text.push_str(&format!("key {key}\n")));
    text.push('\n');
    for log in &config.logs {
        let seen = config.witness.seen().into_iter().find(|seen| seen.origin == log.name());
        let size = seen.map_or_else(|| "never cosigned".to_owned(), |seen| format!("{} entries", seen.size));
        text.push_str(&format!("log {log}: {size}\n"));
    }
    plain(StatusCode::OK, text)
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}
