//! The authorities in `trust.json`, version 2: certificates in DER, base64, issuer first and anchor last.
//!
//! ```json
//! {"certificateAuthorities":[{"uri":"https://fulcio.example.org","certificates":["MIIB…"],"validFrom":"2026-11-22T19:41:00Z"}],
//!  "timestampAuthorities":[{"uri":"https://tsa.example.org","certificates":["MIIB…","MIIB…"],"validFrom":"2026-11-22T19:41:00Z"}],
//!  "certificateLogs":[{"url":"https://ct.example.org","key":"MFkw…","validFrom":"2026-11-22T19:41:00Z"}]}
//! ```

use serde::{Deserialize, Serialize};
use wire::base64;
use wire::timestamp::Timestamp;

use super::{TrustFileError, Wire, clip};
use crate::authority::{Authorities, Authority, AuthorityError, COUNT_MAX, CertificateLog, Window};
use crate::certificate::SubjectKey;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AuthorityWire {
    uri: String,
    certificates: Vec<String>,
    valid_from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CertificateLogWire {
    url: String,
    key: String,
    valid_from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
}

impl Wire {
    pub(super) fn authorities(&self) -> Result<Authorities, TrustFileError> {
        let counts = [
            ("certificate authorities", self.certificate_authorities.len()),
            ("time-stamp authorities", self.timestamp_authorities.len()),
            ("certificate transparency logs", self.certificate_logs.len()),
        ];
        if let Some((what, count)) = counts.into_iter().find(|(_, count)| *count > COUNT_MAX) {
            return Err(AuthorityError::Count { what, count }.into());
        }
        Ok(Authorities {
            certificates: self.certificate_authorities.iter().map(AuthorityWire::read).collect::<Result<_, _>>()?,
            times: self.timestamp_authorities.iter().map(AuthorityWire::read).collect::<Result<_, _>>()?,
            certificate_logs: self.certificate_logs.iter().map(CertificateLogWire::read).collect::<Result<_, _>>()?,
            logs: Vec::new(),
        })
    }
}

impl AuthorityWire {
    fn read(&self) -> Result<Authority, TrustFileError> {
        let decode = |text: &String| decode(&self.uri, text);
        let chain = self.certificates.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        let window = Window { start: self.valid_from, end: self.valid_until };
        Ok(Authority::new(&self.uri, &chain, window)?)
    }
}

impl CertificateLogWire {
    fn read(&self) -> Result<CertificateLog, TrustFileError> {
        let key = SubjectKey::from_spki_der(&decode(&self.url, &self.key)?)
            .map_err(|source| AuthorityError::Key { log: clip(&self.url), source })?;
        Ok(CertificateLog::new(&self.url, key, Window { start: self.valid_from, end: self.valid_until }))
    }
}

pub(super) fn to_wire(authorities: &[Authority]) -> Vec<AuthorityWire> {
    let one = |authority: &Authority| AuthorityWire {
        uri: authority.uri().to_owned(),
        certificates: authority.chain().iter().map(|certificate| base64::encode(certificate.der())).collect(),
        valid_from: authority.window().start,
        valid_until: authority.window().end,
    };
    authorities.iter().map(one).collect()
}

pub(super) fn logs_to_wire(logs: &[CertificateLog]) -> Vec<CertificateLogWire> {
    let one = |log: &CertificateLog| CertificateLogWire {
        url: log.base_url().to_owned(),
        key: base64::encode(log.key().spki_der()),
        valid_from: log.window().start,
        valid_until: log.window().end,
    };
    logs.iter().map(one).collect()
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>, TrustFileError> {
    base64::decode(text).map_err(|source| TrustFileError::Base64 { name: clip(name), source })
}
