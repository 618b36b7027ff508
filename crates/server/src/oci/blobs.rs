//! Reading blobs, whole or in part.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::RegistryError;
use wire::digest::Digest;

use super::{CONTENT_DIGEST, Call};
use crate::error::Problem;
use crate::send::{self, Content};

impl Call<'_> {
    /// `GET|HEAD|DELETE /v2/<name>/blobs/<digest>`
    pub(super) async fn blob(&self, digest: &Digest) -> Result<Response, Problem> {
        match *self.method {
            Method::GET | Method::HEAD => {}
            Method::DELETE => return Err(RegistryError::Delete.into()),
            _ => return Err(Problem::method()),
        }
        let (path, size) = self.server.registry.blob(&self.name, digest).await?;
        let content = Content { path, size, digest: *digest, media_type: "application/octet-stream" };
        let mut response = send::file(content, self.method, self.headers).await?;
        let value = digest.to_string().parse().map_err(|error| Problem::internal(&error))?;
        response.headers_mut().insert(CONTENT_DIGEST, value);
        Ok(response)
    }
}

/// An answer without a body.
pub(super) fn empty<const N: usize>(status: StatusCode, headers: [(header::HeaderName, String); N]) -> Response {
    (status, headers, Body::empty()).into_response()
}
