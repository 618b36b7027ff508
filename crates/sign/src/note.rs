//! Signed notes: signing, and checking against known keys.
//!
//! Specification: C2SP signed-note v1.0.0 <https://c2sp.org/signed-note@v1.0.0>; key ids of ECDSA keys as Rekor has them.
//! A key is written as a vkey:
//!
//! ```text
//! PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
//! ```

use std::fmt;
use std::str::FromStr;

use wire::digest::Digest;
use wire::note::{Note, NoteError as FormError, Signature, Vkey, is_key_name};

use crate::key::PublicKey;
use crate::private_key::LogKey;

/// The signature type of plain Ed25519, which stands before the key's bytes.
const ED25519: u8 = 0x01;

/// A key that signs notes, with its name.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key: PublicKey,
    id: Digest,
}

/// A note with at least one good signature of a known key and no bad one. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedNote {
    body: String,
    signers: Vec<String>,
}

/// Why a note was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    /// The text is no note.
    #[error("reading a signed note")]
    Form(#[from] FormError),
    /// A known key's signature is wrong: somebody changed the note.
    #[error("the signature of `{0}` does not match the note")]
    Signature(String),
    /// Nobody known has signed.
    #[error("the note has no signature of a known key; it is signed by {}", .0.join(", "))]
    Unsigned(Vec<String>),
}

/// The text is no vkey.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a note verification key: expected `NAME+HEX+BASE64` of an Ed25519 key")]
pub struct VkeyError(String);

/// The name cannot name a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` cannot name a key: it is empty, or has a space, a plus or a control character")]
pub struct NameError(String);

impl NameError {
    pub(crate) fn of(name: &str) -> NameError {
        NameError(name.chars().take(200).collect())
    }
}

impl NoteKey {
    /// Names a key.
    pub fn new(name: &str, key: &PublicKey) -> Result<NoteKey, NameError> {
        if !is_key_name(name) {
            return Err(NameError::of(name));
        }
        let id = match key.ed25519_bytes() {
            Some(bytes) => Vkey::new(name, ED25519, bytes).digest(),
            None => key.id(),
        };
        Ok(NoteKey { name: name.to_owned(), key: key.clone(), id })
    }

    /// Returns the key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key itself.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns the whole digest that the key's id is cut from. For a log it is the log's id.
    pub fn log_id(&self) -> &Digest {
        &self.id
    }

    /// Returns the key's id, as signature lines have it.
    pub fn key_id(&self) -> [u8; 4] {
        *self.id.bytes().first_chunk().expect("a digest has more than four bytes")
    }
}

impl fmt::Display for NoteKey {
    /// Writes the vkey; for a key that is not Ed25519, which has none, the name and id alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.ed25519_bytes() {
            Some(bytes) => Vkey::new(&self.name, ED25519, bytes).fmt(f),
            None => write!(f, "{}+{:08x}", self.name, u32::from_be_bytes(self.key_id())),
        }
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteKey({self})")
    }
}

impl FromStr for NoteKey {
    type Err = VkeyError;

    fn from_str(text: &str) -> Result<NoteKey, VkeyError> {
        parse_vkey(text).ok_or_else(|| VkeyError(text.chars().take(200).collect()))
    }
}

fn parse_vkey(text: &str) -> Option<NoteKey> {
    let vkey = Vkey::parse(text).filter(|vkey| vkey.kind == ED25519)?;
    NoteKey::new(&vkey.name, &PublicKey::from_ed25519_bytes(&vkey.key).ok()?).ok()
}

impl VerifiedNote {
    /// Returns the text that was signed.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Returns the names of the known keys whose signatures are good, in the order of the note.
    pub fn signers(&self) -> &[String] {
        &self.signers
    }
}

/// Signs `body` as `name` and returns the note.
///
/// # Panics
/// If `body` does not end in a line feed or `name` cannot name a key: both are ours.
pub fn sign(key: &LogKey, name: &str, body: &str) -> String {
    assert!(body.ends_with('\n'), "a note's text ends in a line feed");
    let note_key = NoteKey::new(name, key.public()).expect("a log's origin can name a key");
    let signature = Signature { name: name.to_owned(), key_id: note_key.key_id(), bytes: key.sign(body.as_bytes()) };
    Note { body: body.to_owned(), signatures: vec![signature] }.to_string()
}

/// Checks a note against the keys that are known. Signatures of others are passed over; a wrong signature of a known
/// key refuses the note, even when another is good; and without any good one it is refused.
pub fn verify(text: &str, keys: &[NoteKey]) -> Result<VerifiedNote, NoteError> {
    let note = Note::parse(text)?;
    let mut signers: Vec<String> = Vec::new();
    for signature in &note.signatures {
        let known = keys.iter().find(|key| key.name == signature.name && key.key_id() == signature.key_id);
        let Some(known) = known else { continue };
        let good = known.key.verify(note.body.as_bytes(), &signature.bytes);
        good.map_err(|_| NoteError::Signature(signature.name.clone()))?;
        if !signers.contains(&known.name) {
            signers.push(known.name.clone());
        }
    }
    if signers.is_empty() {
        return Err(NoteError::Unsigned(note.signatures.into_iter().map(|signature| signature.name).collect()));
    }
    Ok(VerifiedNote { body: note.body, signers })
}

#[cfg(test)]
mod tests;
