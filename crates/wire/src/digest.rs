//! Content digests that carry their algorithm.
//!
//! Specification: OCI image descriptor, "Digests"
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests>.
//!
//! ```text
//! sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
//! ```
//!
//! All hashing in the workspace goes through this module, so that one place knows the library.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A digest and the algorithm that made it.
///
/// SHA-256 is what assay computes; SHA-512 is accepted because OCI 1.1 registries must take it.
/// Orders by algorithm, then by bytes. Prints and parses as `algorithm:lowercase-hex`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// 32 bytes.
    Sha256([u8; 32]),
    /// 64 bytes.
    Sha512([u8; 64]),
}

/// The algorithms a [`Digest`] can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `sha256`
    Sha256,
    /// `sha512`
    Sha512,
}

/// Why a text is no digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DigestError {
    /// No `:` between algorithm and value.
    #[error("`{0}` is not a digest: expected `sha256:` and 64 hexadecimal digits")]
    Form(String),
    /// An algorithm other than `sha256` and `sha512`.
    #[error("unknown digest algorithm `{0}`: expected `sha256` or `sha512`")]
    Algorithm(String),
    /// Wrong length, upper case or no hexadecimal.
    #[error("`{0}` is not a digest value: expected lower-case hexadecimal of the algorithm's length")]
    Value(String),
}

impl Digest {
    /// Returns the SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::Sha256(sha2::Sha256::digest(bytes).into())
    }

    /// Returns the SHA-256 digest of all that `reader` yields, and how many bytes that was.
    pub fn of_reader(reader: &mut dyn Read) -> io::Result<(Digest, u64)> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let size = copy(reader, &mut hasher)?;
        Ok((hasher.finish(), size))
    }

    /// Returns the algorithm's registered name: `sha256` or `sha512`.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Digest::Sha256(_) => "sha256",
            Digest::Sha512(_) => "sha512",
        }
    }

    /// Returns the raw digest value.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Digest::Sha256(bytes) => bytes,
            Digest::Sha512(bytes) => bytes,
        }
    }

    /// Returns the value in lower-case hexadecimal, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.bytes())
    }

    /// Returns the first 12 hexadecimal digits, for people; never for look-up.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Builds a digest from an algorithm name and a hexadecimal value, as in-toto's digest sets hold them.
    pub fn from_parts(algorithm: &str, value: &str) -> Result<Digest, DigestError> {
        let invalid = || DigestError::Value(value.chars().take(140).collect());
        if value.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(invalid());
        }
        match algorithm {
            "sha256" => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(value, &mut bytes).map_err(|_| invalid())?;
                Ok(Digest::Sha256(bytes))
            }
            "sha512" => {
                let mut bytes = [0; 64];
                hex::decode_to_slice(value, &mut bytes).map_err(|_| invalid())?;
                Ok(Digest::Sha512(bytes))
            }
            other => Err(DigestError::Algorithm(other.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let (algorithm, value) =
            text.split_once(':').ok_or_else(|| DigestError::Form(text.chars().take(140).collect()))?;
        Digest::from_parts(algorithm, value)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a digest piece by piece; also a [`Write`], so that bytes can be hashed while they are copied.
pub struct Hasher(State);

enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Starts a digest of the given algorithm.
    pub fn new(algorithm: Algorithm) -> Hasher {
        Hasher(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the digest of all bytes added.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => Digest::Sha256(state.finalize().into()),
            State::Sha512(state) => Digest::Sha512(state.finalize().into()),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn copy(reader: &mut dyn Read, hasher: &mut Hasher) -> io::Result<u64> {
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns HMAC-SHA-256 of `message` under `key` (RFC 2104), for keyed names that must not be guessable.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&sha2::Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut inner = sha2::Sha256::new();
    inner.update(block.map(|b| b ^ 0x36));
    inner.update(message);
    let mut outer = sha2::Sha256::new();
    outer.update(block.map(|b| b ^ 0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

#[cfg(test)]
mod tests;
