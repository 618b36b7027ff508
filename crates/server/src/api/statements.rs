//! Statements: added by whoever may attest, read by whoever may read what they are about.

use attest::{Attestation, predicate};
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::Push;
use registry::access::Action;
use serde_json::{Value, json};
use store::ledger::{BareEntryRow, Page, StatementRow};
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::oci_distribution::Name;
use wire::sigstore_bundle::{self, Bundle, Content};

use super::{Answer, Call, answer, parse_digest};
use crate::body;
use crate::error::Problem;
use crate::send;
use crate::state::{Server, blocking};

/// The largest request: a full envelope of the largest size in base64 and some small ones beside it.
const REQUEST_MAX: usize = 32 << 20;

/// Statements in one request: one commit of the log.
const STATEMENTS_A_REQUEST: usize = 256;

/// Payloads in one page of statements: the page ends with the one that goes beyond. An envelope may have 16 MiB.
const PAYLOADS_A_PAGE: usize = 16 << 20;

/// Payloads that one request may name: proxies refuse a line of more than 8 KiB.
const PAYLOADS_MAX: usize = 64;

/// Statements that the server makes itself when somebody who may asks for what they record. Signed by another server
/// of the same owner they would move tags and give roles here, so they are not taken.
pub(crate) const OWN: [&str; 3] = [predicate::PUBLICATION, predicate::TAG, predicate::GRANT];

/// `POST /api/v1/statements[?repository=NAME]`
///
/// The body is an envelope, a bundle, or `{"envelopes":[…],"bundles":[…]}`. Envelopes are logged here. A bundle was
/// logged elsewhere: it is kept as it is and published in `repository`.
pub(crate) async fn add(call: Call) -> Answer {
    call.must(Action::Attest)?;
    let request = call.take_body();
    let request = Added::parse(&body::whole(request, REQUEST_MAX).await?)?;
    let mut shown = Vec::new();
    let mut skipped = Vec::new();
    shown.extend(add_envelopes(&call, request.envelopes).await?);
    for bundle in request.bundles {
        match add_bundle(&call, bundle).await? {
            Ok(row) => shown.push(row),
            Err(envelope) => skipped.push(json!({
                "envelope": envelope, "reason": "a server makes its own publications, tags and grants",
            })),
        }
    }
    call.server.metrics.stated(shown.len());
    let mut statements = Vec::new();
    for row in shown {
        statements.push(with_bundle(&call, &row).await?);
    }
    let mut response = answer(json!({"statements": statements, "skipped": skipped}));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// What a request brings.
struct Added {
    envelopes: Vec<Value>,
    bundles: Vec<Value>,
}

impl Added {
    fn parse(json: &[u8]) -> Result<Added, Problem> {
        let value: Value =
            serde_json::from_slice(json).map_err(|error| Problem::invalid(format!("the body is no JSON: {error}")))?;
        let list = |name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let added = if value.get("payloadType").is_some() {
            Added { envelopes: vec![value], bundles: Vec::new() }
        } else if value.get("verificationMaterial").is_some() {
            Added { envelopes: Vec::new(), bundles: vec![value] }
        } else {
            Added { envelopes: list("envelopes"), bundles: list("bundles") }
        };
        match added.envelopes.len() + added.bundles.len() {
            0 => Err(Problem::invalid("the body has no envelope and no bundle")
                .hint("send an envelope, a bundle, or {\"envelopes\":[…],\"bundles\":[…]}")),
            count if count > STATEMENTS_A_REQUEST => {
                Err(Problem::invalid(format!("{count} statements at once, more than {STATEMENTS_A_REQUEST}")))
            }
            _ => Ok(added),
        }
    }
}

/// Checks all, then logs all in one commit.
async fn add_envelopes(call: &Call, envelopes: Vec<Value>) -> Result<Vec<StatementRow>, Problem> {
    if envelopes.is_empty() {
        return Ok(Vec::new());
    }
    let server = &call.server;
    let mut checked = Vec::new();
    for value in envelopes {
        let envelope = Envelope::parse(value.to_string().as_bytes())
            .map_err(|error| Problem::invalid(crate::error::chain(&error)).at("envelopes"))?;
        let attestation =
            attest::unlogged(&envelope, server.trust(), server.now()).map_err(|e| Problem::statement(&e))?;
        authorised(&attestation)?;
        if OWN.contains(&attestation.statement().value().predicate_type.as_str()) {
            return Err(Problem::denied("a server makes its own publications, tags and grants"));
        }
        checked.push((*attestation.statement().envelope(), envelope));
    }
    let (digests, envelopes): (Vec<Digest>, Vec<Envelope>) = checked.into_iter().unzip();
    server.append(envelopes).await?;
    let mut rows = Vec::new();
    for digest in digests {
        rows.extend(server.ledger().statement_by_envelope(&digest).await?);
    }
    Ok(rows)
}

/// Publishes a bundle unless this log has its statement; the envelope's digest for one that is not taken.
async fn add_bundle(call: &Call, value: Value) -> Result<Result<StatementRow, Digest>, Problem> {
    let server = &call.server;
    let json = value.to_string();
    let bundle =
        Bundle::parse(json.as_bytes()).map_err(|error| Problem::invalid(crate::error::chain(&error)).at("bundles"))?;
    let trust = server.trust_with_revocations().await?;
    let attestation = attest::open(&bundle, &trust, server.now()).map_err(|e| Problem::statement(&e))?;
    authorised(&attestation)?;
    let envelope = *attestation.statement().envelope();
    if OWN.contains(&attestation.statement().value().predicate_type.as_str()) {
        return Ok(Err(envelope));
    }
    if let Some(row) = server.ledger().statement_by_envelope(&envelope).await?
        && row.elsewhere.is_none()
    {
        return Ok(Ok(row));
    }
    let name = call.query.first("repository").ok_or_else(|| {
        Problem::invalid("a bundle of another log is published in a repository: `?repository=NAME`").at("repository")
    })?;
    let name: Name = name.parse().map_err(registry::RegistryError::Name)?;
    call.caller.must(Action::Push, Some(&name))?;
    let from = attestation.logged().map(|logged| logged.origin().to_owned());
    let push = Push { actor: &call.caller.name, from: from.as_deref(), now: server.now() };
    server.registry.publish_bundle(&name, &attestation, &bundle.to_json(), &push).await?;
    let row = server.ledger().statement_by_envelope(&envelope).await?;
    row.map(Ok)
        .ok_or_else(|| Problem::invalid("the ledger did not take the bundle's statement").at(envelope.to_string()))
}

/// Refuses what is signed well by somebody who has no say in it: it would be stored and never count.
fn authorised(attestation: &Attestation) -> Result<(), Problem> {
    if attestation.authorised() {
        return Ok(());
    }
    let statement = attestation.statement();
    let kind = &statement.value().predicate_type;
    let role = attestation.claim().predicate().map(|predicate| predicate.role().name()).unwrap_or_default();
    Err(Problem::denied(format!(
        "identity `{}` may not sign `{kind}`: it lacks the role `{role}`",
        statement.identity()
    ))
    .at(statement.envelope().to_string()))
}

/// `GET /api/v1/statements`: about `digest`, with some `payload`s, or the newest.
pub(crate) async fn list(call: Call) -> Answer {
    match (call.digest("digest")?, call.query.first("payload").is_some()) {
        (Some(_), true) => {
            Err(Problem::invalid("ask for statements about a `digest` or with some `payload`s, not for both").into())
        }
        (Some(digest), false) => about(call, &digest).await,
        (None, true) => with_payloads(call).await,
        (None, false) => newest(call).await,
    }
}

/// `?digest=D[&predicate=URI&after=INDEX&n=]`: oldest first, with their bundles.
async fn about(call: Call, digest: &Digest) -> Answer {
    call.must_read(digest).await?;
    let page = Page { after: call.index("after")?, limit: call.page()? };
    let rows = call.server.ledger().statements_about(digest, call.query.first("predicate"), &page).await?;
    let (statements, next) = bundled_rows(&call, &rows, next(&rows, &page)).await?;
    let bare = match (page.after, call.query.first("predicate")) {
        (None, None) => call.server.ledger().bare_entries_about(digest, &page).await?,
        _ => Vec::new(),
    };
    let bare: Vec<Value> = bare.iter().map(bare_entry).collect();
    Ok(answer(json!({"statements": statements, "next": next, "without_payload": bare})))
}

/// An entry that came without what was signed, as JSON.
fn bare_entry(row: &BareEntryRow) -> Value {
    json!({"index": row.index, "key_id": row.key_id, "kind": row.kind, "logged": row.logged})
}

/// `?payload=D&payload=…[&after=INDEX&n=]`: by their place in the log, with their bundles. What the caller may not
/// read is left out, as what is not there.
async fn with_payloads(call: Call) -> Answer {
    call.must(Action::Read)?;
    let payloads = call.query.all("payload").map(|text| parse_digest("payload", text));
    let payloads = payloads.collect::<Result<Vec<Digest>, _>>()?;
    if payloads.len() > PAYLOADS_MAX {
        return Err(Problem::invalid(format!("`payload` must be given 1 to {PAYLOADS_MAX} times"))
            .at("payload")
            .into());
    }
    let page = Page { after: call.index("after")?, limit: call.page()? };
    let rows = call.server.ledger().statements_by_payloads(&payloads, &page).await?;
    let next = next(&rows, &page);
    bundled(&call, &readable(&call, rows).await?, next).await
}

/// `[?predicate=URI&before=INDEX&n=&bundles=true]`: newest first; with their bundles where the caller may read them,
/// if he asks for bundles.
async fn newest(call: Call) -> Answer {
    call.must(Action::Read)?;
    let page = Page { after: call.index("before")?, limit: call.page()? };
    let rows = call.server.ledger().newest_statements(call.query.first("predicate"), &page).await?;
    let next = next(&rows, &page);
    match call.query.first("bundles") {
        Some("true") => bundled(&call, &readable(&call, rows).await?, next).await,
        None | Some("false") => {
            Ok(answer(json!({"statements": rows.iter().map(summary).collect::<Vec<_>>(), "next": next})))
        }
        Some(_) => Err(Problem::invalid("`bundles` is `true` or `false`").at("bundles").into()),
    }
}

/// Where the next page begins; `None` after the last one.
fn next(rows: &[StatementRow], page: &Page<u64>) -> Option<u64> {
    rows.last().filter(|_| rows.len() == page.limit).map(|row| row.index)
}

/// Leaves out what the caller may not read.
async fn readable(call: &Call, rows: Vec<StatementRow>) -> Result<Vec<StatementRow>, Problem> {
    let mut left = Vec::with_capacity(rows.len());
    for row in rows {
        if call.server.may_read_statement(&call.caller, &row).await? {
            left.push(row);
        }
    }
    Ok(left)
}

/// Answers with rows and their bundles; `next` is what follows the last row.
async fn bundled(call: &Call, rows: &[StatementRow], next: Option<u64>) -> Answer {
    let (statements, next) = bundled_rows(call, rows, next).await?;
    Ok(answer(json!({"statements": statements, "next": next})))
}

/// Rows with their bundles, up to [`PAYLOADS_A_PAGE`], and where the next page begins.
async fn bundled_rows(
    call: &Call,
    rows: &[StatementRow],
    mut next: Option<u64>,
) -> Result<(Vec<Value>, Option<u64>), Problem> {
    let mut statements = Vec::new();
    let mut size = 0;
    for (position, row) in rows.iter().enumerate() {
        let (shown, payload) = proven(call, row).await?;
        statements.push(shown);
        size += payload;
        if size > PAYLOADS_A_PAGE && position + 1 < rows.len() {
            next = Some(row.index);
            break;
        }
    }
    Ok((statements, next))
}

/// `GET /api/v1/statements/{digest}`: by payload (several, when several signed it) or by envelope.
pub(crate) async fn one(Path(digest): Path<String>, call: Call) -> Answer {
    let rows = find(&call, &digest).await?;
    let mut statements = Vec::new();
    for row in &rows {
        statements.push(proven(&call, row).await?.0);
    }
    Ok(answer(json!({"statements": statements})))
}

/// `GET /api/v1/statements/{digest}/bundle`: the Sigstore bundle itself, of the first of them.
pub(crate) async fn bundle(Path(digest): Path<String>, call: Call) -> Answer {
    let row = first(&call, &digest).await?;
    let bundle = call.server.home.bundle(&row).await.map_err(Problem::from)?;
    Ok(document(sigstore_bundle::MEDIA_TYPE, bundle.to_json()))
}

/// `GET /api/v1/statements/{digest}/envelope`: the DSSE envelope itself, of the first of them.
pub(crate) async fn envelope(Path(digest): Path<String>, call: Call) -> Answer {
    let row = first(&call, &digest).await?;
    let envelope = call.server.envelope(&row).await?;
    Ok(document("application/vnd.dsse.envelope.v1+json", envelope.to_json()))
}

fn document(media_type: &'static str, json: Vec<u8>) -> Response {
    let tag = send::etag(&Digest::of(&json));
    (StatusCode::OK, [(header::CONTENT_TYPE, media_type), (header::ETAG, tag.as_str())], json).into_response()
}

async fn first(call: &Call, digest: &str) -> Result<StatementRow, Problem> {
    find(call, digest).await?.into_iter().next().ok_or_else(|| Problem::not_found("no such statement"))
}

/// Finds a statement by payload or envelope, if the caller may read what it is about.
async fn find(call: &Call, digest: &str) -> Result<Vec<StatementRow>, Problem> {
    call.must(Action::Read)?;
    let digest = parse_digest("digest", digest)?;
    let unknown = || Problem::not_found("no such statement").at(digest.to_string());
    let ledger = call.server.ledger();
    let mut rows = ledger.statements_by_payload(&digest).await?;
    if rows.is_empty() {
        rows.extend(ledger.statement_by_envelope(&digest).await?);
    }
    let row = rows.first().ok_or_else(unknown)?;
    call.server.must_read_statement(&call.caller, row).await?;
    Ok(rows)
}

/// A statement's row as JSON.
pub(crate) fn summary(row: &StatementRow) -> Value {
    let name = attest::predicate::TABLE.iter().find(|known| known.uri == row.predicate).map(|known| known.name);
    let elsewhere =
        row.elsewhere.as_ref().map(|elsewhere| json!({"origin": elsewhere.origin, "index": elsewhere.index}));
    json!({
        "index": row.index, "payload": row.payload, "envelope": row.envelope, "predicate_type": row.predicate,
        "name": name, "signer": row.signer, "subject": row.subject, "time": row.stated, "logged": row.logged,
        "elsewhere": elsewhere,
    })
}

async fn with_bundle(call: &Call, row: &StatementRow) -> Result<Value, Problem> {
    let bundle = call.server.home.bundle(row).await?;
    let mut shown = summary(row);
    shown["bundle"] = serde_json::to_value(&bundle).map_err(|error| Problem::internal(&error))?;
    Ok(shown)
}

/// A statement with its bundle and the proof of when it was logged, or brought here; and its payload's size.
async fn proven(call: &Call, row: &StatementRow) -> Result<(Value, usize), Problem> {
    let server = &call.server;
    let bundle = server.home.bundle(row).await?;
    let size = match &bundle.content {
        Content::Envelope(envelope) => envelope.payload.len(),
        Content::Message(_) => 0,
    };
    let mut shown = summary(row);
    shown["bundle"] = serde_json::to_value(&bundle).map_err(|error| Problem::internal(&error))?;
    shown["logged_proof"] = logged_proof(server, row).await?;
    Ok((shown, size))
}

/// What shows that a log took a statement when [`StatementRow::logged`] says: the index entry beside it, with its
/// proof. One that was brought here has none of its own: there it is the index entry of the publication, with the
/// publication and the manifest that lead from it to the bundle.
async fn logged_proof(server: &Server, row: &StatementRow) -> Result<Value, Problem> {
    let position = if row.elsewhere.is_some() { row.index } else { row.index + 1 };
    let home = server.home.clone();
    let receipt = blocking(move || home.log().receipt(position)).await?;
    let entry = receipt.to_index_entry().map_err(|error| Problem::internal(&error))?;
    let entry = serde_json::to_value(&entry).map_err(|error| Problem::internal(&error))?;
    if row.elsewhere.is_none() {
        return Ok(json!({ "index_entry": entry }));
    }
    let publication = server.ledger().statement_by_index(position.saturating_sub(1)).await?;
    let Some(publication) = publication else { return Ok(Value::Null) };
    let envelope = server.envelope(&publication).await?;
    let manifest = server.statement(&publication).await?.digests().next();
    let Some(manifest) = manifest else { return Ok(Value::Null) };
    let blobs = server.home.blobs().clone();
    let manifest = blocking(move || blobs.read(&manifest, wire::oci_image::MANIFEST_SIZE_MAX as u64)).await?;
    let envelope = serde_json::to_value(&envelope).map_err(|error| Problem::internal(&error))?;
    Ok(json!({"index_entry": entry, "publication": envelope, "manifest": String::from_utf8_lossy(&manifest)}))
}
