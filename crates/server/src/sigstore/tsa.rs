//! Times: RFC 3161 §3.4 over HTTP, and the JSON form of Sigstore's time-stamp authority
//! <https://github.com/sigstore/timestamp-authority/blob/v2.0.1/openapi.yaml>.
//!
//! A request in DER is always answered in DER, with a status and a reason if it is refused; one in JSON with 400 and JSON.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use sign::issuing::Serial;
use sign::stamping::{self, Refusal};
use wire::{fulcio, pem};

use crate::body;
use crate::error::Problem;
use crate::state::Server;

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";

/// The largest request in JSON: the same in base64, with names.
const JSON_SIZE_MAX: usize = 2 * stamping::REQUEST_SIZE_MAX;

/// A request in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonRequest {
    artifact_hash: String,
    hash_algorithm: String,
    #[serde(default)]
    nonce: Option<u64>,
    #[serde(default)]
    certificates: Option<bool>,
    #[serde(default, rename = "tsaPolicyOID")]
    policy: Option<String>,
}

/// `POST /api/v1/timestamp`
pub(crate) async fn timestamp(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sigstore = match server.sigstore() {
        Ok(sigstore) => sigstore,
        Err(problem) => return problem.into_api(),
    };
    let (kind, now, serial) = (media_type(&parts.headers), server.now(), Serial::new(server.random()));
    match kind.as_str() {
        QUERY => match body::whole(body, stamping::REQUEST_SIZE_MAX).await {
            Ok(bytes) => match stamping::Request::from_der(&bytes)
                .and_then(|asked| sigstore.stamper.grant(&asked, now, serial))
            {
                Ok(response) => reply(StatusCode::CREATED, response),
                Err(refusal) => reply(StatusCode::OK, refusal.to_response()),
            },
            Err(problem) if problem.status == StatusCode::PAYLOAD_TOO_LARGE => problem.into_api(),
            Err(_) => reply(StatusCode::OK, Refusal::Format.to_response()),
        },
        "application/json" => match body::whole(body, JSON_SIZE_MAX).await {
            Ok(bytes) => match of_json(&bytes).and_then(|asked| sigstore.stamper.grant(&asked, now, serial)) {
                Ok(response) => reply(StatusCode::CREATED, response),
                Err(refusal) => {
                    let message = refusal.to_string();
                    (StatusCode::BAD_REQUEST, Json(json!({"code": 400, "message": message}))).into_response()
                }
            },
            Err(problem) => problem.into_api(),
        },
        _ => {
            let mut problem = Problem::invalid(format!("the body must be `{QUERY}` or `application/json`"));
            problem.status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            problem.into_api()
        }
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn of_json(bytes: &[u8]) -> Result<stamping::Request, Refusal> {
    let request: JsonRequest = serde_json::from_slice(bytes).map_err(|_| Refusal::Format)?;
    let hash = fulcio::decode_bytes(&request.artifact_hash).ok_or(Refusal::Format)?;
    let certificates = request.certificates.unwrap_or(false);
    stamping::Request::of_parts(&request.hash_algorithm, &hash, request.policy.as_deref(), request.nonce, certificates)
}

fn reply(status: StatusCode, response: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, REPLY), (header::CACHE_CONTROL, "no-store")], response).into_response()
}

/// `GET /api/v1/timestamp/certchain`
pub(crate) async fn chain(State(server): State<Arc<Server>>) -> Response {
    match server.sigstore() {
        Ok(sigstore) => {
            let chain = sigstore.stamper.chain().iter();
            let pem: String = chain.map(|one| pem::encode(pem::CERTIFICATE, one.der())).collect();
            ([(header::CONTENT_TYPE, "application/pem-certificate-chain")], pem).into_response()
        }
        Err(problem) => problem.into_api(),
    }
}
