//! Private keys. Their secrets stay in memory that is wiped when freed, and they print as their public halves.
//!
//! Specification: PKCS #8 <https://www.rfc-editor.org/rfc/rfc5958> in PEM, version 1, which OpenSSL reads too.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use wire::pem;
use zeroize::Zeroizing;

use crate::key::{KeyError, PublicKey};

/// An ECDSA P-256 key that signs envelopes.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

/// An Ed25519 key that signs a log's checkpoints. A kind of its own: a log's key never signs a statement.
pub struct LogKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    const EXPECTED: KeyError = KeyError::Private { expected: "an ECDSA P-256 key" };

    /// Makes a new key.
    pub fn generate() -> Result<SigningKey, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| KeyError::Random)?;
        SigningKey::of(pair)
    }

    /// Reads a key from PEM.
    pub fn from_pkcs8_pem(text: &str) -> Result<SigningKey, KeyError> {
        let der = Zeroizing::new(pem::decode(pem::PRIVATE_KEY, text)?);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).map_err(|_| Self::EXPECTED)?;
        SigningKey::of(pair)
    }

    fn of(pair: EcdsaKeyPair) -> Result<SigningKey, KeyError> {
        let public = PublicKey::from_p256_point(pair.public_key().as_ref())?;
        Ok(SigningKey { pair, public })
    }

    /// Returns the PEM text, which is as secret as the key.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let der = self.pair.to_pkcs8v1().expect("a P-256 key pair has a PKCS #8 form");
        Zeroizing::new(pem::encode(pem::PRIVATE_KEY, der.as_ref()))
    }

    /// Returns the public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs; the signature is ASN.1 DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), message).expect("signing with a good key does not fail");
        signature.as_ref().to_vec()
    }
}

impl LogKey {
    const EXPECTED: KeyError = KeyError::Private { expected: "an Ed25519 key" };

    /// Makes a new key.
    pub fn generate() -> Result<LogKey, KeyError> {
        LogKey::of(Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?)
    }

    /// Reads a key from PEM (PKCS #8).
    pub fn from_pem(text: &str) -> Result<LogKey, KeyError> {
        let der = Zeroizing::new(pem::decode(pem::PRIVATE_KEY, text)?);
        LogKey::of(Ed25519KeyPair::from_pkcs8(&der).map_err(|_| Self::EXPECTED)?)
    }

    fn of(pair: Ed25519KeyPair) -> Result<LogKey, KeyError> {
        let public = PublicKey::from_ed25519_bytes(pair.public_key().as_ref())?;
        Ok(LogKey { pair, public })
    }

    /// Returns the PEM text (PKCS #8), which is as secret as the key.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let der = self.pair.to_pkcs8v1().expect("an Ed25519 key pair has a PKCS #8 form");
        Zeroizing::new(pem::encode(pem::PRIVATE_KEY, der.as_ref()))
    }

    /// Returns the public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.id())
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({})", self.public.id())
    }
}
