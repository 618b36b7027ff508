//! The token endpoint: a token, as the password of Basic, for a short-lived bearer.
//!
//! Specification: Docker registry v2 authentication
//! <https://distribution.github.io/distribution/spec/auth/token/>. The scope that is asked for is not looked at: a
//! bearer stands for the token, and what that may do is asked with each request.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::access::Action;
use serde_json::json;

use crate::auth::bearer::LIFETIME_S;
use crate::error::Problem;
use crate::state::Server;

/// `GET /token`
pub(crate) async fn token(State(server): State<Arc<Server>>, request: Request) -> Response {
    issue(&server, request).await.unwrap_or_else(Problem::into_oci)
}

async fn issue(server: &Server, request: Request) -> Result<Response, Problem> {
    let caller = server.caller(request.method(), request.headers(), None).await?;
    if !caller.is_known() && !caller.may(Action::Read, None) {
        return Err(caller.challenge());
    }
    let now = server.now();
    let bearer = server.bearer_key.issue(&caller.token, now, LIFETIME_S);
    let body = json!({
        "token": bearer, "access_token": bearer, "expires_in": LIFETIME_S, "issued_at": now.to_string(),
    });
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
