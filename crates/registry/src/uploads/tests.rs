use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory of its own for a test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("assay-uploads-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a scratch directory");
        Scratch(path)
    }

    fn uploads(&self) -> (Uploads, Blobs) {
        let disk = Disk::new(self.0.join("tmp"));
        let blobs = Blobs::new(self.0.join("blobs"), disk.clone());
        let uploads = Uploads::open(self.0.join("uploads"), disk, blobs.clone(), SystemTime::now());
        (uploads.expect("opens"), blobs)
    }

    fn files(&self) -> usize {
        fs::read_dir(self.0.join("uploads")).expect("listed").count()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn id(byte: u8) -> UploadId {
    UploadId::from_random([byte; 16])
}

fn body(bytes: &[u8]) -> Body {
    Box::new(io::Cursor::new(bytes.to_vec()))
}

fn length(length: usize) -> ChunkHead {
    ChunkHead { range: None, length: Some(length as u64) }
}

#[tokio::test]
async fn chunks_become_a_blob() {
    let scratch = Scratch::new();
    let (uploads, blobs) = scratch.uploads();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for (number, digest) in [(1, Digest::of(&bytes)), (2, sha512(&bytes))] {
        uploads.start("a/b", &id(number)).await.expect("starts");
        assert_eq!(uploads.append("a/b", &id(number), length(7), body(&bytes[..7])).await.expect("appends"), 7);
        let rest = uploads.append("a/b", &id(number), ChunkHead::default(), body(&bytes[7..])).await;
        assert_eq!(rest.expect("appends"), 1_000_000);
        assert_eq!(uploads.finish("a/b", &id(number), &digest).await.expect("finishes"), 1_000_000);
        assert_eq!(blobs.verify(&digest).expect("the blob is whole"), 1_000_000);
        assert!(matches!(uploads.progress("a/b", &id(number)).await, Err(UploadError::Unknown(_))));
    }
    assert_eq!(scratch.files(), 0);
}

fn sha512(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(bytes);
    hasher.finish()
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let scratch = Scratch::new();
    let (uploads, _) = scratch.uploads();
    uploads.start("a", &id(1)).await.expect("starts");
    uploads.append("a", &id(1), length(3), body(b"abc")).await.expect("appends");
    let (uploads, blobs) = scratch.uploads();
    assert_eq!(uploads.progress("a", &id(1)).await.expect("is there"), 3);
    uploads.append("a", &id(1), length(3), body(b"def")).await.expect("appends");
    uploads.finish("a", &id(1), &Digest::of(b"abcdef")).await.expect("finishes");
    assert_eq!(blobs.read(&Digest::of(b"abcdef"), 10).expect("the blob"), b"abcdef");
}

#[tokio::test]
async fn wrong_bytes_end_the_upload_and_leave_no_blob() {
    let scratch = Scratch::new();
    let (uploads, blobs) = scratch.uploads();
    uploads.start("a", &id(1)).await.expect("starts");
    uploads.append("a", &id(1), length(3), body(b"abc")).await.expect("appends");
    let result = uploads.finish("a", &id(1), &Digest::of(b"abd")).await;
    assert!(matches!(result, Err(UploadError::Mismatch { size: 3, .. })), "{result:?}");
    assert!(!blobs.has(&Digest::of(b"abc")).expect("looked"));
    assert_eq!(scratch.files(), 0);
}

#[tokio::test]
async fn a_truncated_chunk_keeps_what_came() {
    let scratch = Scratch::new();
    let (uploads, _) = scratch.uploads();
    uploads.start("a", &id(1)).await.expect("starts");
    let result = uploads.append("a", &id(1), length(10), body(b"abc")).await;
    assert!(matches!(result, Err(UploadError::Length { expected: 10, found: 3 })), "{result:?}");
    assert_eq!(uploads.progress("a", &id(1)).await.expect("is there"), 3);

    let broken = Box::new(body(b"def").chain(Broken));
    let result = uploads.append("a", &id(1), length(10), broken).await;
    assert!(matches!(result, Err(UploadError::Body(_))), "{result:?}");
    assert_eq!(uploads.progress("a", &id(1)).await.expect("is there"), 6);
    uploads.finish("a", &id(1), &Digest::of(b"abcdef")).await.expect("finishes");
}

/// A connection that was cut.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

#[tokio::test]
async fn more_than_announced_is_refused() {
    let scratch = Scratch::new();
    let (uploads, _) = scratch.uploads();
    uploads.start("a", &id(1)).await.expect("starts");
    let result = uploads.append("a", &id(1), length(2), body(b"abc")).await;
    assert!(matches!(result, Err(UploadError::Length { expected: 2, found: 3 })), "{result:?}");
    assert_eq!(uploads.progress("a", &id(1)).await.expect("is there"), 0);
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let scratch = Scratch::new();
    let (uploads, _) = scratch.uploads();
    uploads.start("a", &id(1)).await.expect("starts");
    assert!(matches!(uploads.progress("b", &id(1)).await, Err(UploadError::Unknown(_))));
    assert!(matches!(uploads.cancel("b", &id(1)).await, Err(UploadError::Unknown(_))));
    uploads.cancel("a", &id(1)).await.expect("cancels");
    assert!(matches!(uploads.progress("a", &id(1)).await, Err(UploadError::Unknown(_))));
    assert_eq!(scratch.files(), 0);
}

#[tokio::test]
async fn abandoned_uploads_are_removed_at_opening() {
    let scratch = Scratch::new();
    let (uploads, blobs) = scratch.uploads();
    uploads.start("a", &id(1)).await.expect("starts");
    let later = SystemTime::now() + ABANDONED_AFTER + Duration::from_secs(60);
    let disk = Disk::new(scratch.0.join("tmp"));
    Uploads::open(scratch.0.join("uploads"), disk, blobs, later).expect("opens");
    assert_eq!(scratch.files(), 0);
}
