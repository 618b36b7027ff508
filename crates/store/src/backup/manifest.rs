//! `backup.json`: what belongs to a back-up.
//!
//! ```text
//! {"backup":"sha256:…","blobs":["sha256:…"],"files":[{"digest":"sha256:…","mode":384,"path":"keys/admin.pem","root":"home"}],
//!  "logs":[{"checkpoint":"…\n","name":"log","origin":"…"}],"made":"2026-11-25T11:20:00Z","trees":["sha256:…"],"version":1}
//! ```
//!
//! `backup` is the digest of the document without it. A log's own key has signed its checkpoint; it is among the files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sign::note::NoteKey;
use tlog::checkpoint::Checkpoint;
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use super::BackupError;
use crate::durable::{self, FileError};

/// Name of the file.
pub const MANIFEST: &str = "backup.json";

/// Version of the document.
pub(super) const VERSION: u32 = 1;

/// The largest that is read: a million blobs take 75 MB.
const SIZE_MAX: u64 = 1 << 30;

/// What belongs to a back-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Blobs, sorted.
    pub blobs: Vec<Digest>,
    /// Small files, sorted.
    pub files: Vec<Kept>,
    /// The log of statements first, then that of certificates, if there is one.
    pub logs: Vec<KeptLog>,
    /// When it was taken, by the clock of its machine.
    pub made: Timestamp,
    /// Trees, sorted.
    pub trees: Vec<Digest>,
    /// Version of the document.
    pub version: u32,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptLog {
    /// Its directory: `log`, `ct`.
    pub name: String,
    /// Its origin.
    pub origin: String,
    /// Its checkpoint: a signed note.
    pub checkpoint: String,
    /// Of a log of certificates: SHA-256 of the digests (32 bytes each) of the files beside its leaves, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Digest>,
}

/// A small file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Name of its root: `data`, `log`, `home`.
    pub root: String,
    /// Path below the root.
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// Digest of its bytes: its name in the back-up.
    pub digest: Digest,
}

/// Why a manifest could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// There is none.
    #[error("`{}` is missing: this is no back-up, or one that was never finished", .0.display())]
    Missing(PathBuf),
    /// Bytes that no manifest of ours has.
    #[error("`{}` is damaged", .0.display())]
    Damaged(PathBuf),
    /// A later version.
    #[error("`{}` has version {version}, and this program knows only {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    backup: Digest,
}

impl Manifest {
    /// Returns the bytes of the file.
    pub fn to_json(&self) -> Vec<u8> {
        let backup = Digest::of(&wire::jcs::to_vec(self));
        let mut json = wire::jcs::to_vec(&Document { manifest: self, backup });
        json.push(b'\n');
        json
    }

    /// Reads a manifest; only the exact bytes that [`Manifest::to_json`] writes are taken.
    pub fn read(path: &Path) -> Result<Manifest, ManifestError> {
        let json = durable::read_optional(path, SIZE_MAX)?.ok_or_else(|| ManifestError::Missing(path.to_owned()))?;
        Manifest::parse(&json).map_err(|version| match version {
            Some(version) => ManifestError::Version { path: path.to_owned(), version },
            None => ManifestError::Damaged(path.to_owned()),
        })
    }

    /// Parses a manifest; the error is its version, where that is another.
    pub(super) fn parse(json: &[u8]) -> Result<Manifest, Option<u32>> {
        let mut document: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(json).map_err(|_| None)?;
        let version = document.get("version").and_then(serde_json::Value::as_u64).ok_or(None)?;
        if version != u64::from(VERSION) {
            return Err(u32::try_from(version).ok());
        }
        document.remove("backup").ok_or(None)?;
        let manifest: Manifest = serde_json::from_value(serde_json::Value::Object(document)).map_err(|_| None)?;
        if manifest.to_json() == json { Ok(manifest) } else { Err(None) }
    }

    /// Returns what it holds of a log.
    pub fn log(&self, name: &str) -> Option<&KeptLog> {
        self.logs.iter().find(|log| log.name == name)
    }
}

impl KeptLog {
    /// Returns its checkpoint, if the log has signed it.
    pub(super) fn signed_by(&self, log: &NoteKey) -> Result<Checkpoint, BackupError> {
        Checkpoint::open(&self.checkpoint, log)
            .map_err(|error| BackupError::Damaged { what: format!("the checkpoint of `{}`: {error}", self.name) })
    }
}
