//! From the API's JSON to values. `None` is what no server of ours says.

use model::lineage::{Edge, Kind, Node, NodeId};
use serde_json::Value;
use wire::digest::Digest;
use wire::in_toto::Statement;
use wire::sigstore_bundle::{Bundle, Content};

use crate::error::Failure;
use crate::remote::address::Address;
use crate::remote::http::{Answer, shown};

/// The server's error codes, so that a failure has the same name on both sides.
const CODES: [&str; 24] = [
    "blob-too-large",
    "blob-unknown",
    "body-truncated",
    "chunk-out-of-order",
    "delete-unsupported",
    "denied",
    "digest-invalid",
    "digest-mismatch",
    "disk-full",
    "internal",
    "invalid-request",
    "length-mismatch",
    "manifest-blob-unknown",
    "manifest-invalid",
    "manifest-too-large",
    "manifest-unknown",
    "method",
    "name-invalid",
    "not-found",
    "reference-invalid",
    "release-tag",
    "statement-refused",
    "too-large",
    "unauthorized",
];

/// Turns an answer that is no success into a failure with the server's own words.
pub(super) fn failure(address: &Address, answer: &Answer) -> Failure {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = &body["error"];
    let (Some(code), Some(message)) = (error["code"].as_str(), error["message"].as_str()) else {
        let said = shown(&answer.body);
        let message = format!("{address} answered {} to `{}`: {said}", answer.status, answer.url.path());
        return Failure::new("server-answer", message).hint("is that the address of `assay serve`?");
    };
    let place = match error["where"].as_str().unwrap_or_default() {
        "" => String::new(),
        place => format!(" (`{}`)", shown(place.as_bytes())),
    };
    let message = format!("{address}: {}{place}", shown(message.as_bytes()));
    let mut failure = match CODES.iter().find(|known| **known == code) {
        Some(code) => Failure::new(code, message),
        None => Failure::new("server-refused", format!("{message} [{}]", shown(code.as_bytes()))),
    };
    if matches!(answer.status.as_u16(), 403 | 409 | 422) {
        failure.exit = 1; // it was understood, and the answer is no
    }
    failure.hint = match (code, error["hint"].as_str()) {
        (_, Some(hint)) => Some(shown(hint.as_bytes())),
        ("unauthorized", None) => {
            Some("ASSAY_TOKEN=… or `--token …`, as `assay admin token create NAME --role ROLE` prints it".to_owned())
        }
        (_, None) => None,
    };
    failure
}

/// Whether a 404 is the server's own, and not that of something else at the address.
pub(super) fn is_not_found(answer: &Answer) -> bool {
    serde_json::from_slice(&answer.body)
        .is_ok_and(|body: Value| body["version"] == 1 && body["error"]["code"].is_string())
}

/// What a bundle says it states, and the digest of its payload; nothing is verified.
pub(super) fn statement(bundle: &Bundle) -> Option<(Statement, Digest)> {
    let Content::Envelope(envelope) = &bundle.content else { return None };
    Some((Statement::parse(&envelope.payload).ok()?, Digest::of(&envelope.payload)))
}

/// `{"id":"sha256:…","kind":"artifact","label":"greeter","time":null}`
pub(super) fn node(row: &Value) -> Option<Node> {
    let kind = row["kind"].as_str()?;
    let time = match &row["time"] {
        Value::Null => None,
        time => Some(serde_json::from_value(time.clone()).ok()?),
    };
    Some(Node {
        id: NodeId::stored(row["id"].as_str()?.to_owned()),
        kind: Kind::ALL.iter().find(|(_, name)| *name == kind)?.0,
        label: row["label"].as_str()?.to_owned(),
        time,
    })
}

/// `{"from":"sha256:…","to":"sha256:…","relation":"built-by"}`
pub(super) fn edge(row: &Value) -> Option<Edge> {
    let id = |field: &str| Some(NodeId::stored(row[field].as_str()?.to_owned()));
    Some(Edge { from: id("from")?, to: id("to")?, relation: row["relation"].as_str()?.to_owned() })
}

/// Writes a text as one part of a path.
pub(super) fn path_part(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
