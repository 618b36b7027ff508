//! Log entries: the bodies that stock Sigstore clients know as leaves of a transparency log.
//!
//! Specification: Rekor's entry types, `hashedrekord` 0.0.1
//! <https://github.com/sigstore/rekor/blob/v1.4.2/pkg/types/hashedrekord/v0.0.1/hashedrekord_v0_0_1_schema.json>, `intoto`
//! 0.0.2 <https://github.com/sigstore/rekor/blob/v1.4.2/pkg/types/intoto/v0.0.2/intoto_v0_0_2_schema.json>, `dsse` 0.0.1
//! <https://github.com/sigstore/rekor/blob/v1.4.2/pkg/types/dsse/v0.0.1/dsse_v0_0_1_schema.json>, `dsse` 0.0.2 and
//! `hashedrekord` 0.0.2 <https://github.com/sigstore/rekor-tiles/tree/v2.0.0/api/proto/rekor/v2>.
//! A body is canonical JSON (RFC 8785); [`Body::parse`] takes no other bytes, so it has exactly one form.
//!
//! ```json
//! {"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":{"algorithm":"sha256","value":"5f0c…"},
//!  "payloadHash":{"algorithm":"sha256","value":"9f86…"},"signatures":[{"signature":"MEUCIQ…","verifier":"LS0tLS1CRUdJTi…"}]}}
//! {"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"n4bQ…"},
//!  "signature":{"content":"MEUCIQ…","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkw…"}}}}}}
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base64;
use crate::digest::Digest;
use crate::sigstore_bundle::{HashOutput, KindVersion};

pub mod request;

/// The largest leaf of a tiled log: its length is stored in 16 bits.
pub const SIZE_MAX: usize = 65_535;

/// A log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `dsse` 0.0.1: what every released verifier takes for an attestation.
    Dsse001(Dsse001),
    /// `dsse` 0.0.2.
    Dsse002(Dsse002),
    /// `hashedrekord` 0.0.2: a signature over a digest.
    HashedRekord002(HashedRekord002),
    /// `hashedrekord` 0.0.1: the same in Rekor v1; read, never written by us.
    HashedRekord001(HashedRekord001),
    /// `intoto` 0.0.2: an attestation in Rekor v1 before `dsse`; read, never written by us.
    InToto002(InToto002),
}

/// `dsse` 0.0.1
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dsse001 {
    /// Digest of the envelope's JSON.
    pub envelope_hash: NamedHash,
    /// Digest of the payload.
    pub payload_hash: NamedHash,
    /// The envelope's signatures.
    pub signatures: Vec<Signature001>,
}

/// A digest in two fields: `sha256` and hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedHash {
    /// `sha256`
    pub algorithm: String,
    /// Lower-case hexadecimal.
    pub value: String,
}

/// A signature and the PEM text of its key or certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature001 {
    /// The raw signature.
    #[serde(with = "base64")]
    pub signature: Vec<u8>,
    /// PEM text.
    #[serde(with = "base64")]
    pub verifier: Vec<u8>,
}

/// `hashedrekord` 0.0.1
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashedRekord001 {
    /// Digest of what was signed.
    pub data: Data001,
    /// The signature over it.
    pub signature: RekordSignature,
}

/// What was signed, by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data001 {
    /// Its digest.
    pub hash: NamedHash,
}

/// A signature and its verifier in `hashedrekord` 0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RekordSignature {
    /// The raw signature.
    #[serde(with = "base64")]
    pub content: Vec<u8>,
    /// Its key or certificate.
    pub public_key: PemText,
}

/// PEM text, base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PemText {
    /// The text.
    #[serde(with = "base64")]
    pub content: Vec<u8>,
}

/// `intoto` 0.0.2
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InToto002 {
    /// The envelope and its hashes.
    pub content: InTotoContent,
}

/// What `intoto` 0.0.2 says of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InTotoContent {
    /// The envelope without its payload.
    pub envelope: InTotoEnvelope,
    /// Digest of the envelope's JSON as it was sent.
    pub hash: NamedHash,
    /// Digest of the payload.
    pub payload_hash: NamedHash,
}

/// An envelope without its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InTotoEnvelope {
    /// Says what the payload is.
    pub payload_type: String,
    /// Its signatures.
    pub signatures: Vec<InTotoSignature>,
}

/// A signature in `intoto` 0.0.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InTotoSignature {
    /// A hint at the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
    /// PEM text.
    #[serde(with = "base64")]
    pub public_key: Vec<u8>,
    /// The signature's base64 text (which is in base64 once more on the wire).
    #[serde(with = "base64")]
    pub sig: Vec<u8>,
}

/// `dsse` 0.0.2
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dsse002 {
    /// Digest of the payload.
    pub payload_hash: HashOutput,
    /// The envelope's signatures.
    pub signatures: Vec<Signature002>,
}

/// `hashedrekord` 0.0.2
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashedRekord002 {
    /// Digest of what was signed.
    pub data: HashOutput,
    /// The signature over it.
    pub signature: Signature002,
}

/// A signature and its key or certificate, DER.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature002 {
    /// The raw signature.
    #[serde(with = "base64")]
    pub content: Vec<u8>,
    /// Whose it is.
    pub verifier: Verifier,
}

/// A key or a certificate, and the algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verifier {
    /// `PKIX_ECDSA_P256_SHA_256`
    pub key_details: String,
    /// A key: this or a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Der>,
    /// A certificate: this or a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509_certificate: Option<Der>,
}

/// DER bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Der {
    /// The bytes.
    #[serde(with = "base64")]
    pub raw_bytes: Vec<u8>,
}

/// Why a leaf is no entry of a known kind.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("log entry of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// Not JSON, a field missing, unknown or malformed.
    #[error("not a log entry")]
    Form(#[from] serde_json::Error),
    /// Another kind or version.
    #[error("unknown kind of log entry `{kind}` {version}")]
    Kind {
        /// As the entry says.
        kind: String,
        /// As the entry says.
        version: String,
    },
    /// JSON, but not in canonical form.
    #[error("log entry is not canonical JSON")]
    Canonical,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire<S> {
    api_version: String,
    kind: String,
    spec: S,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecDsse002<T> {
    #[serde(rename = "dsseV002")]
    inner: T,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecHashedRekord002<T> {
    #[serde(rename = "hashedRekordV002")]
    inner: T,
}

impl Body {
    /// Parses a leaf; only the exact bytes that [`Body::to_json`] writes are taken.
    pub fn parse(leaf: &[u8]) -> Result<Body, BodyError> {
        if leaf.len() > SIZE_MAX {
            return Err(BodyError::Size(leaf.len()));
        }
        let wire: Wire<Value> = serde_json::from_slice(leaf)?;
        let body = match (wire.kind.as_str(), wire.api_version.as_str()) {
            ("dsse", "0.0.1") => Body::Dsse001(serde_json::from_value(wire.spec)?),
            ("dsse", "0.0.2") => Body::Dsse002(serde_json::from_value::<SpecDsse002<Dsse002>>(wire.spec)?.inner),
            ("hashedrekord", "0.0.2") => {
                Body::HashedRekord002(serde_json::from_value::<SpecHashedRekord002<HashedRekord002>>(wire.spec)?.inner)
            }
            ("hashedrekord", "0.0.1") => Body::HashedRekord001(serde_json::from_value(wire.spec)?),
            ("intoto", "0.0.2") => Body::InToto002(serde_json::from_value(wire.spec)?),
            (kind, version) => return Err(BodyError::Kind { kind: clip(kind), version: clip(version) }),
        };
        if body.to_json() == leaf { Ok(body) } else { Err(BodyError::Canonical) }
    }

    /// Returns the canonical bytes: the leaf.
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            Body::Dsse001(spec) => self.with(spec),
            Body::Dsse002(inner) => self.with(&SpecDsse002 { inner }),
            Body::HashedRekord002(inner) => self.with(&SpecHashedRekord002 { inner }),
            Body::HashedRekord001(spec) => self.with(spec),
            Body::InToto002(spec) => self.with(spec),
        }
    }

    fn with<S: Serialize>(&self, spec: S) -> Vec<u8> {
        let KindVersion { kind, version } = self.kind_version();
        crate::jcs::to_vec(&Wire { api_version: version, kind, spec })
    }

    /// Returns the kind and version, as a bundle names them beside the body.
    pub fn kind_version(&self) -> KindVersion {
        let (kind, version) = match self {
            Body::Dsse001(_) => ("dsse", "0.0.1"),
            Body::Dsse002(_) => ("dsse", "0.0.2"),
            Body::HashedRekord002(_) => ("hashedrekord", "0.0.2"),
            Body::HashedRekord001(_) => ("hashedrekord", "0.0.1"),
            Body::InToto002(_) => ("intoto", "0.0.2"),
        };
        KindVersion { kind: kind.to_owned(), version: version.to_owned() }
    }
}

impl NamedHash {
    /// Returns the two fields of `digest`.
    pub fn of(digest: &Digest) -> NamedHash {
        NamedHash { algorithm: digest.algorithm().to_owned(), value: digest.hex() }
    }
}

impl HashOutput {
    /// Returns the digest with protobuf's name for its algorithm.
    pub fn of(digest: &Digest) -> HashOutput {
        let algorithm = match digest {
            Digest::Sha256(_) => "SHA2_256",
            Digest::Sha512(_) => "SHA2_512",
        };
        HashOutput { algorithm: algorithm.to_owned(), digest: digest.bytes().to_vec() }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
