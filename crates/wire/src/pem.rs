//! Textual encoding of keys and certificates.
//!
//! Specification: RFC 7468 <https://www.rfc-editor.org/rfc/rfc7468>, the strict form (section 3, `stricttextualmsg`):
//! lines of 64 characters, nothing before, between or after.
//!
//! ```text
//! -----BEGIN PUBLIC KEY-----
//! MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDLUVxUY1JgVYsRXNYDxDd5TULq/7
//! 3Yv7b9oPAg9OyOR83NUo7ZUkMF4XXnWPGFSjOD9FnDYeYnmTnFXlGXtVVw==
//! -----END PUBLIC KEY-----
//! ```

use crate::base64;

/// Label of an X.509 SubjectPublicKeyInfo.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";
/// Label of an X.509 certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// Label of a PKCS #10 request for a certificate.
pub const CERTIFICATE_REQUEST: &str = "CERTIFICATE REQUEST";
/// Label of a PKCS #8 private key.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Label of a PKCS #8 private key that is encrypted.
pub const ENCRYPTED_PRIVATE_KEY: &str = "ENCRYPTED PRIVATE KEY";

/// The largest text that is read: keys and certificates are a few KiB.
pub const SIZE_MAX: usize = 64 << 10;

const LINE: usize = 64;

/// Why a text is no PEM of the expected label.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PemError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("PEM of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// Another label, no label, or text around it.
    #[error("expected `-----BEGIN {0}-----`, base64 lines and `-----END {0}-----`")]
    Form(&'static str),
}

/// Returns the PEM text of `der`. It is written once, in place: no copy of a secret stays behind in freed memory.
pub fn encode(label: &str, der: &[u8]) -> String {
    let lines = der.len().div_ceil(48);
    let mut out = String::with_capacity(lines * (LINE + 1) + 2 * label.len() + 40);
    out.extend(["-----BEGIN ", label, "-----\n"]);
    for chunk in der.chunks(48) {
        base64::encode_to(chunk, &mut out);
        out.push('\n');
    }
    out.extend(["-----END ", label, "-----\n"]);
    out
}

/// Returns the DER that stands in `text` under `label`. White space at the end of lines and after the last is passed over.
pub fn decode(label: &'static str, text: &str) -> Result<Vec<u8>, PemError> {
    if text.len() > SIZE_MAX {
        return Err(PemError::Size(text.len()));
    }
    parse(label, text).ok_or(PemError::Form(label))
}

fn parse(label: &str, text: &str) -> Option<Vec<u8>> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let mut lines = text.trim_end().lines().map(str::trim_end);
    if lines.next()? != begin {
        return None;
    }
    // More than enough, so that it never moves: no copy of a secret stays behind.
    let mut der = Vec::with_capacity(text.len());
    let mut last = false;
    for line in lines.by_ref() {
        if line == end {
            return (lines.next().is_none() && !der.is_empty()).then_some(der);
        }
        if last || line.is_empty() || line.len() > LINE {
            return None;
        }
        last = line.len() < LINE;
        base64::decode_to(line, &mut der).ok()?;
    }
    None
}

#[cfg(test)]
mod tests;
