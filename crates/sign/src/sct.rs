//! Signed certificate timestamps: promises of certificate transparency logs, inside the certificate.
//!
//! Specification: RFC 6962 §3.2, §3.3 <https://www.rfc-editor.org/rfc/rfc6962>.

use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::authority::CertificateLog;
use crate::certificate::{Certificate, Hash, Scheme};

/// How many timestamps a certificate may have; Fulcio embeds one.
const COUNT_MAX: usize = 16;

/// A promise of a trusted log to show the certificate. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    log: Digest,
    at: Timestamp,
}

/// Why a certificate is not promised to be public.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SctError {
    /// There is no list.
    #[error("the certificate has no signed certificate timestamp")]
    Absent,
    /// The list is malformed.
    #[error("the certificate's list of signed certificate timestamps is malformed")]
    Form,
    /// None is of a trusted log.
    #[error("none of the certificate's {0} signed certificate timestamps is of a trusted log")]
    UnknownLog(usize),
    /// A trusted log's signature is wrong.
    #[error("the signed certificate timestamp of log {0} does not match the certificate")]
    Signature(Digest),
    /// Made when the log's key did not count.
    #[error("the signed certificate timestamp of log {log} is of {at}, when the log was not trusted")]
    NotValid {
        /// Which log.
        log: Digest,
        /// When it says it was made.
        at: Timestamp,
    },
}

impl Promised {
    /// Returns the log's id: the SHA-256 of its key.
    pub fn log(&self) -> &Digest {
        &self.log
    }

    /// Returns when the log promised.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// One timestamp of the list, nothing checked but its form.
struct Sct<'a> {
    log: [u8; 32],
    at_unix_ms: u64,
    extensions: &'a [u8],
    scheme: Option<Scheme>,
    signature: &'a [u8],
}

/// Checks that a trusted log promised to show the certificate: at least one has, and no trusted one's is wrong.
pub fn verify(certificate: &Certificate, issuer: &Certificate, logs: &[CertificateLog]) -> Result<Promised, SctError> {
    let scts = parse(certificate.scts().ok_or(SctError::Absent)?).ok_or(SctError::Form)?;
    let tbs = certificate.precertificate_tbs().ok_or(SctError::Form)?;
    let mut promised = None;
    for sct in &scts {
        let Some(log) = logs.iter().find(|log| log.id().bytes() == sct.log) else { continue };
        let message = signed(sct, &issuer.key().id(), &tbs).ok_or(SctError::Form)?;
        let scheme = sct.scheme.ok_or(SctError::Signature(*log.id()))?;
        let good = log.key().verify_as(scheme, &message, sct.signature);
        good.map_err(|_| SctError::Signature(*log.id()))?;
        let at = i64::try_from(sct.at_unix_ms / 1000).ok().and_then(Timestamp::from_unix_s).ok_or(SctError::Form)?;
        if !log.window().contains(at) {
            return Err(SctError::NotValid { log: *log.id(), at });
        }
        promised.get_or_insert(Promised { log: *log.id(), at });
    }
    promised.ok_or(SctError::UnknownLog(scts.len()))
}

fn signed(sct: &Sct<'_>, issuer: &Digest, tbs: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(tbs.len()).ok().filter(|length| *length < 1 << 24)?;
    let mut out = vec![0, 0]; // version 1, certificate_timestamp
    out.extend(sct.at_unix_ms.to_be_bytes());
    out.extend([0, 1]); // precert_entry
    out.extend(issuer.bytes());
    out.extend(&length.to_be_bytes()[1..]);
    out.extend(tbs);
    out.extend(u16::try_from(sct.extensions.len()).ok()?.to_be_bytes());
    out.extend(sct.extensions);
    Some(out)
}

fn parse(list: &[u8]) -> Option<Vec<Sct<'_>>> {
    let (mut rest, after) = vector(list)?;
    let mut scts = Vec::new();
    while !rest.is_empty() {
        let (sct, next) = vector(rest)?;
        scts.push(parse_one(sct)?);
        rest = next;
    }
    (after.is_empty() && (1..=COUNT_MAX).contains(&scts.len())).then_some(scts)
}

fn parse_one(bytes: &[u8]) -> Option<Sct<'_>> {
    let (version, rest) = bytes.split_first()?;
    let (log, rest) = rest.split_first_chunk::<32>()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (extensions, rest) = vector(rest)?;
    let (algorithm, rest) = rest.split_first_chunk::<2>()?;
    let (signature, rest) = vector(rest)?;
    let scheme = match algorithm {
        [4, 3] => Some(Scheme::Ecdsa(Hash::Sha256)),
        [4, 1] => Some(Scheme::Rsa(Hash::Sha256)),
        _ => None,
    };
    let at_unix_ms = u64::from_be_bytes(*time);
    (*version == 0 && rest.is_empty()).then_some(Sct { log: *log, at_unix_ms, extensions, scheme, signature })
}

/// Splits off bytes with a length of 16 bits before them.
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
