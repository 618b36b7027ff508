//! Canonical JSON: one byte sequence for one value.
//!
//! Specification: RFC 8785, JSON Canonicalization Scheme <https://www.rfc-editor.org/rfc/rfc8785>.

use serde::Serialize;

/// Returns the RFC 8785 bytes of `value`.
///
/// # Panics
/// If `value` cannot be represented in JSON (a map with keys that are no strings, a NaN): our types can.
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("our documents are representable in JSON")
}

/// Parses one JSON array; `None` if the text is anything else.
pub fn parse_array(text: &str) -> Option<Vec<serde_json::Value>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests;
