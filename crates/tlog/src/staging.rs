//! A step's files packed into one, so that one write and one sync make the whole step durable before it counts.
//!
//! ```text
//! assay staging 1
//! 35 tile/entries/000.p/1
//! <35 bytes>32 tile/0/000.p/1
//! <32 bytes>
//! ```
//!
//! Each file is a line with its size and path, then its bytes. The last path is `checkpoint`.

use crate::tile::TilePath;

const HEADER: &[u8] = b"assay staging 1\n";

/// The path of the checkpoint, which is published last.
pub const CHECKPOINT: &str = "checkpoint";

/// A staging file is damaged or incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("staging file is damaged at byte {at}")]
pub struct StagingError {
    /// Where.
    pub at: usize,
}

/// Returns the bytes of a staging file.
pub fn encode(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let size: usize = files.iter().map(|(path, bytes)| path.len() + bytes.len() + 24).sum();
    let mut out = Vec::with_capacity(HEADER.len() + size);
    out.extend_from_slice(HEADER);
    for (path, bytes) in files {
        out.extend_from_slice(format!("{} {path}\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

/// Returns the files that a staging file holds, in order: tiles and at the end the checkpoint, or it is refused.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, StagingError> {
    let mut rest = bytes.strip_prefix(HEADER).ok_or(StagingError { at: 0 })?;
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    while !rest.is_empty() {
        let error = StagingError { at: bytes.len() - rest.len() };
        let (path, content, tail) = parse_file(rest).ok_or(error)?;
        let ended = files.last().is_some_and(|(path, _)| path == CHECKPOINT);
        if ended || (path != CHECKPOINT && path.parse::<TilePath>().is_err()) {
            return Err(error);
        }
        files.push((path.to_owned(), content.to_vec()));
        rest = tail;
    }
    match files.last() {
        Some((path, _)) if path == CHECKPOINT => Ok(files),
        _ => Err(StagingError { at: bytes.len() }),
    }
}

fn parse_file(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (size, path) = std::str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
    let (content, rest) = bytes[end + 1..].split_at_checked(size.parse().ok()?)?;
    Some((path, content, rest))
}

#[cfg(test)]
mod tests;
