//! Requests to log something: what clients of Rekor post.
//!
//! Specification: Rekor v2's `CreateEntryRequest`
//! <https://github.com/sigstore/rekor-tiles/blob/v2.0.0/api/proto/rekor/v2/entry.proto> in the JSON form of protocol
//! buffers <https://protobuf.dev/programming-guides/json/>, and Rekor v1's proposed `dsse` 0.0.1
//! <https://github.com/sigstore/rekor/blob/v1.4.2/pkg/types/dsse/v0.0.1/dsse_v0_0_1_schema.json>. A `hashedrekord` 0.0.2
//! entry as it stands in a log is a request, too: it holds all that its check needs. A `dsse` 0.0.2 entry is none, for
//! without the payload nobody can check its signature.
//!
//! ```json
//! {"hashedRekordRequestV002":{"digest":"n4bQ…","signature":{"content":"MEUCIQ…",
//!  "verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"MIIC…"}}}}}
//! {"dsseRequestV002":{"envelope":{"payload":"eyJf…","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEUC…"}]},
//!  "verifiers":[{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"MFkw…"}}]}}
//! {"apiVersion":"0.0.1","kind":"dsse","spec":{"proposedContent":{"envelope":"{\"payload\":…}","verifiers":["LS0tLS1CRUdJTi…"]}}}
//! ```
//!
//! An unknown field is refused, as Rekor does: it may be what the client relies on. Names in lower camel case or as in
//! the `.proto` file, names of enums or their numbers, base64 of either alphabet.

use serde::{Deserialize, Deserializer};

use super::{BodyError, Der, HashedRekord002, Signature002, Verifier};
use crate::dsse::{self, Envelope};
use crate::sigstore_bundle::HashOutput;

/// The largest request: an envelope of the largest size, in base64.
pub const SIZE_MAX: usize = 32 << 20;

/// How many verifiers one request may bring.
pub const VERIFIERS_MAX: usize = 16;

/// What somebody wants to have logged. Nothing about it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A signature over a digest, to be logged as `hashedrekord` 0.0.2.
    HashedRekord002 {
        /// The digest, by the algorithm that the key's kind implies.
        digest: Vec<u8>,
        /// The signature over it.
        signature: Signature002,
        /// What the request says the digest's algorithm is; an entry says it, a request doesn't.
        algorithm: Option<String>,
    },
    /// An envelope with keys or certificates, of which one made its signature; to be logged as `dsse` 0.0.2.
    Dsse002 {
        /// The envelope.
        envelope: Envelope,
        /// At least one.
        verifiers: Vec<Verifier>,
    },
    /// The same with PEM texts; to be logged as `dsse` 0.0.1.
    Dsse001 {
        /// The envelope.
        envelope: Envelope,
        /// PEM texts, at least one.
        verifiers: Vec<Vec<u8>>,
    },
}

/// Why a text is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("request of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// Not JSON, a field missing, unknown or malformed.
    #[error("not a request to create an entry")]
    Form(#[from] serde_json::Error),
    /// An envelope in a string that is none.
    #[error("reading the proposed envelope")]
    Envelope(#[from] dsse::EnvelopeError),
    /// An entry that is malformed.
    #[error("reading the proposed entry")]
    Body(#[from] BodyError),
    /// An entry without the content that its check takes, or of a kind that is not taken.
    #[error("{kind} {version} cannot be logged from the entry alone: send the request with its content")]
    Kind {
        /// As it says.
        kind: String,
        /// As it says.
        version: String,
    },
    /// Neither of the requests, or both.
    #[error("expected exactly one of `hashedRekordRequestV002` and `dsseRequestV002`")]
    Choice,
    /// A field that must not be empty.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Too many verifiers.
    #[error("{0} verifiers are more than the limit of {VERIFIERS_MAX}")]
    Verifiers(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestWire {
    #[serde(default, alias = "hashed_rekord_request_v002")]
    hashed_rekord_request_v002: Option<HashedRekordWire>,
    #[serde(default, alias = "dsse_request_v002")]
    dsse_request_v002: Option<DsseWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekordWire {
    #[serde(default, with = "dsse::bytes")]
    digest: Vec<u8>,
    #[serde(default)]
    signature: Option<SignatureWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureWire {
    #[serde(default, with = "dsse::bytes")]
    content: Vec<u8>,
    #[serde(default)]
    verifier: Option<VerifierWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VerifierWire {
    #[serde(default, alias = "public_key")]
    public_key: Option<DerWire>,
    #[serde(default, alias = "x509_certificate")]
    x509_certificate: Option<DerWire>,
    #[serde(default, alias = "key_details", deserialize_with = "key_details")]
    key_details: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DerWire {
    #[serde(default, alias = "raw_bytes", with = "dsse::bytes")]
    raw_bytes: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseWire {
    #[serde(default)]
    envelope: Option<EnvelopeWire>,
    #[serde(default)]
    verifiers: Vec<VerifierWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EnvelopeWire {
    #[serde(default, with = "dsse::bytes")]
    payload: Vec<u8>,
    #[serde(default, alias = "payload_type")]
    payload_type: String,
    #[serde(default, deserialize_with = "one_signature")]
    signatures: Option<EnvelopeSignatureWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignatureWire {
    #[serde(default, with = "dsse::bytes")]
    sig: Vec<u8>,
    #[serde(default)]
    keyid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntryWire {
    api_version: String,
    kind: String,
    spec: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProposedWire {
    proposed_content: ProposedContentWire,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProposedContentWire {
    envelope: String,
    verifiers: Vec<PemWire>,
}

#[derive(Deserialize)]
struct PemWire(#[serde(with = "dsse::bytes")] Vec<u8>);

impl Request {
    /// Parses a request of any of the forms.
    pub fn parse(json: &[u8]) -> Result<Request, RequestError> {
        #[derive(Deserialize)]
        struct Probe {
            kind: Option<serde::de::IgnoredAny>,
        }
        if json.len() > SIZE_MAX {
            return Err(RequestError::Size(json.len()));
        }
        if serde_json::from_slice::<Probe>(json)?.kind.is_some() {
            return proposed(serde_json::from_slice(json)?);
        }
        let wire: RequestWire = serde_json::from_slice(json)?;
        match (wire.hashed_rekord_request_v002, wire.dsse_request_v002) {
            (Some(request), None) => hashed_rekord(request),
            (None, Some(request)) => dsse(request),
            _ => Err(RequestError::Choice),
        }
    }
}

fn hashed_rekord(wire: HashedRekordWire) -> Result<Request, RequestError> {
    let digest = filled("digest", wire.digest)?;
    let signature = wire.signature.ok_or(RequestError::Missing("signature"))?;
    let content = filled("signature.content", signature.content)?;
    let verifier = verifier(signature.verifier.ok_or(RequestError::Missing("signature.verifier"))?)?;
    Ok(Request::HashedRekord002 { digest, signature: Signature002 { content, verifier }, algorithm: None })
}

fn dsse(wire: DsseWire) -> Result<Request, RequestError> {
    let envelope = wire.envelope.ok_or(RequestError::Missing("envelope"))?;
    let signature = envelope.signatures.ok_or(RequestError::Missing("envelope.signatures"))?;
    let signature = dsse::Signature { keyid: signature.keyid, sig: filled("envelope.signatures.sig", signature.sig)? };
    count(wire.verifiers.len())?;
    let verifiers = wire.verifiers.into_iter().map(verifier).collect::<Result<_, _>>()?;
    let envelope = Envelope { payload: envelope.payload, payload_type: envelope.payload_type, signature };
    Ok(Request::Dsse002 { envelope, verifiers })
}

fn proposed(wire: EntryWire) -> Result<Request, RequestError> {
    match (wire.kind.as_str(), wire.api_version.as_str()) {
        ("hashedrekord", "0.0.2") => {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Spec {
                #[serde(rename = "hashedRekordV002")]
                inner: HashedRekord002,
            }
            let Spec { inner: HashedRekord002 { data, signature } } = serde_json::from_value(wire.spec)?;
            let HashOutput { algorithm, digest } = data;
            Ok(Request::HashedRekord002 { digest, signature, algorithm: Some(algorithm) })
        }
        ("dsse", "0.0.1") if wire.spec.get("proposedContent").is_some() => {
            let ProposedWire { proposed_content } = serde_json::from_value(wire.spec)?;
            count(proposed_content.verifiers.len())?;
            let envelope = Envelope::parse(proposed_content.envelope.as_bytes())?;
            let verifiers = proposed_content.verifiers.into_iter().map(|pem| pem.0).collect();
            Ok(Request::Dsse001 { envelope, verifiers })
        }
        (kind, version) => Err(RequestError::Kind { kind: super::clip(kind), version: super::clip(version) }),
    }
}

fn verifier(wire: VerifierWire) -> Result<Verifier, RequestError> {
    let der = |wire: DerWire| filled("rawBytes", wire.raw_bytes).map(|raw_bytes| Der { raw_bytes });
    let public_key = wire.public_key.map(der).transpose()?;
    let x509_certificate = wire.x509_certificate.map(der).transpose()?;
    if public_key.is_some() == x509_certificate.is_some() {
        return Err(RequestError::Missing("publicKey` or `x509Certificate"));
    }
    if wire.key_details.is_empty() {
        return Err(RequestError::Missing("keyDetails"));
    }
    Ok(Verifier { key_details: wire.key_details, public_key, x509_certificate })
}

fn filled(field: &'static str, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
    if bytes.is_empty() { Err(RequestError::Missing(field)) } else { Ok(bytes) }
}

fn count(verifiers: usize) -> Result<(), RequestError> {
    match verifiers {
        0 => Err(RequestError::Missing("verifiers")),
        1..=VERIFIERS_MAX => Ok(()),
        many => Err(RequestError::Verifiers(many)),
    }
}

/// Numbers of `dev.sigstore.common.v1.PublicKeyDetails` that a log may take.
const KEY_DETAILS: [(u64, &str); 8] = [
    (5, "PKIX_ECDSA_P256_SHA_256"),
    (7, "PKIX_ED25519"),
    (8, "PKIX_ED25519_PH"),
    (9, "PKIX_RSA_PKCS1V15_2048_SHA256"),
    (10, "PKIX_RSA_PKCS1V15_3072_SHA256"),
    (11, "PKIX_RSA_PKCS1V15_4096_SHA256"),
    (12, "PKIX_ECDSA_P384_SHA_384"),
    (13, "PKIX_ECDSA_P521_SHA_512"),
];

fn key_details<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Name(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Name(name) => Ok(name),
        Either::Number(number) => {
            let known = KEY_DETAILS.iter().find(|(known, _)| *known == number);
            let known = known.ok_or_else(|| serde::de::Error::custom(format!("unknown `keyDetails` {number}")))?;
            Ok(known.1.to_owned())
        }
    }
}

fn one_signature<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EnvelopeSignatureWire>, D::Error> {
    let mut list = Vec::<EnvelopeSignatureWire>::deserialize(deserializer)?;
    match list.len() {
        0 | 1 => Ok(list.pop()),
        many => Err(serde::de::Error::custom(format!(
            "an envelope with {many} signatures: this log takes one signature each, several signers make several envelopes"
        ))),
    }
}

#[cfg(test)]
mod tests;
