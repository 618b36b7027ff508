//! What `[[fetch]]` of `assay.toml` names: any file by URL and digest, for any command.
//!
//! ```text
//! [[fetch]]                                      /fetched/zlib/zlib-1.3.1/configure
//! url = "https://zlib.net/zlib-1.3.1.tar.gz"     /fetched/zlib/zlib-1.3.1/zlib.h
//! digest = "sha256:9a93b2b7…"
//! path = "/fetched/zlib"
//! unpack = true
//! ```
//!
//! All of them make one tree, mounted read-only. Archives are tar or tar with gzip; what else there is, a step unpacks.

use std::io::{self, BufReader, Read};

use inspect::archive::{self, ArchiveError, Kind, Limits};
use wire::digest::Digest;
use wire::purl::Purl;

use super::download::{self, Counts, DownloadError, Integrity, Wanted};
use crate::inputs::{InputsError, TreeEntry, TreeSource};
use crate::lock::{Dependency, DependencyKind};
use crate::pin::World;
use crate::spec::{self, FETCHED, Fetch};

/// What an archive may at most hold; all of it passes through memory.
const LIMITS: Limits = Limits { members_max: 200_000, bytes_max: 2 << 30, links: true };

/// The first bytes of a gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a fetched file could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum FetchedError {
    /// It could not be had.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// It is no archive that is read.
    #[error("unpacking `{url}`: only tar and tar with gzip are read; without `unpack`, a step may unpack it")]
    Archive {
        /// Its URL.
        url: String,
        /// What is wrong.
        #[source]
        source: ArchiveError,
    },
    /// The store failed.
    #[error("keeping what `[[fetch]]` names")]
    Inputs(#[from] InputsError),
}

/// The tree of all fetched files, and each as a dependency.
pub(crate) struct Pinned {
    pub(crate) tree: Option<Digest>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) counts: Counts,
}

/// Fetches and keeps the files, and makes their tree.
pub(crate) fn pin(files: &[Fetch], world: &World<'_>) -> Result<Pinned, FetchedError> {
    if files.is_empty() {
        return Ok(Pinned { tree: None, dependencies: Vec::new(), counts: Counts::default() });
    }
    let wanted: Vec<Wanted> = files
        .iter()
        .map(|file| Wanted {
            what: format!("`{}`", file.path),
            url: file.url.clone(),
            integrity: Integrity::Bytes(vec![file.digest]),
            stated_by: spec::FILE.to_owned(),
        })
        .collect();
    let (digests, counts) = download::bring(&wanted, world)?;
    let mut entries = Vec::new();
    for (file, digest) in files.iter().zip(&digests) {
        let path = file.path.strip_prefix(FETCHED).map_or(file.path.as_str(), |path| path.trim_start_matches('/'));
        match file.unpack {
            true => unpack(file, path, world.inputs.open(digest)?, &mut entries)?,
            false => {
                let source = TreeSource::Held { digest: *digest, executable: file.executable };
                entries.push(TreeEntry { path: path.to_owned(), source });
            }
        }
    }
    let tree = world.inputs.import(entries)?.digest();
    let dependencies = files.iter().zip(&digests).map(|(file, digest)| dependency(file, digest)).collect();
    Ok(Pinned { tree: Some(tree), dependencies, counts })
}

fn dependency(file: &Fetch, digest: &Digest) -> Dependency {
    let name = file.url.split(['?', '#']).next().unwrap_or("").rsplit('/').next().unwrap_or("");
    let name = if name.is_empty() { "file" } else { name };
    let purl = Purl::new("generic", name, &file.digest.to_string()).with("download_url", &file.url);
    Dependency {
        ecosystem: None,
        name: file.path.clone(),
        version: String::new(),
        source: file.url.clone(),
        file: None,
        kind: DependencyKind::Url,
        commit: None,
        integrity: (file.digest != *digest).then_some(file.digest),
        digest: *digest,
        purl: purl.to_string(),
    }
}

fn unpack(
    file: &Fetch,
    path: &str,
    bytes: Box<dyn Read + Send>,
    entries: &mut Vec<TreeEntry>,
) -> Result<(), FetchedError> {
    let mut tar = plain(bytes)
        .map_err(|error| FetchedError::Archive { url: file.url.clone(), source: ArchiveError::Read(error) })?;
    let mut files: std::collections::BTreeMap<String, TreeSource> = std::collections::BTreeMap::new();
    let outcome = archive::read(&mut *tar, &LIMITS, &mut |member, content| {
        let source = match &member.kind {
            Kind::Directory => return Ok(()),
            Kind::File { .. } => {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
                TreeSource::Bytes { bytes, executable: member.mode & 0o100 != 0 }
            }
            Kind::Link { target } => TreeSource::Link(target.clone()),
            // The reader admits only those whose file came before.
            Kind::HardLink { target } => match files.get(target) {
                Some(source) => source.clone(),
                None => return Ok(()),
            },
        };
        files.insert(member.path.clone(), source);
        Ok(())
    });
    outcome.map_err(|source| FetchedError::Archive { url: file.url.clone(), source })?;
    entries.extend(files.into_iter().map(|(member, source)| TreeEntry { path: format!("{path}/{member}"), source }));
    Ok(())
}

/// The bytes without the gzip around them, if there is one.
pub(super) fn plain(bytes: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut bytes = BufReader::with_capacity(128 * 1024, bytes);
    let start = io::BufRead::fill_buf(&mut bytes)?;
    match start.starts_with(&GZIP) {
        true => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(bytes))),
        false => Ok(Box::new(bytes)),
    }
}

#[cfg(test)]
mod tests;
