//! Signing in to the dashboard: a token for a cookie that only reads.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use wire::digest::Digest;

use super::{Frame, Page, Visit};
use crate::auth::credentials::COOKIE;
use crate::body;
use crate::error::Problem;
use crate::state::Server;

/// A token and a path.
const FORM_MAX: usize = 8 << 10;

/// A working day; the token can be revoked earlier.
const SESSION_S: i64 = 12 * 3600;

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    problem: Option<&'static str>,
    next: String,
}

/// `GET /login[?next=PATH]`
pub(crate) async fn form(visit: Visit) -> Page {
    let next = local(visit.query.first("next").unwrap_or_default());
    visit.send(&Login { frame: visit.frame(""), problem: None, next })
}

/// `POST /login`
pub(crate) async fn sign_in(visit: Visit) -> Page {
    let form = body::whole(visit.take_body(), FORM_MAX).await?;
    let (token, next) = fields(&form)?;
    let token = Digest::of(token.trim().as_bytes());
    let next = local(&next);
    if visit.server.grants(&token).await?.is_none() {
        let page = Login { frame: visit.frame(""), problem: Some("That token is unknown or was revoked."), next };
        let html = page.render().map_err(|error| Problem::internal(&error))?;
        return Ok((StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, super::HTML)], html).into_response());
    }
    let bearer = visit.server.bearer_key.issue(&Some(token), visit.server.now(), SESSION_S);
    Ok(leave(&visit.server, &bearer, SESSION_S, &next))
}

/// `POST /logout`
pub(crate) async fn sign_out(State(server): State<Arc<Server>>) -> Response {
    leave(&server, "", 0, "/login")
}

fn leave(server: &Server, value: &str, age_s: i64, next: &str) -> Response {
    let https = server.settings.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}");
    (StatusCode::SEE_OTHER, [(header::LOCATION, next.to_owned()), (header::SET_COOKIE, cookie)], ()).into_response()
}

/// Reads `token=…&next=…`.
fn fields(form: &[u8]) -> Result<(String, String), Problem> {
    let unreadable = || Problem::invalid("the form can't be read");
    let text = std::str::from_utf8(form).map_err(|_| unreadable())?;
    let uri: Uri = format!("/?{text}").parse().map_err(|_| unreadable())?;
    let pairs: axum::extract::Query<Vec<(String, String)>> =
        axum::extract::Query::try_from_uri(&uri).map_err(|_| unreadable())?;
    let field = |name: &str| pairs.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    Ok((field("token").ok_or_else(unreadable)?, field("next").unwrap_or_default()))
}

/// A path of this server, or the first page: never a place that somebody else chose.
fn local(next: &str) -> String {
    let plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    match next.starts_with('/') && !next.starts_with("//") && plain {
        true => next.to_owned(),
        false => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_paths_are_gone_to() {
        for (next, expected) in [
            ("/artifact/sha256:0?a=b", "/artifact/sha256:0?a=b"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(next), expected, "{next}");
        }
    }

    #[test]
    fn forms_are_read() {
        assert_eq!(fields(b"token=a%2Bb&next=%2Flog").ok(), Some(("a+b".to_owned(), "/log".to_owned())));
        for form in [&b"next=/"[..], b"\xff", b"token"] {
            assert!(fields(form).is_err() || fields(form).is_ok_and(|(token, _)| token.is_empty()), "{form:?}");
        }
    }
}
