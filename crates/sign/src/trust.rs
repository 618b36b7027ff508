//! Who is trusted: `trust.json`, versions 1 and 2.
//!
//! ```json
//! {
//!   "version": 1,
//!   "identities": [
//!     {
//!       "name": "builder-full",
//!       "key": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDLUVxUY1JgVYsRXNYDxDd5TULq/73Yv7b9oPAg9OyOR83NUo7ZUkMF4XXnWPGFSjOD9FnDYeYnmTnFXlGXtVVw==",
//!       "roles": ["builder"],
//!       "validFrom": "2026-11-22T19:41:00Z",
//!       "validUntil": "2027-11-22T19:41:00Z",
//!       "revokedAt": "2027-01-01T00:00:00Z"
//!     }
//!   ],
//!   "logs": [
//!     {
//!       "origin": "example.org/log",
//!       "key": "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
//!       "validFrom": "2026-11-22T19:41:00Z"
//!     }
//!   ]
//! }
//! ```
//!
//! Keys are SubjectPublicKeyInfo, DER, base64. `validUntil` and `revokedAt` are left out where there is none. One name may
//! have several keys (rotation); a key stands once. What is unknown is an error: a misspelt `revokedAt` must not trust.
//!
//! Version 2 adds identities by certificate and the authorities that issue them; it is written only for a trust that has
//! such:
//!
//! ```json
//! {"name":"release","certificate":{"issuer":"https://token.actions.githubusercontent.com",
//!   "subjectPattern":"https://github.com/acme/*/.github/workflows/release.yml@refs/tags/v*"},
//!  "roles":["builder"],"validFrom":"2026-11-22T19:41:00Z"}
//! ```

mod certified;
mod file;
mod kept;

use wire::digest::Digest;
use wire::dsse::{self, Envelope};
use wire::timestamp::Timestamp;
use wire::trusted_root::{self, TransparencyLog, TrustedRoot};

use crate::authority::{Authorities, SignatureLog, Window};
use crate::certificate::{Subject, SubjectKey};
use crate::key::PublicKey;
use crate::note::NoteKey;

pub use certified::{CertifiedIdentity, Pattern, PatternError, SubjectRule};

pub(crate) use certified::fits;
pub use file::TrustFileError;
pub use kept::Lost;

/// How many identities and logs there may be: an envelope without a hint is tried against each.
pub const IDENTITIES_MAX: usize = 4096;

/// The identities and logs that are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Signers of statements.
    pub identities: Vec<Identity>,
    /// Transparency logs.
    pub logs: Vec<LogIdentity>,
    /// Signers of statements who have a certificate in place of a key of their own.
    pub certified: Vec<CertifiedIdentity>,
    /// Who issues certificates and times. Its `logs` are empty: they are [`Trust::logs`].
    pub authorities: Authorities,
    /// Whose certificates count no longer. They come from logged statements, and stand in no file.
    pub revocations: Vec<Revocation>,
}

/// Certificates of somebody that count no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// URL of the issuer.
    pub issuer: String,
    /// The name in certificates; all of the issuer's if there is none.
    pub subject: Option<String>,
    /// From here on what they sign does not count.
    pub at: Timestamp,
}

/// A signer: a key, its name, and what it may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name that policies use: `builder-full`.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// What it may say.
    pub roles: Vec<Role>,
    /// First second in which its signatures count.
    pub valid_from: Timestamp,
    /// Last second in which they count.
    pub valid_until: Option<Timestamp>,
    /// What it signed counts only if it is known to have been signed before.
    pub revoked_at: Option<Timestamp>,
}

/// A transparency log and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// Its origin: the first line of its checkpoints, and the name of its key.
    pub origin: String,
    /// Its key.
    pub key: PublicKey,
    /// First second in which its checkpoints count.
    pub valid_from: Timestamp,
    /// Last second in which they count.
    pub valid_until: Option<Timestamp>,
}

/// What an identity may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// How something was built.
    Builder,
    /// How tests ended.
    Tester,
    /// What was published and tagged.
    Publisher,
    /// Verdicts.
    Verifier,
    /// What runs where.
    Deployer,
    /// Policies, grants and references.
    Admin,
}

/// Why an envelope was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No accepted key made the signature, and the hint names none of them.
    #[error("signed by an unknown key (hint `{hint}`)")]
    UnknownKey {
        /// The hint, cut to a readable length.
        hint: String,
    },
    /// The hint names an accepted key, but neither it nor another made the signature.
    #[error("the signature is not one of `{identity}`, which the envelope names, nor of another accepted key")]
    Signature {
        /// Who is named.
        identity: String,
    },
    /// A certificate of nobody who is accepted.
    #[error("signed by `{name}` of `{issuer}`, whom no identity in the trust file is")]
    UnknownSubject {
        /// The certificate's name.
        name: String,
        /// Who vouched for it.
        issuer: String,
    },
    /// Before the identity's time.
    #[error("`{identity}` is accepted from {valid_from} only, and it is {now}")]
    NotYetValid {
        /// Who signed.
        identity: String,
        /// When its time begins.
        valid_from: Timestamp,
        /// The time that was asked about.
        now: Timestamp,
    },
    /// After the identity's time.
    #[error("`{identity}` was accepted until {valid_until}, and it is {now}")]
    Expired {
        /// Who signed.
        identity: String,
        /// When its time ended.
        valid_until: Timestamp,
        /// The time that was asked about.
        now: Timestamp,
    },
    /// The certificates of somebody were revoked.
    #[error("certificates of `{identity}` were revoked at {revoked_at}")]
    CertificatesRevoked {
        /// Who signed.
        identity: String,
        /// From when on they do not count.
        revoked_at: Timestamp,
    },
    /// The key was revoked.
    #[error("the key of `{identity}` was revoked at {revoked_at}")]
    Revoked {
        /// Who signed.
        identity: String,
        /// When it was revoked.
        revoked_at: Timestamp,
    },
}

impl Role {
    /// Every role with its name in files.
    pub const ALL: [(Role, &'static str); 6] = [
        (Role::Builder, "builder"),
        (Role::Tester, "tester"),
        (Role::Publisher, "publisher"),
        (Role::Verifier, "verifier"),
        (Role::Deployer, "deployer"),
        (Role::Admin, "admin"),
    ];

    /// Returns the name in files.
    pub fn name(self) -> &'static str {
        Role::ALL.iter().find(|(role, _)| *role == self).expect("every role has a name").1
    }

    /// Returns the role of that name.
    pub fn of_name(name: &str) -> Option<Role> {
        Role::ALL.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }
}

impl Identity {
    /// Whether it may speak in that role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    fn check(&self, now: Timestamp) -> Result<(), TrustError> {
        check_time(&self.name, self.valid_from, self.valid_until, self.revoked_at, now)
    }
}

/// Whether an identity counts at that time.
fn check_time(
    name: &str,
    valid_from: Timestamp,
    valid_until: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), TrustError> {
    let identity = || name.to_owned();
    if let Some(revoked_at) = revoked_at.filter(|revoked_at| now >= *revoked_at) {
        return Err(TrustError::Revoked { identity: identity(), revoked_at });
    }
    if now < valid_from {
        return Err(TrustError::NotYetValid { identity: identity(), valid_from, now });
    }
    match valid_until.filter(|valid_until| now > *valid_until) {
        Some(valid_until) => Err(TrustError::Expired { identity: identity(), valid_until, now }),
        None => Ok(()),
    }
}

impl Revocation {
    /// Whether it is about a certificate's subject.
    pub fn is_of(&self, subject: &Subject) -> bool {
        self.issuer == subject.issuer && self.subject.as_deref().is_none_or(|name| name == subject.name.text())
    }
}

impl LogIdentity {
    /// Returns the key under the log's name.
    ///
    /// # Panics
    /// If the origin cannot name a key; [`Trust::parse`] refuses such.
    pub fn note_key(&self) -> NoteKey {
        NoteKey::new(&self.origin, &self.key).expect("an origin was checked when it was read")
    }

    /// Whether its checkpoints count at that time.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.valid_from <= now && self.valid_until.is_none_or(|valid_until| now <= valid_until)
    }
}

impl Trust {
    /// Returns the identity whose key has that id.
    pub fn identity(&self, key_id: &Digest) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.key.id() == *key_id)
    }

    /// Returns the log whose id (see [`NoteKey::log_id`]) that is.
    pub fn log(&self, log_id: &[u8]) -> Option<&LogIdentity> {
        self.logs.iter().find(|log| log.note_key().log_id().bytes() == log_id)
    }

    /// Returns the authorities, with the logs among them.
    pub fn authorities(&self) -> Authorities {
        let log = |log: &LogIdentity| SignatureLog {
            base_url: log.origin.clone(),
            key: SubjectKey::from(&log.key),
            id: log.note_key().log_id().bytes().to_vec(),
            window: Window { start: log.valid_from, end: log.valid_until },
        };
        Authorities { logs: self.logs.iter().map(log).collect(), ..self.authorities.clone() }
    }

    /// Returns the identity that a certificate's subject is: the first whose rule it fits and which counts now, and
    /// counted when it signed.
    pub fn certified(
        &self,
        subject: &Subject,
        signed_at: Timestamp,
        now: Timestamp,
    ) -> Result<&CertifiedIdentity, TrustError> {
        if let Some(revoked) = self.revocations.iter().find(|one| one.is_of(subject) && signed_at >= one.at) {
            let identity = subject.name.text().chars().take(300).collect();
            return Err(TrustError::CertificatesRevoked { identity, revoked_at: revoked.at });
        }
        let mut failed = None;
        for identity in self.certified.iter().filter(|identity| identity.is(subject)) {
            match identity.check(signed_at).and_then(|()| identity.check(now)) {
                Ok(()) => return Ok(identity),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let clip = |text: &str| text.chars().take(300).collect();
        Err(failed.unwrap_or_else(|| TrustError::UnknownSubject {
            name: clip(subject.name.text()),
            issuer: clip(&subject.issuer),
        }))
    }

    /// Returns who made the envelope's signature: whom the hint names is tried first, then all others.
    fn signer(&self, envelope: &Envelope) -> Result<&Identity, TrustError> {
        let signature = &envelope.signature;
        let message = dsse::pae(&envelope.payload_type, &envelope.payload);
        let signed = |identity: &&Identity| identity.key.verify(&message, &signature.sig).is_ok();
        let hinted = signature.keyid.parse().ok().and_then(|id| self.identity(&id));
        let found = hinted.filter(signed).or_else(|| self.identities.iter().find(signed));
        found.ok_or_else(|| match hinted {
            Some(identity) => TrustError::Signature { identity: identity.name.clone() },
            None => TrustError::UnknownKey { hint: signature.keyid.chars().take(100).collect() },
        })
    }
}

/// Checks who signed an envelope, and hands out the payload.
///
/// The signature is checked before a byte of the payload is read, so what parses a payload never sees one that nobody
/// accepted has signed. `now` is the time at which the signature is known to have existed: the reader's clock, if
/// nothing better is known.
pub fn open<'t, 'e>(
    envelope: &'e Envelope,
    trust: &'t Trust,
    now: Timestamp,
) -> Result<(&'t Identity, &'e [u8]), TrustError> {
    let identity = trust.signer(envelope)?;
    identity.check(now)?;
    Ok((identity, &envelope.payload))
}

/// Returns the logs and authorities as a Sigstore trusted root, for stock clients.
pub fn to_trusted_root_json(trust: &Trust) -> String {
    let log = |log: &LogIdentity| TransparencyLog {
        base_url: log.origin.clone(),
        hash_algorithm: "SHA2_256".to_owned(),
        public_key: trusted_root::PublicKey {
            raw_bytes: log.key.spki_der().to_vec(),
            key_details: log.key.key_details().to_owned(),
            valid_for: trusted_root::TimeRange { start: log.valid_from, end: log.valid_until },
        },
        log_id: wire::sigstore_bundle::LogId { key_id: log.note_key().log_id().bytes().to_vec() },
    };
    let mut root = TrustedRoot::of_logs(trust.logs.iter().map(log).collect());
    trust.authorities.add_to(&mut root);
    String::from_utf8(root.to_json()).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests;
