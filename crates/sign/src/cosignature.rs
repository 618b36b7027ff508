//! Cosignatures: a witness's signed word that a log only grew, as far as it has seen.
//!
//! Specification: C2SP tlog-cosignature v1 <https://c2sp.org/tlog-cosignature>: Ed25519 `cosignature/v1` (key type 04) and
//! ML-DSA-44 `subtree/v1` (key type 06), each a signature line under a checkpoint:
//!
//! ```text
//! — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ…
//! ```
//!
//! The blob is key id, time (8 bytes, big-endian seconds), signature. Subtrees that do not start at 0 have no checkpoint
//! form and are absent here.

use std::fmt;

use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, ParsedPublicKey, PqdsaKeyPair,
};
use wire::note::{Signature, Vkey, is_key_name};
use wire::pem;
use wire::timestamp::Timestamp;
use zeroize::Zeroizing;

use crate::key::KeyError;
use crate::note::NameError;

/// Key type of Ed25519 cosignatures.
const TYPE_ED25519: u8 = 0x04;

/// Key type of ML-DSA-44 cosignatures.
const TYPE_ML_DSA_44: u8 = 0x06;

/// Bytes of the time in front of a signature.
const TIME_LEN: usize = 8;

/// The longest name of a witness, and the longest origin in `subtree/v1`: its length stands in one byte.
pub const NAME_MAX: usize = 255;

/// What is cosigned: a checkpoint, as its text and as its parts.
#[derive(Clone, Copy, Debug)]
pub struct Cosigned<'a> {
    /// The checkpoint's text, with its final line feed and without signature lines.
    pub body: &'a str,
    /// The log's origin: the text's first line.
    pub origin: &'a str,
    /// Number of entries: its second.
    pub size: u64,
    /// Root of the tree over them: its third.
    pub root: &'a [u8; 32],
}

/// How a witness signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `cosignature/v1`; commits to the checkpoint's text.
    Ed25519,
    /// `subtree/v1`; commits to the witness's name, the log's origin, size and root.
    MlDsa44,
}

/// A witness's public key, with its name.
#[derive(Clone)]
pub struct CosignerKey {
    vkey: Vkey,
    algorithm: Algorithm,
    parsed: ParsedPublicKey,
}

/// A witness's private key, with its name. It signs nothing but cosignatures.
pub struct WitnessKey {
    pair: Pair,
    public: CosignerKey,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    MlDsa44(Box<PqdsaKeyPair>),
}

/// The text is no key of a witness.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a witness's key: expected a note verification key of type 04 (Ed25519) or 06 (ML-DSA-44)")]
pub struct CosignerKeyError(String);

/// Why a signature line is no good cosignature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// Not as long as a time and a signature.
    #[error("the cosignature of `{0}` is malformed")]
    Form(String),
    /// The key did not make it over this checkpoint.
    #[error("the cosignature of `{0}` does not match the checkpoint")]
    Signature(String),
    /// A time that cannot be.
    #[error("the cosignature of `{0}` has a time that cannot be")]
    Time(String),
    /// `subtree/v1` has no place for a longer origin.
    #[error("the log's origin is longer than {NAME_MAX} bytes, which ML-DSA-44 cosignatures cannot name")]
    Origin,
}

impl Algorithm {
    fn of_kind(kind: u8) -> Option<Algorithm> {
        match kind {
            TYPE_ED25519 => Some(Algorithm::Ed25519),
            TYPE_ML_DSA_44 => Some(Algorithm::MlDsa44),
            _ => None,
        }
    }

    fn kind(self) -> u8 {
        match self {
            Algorithm::Ed25519 => TYPE_ED25519,
            Algorithm::MlDsa44 => TYPE_ML_DSA_44,
        }
    }

    fn signature_len(self) -> usize {
        match self {
            Algorithm::Ed25519 => 64,
            Algorithm::MlDsa44 => 2420,
        }
    }

    /// The bytes that are signed; `time_unix_s` stands in front of the signature, too. A cosigner's name was checked.
    fn message(self, cosigner: &str, time_unix_s: u64, cosigned: &Cosigned<'_>) -> Result<Vec<u8>, CosignatureError> {
        if self == Algorithm::Ed25519 {
            return Ok(format!("cosignature/v1\ntime {time_unix_s}\n{}", cosigned.body).into_bytes());
        }
        if cosigned.origin.is_empty() || cosigned.origin.len() > NAME_MAX {
            return Err(CosignatureError::Origin);
        }
        Ok([
            &b"subtree/v1\n\0"[..],
            &[cosigner.len() as u8],
            cosigner.as_bytes(),
            &time_unix_s.to_be_bytes(),
            &[cosigned.origin.len() as u8],
            cosigned.origin.as_bytes(),
            &0_u64.to_be_bytes(),
            &cosigned.size.to_be_bytes(),
            cosigned.root,
        ]
        .concat())
    }
}

impl CosignerKey {
    /// Reads a key from its text form.
    pub fn parse(text: &str) -> Result<CosignerKey, CosignerKeyError> {
        let error = || CosignerKeyError(text.chars().take(200).collect());
        let vkey = Vkey::parse(text).ok_or_else(error)?;
        CosignerKey::of(vkey).map_err(|_| error())
    }

    /// Takes a key whose text form was read already.
    pub fn of(vkey: Vkey) -> Result<CosignerKey, CosignerKeyError> {
        let error = || CosignerKeyError(vkey.to_string().chars().take(200).collect());
        let algorithm = Algorithm::of_kind(vkey.kind).filter(|_| vkey.name.len() <= NAME_MAX).ok_or_else(error)?;
        let parsed = match algorithm {
            Algorithm::Ed25519 => ParsedPublicKey::new(&ED25519, &vkey.key),
            Algorithm::MlDsa44 => ParsedPublicKey::new(&ML_DSA_44, &vkey.key),
        };
        let parsed = parsed.map_err(|_| error())?;
        Ok(CosignerKey { vkey, algorithm, parsed })
    }

    /// Returns the witness's name.
    pub fn name(&self) -> &str {
        &self.vkey.name
    }

    /// Returns the text form.
    pub fn vkey(&self) -> &Vkey {
        &self.vkey
    }

    /// Whether a signature line says that it is this key's.
    pub fn names(&self, line: &Signature) -> bool {
        line.name == self.vkey.name && line.key_id == self.vkey.key_id()
    }

    /// Checks a signature line that this key [names](CosignerKey::names), and returns when it was made. Whether that
    /// time is believed, the caller decides.
    pub fn verify(&self, line: &Signature, cosigned: &Cosigned<'_>) -> Result<Timestamp, CosignatureError> {
        let name = || self.vkey.name.clone();
        let (time, signature) =
            line.bytes.split_first_chunk::<TIME_LEN>().ok_or_else(|| CosignatureError::Form(name()))?;
        if signature.len() != self.algorithm.signature_len() {
            return Err(CosignatureError::Form(name()));
        }
        let time = u64::from_be_bytes(*time);
        let message = self.algorithm.message(&self.vkey.name, time, cosigned)?;
        self.parsed.verify_sig(&message, signature).map_err(|_| CosignatureError::Signature(name()))?;
        let time = i64::try_from(time).ok().and_then(Timestamp::from_unix_s);
        time.ok_or_else(|| CosignatureError::Time(name()))
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.vkey.fmt(f)
    }
}

impl fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CosignerKey({}+{:02x}…)", self.vkey.name, self.vkey.kind)
    }
}

impl WitnessKey {
    /// Makes a new key.
    pub fn generate(name: &str, algorithm: Algorithm) -> Result<WitnessKey, KeyError> {
        let pair = match algorithm {
            Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?),
            Algorithm::MlDsa44 => {
                Pair::MlDsa44(Box::new(PqdsaKeyPair::generate(&ML_DSA_44_SIGNING).map_err(|_| KeyError::Random)?))
            }
        };
        WitnessKey::of(name, algorithm, pair)
    }

    /// Reads a key from PEM (PKCS #8), and names it.
    pub fn from_pem(name: &str, algorithm: Algorithm, text: &str) -> Result<WitnessKey, KeyError> {
        let der = Zeroizing::new(pem::decode(pem::PRIVATE_KEY, text)?);
        let pair = match algorithm {
            Algorithm::Ed25519 => Pair::Ed25519(
                Ed25519KeyPair::from_pkcs8(&der).map_err(|_| KeyError::Private { expected: "an Ed25519 key" })?,
            ),
            Algorithm::MlDsa44 => Pair::MlDsa44(Box::new(
                PqdsaKeyPair::from_pkcs8(&ML_DSA_44_SIGNING, &der)
                    .map_err(|_| KeyError::Private { expected: "an ML-DSA-44 key" })?,
            )),
        };
        WitnessKey::of(name, algorithm, pair)
    }

    fn of(name: &str, algorithm: Algorithm, pair: Pair) -> Result<WitnessKey, KeyError> {
        if !is_key_name(name) || name.len() > NAME_MAX {
            return Err(KeyError::Name(NameError::of(name)));
        }
        let public = match &pair {
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::MlDsa44(pair) => pair.public_key().as_ref().to_vec(),
        };
        let public = CosignerKey::of(Vkey::new(name, algorithm.kind(), &public)).map_err(|_| KeyError::Unsupported)?;
        Ok(WitnessKey { pair, public })
    }

    /// Returns the PEM text (PKCS #8), which is as secret as the key.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let encode = |der: &[u8]| Zeroizing::new(pem::encode(pem::PRIVATE_KEY, der));
        match &self.pair {
            Pair::Ed25519(pair) => encode(pair.to_pkcs8v1().expect("an Ed25519 key pair has a PKCS #8 form").as_ref()),
            Pair::MlDsa44(pair) => {
                encode(pair.to_pkcs8v1().expect("a key pair made from its seed has a PKCS #8 form").as_ref())
            }
        }
    }

    /// Returns the public half.
    pub fn public(&self) -> &CosignerKey {
        &self.public
    }

    /// Cosigns a checkpoint at a time, and returns the signature line.
    pub fn cosign(&self, cosigned: &Cosigned<'_>, now: Timestamp) -> Result<Signature, CosignatureError> {
        let time = u64::try_from(now.unix_s()).map_err(|_| CosignatureError::Time(self.public.name().to_owned()))?;
        let message = self.public.algorithm.message(self.public.name(), time, cosigned)?;
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(&message).as_ref().to_vec(),
            Pair::MlDsa44(pair) => {
                let mut signature = vec![0; Algorithm::MlDsa44.signature_len()];
                pair.sign(&message, &mut signature).expect("signing with a good key does not fail");
                signature
            }
        };
        let bytes = [&time.to_be_bytes()[..], &signature].concat();
        Ok(Signature { name: self.public.name().to_owned(), key_id: self.public.vkey.key_id(), bytes })
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessKey({:?})", self.public)
    }
}

#[cfg(test)]
mod tests;
