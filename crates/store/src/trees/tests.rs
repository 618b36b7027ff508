use std::os::unix::fs::MetadataExt;

use super::*;
use crate::durable::Fault;
use crate::scratch::Scratch;

fn store(scratch: &Scratch, disk: Disk) -> Trees {
    let blobs = Blobs::new(scratch.path().join("blobs"), disk.clone());
    Trees::new(scratch.path().join("trees"), blobs, disk)
}

fn plain(scratch: &Scratch) -> Trees {
    store(scratch, Disk::new(scratch.path().join("tmp")))
}

fn bytes(text: &str, executable: bool) -> Source {
    Source::Bytes { bytes: text.as_bytes().to_vec(), executable }
}

fn sample(scratch: &Scratch) -> Vec<(String, Source)> {
    let host = scratch.path().join("host-file");
    fs::write(&host, b"from the host").expect("written");
    vec![
        ("usr/lib/libc.so".to_owned(), Source::File { path: host, executable: false }),
        ("usr/bin/cc".to_owned(), bytes("#!/bin/sh\n", true)),
        ("usr/bin/gcc".to_owned(), Source::Link { target: "cc".to_owned() }),
        ("var/empty".to_owned(), Source::Directory),
        ("empty".to_owned(), bytes("", false)),
    ]
}

/// Every entry below `path` with mode and time, as one text.
fn listing(path: &Path) -> String {
    let mut lines = Vec::new();
    let root = crate::seal::Root { name: String::new(), path: path.to_owned(), except: Vec::new() };
    let mut all: BTreeMap<String, fs::Metadata> = BTreeMap::new();
    for file in crate::seal::walk(&root).expect("walked") {
        for above in Path::new(&file).ancestors() {
            let metadata = fs::symlink_metadata(path.join(above)).expect("there");
            all.insert(above.to_string_lossy().into_owned(), metadata);
        }
    }
    for (name, metadata) in all {
        lines.push(format!("{:o} {} {name}", metadata.mode(), metadata.mtime()));
    }
    lines.join("\n")
}

#[test]
fn materialises_what_the_manifest_says() {
    let scratch = Scratch::new("trees");
    let trees = plain(&scratch);
    let (digest, tree) = trees.import(sample(&scratch), None).expect("imported");
    assert_eq!(tree.digest(), digest);
    assert_eq!(trees.tree(&digest).expect("parsed"), tree);
    assert_eq!(trees.verify(&digest).expect("verified"), []);
    assert_eq!(trees.list().expect("listed"), [digest]);
    assert_eq!(
        listing(&trees.path(&digest)),
        "40555 315532800 \n100444 315532800 empty\n40555 315532800 usr\n40555 315532800 usr/bin\n\
         100555 315532800 usr/bin/cc\n120777 315532800 usr/bin/gcc\n40555 315532800 usr/lib\n\
         100444 315532800 usr/lib/libc.so"
    );
    assert!(trees.path(&digest).join("var/empty").is_dir());
}

#[test]
fn importing_again_changes_nothing() {
    let scratch = Scratch::new("trees");
    let trees = plain(&scratch);
    let (digest, _) = trees.import(sample(&scratch), None).expect("imported");
    let inode = fs::metadata(trees.path(&digest)).expect("there").ino();
    assert_eq!(trees.import(sample(&scratch), None).expect("again").0, digest);
    // What is here already is not even read.
    let unreadable = [("a".to_owned(), Source::File { path: "/nonexistent".into(), executable: false })];
    assert_eq!(trees.import(unreadable.clone(), Some(&digest)).expect("here").0, digest);
    assert_eq!(fs::metadata(trees.path(&digest)).expect("there").ino(), inode);
    assert_eq!(durable::list(&scratch.path().join("trees/sha256")).expect("listed"), [digest.hex()]);
    assert!(matches!(trees.import(unreadable, None), Err(TreesError::File(_))));
}

#[test]
fn another_tree_than_expected_is_refused() {
    let scratch = Scratch::new("trees");
    let trees = plain(&scratch);
    let expected = Digest::of(b"something else");
    let error = trees.import(sample(&scratch), Some(&expected)).expect_err("refused");
    assert!(matches!(error, TreesError::Mismatch { .. }), "{error}");
    assert!(trees.list().expect("listed").is_empty());
    assert!(durable::list(&scratch.path().join("trees/sha256")).expect("listed").is_empty());
}

#[test]
fn no_entry_leaves_the_tree() {
    let link = ("a".to_owned(), Source::Link { target: "/etc".to_owned() });
    let bad: Vec<Vec<(String, Source)>> = vec![
        vec![("../a".to_owned(), bytes("x", false))],
        vec![("/etc/passwd".to_owned(), bytes("x", false))],
        vec![("a//b".to_owned(), bytes("x", false))],
        vec![(".".to_owned(), Source::Directory)],
        vec![link.clone(), ("a/passwd".to_owned(), bytes("x", false))],
        vec![("a/passwd".to_owned(), bytes("x", false)), link],
        vec![("a".to_owned(), bytes("x", false)), ("a".to_owned(), bytes("y", false))],
        vec![("a".to_owned(), Source::File { path: "/dev/zero".into(), executable: false })],
        vec![("a".to_owned(), Source::File { path: "/tmp".into(), executable: false })],
    ];
    for entries in bad {
        let scratch = Scratch::new("trees");
        let trees = plain(&scratch);
        trees.import(entries.clone(), None).expect_err("refused");
        assert!(trees.list().expect("listed").is_empty(), "{entries:?}");
    }
}

#[test]
fn every_kind_of_damage_is_named() {
    let scratch = Scratch::new("trees");
    let trees = plain(&scratch);
    let (digest, _) = trees.import(sample(&scratch), None).expect("imported");
    let root = trees.path(&digest);
    let open_up = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
    for directory in ["", "usr", "usr/bin", "usr/lib", "var"] {
        open_up(&root.join(directory));
    }
    open_up(&root.join("empty"));
    fs::write(root.join("stray"), b"").expect("written");
    fs::remove_file(root.join("usr/bin/gcc")).expect("removed");
    std::os::unix::fs::symlink("clang", root.join("usr/bin/gcc")).expect("linked");
    open_up(&root.join("usr/bin/cc"));
    fs::write(root.join("usr/bin/cc"), b"#!/bin/sH\n").expect("written");
    fs::remove_file(root.join("usr/lib/libc.so")).expect("removed");
    fs::remove_dir(root.join("var/empty")).expect("removed");
    fs::write(root.join("var/empty"), b"").expect("written");
    for directory in ["", "usr", "usr/bin", "usr/lib", "var"] {
        finish_directory(&root.join(directory)).expect("closed");
    }
    let found: Vec<_> = trees.verify(&digest).expect("verified");
    let found: Vec<_> = found.iter().map(|d| format!("{:?} {}", d.what, d.path)).collect();
    let expected = [
        "Mode empty",
        "Unlisted stray",
        "Content usr/bin/cc",
        "Content usr/bin/gcc",
        "Missing usr/lib/libc.so",
        "Type var/empty",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_failing_step_leaves_no_tree_and_the_next_try_succeeds() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    for persists in [Fault::Fails, Fault::FailsButPersists] {
        for step in 0.. {
            let scratch = Scratch::new("trees");
            let count = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&count);
            let faults = move |_: Operation, _: &Path| match seen.fetch_add(1, Ordering::SeqCst) == step {
                true => persists,
                false => Fault::None,
            };
            let trees = store(&scratch, Disk::with_faults(scratch.path().join("tmp"), Arc::new(faults)));
            let first = trees.import(sample(&scratch), None);
            let last = count.load(Ordering::SeqCst) <= step;
            count.store(usize::MAX / 2, Ordering::SeqCst);
            for digest in trees.list().expect("listed") {
                assert_eq!(trees.verify(&digest).expect("whole"), []);
            }
            let (digest, _) = trees.import(sample(&scratch), None).expect("the second try succeeds");
            assert_eq!(trees.verify(&digest).expect("whole"), []);
            if last {
                first.expect("no step failed");
                break;
            }
        }
    }
}

#[test]
fn threads_may_import_the_same_tree() {
    let scratch = Scratch::new("trees");
    let trees = plain(&scratch);
    let entries: Vec<(String, Source)> =
        (0..500).map(|n| (format!("d{}/f{n}", n % 7), bytes(&format!("content {n}"), n % 3 == 0))).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| trees.import(entries.clone(), None).expect("imported"));
        }
    });
    let digests = trees.list().expect("listed");
    assert_eq!(digests.len(), 1);
    assert_eq!(trees.verify(&digests[0]).expect("verified"), []);
    assert_eq!(durable::list(&scratch.path().join("trees/sha256")).expect("listed").len(), 1);
}
