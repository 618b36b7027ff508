//! Public keys.
//!
//! Specification: RFC 5280 SubjectPublicKeyInfo, with the algorithms of RFC 5480 (P-256, P-384, uncompressed points)
//! <https://www.rfc-editor.org/rfc/rfc5480> and RFC 8410 (Ed25519) <https://www.rfc-editor.org/rfc/rfc8410>.
//! Each of the three has one DER form: a fixed prefix and the key's bytes. So there is no ASN.1 reader here.

use std::fmt;

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use wire::digest::Digest;
use wire::pem;

use crate::note::NameError;

/// A public key that can check signatures.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    der: Vec<u8>,
    parsed: ParsedPublicKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    EcdsaP256,
    EcdsaP384,
    Ed25519,
}

/// Why bytes are no key that we can use.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No PEM.
    #[error("reading a key's PEM")]
    Pem(#[from] pem::PemError),
    /// Another algorithm, another encoding, or a point that is not on the curve.
    #[error("unsupported key: expected an ECDSA P-256, ECDSA P-384 or Ed25519 key in its standard DER form")]
    Unsupported,
    /// A private key of another kind than needed, or damaged.
    #[error("unusable private key: expected {expected} in PKCS #8")]
    Private {
        /// `an ECDSA P-256 key`, `an Ed25519 key`
        expected: &'static str,
    },
    /// Another form of encryption, or none.
    #[error("unusable encrypted key: expected PKCS #8 with PBES2, PBKDF2 with HMAC-SHA-256, and AES-256-CBC")]
    Encrypted,
    /// It does not decrypt.
    #[error("wrong passphrase, or the file is damaged")]
    Passphrase,
    /// A passphrase of another form.
    #[error("unusable passphrase: expected one line of 1 to 1024 bytes")]
    PassphraseForm,
    /// A name that no key can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The operating system gave no randomness.
    #[error("generating a key: no randomness")]
    Random,
}

/// A signature that the key did not make over these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature does not match")]
pub struct SignatureError;

impl Algorithm {
    const ALL: [Algorithm; 3] = [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Ed25519];

    /// All bytes of the DER form before the key's own, the `04` of an uncompressed point among them.
    fn prefix(self) -> &'static [u8] {
        match self {
            Algorithm::EcdsaP256 => {
                b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"
            }
            Algorithm::EcdsaP384 => {
                b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04"
            }
            Algorithm::Ed25519 => b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
        }
    }

    /// Where the bytes that the library takes begin: it wants the `04` too.
    fn key_at(self) -> usize {
        match self {
            Algorithm::EcdsaP256 | Algorithm::EcdsaP384 => self.prefix().len() - 1,
            Algorithm::Ed25519 => self.prefix().len(),
        }
    }

    fn der_len(self) -> usize {
        match self {
            Algorithm::EcdsaP256 => self.prefix().len() + 64,
            Algorithm::EcdsaP384 => self.prefix().len() + 96,
            Algorithm::Ed25519 => self.prefix().len() + 32,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Algorithm::EcdsaP256 => &signature::ECDSA_P256_SHA256_ASN1,
            Algorithm::EcdsaP384 => &signature::ECDSA_P384_SHA384_ASN1,
            Algorithm::Ed25519 => &signature::ED25519,
        }
    }
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo.
    pub fn from_spki_der(der: &[u8]) -> Result<PublicKey, KeyError> {
        let fits = |algorithm: &Algorithm| der.len() == algorithm.der_len() && der.starts_with(algorithm.prefix());
        let algorithm = Algorithm::ALL.into_iter().find(fits).ok_or(KeyError::Unsupported)?;
        let parsed = ParsedPublicKey::new(algorithm.verification(), &der[algorithm.key_at()..])
            .map_err(|_| KeyError::Unsupported)?;
        Ok(PublicKey { algorithm, der: der.to_vec(), parsed })
    }

    /// Reads the PEM form of a SubjectPublicKeyInfo.
    pub fn from_pem(text: &str) -> Result<PublicKey, KeyError> {
        PublicKey::from_spki_der(&pem::decode(pem::PUBLIC_KEY, text)?)
    }

    pub(crate) fn from_p256_point(point: &[u8]) -> Result<PublicKey, KeyError> {
        let prefix = Algorithm::EcdsaP256.prefix();
        PublicKey::from_spki_der(&[&prefix[..prefix.len() - 1], point].concat())
    }

    /// Reads the 32 bytes of an Ed25519 key.
    pub fn from_ed25519_bytes(bytes: &[u8]) -> Result<PublicKey, KeyError> {
        PublicKey::from_spki_der(&[Algorithm::Ed25519.prefix(), bytes].concat())
    }

    /// Returns the 32 bytes of an Ed25519 key; `None` if it is of another kind.
    pub fn ed25519_bytes(&self) -> Option<&[u8]> {
        (self.algorithm == Algorithm::Ed25519).then(|| &self.der[self.algorithm.key_at()..])
    }

    /// Returns the PEM form.
    pub fn to_pem(&self) -> String {
        pem::encode(pem::PUBLIC_KEY, &self.der)
    }

    /// Returns the SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the key's id: the SHA-256 of its SubjectPublicKeyInfo.
    pub fn id(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// Returns Sigstore's name for the algorithm.
    pub fn key_details(&self) -> &'static str {
        match self.algorithm {
            Algorithm::EcdsaP256 => "PKIX_ECDSA_P256_SHA_256",
            Algorithm::EcdsaP384 => "PKIX_ECDSA_P384_SHA_384",
            Algorithm::Ed25519 => "PKIX_ED25519",
        }
    }

    /// Checks a signature: ASN.1 DER for ECDSA, 64 bytes for Ed25519.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.parsed.verify_sig(message, signature).map_err(|_| SignatureError)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.key_details(), self.id())
    }
}

#[cfg(test)]
mod tests;
