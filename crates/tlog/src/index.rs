//! Index entries, versions 1 and 2: the leaf beside each Sigstore entry, by which the log itself leads to every envelope.
//!
//! ```json
//! {"assayIndex":1,"entry":6,"envelope":"sha256:5f0c…","predicate":"9d0a…","signer":"41c7…","subjects":["07be…","c2f1…"],
//!  "time":"2026-11-22T19:41:00Z"}
//! ```
//!
//! Version 2 is of an entry that came without what was signed: it has no `envelope` and no `predicate`, and its one subject
//! is the digest that was signed.
//!
//! ```json
//! {"assayIndex":2,"entry":8,"signer":"41c7…","subjects":["07be…"],"time":"2026-11-22T19:41:00Z"}
//! ```
//!
//! `entry` is the position of the Sigstore entry. Subjects, predicate type and signer stand there as HMAC-SHA-256 under the
//! log's index key, each in a domain of its own, so that who reads the tiles cannot tell what the log is about, nor by
//! guessing. Subjects are sorted and stand once. An envelope with more than [`SUBJECTS_MAX`] subjects has several index
//! entries, which differ in their subjects alone. Canonical JSON (RFC 8785); no other bytes are taken.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wire::digest::{Digest, hmac_sha256};
use wire::sigstore_bundle::KindVersion;
use wire::timestamp::Timestamp;
use zeroize::Zeroizing;

use crate::append::{LEAF_SIZE_MAX, Leaf};

/// How many subjects one index entry has at most: at 67 bytes each they must fit a leaf.
pub const SUBJECTS_MAX: usize = 900;

const VERSION: u32 = 1;
const VERSION_WITHOUT_PAYLOAD: u32 = 2;

/// The secret under which a log's index hashes are keyed.
pub struct IndexKey(Zeroizing<[u8; 32]>);

/// A keyed hash of a subject, a predicate type or a signer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyedHash(pub [u8; 32]);

/// An index entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexEntry {
    #[serde(rename = "assayIndex")]
    version: u32,
    /// Position of the Sigstore entry.
    pub entry: u64,
    /// Digest of the envelope's canonical JSON: the blob. `None` where the entry came without what was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Digest>,
    /// Keyed hash of the predicate type; `None` as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<KeyedHash>,
    /// Keyed hash of the signer's key id.
    pub signer: KeyedHash,
    /// Keyed hashes of the subjects' digests, sorted; without an envelope, of the digest that was signed.
    pub subjects: Vec<KeyedHash>,
    /// When the log took it, by its own clock.
    pub time: Timestamp,
}

/// What an index entry is about, before it is hashed.
#[derive(Clone, Debug)]
pub struct Indexed<'a> {
    /// Position of the Sigstore entry.
    pub entry: u64,
    /// Digest of the envelope's canonical JSON.
    pub envelope: Digest,
    /// When the log took it.
    pub time: Timestamp,
    /// Digests of the subjects.
    pub subjects: &'a [Digest],
    /// The predicate type.
    pub predicate: &'a str,
    /// Id of the signer's key.
    pub signer: &'a Digest,
}

/// Why a leaf is no index entry.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Over the limit of a leaf.
    #[error("index entry of {0} bytes is larger than the limit of {LEAF_SIZE_MAX}")]
    Size(usize),
    /// Not JSON, a field missing, unknown or malformed.
    #[error("not an index entry")]
    Form(#[from] serde_json::Error),
    /// Another version.
    #[error("index entry has version {0}; this assay reads versions {VERSION} and {VERSION_WITHOUT_PAYLOAD}")]
    Version(u32),
    /// Not canonical JSON, subjects not sorted or too many, or fields of the other version.
    #[error("index entry is not in canonical form")]
    Canonical,
}

/// The text is no index key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an index key: expected 64 hexadecimal digits")]
pub struct IndexKeyError;

impl IndexKey {
    /// Takes 32 random bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> IndexKey {
        IndexKey(bytes)
    }

    /// Reads the key's hexadecimal form; a line feed after it is passed over.
    pub fn from_hex(text: &str) -> Result<IndexKey, IndexKeyError> {
        match Digest::from_parts("sha256", text.trim_end()) {
            Ok(Digest::Sha256(bytes)) => Ok(IndexKey(Zeroizing::new(bytes))),
            _ => Err(IndexKeyError),
        }
    }

    /// Returns the hexadecimal form, which is as secret as the key.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(Digest::Sha256(*self.0).hex())
    }

    /// Returns the keyed hash of a subject.
    pub fn subject(&self, digest: &Digest) -> KeyedHash {
        self.hash("subject", &digest.to_string())
    }

    /// Returns the keyed hash of a subject by the name of its digest, such as `sha384:9f86…`.
    pub fn subject_named(&self, digest: &str) -> KeyedHash {
        self.hash("subject", digest)
    }

    /// Returns the keyed hash of a predicate type.
    pub fn predicate(&self, predicate_type: &str) -> KeyedHash {
        self.hash("predicate", predicate_type)
    }

    /// Returns the keyed hash of a signer's key id.
    pub fn signer(&self, key_id: &Digest) -> KeyedHash {
        self.hash("signer", &key_id.to_string())
    }

    fn hash(&self, domain: &str, text: &str) -> KeyedHash {
        KeyedHash(hmac_sha256(&*self.0, format!("assay index 1 {domain}\n{text}").as_bytes()))
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(…)")
    }
}

impl IndexEntry {
    /// Returns the index entries of an envelope: one, or several where it has many subjects. They are the leaves right
    /// after the Sigstore entry.
    pub fn of(key: &IndexKey, indexed: &Indexed<'_>) -> Vec<IndexEntry> {
        let subjects: BTreeSet<KeyedHash> = indexed.subjects.iter().map(|digest| key.subject(digest)).collect();
        let subjects: Vec<KeyedHash> = subjects.into_iter().collect();
        let whole = IndexEntry {
            version: VERSION,
            entry: indexed.entry,
            envelope: Some(indexed.envelope),
            predicate: Some(key.predicate(indexed.predicate)),
            signer: key.signer(indexed.signer),
            subjects: Vec::new(),
            time: indexed.time,
        };
        if subjects.is_empty() {
            return vec![whole];
        }
        let part = |subjects: &[KeyedHash]| IndexEntry { subjects: subjects.to_vec(), ..whole.clone() };
        subjects.chunks(SUBJECTS_MAX).map(part).collect()
    }

    /// Returns the index entry of a Sigstore entry that came without what was signed. `digest` names what that was.
    pub fn without_payload(key: &IndexKey, entry: u64, digest: &str, signer: &Digest, time: Timestamp) -> IndexEntry {
        IndexEntry {
            version: VERSION_WITHOUT_PAYLOAD,
            entry,
            envelope: None,
            predicate: None,
            signer: key.signer(signer),
            subjects: vec![key.subject_named(digest)],
            time,
        }
    }

    /// Returns the leaf.
    pub fn to_leaf(&self) -> Leaf {
        Leaf::new(wire::jcs::to_vec(self)).expect("an index entry of at most 900 subjects fits a leaf")
    }

    /// Names this kind of entry where a proof says what its leaf is; no client but ours knows it.
    pub fn kind_version(&self) -> KindVersion {
        KindVersion { kind: "assayIndex".to_owned(), version: self.version.to_string() }
    }

    /// Whether a leaf claims to be an index entry of any version, and is not a Sigstore entry.
    pub fn is_one(leaf: &[u8]) -> bool {
        leaf.starts_with(b"{\"assayIndex\":")
    }

    /// Parses a leaf; only the exact bytes that [`IndexEntry::to_leaf`] makes are taken.
    pub fn parse(leaf: &[u8]) -> Result<IndexEntry, IndexError> {
        #[derive(Deserialize)]
        struct VersionWire {
            #[serde(rename = "assayIndex")]
            version: u32,
        }
        if leaf.len() > LEAF_SIZE_MAX {
            return Err(IndexError::Size(leaf.len()));
        }
        let VersionWire { version } = serde_json::from_slice(leaf)?;
        if version != VERSION && version != VERSION_WITHOUT_PAYLOAD {
            return Err(IndexError::Version(version));
        }
        let entry: IndexEntry = serde_json::from_slice(leaf)?;
        let sorted = entry.subjects.is_sorted_by(|a, b| a < b) && entry.subjects.len() <= SUBJECTS_MAX;
        let has_payload = version == VERSION;
        let fits = entry.envelope.is_some() == has_payload
            && entry.predicate.is_some() == has_payload
            && (has_payload || entry.subjects.len() == 1);
        if sorted && fits && wire::jcs::to_vec(&entry) == leaf { Ok(entry) } else { Err(IndexError::Canonical) }
    }
}

impl fmt::Display for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest::Sha256(self.0).hex())
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyedHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyedHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeyedHash, D::Error> {
        match Digest::from_parts("sha256", &String::deserialize(deserializer)?) {
            Ok(Digest::Sha256(bytes)) => Ok(KeyedHash(bytes)),
            _ => Err(serde::de::Error::custom("expected 64 lower-case hexadecimal digits")),
        }
    }
}

#[cfg(test)]
mod tests;
