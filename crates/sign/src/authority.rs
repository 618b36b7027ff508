//! Authorities: who may issue certificates and times, and which logs must know of certificates.
//!
//! Specification: Sigstore's trusted root
//! <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_trustroot.proto>. Each authority counts within
//! a window of time; an empty list trusts nobody.

use std::fmt;

use wire::digest::Digest;
use wire::timestamp::Timestamp;
use wire::trusted_root::{self, TrustedRoot};

use crate::certificate::{Certificate, CertificateError, PathError, Purpose, SubjectKey, issuer_of};
use crate::key::KeyError;
use crate::sct::{self, Promised, SctError};

/// How many authorities or logs of one kind there may be, and how many certificates a chain may have.
pub const COUNT_MAX: usize = 64;

/// A span of time, both ends within it; without an end it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First second.
    pub start: Timestamp,
    /// Last second.
    pub end: Option<Timestamp>,
}

/// An authority: certificates from the one that issues to the anchor, and when they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    uri: String,
    chain: Vec<Certificate>,
    window: Window,
}

/// A certificate transparency log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateLog {
    base_url: String,
    key: SubjectKey,
    id: Digest,
    window: Window,
}

/// A transparency log of signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLog {
    /// Its address or origin.
    pub base_url: String,
    /// Its key.
    pub key: SubjectKey,
    /// What entries name it by.
    pub id: Vec<u8>,
    /// When it counts.
    pub window: Window,
}

/// Everybody whom a verifier of keyless signatures believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorities {
    /// Who may issue certificates.
    pub certificates: Vec<Authority>,
    /// Who may issue times.
    pub times: Vec<Authority>,
    /// Who must have promised to show a certificate.
    pub certificate_logs: Vec<CertificateLog>,
    /// Where signatures are logged.
    pub logs: Vec<SignatureLog>,
}

/// Why a trusted root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A certificate of an authority.
    #[error("reading certificate {index} of `{uri}`")]
    Certificate {
        /// Whose it is.
        uri: String,
        /// Its position in the chain.
        index: usize,
        /// What is wrong.
        #[source]
        source: CertificateError,
    },
    /// An authority without a certificate, or with too many.
    #[error("authority `{uri}` has {count} certificates: expected 1 to {COUNT_MAX}")]
    Chain {
        /// Whose they are.
        uri: String,
        /// How many there are.
        count: usize,
    },
    /// A log's key.
    #[error("reading the key of log `{log}`")]
    Key {
        /// Which log.
        log: String,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// A log whose id is not its key's.
    #[error("log `{0}` has another id than its key's SHA-256")]
    LogId(String),
    /// Too many.
    #[error("the trusted root has {count} {what}, more than the limit of {COUNT_MAX}")]
    Count {
        /// Which list.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
}

/// A certificate that a trusted authority issued for signing code, valid at a time. Only [`Authorities::certify`]
/// makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    certificate: Certificate,
    authority: String,
    promised: Promised,
    at: Timestamp,
}

/// Why a certificate does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertifyError {
    /// No authority counted at that time.
    #[error("no certificate authority is trusted at {0}")]
    NoAuthority(Timestamp),
    /// No path.
    #[error("checking the path of the certificate at {at}")]
    Path {
        /// When it was used.
        at: Timestamp,
        /// What is wrong.
        #[source]
        source: PathError,
    },
    /// No promise to show it.
    #[error("checking the certificate's transparency")]
    Sct(#[from] SctError),
}

impl Window {
    /// Whether a time lies within.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && self.end.is_none_or(|end| at <= end)
    }

    fn of(range: &trusted_root::TimeRange) -> Window {
        Window { start: range.start, end: range.end }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            Some(end) => write!(f, "{} to {end}", self.start),
            None => write!(f, "{} on", self.start),
        }
    }
}

impl Authority {
    /// Makes an authority of its chain's DER, issuer first, anchor last.
    pub fn new(uri: &str, chain: &[Vec<u8>], window: Window) -> Result<Authority, AuthorityError> {
        if !(1..=COUNT_MAX).contains(&chain.len()) {
            return Err(AuthorityError::Chain { uri: uri.to_owned(), count: chain.len() });
        }
        let certificate = |(index, der): (usize, &Vec<u8>)| {
            let read = Certificate::from_der(der);
            read.map_err(|source| AuthorityError::Certificate { uri: uri.to_owned(), index, source })
        };
        let chain = chain.iter().enumerate().map(certificate).collect::<Result<_, _>>()?;
        Ok(Authority { uri: uri.to_owned(), chain, window })
    }

    /// Returns its address, as the trusted root has it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Returns its certificates, issuer first, anchor last.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Returns when it counts.
    pub fn window(&self) -> Window {
        self.window
    }

    fn to_wire(&self) -> trusted_root::CertificateAuthority {
        let name = |certificate: &Certificate| certificate.x509().tbs_certificate.subject.clone();
        let subject = self.chain.last().map(name);
        trusted_root::CertificateAuthority {
            subject: subject.map(|name| trusted_root::DistinguishedName::of_rfc4514(&name.to_string())),
            uri: self.uri.clone(),
            cert_chain: trusted_root::CertificateChain {
                certificates: self
                    .chain
                    .iter()
                    .map(|one| trusted_root::RawBytes { raw_bytes: one.der().to_vec() })
                    .collect(),
            },
            valid_for: trusted_root::TimeRange { start: self.window.start, end: self.window.end },
        }
    }
}

impl CertificateLog {
    /// Makes a log of its key.
    pub fn new(base_url: &str, key: SubjectKey, window: Window) -> CertificateLog {
        let id = key.id();
        CertificateLog { base_url: base_url.to_owned(), key, id, window }
    }

    /// Returns its address.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns its key.
    pub fn key(&self) -> &SubjectKey {
        &self.key
    }

    /// Returns its id: the SHA-256 of its key (RFC 6962 §3.2).
    pub fn id(&self) -> &Digest {
        &self.id
    }

    /// Returns when it counts.
    pub fn window(&self) -> Window {
        self.window
    }
}

impl Certified {
    /// Returns the certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Returns the authority's address.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the log's promise to show it.
    pub fn promised(&self) -> &Promised {
        &self.promised
    }

    /// Returns the time at which it was found valid.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl Authorities {
    /// Reads the authorities of a trusted root.
    pub fn of(root: &TrustedRoot) -> Result<Authorities, AuthorityError> {
        let lists = [
            ("certificate authorities", root.certificate_authorities.len()),
            ("time-stamp authorities", root.timestamp_authorities.len()),
            ("certificate transparency logs", root.ctlogs.len()),
            ("transparency logs", root.tlogs.len()),
        ];
        if let Some((what, count)) = lists.into_iter().find(|(_, count)| *count > COUNT_MAX) {
            return Err(AuthorityError::Count { what, count });
        }
        let authority = |wire: &trusted_root::CertificateAuthority| {
            let chain: Vec<Vec<u8>> = wire.cert_chain.certificates.iter().map(|one| one.raw_bytes.clone()).collect();
            Authority::new(&wire.uri, &chain, Window::of(&wire.valid_for))
        };
        Ok(Authorities {
            certificates: root.certificate_authorities.iter().map(authority).collect::<Result<_, _>>()?,
            times: root.timestamp_authorities.iter().map(authority).collect::<Result<_, _>>()?,
            certificate_logs: root.ctlogs.iter().map(certificate_log).collect::<Result<_, _>>()?,
            logs: root.tlogs.iter().map(signature_log).collect::<Result<_, _>>()?,
        })
    }

    /// Adds the authorities to a trusted root that is written.
    pub fn add_to(&self, root: &mut TrustedRoot) {
        root.certificate_authorities.extend(self.certificates.iter().map(Authority::to_wire));
        root.timestamp_authorities.extend(self.times.iter().map(Authority::to_wire));
        root.ctlogs.extend(
            self.certificate_logs.iter().map(|log| log_to_wire(&log.base_url, &log.key, log.window, log.id.bytes())),
        );
        root.tlogs.extend(self.logs.iter().map(|log| log_to_wire(&log.base_url, &log.key, log.window, &log.id)));
    }

    /// Checks that a trusted authority issued this certificate for signing code, that it was valid at that time, and
    /// that a trusted log promised to show it.
    pub fn certify(&self, certificate: Certificate, at: Timestamp) -> Result<Certified, CertifyError> {
        let mut failed = CertifyError::NoAuthority(at);
        for authority in self.certificates.iter().filter(|authority| authority.window.contains(at)) {
            match issuer_of(&certificate, &authority.chain, Purpose::CodeSigning, at) {
                Ok(issuer) => {
                    let promised = sct::verify(&certificate, issuer, &self.certificate_logs)?;
                    return Ok(Certified { certificate, authority: authority.uri.clone(), promised, at });
                }
                // What another authority finds wrong says more than that one did not issue it.
                Err(PathError::Issuer) if matches!(failed, CertifyError::Path { .. }) => {}
                Err(source) => failed = CertifyError::Path { at, source },
            }
        }
        Err(failed)
    }

    /// Returns the log whose id that is.
    pub fn log(&self, id: &[u8]) -> Option<&SignatureLog> {
        self.logs.iter().find(|log| log.id == id)
    }
}

fn log_key(log: &trusted_root::TransparencyLog) -> Result<SubjectKey, AuthorityError> {
    let bytes = &log.public_key.raw_bytes;
    let key = match log.public_key.key_details.as_str() {
        "PKCS1_RSA_PKCS1V5" => SubjectKey::from_pkcs1_der(bytes).or_else(|_| SubjectKey::from_spki_der(bytes)),
        _ => SubjectKey::from_spki_der(bytes),
    };
    key.map_err(|source| AuthorityError::Key { log: log.base_url.clone(), source })
}

fn certificate_log(log: &trusted_root::TransparencyLog) -> Result<CertificateLog, AuthorityError> {
    let made = CertificateLog::new(&log.base_url, log_key(log)?, Window::of(&log.public_key.valid_for));
    let id = made.id.bytes();
    // A key in PKCS #1 has a log id over those bytes in one released root, and over its SubjectPublicKeyInfo by RFC 6962.
    let stated = &log.log_id.key_id;
    if stated.as_slice() == id || stated.as_slice() == Digest::of(&log.public_key.raw_bytes).bytes() {
        Ok(made)
    } else {
        Err(AuthorityError::LogId(log.base_url.clone()))
    }
}

fn signature_log(log: &trusted_root::TransparencyLog) -> Result<SignatureLog, AuthorityError> {
    Ok(SignatureLog {
        base_url: log.base_url.clone(),
        key: log_key(log)?,
        id: log.log_id.key_id.clone(),
        window: Window::of(&log.public_key.valid_for),
    })
}

fn log_to_wire(base_url: &str, key: &SubjectKey, window: Window, id: &[u8]) -> trusted_root::TransparencyLog {
    trusted_root::TransparencyLog {
        base_url: base_url.to_owned(),
        hash_algorithm: "SHA2_256".to_owned(),
        public_key: trusted_root::PublicKey {
            raw_bytes: key.spki_der().to_vec(),
            key_details: key.key_details().to_owned(),
            valid_for: trusted_root::TimeRange { start: window.start, end: window.end },
        },
        log_id: wire::sigstore_bundle::LogId { key_id: id.to_vec() },
    }
}
