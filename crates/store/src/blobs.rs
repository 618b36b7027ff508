//! Blobs: bytes under their own digest, written once, never changed.
//!
//! ```text
//! blobs/sha256/9f/86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08      mode 0444
//! ```
//!
//! Nothing here knows what a blob is or who may have it. Opening trusts the disk; [`Blobs::verify`] doesn't.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wire::digest::{Algorithm, Digest, Hasher};

use crate::durable::{self, Batch, Disk, FileError, Operation, Writer};

/// The largest blob that a caller may allow: 1 TiB, which no file of a build reaches.
pub const SIZE_MAX: u64 = 1 << 40;

const BUFFER: usize = 256 * 1024;

/// Nobody writes to a blob.
const MODE: u32 = 0o444;

/// The blob store of a data directory. Clones share it; any number of threads may read and put at once.
#[derive(Clone)]
pub struct Blobs {
    root: PathBuf,
    disk: Disk,
}

/// Why a blob could not be stored or had.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes are not those that were announced. Nothing was stored.
    #[error("expected blob {expected} but the {size} bytes given are {found}")]
    Mismatch {
        /// The digest that was announced.
        expected: Digest,
        /// That of what came.
        found: Digest,
        /// How much came.
        size: u64,
    },
    /// More bytes than the caller allows. Nothing was stored.
    #[error("blob is larger than the limit of {size_max} bytes")]
    TooLarge {
        /// The limit.
        size_max: u64,
    },
    /// There is no such blob.
    #[error("no blob {0} is stored here")]
    Missing(Digest),
    /// A stored blob whose bytes have changed.
    #[error("stored blob {expected} is damaged: its bytes are {found}")]
    Damaged {
        /// Its name.
        expected: Digest,
        /// What its bytes are now.
        found: Digest,
    },
    /// The bytes to be stored could not be read.
    #[error("reading the bytes to store")]
    Source(#[source] io::Error),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Blobs {
    /// The blobs below `root`, which is made when first needed.
    pub fn new(root: PathBuf, disk: Disk) -> Blobs {
        Blobs { root, disk }
    }

    /// Stores all that `reader` yields, and returns its digest and size once it is durable.
    ///
    /// With `expected`, other bytes are refused; without, the digest is SHA-256. Putting what is there already is
    /// harmless and heals a damaged copy; two threads may put the same digest at once.
    pub fn put(
        &self,
        reader: &mut dyn Read,
        expected: Option<&Digest>,
        size_max: u64,
    ) -> Result<(Digest, u64), BlobError> {
        let mut writer = self.writer(expected.map_or(Algorithm::Sha256, algorithm), size_max)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return writer.finish(expected),
                Ok(read) => writer.write(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BlobError::Source(error)),
            }
        }
    }

    /// Stores bytes under their SHA-256, and returns it once they are durable.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let mut batch = Batch::new(&self.disk);
        let digest = self.put_into(bytes, &mut batch)?;
        batch.commit()?;
        Ok(digest)
    }

    /// The same as part of a batch: the blob is durable once that is placed.
    pub fn put_into(&self, bytes: &[u8], batch: &mut Batch) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        match durable::read_optional(&path, bytes.len() as u64) {
            // It may have been renamed a moment ago by another thread, and not be durable yet.
            Ok(Some(stored)) if stored == bytes => batch.take_along(&path),
            _ => batch.write(path, bytes, MODE)?,
        }
        Ok(digest)
    }

    /// Starts a blob whose bytes come piece by piece; dropped unfinished, it leaves nothing.
    pub fn writer(&self, algorithm: Algorithm, size_max: u64) -> Result<BlobWriter, BlobError> {
        let writer = self.disk.writer(MODE)?;
        let size_max = size_max.min(SIZE_MAX);
        Ok(BlobWriter { blobs: self.clone(), writer, hasher: Hasher::new(algorithm), size: 0, size_max })
    }

    /// Opens a blob to read it, without looking at its bytes.
    pub fn open(&self, digest: &Digest) -> Result<File, BlobError> {
        let path = self.path(digest);
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(*digest),
            _ => FileError::new(Operation::Open, &path, source).into(),
        })
    }

    /// Reads a whole blob of at most `size_max` bytes, and checks that the bytes have its digest.
    pub fn read(&self, digest: &Digest, size_max: u64) -> Result<Vec<u8>, BlobError> {
        let file = self.open(digest)?;
        let mut bytes = Vec::new();
        let read = file.take(size_max.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|source| FileError::new(Operation::Read, &self.path(digest), source))?;
        if bytes.len() as u64 > size_max {
            return Err(BlobError::TooLarge { size_max });
        }
        let mut hasher = Hasher::new(algorithm(digest));
        hasher.update(&bytes);
        let found = hasher.finish();
        if found != *digest {
            return Err(BlobError::Damaged { expected: *digest, found });
        }
        Ok(bytes)
    }

    /// Returns a blob's size; `None` if it is not here.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let path = self.path(digest);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::new(Operation::Open, &path, error).into()),
        }
    }

    /// Whether a blob is here.
    pub fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.size(digest)?.is_some())
    }

    /// Returns where a blob lies, or would lie. Never write there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(relative_path(digest))
    }

    /// Reads a blob's bytes again and compares their digest; returns the size.
    pub fn verify(&self, digest: &Digest) -> Result<u64, BlobError> {
        let (found, size) = hash(&mut self.open(digest)?, algorithm(digest))
            .map_err(|source| FileError::new(Operation::Read, &self.path(digest), source))?;
        if found == *digest { Ok(size) } else { Err(BlobError::Damaged { expected: *digest, found }) }
    }

    /// Returns the digests of all blobs, sorted. What is no blob by its name is passed over; `fsck` names it.
    pub fn list(&self) -> Result<Vec<Digest>, BlobError> {
        let mut digests = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            let directory = self.root.join(algorithm);
            for prefix in durable::list(&directory)? {
                for rest in durable::list(&directory.join(&prefix))? {
                    digests.extend(Digest::from_parts(algorithm, &format!("{prefix}{rest}")).ok());
                }
            }
        }
        digests.sort_unstable();
        Ok(digests)
    }
}

/// A blob on its way in. One thread writes; it is stored by [`BlobWriter::finish`].
pub struct BlobWriter {
    blobs: Blobs,
    writer: Writer,
    hasher: Hasher,
    size: u64,
    size_max: u64,
}

impl BlobWriter {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.size += bytes.len() as u64;
        if self.size > self.size_max {
            return Err(BlobError::TooLarge { size_max: self.size_max });
        }
        self.hasher.update(bytes);
        Ok(self.writer.write(bytes)?)
    }

    /// Returns how many bytes were written.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Stores the blob if it is the one expected, and returns its digest and size once it is durable.
    pub fn finish(self, expected: Option<&Digest>) -> Result<(Digest, u64), BlobError> {
        let found = self.hasher.finish();
        if let Some(expected) = expected
            && found != *expected
        {
            return Err(BlobError::Mismatch { expected: *expected, found, size: self.size });
        }
        let path = self.blobs.path(&found);
        self.blobs.disk.make_directories(durable::parent(&path))?;
        self.writer.commit(&path)?;
        Ok((found, self.size))
    }
}

/// Returns the digest of all that `reader` yields, and how many bytes that was.
pub fn hash(reader: &mut dyn Read, algorithm: Algorithm) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns the algorithm of a digest.
pub fn algorithm(digest: &Digest) -> Algorithm {
    match digest {
        Digest::Sha256(_) => Algorithm::Sha256,
        Digest::Sha512(_) => Algorithm::Sha512,
    }
}

/// Returns a blob's path below the store's root.
pub fn relative_path(digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    Path::new(digest.algorithm()).join(&hex[..2]).join(&hex[2..])
}

#[cfg(test)]
mod tests;
