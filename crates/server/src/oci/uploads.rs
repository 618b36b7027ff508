//! Uploads: begun by POST, continued by PATCH, ended by PUT; mounted instead, or cancelled.

use axum::body::Body;
use axum::http::header::{self, HeaderName};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use registry::RegistryError;
use registry::access::Action;
use registry::upload::{ChunkHead, UploadId, progress};
use wire::digest::Digest;
use wire::oci_distribution::Name;
use wire::oci_distribution::header::ContentRange;

use super::blobs::empty;
use super::{CONTENT_DIGEST, Call, parse_digest};
use crate::body;
use crate::error::Problem;

/// Names an upload, beside its location.
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl Call<'_> {
    /// `POST /v2/<name>/blobs/uploads/[?digest=|?mount=&from=]`
    pub(super) async fn uploads(&self, body: Body) -> Result<Response, Problem> {
        if *self.method != Method::POST {
            return Err(Problem::method());
        }
        if let Some(digest) = self.query.first("mount") {
            let digest = parse_digest(digest)?;
            if self.mount(&digest).await? {
                return Ok(self.created(&digest));
            }
        }
        let registry = &self.server.registry;
        let id = registry.start_upload(&self.name, self.server.random()).await?;
        let Some(digest) = self.query.first("digest") else { return Ok(self.accepted(&id, 0)) };
        let result = match parse_digest(digest) {
            Ok(digest) => self.append_and_finish(&id, &digest, body).await,
            Err(problem) => Err(problem),
        };
        if result.is_err() {
            // Nobody was told the name of this upload, so nobody could go on with it. It may be gone already.
            drop(registry.cancel_upload(&self.name, &id).await);
        }
        result
    }

    /// `GET|PATCH|PUT|DELETE /v2/<name>/blobs/uploads/<id>`
    pub(super) async fn upload(&self, id: &str, body: Body) -> Result<Response, Problem> {
        let id =
            UploadId::parse(id).ok_or_else(|| RegistryError::UploadUnknown { id: id.chars().take(80).collect() })?;
        let registry = &self.server.registry;
        match *self.method {
            Method::GET => {
                let received = registry.upload_progress(&self.name, &id).await?;
                Ok(self.upload_answer(StatusCode::NO_CONTENT, &id, received))
            }
            Method::PATCH => {
                let received = registry.append(&self.name, &id, self.chunk_head()?, body::reader(body)).await;
                match received {
                    Ok(received) => Ok(self.accepted(&id, received)),
                    Err(error) => self.chunk_refused(&id, error).await,
                }
            }
            Method::PUT => {
                let digest = self
                    .query
                    .first("digest")
                    .ok_or_else(|| Problem::invalid("the last request of an upload needs `?digest=`").at("digest"))?;
                match self.append_and_finish(&id, &parse_digest(digest)?, body).await {
                    Err(problem) if problem.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                        self.with_progress(&id, problem).await
                    }
                    other => other,
                }
            }
            Method::DELETE => {
                registry.cancel_upload(&self.name, &id).await?;
                Ok(empty(StatusCode::NO_CONTENT, []))
            }
            _ => Err(Problem::method()),
        }
    }

    /// Mounts from another repository that the caller may read; without `from`, or if it may not be, uploads as usual.
    async fn mount(&self, digest: &Digest) -> Result<bool, Problem> {
        let Some(from) = self.query.first("from").and_then(|from| from.parse::<Name>().ok()) else { return Ok(false) };
        if !self.caller.may(Action::Read, Some(&from)) {
            return Ok(false);
        }
        Ok(self.server.registry.mount(&self.name, digest, &from).await?)
    }

    async fn append_and_finish(&self, id: &UploadId, digest: &Digest, body: Body) -> Result<Response, Problem> {
        let head = self.chunk_head()?;
        // A PUT without a body ends an upload whose bytes came before.
        if head.length != Some(0) || head.range.is_some() {
            self.server.registry.append(&self.name, id, head, body::reader(body)).await?;
        }
        self.server.registry.finish_upload(&self.name, id, digest).await?;
        Ok(self.created(digest))
    }

    /// What the headers say of the chunk.
    fn chunk_head(&self) -> Result<ChunkHead, Problem> {
        let range = match self.header(header::CONTENT_RANGE) {
            None => None,
            Some(text) => Some(ContentRange::parse(text).ok_or_else(|| {
                Problem::invalid("`Content-Range` of a chunk is FIRST-LAST, as in `0-1023`").at("Content-Range")
            })?),
        };
        let length = match self.header(header::CONTENT_LENGTH) {
            None if !self.headers.contains_key(header::TRANSFER_ENCODING) => Some(0),
            None => None,
            Some(text) => Some(text.parse().map_err(|_| Problem::invalid("`Content-Length` is no number"))?),
        };
        Ok(ChunkHead { range, length })
    }

    /// A chunk out of order is answered with where the upload stands, so that the client can go on from there.
    async fn chunk_refused(&self, id: &UploadId, error: RegistryError) -> Result<Response, Problem> {
        let problem = Problem::from(error);
        match problem.status {
            StatusCode::RANGE_NOT_SATISFIABLE => self.with_progress(id, problem).await,
            _ => Err(problem),
        }
    }

    async fn with_progress(&self, id: &UploadId, problem: Problem) -> Result<Response, Problem> {
        let received = self.server.registry.upload_progress(&self.name, id).await?;
        let place = self.upload_answer(problem.status, id, received);
        let mut response = problem.into_oci();
        for name in [header::LOCATION, header::RANGE, UPLOAD_ID] {
            if let Some(value) = place.headers().get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }

    fn accepted(&self, id: &UploadId, received: u64) -> Response {
        self.upload_answer(StatusCode::ACCEPTED, id, received)
    }

    fn upload_answer(&self, status: StatusCode, id: &UploadId, received: u64) -> Response {
        let location = format!("/v2/{}/blobs/uploads/{id}", self.name);
        let headers = [(header::LOCATION, location), (header::RANGE, progress(received)), (UPLOAD_ID, id.to_string())];
        empty(status, headers)
    }

    fn created(&self, digest: &Digest) -> Response {
        let location = format!("/v2/{}/blobs/{digest}", self.name);
        let named = HeaderName::from_static(CONTENT_DIGEST);
        empty(StatusCode::CREATED, [(header::LOCATION, location), (named, digest.to_string())])
    }
}
