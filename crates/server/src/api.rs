//! The API, version 1: JSON for the command line and for programs.
//!
//! Each answer has `"version": 1`; an error is `{"version":1,"error":{"code","message","where","hint"}}`. The table of
//! all paths is [`crate::routes::ROUTES`].

pub(crate) mod chain;
pub(crate) mod content;
pub(crate) mod meta;
pub(crate) mod statements;
pub(crate) mod tokens;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use registry::access::Action;
use serde_json::{Value, json};
use wire::digest::Digest;

use crate::auth::Caller;
use crate::error::Problem;
use crate::oci::Query;
use crate::state::Server;

/// Elements in one page of a list, and the most that can be asked for.
const PAGE: usize = 50;
const PAGE_MOST: usize = store::ledger::PAGE_MAX;

/// What a handler returns.
pub(crate) type Answer = Result<Response, ApiProblem>;

/// A problem in the API's form.
pub(crate) struct ApiProblem(Problem);

impl<E: Into<Problem>> From<E> for ApiProblem {
    fn from(problem: E) -> ApiProblem {
        ApiProblem(problem.into())
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        self.0.into_api()
    }
}

/// One request to the API, by somebody who is known as far as he said.
pub(crate) struct Call {
    pub(crate) server: Arc<Server>,
    pub(crate) caller: Caller,
    pub(crate) parts: Parts,
    pub(crate) query: Query,
    /// Behind a lock because a body can't be shared, and what can't be shared can't wait.
    body: Mutex<Body>,
}

impl FromRequest<Arc<Server>> for Call {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Call, ApiProblem> {
        let (parts, body) = request.into_parts();
        let caller = server.caller(&parts.method, &parts.headers, None).await?;
        let query = Query::of(&parts);
        Ok(Call { server: Arc::clone(server), caller, parts, query, body: Mutex::new(body) })
    }
}

impl Call {
    /// Returns the body, the first time.
    pub(crate) fn take_body(&self) -> Body {
        std::mem::take(&mut self.body.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the request unless the caller may do it somewhere.
    pub(crate) fn must(&self, action: Action) -> Result<(), Problem> {
        self.caller.must(action, None)
    }

    /// Ends the request unless the caller may read something that belongs to a blob's repositories; what belongs to
    /// none may be read by every reader.
    pub(crate) async fn must_read(&self, digest: &Digest) -> Result<(), Problem> {
        self.server.must_read_digest(&self.caller, digest).await
    }

    /// Reads a digest of the query, if it is there.
    pub(crate) fn digest(&self, name: &str) -> Result<Option<Digest>, Problem> {
        self.query.first(name).map(|text| parse_digest(name, text)).transpose()
    }

    /// Reads a log index of the query, if it is there.
    pub(crate) fn index(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.query.first(name) else { return Ok(None) };
        let number =
            text.parse().map_err(|_| Problem::invalid(format!("`{name}` is not a log index")).at(name.to_owned()));
        number.map(Some)
    }

    /// How many elements are asked for.
    pub(crate) fn page(&self) -> Result<usize, Problem> {
        Ok(self.query.number("n", PAGE, PAGE_MOST)?.max(1))
    }
}

/// Reads a digest of a path or a query.
pub(crate) fn parse_digest(place: &str, text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|error: wire::digest::DigestError| Problem::invalid(error.to_string()).at(place.to_owned()))
}

/// Makes an answer of an object: the version comes first.
pub(crate) fn answer(mut value: Value) -> Response {
    value["version"] = json!(1);
    Json(value).into_response()
}

/// Any other path below `/api/`.
pub(crate) async fn unknown(call: Call) -> Answer {
    Err(Problem::not_found("the API has no such path").at(call.parts.uri.path().to_owned()).into())
}
