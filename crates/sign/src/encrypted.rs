//! Private keys that are encrypted by a passphrase, as OpenSSL reads and writes them.
//!
//! Specification: PKCS #8 EncryptedPrivateKeyInfo <https://www.rfc-editor.org/rfc/rfc5958#section-3> with PBES2 of PKCS #5
//! <https://www.rfc-editor.org/rfc/rfc8018#section-6.2>: PBKDF2 with HMAC-SHA-256, and AES-256 in CBC mode (RFC 3565). Only
//! these are read; `openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256` makes the same.
//!
//! CBC does not tell who wrote it: what decrypts must still be a private key, and the home's seal covers the file.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use der::asn1::{Null, ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _, Sequence};
use wire::pem;
use zeroize::Zeroizing;

use crate::key::KeyError;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// How often the passphrase is hashed for a new file: what OWASP's password storage cheat sheet asks for in 2023.
const ITERATIONS: u32 = 600_000;

/// The most that is read: some seconds.
const ITERATIONS_MAX: u32 = 10_000_000;

/// The longest salt that is read.
const SALT_MAX: usize = 64;

/// The longest passphrase, in bytes.
pub const PASSPHRASE_MAX: usize = 1024;

/// A passphrase. It prints as nothing, and its memory is wiped when it is freed.
pub struct Passphrase(Zeroizing<Vec<u8>>);

#[derive(Sequence)]
struct EncryptedKey {
    algorithm: Scheme,
    data: OctetString,
}

#[derive(Sequence)]
struct Scheme {
    algorithm: ObjectIdentifier,
    parameters: Parameters,
}

#[derive(Sequence)]
struct Parameters {
    derivation: Derivation,
    cipher: Cipher,
}

#[derive(Sequence)]
struct Derivation {
    algorithm: ObjectIdentifier,
    parameters: DerivationParameters,
}

#[derive(Sequence)]
struct DerivationParameters {
    salt: OctetString,
    iterations: u32,
    #[asn1(optional = "true")]
    key_length: Option<u16>,
    function: Function,
}

#[derive(Sequence)]
struct Function {
    algorithm: ObjectIdentifier,
    parameters: Null,
}

#[derive(Sequence)]
struct Cipher {
    algorithm: ObjectIdentifier,
    iv: OctetString,
}

impl Passphrase {
    /// Takes the bytes of a passphrase: 1 to [`PASSPHRASE_MAX`], without those that a line or a C string would end at.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Passphrase, KeyError> {
        let plain = !bytes.iter().any(|byte| [0, b'\n', b'\r'].contains(byte));
        if bytes.is_empty() || bytes.len() > PASSPHRASE_MAX || !plain {
            return Err(KeyError::PassphraseForm);
        }
        Ok(Passphrase(bytes))
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Whether a PEM text says that it is an encrypted private key.
pub fn is_encrypted(text: &str) -> bool {
    text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

/// Encrypts the PEM text of a private key; returns a PEM text.
pub fn encrypt(text: &str, passphrase: &Passphrase) -> Result<String, KeyError> {
    let mut data = Zeroizing::new(pem::decode(pem::PRIVATE_KEY, text)?);
    // Padding must not move what is in the clear.
    data.reserve_exact(16);
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    let random = SystemRandom::new();
    random.fill(&mut salt).and_then(|()| random.fill(&mut iv)).map_err(|_| KeyError::Random)?;
    let key = derived(passphrase, &salt, ITERATIONS)?;
    let failed = |_| KeyError::Passphrase;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(failed)?;
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    cipher.less_safe_encrypt(&mut *data, context).map_err(failed)?;
    let octets = |bytes: &[u8]| OctetString::new(bytes).map_err(|_| KeyError::Encrypted);
    let parameters = DerivationParameters {
        salt: octets(&salt)?,
        iterations: ITERATIONS,
        key_length: None,
        function: Function { algorithm: HMAC_SHA256, parameters: Null },
    };
    let parameters = Parameters {
        derivation: Derivation { algorithm: PBKDF2, parameters },
        cipher: Cipher { algorithm: AES_256_CBC, iv: octets(&iv)? },
    };
    let sealed = EncryptedKey { algorithm: Scheme { algorithm: PBES2, parameters }, data: octets(&data)? };
    Ok(pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &sealed.to_der().map_err(|_| KeyError::Encrypted)?))
}

/// Decrypts the PEM text of an encrypted private key; returns the PEM text that [`crate::SigningKey::from_pkcs8_pem`] reads.
pub fn decrypt(text: &str, passphrase: &Passphrase) -> Result<Zeroizing<String>, KeyError> {
    let der = pem::decode(pem::ENCRYPTED_PRIVATE_KEY, text)?;
    let sealed = EncryptedKey::from_der(&der).map_err(|_| KeyError::Encrypted)?;
    let Scheme { algorithm, parameters: Parameters { derivation, cipher } } = &sealed.algorithm;
    let of = &derivation.parameters;
    let known = *algorithm == PBES2
        && derivation.algorithm == PBKDF2
        && of.function.algorithm == HMAC_SHA256
        && cipher.algorithm == AES_256_CBC
        && of.key_length.is_none_or(|length| length == 32)
        && of.salt.as_bytes().len() <= SALT_MAX
        && of.iterations <= ITERATIONS_MAX;
    let iv = <[u8; 16]>::try_from(cipher.iv.as_bytes()).ok().filter(|_| known).ok_or(KeyError::Encrypted)?;
    let key = derived(passphrase, of.salt.as_bytes(), of.iterations)?;
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| KeyError::Passphrase)?;
    let mut data = Zeroizing::new(sealed.data.as_bytes().to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let plain = cipher.decrypt(&mut data, context).map_err(|_| KeyError::Passphrase)?;
    // One wrong passphrase in 256 leaves a good padding; what it leaves is no DER of just this length.
    der::asn1::AnyRef::from_der(plain).map_err(|_| KeyError::Passphrase)?;
    Ok(Zeroizing::new(pem::encode(pem::PRIVATE_KEY, plain)))
}

fn derived(passphrase: &Passphrase, salt: &[u8], iterations: u32) -> Result<UnboundCipherKey, KeyError> {
    let iterations = NonZeroU32::new(iterations).ok_or(KeyError::Encrypted)?;
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(PBKDF2_HMAC_SHA256, iterations, salt, &passphrase.0, &mut *key);
    UnboundCipherKey::new(&AES_256, &*key).map_err(|_| KeyError::Encrypted)
}

#[cfg(test)]
mod tests;
