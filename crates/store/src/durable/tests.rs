use std::sync::atomic::AtomicUsize;

use super::*;
use crate::scratch::Scratch;

fn files(path: &Path) -> Vec<String> {
    list(path).expect("listed")
}

#[test]
fn replaces_whole_files_and_leaves_no_scratch() {
    let scratch = Scratch::new("durable");
    let disk = Disk::new(scratch.path().join("tmp"));
    let path = scratch.path().join("a");
    disk.replace(&path, b"one", 0o600).expect("written");
    disk.replace(&path, b"two", 0o444).expect("written");
    assert_eq!(read(&path, 10).expect("read"), b"two");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o444);
    assert!(files(&scratch.path().join("tmp")).is_empty());
    let mut writer = disk.writer(0o600).expect("started");
    writer.write(b"dropped").expect("written");
    drop(writer);
    assert!(files(&scratch.path().join("tmp")).is_empty());
}

/// Each step of a replacement fails in turn, both ways; the reader sees the old bytes or the new ones, and the same
/// call made again succeeds.
#[test]
fn every_step_may_fail() {
    for persists in [Fault::Fails, Fault::FailsButPersists] {
        let mut step = 0;
        loop {
            let scratch = Scratch::new("durable");
            let path = scratch.path().join("a");
            fs::write(&path, b"old").expect("written");
            let count = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&count);
            let faults = move |_: Operation, _: &Path| match seen.fetch_add(1, Ordering::SeqCst) == step {
                true => persists,
                false => Fault::None,
            };
            let disk = Disk::with_faults(scratch.path().join("tmp"), Arc::new(faults));
            let result = disk.replace(&path, b"new bytes", 0o600);
            let found = read(&path, 100).expect("readable at any time");
            assert!(found == b"old" || found == b"new bytes", "step {step}: {found:?}");
            if count.load(Ordering::SeqCst) <= step {
                result.expect("no step failed");
                assert!(step >= 5, "creating, writing, syncing, renaming, syncing the directory");
                break;
            }
            if let (Err(error), Fault::Fails) = (&result, persists) {
                assert!(error.to_string().contains('`'), "{error}");
            }
            disk.replace(&path, b"again", 0o600).expect("the next try succeeds");
            assert_eq!(read(&path, 100).expect("readable"), b"again");
            disk.clear_scratch().expect("cleared");
            step += 1;
        }
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let scratch = Scratch::new("durable");
    let faults = |operation: Operation, _: &Path| match operation {
        Operation::Write => Fault::Fails,
        _ => Fault::None,
    };
    let disk = Disk::with_faults(scratch.path().join("tmp"), Arc::new(faults));
    let path = scratch.path().join("a");
    let error = disk.replace(&path, b"bytes", 0o600).expect_err("the write fails");
    assert_eq!(error.operation, Operation::Write);
    assert!(!path.exists());
    assert!(files(&scratch.path().join("tmp")).is_empty());
}

#[test]
fn reading_has_a_limit() {
    let scratch = Scratch::new("durable");
    let path = scratch.path().join("a");
    fs::write(&path, b"12345").expect("written");
    assert_eq!(read(&path, 5).expect("just fits"), b"12345");
    assert_eq!(read(&path, 4).expect_err("too large").operation, Operation::Read);
    assert_eq!(read_optional(&scratch.path().join("b"), 4).expect("missing is fine"), None);
}

#[test]
fn read_only_trees_are_removed() {
    let scratch = Scratch::new("durable");
    let inner = scratch.path().join("a/b");
    fs::create_dir_all(&inner).expect("made");
    fs::write(inner.join("c"), b"").expect("written");
    for directory in [&inner, &scratch.path().join("a")] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).expect("set");
    }
    remove_tree(&scratch.path().join("a")).expect("removed");
    assert!(files(scratch.path()).is_empty());
    remove_tree(&scratch.path().join("a")).expect("missing is fine");
}
