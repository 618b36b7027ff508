use std::fs;

use super::*;
use crate::sample::{Sample, now};

/// A home with keys and trust beside its data directory, closed.
async fn closed() -> (Sample, Options) {
    let sample = Sample::new("held");
    let root = sample.scratch.path().join("home");
    fs::create_dir_all(root.join("keys")).expect("made");
    fs::write(root.join("keys/admin.pem"), "a key\n").expect("written");
    fs::write(root.join("trust.json"), "{}\n").expect("written");
    let covered = vec![Root { name: "home".to_owned(), path: root, except: vec!["data".to_owned()] }];
    let options = Options { covered, ..sample.options() };
    Home::create(&sample.data(), &options, sample.new_log()).await.expect("created");
    let home = Home::open(&sample.data(), &options).await.expect("opened");
    home.append(sample.life(), now()).await.expect("logged");
    home.close().await.expect("closed");
    (sample, options)
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

/// The paths that an opening refuses.
async fn refused(sample: &Sample, options: &Options) -> Vec<PathBuf> {
    match Home::open(&sample.data(), options).await {
        Err(HomeError::Changed { changes, .. }) => changes.into_iter().map(|change| change.path).collect(),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => Vec::new(),
    }
}

/// A command after a tampering must not seal the tampered state: whatever the seal covers is compared first, and the
/// seal stays.
#[tokio::test]
async fn a_changed_file_is_refused_as_often_as_asked() {
    let (sample, options) = closed().await;
    let root = Root { name: String::new(), path: sample.scratch.path().join("home"), except: Vec::new() };
    for name in crate::seal::walk(&root).expect("walked") {
        let path = root.path.join(&name);
        let elsewhere = ["data/blobs/", "data/log/tile/"].iter().any(|place| name.starts_with(place));
        let before = fs::read(&path).expect("read");
        if elsewhere || before.is_empty() {
            continue;
        }
        let seal = fs::read(sample.data().join("seal.json")).expect("sealed");
        flip(&path);
        for _ in 0..2 {
            assert_eq!(refused(&sample, &options).await, std::slice::from_ref(&path), "flipped");
        }
        fs::remove_file(&path).expect("removed");
        if name != "data/seal.json" {
            assert_eq!(refused(&sample, &options).await, std::slice::from_ref(&path), "removed");
        }
        fs::write(&path, before).expect("put back");
        assert_eq!(fs::read(sample.data().join("seal.json")).expect("sealed"), seal);
        assert_eq!(crate::lock::holder(&sample.data().join("lock")).expect("read"), None);
    }
    for stray in ["keys/other.pem", "data/log/staging/1", "data/ledger.sqlite-wal"] {
        let path = root.path.join(stray);
        fs::write(&path, "nobody put me here").expect("written");
        assert_eq!(refused(&sample, &options).await, std::slice::from_ref(&path));
        fs::remove_file(&path).expect("removed");
    }
    Home::open(&sample.data(), &options).await.expect("all is as it was").close().await.expect("closed");
}

#[tokio::test]
async fn a_changed_ledger_is_made_again_and_nothing_else() {
    let (sample, options) = closed().await;
    flip(&sample.data().join("ledger.sqlite"));
    fs::write(sample.data().join("ledger.sqlite-wal"), "a log of writes that SQLite would read").expect("written");
    assert!(Held::take(&sample.data(), &options.covered).await.expect("held").only_ledger_changed());
    let keys = sample.scratch.path().join("home/keys/admin.pem");
    flip(&keys);
    let held = Held::take(&sample.data(), &options.covered).await.expect("held");
    assert!(!held.only_ledger_changed());
    let Err(HomeError::Changed { changes, .. }) = held.open_reindexed(&options).await else { panic!("keys changed") };
    assert_eq!(changes.len(), 1, "{changes:?}");
    flip(&keys);
    let home = Home::open_reindexed(&sample.data(), &options).await.expect("the ledger is made again");
    assert_eq!(home.ledger().cursor().await.expect("asked"), home.log().size());
    home.close().await.expect("closed");
    let target = crate::fsck::Target { covered: options.covered.clone(), ..sample.fsck_target() };
    assert_eq!(crate::fsck::fsck(&target).await.expect("looked"), []);
}

/// Whoever accepts has to put it on record first: until then, whatever happens, the old seal accuses.
#[tokio::test]
async fn accepting_ends_with_a_new_seal_only_when_it_was_recorded() {
    let (sample, options) = closed().await;
    let trust = sample.scratch.path().join("home/trust.json");
    fs::write(&trust, "{ }\n").expect("written");
    for closes in [true, false] {
        let held = Held::take(&sample.data(), &options.covered).await.expect("held");
        assert!(held.changes().iter().any(|change| change.path == trust));
        let home = held.open_accepting(&options).await.expect("opened");
        if closes {
            home.close().await.expect("closed");
        }
        drop(home);
        // What the opening itself has moved on may be accused, too.
        assert!(refused(&sample, &options).await.contains(&trust));
    }
    let home = Held::take(&sample.data(), &options.covered).await.expect("held");
    let home = home.open_accepting(&options).await.expect("opened");
    home.append(vec![sample.unique(1)], now()).await.expect("recorded");
    home.accept();
    home.close().await.expect("closed");
    assert!(refused(&sample, &options).await.is_empty());
}

/// Keys that a program makes itself are no tampering: it takes the seal away first, and seals again.
#[tokio::test]
async fn covered_files_are_written_between_unsealing_and_sealing() {
    let (sample, options) = closed().await;
    let held = Held::take(&sample.data(), &options.covered).await.expect("held");
    held.unseal().expect("removed");
    fs::write(sample.scratch.path().join("home/keys/new.pem"), "a new key\n").expect("written");
    held.reseal().await.expect("sealed");
    assert!(refused(&sample, &options).await.is_empty());
}

/// A process that was killed leaves no seal; the next opening has nothing to go by, as before.
#[tokio::test]
async fn without_a_seal_nothing_is_compared() {
    let (sample, options) = closed().await;
    drop(Home::open(&sample.data(), &options).await.expect("opened"));
    flip(&sample.scratch.path().join("home/trust.json"));
    Home::open(&sample.data(), &options).await.expect("opened").close().await.expect("closed");
}
