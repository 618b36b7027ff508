//! Bundles: a signed content with everything needed to verify it without a network.
//!
//! Specification: Sigstore bundle format v0.3
//! <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_bundle.proto> and `sigstore_rekor.proto`, in
//! protobuf's JSON form <https://protobuf.dev/programming-guides/json/>. File name: `*.sigstore.json`.
//!
//! ```json
//! {"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
//!  "verificationMaterial":{"publicKey":{"hint":"sha256:4b7a…"},
//!   "tlogEntries":[{"logIndex":"0","logId":{"keyId":"9sZz…"},"kindVersion":{"kind":"dsse","version":"0.0.1"},
//!    "integratedTime":"0",
//!    "inclusionProof":{"logIndex":"0","rootHash":"q83v…","treeSize":"2","hashes":["Jk0z…"],
//!     "checkpoint":{"envelope":"example.org/log\n2\nq83v…\n\n— example.org/log nUv1…\n"}},
//!    "canonicalizedBody":"eyJhcGlWZXJzaW9uIjoiMC4wLjEi…"}],
//!   "timestampVerificationData":{"rfc3161Timestamps":[]}},
//!  "dsseEnvelope":{"payload":"eyJfdHlwZSI6…","payloadType":"application/vnd.in-toto+json",
//!   "signatures":[{"keyid":"sha256:4b7a…","sig":"MEUCIQ…"}]}}
//! ```
//!
//! Integers are strings. Zero values and empty lists are written out, because released verifiers refuse an inclusion
//! proof without `logIndex` or `hashes`. Certificates and time-stamps are carried as opaque bytes. Absent on purpose:
//! `x509CertificateChain`, which v0.3 forbids.

use serde::{Deserialize, Serialize};

use crate::dsse::{self, Envelope};

/// The media type of a v0.3 bundle, also its `artifactType` as an OCI referrer.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The older spelling of the same media type, which is read and never written.
pub const MEDIA_TYPE_OLD: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

/// The largest bundle that is read: an envelope of the largest size (in base64) and its proofs.
pub const SIZE_MAX: usize = 24 << 20;

/// How many log entries and how many time-stamps a bundle may have; other verifiers have the same limit.
pub const ENTRIES_MAX: usize = 32;

/// How many hashes an inclusion proof may have: one for each level of a tree of 2⁶³ leaves.
pub const PROOF_MAX: usize = 63;

/// A bundle. Nothing about it has been checked but its form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Bundle {
    /// Whose key or certificate, which log entries, which time-stamps.
    pub verification_material: VerificationMaterial,
    /// What was signed.
    pub content: Content,
}

/// What a bundle carries: exactly one of these.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A signed attestation.
    Envelope(Envelope),
    /// A signature over a blob that travels apart.
    Message(MessageSignature),
}

/// A signature over a blob, and the blob's digest as an unauthenticated hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageSignature {
    /// Digest of the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_digest: Option<HashOutput>,
    /// The raw signature.
    #[serde(with = "dsse::bytes")]
    pub signature: Vec<u8>,
}

/// A digest with protobuf's name for its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HashOutput {
    /// `SHA2_256`
    pub algorithm: String,
    /// The raw digest value.
    #[serde(with = "dsse::bytes")]
    pub digest: Vec<u8>,
}

/// How a bundle's signer, logs and times are verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MaterialWire", into = "MaterialWire")]
pub struct VerificationMaterial {
    /// Whose signature it is.
    pub signer: Signer,
    /// Where it is logged.
    pub tlog_entries: Vec<TransparencyLogEntry>,
    /// RFC 3161 time-stamps over the signature, each one DER.
    pub timestamps: Vec<Rfc3161Timestamp>,
}

/// The signer of a bundle: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// A key that the verifier knows already; the hint helps to find it and proves nothing.
    PublicKey {
        /// Names the key.
        hint: String,
    },
    /// A certificate, DER.
    Certificate(Vec<u8>),
}

/// One entry of a transparency log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransparencyLogEntry {
    /// Position of the entry in the log.
    #[serde(with = "integer", default)]
    pub log_index: u64,
    /// Which log.
    pub log_id: LogId,
    /// How to read the body.
    pub kind_version: KindVersion,
    /// Time that the log claims; 0 for logs with checkpoints only.
    #[serde(with = "integer", default)]
    pub integrated_time: u64,
    /// A promise to include, of logs of an older kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inclusion_promise: Option<InclusionPromise>,
    /// The proof that the body is in the log.
    pub inclusion_proof: InclusionProof,
    /// The exact leaf.
    #[serde(with = "dsse::bytes")]
    pub canonicalized_body: Vec<u8>,
}

/// The name of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogId {
    /// For a log with signed notes: SHA-256 of name ‖ 0x0A ‖ key type ‖ public key.
    #[serde(with = "dsse::bytes")]
    pub key_id: Vec<u8>,
}

/// The kind of an entry's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindVersion {
    /// `dsse`, `hashedrekord`
    pub kind: String,
    /// `0.0.1`
    pub version: String,
}

/// A signed entry timestamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionPromise {
    /// The log's signature over body, index and time.
    #[serde(with = "dsse::bytes")]
    pub signed_entry_timestamp: Vec<u8>,
}

/// A Merkle inclusion proof and the checkpoint that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof {
    /// Position of the leaf in the tree.
    #[serde(with = "integer", default)]
    pub log_index: u64,
    /// Root of the tree.
    #[serde(with = "dsse::bytes")]
    pub root_hash: Vec<u8>,
    /// Number of leaves of the tree.
    #[serde(with = "integer", default)]
    pub tree_size: u64,
    /// Siblings from the leaf upwards.
    #[serde(with = "hashes", default)]
    pub hashes: Vec<Vec<u8>>,
    /// Signed statement of size and root.
    pub checkpoint: Checkpoint,
}

/// A signed note, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The note with its signatures.
    pub envelope: String,
}

/// One RFC 3161 time-stamp response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rfc3161Timestamp {
    /// DER.
    #[serde(with = "dsse::bytes")]
    pub signed_timestamp: Vec<u8>,
}

/// Why a text is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("bundle of {size} bytes is larger than the limit of {SIZE_MAX}")]
    Size {
        /// What was given.
        size: usize,
    },
    /// Not JSON, a field missing or malformed.
    #[error("not a Sigstore bundle v0.3")]
    Form(#[from] serde_json::Error),
    /// A list over its limit.
    #[error("bundle has {count} {what}, more than the limit of {limit}")]
    Count {
        /// Which list.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl Bundle {
    /// Parses a bundle's JSON.
    pub fn parse(json: &[u8]) -> Result<Bundle, BundleError> {
        if json.len() > SIZE_MAX {
            return Err(BundleError::Size { size: json.len() });
        }
        let bundle: Bundle = serde_json::from_slice(json)?;
        let material = &bundle.verification_material;
        check_count("log entries", material.tlog_entries.len(), ENTRIES_MAX)?;
        check_count("time-stamps", material.timestamps.len(), ENTRIES_MAX)?;
        for entry in &material.tlog_entries {
            check_count("hashes in an inclusion proof", entry.inclusion_proof.hashes.len(), PROOF_MAX)?;
        }
        Ok(bundle)
    }

    /// Returns the bundle's JSON, canonical, so that one bundle has one digest.
    pub fn to_json(&self) -> Vec<u8> {
        crate::jcs::to_vec(self)
    }
}

fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), BundleError> {
    if count > limit { Err(BundleError::Count { what, count, limit }) } else { Ok(()) }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: String,
    verification_material: VerificationMaterial,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<Envelope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
}

impl From<Bundle> for Wire {
    fn from(bundle: Bundle) -> Wire {
        let (dsse_envelope, message_signature) = match bundle.content {
            Content::Envelope(envelope) => (Some(envelope), None),
            Content::Message(message) => (None, Some(message)),
        };
        Wire {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: bundle.verification_material,
            dsse_envelope,
            message_signature,
        }
    }
}

impl TryFrom<Wire> for Bundle {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Bundle, String> {
        if ![MEDIA_TYPE, MEDIA_TYPE_OLD].contains(&wire.media_type.as_str()) {
            return Err(format!("unsupported media type `{}`: expected `{MEDIA_TYPE}`", clip(&wire.media_type)));
        }
        let content = match (wire.dsse_envelope, wire.message_signature) {
            (Some(envelope), None) => Content::Envelope(envelope),
            (None, Some(message)) => Content::Message(message),
            _ => return Err("expected exactly one of `dsseEnvelope` and `messageSignature`".to_owned()),
        };
        Ok(Bundle { verification_material: wire.verification_material, content })
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MaterialWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<HintWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<RawBytes>,
    /// The third of the three; v0.3 forbids it.
    #[serde(default, skip_serializing)]
    x509_certificate_chain: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    tlog_entries: Vec<TransparencyLogEntry>,
    #[serde(default)]
    timestamp_verification_data: Option<TimestampsWire>,
}

#[derive(Clone, Serialize, Deserialize)]
struct HintWire {
    #[serde(default)]
    hint: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    #[serde(with = "dsse::bytes")]
    raw_bytes: Vec<u8>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimestampsWire {
    #[serde(default)]
    rfc3161_timestamps: Vec<Rfc3161Timestamp>,
}

impl From<VerificationMaterial> for MaterialWire {
    fn from(material: VerificationMaterial) -> MaterialWire {
        let (public_key, certificate) = match material.signer {
            Signer::PublicKey { hint } => (Some(HintWire { hint }), None),
            Signer::Certificate(raw_bytes) => (None, Some(RawBytes { raw_bytes })),
        };
        MaterialWire {
            public_key,
            certificate,
            x509_certificate_chain: None,
            tlog_entries: material.tlog_entries,
            timestamp_verification_data: Some(TimestampsWire { rfc3161_timestamps: material.timestamps }),
        }
    }
}

impl TryFrom<MaterialWire> for VerificationMaterial {
    type Error = &'static str;

    fn try_from(wire: MaterialWire) -> Result<VerificationMaterial, &'static str> {
        if wire.x509_certificate_chain.is_some() {
            return Err("`x509CertificateChain` is not allowed in v0.3");
        }
        let signer = match (wire.public_key, wire.certificate) {
            (Some(HintWire { hint }), None) => Signer::PublicKey { hint },
            (None, Some(RawBytes { raw_bytes })) => Signer::Certificate(raw_bytes),
            _ => return Err("expected exactly one of `publicKey` and `certificate`"),
        };
        let timestamps = wire.timestamp_verification_data.unwrap_or_default().rfc3161_timestamps;
        Ok(VerificationMaterial { signer, tlog_entries: wire.tlog_entries, timestamps })
    }
}

fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Protobuf's `int64` in JSON: written as a decimal string, read as a string or a number, never negative here.
mod integer {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let value = match Either::deserialize(deserializer)? {
            Either::Number(value) => Some(value),
            Either::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Either::Text(_) => None,
        };
        let error =
            || serde::de::Error::custom("expected a decimal integer from 0 to 9223372036854775807, as a string");
        value.filter(|value| i64::try_from(*value).is_ok()).ok_or_else(error)
    }
}

/// A list of byte strings.
mod hashes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::dsse;

    #[derive(Serialize, Deserialize)]
    struct Bytes(#[serde(with = "dsse::bytes")] Vec<u8>);

    pub(super) fn serialize<S: Serializer>(list: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|bytes| Bytes(bytes.clone())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        Ok(Vec::<Bytes>::deserialize(deserializer)?.into_iter().map(|bytes| bytes.0).collect())
    }
}

#[cfg(test)]
mod tests;
