//! Where Sigstore's clients sign, and both of what they need in one file.
//!
//! Specification: signing configuration v0.2 and client trust configuration v0.1
//! <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_trustroot.proto>, in protobuf's JSON form.
//!
//! ```json
//! {"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",
//!  "caUrls":[{"url":"http://127.0.0.1:8470","majorApiVersion":1,"validFor":{"start":"2026-11-22T19:41:00Z"},"operator":"example.org/log"}],
//!  "oidcUrls":[],"rekorTlogUrls":[{"url":"…","majorApiVersion":2,…}],"tsaUrls":[{"url":"…/api/v1/timestamp",…}],
//!  "rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}
//! ```

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;
use crate::trusted_root::TrustedRoot;

/// The media type of version 0.2.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// The media type of a client trust configuration.
pub const TRUST_CONFIG_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";

/// The largest configuration that is read: a trusted root is the most of it.
pub const SIZE_MAX: usize = 8 << 20;

/// Services that clients sign with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningConfig {
    /// [`MEDIA_TYPE`].
    pub media_type: String,
    /// Certificate authorities: clients add `/api/v2/signingCert`.
    #[serde(default)]
    pub ca_urls: Vec<Service>,
    /// Issuers whose tokens the authority takes.
    #[serde(default)]
    pub oidc_urls: Vec<Service>,
    /// Logs: clients add `/api/v2/log/entries`.
    #[serde(default)]
    pub rekor_tlog_urls: Vec<Service>,
    /// Time-stamp authorities, with the whole path.
    #[serde(default)]
    pub tsa_urls: Vec<Service>,
    /// How many logs to use.
    #[serde(default)]
    pub rekor_tlog_config: Selection,
    /// How many time-stamp authorities to use.
    #[serde(default)]
    pub tsa_config: Selection,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its URL.
    pub url: String,
    /// The version of its interface; Fulcio says 1 for its API v2.
    pub major_api_version: u32,
    /// When it may be used.
    pub valid_for: Period,
    /// Who runs it: two services of one operator count once.
    pub operator: String,
}

/// A span of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// First second.
    pub start: Timestamp,
    /// Last second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// Which of several services to use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// `ANY`, `ALL`, `EXACT`
    pub selector: String,
}

impl Default for Selection {
    fn default() -> Selection {
        Selection { selector: "ANY".to_owned() }
    }
}

/// What a client needs to sign and to verify.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientTrustConfig {
    /// [`TRUST_CONFIG_MEDIA_TYPE`].
    pub media_type: String,
    /// Whom to trust.
    pub trusted_root: TrustedRoot,
    /// Where to sign.
    pub signing_config: SigningConfig,
}

/// A configuration that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SigningConfigError {
    /// Over the limit.
    #[error("signing configuration of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// No JSON of the form.
    #[error("reading the signing configuration")]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("signing configuration of type `{0}`: expected `{MEDIA_TYPE}`")]
    MediaType(String),
}

impl SigningConfig {
    /// Reads a configuration of version 0.2.
    pub fn parse(json: &[u8]) -> Result<SigningConfig, SigningConfigError> {
        if json.len() > SIZE_MAX {
            return Err(SigningConfigError::Size(json.len()));
        }
        let config: SigningConfig = serde_json::from_slice(json)?;
        match config.media_type == MEDIA_TYPE {
            true => Ok(config),
            false => Err(SigningConfigError::MediaType(config.media_type.chars().take(100).collect())),
        }
    }

    /// Returns the JSON, laid out for reading.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a configuration is JSON") + "\n"
    }
}

impl ClientTrustConfig {
    /// Returns the JSON, laid out for reading.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a configuration is JSON") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_refused() {
        let config = SigningConfig {
            media_type: MEDIA_TYPE.to_owned(),
            ca_urls: vec![Service {
                url: "http://127.0.0.1:8470".to_owned(),
                major_api_version: 1,
                valid_for: Period { start: "2026-11-22T19:41:00Z".parse().expect("a time"), end: None },
                operator: "example.org/log".to_owned(),
            }],
            oidc_urls: Vec::new(),
            rekor_tlog_urls: Vec::new(),
            tsa_urls: Vec::new(),
            rekor_tlog_config: Selection::default(),
            tsa_config: Selection::default(),
        };
        let text = config.to_json();
        assert_eq!(SigningConfig::parse(text.as_bytes()).expect("its own print"), config);
        let other = text.replace("v0.2", "v0.1");
        assert!(matches!(SigningConfig::parse(other.as_bytes()), Err(SigningConfigError::MediaType(_))));
        assert!(SigningConfig::parse(b"[]").is_err());
        assert!(SigningConfig::parse(&vec![b' '; SIZE_MAX + 1]).is_err());
    }
}
