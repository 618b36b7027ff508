//! Signed envelopes.
//!
//! Specification: DSSE 1.0.2 <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md>.
//! A Sigstore bundle allows exactly one signature per envelope; so do we, and several signers make several envelopes.
//!
//! ```json
//! {"payload":"eyJfdHlwZSI6…","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"sha256:…","sig":"MEUCIQ…"}]}
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The payload type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The largest envelope that is read: 16 MiB of JSON. Larger documents are stored as blobs and named by digest.
pub const SIZE_MAX: usize = 16 << 20;

/// A payload and the one signature over it. Nothing about it has been checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The exact bytes that were signed, base64 on the wire.
    #[serde(with = "bytes")]
    pub payload: Vec<u8>,
    /// Says what the payload is; part of what is signed.
    pub payload_type: String,
    /// One signature; the wire form is a list of exactly one.
    #[serde(rename = "signatures", with = "one")]
    pub signature: Signature,
}

/// A signature over [`pae`] of an envelope's type and payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// An unauthenticated hint at the key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyid: String,
    /// The raw signature (for ECDSA: ASN.1 DER), base64 on the wire.
    #[serde(with = "bytes")]
    pub sig: Vec<u8>,
}

/// Why a text is no envelope.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("envelope of {size} bytes is larger than the limit of {SIZE_MAX}")]
    Size {
        /// What was given.
        size: usize,
    },
    /// Not JSON, a field missing, not base64, or not exactly one signature.
    #[error("not a DSSE envelope")]
    Form(#[from] serde_json::Error),
}

impl Envelope {
    /// Parses an envelope's JSON.
    pub fn parse(json: &[u8]) -> Result<Envelope, EnvelopeError> {
        if json.len() > SIZE_MAX {
            return Err(EnvelopeError::Size { size: json.len() });
        }
        Ok(serde_json::from_slice(json)?)
    }

    /// Returns the canonical JSON of the envelope: the bytes that are stored under their digest, and whose
    /// digest the log's `dsse` entry names.
    pub fn to_json(&self) -> Vec<u8> {
        crate::jcs::to_vec(self)
    }
}

/// Returns the pre-authentication encoding: the bytes that a DSSE signature covers (DSSE protocol, "PAE").
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {} {} ", payload_type.len(), payload_type, payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// Base64 fields: standard alphabet with padding when written; either alphabet, padded or not, when read, as DSSE demands.
pub(crate) mod bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode(&text).map_err(serde::de::Error::custom)
    }

    pub(super) fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
        let url_safe = text.contains(['-', '_']);
        match (url_safe, text.ends_with('=') || text.len().is_multiple_of(4)) {
            (false, true) => STANDARD.decode(text),
            (false, false) => STANDARD_NO_PAD.decode(text),
            (true, true) => URL_SAFE.decode(text),
            (true, false) => URL_SAFE_NO_PAD.decode(text),
        }
    }
}

mod one {
    use super::*;

    pub(super) fn serialize<S: Serializer>(signature: &Signature, serializer: S) -> Result<S::Ok, S::Error> {
        [signature].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signature, D::Error> {
        let list = Vec::<Signature>::deserialize(deserializer)?;
        let count = list.len();
        let [signature] = <[Signature; 1]>::try_from(list)
            .map_err(|_| serde::de::Error::custom(format!("expected exactly one signature, found {count}")))?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests;
