//! A time-stamp authority: from a request's bytes to a response's.
//!
//! Specifications: RFC 3161 <https://www.rfc-editor.org/rfc/rfc3161> with RFC 5816, over CMS (RFC 5652), and ESSCertIDv2
//! (RFC 5035). What is refused is answered with a status and the reason's bit, never with a token.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{BitString, GeneralizedTime, Int, ObjectIdentifier, OctetString, SetOfVec, Uint};
use der::{Any, Decode as _, Encode as _, Sequence};
use wire::timestamp::Timestamp;
use x509_cert::attr::Attribute;
use x509_cert::ext::Extensions;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::SigningKey;
use crate::certificate::{Certificate, Hash};
use crate::issuing::{Serial, algorithm};
use crate::stamp::{CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE_V2, TST_INFO};

/// The largest request that is read; one has about 60 bytes.
pub const REQUEST_SIZE_MAX: usize = 4 << 10;

/// The one policy that stamps are issued under: what Sigstore's time-stamp authority says unless it is told otherwise.
pub const POLICY: &str = "1.3.6.1.4.1.57264.2";

/// The longest nonce that is echoed.
const NONCE_MAX: usize = 64;

/// How far a stamp's time may be from the true one, as it says.
const ACCURACY_S: u8 = 1;

/// A key that stamps, and its certificates.
pub struct Stamper {
    key: SigningKey,
    chain: Vec<Certificate>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    imprint: Imprint,
    policy: Option<ObjectIdentifier>,
    nonce: Option<Int>,
    wants_certificate: bool,
}

/// Why no time is given: a bit of PKIFailureInfo (RFC 3161 §2.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A hash that is not supported.
    #[error("the hash algorithm is not supported: expected SHA-256, SHA-384 or SHA-512")]
    Algorithm = 0,
    /// A hash of another length than its algorithm's.
    #[error("the hash has another length than its algorithm gives")]
    Request = 2,
    /// No request.
    #[error("the request is not in the form of RFC 3161")]
    Format = 5,
    /// Another policy.
    #[error("the requested policy is not offered")]
    Policy = 15,
    /// An extension.
    #[error("the requested extension is not supported")]
    Extension = 16,
    /// Something failed here.
    #[error("the authority failed")]
    Failure = 25,
}

/// Why a key and certificates are no time-stamp authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time-stamping key is not that of the first certificate of its chain, or that is an authority's")]
pub struct StamperError;

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Imprint {
    algorithm: AlgorithmIdentifierOwned,
    hash: OctetString,
}

#[derive(Sequence)]
struct TimeStampReq {
    version: u8,
    imprint: Imprint,
    policy: Option<ObjectIdentifier>,
    nonce: Option<Int>,
    #[asn1(default = "Default::default")]
    wants_certificate: bool,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    imprint: Imprint,
    serial: Uint,
    time: GeneralizedTime,
    accuracy: Accuracy,
    nonce: Option<Int>,
}

#[derive(Sequence)]
struct Accuracy {
    seconds: u8,
}

#[derive(Sequence)]
struct Granted {
    status: GrantedStatus,
    token: ContentInfo,
}

#[derive(Sequence)]
struct GrantedStatus {
    status: u8,
}

#[derive(Sequence)]
struct Refused {
    status: RefusedStatus,
}

#[derive(Sequence)]
struct RefusedStatus {
    status: u8,
    text: Vec<String>,
    reason: BitString,
}

#[derive(Sequence)]
struct SigningCertificateV2 {
    certificates: Vec<EssCertIdV2>,
}

/// Without `hashAlgorithm` the hash is SHA-256.
#[derive(Sequence)]
struct EssCertIdV2 {
    hash: OctetString,
}

impl Request {
    /// Reads a request.
    pub fn from_der(der: &[u8]) -> Result<Request, Refusal> {
        if der.len() > REQUEST_SIZE_MAX {
            return Err(Refusal::Format);
        }
        let request = TimeStampReq::from_der(der).map_err(|_| Refusal::Format)?;
        if request.version != 1 || request.nonce.as_ref().is_some_and(|nonce| nonce.as_bytes().len() > NONCE_MAX) {
            return Err(Refusal::Format);
        }
        // RFC 3161 §2.4.1: an extension is refused, whether it is critical or not.
        if request.extensions.is_some() {
            return Err(Refusal::Extension);
        }
        let TimeStampReq { imprint, policy, nonce, wants_certificate, .. } = request;
        Request { imprint, policy, nonce, wants_certificate }.checked()
    }

    /// Makes a request of its parts, as Sigstore's JSON form has them: the hash algorithm is `sha256`, `sha384` or `sha512`.
    pub fn of_parts(
        algorithm: &str,
        hash: &[u8],
        policy: Option<&str>,
        nonce: Option<u64>,
        wants_certificate: bool,
    ) -> Result<Request, Refusal> {
        let oid = match algorithm {
            "sha256" => Hash::Sha256.oid(),
            "sha384" => Hash::Sha384.oid(),
            "sha512" => Hash::Sha512.oid(),
            _ => return Err(Refusal::Algorithm),
        };
        let algorithm = AlgorithmIdentifierOwned { oid, parameters: None };
        let imprint = Imprint { algorithm, hash: OctetString::new(hash).map_err(|_| Refusal::Request)? };
        let policy = policy.map(str::parse).transpose().map_err(|_| Refusal::Policy)?;
        let nonce = nonce.map(|nonce| Uint::new(&nonce.to_be_bytes()).map(Int::from));
        let nonce = nonce.transpose().map_err(|_| Refusal::Format)?;
        Request { imprint, policy, nonce, wants_certificate }.checked()
    }

    fn checked(self) -> Result<Request, Refusal> {
        let hash = Hash::of_oid(&self.imprint.algorithm.oid).ok_or(Refusal::Algorithm)?;
        let null = |any: &Any| any.is_null();
        if self.imprint.algorithm.parameters.as_ref().is_some_and(|parameters| !null(parameters)) {
            return Err(Refusal::Algorithm);
        }
        if self.imprint.hash.as_bytes().len() != hash.of(b"").len() {
            return Err(Refusal::Request);
        }
        match self.policy {
            Some(policy) if policy != own_policy() => Err(Refusal::Policy),
            _ => Ok(self),
        }
    }
}

impl Refusal {
    /// Returns the response that says so.
    pub fn to_response(self) -> Vec<u8> {
        let bit = self as u8;
        let mut bytes = vec![0; usize::from(bit / 8) + 1];
        bytes[usize::from(bit / 8)] = 0x80 >> (bit % 8);
        let reason = BitString::new(7 - bit % 8, bytes).expect("the last byte has that many unused bits");
        let status = RefusedStatus { status: 2, text: vec![self.to_string()], reason };
        Refused { status }.to_der().expect("a refusal is DER")
    }
}

impl Stamper {
    /// Takes a key and its certificates: its own first, the anchor last.
    pub fn new(key: SigningKey, chain: Vec<Certificate>) -> Result<Stamper, StamperError> {
        let own = chain.first().filter(|own| !own.is_authority()).ok_or(StamperError)?;
        match own.key().spki_der() == key.public().spki_der() {
            true => Ok(Stamper { key, chain }),
            false => Err(StamperError),
        }
    }

    /// Returns the certificates: its own first, the anchor last.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Answers a request's bytes: always with a response, granted or refused.
    pub fn answer(&self, request: &[u8], now: Timestamp, serial: Serial) -> Vec<u8> {
        match Request::from_der(request).and_then(|request| self.grant(&request, now, serial)) {
            Ok(response) => response,
            Err(refusal) => refusal.to_response(),
        }
    }

    /// Answers a request with a time.
    pub fn grant(&self, request: &Request, now: Timestamp, serial: Serial) -> Result<Vec<u8>, Refusal> {
        self.respond(request, now, serial).map_err(|_: der::Error| Refusal::Failure)
    }

    fn respond(&self, request: &Request, now: Timestamp, serial: Serial) -> Result<Vec<u8>, der::Error> {
        let time = std::time::Duration::from_secs(now.unix_s().unsigned_abs());
        let info = TstInfo {
            version: 1,
            policy: own_policy(),
            imprint: request.imprint.clone(),
            serial: Uint::new(serial.bytes())?,
            time: GeneralizedTime::from_unix_duration(time)?,
            accuracy: Accuracy { seconds: ACCURACY_S },
            nonce: request.nonce.clone(),
        };
        let content = info.to_der()?;
        let sha256 = AlgorithmIdentifierOwned { oid: Hash::Sha256.oid(), parameters: None };
        let own = self.chain[0].x509();
        let certificates = match request.wants_certificate {
            true => Some(CertificateSet(SetOfVec::try_from(vec![CertificateChoices::Certificate(own.clone())])?)),
            false => None,
        };
        let signed = SignedData {
            version: CmsVersion::V3,
            digest_algorithms: SetOfVec::try_from(vec![sha256.clone()])?,
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: TST_INFO,
                econtent: Some(Any::encode_from(&OctetString::new(&content[..])?)?),
            },
            certificates,
            crls: None,
            signer_infos: SignerInfos(SetOfVec::try_from(vec![self.sign(&content, sha256)?])?),
        };
        let token = ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&signed)? };
        Granted { status: GrantedStatus { status: 0 }, token }.to_der()
    }

    fn sign(&self, content: &[u8], sha256: AlgorithmIdentifierOwned) -> Result<SignerInfo, der::Error> {
        let hash = OctetString::new(Hash::Sha256.of(self.chain[0].der()))?;
        let named = SigningCertificateV2 { certificates: vec![EssCertIdV2 { hash }] };
        let attributes = SetOfVec::try_from(vec![
            attribute(CONTENT_TYPE, Any::encode_from(&TST_INFO)?)?,
            attribute(MESSAGE_DIGEST, Any::encode_from(&OctetString::new(Hash::Sha256.of(content))?)?)?,
            attribute(SIGNING_CERTIFICATE_V2, Any::encode_from(&named)?)?,
        ])?;
        // RFC 5652 §5.4: the attributes are signed as a SET OF.
        let signature = self.key.sign(&attributes.to_der()?);
        let part = &self.chain[0].x509().tbs_certificate;
        Ok(SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: part.issuer.clone(),
                serial_number: part.serial_number.clone(),
            }),
            digest_alg: sha256,
            signed_attrs: Some(attributes),
            signature_algorithm: algorithm(),
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        })
    }
}

fn own_policy() -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(POLICY)
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute, der::Error> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

#[cfg(test)]
mod tests;
