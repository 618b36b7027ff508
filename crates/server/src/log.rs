//! The log's tiles and checkpoint, for auditors and mirrors.
//!
//! Specification: C2SP tlog-tiles <https://c2sp.org/tlog-tiles>. Tiles hold hashes, keys and signatures only, and are
//! readable by whoever may read anything. The same answers stand where Rekor v2 has them, below `/api/v2/`. New entries come
//! in through the API's statements and through [`crate::rekor`], not here.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::access::Action;

use crate::error::Problem;
use crate::state::{Server, blocking};

/// A tile never changes: a partial one of a size is the beginning of the next.
pub(crate) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// `GET /log/checkpoint`
pub(crate) async fn checkpoint(State(server): State<Arc<Server>>, method: Method, headers: HeaderMap) -> Response {
    if let Err(problem) = reader(&server, &method, &headers).await {
        return problem.into_api();
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    let log = server.log().clone();
    match blocking(move || log.cosigned_checkpoint()).await {
        Ok(checkpoint) => (StatusCode::OK, headers, checkpoint).into_response(),
        Err(problem) => problem.into_api(),
    }
}

/// `GET /log/tile/…`
pub(crate) async fn tile(
    State(server): State<Arc<Server>>,
    Path(path): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    match read_tile(&server, path, &method, &headers).await {
        Ok(bytes) => {
            let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, IMMUTABLE)];
            (StatusCode::OK, headers, bytes).into_response()
        }
        Err(problem) => problem.into_api(),
    }
}

async fn read_tile(server: &Server, path: String, method: &Method, headers: &HeaderMap) -> Result<Vec<u8>, Problem> {
    reader(server, method, headers).await?;
    let (log, wanted) = (server.log().clone(), format!("tile/{path}"));
    let tile = blocking(move || log.tile(&wanted)).await?;
    tile.ok_or_else(|| Problem::not_found("the log has no such tile").at(path))
}

async fn reader(server: &Server, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    server.caller(method, headers, None).await?.must(Action::Read, None)
}
