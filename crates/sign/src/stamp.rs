//! Times that a time-stamp authority signed.
//!
//! Specifications: RFC 3161 <https://www.rfc-editor.org/rfc/rfc3161> with RFC 5816, over CMS (RFC 5652).
//! What is signed is a hash of the signature's bytes, so the signature existed at that time. No nonce is asked for: the
//! stamp is read long after its request.

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use wire::timestamp::Timestamp;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::authority::Authority;
use crate::certificate::{Certificate, Hash, PathError, Purpose, Scheme, issuer_of};

/// The largest response that is read; with a chain of certificates one has 6 KiB.
pub const SIZE_MAX: usize = 256 << 10;

pub(crate) const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(crate) const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
pub(crate) const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
pub(crate) const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// A time at which a signature existed. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    authority: String,
    at: Timestamp,
    policy: String,
}

/// Why a response proves no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// Over the limit.
    #[error("time-stamp of {0} bytes is larger than the limit of {SIZE_MAX}")]
    Size(usize),
    /// A malformed part.
    #[error("time-stamp has a malformed {0}")]
    Form(&'static str),
    /// The authority refused.
    #[error("the time-stamp authority granted nothing (status {0})")]
    Status(u8),
    /// Not exactly one signer.
    #[error("time-stamp has {0} signers: expected exactly one")]
    Signers(usize),
    /// Over something else.
    #[error("time-stamp is over another signature")]
    Imprint,
    /// A hash or signature algorithm that is not supported.
    #[error("time-stamp uses the unsupported algorithm {0}")]
    Algorithm(String),
    /// A signed attribute that is absent or names something else.
    #[error("time-stamp's signed attribute `{0}` is absent, or is not of its content")]
    Attribute(&'static str),
    /// The signer's certificate is not there.
    #[error("time-stamp is signed by a certificate that neither it nor a trusted authority has")]
    Certificate,
    /// A certificate that has nothing to do with the signer.
    #[error("time-stamp carries a certificate that is neither its signer's nor the authority's")]
    Stranger,
    /// The signature is wrong.
    #[error("time-stamp's signature does not match")]
    Signature,
    /// No authority counted at that time.
    #[error("no time-stamp authority is trusted at {0}")]
    NoAuthority(Timestamp),
    /// No path to a trusted authority.
    #[error("checking the path of the time-stamp's certificate at {at}")]
    Path {
        /// The time in the stamp.
        at: Timestamp,
        /// What is wrong.
        #[source]
        source: PathError,
    },
}

impl Stamp {
    /// Returns the authority's address.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the time.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns the policy under which it was issued, an object identifier.
    pub fn policy(&self) -> &str {
        &self.policy
    }
}

/// What a stamp says (RFC 3161 §2.4.2): the fields that are needed.
struct Info {
    policy: ObjectIdentifier,
    hash: AlgorithmIdentifierOwned,
    imprint: Vec<u8>,
    at: Timestamp,
}

/// Checks that a trusted authority stamped these bytes.
pub fn verify(response: &[u8], stamped: &[u8], authorities: &[Authority]) -> Result<Stamp, StampError> {
    // 1. A granted response with one signer over a TSTInfo.
    let data = open(response)?;
    let content = &data.encap_content_info;
    if content.econtent_type != TST_INFO {
        return Err(StampError::Form("content type"));
    }
    let form = |_: der::Error| StampError::Form("content");
    let content = content.econtent.as_ref().ok_or(StampError::Form("content"))?;
    let content = content.decode_as::<OctetString>().map_err(form)?.into_bytes();
    let info = read_info(&content).map_err(form)?;
    let [signer] = data.signer_infos.0.as_slice() else { return Err(StampError::Signers(data.signer_infos.0.len())) };

    // 2. Over these bytes.
    let versions = (data.version, signer.version);
    let listed = data.digest_algorithms.iter().any(|algorithm| algorithm.oid == signer.digest_alg.oid);
    if versions != (CmsVersion::V3, CmsVersion::V1) || !listed {
        return Err(StampError::Form("signed data"));
    }
    let hash = hash_of(&info.hash)?;
    if hash.of(stamped) != info.imprint {
        return Err(StampError::Imprint);
    }

    // 3. By a certificate of a trusted authority, which counted then.
    let embedded = embedded(&data)?;
    let mut failed = StampError::NoAuthority(info.at);
    for authority in authorities.iter().filter(|authority| authority.window().contains(info.at)) {
        let certificate = signer_certificate(signer, &embedded, authority);
        let checked = certificate.and_then(|certificate| {
            issuer_of(certificate, authority.chain(), Purpose::TimeStamping, info.at)
                .map_err(|source| StampError::Path { at: info.at, source })?;
            Ok(certificate)
        });
        match checked {
            // 4. Signed, the attributes being the content's.
            Ok(certificate) => {
                check_signature(signer, certificate, &content)?;
                let authority = authority.uri().to_owned();
                return Ok(Stamp { authority, at: info.at, policy: info.policy.to_string() });
            }
            Err(StampError::Certificate) if matches!(failed, StampError::Path { .. }) => {}
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Returns the SignedData of a TimeStampResp whose status is granted (RFC 3161 §2.4.2).
fn open(response: &[u8]) -> Result<SignedData, StampError> {
    if response.len() > SIZE_MAX {
        return Err(StampError::Size(response.len()));
    }
    let form = |_: der::Error| StampError::Form("response");
    let mut reader = SliceReader::new(response).map_err(form)?;
    let (status, token) = reader
        .sequence(|reader| {
            let status = reader.sequence(|status| {
                let code = u8::decode(status)?;
                while !status.is_finished() {
                    der::Any::decode(status)?; // statusString, failInfo
                }
                Ok(code)
            })?;
            Ok((status, Option::<ContentInfo>::decode(reader)?))
        })
        .map_err(form)?;
    reader.finish(()).map_err(form)?;
    if status > 1 {
        return Err(StampError::Status(status));
    }
    let token = token.filter(|token| token.content_type == SIGNED_DATA).ok_or(StampError::Form("token"))?;
    token.content.decode_as::<SignedData>().map_err(|_| StampError::Form("signed data"))
}

fn read_info(content: &[u8]) -> Result<Info, der::Error> {
    let mut reader = SliceReader::new(content)?;
    let info = reader.sequence(|reader| {
        if u8::decode(reader)? != 1 {
            return Err(Tag::Integer.value_error());
        }
        let policy = ObjectIdentifier::decode(reader)?;
        let (hash, imprint) = reader.sequence(|imprint| {
            Ok((AlgorithmIdentifierOwned::decode(imprint)?, OctetString::decode(imprint)?.into_bytes()))
        })?;
        der::asn1::Int::decode(reader)?; // serialNumber
        let time = der::Any::decode(reader)?;
        let at = Some(time.value()).filter(|_| time.tag() == Tag::GeneralizedTime).and_then(read_time);
        let at = at.ok_or_else(|| Tag::GeneralizedTime.value_error())?;
        while !reader.is_finished() {
            let next = der::Any::decode(reader)?;
            // accuracy, ordering, nonce, tsa; extensions [1] are refused: one may be critical.
            if next.tag() == (Tag::ContextSpecific { constructed: true, number: der::TagNumber::N1 }) {
                return Err(next.tag().unexpected_error(None));
            }
        }
        Ok(Info { policy, hash, imprint, at })
    })?;
    reader.finish(info)
}

/// Reads `20261122194100Z`, with or without a fraction of a second, which is cut off.
fn read_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let part = |from: usize, to: usize| &whole[from..to];
    let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
    format!("{year}-{month}-{day}T{}:{}:{}Z", part(8, 10), part(10, 12), part(12, 14)).parse().ok()
}

fn hash_of(algorithm: &AlgorithmIdentifierOwned) -> Result<Hash, StampError> {
    Hash::of_oid(&algorithm.oid).ok_or_else(|| StampError::Algorithm(algorithm.oid.to_string()))
}

/// The certificates that the response carries; they are trusted by nobody.
fn embedded(data: &SignedData) -> Result<Vec<Certificate>, StampError> {
    let form = || StampError::Form("certificate");
    let mut out = Vec::new();
    for choice in data.certificates.iter().flat_map(|set| set.0.iter()) {
        let CertificateChoices::Certificate(x509) = choice else { return Err(form()) };
        let der = x509.to_der().map_err(|_| form())?;
        out.push(Certificate::from_der(&der).map_err(|_| form())?);
    }
    Ok(out)
}

/// Finds the signer's certificate. An authority that lists its own accepts no other, and a stranger's beside it refuses.
fn signer_certificate<'a>(
    signer: &SignerInfo,
    embedded: &'a [Certificate],
    authority: &'a Authority,
) -> Result<&'a Certificate, StampError> {
    let SignerIdentifier::IssuerAndSerialNumber(sid) = &signer.sid else { return Err(StampError::Form("signer")) };
    let named = |certificate: &&Certificate| {
        let part = &certificate.x509().tbs_certificate;
        part.issuer == sid.issuer && part.serial_number == sid.serial_number
    };
    let listed: Vec<&Certificate> = authority.chain().iter().filter(|one| !one.is_authority()).collect();
    let found = match listed.is_empty() {
        false => listed.into_iter().find(named),
        true => embedded.iter().find(named),
    };
    let found = found.ok_or(StampError::Certificate)?;
    let stranger = embedded.iter().any(|one| one != found && !authority.chain().contains(one));
    if stranger { Err(StampError::Stranger) } else { Ok(found) }
}

/// Checks the signer's signature over its attributes, and the attributes against content and certificate.
fn check_signature(signer: &SignerInfo, certificate: &Certificate, content: &[u8]) -> Result<(), StampError> {
    let attributes = signer.signed_attrs.as_ref().ok_or(StampError::Attribute("messageDigest"))?;
    let value = |oid: ObjectIdentifier, name: &'static str| {
        let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
        let only = found.next().filter(|_| found.next().is_none()).and_then(|one| match one.values.as_slice() {
            [value] => Some(value),
            _ => None,
        });
        only.ok_or(StampError::Attribute(name))
    };
    let hash = hash_of(&signer.digest_alg)?;
    let kind = value(CONTENT_TYPE, "contentType")?.decode_as::<ObjectIdentifier>();
    if kind.ok() != Some(TST_INFO) {
        return Err(StampError::Attribute("contentType"));
    }
    let digest = value(MESSAGE_DIGEST, "messageDigest")?.decode_as::<OctetString>();
    if digest.ok().is_none_or(|digest| digest.as_bytes() != hash.of(content)) {
        return Err(StampError::Attribute("messageDigest"));
    }
    let named = value(SIGNING_CERTIFICATE_V2, "signingCertificateV2")?.to_der().ok();
    if !named.is_some_and(|named| names_certificate(&named, certificate).unwrap_or(false)) {
        return Err(StampError::Attribute("signingCertificateV2"));
    }
    let scheme = Scheme::of_cms(&signer.signature_algorithm, hash)
        .ok_or_else(|| StampError::Algorithm(signer.signature_algorithm.oid.to_string()))?;
    // RFC 5652 §5.4: the attributes are signed as a SET OF, not as the tagged field that they are sent as.
    let message = attributes.to_der().map_err(|_| StampError::Form("signed attributes"))?;
    let good = certificate.key().verify_as(scheme, &message, signer.signature.as_bytes());
    good.map_err(|_| StampError::Signature)
}

/// Whether a SigningCertificateV2 (RFC 5035 §3) names the certificate first; its hash is SHA-256 unless it says another.
fn names_certificate(der: &[u8], certificate: &Certificate) -> Result<bool, der::Error> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|outer| {
        let found = outer.sequence(|list| {
            let first = list.sequence(|one| {
                let hash = match one.peek_tag()? {
                    Tag::Sequence => Hash::of_oid(&AlgorithmIdentifierOwned::decode(one)?.oid),
                    _ => Some(Hash::Sha256),
                };
                let digest = OctetString::decode(one)?.into_bytes();
                while !one.is_finished() {
                    der::Any::decode(one)?; // issuerSerial
                }
                Ok(hash.is_some_and(|hash| hash.of(certificate.der()) == digest))
            })?;
            while !list.is_finished() {
                der::Any::decode(list)?;
            }
            Ok(first)
        })?;
        while !outer.is_finished() {
            der::Any::decode(outer)?; // policies
        }
        Ok(found)
    })
}
