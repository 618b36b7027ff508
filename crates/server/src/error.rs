//! Every error that can reach a client, in one place: its status, its public message, and what may only stand in the log.
//!
//! A [`Problem`] is rendered in the form of the surface that was asked: the registry's `{"errors":[…]}`, the API's
//! `{"version":1,"error":{…}}`, Rekor's `{"code":…,"message":…,"details":[]}`, or a page. What went wrong inside (paths, SQL) is logged and never sent.

use std::error::Error;
use std::fmt::Write as _;

use attest::OpenError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::RegistryError;
use registry::upload::ChunkError;
use registry::uploads::UploadError;
use serde_json::{Value, json};
use wire::oci_distribution::{ErrorCode, Errors};

/// What a client is told.
#[derive(Debug)]
pub(crate) struct Problem {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// Stable name in the API: `not-found`, `denied`, …
    pub(crate) code: &'static str,
    /// The registry protocol's name for it.
    pub(crate) oci: ErrorCode,
    /// What happened, for people.
    pub(crate) message: String,
    /// What it happened to: a path, a digest, a field.
    pub(crate) place: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// `WWW-Authenticate` values of a 401.
    pub(crate) challenges: Vec<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, oci: ErrorCode, message: impl Into<String>) -> Problem {
        let message = message.into();
        Problem { status, code, oci, message, place: String::new(), hint: None, challenges: Vec::new() }
    }

    /// The request cannot be understood.
    pub(crate) fn invalid(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-request", ErrorCode::Unsupported, message)
    }

    /// There is no such thing, or it must not be known that there is.
    pub(crate) fn not_found(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", ErrorCode::NameUnknown, message)
    }

    /// Nobody said who asks.
    pub(crate) fn unauthorized(challenges: Vec<String>) -> Problem {
        let message = "a token is needed: send it as the password of Basic, as Bearer, or sign in";
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", ErrorCode::Unauthorized, message);
        Problem { challenges, ..problem }
    }

    /// Who asks may not.
    pub(crate) fn denied(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "denied", ErrorCode::Denied, message).hint(
            "ask an admin for a token with the role: `assay admin token create NAME --role ROLE --repository PATTERN`",
        )
    }

    /// The method is not offered.
    pub(crate) fn method() -> Problem {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            ErrorCode::Unsupported,
            "this method is not offered here",
        )
    }

    /// A body beyond its limit.
    pub(crate) fn too_large(most: u64) -> Problem {
        let message = format!("the body is larger than the limit of {most} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", ErrorCode::SizeInvalid, message)
    }

    /// An entry that the log has already; the message is Rekor's.
    pub(crate) fn known_entry(index: u64) -> Problem {
        let message = format!("an equivalent entry already exists in the transparency log with index {index}");
        Problem::new(StatusCode::CONFLICT, "known-entry", ErrorCode::Unsupported, message)
    }

    /// A statement that is not taken, with the whole reason: it is about what the client sent.
    pub(crate) fn statement(error: &OpenError) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "statement-refused", ErrorCode::Unsupported, chain(error))
            .hint("statements are taken from identities of the server's trust root only")
    }

    /// Something failed that is not the client's matter; the cause goes to the log alone.
    pub(crate) fn internal(error: &(dyn Error + 'static)) -> Problem {
        tracing::error!(error = %chain(error), "a request failed");
        if disk_full(error) {
            let message = "the server's disk is full; nothing was stored";
            return Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", ErrorCode::Unsupported, message);
        }
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", ErrorCode::Unsupported, "the server failed")
            .hint("the server's log says why")
    }

    /// Says what it happened to.
    pub(crate) fn at(mut self, place: impl Into<String>) -> Problem {
        self.place = place.into();
        self
    }

    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Leaves the next step to whoever asked another program.
    pub(crate) fn no_hint(mut self) -> Problem {
        self.hint = None;
        self
    }

    /// The registry protocol's answer.
    pub(crate) fn into_oci(self) -> Response {
        let detail = match &self.hint {
            Some(hint) => json!({ "hint": hint }),
            None => Value::Null,
        };
        let errors = Errors::one(self.oci, &self.message, detail);
        let body = serde_json::to_vec(&errors).expect("an error body is JSON");
        self.respond("application/json", body)
    }

    /// The API's answer.
    pub(crate) fn into_api(self) -> Response {
        let error = json!({"code": self.code, "message": self.message, "where": self.place, "hint": self.hint});
        let body = json!({"version": 1, "error": error}).to_string().into_bytes();
        self.respond("application/json", body)
    }

    /// The answer of Rekor's gateway: the number of a gRPC status, and a text.
    pub(crate) fn into_rekor(self) -> Response {
        let code = match self.status.as_u16() {
            400 => 3,        // INVALID_ARGUMENT
            401 => 16,       // UNAUTHENTICATED
            403 => 7,        // PERMISSION_DENIED
            404 => 5,        // NOT_FOUND
            405 | 501 => 12, // UNIMPLEMENTED
            409 => 6,        // ALREADY_EXISTS
            413 | 507 => 8,  // RESOURCE_EXHAUSTED
            503 => 14,       // UNAVAILABLE
            _ => 13,         // INTERNAL
        };
        let message = match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        };
        let body = json!({"code": code, "message": message, "details": []}).to_string().into_bytes();
        self.respond("application/json", body)
    }

    /// An answer with another body, such as a page.
    pub(crate) fn respond(self, content_type: &'static str, body: Vec<u8>) -> Response {
        let mut response = (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        for challenge in &self.challenges {
            if let Ok(value) = HeaderValue::from_str(challenge) {
                response.headers_mut().append(header::WWW_AUTHENTICATE, value);
            }
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// A registry's refusal: status, code and message, as the distribution specification wants them.
impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Problem {
        use StatusCode as S;
        let (status, code, oci) = match &error {
            RegistryError::Name(_) => (S::BAD_REQUEST, "name-invalid", ErrorCode::NameInvalid),
            RegistryError::Reference(_) => (S::BAD_REQUEST, "reference-invalid", ErrorCode::ManifestInvalid),
            RegistryError::Digest(_) => (S::BAD_REQUEST, "digest-invalid", ErrorCode::DigestInvalid),
            RegistryError::NameUnknown { .. } => (S::NOT_FOUND, "repository-unknown", ErrorCode::NameUnknown),
            RegistryError::BlobUnknown { .. } => (S::NOT_FOUND, "blob-unknown", ErrorCode::BlobUnknown),
            RegistryError::ManifestUnknown { .. } => (S::NOT_FOUND, "manifest-unknown", ErrorCode::ManifestUnknown),
            RegistryError::UploadUnknown { .. } => (S::NOT_FOUND, "upload-unknown", ErrorCode::BlobUploadUnknown),
            RegistryError::ManifestTooLarge => (S::PAYLOAD_TOO_LARGE, "manifest-too-large", ErrorCode::ManifestInvalid),
            RegistryError::Manifest(_) => (S::BAD_REQUEST, "manifest-invalid", ErrorCode::ManifestInvalid),
            RegistryError::ManifestDigest { .. } => (S::BAD_REQUEST, "digest-mismatch", ErrorCode::DigestInvalid),
            RegistryError::ReferenceMissing { .. } => {
                (S::BAD_REQUEST, "manifest-blob-unknown", ErrorCode::ManifestBlobUnknown)
            }
            RegistryError::ReferenceSize { .. } => (S::BAD_REQUEST, "size-mismatch", ErrorCode::SizeInvalid),
            RegistryError::ReleaseTag { .. } => (S::CONFLICT, "release-tag", ErrorCode::Denied),
            RegistryError::Delete => (S::METHOD_NOT_ALLOWED, "delete-unsupported", ErrorCode::Unsupported),
            RegistryError::Upload(upload) => return Problem::upload(upload),
            RegistryError::Record(_) | RegistryError::Store(_) => return Problem::internal(&error),
        };
        Problem::new(status, code, oci, chain(&error))
    }
}

impl Problem {
    fn upload(error: &UploadError) -> Problem {
        use StatusCode as S;
        let (status, code, oci) = match error {
            UploadError::Unknown(_) => (S::NOT_FOUND, "upload-unknown", ErrorCode::BlobUploadUnknown),
            UploadError::Chunk(ChunkError::OutOfOrder { .. }) => {
                (S::RANGE_NOT_SATISFIABLE, "chunk-out-of-order", ErrorCode::BlobUploadInvalid)
            }
            UploadError::Chunk(ChunkError::Length { .. }) | UploadError::Length { .. } => {
                (S::BAD_REQUEST, "length-mismatch", ErrorCode::SizeInvalid)
            }
            UploadError::Chunk(ChunkError::TooLarge { .. }) => {
                (S::PAYLOAD_TOO_LARGE, "blob-too-large", ErrorCode::SizeInvalid)
            }
            UploadError::Mismatch { .. } => (S::BAD_REQUEST, "digest-mismatch", ErrorCode::DigestInvalid),
            UploadError::Body(_) => (S::BAD_REQUEST, "body-truncated", ErrorCode::BlobUploadInvalid),
            UploadError::File(_) | UploadError::Blob(_) | UploadError::Durable(_) => return Problem::internal(error),
        };
        Problem::new(status, code, oci, chain(error))
    }
}

/// An error and its causes in one line, each once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {next}");
        }
        cause = error.source();
    }
    text
}

fn disk_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::StorageFull) {
            return true;
        }
        next = error.source();
    }
    false
}
