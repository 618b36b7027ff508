//! Content by digest on its way out: whole or a range, with an entity tag, never changed.

use std::path::PathBuf;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use wire::digest::Digest;
use wire::oci_distribution::header::ByteRange;

use crate::error::Problem;

/// How much of a file is read at once: fewer hops to the thread that may wait for the disk.
const BUFFER: usize = 512 << 10;

/// What has a digest stays as it is; whether it may be read can change, so no shared cache keeps it.
const IMMUTABLE: &str = "private, max-age=31536000, immutable";

/// A stored file with its digest.
pub(crate) struct Content {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
    pub(crate) media_type: &'static str,
}

/// Sends a file, or the part that `Range` asks for.
pub(crate) async fn file(content: Content, method: &Method, headers: &HeaderMap) -> Result<Response, Problem> {
    let tag = etag(&content.digest);
    if is_unchanged(headers, &tag) {
        return Ok(not_modified(&content.digest));
    }
    let range = headers.get(header::RANGE).and_then(|range| ByteRange::parse(range.to_str().ok()?));
    // A part of something else than the client has would be no use to it.
    let range = range.filter(|_| headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes()));
    let (status, start, end) = match range.map(|range| range.within(content.size)) {
        None => (StatusCode::OK, 0, content.size),
        Some(Some((start, end))) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(None) => {
            let whole = format!("bytes */{}", content.size);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, whole)], ()).into_response());
        }
    };
    let body = match *method == Method::HEAD {
        true => Body::empty(),
        false => part(content.path, start, end - start).await.map_err(|error| Problem::internal(&error))?,
    };
    let mut response = (status, body).into_response();
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content.media_type));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
    set(fields, header::ETAG, &tag);
    if status == StatusCode::PARTIAL_CONTENT {
        set(fields, header::CONTENT_RANGE, &format!("bytes {start}-{}/{}", end - 1, content.size));
    }
    Ok(response)
}

async fn part(path: PathBuf, start: u64, length: u64) -> std::io::Result<Body> {
    let mut file = tokio::fs::File::open(path).await?;
    file.set_max_buf_size(BUFFER);
    if start > 0 {
        file.seek(std::io::SeekFrom::Start(start)).await?;
    }
    Ok(Body::from_stream(ReaderStream::with_capacity(file.take(length), BUFFER)))
}

/// The entity tag of content by digest.
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Whether the client has it already.
pub(crate) fn is_unchanged(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*")
}

/// The answer to who has it already.
pub(crate) fn not_modified(digest: &Digest) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, etag(digest))], ()).into_response()
}

/// Sets a header whose value is ours and plain.
pub(crate) fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Writes text as it may stand in a query.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'@' => {
                out.push(byte as char)
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_content_is_not_sent_again() {
        let check = |value: &str, expected| {
            let mut headers = HeaderMap::new();
            set(&mut headers, header::IF_NONE_MATCH, value);
            assert_eq!(is_unchanged(&headers, "\"sha256:ab\""), expected, "{value}");
        };
        check("\"sha256:ab\"", true);
        check("W/\"sha256:ab\"", true);
        check("\"x\", \"sha256:ab\"", true);
        check("*", true);
        check("\"sha256:cd\"", false);
        check("", false);
    }

    #[test]
    fn queries_are_percent_encoded() {
        assert_eq!(percent("application/vnd.a+json &é"), "application/vnd.a%2Bjson%20%26%C3%A9");
    }
}
