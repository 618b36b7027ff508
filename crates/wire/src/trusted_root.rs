//! The trusted root: which logs, certificate authorities and time-stamp authorities a verifier believes.
//!
//! Specification: Sigstore trusted root v0.1
//! <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_trustroot.proto>, in protobuf's JSON form.
//!
//! ```json
//! {"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1",
//!  "tlogs":[{"baseUrl":"example.org/log","hashAlgorithm":"SHA2_256",
//!   "publicKey":{"rawBytes":"MCowBQYDK2VwAyEA…","keyDetails":"PKIX_ED25519","validFor":{"start":"2026-11-22T19:41:00Z"}},
//!   "logId":{"keyId":"9sZz…"}}],
//!  "certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}
//! ```
//!
//! Versions 0.1 and 0.2 are read (0.2 adds `operator` and `checkpointKeyId`, which nothing here rests on); 0.1 is written.
//! Certificates are carried as opaque DER.

use serde::{Deserialize, Serialize};

use crate::dsse;
use crate::sigstore_bundle::LogId;
use crate::timestamp::Timestamp;

/// The media type of version 0.1.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// The media type of version 0.2, which is read, too.
pub const MEDIA_TYPE_0_2: &str = "application/vnd.dev.sigstore.trustedroot.v0.2+json";

/// The largest trusted root that is read; the public one has 10 KiB.
pub const SIZE_MAX: usize = 4 << 20;

/// A trusted root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustedRoot {
    /// [`MEDIA_TYPE`].
    pub media_type: String,
    /// Transparency logs.
    #[serde(default)]
    pub tlogs: Vec<TransparencyLog>,
    /// Certificate authorities.
    #[serde(default)]
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// Certificate transparency logs.
    #[serde(default)]
    pub ctlogs: Vec<TransparencyLog>,
    /// Time-stamp authorities.
    #[serde(default)]
    pub timestamp_authorities: Vec<CertificateAuthority>,
}

/// A log and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransparencyLog {
    /// Where it is, or its origin.
    pub base_url: String,
    /// `SHA2_256`
    pub hash_algorithm: String,
    /// Its key.
    pub public_key: PublicKey,
    /// Its name.
    pub log_id: LogId,
}

/// Who issues certificates or times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateAuthority {
    /// Name of its anchor, for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<DistinguishedName>,
    /// Where it is.
    #[serde(default)]
    pub uri: String,
    /// Its certificates, issuer first.
    pub cert_chain: CertificateChain,
    /// The time in which what it issues counts.
    pub valid_for: TimeRange,
}

/// The parts of a name that people read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DistinguishedName {
    /// `sigstore.dev`
    #[serde(default)]
    pub organization: String,
    /// `sigstore`
    #[serde(default)]
    pub common_name: String,
}

/// Certificates, from the one that issues to the anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateChain {
    /// At least one.
    pub certificates: Vec<RawBytes>,
}

/// DER bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawBytes {
    /// The bytes.
    #[serde(with = "dsse::bytes")]
    pub raw_bytes: Vec<u8>,
}

impl DistinguishedName {
    /// Takes common name and organization out of a name in RFC 4514's text: `CN=sigstore,O=sigstore.dev`.
    pub fn of_rfc4514(text: &str) -> DistinguishedName {
        let part = |key: &str| {
            let value = text.split(',').find_map(|part| part.trim().strip_prefix(key)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        };
        DistinguishedName { organization: part("O"), common_name: part("CN") }
    }
}

/// A public key and when it may be believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKey {
    /// SubjectPublicKeyInfo, DER.
    #[serde(with = "dsse::bytes")]
    pub raw_bytes: Vec<u8>,
    /// `PKIX_ED25519`
    pub key_details: String,
    /// The time in which its signatures count.
    pub valid_for: TimeRange,
}

/// A span of time; without an end it lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// First second.
    pub start: Timestamp,
    /// Last second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// Why a text is no trusted root.
#[derive(Debug, thiserror::Error)]
pub enum TrustedRootError {
    /// More than [`SIZE_MAX`] bytes.
    #[error("trusted root of {size} bytes is larger than the limit of {SIZE_MAX}")]
    Size {
        /// What was given.
        size: usize,
    },
    /// Not JSON, a field missing or malformed.
    #[error("not a Sigstore trusted root")]
    Form(#[from] serde_json::Error),
    /// Another version.
    #[error("unsupported trusted root `{0}`: expected `{MEDIA_TYPE}`")]
    MediaType(String),
}

impl TrustedRoot {
    /// Makes a trusted root of logs alone.
    pub fn of_logs(tlogs: Vec<TransparencyLog>) -> TrustedRoot {
        TrustedRoot {
            media_type: MEDIA_TYPE.to_owned(),
            tlogs,
            certificate_authorities: Vec::new(),
            ctlogs: Vec::new(),
            timestamp_authorities: Vec::new(),
        }
    }

    /// Parses a trusted root's JSON.
    pub fn parse(json: &[u8]) -> Result<TrustedRoot, TrustedRootError> {
        if json.len() > SIZE_MAX {
            return Err(TrustedRootError::Size { size: json.len() });
        }
        let root: TrustedRoot = serde_json::from_slice(json)?;
        if ![MEDIA_TYPE, MEDIA_TYPE_0_2].contains(&root.media_type.as_str()) {
            return Err(TrustedRootError::MediaType(root.media_type.chars().take(100).collect()));
        }
        Ok(root)
    }

    /// Returns the canonical JSON.
    pub fn to_json(&self) -> Vec<u8> {
        crate::jcs::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    const SAMPLE: &str = r#"{"certificateAuthorities":[],"ctlogs":[],"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","timestampAuthorities":[],"tlogs":[{"baseUrl":"example.org/log","hashAlgorithm":"SHA2_256","logId":{"keyId":"9sY="},"publicKey":{"keyDetails":"PKIX_ED25519","rawBytes":"MCow","validFor":{"start":"2026-11-22T19:41:00Z"}}}]}"#;

    #[test]
    fn text_and_back() {
        let root = TrustedRoot::parse(SAMPLE.as_bytes()).expect("sample");
        assert_eq!(root.tlogs[0].public_key.valid_for.end, None);
        assert_eq!(String::from_utf8(root.to_json()).expect("text"), SAMPLE);
    }

    /// The public instance's root: authorities are typed, and written as they were read.
    #[test]
    fn a_foreign_root_is_read_whole() {
        let text = include_str!("../../../tests/foreign/sigstore/public.trusted_root.json");
        let root = TrustedRoot::parse(text.as_bytes()).expect("a root");
        let counts = [root.tlogs.len(), root.certificate_authorities.len(), root.ctlogs.len()];
        assert_eq!((counts, root.timestamp_authorities.len()), ([2, 2, 2], 1));
        let authority = &root.certificate_authorities[1];
        assert_eq!(
            (authority.uri.as_str(), authority.cert_chain.certificates.len()),
            ("https://fulcio.sigstore.dev", 2)
        );
        assert_eq!(authority.subject, Some(DistinguishedName::of_rfc4514("CN=sigstore,O=sigstore.dev")));
        assert_eq!(TrustedRoot::parse(&root.to_json()).expect("written"), root);
        let newer = text.replace(MEDIA_TYPE, MEDIA_TYPE_0_2);
        assert_eq!(TrustedRoot::parse(newer.as_bytes()).expect("version 0.2").tlogs, root.tlogs);
    }

    #[test]
    fn other_versions_and_sizes_are_refused() {
        let other = SAMPLE.replace("version=0.1", "version=0.9");
        assert!(matches!(TrustedRoot::parse(other.as_bytes()), Err(TrustedRootError::MediaType(_))));
        let large = vec![b' '; SIZE_MAX + 1];
        assert!(matches!(TrustedRoot::parse(&large), Err(TrustedRootError::Size { .. })));
        assert!(matches!(TrustedRoot::parse(b"{}"), Err(TrustedRootError::Form(_))));
    }

    #[test]
    fn damaged_text_never_panics() {
        Mutator::new(2).each(5_000, SAMPLE.as_bytes(), |bytes| {
            drop(TrustedRoot::parse(bytes));
        });
    }
}
