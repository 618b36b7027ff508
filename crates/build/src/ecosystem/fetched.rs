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
//! All of them make one tree, mounted read-only. Archives are tar, tar with gzip, or zip; what else there is, a step unpacks.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Cursor, Read};

use inspect::archive::{self, ArchiveError, Kind, Limits, Links};
use wire::digest::Digest;
use wire::purl::Purl;

use super::download::{self, Counts, DownloadError, Integrity, Wanted};
use crate::inputs::{InputsError, TreeEntry, TreeSource};
use crate::lock::{Dependency, DependencyKind};
use crate::pin::World;
use crate::spec::{self, FETCHED, Fetch};

/// What an archive may at most hold; all of it passes through memory.
const LIMITS: Limits = Limits { members_max: 200_000, bytes_max: 2 << 30, links: Links::Inside, specials: false };

/// The first bytes of a gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The first bytes of a zip that is not empty.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// Why a fetched file could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum FetchedError {
    /// It could not be had.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// It is no archive that is read.
    #[error("unpacking `{url}`: only tar, tar with gzip and zip are read; without `unpack`, a step may unpack it")]
    Archive {
        /// Its URL.
        url: String,
        /// What is wrong.
        #[source]
        source: ArchiveError,
    },
    /// It is a zip, but not one that can be unpacked in one way only.
    #[error("unpacking `{url}`: {reason}")]
    Zip {
        /// Its URL.
        url: String,
        /// What is wrong.
        reason: String,
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
    let refuse = |source| FetchedError::Archive { url: file.url.clone(), source };
    let mut bytes = BufReader::with_capacity(128 * 1024, bytes);
    let start = bytes.fill_buf().map_err(|error| refuse(ArchiveError::Read(error)))?;
    let files = match start {
        start if start.starts_with(&ZIP) => {
            let mut whole = Vec::new();
            let read = bytes.take(download::FILE_SIZE_MAX).read_to_end(&mut whole);
            read.map_err(|error| refuse(ArchiveError::Read(error)))?;
            of_zip(&whole).map_err(|reason| FetchedError::Zip { url: file.url.clone(), reason })?
        }
        start if start.starts_with(&GZIP) => {
            of_tar(&mut flate2::bufread::MultiGzDecoder::new(bytes)).map_err(refuse)?
        }
        _ => of_tar(&mut bytes).map_err(refuse)?,
    };
    entries.extend(files.into_iter().map(|(member, source)| TreeEntry { path: format!("{path}/{member}"), source }));
    Ok(())
}

/// The files and links of a tar, by path.
pub(super) fn of_tar(tar: &mut dyn Read) -> Result<BTreeMap<String, TreeSource>, ArchiveError> {
    let mut files: BTreeMap<String, TreeSource> = BTreeMap::new();
    archive::read(tar, &LIMITS, &mut |member, content| {
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
            Kind::Special { .. } => return Ok(()), // the limits take none
        };
        files.insert(member.path.clone(), source);
        Ok(())
    })?;
    Ok(files)
}

/// The files of a zip, by path. Links are refused, and names that could leave the directory or stand twice.
fn of_zip(bytes: &[u8]) -> Result<BTreeMap<String, TreeSource>, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("the zip is damaged ({error})");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    if archive.len() > LIMITS.members_max {
        return Err(format!("the zip has more than {} members", LIMITS.members_max));
    }
    let mut files = BTreeMap::new();
    let mut left = LIMITS.bytes_max;
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|error| damaged(&error))?;
        let name = member.name().map_err(|error| damaged(&error))?.into_owned();
        if member.is_dir() {
            continue;
        }
        let plain = name.split('/').all(|part| !part.is_empty() && part != "." && part != "..") && !name.contains('\\');
        if !plain || member.is_symlink() {
            return Err(format!("`{}` is no plain file of the zip", name.escape_debug()));
        }
        let executable = member.unix_mode().is_some_and(|mode| mode & 0o100 != 0);
        let mut bytes = Vec::new();
        member.take(left + 1).read_to_end(&mut bytes).map_err(|error| damaged(&error))?;
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| format!("the zip holds more than {} bytes", LIMITS.bytes_max))?;
        if files.insert(name.clone(), TreeSource::Bytes { bytes, executable }).is_some() {
            return Err(format!("`{name}` stands twice in the zip"));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
