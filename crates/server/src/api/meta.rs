//! The server itself: who it is, how it is, and waiting for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::access::Action;
use serde_json::json;

use super::{Answer, Call, answer};
use crate::state::{Server, blocking};

/// How long one request waits for the ledger; the client asks again.
const WAIT: Duration = Duration::from_secs(20);

/// Between two looks at the ledger's cursor.
const WAIT_STEP: Duration = Duration::from_millis(20);

/// `GET /healthz`: whether statements can be taken and read. Says nothing else, so it needs no token.
pub(crate) async fn health(State(server): State<Arc<Server>>) -> Response {
    let home = server.home.clone();
    let ready = blocking(move || home.ready()).await.is_ok() && server.ledger().cursor().await.is_ok();
    let (status, text) = match ready {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unable to take statements"),
    };
    let mut response = answer(json!({"status": text}));
    *response.status_mut() = status;
    response
}

/// `GET /metrics`
pub(crate) async fn metrics(call: Call) -> Answer {
    call.must(Action::Read)?;
    let text = call.server.metrics.text(call.server.log().size());
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// `GET /api/v1/server`: the log's name and key, and who asks.
pub(crate) async fn server(call: Call) -> Answer {
    call.must(Action::Read)?;
    let server = &call.server;
    let may: Vec<&str> = [
        (Action::Read, "read"),
        (Action::Push, "push"),
        (Action::Attest, "attest"),
        (Action::Administer, "administer"),
    ]
    .into_iter()
    .filter(|(action, _)| call.caller.may(*action, None))
    .map(|(_, name)| name)
    .collect();
    Ok(answer(json!({
        "origin": server.origin(),
        "log_key": server.log().note_key().to_string(),
        "size": server.log().size(),
        "anonymous_read": server.settings.anonymous_read,
        "release_tags": server.settings.release_tags.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>(),
        "caller": {"name": call.caller.name, "may": may},
    })))
}

/// `GET /api/v1/trusted_root.json`: the trust root as Sigstore clients read it.
pub(crate) async fn trusted_root(call: Call) -> Answer {
    call.must(Action::Read)?;
    let json = sign::trust::to_trusted_root_json(call.server.trust());
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// `GET /api/v1/wait?after=INDEX`: answers when the ledger has read the log beyond that entry, or after a while.
pub(crate) async fn wait(call: Call) -> Answer {
    call.must(Action::Read)?;
    let after = call.index("after")?.unwrap_or_default();
    let begun = Instant::now();
    loop {
        let read = call.server.ledger().cursor().await?;
        if read > after || begun.elapsed() >= WAIT {
            return Ok(answer(json!({"read": read, "reached": read > after})));
        }
        tokio::time::sleep(WAIT_STEP).await;
    }
}
