//! Base64 in its one strict form: standard alphabet, padded, no trailing bits.
//!
//! Specification: RFC 4648 section 4 <https://www.rfc-editor.org/rfc/rfc4648#section-4>.
//!
//! ```text
//! MEUCIQ==
//! ```
//!
//! Strict, because log entries, checkpoints and keys must have one spelling. What DSSE and protobuf's JSON allow
//! beyond that is read by the `dsse` module's own adapter.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serializer};

/// The text is not strict base64.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not base64 (standard alphabet, padded)")]
pub struct Base64Error;

/// Returns the base64 of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Appends the base64 of `bytes` to `out`, so that a secret leaves no copy in a string of its own.
pub fn encode_to(bytes: &[u8], out: &mut String) {
    STANDARD.encode_string(bytes, out);
}

/// Returns the bytes that `text` stands for.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    STANDARD.decode(text).map_err(|_| Base64Error)
}

/// Returns the bytes that a text stands for in the form for URLs: `-` and `_`, no padding (RFC 4648 section 5, RFC 7515).
pub fn decode_url(text: &str) -> Result<Vec<u8>, Base64Error> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Base64Error)
}

/// Returns that form.
pub fn encode_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the bytes that `text` stands for to `out`; on an error, perhaps a part of them.
pub fn decode_to(text: &str, out: &mut Vec<u8>) -> Result<(), Base64Error> {
    STANDARD.decode_vec(text, out).map_err(|_| Base64Error)
}

/// Writes a byte field as strict base64, for `#[serde(with = …)]`.
pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

/// Reads a byte field of strict base64, for `#[serde(with = …)]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    decode(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_for_urls_has_one_spelling_too() {
        assert_eq!(encode_url(&[0xfb, 0xff]), "-_8");
        assert_eq!(decode_url("-_8"), Ok(vec![0xfb, 0xff]));
        for text in ["+/8", "-_8=", "-_9", "-_8\n", " -_8", "é"] {
            assert_eq!(decode_url(text), Err(Base64Error), "{text}");
        }
    }

    #[test]
    fn only_one_spelling_is_read() {
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
        assert_eq!(decode("+/8="), Ok(vec![0xfb, 0xff]));
        for text in ["+/8", "-_8=", "+/9=", "+/8=\n", " +/8=", "+/8==", "é"] {
            assert_eq!(decode(text), Err(Base64Error), "{text}");
        }
    }
}
