use std::io;

use wire::mutation::Mutator;

use super::*;
use crate::testlog::{ORIGIN, TestLog, leaves};

#[test]
fn an_empty_log_signs_its_emptiness() {
    let mut log = TestLog::new();
    let step = log.append(&[]);
    assert_eq!(step.publish.len(), 1);
    assert!(step.checkpoint.starts_with("example.org/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— "));
    log.check();
}

#[test]
fn batches_of_any_size_lead_to_one_log() {
    let whole = TestLog::of_size(1300);
    let mut mutator = Mutator::new(24);
    for _ in 0..6 {
        let mut log = TestLog::new();
        while log.head.size() < 1300 {
            let batch = match mutator.below(4) {
                0 => 1,
                1 => 2,
                2 => 256,
                _ => mutator.below(600) as u64,
            };
            log.append(&leaves(log.head.size(), batch.min(1300 - log.head.size())));
            log.check();
        }
        assert_eq!(log.head, whole.head);
        for (path, bytes) in whole.files.iter().filter(|(path, _)| *path != "checkpoint") {
            assert_eq!(&log.files[path], bytes, "{path}");
        }
    }
}

#[test]
fn one_at_a_time_crosses_the_first_borders() {
    let mut log = TestLog::new();
    for index in 0..520 {
        let step = log.append(&leaves(index, 1));
        assert_eq!(step.first, index);
        let receipt = step.receipt(index, format!("leaf {index}").as_bytes());
        assert_eq!((receipt.index, receipt.size), (index, index + 1));
        log.check();
    }
    // Full tiles have taken the place of their partial forms.
    let partial: Vec<_> = log.files.keys().filter(|path| path.contains("/000.p/")).collect();
    assert_eq!(partial, ["tile/1/000.p/1", "tile/1/000.p/2"]);
}

#[test]
fn a_batch_crosses_the_border_of_the_second_level() {
    let mut log = TestLog::of_size(65_530);
    log.check();
    let step = log.append(&leaves(65_530, 300));
    log.check();
    for index in [65_530, 65_535, 65_536, 65_829] {
        let receipt = step.receipt(index, format!("leaf {index}").as_bytes());
        let leaf = &log.hashes[index as usize];
        let result = merkle::verify_inclusion(index, 65_830, leaf, &receipt.proof, &log.head.root());
        assert_eq!(result, Ok(()), "{index}");
    }
    assert_eq!(step.retired, ["tile/entries/255.p", "tile/0/255.p", "tile/1/000.p"]);
}

#[test]
fn the_same_step_twice_is_the_same() {
    let log = TestLog::of_size(300);
    let [first, second] = [(); 2].map(|()| step(&log.head, &leaves(300, 5), &log.key));
    assert_eq!((first.publish, first.stage), (second.publish, second.stage));
}

#[test]
fn a_leaf_has_a_limit() {
    assert!(Leaf::new(vec![0; LEAF_SIZE_MAX]).is_ok());
    assert_eq!(Leaf::new(vec![0; LEAF_SIZE_MAX + 1]), Err(LeafError(LEAF_SIZE_MAX + 1)));
    let mut log = TestLog::new();
    log.append(&[
        Leaf::new(vec![7; LEAF_SIZE_MAX]).expect("the largest"),
        Leaf::new(Vec::new()).expect("the smallest"),
    ]);
    log.check();
}

#[test]
fn a_damaged_end_is_not_restored() {
    let log = TestLog::of_size(300);
    let restore = |path: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut files = log.files.clone();
        change(files.get_mut(path).expect("the file is there"));
        let mut fetch = |path: &str| files.get(path).cloned().ok_or(io::Error::from(io::ErrorKind::NotFound));
        Head::restore(&log.checkpoint(), &mut fetch)
    };
    let flip = |bytes: &mut Vec<u8>| bytes[9] ^= 1;
    assert!(matches!(restore("tile/0/001.p/44", &flip), Err(HeadError::Root { size: 300, .. })));
    assert!(matches!(restore("tile/1/000.p/1", &flip), Err(HeadError::Root { size: 300, .. })));
    assert!(matches!(restore("tile/entries/001.p/44", &flip), Err(HeadError::Entry { index: 256, .. })));
    assert!(matches!(restore("tile/0/001.p/44", &|bytes| bytes.truncate(9)), Err(HeadError::Tile(_))));
    assert!(restore("tile/0/000", &flip).is_ok(), "full tiles are not part of the end");
    let other = Checkpoint { size: 299, ..log.checkpoint() };
    assert!(Head::restore(&other, &mut log.fetch()).is_err());
    let origin = Checkpoint { origin: "example.org/other".to_owned(), ..log.checkpoint() };
    assert_eq!(Head::restore(&origin, &mut log.fetch()).expect("same tiles").origin(), "example.org/other");
    assert_eq!(log.head.origin(), ORIGIN);
}

/// Hash tiles are derived from entries: all of them, and only from entries that lead to the signed root.
#[test]
fn hash_tiles_are_derived_from_entries() {
    for size in [0, 1, 255, 256, 300, 1300] {
        let log = TestLog::of_size(size);
        let mut tiles = Vec::new();
        let mut fetch = |path: &str| match path.starts_with("tile/entries/") {
            true => log.files.get(path).cloned().ok_or(io::Error::from(io::ErrorKind::NotFound)),
            false => panic!("`{path}` is no entry bundle"),
        };
        let head = Head::derive(&log.checkpoint(), &mut fetch, &mut |path, bytes| {
            tiles.push((path.to_string(), bytes.to_vec()));
            Ok(())
        });
        assert_eq!(head.expect("derived"), log.head, "{size}");
        tiles.sort();
        let expected = log.files.iter().filter(|(path, _)| path.starts_with("tile/") && !path.contains("entries"));
        assert_eq!(tiles, expected.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<Vec<_>>(), "{size}");
    }
    let log = TestLog::of_size(300);
    let mut files = log.files.clone();
    files.get_mut("tile/entries/000").expect("there")[12] ^= 1;
    let mut fetch = |path: &str| files.get(path).cloned().ok_or(io::Error::from(io::ErrorKind::NotFound));
    let derived = Head::derive(&log.checkpoint(), &mut fetch, &mut |_, _| Ok(()));
    assert!(matches!(derived, Err(HeadError::Root { size: 300, .. })));
}
