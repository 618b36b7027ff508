//! Certificates: what a Fulcio leaf says about who signed, and what RFC 5280 needs to judge a path.
//!
//! Specifications: RFC 5280 <https://www.rfc-editor.org/rfc/rfc5280>, and Fulcio's certificate profile and extensions
//! <https://github.com/sigstore/fulcio/blob/v1.7.1/docs/certificate-specification.md>,
//! <https://github.com/sigstore/fulcio/blob/v1.7.1/docs/oid-info.md>.
//!
//! Only DER is taken: a certificate that is not written again byte by byte is refused, because the precertificate that
//! a log signed is made from its parts. An extension that stands twice is refused, and so is a critical one that nobody
//! here knows.

mod key;
mod path;
mod precertificate;

use der::asn1::{ObjectIdentifier, OctetString, Utf8StringRef};
use der::{Decode as _, Encode as _};
use wire::digest::Digest;
use wire::timestamp::Timestamp;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};

use crate::key::KeyError;

pub use key::{Prehash, SubjectKey};
pub use path::PathError;
pub use precertificate::precertified;

pub(crate) use key::{Hash, Scheme};
pub(crate) use path::{CODE_SIGNING, Purpose, TIME_STAMPING, issuer_of};

/// The largest certificate that is read; Fulcio's have about 1 KiB.
pub const SIZE_MAX: usize = 64 << 10;

pub(crate) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
pub(crate) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
pub(crate) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
pub(crate) const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
pub(crate) const OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");
pub(crate) const POISON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.3");
const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
const ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");

/// A certificate whose form is good. Nothing says yet that anybody trusted issued it.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    x509: x509_cert::Certificate,
    key: SubjectKey,
    valid_from: Timestamp,
    valid_until: Timestamp,
    extensions: Extensions,
}

/// What of a certificate's extensions is understood.
#[derive(Clone, Debug, Default)]
struct Extensions {
    basic_constraints: Option<(bool, BasicConstraints)>,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Option<(bool, ExtendedKeyUsage)>,
    names: Vec<GeneralName>,
    constrains_names: bool,
    scts: Option<Vec<u8>>,
    issuer_v1: Option<String>,
    issuer_v2: Option<String>,
    claims: Vec<(Claim, String)>,
    unknown_critical: Option<ObjectIdentifier>,
}

/// Who a leaf certificate says the signer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The one name in the certificate.
    pub name: SubjectName,
    /// URL of the OpenID Connect issuer that vouched for it.
    pub issuer: String,
}

/// A name, by the form that the certificate gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// `jane@example.org`
    Email(String),
    /// `https://github.com/o/r/.github/workflows/release.yml@refs/heads/main`
    Uri(String),
    /// Fulcio's form for a user name: `jane!example.org`
    Other(String),
}

/// A statement of the issuer about the build that signed, each one of Fulcio's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// `…1.9` Reference to the build instructions that are responsible for signing.
    BuildSignerUri,
    /// `…1.10` Immutable version of them.
    BuildSignerDigest,
    /// `…1.11` `github-hosted`, `self-hosted`
    RunnerEnvironment,
    /// `…1.12` Repository that was built.
    SourceRepositoryUri,
    /// `…1.13` Its commit.
    SourceRepositoryDigest,
    /// `…1.14` Its branch or tag.
    SourceRepositoryRef,
    /// `…1.15` Its number, which survives a new name.
    SourceRepositoryIdentifier,
    /// `…1.16` Its owner.
    SourceRepositoryOwnerUri,
    /// `…1.17` The owner's number.
    SourceRepositoryOwnerIdentifier,
    /// `…1.18` The top-level build instructions.
    BuildConfigUri,
    /// `…1.19` Immutable version of them.
    BuildConfigDigest,
    /// `…1.20` Event that started the build: `push`.
    BuildTrigger,
    /// `…1.21` The run.
    RunInvocationUri,
    /// `…1.22` `public`, `private`
    SourceRepositoryVisibility,
    /// `…1.23` Where the job deploys to: `production`.
    DeploymentEnvironment,
    /// `…1.24` The token's subject.
    TokenSubject,
}

/// Why bytes are no certificate that can be judged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Over the limit.
    #[error("certificate of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// No DER, no certificate, or a malformed part.
    #[error("certificate has a malformed {0}")]
    Form(&'static str),
    /// BER, or another freedom that DER does not have.
    #[error("certificate is not in DER: written again, it has other bytes")]
    NotDer,
    /// A key of an unsupported kind.
    #[error("certificate's key is unsupported: expected P-256, P-384, Ed25519 or RSA")]
    Key,
    /// One extension twice.
    #[error("certificate has extension {0} twice")]
    Twice(String),
    /// No name, several, or one of a form that Fulcio does not issue.
    #[error(
        "certificate has {found} subject names of a known form: expected exactly one e-mail address, URI or user name"
    )]
    Names {
        /// How many there are.
        found: usize,
    },
    /// No issuer.
    #[error("certificate names no OpenID Connect issuer (extension 1.3.6.1.4.1.57264.1.8 or .1)")]
    NoIssuer,
    /// Two issuers.
    #[error("certificate names two OpenID Connect issuers, `{0}` and `{1}`")]
    Issuers(String, String),
}

impl Claim {
    /// Every claim with the last number of its object identifier and its name in JSON.
    pub const ALL: [(Claim, u32, &'static str); 16] = [
        (Claim::BuildSignerUri, 9, "buildSignerURI"),
        (Claim::BuildSignerDigest, 10, "buildSignerDigest"),
        (Claim::RunnerEnvironment, 11, "runnerEnvironment"),
        (Claim::SourceRepositoryUri, 12, "sourceRepositoryURI"),
        (Claim::SourceRepositoryDigest, 13, "sourceRepositoryDigest"),
        (Claim::SourceRepositoryRef, 14, "sourceRepositoryRef"),
        (Claim::SourceRepositoryIdentifier, 15, "sourceRepositoryIdentifier"),
        (Claim::SourceRepositoryOwnerUri, 16, "sourceRepositoryOwnerURI"),
        (Claim::SourceRepositoryOwnerIdentifier, 17, "sourceRepositoryOwnerIdentifier"),
        (Claim::BuildConfigUri, 18, "buildConfigURI"),
        (Claim::BuildConfigDigest, 19, "buildConfigDigest"),
        (Claim::BuildTrigger, 20, "buildTrigger"),
        (Claim::RunInvocationUri, 21, "runInvocationURI"),
        (Claim::SourceRepositoryVisibility, 22, "sourceRepositoryVisibilityAtSigning"),
        (Claim::DeploymentEnvironment, 23, "deploymentEnvironment"),
        (Claim::TokenSubject, 24, "tokenSubject"),
    ];

    fn of_oid(oid: &ObjectIdentifier) -> Option<Claim> {
        let text = oid.to_string();
        let number: u32 = text.strip_prefix("1.3.6.1.4.1.57264.1.")?.parse().ok()?;
        Claim::ALL.iter().find(|(_, known, _)| *known == number).map(|(claim, _, _)| *claim)
    }

    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        Claim::ALL.iter().find(|(claim, _, _)| *claim == self).expect("every claim has a name").2
    }
}

impl SubjectName {
    /// Returns the name without its form.
    pub fn text(&self) -> &str {
        match self {
            SubjectName::Email(text) | SubjectName::Uri(text) | SubjectName::Other(text) => text,
        }
    }
}

impl Certificate {
    /// Parses a certificate's DER.
    pub fn from_der(der: &[u8]) -> Result<Certificate, CertificateError> {
        if der.len() > SIZE_MAX {
            return Err(CertificateError::Size(der.len()));
        }
        let x509 = x509_cert::Certificate::from_der(der).map_err(|_| CertificateError::Form("structure"))?;
        if x509.to_der().ok().as_deref() != Some(der) {
            return Err(CertificateError::NotDer);
        }
        let part = &x509.tbs_certificate;
        if part.signature != x509.signature_algorithm {
            return Err(CertificateError::Form("signature algorithm: it is stated twice, and differs"));
        }
        let tbs = part.to_der().map_err(|_| CertificateError::NotDer)?;
        let spki = part.subject_public_key_info.to_der().map_err(|_| CertificateError::NotDer)?;
        let key = SubjectKey::from_spki_der(&spki).map_err(|_: KeyError| CertificateError::Key)?;
        let time = |time: &x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok();
            seconds.and_then(Timestamp::from_unix_s).ok_or(CertificateError::Form("validity"))
        };
        let (valid_from, valid_until) = (time(&part.validity.not_before)?, time(&part.validity.not_after)?);
        let extensions = Extensions::of(part.extensions.as_deref().unwrap_or_default())?;
        Ok(Certificate { der: der.to_vec(), tbs, x509, key, valid_from, valid_until, extensions })
    }

    /// Returns the DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the SHA-256 of the DER.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// Returns the key.
    pub fn key(&self) -> &SubjectKey {
        &self.key
    }

    /// Returns the first second in which it is valid.
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// Returns the last second in which it is valid.
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// Returns who it says the signer is.
    pub fn subject(&self) -> Result<Subject, CertificateError> {
        let [name] = self.extensions.names.as_slice() else {
            return Err(CertificateError::Names { found: self.extensions.names.len() });
        };
        let name = match name {
            GeneralName::Rfc822Name(text) => SubjectName::Email(text.to_string()),
            GeneralName::UniformResourceIdentifier(text) => SubjectName::Uri(text.to_string()),
            GeneralName::OtherName(other) if other.type_id == OTHER_NAME => {
                let text = other.value.decode_as::<Utf8StringRef<'_>>();
                SubjectName::Other(text.map_err(|_| CertificateError::Form("user name"))?.to_string())
            }
            _ => return Err(CertificateError::Names { found: 0 }),
        };
        let issuer = match (&self.extensions.issuer_v1, &self.extensions.issuer_v2) {
            (None, None) => return Err(CertificateError::NoIssuer),
            (Some(old), Some(new)) if old != new => {
                return Err(CertificateError::Issuers(clip(old), clip(new)));
            }
            (_, Some(issuer)) | (Some(issuer), None) => issuer.clone(),
        };
        Ok(Subject { name, issuer })
    }

    /// Returns what the issuer says about the build, in the order of the certificate.
    pub fn claims(&self) -> &[(Claim, String)] {
        &self.extensions.claims
    }

    /// Returns one of [`Certificate::claims`].
    pub fn claim(&self, claim: Claim) -> Option<&str> {
        self.extensions.claims.iter().find(|(known, _)| *known == claim).map(|(_, text)| text.as_str())
    }

    pub(crate) fn x509(&self) -> &x509_cert::Certificate {
        &self.x509
    }

    pub(crate) fn scts(&self) -> Option<&[u8]> {
        self.extensions.scts.as_deref()
    }

    pub(crate) fn is_authority(&self) -> bool {
        self.extensions.basic_constraints.as_ref().is_some_and(|(_, basic)| basic.ca)
    }

    fn has_usage(&self, usage: KeyUsages) -> bool {
        self.extensions.key_usage.as_ref().is_some_and(|known| known.0.contains(usage))
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl Extensions {
    fn of(list: &[x509_cert::ext::Extension]) -> Result<Extensions, CertificateError> {
        let mut out = Extensions::default();
        for (index, extension) in list.iter().enumerate() {
            if list[..index].iter().any(|other| other.extn_id == extension.extn_id) {
                return Err(CertificateError::Twice(extension.extn_id.to_string()));
            }
            out.read(extension)?;
        }
        Ok(out)
    }

    fn read(&mut self, extension: &x509_cert::ext::Extension) -> Result<(), CertificateError> {
        let bytes = extension.extn_value.as_bytes();
        let form = |name| move |_: der::Error| CertificateError::Form(name);
        let critical = extension.critical;
        match extension.extn_id {
            BASIC_CONSTRAINTS => {
                let basic = BasicConstraints::from_der(bytes).map_err(form("basic constraints"))?;
                self.basic_constraints = Some((critical, basic));
            }
            KEY_USAGE => self.key_usage = Some(KeyUsage::from_der(bytes).map_err(form("key usage"))?),
            EXTENDED_KEY_USAGE => {
                let usage = ExtendedKeyUsage::from_der(bytes).map_err(form("extended key usage"))?;
                self.extended_key_usage = Some((critical, usage));
            }
            SUBJECT_ALT_NAME => {
                self.names = SubjectAltName::from_der(bytes).map_err(form("subject alternative name"))?.0;
            }
            NAME_CONSTRAINTS => self.constrains_names = true,
            SCT_LIST => {
                let list = OctetString::from_der(bytes).map_err(form("list of signed certificate timestamps"))?;
                self.scts = Some(list.into_bytes());
            }
            // The first six of Fulcio's extensions hold bare text, the others DER.
            ISSUER_V1 => {
                let text = String::from_utf8(bytes.to_vec()).map_err(|_| CertificateError::Form("issuer"))?;
                self.issuer_v1 = Some(text);
            }
            ISSUER_V2 => self.issuer_v2 = Some(utf8(bytes).map_err(form("issuer"))?),
            oid => match Claim::of_oid(&oid) {
                Some(claim) => self.claims.push((claim, utf8(bytes).map_err(form("extension of Fulcio"))?)),
                None if critical => self.unknown_critical = Some(oid),
                None => {}
            },
        }
        Ok(())
    }
}

fn utf8(der: &[u8]) -> Result<String, der::Error> {
    Ok(Utf8StringRef::from_der(der)?.to_string())
}

fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests;
