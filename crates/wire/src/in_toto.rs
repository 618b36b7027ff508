//! Statements: a claim (the predicate) about digests (the subjects).
//!
//! Specification: in-toto Attestation Framework, Statement v1
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md> and ResourceDescriptor v1.
//!
//! ```json
//! {"_type":"https://in-toto.io/Statement/v1",
//!  "subject":[{"name":"greeter","digest":{"sha256":"9f86d0…"}}],
//!  "predicateType":"https://slsa.dev/provenance/v1","predicate":{}}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// The `_type` of a v1 statement.
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";

/// How many subjects one statement may have when read.
pub const SUBJECTS_MAX: usize = 10_000;

/// A digest set: algorithm name → lower-case hexadecimal; `gitCommit` and other names stand beside `sha256`.
pub type DigestSet = BTreeMap<String, String>;

/// A statement as it stands in an envelope's payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`STATEMENT_V1`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What the statement is about; never empty.
    pub subject: Vec<ResourceDescriptor>,
    /// A URI that says how to read the predicate.
    pub predicate_type: String,
    /// The claim itself.
    #[serde(default)]
    pub predicate: Value,
}

/// A named thing with its digests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDescriptor {
    /// A name for people and for policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it can be had, or what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: DigestSet,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Where it was had from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_location: Option<String>,
    /// Anything else, by the producer's convention.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// Why a payload is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not JSON, or a field missing.
    #[error("not an in-toto statement")]
    Form(#[from] serde_json::Error),
    /// Another `_type`.
    #[error("unsupported statement type `{0}`: expected `{STATEMENT_V1}`")]
    Kind(String),
    /// No subject, more than [`SUBJECTS_MAX`], or one without a digest.
    #[error("a statement needs 1 to {SUBJECTS_MAX} subjects, each with a digest; subject {index} has none")]
    Subject {
        /// Position of the first offending subject.
        index: usize,
    },
}

impl Statement {
    /// Makes a v1 statement.
    pub fn new(subject: Vec<ResourceDescriptor>, predicate_type: &str, predicate: Value) -> Statement {
        Statement { kind: STATEMENT_V1.to_owned(), subject, predicate_type: predicate_type.to_owned(), predicate }
    }

    /// Parses a payload and checks its form.
    pub fn parse(payload: &[u8]) -> Result<Statement, StatementError> {
        let statement: Statement = serde_json::from_slice(payload)?;
        if statement.kind != STATEMENT_V1 {
            return Err(StatementError::Kind(statement.kind));
        }
        if statement.subject.is_empty() || statement.subject.len() > SUBJECTS_MAX {
            return Err(StatementError::Subject { index: statement.subject.len().min(SUBJECTS_MAX) });
        }
        if let Some(index) = statement.subject.iter().position(|subject| subject.digest.is_empty()) {
            return Err(StatementError::Subject { index });
        }
        Ok(statement)
    }

    /// Returns the statement's canonical JSON, which is what we sign.
    pub fn to_json(&self) -> Vec<u8> {
        crate::jcs::to_vec(self)
    }

    /// Returns the subjects' digests that assay understands, in order.
    pub fn digests(&self) -> impl Iterator<Item = Digest> + '_ {
        self.subject.iter().flat_map(ResourceDescriptor::digests)
    }
}

impl ResourceDescriptor {
    /// Names a thing by its digest.
    pub fn named(name: &str, digest: &Digest) -> ResourceDescriptor {
        ResourceDescriptor { name: Some(name.to_owned()), digest: digest_set(digest), ..ResourceDescriptor::default() }
    }

    /// Returns those of its digests that assay understands.
    pub fn digests(&self) -> impl Iterator<Item = Digest> + '_ {
        self.digest.iter().filter_map(|(algorithm, value)| Digest::from_parts(algorithm, value).ok())
    }
}

/// Returns a digest set of one.
pub fn digest_set(digest: &Digest) -> DigestSet {
    BTreeMap::from([(digest.algorithm().to_owned(), digest.hex())])
}

#[cfg(test)]
mod tests;
