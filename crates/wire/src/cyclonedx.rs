//! CycloneDX: a bill of materials, of which this module has what a build can say of its inputs.
//!
//! Specification: CycloneDX 1.6 (ECMA-424) <https://cyclonedx.org/docs/1.6/json/>; as a predicate
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/cyclonedx.md>. A reader takes documents of any 1.x version and
//! passes over the fields that it does not know.
//!
//! ```json
//! {"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:5e1f0c7a-9b2d-4e6f-8091-a2b3c4d5e6f7","version":1,
//!  "metadata":{"timestamp":"2026-11-22T19:41:08Z","lifecycles":[{"phase":"build"}]},
//!  "components":[{"type":"library","bom-ref":"pkg:cargo/serde@1.0.229","name":"serde","version":"1.0.229","scope":"required",
//!   "hashes":[{"alg":"SHA-256","content":"1fa4…"}],"purl":"pkg:cargo/serde@1.0.229"}]}
//! ```

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::timestamp::Timestamp;

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://cyclonedx.org/bom";
/// What `bomFormat` says.
pub const BOM_FORMAT: &str = "CycloneDX";
/// The version that is written.
pub const SPEC_VERSION: &str = "1.6";

/// A document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    /// [`BOM_FORMAT`].
    pub bom_format: String,
    /// `1.6`
    pub spec_version: String,
    /// `urn:uuid:…`, unique to the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// How often it was corrected, from 1.
    #[serde(default = "one")]
    pub version: u64,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What it lists.
    #[serde(default)]
    pub components: Vec<Component>,
    /// How much of it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compositions: Vec<Composition>,
}

fn one() -> u64 {
    1
}

/// What a document is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// At which point of a product's life.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifecycles: Vec<Lifecycle>,
    /// With what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,
    /// What the listed components were for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
    /// Names and values of the producer's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
}

/// A phase: `build`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Absent where the producer names a phase of his own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// The tools that made a document: since 1.5 an object, before that a list that is passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tools {
    /// As of 1.5.
    Components {
        /// The tools.
        #[serde(default)]
        components: Vec<Component>,
    },
    /// Before.
    List(Vec<serde_json::Value>),
}

/// One component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// `library`, `application`, `file`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Unique in the document.
    #[serde(rename = "bom-ref", default, skip_serializing_if = "Option::is_none")]
    pub bom_ref: Option<String>,
    /// Namespace: npm's scope without its sign is not one, `@babel` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Name without its namespace.
    pub name: String,
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it takes part; absent means [`Scope::Required`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Hashes of the file that it is distributed as.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<Hash>,
    /// Package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Names and values of the producer's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
}

/// Whether a component takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// It does.
    Required,
    /// It may.
    Optional,
    /// It does not.
    Excluded,
}

/// A hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hash {
    /// `SHA-256`
    pub alg: String,
    /// Hexadecimal digits.
    pub content: String,
}

impl Hash {
    /// Returns the hash of a digest; `None` for an algorithm that CycloneDX does not name.
    pub fn of(digest: &Digest) -> Option<Hash> {
        let alg = match digest.algorithm() {
            "sha256" => "SHA-256",
            "sha512" => "SHA-512",
            _ => return None,
        };
        Some(Hash { alg: alg.to_owned(), content: digest.hex() })
    }
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// Name, with a namespace: `assay:used`.
    pub name: String,
    /// Value.
    #[serde(default)]
    pub value: String,
}

impl Property {
    /// Makes one.
    pub fn new(name: &str, value: &str) -> Property {
        Property { name: name.to_owned(), value: value.to_owned() }
    }
}

/// How much is known of some components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// `complete`, `incomplete`, `unknown`, …
    pub aggregate: String,
    /// References of the components.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assemblies: Vec<String>,
}

#[cfg(test)]
mod tests;
