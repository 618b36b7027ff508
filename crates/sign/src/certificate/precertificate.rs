//! What a certificate transparency log signed: the certificate without the list of its timestamps.
//!
//! Specification: RFC 6962 §3.2. The extension is taken out and the rest written again; [`super`] took only DER, so that
//! nothing else changes.

use der::Encode as _;

use super::{Certificate, POISON, SCT_LIST};

impl Certificate {
    /// Returns the TBSCertificate that a log was shown; `None` if it cannot be written.
    pub(crate) fn precertificate_tbs(&self) -> Option<Vec<u8>> {
        let mut part = self.x509.tbs_certificate.clone();
        if let Some(extensions) = &mut part.extensions {
            extensions.retain(|extension| extension.extn_id != SCT_LIST);
        }
        if part.extensions.as_ref().is_some_and(Vec::is_empty) {
            part.extensions = None;
        }
        part.to_der().ok()
    }
}

/// Returns the TBSCertificate that a log was shown with a precertificate: without the poison extension; `None` for bytes
/// that are no precertificate.
pub fn precertified(der: &[u8]) -> Option<Vec<u8>> {
    let mut part = Certificate::from_der(der).ok()?.x509.tbs_certificate;
    let extensions = part.extensions.as_mut()?;
    let before = extensions.len();
    extensions.retain(|extension| extension.extn_id != POISON);
    if extensions.len() == before {
        return None;
    }
    part.to_der().ok()
}
