//! The log of issued certificates, for who watches it: RFC 6962 §4 <https://www.rfc-editor.org/rfc/rfc6962>, and the same
//! tree as C2SP tiles <https://c2sp.org/tlog-tiles>. Nothing is added from outside.

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::access::Action;
use serde_json::{Value, json};
use store::certificates::CertificateLog;
use store::log::Reader;
use tlog::checkpoint::Checkpoint;
use wire::base64;

use crate::api::Call;
use crate::error::Problem;
use crate::log::IMMUTABLE;
use crate::state::blocking;

type Answer = Result<Response, CtProblem>;

/// A problem in RFC 6962's form: text for people.
pub(super) struct CtProblem(Problem);

impl<E: Into<Problem>> From<E> for CtProblem {
    fn from(problem: E) -> CtProblem {
        CtProblem(problem.into())
    }
}

impl IntoResponse for CtProblem {
    fn into_response(self) -> Response {
        let message = self.0.message.clone().into_bytes();
        self.0.respond("text/plain; charset=utf-8", message)
    }
}

/// How many entries one answer has at most; clients ask again from where it ends.
const ENTRIES_MAX: u64 = 256;

fn log(call: &Call) -> Result<CertificateLog, Problem> {
    call.must(Action::Read)?;
    Ok(call.server.sigstore()?.certificates.clone())
}

/// A size or position of the query.
fn number(call: &Call, name: &str) -> Result<u64, Problem> {
    let text = call.query.first(name).ok_or_else(|| Problem::invalid(format!("`{name}` is missing")))?;
    text.parse().map_err(|_| Problem::invalid(format!("`{name}` is no number")))
}

fn published(reader: &Reader) -> Result<Checkpoint, Problem> {
    Checkpoint::open(&reader.checkpoint(), reader.note_key()).map_err(|error| Problem::internal(&error))
}

/// A size that was published; another cannot be proven to anybody.
fn within(reader: &Reader, name: &str, size: u64) -> Result<u64, Problem> {
    match size <= reader.size() {
        true => Ok(size),
        false => Err(Problem::invalid(format!("`{name}` is larger than the log, which has {}", reader.size()))),
    }
}

/// `GET /ct/v1/get-sth`
pub(super) async fn head(call: Call) -> Answer {
    let log = log(&call)?;
    let checkpoint = published(log.reader())?;
    let at_unix_ms = call.server.now().unix_s().unsigned_abs() * 1000;
    let key = &call.server.sigstore()?.log_key;
    let signature = sign::sct::sign_head(checkpoint.size, &checkpoint.root, at_unix_ms, key);
    Ok(Json(json!({
        "tree_size": checkpoint.size,
        "timestamp": at_unix_ms,
        "sha256_root_hash": base64::encode(&checkpoint.root),
        "tree_head_signature": base64::encode(&signature),
    }))
    .into_response())
}

/// `GET /ct/v1/get-sth-consistency?first=&second=`
pub(super) async fn consistency(call: Call) -> Answer {
    let log = log(&call)?;
    let (first, second) = (number(&call, "first")?, number(&call, "second")?);
    within(log.reader(), "second", second)?;
    if first > second {
        return Err(Problem::invalid("`first` is larger than `second`").into());
    }
    let proof = match first {
        // The empty log is the beginning of every other.
        0 => Vec::new(),
        _ => blocking(move || log.reader().consistency_proof_at(first, second)).await?,
    };
    Ok(Json(json!({"consistency": hashes(&proof)})).into_response())
}

/// `GET /ct/v1/get-proof-by-hash?hash=&tree_size=`
pub(super) async fn proof(call: Call) -> Answer {
    let log = log(&call)?;
    let size = within(log.reader(), "tree_size", number(&call, "tree_size")?)?;
    let hash = call.query.first("hash").and_then(|text| base64::decode(text).ok()?.try_into().ok());
    let hash: [u8; 32] = hash.ok_or_else(|| Problem::invalid("`hash` is not base64 of a SHA-256"))?;
    let reader = log.reader().clone();
    let index = blocking(move || log.find(&hash)).await?.filter(|index| *index < size);
    let index = index.ok_or_else(|| Problem::not_found("no such entry in a log of that size"))?;
    let proof = blocking(move || reader.inclusion_proof_at(index, size)).await?;
    Ok(Json(json!({"leaf_index": index, "audit_path": hashes(&proof)})).into_response())
}

/// `GET /ct/v1/get-entries?start=&end=`: both within; fewer than asked for where the answer would be large.
pub(super) async fn entries(call: Call) -> Answer {
    let log = log(&call)?;
    let (start, end) = (number(&call, "start")?, number(&call, "end")?);
    if start > end || start >= log.reader().size() {
        return Err(Problem::invalid("`start` is larger than `end`, or than the last entry").into());
    }
    let chain = chain_of(&call)?;
    let end = end.min(start.saturating_add(ENTRIES_MAX - 1));
    let entries = blocking(move || log.entries(start, end)).await?;
    let entry = |entry: store::certificates::Entry| {
        let extra = [vector24(&entry.precertificate), vector24(&chain)].concat();
        json!({"leaf_input": base64::encode(&entry.leaf), "extra_data": base64::encode(&extra)})
    };
    let entries: Vec<Value> = entries.into_iter().map(entry).collect();
    Ok(Json(json!({ "entries": entries })).into_response())
}

/// `GET /ct/v1/get-roots`
pub(super) async fn roots(call: Call) -> Answer {
    log(&call)?;
    let chain = call.server.sigstore()?.authority.chain();
    let anchor: Vec<String> = chain.last().iter().map(|anchor| base64::encode(anchor.der())).collect();
    Ok(Json(json!({"certificates": anchor})).into_response())
}

/// `GET /ct/checkpoint`
pub(super) async fn checkpoint(call: Call) -> Answer {
    let text = log(&call)?.reader().checkpoint().to_string();
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    Ok((StatusCode::OK, headers, text).into_response())
}

/// `GET /ct/tile/…`
pub(super) async fn tile(Path(path): Path<String>, call: Call) -> Answer {
    let log = log(&call)?;
    let tile = blocking(move || log.reader().tile(&format!("tile/{path}"))).await?;
    let tile = tile.ok_or_else(|| Problem::not_found("the log has no such tile"))?;
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, IMMUTABLE)];
    Ok((StatusCode::OK, headers, tile).into_response())
}

/// The certificates above a precertificate, each with its length (RFC 6962 §3.1).
fn chain_of(call: &Call) -> Result<Vec<u8>, Problem> {
    Ok(call.server.sigstore()?.authority.chain().iter().flat_map(|one| vector24(one.der())).collect())
}

/// Bytes with their length in 24 bits before them.
fn vector24(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("certificates have at most 64 KiB");
    [&length.to_be_bytes()[1..], bytes].concat()
}

fn hashes(hashes: &[[u8; 32]]) -> Vec<String> {
    hashes.iter().map(|hash| base64::encode(hash)).collect()
}
