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

/// Each step of a batch fails in turn, both ways, for few files and for many: each file has its old bytes or the new
/// ones, and the same batch made again succeeds.
#[test]
fn every_step_of_a_batch_may_fail() {
    for (count, persists) in [2, 3, 12].into_iter().flat_map(|n| [(n, Fault::Fails), (n, Fault::FailsButPersists)]) {
        let mut step = 0;
        loop {
            let scratch = Scratch::new("batch");
            let paths: Vec<PathBuf> = (0..count).map(|n| scratch.path().join(format!("{}/{n}", n % 6))).collect();
            fs::create_dir_all(parent(&paths[0])).expect("made");
            fs::write(&paths[0], b"old").expect("written");
            let seen = Arc::new(Mutex::new(Vec::new()));
            let log = Arc::clone(&seen);
            let faults = move |operation: Operation, _: &Path| {
                let mut seen = log.lock().expect("no panic");
                seen.push(operation);
                if seen.len() == step + 1 { persists } else { Fault::None }
            };
            let disk = Disk::with_faults(scratch.path().join("tmp"), Arc::new(faults));
            let write = |bytes: &[u8]| {
                let mut batch = Batch::new(&disk);
                paths.iter().try_for_each(|path| batch.write(path.clone(), bytes, 0o600))?;
                batch.commit()
            };
            let result = write(b"new bytes");
            for (number, path) in paths.iter().enumerate() {
                match read_optional(path, 100).expect("readable at any time") {
                    Some(found) => assert!(found == b"new bytes" || (number == 0 && found == b"old"), "step {step}"),
                    None => assert!(number != 0 && result.is_err(), "step {step}"),
                }
            }
            let order = seen.lock().expect("no panic").clone();
            if order.len() <= step {
                result.expect("no step failed");
                check_order(&order, count);
                break;
            }
            result.expect_err("a step failed");
            write(b"again").expect("the next try succeeds");
            assert!(paths.iter().all(|path| read(path, 100).expect("readable") == b"again"));
            disk.clear_scratch().expect("cleared");
            step += 1;
        }
    }
}

/// All bytes are durable before the first name is given, and all names after the last.
fn check_order(order: &[Operation], files: usize) {
    let syncs = |operations: &[Operation], one: Operation| {
        let of = |wanted: Operation| operations.iter().filter(|operation| **operation == wanted).count();
        (of(one), of(Operation::SyncFileSystem))
    };
    let first = order.iter().position(|operation| *operation == Operation::Rename).expect("a name");
    let last = order.iter().rposition(|operation| *operation == Operation::Rename).expect("a name");
    let directories = files.min(6) + 1; // and the one that they are in
    let expected = |count: usize| if count > AT_ONCE_MAX { (0, 1) } else { (count, 0) };
    assert_eq!(syncs(&order[..first], Operation::SyncFile), expected(files));
    assert_eq!(syncs(&order[first..last], Operation::SyncDirectory), (0, 0));
    assert_eq!(syncs(&order[last..], Operation::SyncDirectory), expected(directories));
}

/// What is removed loosely is durable when the disk was settled, and a directory that has gone meanwhile is no error.
#[test]
fn loose_changes_are_settled() {
    let scratch = Scratch::new("durable");
    let synced = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&synced);
    let failing = Arc::new(AtomicUsize::new(1));
    let fails = Arc::clone(&failing);
    let faults = move |operation: Operation, path: &Path| {
        if operation == Operation::SyncDirectory {
            log.lock().expect("no panic").push(path.to_owned());
            if fails.swap(0, Ordering::SeqCst) == 1 {
                return Fault::Fails;
            }
        }
        Fault::None
    };
    let disk = Disk::with_faults(scratch.path().join("tmp"), Arc::new(faults));
    let (kept, gone) = (scratch.path().join("kept"), scratch.path().join("gone"));
    for directory in [&kept, &gone] {
        fs::create_dir(directory).expect("made");
        fs::write(directory.join("a"), b"").expect("written");
        disk.remove_loosely(&directory.join("a")).expect("removed");
        disk.remove_loosely(&directory.join("a")).expect("gone already");
    }
    disk.remove_directory(&gone).expect("removed");
    assert!(synced.lock().expect("no panic").is_empty());
    disk.settle().expect_err("the sync fails");
    disk.settle().expect("asked again");
    disk.settle().expect("nothing is left to do");
    assert_eq!(*synced.lock().expect("no panic"), [kept.clone(), kept]);
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
