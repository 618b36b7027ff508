//! Reading and writing `trust.json`, versions 1 and 2; its form stands in the header of [`super`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wire::base64;
use wire::note::is_key_name;
use wire::timestamp::Timestamp;

mod authorities;

use super::certified::is_plain;
use super::{
    CertifiedIdentity, IDENTITIES_MAX, Identity, LogIdentity, Pattern, PatternError, Role, SubjectRule, Trust,
};
use crate::authority::AuthorityError;
use crate::key::{KeyError, PublicKey};

/// The largest file that is read: [`IDENTITIES_MAX`] identities take about 2 MiB.
const SIZE_MAX: usize = 4 << 20;

/// The version of a trust in keys and logs alone.
const VERSION_KEYS: u32 = 1;

/// The version of a trust in certificates, too.
const VERSION: u32 = 2;

/// Why a text is no list of accepted identities.
#[derive(Debug, thiserror::Error)]
pub enum TrustFileError {
    /// Over the limit.
    #[error("trust file of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// Not JSON, a field missing, unknown or malformed.
    #[error("not a trust file")]
    Form(#[from] serde_json::Error),
    /// Another version.
    #[error("trust file has version {0}; this assay reads versions {VERSION_KEYS} and {VERSION}")]
    Version(u32),
    /// More than [`IDENTITIES_MAX`] identities or logs.
    #[error("trust file has {0} entries, more than the limit of {IDENTITIES_MAX}")]
    Count(usize),
    /// An entry's key cannot be used.
    #[error("reading the key of `{name}`")]
    Key {
        /// Name of the identity or origin of the log.
        name: String,
        /// What is wrong with the key.
        #[source]
        source: KeyError,
    },
    /// A key that is no base64.
    #[error("reading the key of `{name}`")]
    Base64 {
        /// Name of the identity or origin of the log.
        name: String,
        /// What is wrong with the text.
        #[source]
        source: base64::Base64Error,
    },
    /// Two entries with one key.
    #[error("the key of `{0}` stands twice in the trust file")]
    Twice(String),
    /// A role that is none.
    #[error("`{name}` has unknown role `{role}`: expected builder, tester, publisher, verifier, deployer or admin")]
    Role {
        /// Name of the identity.
        name: String,
        /// What stands there.
        role: String,
    },
    /// A field of version 2 in a file of version 1.
    #[error("trust file of version {VERSION_KEYS} has `{0}`, which is of version {VERSION}")]
    Newer(&'static str),
    /// Not exactly one of key and certificate, or of subject and pattern.
    #[error("`{name}` must have exactly one of {fields}")]
    Either {
        /// Name of the identity.
        name: String,
        /// The fields.
        fields: &'static str,
    },
    /// An issuer or subject that no certificate has.
    #[error("`{name}` has a malformed `{field}`: it is empty, too long, or has a space or a control character")]
    Certificate {
        /// Name of the identity.
        name: String,
        /// Which field.
        field: &'static str,
    },
    /// A pattern that is none.
    #[error("reading the `subjectPattern` of `{name}`")]
    Pattern {
        /// Name of the identity.
        name: String,
        /// What is wrong with it.
        #[source]
        source: PatternError,
    },
    /// An authority or a log of certificates.
    #[error("reading the authorities")]
    Authority(#[from] AuthorityError),
    /// An empty name, or an origin that cannot name a key.
    #[error("`{0}` is no name: it is empty, or has a space, a plus or a control character")]
    Name(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    version: u32,
    identities: Vec<IdentityWire>,
    logs: Vec<LogWire>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificate_authorities: Vec<authorities::AuthorityWire>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    timestamp_authorities: Vec<authorities::AuthorityWire>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificate_logs: Vec<authorities::CertificateLogWire>,
}

/// Only the version, so that a newer file is named as such and not as malformed.
#[derive(Deserialize)]
struct VersionWire {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IdentityWire {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateWire>,
    roles: Vec<String>,
    valid_from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CertificateWire {
    issuer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject_pattern: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogWire {
    origin: String,
    key: String,
    valid_from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
}

impl Trust {
    /// Parses `trust.json`.
    pub fn parse(json: &str) -> Result<Trust, TrustFileError> {
        if json.len() > SIZE_MAX {
            return Err(TrustFileError::Size(json.len()));
        }
        let VersionWire { version } = serde_json::from_str(json)?;
        if ![VERSION_KEYS, VERSION].contains(&version) {
            return Err(TrustFileError::Version(version));
        }
        let wire: Wire = serde_json::from_str(json)?;
        let count = wire.identities.len().max(wire.logs.len());
        if count > IDENTITIES_MAX {
            return Err(TrustFileError::Count(count));
        }
        if let Some(field) = wire.newer().filter(|_| version == VERSION_KEYS) {
            return Err(TrustFileError::Newer(field));
        }
        let mut trust = Trust {
            authorities: wire.authorities()?,
            logs: wire.logs.into_iter().map(LogIdentity::of).collect::<Result<_, _>>()?,
            ..Trust::default()
        };
        for identity in wire.identities {
            match (&identity.key, &identity.certificate) {
                (Some(_), None) => trust.identities.push(Identity::of(identity)?),
                (None, Some(_)) => trust.certified.push(CertifiedIdentity::of(identity)?),
                _ => {
                    return Err(TrustFileError::Either {
                        name: clip(&identity.name),
                        fields: "`key` and `certificate`",
                    });
                }
            }
        }
        trust.check_unique()?;
        Ok(trust)
    }

    /// Returns the text of `trust.json`: version 1 unless it has what only version 2 can say, so that a file of version
    /// 1 stays one, and older readers keep reading it.
    pub fn to_json(&self) -> String {
        let by_key = self.identities.iter().map(IdentityWire::of);
        let by_certificate = self.certified.iter().map(IdentityWire::of_certified);
        let mut wire = Wire {
            version: VERSION,
            identities: by_key.chain(by_certificate).collect(),
            logs: self.logs.iter().map(LogWire::of).collect(),
            certificate_authorities: authorities::to_wire(&self.authorities.certificates),
            timestamp_authorities: authorities::to_wire(&self.authorities.times),
            certificate_logs: authorities::logs_to_wire(&self.authorities.certificate_logs),
        };
        if wire.newer().is_none() {
            wire.version = VERSION_KEYS;
        }
        let mut text = serde_json::to_string_pretty(&wire).expect("strings and times are representable in JSON");
        text.push('\n');
        text
    }

    fn check_unique(&self) -> Result<(), TrustFileError> {
        let identities = self.identities.iter().map(|identity| (&identity.name, &identity.key, ""));
        let logs = self.logs.iter().map(|log| (&log.origin, &log.key, log.origin.as_str()));
        let mut seen = BTreeSet::new();
        for (name, key, origin) in identities.chain(logs) {
            if !seen.insert((key.spki_der(), origin)) {
                return Err(TrustFileError::Twice(name.clone()));
            }
        }
        Ok(())
    }
}

impl Wire {
    /// Returns a field that version 1 does not have.
    fn newer(&self) -> Option<&'static str> {
        let fields = [
            ("certificate", self.identities.iter().any(|identity| identity.certificate.is_some())),
            ("certificateAuthorities", !self.certificate_authorities.is_empty()),
            ("timestampAuthorities", !self.timestamp_authorities.is_empty()),
            ("certificateLogs", !self.certificate_logs.is_empty()),
        ];
        fields.into_iter().find(|(_, present)| *present).map(|(field, _)| field)
    }
}

impl Identity {
    fn of(wire: IdentityWire) -> Result<Identity, TrustFileError> {
        let name = checked_name(wire.name)?;
        let roles = read_roles(&name, &wire.roles)?;
        let key = read_key(&name, &wire.key.unwrap_or_default())?;
        let IdentityWire { valid_from, valid_until, revoked_at, .. } = wire;
        Ok(Identity { name, key, roles, valid_from, valid_until, revoked_at })
    }
}

impl CertifiedIdentity {
    fn of(wire: IdentityWire) -> Result<CertifiedIdentity, TrustFileError> {
        let name = checked_name(wire.name)?;
        let roles = read_roles(&name, &wire.roles)?;
        let fields = "`subject` and `subjectPattern`";
        let either = || TrustFileError::Either { name: name.clone(), fields };
        let CertificateWire { issuer, subject, subject_pattern } = wire.certificate.ok_or_else(either)?;
        let plain = |field, text: String| match is_plain(&text) {
            true => Ok(text),
            false => Err(TrustFileError::Certificate { name: name.clone(), field }),
        };
        let subject = match (subject, subject_pattern) {
            (Some(text), None) => SubjectRule::Exact(plain("subject", text)?),
            (None, Some(text)) => SubjectRule::Pattern(
                Pattern::new(&text).map_err(|source| TrustFileError::Pattern { name: name.clone(), source })?,
            ),
            _ => return Err(either()),
        };
        let issuer = plain("issuer", issuer)?;
        let IdentityWire { valid_from, valid_until, revoked_at, .. } = wire;
        Ok(CertifiedIdentity { name, issuer, subject, roles, valid_from, valid_until, revoked_at })
    }
}

fn read_roles(name: &str, roles: &[String]) -> Result<Vec<Role>, TrustFileError> {
    let role = |role: &String| {
        Role::of_name(role).ok_or_else(|| TrustFileError::Role { name: name.to_owned(), role: clip(role) })
    };
    roles.iter().map(role).collect()
}

impl LogIdentity {
    fn of(wire: LogWire) -> Result<LogIdentity, TrustFileError> {
        let origin = checked_name(wire.origin)?;
        let key = read_key(&origin, &wire.key)?;
        Ok(LogIdentity { origin, key, valid_from: wire.valid_from, valid_until: wire.valid_until })
    }
}

impl IdentityWire {
    fn of(identity: &Identity) -> IdentityWire {
        IdentityWire {
            name: identity.name.clone(),
            key: Some(base64::encode(identity.key.spki_der())),
            certificate: None,
            roles: role_names(&identity.roles),
            valid_from: identity.valid_from,
            valid_until: identity.valid_until,
            revoked_at: identity.revoked_at,
        }
    }

    fn of_certified(identity: &CertifiedIdentity) -> IdentityWire {
        let (subject, subject_pattern) = match &identity.subject {
            SubjectRule::Exact(text) => (Some(text.clone()), None),
            SubjectRule::Pattern(pattern) => (None, Some(pattern.text().to_owned())),
        };
        IdentityWire {
            name: identity.name.clone(),
            key: None,
            certificate: Some(CertificateWire { issuer: identity.issuer.clone(), subject, subject_pattern }),
            roles: role_names(&identity.roles),
            valid_from: identity.valid_from,
            valid_until: identity.valid_until,
            revoked_at: identity.revoked_at,
        }
    }
}

fn role_names(roles: &[Role]) -> Vec<String> {
    roles.iter().map(|role| role.name().to_owned()).collect()
}

impl LogWire {
    fn of(log: &LogIdentity) -> LogWire {
        LogWire {
            origin: log.origin.clone(),
            key: base64::encode(log.key.spki_der()),
            valid_from: log.valid_from,
            valid_until: log.valid_until,
        }
    }
}

fn checked_name(name: String) -> Result<String, TrustFileError> {
    if is_key_name(&name) { Ok(name) } else { Err(TrustFileError::Name(clip(&name))) }
}

fn read_key(name: &str, text: &str) -> Result<PublicKey, TrustFileError> {
    let name = || name.to_owned();
    let der = base64::decode(text).map_err(|source| TrustFileError::Base64 { name: name(), source })?;
    PublicKey::from_spki_der(&der).map_err(|source| TrustFileError::Key { name: name(), source })
}

fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}
