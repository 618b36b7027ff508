//! Issuing certificates: roots, intermediates, time-stampers, and the leaves of keyless signatures.
//!
//! Specification: RFC 5280, and Fulcio's certificate profile
//! <https://github.com/sigstore/fulcio/blob/v1.7.1/docs/certificate-specification.md>: a leaf has no subject, one name as a
//! critical alternative, and the usage of signing code; it lives for ten minutes. It is issued in two steps, because a log
//! must have it before it leaves: [`Authority::draft`], then [`Draft::finish`] with the log's promise.
//!
//! Time and serial numbers come as arguments. ECDSA's own randomness does not: the library takes it from the operating
//! system.

use der::asn1::{BitString, Ia5String, Null, ObjectIdentifier, OctetString, UtcTime, Utf8StringRef};
use der::{Any, Decode as _, Encode, Tag};
use wire::digest::Digest;
use wire::timestamp::Timestamp;
use x509_cert::TbsCertificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use crate::SigningKey;
use crate::certificate::{
    BASIC_CONSTRAINTS, CODE_SIGNING, EXTENDED_KEY_USAGE, KEY_USAGE, OTHER_NAME, POISON, SCT_LIST, SUBJECT_ALT_NAME,
    TIME_STAMPING,
};
use crate::certificate::{Certificate, CertificateError, SubjectKey, SubjectName};
use crate::sct;

/// How long a leaf lives.
pub const LEAF_VALIDITY_S: i64 = 600;

/// The longest name or extension of a leaf.
pub const TEXT_MAX: usize = 4096;

const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A key that issues, and its certificates.
pub struct Authority {
    key: SigningKey,
    chain: Vec<Certificate>,
}

/// A serial number: positive, always of 20 bytes, random but for two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial([u8; 20]);

/// What a certificate of an authority is called, and when it counts.
#[derive(Clone, Debug)]
pub struct Title<'a> {
    /// Organization: the instance's name.
    pub organization: &'a str,
    /// Common name.
    pub common_name: &'a str,
    /// First second.
    pub valid_from: Timestamp,
    /// Last second.
    pub valid_until: Timestamp,
    /// Its number.
    pub serial: Serial,
}

/// What an authority that stands directly below a root issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Below {
    /// Leaves of keyless signatures.
    Leaves,
    /// Times: it is no authority itself.
    Times,
}

/// A value of one of Fulcio's extensions, `1.3.6.1.4.1.57264.1.N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FulcioValue {
    number: u32,
    text: String,
}

/// What a leaf says.
#[derive(Clone, Debug)]
pub struct Leaf<'a> {
    /// The signer's key.
    pub key: &'a SubjectKey,
    /// The signer's name.
    pub name: &'a SubjectName,
    /// URL of who vouched for it: extensions 1 and 8.
    pub issuer: &'a str,
    /// The other extensions.
    pub values: &'a [FulcioValue],
    /// First second of its [`LEAF_VALIDITY_S`].
    pub valid_from: Timestamp,
    /// Its number.
    pub serial: Serial,
}

/// A leaf that no log has promised to show yet.
pub struct Draft {
    tbs: TbsCertificate,
    entry: Vec<u8>,
    precertificate: Vec<u8>,
    at: Timestamp,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A name or value that a certificate cannot hold.
    #[error("{what} cannot stand in a certificate: expected 1 to {TEXT_MAX} bytes of the form that it takes")]
    Text {
        /// `the e-mail address`, …
        what: &'static str,
    },
    /// A key of another kind than the issuing certificate's, or not its own.
    #[error("the issuing key is not that of the first certificate of its chain")]
    Key,
    /// A chain that does not lead up.
    #[error("the issuing chain is empty, or its first certificate is no authority's")]
    Chain,
    /// The library refused to write it.
    #[error("writing a certificate")]
    Der(#[from] der::Error),
    /// What was written is no certificate that would be read.
    #[error("reading a certificate that was just written")]
    Certificate(#[from] CertificateError),
    /// The log's key.
    #[error("the log's entry is too large")]
    Entry,
}

impl Serial {
    /// Makes a serial number of random bytes.
    pub fn new(mut random: [u8; 20]) -> Serial {
        random[0] = random[0] & 0x7f | 0x40;
        Serial(random)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FulcioValue {
    /// Makes a value; `None` unless that extension is one of a leaf's: 2 to 6, or 9 to 24.
    pub fn new(number: u32, text: impl Into<String>) -> Option<FulcioValue> {
        matches!(number, 2..=6 | 9..=24).then(|| FulcioValue { number, text: text.into() })
    }

    /// Returns the last number of the object identifier.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Makes a root: it may have one authority below it, and signs certificates alone.
pub fn root(title: &Title<'_>, key: &SigningKey, below: Below) -> Result<Certificate, IssueError> {
    let name = name(title)?;
    let spki = key.public().spki_der();
    let levels = u8::from(below == Below::Leaves);
    let extensions =
        vec![key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)?, constraints(levels)?, subject_key_id(spki)?];
    let tbs = tbs(title.serial, (name.clone(), name), spki, (title.valid_from, title.valid_until), extensions)?;
    sign(&tbs, key)
}

impl Authority {
    /// Takes a key and its certificates, its own first, the anchor last.
    pub fn new(key: SigningKey, chain: Vec<Certificate>) -> Result<Authority, IssueError> {
        let first = chain.first().filter(|first| first.is_authority()).ok_or(IssueError::Chain)?;
        if first.key().spki_der() != key.public().spki_der() {
            return Err(IssueError::Key);
        }
        Ok(Authority { key, chain })
    }

    /// Returns the certificates, its own first, the anchor last.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Issues what stands below a root: an intermediate for leaves, or the certificate of a time-stamper.
    pub fn issue(&self, title: &Title<'_>, key: &SigningKey, below: Below) -> Result<Certificate, IssueError> {
        let spki = key.public().spki_der();
        let mut extensions = match below {
            Below::Leaves => vec![
                key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)?,
                constraints(0)?,
                extended_key_usage(CODE_SIGNING, false)?,
            ],
            // RFC 3161 §2.3: critical, and nothing beside it.
            Below::Times => {
                vec![key_usage(KeyUsages::DigitalSignature.into())?, extended_key_usage(TIME_STAMPING, true)?]
            }
        };
        extensions.push(subject_key_id(spki)?);
        extensions.push(self.key_id()?);
        let names = (self.name(), name(title)?);
        sign(&tbs(title.serial, names, spki, (title.valid_from, title.valid_until), extensions)?, &self.key)
    }

    /// Prepares a leaf: what a log must have before [`Draft::finish`] issues it.
    pub fn draft(&self, leaf: &Leaf<'_>) -> Result<Draft, IssueError> {
        let spki = leaf.key.spki_der();
        let mut extensions = vec![
            key_usage(KeyUsages::DigitalSignature.into())?,
            extended_key_usage(CODE_SIGNING, false)?,
            subject_key_id(spki)?,
            self.key_id()?,
            extension(SUBJECT_ALT_NAME, true, &SubjectAltName(vec![general_name(leaf.name)?]))?,
            fulcio_extension(1, leaf.issuer)?,
        ];
        let (old, new): (Vec<_>, Vec<_>) = leaf.values.iter().partition(|value| value.number < 8);
        for value in old {
            extensions.push(fulcio_extension(value.number, &value.text)?);
        }
        extensions.push(fulcio_extension(8, leaf.issuer)?);
        for value in new {
            extensions.push(fulcio_extension(value.number, &value.text)?);
        }
        let validity = (leaf.valid_from, leaf.valid_from.plus_s(LEAF_VALIDITY_S));
        let names = (self.name(), Name::default());
        let mut tbs = tbs(leaf.serial, names, spki, validity, extensions)?;
        let issuer = self.chain[0].key().id();
        let entry = sct::entry(&issuer, &tbs.to_der()?, unix_ms(leaf.valid_from)).ok_or(IssueError::Entry)?;
        let poison = extension(POISON, true, &Null)?;
        tbs.extensions.get_or_insert_default().push(poison);
        let precertificate = sign_der(&tbs, &self.key)?;
        tbs.extensions.get_or_insert_default().pop();
        Ok(Draft { tbs, entry, precertificate, at: leaf.valid_from })
    }

    fn name(&self) -> Name {
        self.chain[0].x509().tbs_certificate.subject.clone()
    }

    fn key_id(&self) -> Result<Extension, IssueError> {
        let id = key_id(self.chain[0].key().spki_der())?;
        let id = AuthorityKeyIdentifier { key_identifier: Some(id), ..AuthorityKeyIdentifier::default() };
        extension(AUTHORITY_KEY_ID, false, &id)
    }
}

impl Draft {
    /// Returns the log's leaf: a MerkleTreeLeaf of RFC 6962 §3.4 without extensions.
    pub fn entry(&self) -> &[u8] {
        &self.entry
    }

    /// Returns the certificate with the poison extension, for who reads the log.
    pub fn precertificate(&self) -> &[u8] {
        &self.precertificate
    }

    /// Issues the certificate. Only to be called once the log's entry is durable: the promise says so.
    pub fn finish(mut self, authority: &Authority, log: &SigningKey) -> Result<Certificate, IssueError> {
        let list = sct::promise(&self.entry, unix_ms(self.at), log);
        let list = extension(SCT_LIST, false, &OctetString::new(list)?)?;
        self.tbs.extensions.get_or_insert_default().push(list);
        sign(&self.tbs, &authority.key)
    }
}

fn unix_ms(at: Timestamp) -> u64 {
    at.unix_s().unsigned_abs() * 1000
}

fn name(title: &Title<'_>) -> Result<Name, IssueError> {
    const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
    const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
    let part = |oid, text: &str| {
        // RFC 5280, appendix A.1: 64 characters.
        let text: String = text.chars().take(64).collect();
        let value = Any::new(Tag::Utf8String, text.into_bytes())?;
        let part = x509_cert::attr::AttributeTypeAndValue { oid, value };
        Ok::<_, der::Error>(x509_cert::name::RelativeDistinguishedName(vec![part].try_into()?))
    };
    let parts = vec![part(ORGANIZATION, title.organization)?, part(COMMON_NAME, title.common_name)?];
    Ok(x509_cert::name::RdnSequence(parts))
}

fn general_name(name: &SubjectName) -> Result<GeneralName, IssueError> {
    let fits = |text: &str| (1..=TEXT_MAX).contains(&text.len());
    let plain = |text: &str| fits(text) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match name {
        SubjectName::Email(text) if plain(text) && text.contains('@') => {
            Ok(GeneralName::Rfc822Name(Ia5String::new(text)?))
        }
        SubjectName::Uri(text) if plain(text) && text.contains(':') => {
            Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(text)?))
        }
        SubjectName::Other(text) if fits(text) => {
            let value = Any::encode_from(&Utf8StringRef::new(text)?)?;
            Ok(GeneralName::OtherName(OtherName { type_id: OTHER_NAME, value }))
        }
        SubjectName::Email(_) => Err(IssueError::Text { what: "the e-mail address" }),
        SubjectName::Uri(_) => Err(IssueError::Text { what: "the URI" }),
        SubjectName::Other(_) => Err(IssueError::Text { what: "the user name" }),
    }
}

/// The first six hold bare text, the others DER.
fn fulcio_extension(number: u32, text: &str) -> Result<Extension, IssueError> {
    if !(1..=TEXT_MAX).contains(&text.len()) {
        return Err(IssueError::Text { what: "a claim of the token" });
    }
    let extn_id = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
    let extn_id = extn_id.push_arc(number).expect("a short identifier takes one more number");
    match number {
        1..=6 => Ok(Extension { extn_id, critical: false, extn_value: OctetString::new(text.as_bytes())? }),
        _ => extension(extn_id, false, &Utf8StringRef::new(text)?),
    }
}

fn extension(extn_id: ObjectIdentifier, critical: bool, value: &impl Encode) -> Result<Extension, IssueError> {
    Ok(Extension { extn_id, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn key_usage(usages: der::flagset::FlagSet<KeyUsages>) -> Result<Extension, IssueError> {
    extension(KEY_USAGE, true, &KeyUsage(usages))
}

fn extended_key_usage(usage: ObjectIdentifier, critical: bool) -> Result<Extension, IssueError> {
    extension(EXTENDED_KEY_USAGE, critical, &ExtendedKeyUsage(vec![usage]))
}

fn constraints(levels_below: u8) -> Result<Extension, IssueError> {
    extension(BASIC_CONSTRAINTS, true, &BasicConstraints { ca: true, path_len_constraint: Some(levels_below) })
}

fn subject_key_id(spki: &[u8]) -> Result<Extension, IssueError> {
    extension(SUBJECT_KEY_ID, false, &SubjectKeyIdentifier(key_id(spki)?))
}

/// The first 160 bits of the SHA-256 of the key (RFC 7093 §2, method 1).
fn key_id(spki: &[u8]) -> Result<OctetString, IssueError> {
    let info = SubjectPublicKeyInfoOwned::from_der(spki)?;
    Ok(OctetString::new(&Digest::of(info.subject_public_key.raw_bytes()).bytes()[..20])?)
}

fn tbs(
    serial: Serial,
    (issuer, subject): (Name, Name),
    spki: &[u8],
    (from, until): (Timestamp, Timestamp),
    extensions: Vec<Extension>,
) -> Result<TbsCertificate, IssueError> {
    Ok(TbsCertificate {
        version: x509_cert::Version::V3,
        serial_number: SerialNumber::new(serial.bytes())?,
        signature: algorithm(),
        issuer,
        validity: Validity { not_before: time(from)?, not_after: time(until)? },
        subject,
        subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(spki)?,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    })
}

/// RFC 5280 §4.1.2.5: UTCTime through the year 2049, GeneralizedTime from 2050 on.
fn time(at: Timestamp) -> Result<Time, IssueError> {
    let since = std::time::Duration::from_secs(at.unix_s().unsigned_abs());
    Ok(match UtcTime::from_unix_duration(since) {
        Ok(time) => Time::UtcTime(time),
        Err(_) => Time::GeneralTime(der::asn1::GeneralizedTime::from_unix_duration(since)?),
    })
}

/// What [`SigningKey`] signs with.
pub(crate) fn algorithm() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ECDSA_SHA256, parameters: None }
}

fn sign(tbs: &TbsCertificate, key: &SigningKey) -> Result<Certificate, IssueError> {
    Ok(Certificate::from_der(&sign_der(tbs, key)?)?)
}

fn sign_der(tbs: &TbsCertificate, key: &SigningKey) -> Result<Vec<u8>, IssueError> {
    let signature = BitString::from_bytes(&key.sign(&tbs.to_der()?))?;
    let certificate =
        x509_cert::Certificate { tbs_certificate: tbs.clone(), signature_algorithm: algorithm(), signature };
    Ok(certificate.to_der()?)
}

#[cfg(test)]
mod tests;
