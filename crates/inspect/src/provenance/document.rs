//! Statements, out of whatever wraps them.
//!
//! | file | what is in it |
//! | --- | --- |
//! | in-toto statement | itself |
//! | DSSE envelope, `cosign download attestation`, Tekton Chains' annotation | the payload |
//! | Sigstore bundle, `gh attestation download` | the envelope's payload |
//! | npm's attestations answer, `{"attestations":[{"bundle":…}]}` | each bundle |
//! | PyPI's provenance (PEP 740), `{"attestation_bundles":[{"attestations":[{"envelope":{"statement":…}}]}]}` | each statement |
//! | `docker buildx imagetools inspect --format '{{json .Provenance}}'`, `{"SLSA":…}`, also by platform | the bare predicate |
//! | any of these, one a line (`.jsonl`) | each |

use std::fmt;

use serde_json::{Value, json};
use wire::base64;

use super::{DOCUMENTS_MAX, SIZE_MAX};

/// How deep wrappings may lie in one another.
const DEPTH_MAX: usize = 8;

/// A statement and what it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The statement; for a bare predicate, one without subject.
    pub statement: Value,
    /// What was around it, outermost first.
    pub layers: Vec<Layer>,
}

/// Something around a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A Sigstore bundle; with how many log entries and time-stamps.
    Bundle {
        /// Log entries.
        entries: usize,
        /// Signed time-stamps.
        stamps: usize,
    },
    /// A DSSE envelope; with how many signatures.
    Envelope {
        /// Signatures.
        signatures: usize,
    },
    /// npm's answer about a package.
    Npm,
    /// PyPI's provenance of a file.
    Pypi,
    /// A predicate alone, as BuildKit's clients print it.
    Predicate,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Bundle { entries, stamps } => {
                write!(f, "Sigstore bundle, {entries} log entries, {stamps} time-stamps")
            }
            Layer::Envelope { signatures } => write!(f, "DSSE envelope, {signatures} signatures"),
            Layer::Npm => f.write_str("npm attestations"),
            Layer::Pypi => f.write_str("PyPI provenance"),
            Layer::Predicate => f.write_str("predicate without statement"),
        }
    }
}

/// Why a file holds no statement.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Too large.
    #[error("{0} bytes are more than the limit of {SIZE_MAX}")]
    Size(usize),
    /// Not JSON.
    #[error("line {line} is no JSON")]
    Json {
        /// Which line of the file.
        line: usize,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// JSON that is none of the known wrappings.
    #[error(
        "{0}: neither an in-toto statement, nor an envelope, a bundle, npm's or PyPI's attestations, or BuildKit's provenance"
    )]
    Unknown(String),
    /// A payload that is not base64 of JSON.
    #[error("the payload of {0} is no base64 of a JSON statement")]
    Payload(String),
    /// An envelope around something else.
    #[error("the envelope has payload type `{0}`, and statements have `application/vnd.in-toto+json`")]
    PayloadType(String),
    /// Wrappings in wrappings.
    #[error("wrappings lie deeper than {DEPTH_MAX}")]
    Deep,
    /// Too many.
    #[error("more than {DOCUMENTS_MAX} statements")]
    Many,
    /// An empty file or list.
    #[error("there is no statement in it")]
    Empty,
}

/// Returns the statements in a file.
pub fn documents(bytes: &[u8]) -> Result<Vec<Document>, DocumentError> {
    if bytes.len() > SIZE_MAX {
        return Err(DocumentError::Size(bytes.len()));
    }
    let mut found = Found { documents: Vec::new() };
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => found.unwrap(&value, &[])?,
        Err(source) => found.lines(bytes, source)?,
    }
    if found.documents.is_empty() { Err(DocumentError::Empty) } else { Ok(found.documents) }
}

struct Found {
    documents: Vec<Document>,
}

impl Found {
    /// One document a line; what is no JSON as a whole and has one line only is no JSON at all.
    fn lines(&mut self, bytes: &[u8], whole: serde_json::Error) -> Result<(), DocumentError> {
        let mut whole = Some(whole);
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let value = serde_json::from_slice::<Value>(text).map_err(|source| match line {
                // A document over several lines: the error of the whole says where.
                1 => {
                    let whole = whole.take().unwrap_or(source);
                    DocumentError::Json { line: whole.line(), source: whole }
                }
                _ => DocumentError::Json { line, source },
            })?;
            self.unwrap(&value, &[])?;
        }
        Ok(())
    }

    fn unwrap(&mut self, value: &Value, outer: &[Layer]) -> Result<(), DocumentError> {
        if outer.len() >= DEPTH_MAX {
            return Err(DocumentError::Deep);
        }
        let within = |layer: Layer| [outer, &[layer]].concat();
        if value.get("predicateType").is_some() && value.get("bundle").is_none() {
            return self.push(value.clone(), outer.to_vec());
        }
        if let Some(envelope) = value.get("dsseEnvelope") {
            let material = &value["verificationMaterial"];
            let count = |list: &Value| list.as_array().map_or(0, Vec::len);
            let entries = count(&material["tlogEntries"]);
            let stamps = count(&material["timestampVerificationData"]["rfc3161Timestamps"]);
            return self.unwrap(envelope, &within(Layer::Bundle { entries, stamps }));
        }
        if let (Some(payload), Some(kind)) = (value.get("payload"), value.get("payloadType")) {
            return self.envelope(value, payload, kind, outer);
        }
        if let Some(attestations) = value.get("attestations").and_then(Value::as_array) {
            return attestations.iter().try_for_each(|attestation| match attestation.get("bundle") {
                Some(bundle) => self.unwrap(bundle, &within(Layer::Npm)),
                None => self.unwrap(attestation, &within(Layer::Pypi)),
            });
        }
        if let Some(bundles) = value.get("attestation_bundles").and_then(Value::as_array) {
            return bundles.iter().try_for_each(|bundle| self.unwrap(bundle, outer));
        }
        if let Some(statement) = value.get("envelope").and_then(|envelope| envelope.get("statement")) {
            let statement = payload(statement).ok_or_else(|| DocumentError::Payload(describe(value)))?;
            let signed = Layer::Envelope { signatures: usize::from(value["envelope"]["signature"].is_string()) };
            return self.push(statement, within(signed));
        }
        if let Some(list) = value.as_array() {
            return list.iter().try_for_each(|each| self.unwrap(each, outer));
        }
        self.predicate(value, &within(Layer::Predicate))
    }

    fn envelope(&mut self, value: &Value, bytes: &Value, kind: &Value, outer: &[Layer]) -> Result<(), DocumentError> {
        let kind = kind.as_str().unwrap_or_default();
        if kind != wire::dsse::IN_TOTO {
            return Err(DocumentError::PayloadType(kind.chars().take(200).collect()));
        }
        let statement = payload(bytes).ok_or_else(|| DocumentError::Payload(describe(value)))?;
        let signatures = value["signatures"].as_array().map_or(0, Vec::len);
        self.push(statement, [outer, &[Layer::Envelope { signatures }]].concat())
    }

    /// BuildKit's predicate alone, or one for each platform.
    fn predicate(&mut self, value: &Value, layers: &[Layer]) -> Result<(), DocumentError> {
        let inner = value.get("SLSA").unwrap_or(value);
        let bare = |kind: &str| json!({"predicateType": kind, "predicate": inner, "subject": []});
        if inner.get("buildDefinition").is_some() {
            return self.push(bare(super::view::V1), layers.to_vec());
        }
        if inner.get("buildType").is_some() && inner.get("builder").is_some() {
            return self.push(bare(super::view::V02), layers.to_vec());
        }
        let platforms: Vec<&Value> = value.as_object().into_iter().flat_map(|map| map.values()).collect();
        if !platforms.is_empty() && platforms.iter().all(|each| each.get("SLSA").is_some()) {
            return platforms.into_iter().try_for_each(|each| self.predicate(each, layers));
        }
        Err(DocumentError::Unknown(describe(value)))
    }

    fn push(&mut self, statement: Value, layers: Vec<Layer>) -> Result<(), DocumentError> {
        if self.documents.len() == DOCUMENTS_MAX {
            return Err(DocumentError::Many);
        }
        self.documents.push(Document { statement, layers });
        Ok(())
    }
}

/// Decodes a payload in either alphabet of base64.
fn payload(value: &Value) -> Option<Value> {
    let text = value.as_str()?;
    let standard: String = text
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let padding = (4 - standard.trim_end_matches('=').len() % 4) % 4;
    let padded = format!("{}{}", standard.trim_end_matches('='), "=".repeat(padding));
    let statement: Value = serde_json::from_slice(&base64::decode(&padded).ok()?).ok()?;
    statement.is_object().then_some(statement)
}

/// Names a JSON value by its first keys.
fn describe(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let keys: Vec<String> = map.keys().take(4).map(|key| key.chars().take(40).collect()).collect();
            format!("an object with {}", if keys.is_empty() { "no fields".to_owned() } else { keys.join(", ") })
        }
        Value::Array(_) => "a list".to_owned(),
        _ => "a JSON value".to_owned(),
    }
}
