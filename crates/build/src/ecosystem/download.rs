//! Files into the store: each fetched from its URL, compared with what the lock file says, kept, never asked for again.
//!
//! The store knows bytes by SHA-256; a lock file may know them by SHA-512. Which SHA-256 belongs to a SHA-512 is
//! remembered in the cache, and believed only after the kept bytes were hashed again. Bytes that differ are an error that
//! names both digests, and are not kept. MD5 and SHA-1 pin nothing and are not taken.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use wire::digest::{Algorithm, Digest, Hasher};

use crate::inputs::{FetchError, Inputs, InputsError};
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
    /// What its bytes must be, by each of these; at least one.
    pub integrity: Vec<Digest>,
    /// Who says so, for messages: `package-lock.json`.
    pub stated_by: String,
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
        expected: Digest,
        /// The digest of the bytes that came.
        found: Digest,
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
        match held(first(file), world).map_err(|source| keeping(file, source))? {
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

/// Works on items from several threads; the first error ends all, and what was done by then is done.
pub(super) fn in_parallel<T: Sync, E: Send>(
    items: &[T],
    work: &(dyn Fn(&T) -> Result<(), E> + Sync),
) -> Result<(), E> {
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

/// Returns the SHA-256 of the kept bytes with that digest; `None` if there are none.
pub(super) fn held(integrity: &Digest, world: &World<'_>) -> Result<Option<Digest>, InputsError> {
    let Digest::Sha512(_) = integrity else {
        return Ok(world.inputs.has(integrity)?.then_some(*integrity));
    };
    let Some(known) = known(integrity, world).load::<Digest>() else { return Ok(None) };
    if !world.inputs.has(&known)? {
        return Ok(None);
    }
    Ok((sha512_of(&known, world.inputs)? == *integrity).then_some(known))
}

fn known(integrity: &Digest, world: &World<'_>) -> Cache {
    Cache::new(&world.host.cache, "integrity", &Digest::of(integrity.to_string().as_bytes()))
}

fn sha512_of(digest: &Digest, inputs: &dyn Inputs) -> Result<Digest, InputsError> {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    io::copy(&mut inputs.open(digest)?, &mut hasher)?;
    hasher.flush()?;
    Ok(hasher.finish())
}

fn fetch(file: &Wanted, world: &World<'_>) -> Result<Digest, DownloadError> {
    let bytes = match world.fetch.fetch(&file.url, FILE_SIZE_MAX) {
        Ok(bytes) => bytes,
        Err(source) => return Err(DownloadError::Fetch { what: file.what.clone(), source }),
    };
    let sha256 = Digest::of(&bytes);
    for expected in &file.integrity {
        let found = match expected {
            Digest::Sha256(_) => sha256,
            Digest::Sha512(_) => {
                let mut hasher = Hasher::new(Algorithm::Sha512);
                hasher.update(&bytes);
                hasher.finish()
            }
        };
        if found != *expected {
            return Err(DownloadError::Differs {
                what: file.what.clone(),
                url: file.url.clone(),
                stated_by: file.stated_by.clone(),
                expected: *expected,
                found,
            });
        }
    }
    let digest = world.inputs.put(&mut bytes.as_slice(), Some(&sha256)).map_err(|source| keeping(file, source))?;
    if digest != *first(file) {
        known(first(file), world).save(&digest);
    }
    Ok(digest)
}

fn first(file: &Wanted) -> &Digest {
    file.integrity.first().expect("a lock file without a digest was refused")
}

fn keeping(file: &Wanted, source: InputsError) -> DownloadError {
    DownloadError::Inputs { what: file.what.clone(), source }
}

#[cfg(test)]
mod tests;
