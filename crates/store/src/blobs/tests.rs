use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;
use crate::durable::Fault;
use crate::scratch::Scratch;

fn store(scratch: &Scratch) -> Blobs {
    Blobs::new(scratch.path().join("blobs"), Disk::new(scratch.path().join("tmp")))
}

/// Nothing is left of a blob that was refused.
fn is_empty(scratch: &Scratch) -> bool {
    store(scratch).list().expect("listed").is_empty()
        && durable::list(&scratch.path().join("tmp")).expect("listed").is_empty()
}

#[test]
fn puts_and_reads() {
    let scratch = Scratch::new("blobs");
    let blobs = store(&scratch);
    let digest = Digest::of(b"hello");
    assert_eq!(blobs.put(&mut &b"hello"[..], Some(&digest), 5).expect("put"), (digest, 5));
    assert_eq!(blobs.put(&mut &b"hello"[..], None, 5).expect("put again"), (digest, 5));
    assert_eq!(blobs.put_bytes(b"hello").expect("and again"), digest);
    assert_eq!(blobs.read(&digest, 5).expect("read"), b"hello");
    assert_eq!(blobs.size(&digest).expect("known"), Some(5));
    assert_eq!(blobs.verify(&digest).expect("intact"), 5);
    assert_eq!(blobs.list().expect("listed"), [digest]);
    assert_eq!(fs::metadata(blobs.path(&digest)).expect("there").permissions().mode() & 0o777, 0o444);
    assert!(matches!(blobs.read(&digest, 4), Err(BlobError::TooLarge { size_max: 4 })));
    assert!(matches!(blobs.open(&Digest::of(b"x")), Err(BlobError::Missing(_))));
}

#[test]
fn other_bytes_than_expected_are_refused() {
    let scratch = Scratch::new("blobs");
    let expected = Digest::of(b"hello");
    let error = store(&scratch).put(&mut &b"hellO"[..], Some(&expected), 100).expect_err("refused");
    assert!(matches!(&error, BlobError::Mismatch { expected: e, size: 5, .. } if *e == expected), "{error}");
    assert!(is_empty(&scratch));
}

#[test]
fn too_many_bytes_are_refused() {
    let scratch = Scratch::new("blobs");
    let error = store(&scratch).put(&mut std::io::repeat(7), None, 1_000_000).expect_err("endless");
    assert!(matches!(error, BlobError::TooLarge { size_max: 1_000_000 }));
    assert!(is_empty(&scratch));
}

#[test]
fn a_source_that_breaks_off_leaves_nothing() {
    struct Broken(bool);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            buffer[0] = 1;
            Ok(1)
        }
    }
    let scratch = Scratch::new("blobs");
    let error = store(&scratch).put(&mut Broken(false), None, 100).expect_err("broken off");
    assert!(matches!(error, BlobError::Source(_)));
    assert!(is_empty(&scratch));
}

#[test]
fn sha512_is_kept_apart() {
    let scratch = Scratch::new("blobs");
    let blobs = store(&scratch);
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.write_all(b"hello").expect("hashed");
    let digest = hasher.finish();
    blobs.put(&mut &b"hello"[..], Some(&digest), 100).expect("put");
    assert_eq!(blobs.read(&digest, 100).expect("read"), b"hello");
    assert!(!blobs.has(&Digest::of(b"hello")).expect("known"));
    assert_eq!(blobs.list().expect("listed"), [digest]);
}

#[test]
fn damage_is_seen_and_healed() {
    let scratch = Scratch::new("blobs");
    let blobs = store(&scratch);
    let digest = blobs.put_bytes(b"hello").expect("put");
    for heal in [true, false] {
        let path = blobs.path(&digest);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        fs::write(&path, b"hellO").expect("damaged");
        assert!(matches!(blobs.verify(&digest), Err(BlobError::Damaged { .. })));
        assert!(matches!(blobs.read(&digest, 100), Err(BlobError::Damaged { .. })));
        if heal {
            blobs.put_bytes(b"hello").expect("put again");
        } else {
            blobs.put(&mut &b"hello"[..], None, 100).expect("put again");
        }
        assert_eq!(blobs.verify(&digest).expect("intact"), 5);
    }
}

#[test]
fn many_threads_put_the_same() {
    let scratch = Scratch::new("blobs");
    let blobs = store(&scratch);
    let bytes = vec![3; 100_000];
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| blobs.put(&mut &bytes[..], None, 1 << 20).expect("put"));
        }
    });
    let digests = blobs.list().expect("listed");
    assert_eq!(digests.len(), 1);
    blobs.verify(&digests[0]).expect("intact");
    assert!(durable::list(&scratch.path().join("tmp")).expect("listed").is_empty());
}

/// Whatever step fails, nothing half-written has a name, and the same call made again succeeds.
#[test]
fn every_step_may_fail() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    for persists in [Fault::Fails, Fault::FailsButPersists] {
        for step in 0.. {
            let scratch = Scratch::new("blobs");
            let count = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&count);
            let faults = move |_: Operation, _: &Path| match seen.fetch_add(1, Ordering::SeqCst) == step {
                true => persists,
                false => Fault::None,
            };
            let disk = Disk::with_faults(scratch.path().join("tmp"), Arc::new(faults));
            let blobs = Blobs::new(scratch.path().join("blobs"), disk);
            let first = blobs.put(&mut &b"some bytes"[..], None, 100);
            let last = count.load(Ordering::SeqCst) <= step;
            count.store(usize::MAX / 2, Ordering::SeqCst);
            for digest in blobs.list().expect("listed") {
                blobs.verify(&digest).expect("what has a name is whole");
            }
            let (digest, _) = blobs.put(&mut &b"some bytes"[..], None, 100).expect("the second try succeeds");
            blobs.verify(&digest).expect("intact");
            if last {
                first.expect("no step failed");
                break;
            }
        }
    }
}
