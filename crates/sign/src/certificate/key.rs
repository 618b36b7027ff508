//! Keys as certificates have them: more kinds than we sign with, for verification only.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use wire::digest::Digest;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::key::{KeyError, PublicKey, SignatureError};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A public key of a certificate, a certificate transparency log or a time-stamp authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectKey {
    kind: Kind,
    spki: Vec<u8>,
    bits: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    Rsa,
}

/// The hash that a key's signatures are made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prehash {
    /// Sigstore's name for it: `SHA2_256`.
    pub name: &'static str,
    algorithm: &'static digest::Algorithm,
}

impl Prehash {
    /// Returns how many bytes a digest has.
    pub fn size(&self) -> usize {
        self.algorithm.output_len()
    }
}

/// A hash function, as signature algorithms name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// What a signature algorithm's identifier names: the family of keys, and the hash where it names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Ecdsa(Hash),
    Rsa(Hash),
    Ed25519,
}

impl Hash {
    const ALL: [(ObjectIdentifier, Hash); 3] = [
        (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), Hash::Sha256),
        (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"), Hash::Sha384),
        (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"), Hash::Sha512),
    ];

    pub(crate) fn of_oid(oid: &ObjectIdentifier) -> Option<Hash> {
        Hash::ALL.iter().find(|(known, _)| known == oid).map(|(_, hash)| *hash)
    }

    pub(crate) fn oid(self) -> ObjectIdentifier {
        Hash::ALL.iter().find(|(_, hash)| *hash == self).expect("every hash has an identifier").0
    }

    pub(crate) fn of(self, message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message).as_ref().to_vec()
    }
}

impl Scheme {
    const ALL: [(ObjectIdentifier, Scheme); 7] = [
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), Scheme::Ecdsa(Hash::Sha256)),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), Scheme::Ecdsa(Hash::Sha384)),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), Scheme::Ecdsa(Hash::Sha512)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), Scheme::Rsa(Hash::Sha256)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), Scheme::Rsa(Hash::Sha384)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), Scheme::Rsa(Hash::Sha512)),
        (ED25519, Scheme::Ed25519),
    ];

    /// Returns the scheme of an X.509 signature algorithm.
    pub(crate) fn of(algorithm: &AlgorithmIdentifierOwned) -> Option<Scheme> {
        Scheme::ALL.iter().find(|(known, _)| *known == algorithm.oid).map(|(_, scheme)| *scheme)
    }

    /// Returns the scheme of a CMS signature, whose hash may be named apart from it (RFC 3370 §3.2).
    pub(crate) fn of_cms(algorithm: &AlgorithmIdentifierOwned, hash: Hash) -> Option<Scheme> {
        if algorithm.oid == RSA {
            return Some(Scheme::Rsa(hash));
        }
        Scheme::of(algorithm)
    }
}

impl SubjectKey {
    /// Reads a SubjectPublicKeyInfo: P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits.
    pub fn from_spki_der(der: &[u8]) -> Result<SubjectKey, KeyError> {
        let info = SubjectPublicKeyInfoOwned::from_der(der).map_err(|_| KeyError::Unsupported)?;
        let curve = || info.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        let kind = match info.algorithm.oid {
            EC if curve() == Some(P256) => Kind::EcdsaP256,
            EC if curve() == Some(P384) => Kind::EcdsaP384,
            EC if curve() == Some(P521) => Kind::EcdsaP521,
            ED25519 => Kind::Ed25519,
            RSA => Kind::Rsa,
            _ => return Err(KeyError::Unsupported),
        };
        let bits = info.subject_public_key.as_bytes().ok_or(KeyError::Unsupported)?.to_vec();
        let key = SubjectKey { kind, spki: der.to_vec(), bits };
        UnparsedPublicKey::new(key.own_algorithm(), &key.bits).parse().map_err(|_| KeyError::Unsupported)?;
        Ok(key)
    }

    /// Reads a PKCS #1 RSAPublicKey, as old trusted roots have it.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<SubjectKey, KeyError> {
        let algorithm = AlgorithmIdentifierOwned { oid: RSA, parameters: Some(der::Any::null()) };
        let subject_public_key = der::asn1::BitString::from_bytes(der).map_err(|_| KeyError::Unsupported)?;
        let info = SubjectPublicKeyInfoOwned { algorithm, subject_public_key };
        SubjectKey::from_spki_der(&info.to_der().map_err(|_| KeyError::Unsupported)?)
    }

    /// Returns the SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Returns the SHA-256 of the SubjectPublicKeyInfo.
    pub fn id(&self) -> Digest {
        Digest::of(&self.spki)
    }

    /// Returns the length of an RSA key's modulus; `None` for other kinds.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        if self.kind != Kind::Rsa {
            return None;
        }
        let Ok(mut reader) = der::SliceReader::new(&self.bits) else { return Some(0) };
        let modulus = der::Reader::sequence(&mut reader, |parts| {
            let modulus = der::asn1::Uint::decode(parts)?;
            der::asn1::Uint::decode(parts)?;
            Ok(modulus)
        });
        let Ok(modulus) = modulus else { return Some(0) };
        let unused = modulus.as_bytes().first().map_or(0, |first| first.leading_zeros() as usize);
        Some(modulus.as_bytes().len() * 8 - unused)
    }

    /// Returns Sigstore's name for the algorithm that the key signs with.
    pub fn key_details(&self) -> &'static str {
        match (self.kind, self.bits.len()) {
            (Kind::EcdsaP256, _) => "PKIX_ECDSA_P256_SHA_256",
            (Kind::EcdsaP384, _) => "PKIX_ECDSA_P384_SHA_384",
            (Kind::EcdsaP521, _) => "PKIX_ECDSA_P521_SHA_512",
            (Kind::Ed25519, _) => "PKIX_ED25519",
            (Kind::Rsa, ..300) => "PKIX_RSA_PKCS1V15_2048_SHA256",
            (Kind::Rsa, 300..450) => "PKIX_RSA_PKCS1V15_3072_SHA256",
            (Kind::Rsa, _) => "PKIX_RSA_PKCS1V15_4096_SHA256",
        }
    }

    /// Checks a signature by the algorithm that Sigstore has for this kind of key: the curve's own hash, or RSA PKCS #1
    /// v1.5 with SHA-256.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.check(self.own_algorithm(), message, signature)
    }

    /// Checks a signature over a message of which only the SHA-256 is known; keys that sign with another hash, or the
    /// message itself, refuse.
    pub fn verify_sha256(&self, sha256: &Digest, signature: &[u8]) -> Result<(), SignatureError> {
        match self.prehash() {
            Some(Prehash { name: "SHA2_256", .. }) => self.verify_digest(sha256.bytes(), signature),
            _ => Err(SignatureError),
        }
    }

    /// Returns the hash that the key's signatures are made over; `None` for Ed25519, which signs the message itself.
    pub fn prehash(&self) -> Option<Prehash> {
        let (name, algorithm) = match self.kind {
            Kind::EcdsaP256 | Kind::Rsa => ("SHA2_256", &digest::SHA256),
            Kind::EcdsaP384 => ("SHA2_384", &digest::SHA384),
            Kind::EcdsaP521 => ("SHA2_512", &digest::SHA512),
            Kind::Ed25519 => return None,
        };
        Some(Prehash { name, algorithm })
    }

    /// Checks a signature over a message of which only the digest is known, by the hash of [`SubjectKey::prehash`].
    pub fn verify_digest(&self, digest: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let Prehash { algorithm, .. } = self.prehash().ok_or(SignatureError)?;
        let digest = digest::Digest::import_less_safe(digest, algorithm).map_err(|_| SignatureError)?;
        let key = UnparsedPublicKey::new(self.own_algorithm(), &self.bits);
        key.verify_digest(&digest, signature).map_err(|_| SignatureError)
    }

    /// Checks a signature of a stated scheme.
    pub(crate) fn verify_as(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let algorithm: &dyn VerificationAlgorithm = match (self.kind, scheme) {
            (Kind::EcdsaP256, Scheme::Ecdsa(Hash::Sha256)) => &signature::ECDSA_P256_SHA256_ASN1,
            (Kind::EcdsaP256, Scheme::Ecdsa(Hash::Sha384)) => &signature::ECDSA_P256_SHA384_ASN1,
            (Kind::EcdsaP256, Scheme::Ecdsa(Hash::Sha512)) => &signature::ECDSA_P256_SHA512_ASN1,
            (Kind::EcdsaP384, Scheme::Ecdsa(Hash::Sha256)) => &signature::ECDSA_P384_SHA256_ASN1,
            (Kind::EcdsaP384, Scheme::Ecdsa(Hash::Sha384)) => &signature::ECDSA_P384_SHA384_ASN1,
            (Kind::EcdsaP384, Scheme::Ecdsa(Hash::Sha512)) => &signature::ECDSA_P384_SHA512_ASN1,
            (Kind::EcdsaP521, Scheme::Ecdsa(Hash::Sha512)) => &signature::ECDSA_P521_SHA512_ASN1,
            (Kind::Rsa, Scheme::Rsa(Hash::Sha256)) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa, Scheme::Rsa(Hash::Sha384)) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, Scheme::Rsa(Hash::Sha512)) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Kind::Ed25519, Scheme::Ed25519) => &signature::ED25519,
            _ => return Err(SignatureError),
        };
        self.check(algorithm, message, signature)
    }

    fn own_algorithm(&self) -> &'static dyn VerificationAlgorithm {
        match self.kind {
            Kind::EcdsaP256 => &signature::ECDSA_P256_SHA256_ASN1,
            Kind::EcdsaP384 => &signature::ECDSA_P384_SHA384_ASN1,
            Kind::EcdsaP521 => &signature::ECDSA_P521_SHA512_ASN1,
            Kind::Ed25519 => &signature::ED25519,
            Kind::Rsa => &signature::RSA_PKCS1_2048_8192_SHA256,
        }
    }

    fn check(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        UnparsedPublicKey::new(algorithm, &self.bits).verify(message, signature).map_err(|_| SignatureError)
    }
}

impl From<&PublicKey> for SubjectKey {
    fn from(key: &PublicKey) -> SubjectKey {
        SubjectKey::from_spki_der(key.spki_der()).expect("each kind of managed key is one of a certificate's kinds")
    }
}
