use std::os::unix::fs::MetadataExt;

use super::*;
use crate::blobs::{BlobError, Blobs};
use crate::durable::Disk;
use crate::scratch::Scratch;

fn store(directory: &Path) -> Trees {
    let disk = Disk::new(directory.join("tmp"));
    Trees::new(directory.join("trees"), Blobs::new(directory.join("blobs"), disk.clone()), disk)
}

fn sample(trees: &Trees) -> Digest {
    let bytes = |text: &str, executable| Source::Bytes { bytes: text.as_bytes().to_vec(), executable };
    let entries = [
        ("usr/bin/cc".to_owned(), bytes("#!/bin/sh\n", true)),
        ("usr/bin/gcc".to_owned(), Source::Link { target: "cc".to_owned() }),
        ("usr/share/text".to_owned(), bytes("text", false)),
        ("var/empty".to_owned(), Source::Directory),
    ];
    trees.import(entries, None).expect("imported").0
}

/// Path, mode, size and time of all below a directory.
fn listing(root: &Path, directory: &str, lines: &mut Vec<String>) {
    for name in durable::list(&root.join(directory)).expect("listed") {
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        let metadata = fs::symlink_metadata(root.join(&path)).expect("it is there");
        let size = if metadata.is_dir() { 0 } else { metadata.len() };
        lines.push(format!("{:o} {size} {} {path}", metadata.mode(), metadata.mtime()));
        if metadata.is_dir() {
            listing(root, &path, lines);
        }
    }
}

fn shown(root: &Path) -> String {
    let mut lines = Vec::new();
    listing(root, "", &mut lines);
    lines.join("\n")
}

/// Changes a stored file behind the store's back.
fn change(path: &Path, bytes: Option<&[u8]>) {
    let parent = path.parent().expect("it has one");
    fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).expect("ours");
    fs::remove_file(path).expect("removed");
    if let Some(bytes) = bytes {
        fs::write(path, bytes).expect("written");
    }
}

#[test]
fn a_tree_is_written_the_same_each_time() {
    let scratch = Scratch::new("provision");
    let trees = store(scratch.path());
    let digest = sample(&trees);
    let (one, two) = (scratch.path().join("one"), scratch.path().join("two"));
    fs::create_dir(&two).expect("an empty directory is no hindrance");
    for to in [&one, &two] {
        assert_eq!(trees.provision(&digest, to).expect("written").digest(), digest);
    }
    assert_eq!(shown(&one), shown(&two));
    let expected = "40755 0 315532800 usr\n40755 0 315532800 usr/bin\n100755 10 315532800 usr/bin/cc\n\
                    120777 2 315532800 usr/bin/gcc\n40755 0 315532800 usr/share\n100644 4 315532800 usr/share/text\n\
                    40755 0 315532800 var\n40755 0 315532800 var/empty";
    assert_eq!(shown(&one), expected);
    assert_eq!(fs::metadata(&one).expect("it is there").mtime(), super::super::TIME_UNIX_S);
}

#[test]
fn what_is_there_already_stays() {
    let scratch = Scratch::new("provision-occupied");
    let trees = store(scratch.path());
    let digest = sample(&trees);
    let to = scratch.path().join("to");
    fs::create_dir(&to).expect("made");
    fs::write(to.join("mine"), "mine").expect("written");
    let file = scratch.path().join("file");
    fs::write(&file, "mine").expect("written");
    for to in [&to, &file] {
        assert!(matches!(trees.provision(&digest, to), Err(TreesError::Occupied(place)) if place == **to));
    }
    assert_eq!(fs::read_to_string(to.join("mine")).expect("it is there"), "mine");
}

#[test]
fn damage_is_named_and_leaves_nothing() {
    let cases: [(&str, Option<&[u8]>); 3] =
        [("usr/bin/cc", Some(b"#!/bin/sh!")), ("usr/bin/cc", None), ("usr/share/text", Some(b"longer text"))];
    for (path, bytes) in cases {
        let scratch = Scratch::new("provision-damaged");
        let trees = store(scratch.path());
        let digest = sample(&trees);
        change(&trees.path(&digest).join(path), bytes);
        let other = store(&scratch.path().join("other"));
        let to = scratch.path().join("to");
        for outcome in [trees.provision(&digest, &to).map(drop), other.take_from(&trees, &digest)] {
            match outcome {
                Err(TreesError::Damaged { tree, path: named }) => assert_eq!((tree, named.as_str()), (digest, path)),
                outcome => panic!("{path}: {outcome:?}"),
            }
        }
        assert!(!to.exists() && !other.has(&digest), "{path}");
        let left = durable::list(scratch.path()).expect("listed");
        assert!(left.iter().all(|name| !name.contains("partial")), "{left:?}");
    }
}

#[test]
fn a_link_that_became_a_file_is_damage_and_is_not_taken_over() {
    let scratch = Scratch::new("provision-link");
    let trees = store(scratch.path());
    let digest = sample(&trees);
    change(&trees.path(&digest).join("usr/bin/gcc"), Some(b"cc"));
    let outcome = trees.provision(&digest, &scratch.path().join("to"));
    assert!(matches!(outcome, Err(TreesError::Damaged { path, .. }) if path == "usr/bin/gcc"));
    let other = store(&scratch.path().join("other"));
    other.take_from(&trees, &digest).expect("the manifest says what the link is");
    assert_eq!(other.verify(&digest).expect("verified"), []);
}

#[test]
fn what_is_missing_is_named() {
    let scratch = Scratch::new("provision-missing");
    let trees = store(scratch.path());
    let other = store(&scratch.path().join("other"));
    let none = Digest::of(b"none");
    assert!(
        matches!(trees.provision(&none, &scratch.path().join("to")), Err(TreesError::Missing(gone)) if gone == none)
    );
    assert!(matches!(other.take_from(&trees, &none), Err(TreesError::Missing(gone)) if gone == none));
    let digest = sample(&trees);
    let manifest = trees.blobs.path(&digest);
    change(&manifest, Some(b"another manifest"));
    let outcome = other.take_from(&trees, &digest);
    assert!(matches!(outcome, Err(TreesError::Manifest(BlobError::Damaged { .. }))), "{outcome:?}");
}

#[test]
fn a_tree_of_another_store_is_taken_over_whole() {
    let scratch = Scratch::new("take");
    let trees = store(&scratch.path().join("one"));
    let other = store(&scratch.path().join("two"));
    let digest = sample(&trees);
    other.take_from(&trees, &digest).expect("taken");
    assert_eq!(other.verify(&digest).expect("verified"), []);
    other.take_from(&store(&scratch.path().join("none")), &digest).expect("it is here already");
}
