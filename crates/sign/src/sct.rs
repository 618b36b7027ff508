//! Signed certificate timestamps: promises of certificate transparency logs, inside the certificate.
//!
//! Specification: RFC 6962 §3.2, §3.3 <https://www.rfc-editor.org/rfc/rfc6962>.

use wire::digest::Digest;
use wire::timestamp::Timestamp;

use crate::SigningKey;
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

/// Returns a log's leaf of a precertificate: a MerkleTreeLeaf (RFC 6962 §3.4) without extensions. What a promise signs
/// (§3.2) has the same bytes: version 1 and `certificate_timestamp` are written like version 1 and `timestamped_entry`.
/// `None` for a certificate that is too large.
pub fn entry(issuer: &Digest, tbs: &[u8], at_unix_ms: u64) -> Option<Vec<u8>> {
    let sct = Sct { log: [0; 32], at_unix_ms, extensions: &[], scheme: None, signature: &[] };
    signed(&sct, issuer, tbs)
}

/// Signs the promise to show an entry: a list of one timestamp, as a certificate embeds it.
pub(crate) fn promise(entry: &[u8], at_unix_ms: u64, log: &SigningKey) -> Vec<u8> {
    let mut sct = vec![0]; // version 1
    sct.extend(log.public().id().bytes());
    sct.extend(at_unix_ms.to_be_bytes());
    sct.extend([0, 0]); // no extensions
    sct.extend(signature(entry, log));
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("a timestamp has some 120 bytes").to_be_bytes();
    let one = [&length(&sct)[..], &sct].concat();
    [&length(&one)[..], &one].concat()
}

/// Signs a log's head (RFC 6962 §3.5); returns a DigitallySigned.
pub fn sign_head(size: u64, root: &[u8; 32], at_unix_ms: u64, log: &SigningKey) -> Vec<u8> {
    let mut message = vec![0, 1]; // version 1, tree_hash
    message.extend(at_unix_ms.to_be_bytes());
    message.extend(size.to_be_bytes());
    message.extend(root);
    signature(&message, log)
}

/// A DigitallySigned (RFC 5246 §4.7) of ECDSA with SHA-256.
fn signature(message: &[u8], log: &SigningKey) -> Vec<u8> {
    let signature = log.sign(message);
    let length = u16::try_from(signature.len()).expect("an ECDSA signature is short");
    [&[4, 3][..], &length.to_be_bytes(), &signature].concat()
}

/// Returns the TBSCertificate of a precertificate's leaf, and the time in it; `None` for other bytes.
pub fn read_entry(entry: &[u8]) -> Option<(&[u8], u64)> {
    let rest = entry.strip_prefix(&[0, 0])?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let rest = rest.strip_prefix(&[0, 1])?.get(32..)?;
    let (length, rest) = rest.split_first_chunk::<3>()?;
    let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
    let (tbs, extensions) = rest.split_at_checked(length)?;
    (extensions == [0, 0]).then_some((tbs, u64::from_be_bytes(*time)))
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
