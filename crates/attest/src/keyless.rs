//! Keyless signatures: a bundle whose signer is known by a certificate, or by a key that the caller brings.
//!
//! Specification: Sigstore's client, "Verification"
//! <https://github.com/sigstore/architecture-docs/blob/main/client-spec.md>. The steps are its, in this order: times,
//! certificate at each of them, log entries, signature, and the subject of a statement. Who signed is returned, and
//! left to the caller to judge.
//!
//! Stricter than the specification asks: one wrong time-stamp, promise or entry refuses the bundle, even beside a good
//! one; what an entry states and nobody signs is refused. Not asked for: the digest of the envelope in a `dsse` 0.0.1 or
//! `intoto` 0.0.2 entry of a foreign log, which is of bytes that a bundle does not carry. Absent: bundles v0.1 and v0.2.

use sign::authority::{Authorities, Certified, CertifyError};
use sign::certificate::{Certificate, CertificateError, Subject, SubjectKey};
use sign::promise::PromiseError;
use sign::stamp::{self, StampError};
use tlog::Logged;
use tlog::keyless::{self as log_entry, EntryError, Verifier};
use wire::digest::Digest;
use wire::dsse::{self, IN_TOTO};
use wire::in_toto::{Statement, StatementError};
use wire::sigstore_bundle::{Bundle, Content, Signer};
use wire::timestamp::Timestamp;

/// How far a signed time may lie ahead of our clock: two machines' clocks differ.
pub const SKEW_MAX_S: i64 = 300;

/// What a bundle is said to be about.
#[derive(Clone, Debug)]
pub enum Artifact<'a> {
    /// The bytes themselves.
    Bytes(&'a [u8]),
    /// Only their SHA-256.
    Sha256(Digest),
}

/// Where a time comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A time-stamp authority.
    Stamp,
    /// A log's promise.
    Log,
}

/// A time at which the signature existed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTime {
    /// The time.
    pub at: Timestamp,
    /// Where it comes from.
    pub source: Source,
    /// The authority's or log's address.
    pub by: String,
}

/// A bundle whose signature, certificate, times and log entries were found good. Only [`verify`] and
/// [`verify_with_key`] make one.
#[derive(Clone, Debug)]
pub struct Keyless {
    signer: Option<(Subject, Certified)>,
    key: Digest,
    times: Vec<SignedTime>,
    logged: Vec<Logged>,
}

/// Why a bundle proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum KeylessError {
    /// A key where a certificate is needed.
    #[error("the bundle has no certificate: whose key signed it must be said")]
    NoCertificate,
    /// A certificate where a key is needed.
    #[error("the bundle is signed by a certificate, not by the given key")]
    NotKey,
    /// The certificate's form.
    #[error("reading the bundle's certificate")]
    Certificate(#[from] CertificateError),
    /// A time-stamp.
    #[error("checking time-stamp {index} of the bundle")]
    Stamp {
        /// Its position.
        index: usize,
        /// What is wrong.
        #[source]
        source: StampError,
    },
    /// The same time-stamp twice.
    #[error("time-stamp {0} stands twice in the bundle")]
    StampTwice(usize),
    /// A promise.
    #[error("checking the signed entry timestamp of log entry {index}")]
    Promise {
        /// Position of the entry in the bundle.
        index: usize,
        /// What is wrong.
        #[source]
        source: PromiseError,
    },
    /// No time at all.
    #[error("the bundle has no signed time: neither a time-stamp nor a log's signed entry timestamp")]
    NoTime,
    /// A time that is not yet.
    #[error("the bundle was signed at {at}, and it is {now}")]
    Future {
        /// The signed time.
        at: Timestamp,
        /// The clock.
        now: Timestamp,
    },
    /// The certificate's authority.
    #[error("checking the bundle's certificate")]
    Certify(#[from] CertifyError),
    /// No log entry.
    #[error("the bundle is not logged")]
    NotLogged,
    /// A log entry.
    #[error("checking log entry {index} of the bundle")]
    Entry {
        /// Its position.
        index: usize,
        /// What is wrong.
        #[source]
        source: Box<EntryError>,
    },
    /// The signature.
    #[error("the signature was not made by the signer's key over this content")]
    Signature,
    /// The hint at the blob's digest is wrong.
    #[error("the bundle is about another file: its digest is {stated}")]
    Digest {
        /// What the bundle says.
        stated: String,
    },
    /// Another payload.
    #[error("the bundle's payload type is `{0}`: expected `{IN_TOTO}`")]
    PayloadType(String),
    /// No statement.
    #[error("reading the statement in the bundle")]
    Statement(#[from] StatementError),
    /// A statement about something else.
    #[error("no subject of the statement has the artifact's digest {0}")]
    Subject(Digest),
}

impl Artifact<'_> {
    fn sha256(&self) -> Digest {
        match self {
            Artifact::Bytes(bytes) => Digest::of(bytes),
            Artifact::Sha256(digest) => *digest,
        }
    }
}

impl Keyless {
    /// Returns who signed, by the certificate; `None` for a bundle with a key.
    pub fn subject(&self) -> Option<&Subject> {
        self.signer.as_ref().map(|(subject, _)| subject)
    }

    /// Returns the certificate at the first of its times.
    pub fn certified(&self) -> Option<&Certified> {
        self.signer.as_ref().map(|(_, certified)| certified)
    }

    /// Returns the SHA-256 of the key that signed.
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// Returns the times at which the signature existed; at least one for a bundle with a certificate.
    pub fn times(&self) -> &[SignedTime] {
        &self.times
    }

    /// Returns where it is logged; at least one place.
    pub fn logged(&self) -> &[Logged] {
        &self.logged
    }
}

/// Checks a bundle whose signer has a certificate, and that it is about `artifact`.
pub fn verify(
    bundle: &Bundle,
    artifact: &Artifact<'_>,
    authorities: &Authorities,
    now: Timestamp,
) -> Result<Keyless, KeylessError> {
    let signed = verify_signer(bundle, Some(artifact), authorities, now)?;
    check_artifact(&bundle.content, artifact)?;
    Ok(signed)
}

/// Checks all but what a statement is about; that is for who reads it.
pub(crate) fn verify_signer(
    bundle: &Bundle,
    artifact: Option<&Artifact<'_>>,
    authorities: &Authorities,
    now: Timestamp,
) -> Result<Keyless, KeylessError> {
    let Signer::Certificate(der) = &bundle.verification_material.signer else {
        return Err(KeylessError::NoCertificate);
    };
    let certificate = Certificate::from_der(der)?;
    let subject = certificate.subject()?;
    let times = times(bundle, authorities, now)?;
    let mut signer = None;
    for time in &times {
        let certified = authorities.certify(certificate.clone(), time.at)?;
        signer.get_or_insert((subject.clone(), certified));
    }
    let signer = signer.ok_or(KeylessError::NoTime)?;
    let logged = logged(bundle, artifact, &Verifier::Certificate(&certificate), authorities, times[0].at)?;
    check_signature(bundle, artifact, certificate.key())?;
    Ok(Keyless { signer: Some(signer), key: certificate.key().id(), times, logged })
}

/// Checks a bundle that names no certificate against the key that its signer is known by.
pub fn verify_with_key(
    bundle: &Bundle,
    artifact: &Artifact<'_>,
    key: &SubjectKey,
    authorities: &Authorities,
    now: Timestamp,
) -> Result<Keyless, KeylessError> {
    let Signer::PublicKey { .. } = &bundle.verification_material.signer else { return Err(KeylessError::NotKey) };
    let times = times(bundle, authorities, now)?;
    let at = times.first().map_or(now, |time| time.at);
    let logged = logged(bundle, Some(artifact), &Verifier::Key(key), authorities, at)?;
    check_signature(bundle, Some(artifact), key)?;
    check_artifact(&bundle.content, artifact)?;
    Ok(Keyless { signer: None, key: key.id(), times, logged })
}

/// Returns every signed time of the bundle; one that is wrong refuses it.
fn times(bundle: &Bundle, authorities: &Authorities, now: Timestamp) -> Result<Vec<SignedTime>, KeylessError> {
    let material = &bundle.verification_material;
    let signature = match &bundle.content {
        Content::Envelope(envelope) => &envelope.signature.sig,
        Content::Message(message) => &message.signature,
    };
    let mut times = Vec::new();
    for (index, response) in material.timestamps.iter().enumerate() {
        if material.timestamps[..index].contains(response) {
            return Err(KeylessError::StampTwice(index));
        }
        let stamp = stamp::verify(&response.signed_timestamp, signature, &authorities.times)
            .map_err(|source| KeylessError::Stamp { index, source })?;
        times.push(SignedTime { at: stamp.at(), source: Source::Stamp, by: stamp.authority().to_owned() });
    }
    for (index, entry) in material.tlog_entries.iter().enumerate() {
        let unknown = || KeylessError::Entry { index, source: Box::new(EntryError::UnknownLog) };
        let log = authorities.log(&entry.log_id.key_id).ok_or_else(unknown)?;
        match sign::promise::verify(entry, log) {
            Ok(promise) => {
                times.push(SignedTime { at: promise.at(), source: Source::Log, by: promise.log().to_owned() });
            }
            Err(PromiseError::Absent) => {}
            Err(source) => return Err(KeylessError::Promise { index, source }),
        }
    }
    match times.iter().find(|time| time.at > now.plus_s(SKEW_MAX_S)) {
        Some(time) => Err(KeylessError::Future { at: time.at, now }),
        None => Ok(times),
    }
}

fn logged(
    bundle: &Bundle,
    artifact: Option<&Artifact<'_>>,
    verifier: &Verifier<'_>,
    authorities: &Authorities,
    at: Timestamp,
) -> Result<Vec<Logged>, KeylessError> {
    let entries = &bundle.verification_material.tlog_entries;
    if entries.is_empty() {
        return Err(KeylessError::NotLogged);
    }
    let digest = artifact.map(Artifact::sha256);
    let check = |(index, entry)| {
        log_entry::verify(entry, &bundle.content, digest.as_ref(), verifier, authorities, at)
            .map_err(|source| KeylessError::Entry { index, source: Box::new(source) })
    };
    entries.iter().enumerate().map(check).collect()
}

fn check_signature(bundle: &Bundle, artifact: Option<&Artifact<'_>>, key: &SubjectKey) -> Result<(), KeylessError> {
    let good = match (&bundle.content, artifact) {
        (Content::Envelope(envelope), _) => {
            key.verify(&dsse::pae(&envelope.payload_type, &envelope.payload), &envelope.signature.sig)
        }
        (Content::Message(message), Some(Artifact::Bytes(bytes))) => key.verify(bytes, &message.signature),
        (Content::Message(message), Some(Artifact::Sha256(digest))) => key.verify_sha256(digest, &message.signature),
        (Content::Message(_), None) => return Err(KeylessError::Signature),
    };
    good.map_err(|_| KeylessError::Signature)
}

fn check_artifact(content: &Content, artifact: &Artifact<'_>) -> Result<(), KeylessError> {
    let digest = artifact.sha256();
    match content {
        Content::Message(message) => match &message.message_digest {
            // A hint, checked all the same: a reader could take it for the truth.
            Some(stated) if stated.algorithm != "SHA2_256" || stated.digest != digest.bytes() => {
                let hex: String = stated.digest.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
                Err(KeylessError::Digest {
                    stated: format!("{} {hex}", stated.algorithm.chars().take(20).collect::<String>()),
                })
            }
            _ => Ok(()),
        },
        Content::Envelope(envelope) => {
            if envelope.payload_type != IN_TOTO {
                return Err(KeylessError::PayloadType(envelope.payload_type.chars().take(100).collect()));
            }
            let statement = Statement::parse(&envelope.payload)?;
            match statement.digests().any(|subject| subject == digest) {
                true => Ok(()),
                false => Err(KeylessError::Subject(digest)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
