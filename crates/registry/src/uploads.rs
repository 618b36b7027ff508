//! Uploads in progress: one file each, until the bytes are whole and become a blob.
//!
//! ```text
//! uploads/0123456789abcdef0123456789abcdef-9f86d081884c7d65      id, and 16 digits of SHA-256 of the repository's name
//! ```
//!
//! These files are *working* data: a killed server finds them again and a client goes on where it was, but they are
//! not synced to disk before the end, and losing them loses nothing but the client's time. What is acknowledged as a
//! blob was synced and renamed into the blob store first. Which bytes come next is decided in [`crate::upload`].

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use store::blobs::{self, BlobError, Blobs};
use store::durable::{Disk, FileError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use wire::digest::{Algorithm, Digest, Hasher};

use crate::upload::{BLOB_MAX, ChunkError, ChunkHead, Expected, UploadId, accept};

/// The body of a chunk, as it comes in.
pub type Body = Box<dyn AsyncRead + Send + Unpin>;

/// Unit of reading, hashing and writing.
const BUFFER: usize = 256 << 10;

/// Buffers between the network and the disk.
const QUEUE: usize = 4;

/// As many uploads keep their running digest in memory; others compute it again from their file.
const LIVE_MAX: usize = 4096;

/// Uploads that nobody touched for this long are removed when the registry opens.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// All uploads of a registry. Clones share them.
#[derive(Clone)]
pub struct Uploads {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    disk: Disk,
    blobs: Blobs,
    live: Mutex<BTreeMap<PathBuf, Arc<Slot>>>,
}

/// One upload. Who holds the lock has the upload to himself; `None` says that its file must be read first.
type Slot = tokio::sync::Mutex<Option<Live>>;

struct Live {
    file: File,
    hasher: Hasher,
    received: u64,
}

/// Why an upload did not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such upload in that repository: cancelled, finished, or never begun.
    #[error("no upload {0} is open in this repository")]
    Unknown(UploadId),
    /// Not the next bytes, or too many.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The connection ended, or more or less came than was announced. What came in order was kept.
    #[error("the body ended after {found} bytes, expected {expected}")]
    Length {
        /// Announced.
        expected: u64,
        /// Received.
        found: u64,
    },
    /// The bytes are not those that the digest names. The upload is gone.
    #[error("the {size} bytes received have the digest {found}, not {expected}")]
    Mismatch {
        /// What the client said.
        expected: Digest,
        /// What it is.
        found: Digest,
        /// How many bytes came.
        size: u64,
    },
    /// The body could not be read to its end. What came in order was kept.
    #[error("reading the body of the chunk")]
    Body(#[source] io::Error),
    /// The file system failed.
    #[error("writing an upload")]
    File(#[source] io::Error),
    /// The blob store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A durable step failed.
    #[error(transparent)]
    Durable(#[from] FileError),
}

impl Uploads {
    /// Opens the uploads in `directory`, which must be on the blobs' file system, and removes abandoned ones.
    pub fn open(directory: PathBuf, disk: Disk, blobs: Blobs, now: SystemTime) -> Result<Uploads, UploadError> {
        fs::create_dir_all(&directory).map_err(UploadError::File)?;
        for entry in fs::read_dir(&directory).map_err(UploadError::File)? {
            let entry = entry.map_err(UploadError::File)?;
            let touched = entry.metadata().and_then(|metadata| metadata.modified()).map_err(UploadError::File)?;
            if now.duration_since(touched).is_ok_and(|age| age > ABANDONED_AFTER) {
                fs::remove_file(entry.path()).map_err(UploadError::File)?;
            }
        }
        Ok(Uploads { inner: Arc::new(Inner { directory, disk, blobs, live: Mutex::default() }) })
    }

    /// Begins an upload.
    pub async fn start(&self, repository: &str, id: &UploadId) -> Result<(), UploadError> {
        let path = self.path(repository, id);
        let create = path.clone();
        let file =
            blocking(move || OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(create))
                .await
                .map_err(UploadError::File)?;
        let live = Live { file, hasher: Hasher::new(Algorithm::Sha256), received: 0 };
        self.live().insert(path, Arc::new(Slot::new(Some(live))));
        Ok(())
    }

    /// Appends a chunk, and returns how many bytes are there then.
    ///
    /// It goes on to the end of `body` even if the caller gives up waiting, so that file and digest stay in step.
    pub async fn append(
        &self,
        repository: &str,
        id: &UploadId,
        head: ChunkHead,
        body: Body,
    ) -> Result<u64, UploadError> {
        let (uploads, path, id) = (self.clone(), self.path(repository, id), id.clone());
        let task = tokio::spawn(async move {
            let slot = uploads.slot(&path);
            let mut guard = slot.lock().await;
            let live = open(&mut guard, &path, &id).await?;
            let expected = match accept(live.received, head, BLOB_MAX) {
                Ok(expected) => expected,
                Err(error) => {
                    *guard = Some(live);
                    return Err(error.into());
                }
            };
            let (live, result) = receive(live, body, expected).await;
            *guard = live;
            result?;
            Ok(guard.as_ref().map_or(0, |live| live.received))
        });
        task.await.map_err(|error| UploadError::File(io::Error::other(error)))?
    }

    /// Returns how many bytes are there.
    pub async fn progress(&self, repository: &str, id: &UploadId) -> Result<u64, UploadError> {
        let path = self.path(repository, id);
        let slot = self.slot(&path);
        let mut guard = slot.lock().await;
        let live = open(&mut guard, &path, id).await?;
        let received = live.received;
        *guard = Some(live);
        Ok(received)
    }

    /// Makes the upload the blob that it should be, and returns its size once it is durable. The upload is over in
    /// any case, unless the file system failed.
    pub async fn finish(&self, repository: &str, id: &UploadId, expected: &Digest) -> Result<u64, UploadError> {
        let path = self.path(repository, id);
        let slot = self.slot(&path);
        let mut guard = slot.lock().await;
        let live = open(&mut guard, &path, id).await?;
        let (inner, expected, from) = (Arc::clone(&self.inner), *expected, path.clone());
        let size = blocking(move || inner.adopt(live, &from, &expected)).await;
        self.live().remove(&path);
        size
    }

    /// Ends an upload without a blob.
    pub async fn cancel(&self, repository: &str, id: &UploadId) -> Result<(), UploadError> {
        let path = self.path(repository, id);
        let slot = self.slot(&path);
        let mut guard = slot.lock().await;
        drop(open(&mut guard, &path, id).await?);
        fs::remove_file(&path).map_err(UploadError::File)?;
        self.live().remove(&path);
        Ok(())
    }

    fn path(&self, repository: &str, id: &UploadId) -> PathBuf {
        self.inner.directory.join(format!("{id}-{}", &Digest::of(repository.as_bytes()).hex()[..16]))
    }

    fn slot(&self, path: &Path) -> Arc<Slot> {
        let mut live = self.live();
        if live.len() >= LIVE_MAX && !live.contains_key(path) {
            live.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(live.entry(path.to_owned()).or_default())
    }

    fn live(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Arc<Slot>>> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Checks the digest and moves the file into the blob store: bytes durable, then the name.
    fn adopt(&self, mut live: Live, from: &Path, expected: &Digest) -> Result<u64, UploadError> {
        let found = match blobs::algorithm(expected) {
            Algorithm::Sha256 => live.hasher.finish(),
            Algorithm::Sha512 => {
                live = read_again(from, Algorithm::Sha512).map_err(UploadError::File)?;
                live.hasher.finish()
            }
        };
        if found != *expected {
            fs::remove_file(from).map_err(UploadError::File)?;
            return Err(UploadError::Mismatch { expected: *expected, found, size: live.received });
        }
        live.file.set_permissions(fs::Permissions::from_mode(0o444)).map_err(UploadError::File)?;
        live.file.sync_all().map_err(UploadError::File)?;
        let to = self.blobs.path(expected);
        if let Some(parent) = to.parent() {
            self.disk.make_directories(parent)?;
        }
        self.disk.rename(from, &to)?;
        Ok(live.received)
    }
}

/// Takes the upload's state out of its slot, reading its file first when this process has not seen it before.
async fn open(guard: &mut Option<Live>, path: &Path, id: &UploadId) -> Result<Live, UploadError> {
    if let Some(live) = guard.take() {
        return Ok(live);
    }
    let from = path.to_owned();
    blocking(move || read_again(&from, Algorithm::Sha256)).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => UploadError::Unknown(id.clone()),
        _ => UploadError::File(error),
    })
}

fn read_again(path: &Path, algorithm: Algorithm) -> io::Result<Live> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    let mut live = Hasher::new(algorithm);
    let mut buffer = vec![0; BUFFER];
    let mut received = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Live { file, hasher: live, received }),
            read => {
                live.update(&buffer[..read]);
                received += read as u64;
            }
        }
    }
}

/// Moves the body into the file: this task reads, another thread hashes and writes. Returns the state to go on with,
/// `None` when it must be read from the file again.
async fn receive(live: Live, mut body: Body, expected: Expected) -> (Option<Live>, Result<(), UploadError>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writing = tokio::task::spawn_blocking(move || write(live, receiver));
    let most = expected.exact.unwrap_or(expected.most);
    let mut taken = 0;
    let ended = loop {
        let mut buffer = Vec::with_capacity(BUFFER);
        let read = fill(&mut body, &mut buffer).await;
        taken += buffer.len() as u64;
        if taken > most {
            break Err(match expected.exact {
                Some(exact) => UploadError::Length { expected: exact, found: taken },
                None => ChunkError::TooLarge { most: BLOB_MAX }.into(),
            });
        }
        let last = buffer.len() < BUFFER;
        // The writer hangs up only when writing failed, which it reports below.
        if (!buffer.is_empty() && sender.send(buffer).await.is_err()) || read.is_err() || last {
            break read.map_err(UploadError::Body);
        }
    };
    drop(sender);
    let live = match writing.await {
        Ok(Ok(live)) => live,
        Ok(Err(error)) => return (None, Err(UploadError::File(error))),
        Err(error) => return (None, Err(UploadError::File(io::Error::other(error)))),
    };
    let result = ended.and(match expected.exact {
        Some(exact) if exact != taken => Err(UploadError::Length { expected: exact, found: taken }),
        _ => Ok(()),
    });
    (Some(live), result)
}

fn write(mut live: Live, mut receiver: mpsc::Receiver<Vec<u8>>) -> io::Result<Live> {
    while let Some(bytes) = receiver.blocking_recv() {
        live.file.write_all(&bytes)?;
        live.hasher.update(&bytes);
        live.received += bytes.len() as u64;
    }
    Ok(live)
}

/// Reads until the buffer is full or the body ends; what came before an error stays in the buffer.
async fn fill(body: &mut Body, buffer: &mut Vec<u8>) -> io::Result<()> {
    while buffer.len() < BUFFER {
        if body.read_buf(buffer).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Runs work that waits for the disk on a thread that may.
async fn blocking<T: Send + 'static, E: From<io::Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(io::Error::other(error).into()),
    }
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> UploadError {
        UploadError::File(error)
    }
}

#[cfg(test)]
mod tests;
