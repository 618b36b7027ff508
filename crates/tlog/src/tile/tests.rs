use std::io;

use wire::mutation::Mutator;

use super::*;
use crate::merkle;
use crate::testlog::{TestLog, leaves};

#[test]
fn paths_are_those_of_the_specification() {
    // tlog-tiles, "Merkle Tree": the tile 1234067 of level 0.
    let size = u64::from(u32::MAX) * 256;
    for (path, expected) in [
        (TilePath::hashes(0, 1_234_067, size), "tile/0/x001/x234/067"),
        (TilePath::entries(1_234_067, size), "tile/entries/x001/x234/067"),
        (TilePath::hashes(0, 0, 256), "tile/0/000"),
        (TilePath::hashes(0, 1, 257), "tile/0/001.p/1"),
        (TilePath::hashes(0, 999, 256_000), "tile/0/999"),
        (TilePath::hashes(0, 1000, 256_256), "tile/0/x001/000"),
        (TilePath::hashes(1, 0, 70_000), "tile/1/000"),
        (TilePath::hashes(1, 1, 70_000), "tile/1/001.p/17"),
        (TilePath::hashes(2, 0, 70_000), "tile/2/000.p/1"),
        (TilePath::entries(273, 70_000), "tile/entries/273.p/112"),
    ] {
        let path = path.expect(expected);
        assert_eq!(path.to_string(), expected);
        assert_eq!(expected.parse(), Ok(path));
    }
    for beyond in [
        TilePath::hashes(0, 0, 0),
        TilePath::hashes(0, 1, 256),
        TilePath::hashes(1, 0, 255),
        TilePath::entries(1, 256),
        TilePath::hashes(64, 0, u64::MAX),
        TilePath::hashes(0, u64::MAX, u64::MAX),
    ] {
        assert_eq!(beyond, None);
    }
}

#[test]
fn other_paths_are_refused() {
    for text in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/00/000",
        "tile/+0/000",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p",
        "tile/0/000.p/1/2",
        "tile/data/000",
        "/tile/0/000",
        "tile/0/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(text.parse::<TilePath>().is_err(), "{text}");
    }
    Mutator::new(20).each(20_000, b"tile/0/x001/x234/067.p/17", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(path) = text.parse::<TilePath>() {
            assert_eq!(path.to_string(), text);
        }
    });
}

#[test]
fn all_files_of_a_log_are_named() {
    let names = |size| TilePath::all(size).map(|path| path.to_string()).collect::<Vec<_>>();
    assert!(names(0).is_empty());
    assert_eq!(names(1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
    assert_eq!(names(256), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
    let expected = ["tile/entries/000", "tile/entries/001.p/1", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"];
    assert_eq!(names(257), expected);
    for size in [1, 255, 256, 257, 600, 65_536, 66_000] {
        let log = TestLog::of_size(size);
        let mut found: Vec<String> = log.files.into_keys().filter(|path| path != "checkpoint").collect();
        let mut expected = names(size);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "size {size}");
    }
}

#[test]
fn bundles_and_back() {
    let entries = vec![vec![], vec![1], vec![2; 300], vec![3; crate::LEAF_SIZE_MAX]];
    let bundle = encode_bundle(&entries);
    assert_eq!(bundle[..5], [0, 0, 0, 1, 1]);
    assert_eq!(parse_bundle(&bundle, 4), Ok(entries));
    assert_eq!(parse_bundle(&[], 0), Ok(vec![]));
    for width in [0, 3, 5, 256] {
        assert_eq!(parse_bundle(&bundle, width), Err(BundleError { width }));
    }
    assert!(parse_bundle(&bundle[..bundle.len() - 1], 4).is_err());
    let small = encode_bundle(&[vec![1, 2], vec![3], vec![]]);
    Mutator::new(21).each(10_000, &small, |bytes| {
        if let Ok(entries) = parse_bundle(bytes, 3) {
            assert_eq!(encode_bundle(&entries), bytes);
        }
    });
}

#[test]
fn every_proof_comes_out_of_the_tiles() {
    for size in [1, 2, 255, 256, 257, 511, 513, 600] {
        let log = TestLog::of_size(size);
        let mut fetch = log.fetch();
        let mut tiles = Tiles::new(size, &mut fetch);
        let root = merkle::root(&log.hashes);
        assert_eq!(tiles.root().expect("tiles"), root);
        for index in (0..size).filter(|index| index % 7 == 0 || index + 3 >= size) {
            let proof = tiles.inclusion_proof(index).expect("tiles");
            let leaf = &log.hashes[index as usize];
            assert_eq!(merkle::verify_inclusion(index, size, leaf, &proof, &root), Ok(()), "{index} in {size}");
            assert_eq!(tiles.entry(index).expect("entry"), format!("leaf {index}").into_bytes());
        }
        for old in (0..=size).filter(|old| old % 31 == 0 || old % 256 < 2) {
            let proof = tiles.consistency_proof(old).expect("tiles");
            let old_root = merkle::root(&log.hashes[..old as usize]);
            assert_eq!(merkle::verify_consistency(old, size, &old_root, &root, &proof), Ok(()), "{old} to {size}");
        }
        assert!(matches!(tiles.inclusion_proof(size), Err(TileError::Range { .. })));
        assert!(matches!(tiles.consistency_proof(size + 1), Err(TileError::Range { .. })));
        assert!(matches!(tiles.entry(size), Err(TileError::Range { .. })));
    }
}

#[test]
fn proofs_cross_the_border_of_the_second_level() {
    for size in [65_535, 65_536, 65_537, 66_000] {
        let log = TestLog::of_size(size);
        let mut fetch = log.fetch();
        let mut tiles = Tiles::new(size, &mut fetch);
        let root = merkle::root(&log.hashes);
        assert_eq!(log.checkpoint().root, root);
        for index in [0, 1, 255, 256, 32_768, 65_279, 65_280, 65_534, size - 1] {
            let proof = tiles.inclusion_proof(index).expect("tiles");
            let leaf = &log.hashes[index as usize];
            assert_eq!(merkle::verify_inclusion(index, size, leaf, &proof, &root), Ok(()), "{index} in {size}");
        }
        for old in [1, 257, 65_279] {
            let proof = tiles.consistency_proof(old).expect("tiles");
            let old_root = merkle::root(&log.hashes[..old as usize]);
            assert_eq!(merkle::verify_consistency(old, size, &old_root, &root, &proof), Ok(()), "{old} to {size}");
        }
    }
}

#[test]
fn an_older_size_is_read_from_full_tiles() {
    let mut log = TestLog::of_size(300);
    log.append(&leaves(300, 300));
    assert!(!log.files.contains_key("tile/0/001.p/44"), "the partial tile is gone");
    let mut fetch = log.fetch();
    let mut tiles = Tiles::new(300, &mut fetch);
    assert_eq!(tiles.root().expect("tiles"), merkle::root(&log.hashes[..300]));
    assert_eq!(tiles.bundle(1).expect("bundle").len(), 44);
    assert!(matches!(tiles.entry(300), Err(TileError::Range { .. })));
}

#[test]
fn damaged_and_missing_tiles_are_named() {
    let log = TestLog::of_size(300);
    let damaged = |path: &str, bytes: &[u8]| {
        let mut files = log.files.clone();
        files.insert(path.to_owned(), bytes.to_vec());
        let mut fetch = |path: &str| files.get(path).cloned().ok_or(io::Error::from(io::ErrorKind::NotFound));
        let mut tiles = Tiles::new(300, &mut fetch);
        let root = tiles.root().map(|_| ());
        root.and_then(|()| tiles.entry(299).map(|_| ())).expect_err(path).to_string()
    };
    assert_eq!(
        damaged("tile/0/001.p/44", &[0; 31]),
        "`tile/0/001.p/44` of the log is damaged: it has 31 bytes instead of 1408"
    );
    assert_eq!(damaged("tile/entries/001.p/44", &[0; 3]), "`tile/entries/001.p/44` of the log is damaged");
    let mut nothing = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
    let error = Tiles::new(300, &mut nothing).root().expect_err("no tiles");
    assert_eq!(error.to_string(), "reading `tile/1/000.p/1` of the log");
}

#[test]
fn the_edge_is_what_is_partial() {
    for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_536 * 3 + 256 * 7 + 9] {
        let mut edge: Vec<TilePath> = TilePath::edge(size).collect();
        let mut partial: Vec<TilePath> = TilePath::all(size).filter(|path| path.is_partial()).collect();
        edge.sort();
        partial.sort();
        assert_eq!(edge, partial, "{size}");
    }
}
