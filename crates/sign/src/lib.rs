//! Keys, signatures, and who is trusted.
//!
//! The only crate that names a signature library. It does no I/O; randomness for new keys comes from the operating
//! system through that library. Nothing here knows what a statement says: it checks bytes against keys, and
//! [`trust::open`] hands out a payload only after its signature was found good.
//!
//! Keyless signatures are checked in [`certificate`], [`authority`], [`sct`], [`stamp`] and [`promise`]. Certificates and
//! times are issued in [`issuing`], [`stamping`] and [`request`], to whom [`jwt`] and [`identity`] have found; all of that
//! takes the time and random numbers as arguments. Sealing secrets is absent.

#![forbid(unsafe_code)]

mod key;

pub mod authority;
pub mod certificate;
pub mod promise;
pub mod sct;
pub mod stamp;

pub mod identity;
pub mod issuing;
pub mod jwt;
pub mod request;
pub mod stamping;

pub mod cosignature;
pub mod encrypted;
pub mod note;
mod private_key;
pub mod trust;

pub use key::{KeyError, PublicKey, SignatureError};
pub use private_key::{LogKey, SigningKey};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use wire::dsse::{self, Envelope, Signature};
use zeroize::Zeroizing;

/// Signs a payload: the envelope names the key by its id, as a hint.
pub fn seal(payload_type: &str, payload: &[u8], key: &SigningKey) -> Envelope {
    let sig = key.sign(&dsse::pae(payload_type, payload));
    let keyid = key.public().id().to_string();
    Envelope { payload: payload.to_vec(), payload_type: payload_type.to_owned(), signature: Signature { keyid, sig } }
}

/// Returns 32 random bytes, for keys of other kinds than this crate's.
pub fn random_secret() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}
