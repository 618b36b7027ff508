//! The dashboard: pages for people, made on the server, that work without script.
//!
//! Templates escape everything; the two values that are HTML already (the picture, the readable statement) are made by
//! [`crate::picture`] and [`crate::readable`], which escape too. Each page has an entity tag of its bytes.

pub(crate) mod artifacts;
pub(crate) mod environments;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod node;
pub(crate) mod search;
pub(crate) mod statement;

mod view;

use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::body::Body;
use axum::extract::{FromRequest, Path, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use registry::access::Action;
use wire::digest::Digest;

use crate::auth::Caller;
use crate::error::Problem;
use crate::oci::Query;
use crate::send;
use crate::state::Server;

const HTML: &str = "text/html; charset=utf-8";

const STYLE: &str = include_str!("../assets/style.css");
const ICON: &str = include_str!("../assets/icon.svg");

/// What a handler returns.
pub(crate) type Page = Result<Response, PageProblem>;

/// Why there is no page.
pub(crate) enum PageProblem {
    /// A token is needed; where to come back to.
    SignIn(String),
    /// Anything else.
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for PageProblem {
    fn from(problem: E) -> PageProblem {
        PageProblem::Problem(problem.into())
    }
}

impl IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        match self {
            PageProblem::SignIn(next) => {
                let target = format!("/login?next={}", send::percent(&next));
                (StatusCode::SEE_OTHER, [(header::LOCATION, target)], ()).into_response()
            }
            PageProblem::Problem(problem) => {
                let title = match problem.status {
                    StatusCode::NOT_FOUND => "Not found",
                    StatusCode::FORBIDDEN => "Not allowed",
                    status if status.is_client_error() => "That did not work",
                    _ => "The server failed",
                };
                let page = ProblemPage {
                    frame: Frame::bare(),
                    title,
                    message: capitalised(&problem.message),
                    place: problem.place.clone(),
                    sign_in: problem.status == StatusCode::FORBIDDEN,
                    hint: problem.hint.as_deref().map(capitalised),
                };
                let body = page.render().unwrap_or_else(|_| title.to_owned());
                problem.respond(HTML, body.into_bytes())
            }
        }
    }
}

/// What stands around each page.
pub(crate) struct Frame {
    section: &'static str,
    query: String,
    origin: String,
    log_size: u64,
    holder: Option<String>,
}

impl Frame {
    fn bare() -> Frame {
        Frame { section: "", query: String::new(), origin: String::new(), log_size: 0, holder: None }
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    title: &'static str,
    message: String,
    place: String,
    hint: Option<String>,
    sign_in: bool,
}

/// One request for a page.
pub(crate) struct Visit {
    pub(crate) server: Arc<Server>,
    pub(crate) caller: Caller,
    pub(crate) parts: Parts,
    pub(crate) query: Query,
    body: Mutex<Body>,
}

impl FromRequest<Arc<Server>> for Visit {
    type Rejection = PageProblem;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Visit, PageProblem> {
        let (parts, body) = request.into_parts();
        let caller = match server.caller(&parts.method, &parts.headers, None).await {
            // A session whose token was revoked signs in again.
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED => {
                let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                if parts.uri.path() == "/login" {
                    server.nobody()
                } else {
                    return Err(PageProblem::SignIn(path.to_owned()));
                }
            }
            other => other?,
        };
        let query = Query::of(&parts);
        Ok(Visit { server: Arc::clone(server), caller, parts, query, body: Mutex::new(body) })
    }
}

impl Visit {
    /// Returns the body, the first time.
    fn take_body(&self) -> Body {
        std::mem::take(&mut self.body.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Leads to the sign-in unless the caller may read.
    fn must_read(&self) -> Result<(), PageProblem> {
        if self.caller.may(Action::Read, None) {
            return Ok(());
        }
        if self.caller.is_known() {
            return Err(self.caller.must(Action::Read, None).err().unwrap_or_else(|| Problem::denied("")).into());
        }
        let path = self.parts.uri.path_and_query().map_or("/", |path| path.as_str());
        Err(PageProblem::SignIn(path.to_owned()))
    }

    fn frame(&self, section: &'static str) -> Frame {
        let readable = self.caller.may(Action::Read, None);
        Frame {
            section,
            query: self.query.first("q").unwrap_or_default().chars().take(300).collect(),
            origin: if readable { self.server.origin().to_owned() } else { String::new() },
            log_size: self.server.log().size(),
            holder: self.caller.is_known().then(|| self.caller.name.clone()),
        }
    }

    /// Sends a page unless the reader has it.
    fn send(&self, page: &impl Template) -> Page {
        let html = page.render().map_err(|error| Problem::internal(&error))?;
        Ok(self.send_bytes(HTML, html.into_bytes()))
    }

    fn send_bytes(&self, media_type: &'static str, bytes: Vec<u8>) -> Response {
        let digest = Digest::of(&bytes);
        let tag = send::etag(&digest);
        if send::is_unchanged(&self.parts.headers, &tag) {
            return send::not_modified(&digest);
        }
        (StatusCode::OK, [(header::CONTENT_TYPE, media_type), (header::ETAG, tag.as_str())], bytes).into_response()
    }

    /// Reads a log index of the query, if it is there.
    fn before(&self) -> Result<Option<u64>, Problem> {
        let Some(text) = self.query.first("before") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Problem::invalid("`before` is not a log index"))
    }
}

/// `GET /assets/{name}`
pub(crate) async fn assets(Path(name): Path<String>, request: Request) -> Response {
    let (media_type, text) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return PageProblem::Problem(Problem::not_found("there is no such asset")).into_response(),
    };
    let digest = Digest::of(text.as_bytes());
    let tag = send::etag(&digest);
    if send::is_unchanged(request.headers(), &tag) {
        return send::not_modified(&digest);
    }
    let headers =
        [(header::CONTENT_TYPE, media_type), (header::ETAG, &tag), (header::CACHE_CONTROL, "public, no-cache")];
    (StatusCode::OK, headers, text).into_response()
}

/// Any path that is none.
pub(crate) async fn unknown(uri: Uri) -> Response {
    PageProblem::Problem(Problem::not_found("there is no such page").at(uri.path())).into_response()
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
