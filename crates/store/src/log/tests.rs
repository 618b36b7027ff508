use std::fs;
use std::path::{Path, PathBuf};

use tlog::tile::TilePath;

use crate::home::HomeError;
use crate::sample::{Sample, Witness, now};

/// A closed home whose log has full tiles, partial ones and two levels.
async fn closed() -> Sample {
    let sample = Sample::new("tiles");
    let home = sample.home().await;
    home.append((0..150).map(|n| sample.unique(n)).collect(), now()).await.expect("logged");
    home.close().await.expect("closed");
    sample
}

fn tiles(sample: &Sample) -> Vec<(TilePath, PathBuf)> {
    TilePath::all(300).map(|path| (path, sample.data().join("log").join(path.to_string()))).collect()
}

async fn findings(sample: &Sample) -> Vec<PathBuf> {
    let findings = crate::fsck::fsck(&sample.fsck_target()).await.expect("looked");
    findings.into_iter().map(|finding| finding.path).collect()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}

/// What can be derived from the entries does not stop the log: it is named, opened, added to, and made again.
#[tokio::test]
async fn a_damaged_hash_tile_is_made_again_from_the_entries() {
    let sample = closed().await;
    let witness = Witness::default();
    for (tile, path) in tiles(&sample).into_iter().filter(|(tile, _)| tile.level().is_some()) {
        let good = fs::read(&path).expect("read");
        for change in [&flip as &dyn Fn(&Path), &|path| fs::write(path, b"short").expect("written"), &|path| {
            fs::remove_file(path).expect("removed");
        }] {
            change(&path);
            assert_eq!(findings(&sample).await, std::slice::from_ref(&path), "{tile}");
            let home = sample.open().await;
            let read = home.reindex().await.expect("made again");
            assert_eq!(read, (300, vec![path.clone()]), "{tile}");
            assert_eq!(fs::read(&path).expect("read"), good, "{tile}");
            home.log().receipt(299).expect("proven");
            home.close().await.expect("closed");
            assert!(findings(&sample).await.is_empty(), "{tile}");
        }
        // Appending goes on beside the damage, too, and never spreads it.
        let copy = sample.copied("appended");
        flip(&copy.data().join("log").join(tile.to_string()));
        let home = copy.open().await;
        home.append(vec![copy.unique(1000)], now()).await.expect("logged");
        home.reindex().await.expect("made again");
        home.close().await.expect("closed");
        witness.clone().check(&copy, &[]);
        assert!(findings(&copy).await.is_empty(), "{tile}");
        fs::remove_dir_all(copy.scratch.path()).expect("removed");
    }
}

/// An entry bundle has no other source: its damage is named, and nothing is written over it.
#[tokio::test]
async fn a_damaged_entry_bundle_stays_as_it_is() {
    let sample = closed().await;
    for (tile, path) in tiles(&sample).into_iter().filter(|(tile, _)| tile.level().is_none()) {
        let good = fs::read(&path).expect("read");
        flip(&path);
        let bad = fs::read(&path).expect("read");
        assert_eq!(findings(&sample).await, std::slice::from_ref(&path), "{tile}");
        match crate::home::Home::open(&sample.data(), &sample.options()).await {
            // The last bundle is the end of the log.
            Err(error) => assert!(tile.is_partial() && matches!(error, HomeError::Log(_)), "{tile}: {error}"),
            Ok(home) => {
                assert!(!tile.is_partial(), "{tile}");
                assert!(matches!(home.reindex().await, Err(HomeError::Log(_))), "{tile}");
                home.close().await.expect("closed");
            }
        }
        assert_eq!(fs::read(&path).expect("read"), bad, "{tile}");
        assert!(findings(&sample).await.contains(&path), "{tile}");
        fs::remove_file(&path).expect("removed");
        fs::write(&path, good).expect("put back");
    }
}
