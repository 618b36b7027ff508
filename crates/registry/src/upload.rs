//! The rules of an upload in parts: which bytes come next.
//!
//! Specification: OCI Distribution 1.1, "Pushing a blob in chunks"
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>.
//! A chunk continues exactly where the last one ended; a chunk without a range continues there by definition
//! (that is how clients stream a whole blob). Nothing here touches a file: [`crate::uploads`] does.

use std::fmt;

use wire::oci_distribution::header::ContentRange;

/// The largest blob that is taken: 64 GiB, far above any layer in use, far below what would fill a disk unnoticed.
pub const BLOB_MAX: u64 = 64 << 30;

/// The name of an upload: 32 hexadecimal digits. Who knows it may continue the upload, if his role allows a push.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadId(String);

/// What the head of a request says of the chunk in its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkHead {
    /// Its range, if stated.
    pub range: Option<ContentRange>,
    /// Its length, if stated.
    pub length: Option<u64>,
}

/// How many bytes of the body to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The body has exactly this many; less is a truncated upload. `None` when the request did not say.
    pub exact: Option<u64>,
    /// The body may not have more than this.
    pub most: u64,
}

/// Why a chunk was refused before any of it was read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChunkError {
    /// Not the next bytes. The client asks where it stands and goes on from there.
    #[error("the chunk begins at byte {start} but {received} bytes were received: send from byte {received}")]
    OutOfOrder {
        /// Where the chunk begins.
        start: u64,
        /// What is there.
        received: u64,
    },
    /// Range and length disagree.
    #[error("the chunk's range is {range} bytes long but its length is {length}")]
    Length {
        /// Bytes in the stated range.
        range: u64,
        /// Stated length.
        length: u64,
    },
    /// Beyond [`BLOB_MAX`].
    #[error("the blob would be larger than the limit of {most} bytes")]
    TooLarge {
        /// The limit in force.
        most: u64,
    },
}

/// Decides how a chunk continues an upload of which `received` bytes are there.
pub fn accept(received: u64, head: ChunkHead, blob_max: u64) -> Result<Expected, ChunkError> {
    let exact = match (head.range, head.length) {
        (Some(range), _) if range.first != received => {
            return Err(ChunkError::OutOfOrder { start: range.first, received });
        }
        (Some(range), Some(length)) if range.size() != length => {
            return Err(ChunkError::Length { range: range.size(), length });
        }
        (Some(range), _) => Some(range.size()),
        (None, length) => length,
    };
    let most = blob_max.saturating_sub(received);
    if exact.is_some_and(|exact| exact > most) {
        return Err(ChunkError::TooLarge { most: blob_max });
    }
    Ok(Expected { exact, most })
}

/// Returns what a `Range` header says of an upload: `0-<last byte>`, and `0-0` when there is nothing yet, as
/// registries do for want of a way to write an empty range.
pub fn progress(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}

impl UploadId {
    /// Makes an id of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> UploadId {
        UploadId(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Parses an id; `None` for anything but 32 lower-case hexadecimal digits, so that it is safe as a file name.
    pub fn parse(text: &str) -> Option<UploadId> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 32 && text.bytes().all(hex)).then(|| UploadId(text.to_owned()))
    }

    /// Returns the id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
