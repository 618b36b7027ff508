//! Files into the store: each fetched from its URL, compared with what the lock file says, kept, never asked for again.
//!
//! The store knows bytes by SHA-256; a lock file may know them by SHA-512. Which SHA-256 belongs to a SHA-512 is
//! remembered in the cache, and believed only after the kept bytes were hashed again. Bytes that differ are an error that
//! names both digests, and are not kept. MD5 and SHA-1 pin nothing and are not taken. The same holds for Go's hashes of a
//! module, which are over the files of a zip and not over the zip.

use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flate2::bufread::MultiGzDecoder;
use inspect::archive::{self, ArchiveError, Limits, Links};
use inspect::lock_file::go::{hash_go_mod, hash1};
use wire::digest::{Algorithm, Digest, Hasher};

use crate::ecosystem::Ecosystem;
use crate::inputs::{FetchError, InputsError};
use crate::lock::Dependency;
use crate::pin::World;
use crate::pin::cache::Cache;

/// How many files are fetched at once: a registry's delay, not its bandwidth, is what takes time.
const FETCHES: usize = 8;

/// How large one fetched file may be: the largest wheels in use have about 900 MB.
pub const FILE_SIZE_MAX: u64 = 2 << 30;

/// Where the bytes of a lock file's packages came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Held already.
    pub held: usize,
    /// Taken from a cache of this machine.
    pub cached: usize,
    /// Fetched over the network.
    pub fetched: usize,
}

impl Counts {
    /// Adds another's counts.
    pub fn add(&mut self, other: Counts) {
        self.held += other.held;
        self.cached += other.cached;
        self.fetched += other.fetched;
    }
}

/// A file to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What it is, for messages: ``package `left-pad 1.3.0` ``.
    pub what: String,
    /// Where it is asked for.
    pub url: String,
    /// What its bytes must be.
    pub integrity: Integrity,
    /// Who says so, for messages: `package-lock.json`.
    pub stated_by: String,
}

/// What the bytes of a file must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// These digests of it, all of them; at least one.
    Bytes(Vec<Digest>),
    /// A zip whose files have this hash: Go's `h1:` of a module.
    GoTree(Digest),
    /// A `go.mod` with this hash: Go's `h1:` of that file alone.
    GoMod(Digest),
    /// A tar with gzip that holds a file of this path with this digest.
    Member {
        /// Path in the archive.
        path: String,
        /// The file's digest.
        digest: Digest,
    },
}

/// What an archive of which one member counts may at most hold.
const MEMBER_LIMITS: Limits =
    Limits { members_max: 10_000, bytes_max: 256 << 20, links: Links::Inside, specials: false };

/// How many files a module's zip may have, and how large they may be together: Go's own limits.
const MODULE_FILES_MAX: usize = 100_000;
const MODULE_BYTES_MAX: u64 = 500 << 20;

impl Integrity {
    /// Returns the SHA-256 of the bytes, or what was expected of them and what they are.
    fn check(&self, bytes: &[u8]) -> Result<Digest, (String, String)> {
        let sha256 = Digest::of(bytes);
        match self {
            Integrity::Bytes(expected) => {
                for expected in expected {
                    let found = digest_like(expected, bytes);
                    if found != *expected {
                        return Err((expected.to_string(), found.to_string()));
                    }
                }
            }
            Integrity::GoTree(expected) => {
                let found = module_hash(bytes).map_err(|error| (hash_text(expected), error))?;
                if found != *expected {
                    return Err((hash_text(expected), hash_text(&found)));
                }
            }
            Integrity::GoMod(expected) => {
                let found = hash_go_mod(bytes);
                if found != *expected {
                    return Err((hash_text(expected), hash_text(&found)));
                }
            }
            Integrity::Member { path, digest: expected } => {
                let stated = format!("{expected} of `{path}` in it");
                match member(bytes, path, expected) {
                    Ok(Some(found)) if found == *expected => {}
                    Ok(Some(found)) => return Err((stated, found.to_string())),
                    Ok(None) => return Err((stated, "an archive without that file".to_owned())),
                    Err(error) => return Err((stated, error.to_string())),
                }
            }
        }
        Ok(sha256)
    }

    /// The name under which the cache knows which blob fulfils it.
    fn key(&self) -> String {
        match self {
            Integrity::Bytes(digests) => digests.iter().map(|digest| format!("{digest} ")).collect(),
            Integrity::GoTree(digest) => format!("go-tree {digest}"),
            Integrity::GoMod(digest) => format!("go-mod {digest}"),
            Integrity::Member { path, digest } => format!("member {path} {digest}"),
        }
    }
}

/// `h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=`
fn hash_text(digest: &Digest) -> String {
    format!("h1:{}", wire::base64::encode(digest.bytes()))
}

/// The digest of one file of an archive, by the algorithm of `like`; `None` if it has none of that path.
fn member(bytes: &[u8], path: &str, like: &Digest) -> Result<Option<Digest>, ArchiveError> {
    let mut found = None;
    archive::read(&mut MultiGzDecoder::new(bytes), &MEMBER_LIMITS, &mut |member, content| {
        if member.path == path {
            let mut all = Vec::new();
            content.read_to_end(&mut all).map_err(ArchiveError::Read)?;
            found = Some(digest_like(like, &all));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Go's hash over the files of a module's zip; the error says why there is none.
fn module_hash(bytes: &[u8]) -> Result<Digest, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("no zip ({error})"))?;
    if archive.len() > MODULE_FILES_MAX {
        return Err(format!("a zip of more than {MODULE_FILES_MAX} files"));
    }
    let mut files = Vec::with_capacity(archive.len());
    let mut left = MODULE_BYTES_MAX;
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|error| format!("a damaged zip ({error})"))?;
        if file.is_dir() {
            continue;
        }
        let name = file.name().map_err(|error| format!("a damaged zip ({error})"))?.into_owned();
        let (digest, size) =
            Digest::of_reader(&mut file.take(left + 1)).map_err(|error| format!("a damaged zip ({error})"))?;
        left = left.checked_sub(size).ok_or_else(|| format!("a zip of more than {MODULE_BYTES_MAX} bytes"))?;
        files.push((name, digest));
    }
    hash1(&mut files).map_err(|error| error.to_string())
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The URL's bytes are not what was stated.
    #[error("{what} at `{url}` is {found}, but {stated_by} says {expected}")]
    Differs {
        /// What was fetched.
        what: String,
        /// From where.
        url: String,
        /// Who states the digest.
        stated_by: String,
        /// The digest stated.
        expected: String,
        /// The digest of the bytes that came, or why they have none.
        found: String,
    },
    /// The URL gave nothing.
    #[error("fetching {what}")]
    Fetch {
        /// What was to be fetched.
        what: String,
        /// Why it was not.
        #[source]
        source: FetchError,
    },
    /// The store failed.
    #[error("keeping {what}")]
    Inputs {
        /// What was to be kept.
        what: String,
        /// Why it was not.
        #[source]
        source: InputsError,
    },
}

/// Brings every file into the store; returns the SHA-256 of each, in the order asked.
pub fn bring(wanted: &[Wanted], world: &World<'_>) -> Result<(Vec<Digest>, Counts), DownloadError> {
    let mut digests = vec![None; wanted.len()];
    let mut missing = Vec::new();
    for (index, file) in wanted.iter().enumerate() {
        match held(&file.integrity, world).map_err(|source| keeping(file, source))? {
            Some(digest) => digests[index] = Some(digest),
            None => missing.push(index),
        }
    }
    let counts = Counts { held: wanted.len() - missing.len(), cached: 0, fetched: missing.len() };
    let fetched: Mutex<Vec<(usize, Digest)>> = Mutex::new(Vec::new());
    in_parallel(&missing, &|index| {
        let file = &wanted[*index];
        let digest = fetch(file, world)?;
        (world.progress)(&format!("fetched {}", file.what));
        fetched.lock().unwrap_or_else(PoisonError::into_inner).push((*index, digest));
        Ok(())
    })?;
    for (index, digest) in fetched.into_inner().unwrap_or_else(PoisonError::into_inner) {
        digests[index] = Some(digest);
    }
    Ok((digests.into_iter().flatten().collect(), counts))
}

/// Remembers which blobs a lock's dependencies are, so that what is held is found although the cache was lost. Each is
/// hashed again before it is believed.
pub(crate) fn remember(dependencies: &[Dependency], world: &World<'_>) {
    for dependency in dependencies {
        let integrity = match (dependency.ecosystem, dependency.integrity) {
            (_, None) => continue,
            (Some(Ecosystem::Go), Some(tree)) => Integrity::GoTree(tree),
            (_, Some(digest)) => Integrity::Bytes(vec![digest]),
        };
        known(&integrity, world).save(&dependency.digest);
    }
}

/// Works on items from several threads; the first error ends all, and what was done by then is done.
pub(super) fn in_parallel<T: Sync, E: Send>(items: &[T], work: &(dyn Fn(&T) -> Result<(), E> + Sync)) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<E>> = Mutex::new(None);
    let turn = || {
        while failure.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            if let Err(error) = work(item) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..FETCHES.min(items.len()) {
            scope.spawn(turn);
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Returns the SHA-256 of the kept bytes that fulfil it; `None` if there are none.
fn held(integrity: &Integrity, world: &World<'_>) -> Result<Option<Digest>, InputsError> {
    if let Integrity::Bytes(digests) = integrity
        && let [sha256 @ Digest::Sha256(_)] = digests.as_slice()
    {
        return Ok(world.inputs.has(sha256)?.then_some(*sha256));
    }
    let Some(known) = known(integrity, world).load::<Digest>() else { return Ok(None) };
    if !world.inputs.has(&known)? {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    world.inputs.open(&known)?.take(FILE_SIZE_MAX).read_to_end(&mut bytes)?;
    Ok((integrity.check(&bytes) == Ok(known)).then_some(known))
}

fn known(integrity: &Integrity, world: &World<'_>) -> Cache {
    Cache::new(&world.host.cache, "integrity", &Digest::of(integrity.key().as_bytes()))
}

/// The digest of bytes by another's algorithm.
fn digest_like(like: &Digest, bytes: &[u8]) -> Digest {
    let algorithm = match like {
        Digest::Sha256(_) => return Digest::of(bytes),
        Digest::Sha512(_) => Algorithm::Sha512,
    };
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

fn fetch(file: &Wanted, world: &World<'_>) -> Result<Digest, DownloadError> {
    let bytes = match world.fetch.fetch(&file.url, FILE_SIZE_MAX) {
        Ok(bytes) => bytes,
        Err(source) => return Err(DownloadError::Fetch { what: file.what.clone(), source }),
    };
    let digest = file.integrity.check(&bytes).map_err(|(expected, found)| DownloadError::Differs {
        what: file.what.clone(),
        url: file.url.clone(),
        stated_by: file.stated_by.clone(),
        expected,
        found,
    })?;
    world.inputs.put(&mut bytes.as_slice(), Some(&digest)).map_err(|source| keeping(file, source))?;
    if file.integrity != Integrity::Bytes(vec![digest]) {
        known(&file.integrity, world).save(&digest);
    }
    Ok(digest)
}

fn keeping(file: &Wanted, source: InputsError) -> DownloadError {
    DownloadError::Inputs { what: file.what.clone(), source }
}

#[cfg(test)]
mod tests;
