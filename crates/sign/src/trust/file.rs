//! Reading and writing `trust.json`, version 1; its form stands in the header of [`super`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wire::base64;
use wire::note::is_key_name;
use wire::timestamp::Timestamp;

use super::{IDENTITIES_MAX, Identity, LogIdentity, Role, Trust};
use crate::key::{KeyError, PublicKey};

/// The largest file that is read: [`IDENTITIES_MAX`] identities take about 2 MiB.
const SIZE_MAX: usize = 4 << 20;

/// The version that this module writes and reads.
const VERSION: u32 = 1;

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
    #[error("trust file has version {0}; this assay reads version {VERSION}")]
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
    /// An empty name, or an origin that cannot name a key.
    #[error("`{0}` is no name: it is empty, or has a space, a plus or a control character")]
    Name(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    identities: Vec<IdentityWire>,
    logs: Vec<LogWire>,
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
    key: String,
    roles: Vec<String>,
    valid_from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
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
        if version != VERSION {
            return Err(TrustFileError::Version(version));
        }
        let wire: Wire = serde_json::from_str(json)?;
        let count = wire.identities.len().max(wire.logs.len());
        if count > IDENTITIES_MAX {
            return Err(TrustFileError::Count(count));
        }
        let trust = Trust {
            identities: wire.identities.into_iter().map(Identity::of).collect::<Result<_, _>>()?,
            logs: wire.logs.into_iter().map(LogIdentity::of).collect::<Result<_, _>>()?,
        };
        trust.check_unique()?;
        Ok(trust)
    }

    /// Returns the text of `trust.json`.
    pub fn to_json(&self) -> String {
        let wire = Wire {
            version: VERSION,
            identities: self.identities.iter().map(IdentityWire::of).collect(),
            logs: self.logs.iter().map(LogWire::of).collect(),
        };
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

impl Identity {
    fn of(wire: IdentityWire) -> Result<Identity, TrustFileError> {
        let name = checked_name(wire.name)?;
        let role = |role: String| {
            Role::of_name(&role).ok_or_else(|| TrustFileError::Role { name: name.clone(), role: clip(&role) })
        };
        let roles = wire.roles.into_iter().map(role).collect::<Result<_, _>>()?;
        let key = read_key(&name, &wire.key)?;
        let IdentityWire { valid_from, valid_until, revoked_at, .. } = wire;
        Ok(Identity { name, key, roles, valid_from, valid_until, revoked_at })
    }
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
            key: base64::encode(identity.key.spki_der()),
            roles: identity.roles.iter().map(|role| role.name().to_owned()).collect(),
            valid_from: identity.valid_from,
            valid_until: identity.valid_until,
            revoked_at: identity.revoked_at,
        }
    }
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
