//! What an append asks of the disk. Counted, not timed.

use super::*;

/// Counts the steps of a home from outside.
#[derive(Default)]
struct Counter(Mutex<BTreeMap<Operation, usize>>);

impl Counter {
    fn faults(self: &Arc<Counter>) -> Arc<Faults> {
        let counter = Arc::clone(self);
        Arc::new(move |operation, _: &Path| {
            *counter.0.lock().expect("no panic").entry(operation).or_default() += 1;
            Fault::None
        })
    }

    /// How many syncs there were since the last call: of files, of directories, of whole file systems.
    fn syncs(&self) -> [usize; 3] {
        let counts = std::mem::take(&mut *self.0.lock().expect("no panic"));
        [Operation::SyncFile, Operation::SyncDirectory, Operation::SyncFileSystem]
            .map(|operation| counts.get(&operation).copied().unwrap_or_default())
    }
}

/// An append of one statement and one of 64 cost the same few syncs; they were 20 and 197 when each file was synced on
/// its own.
#[tokio::test]
async fn an_append_syncs_few_times_whatever_its_size() {
    let sample = Sample::new("syncs");
    sample.home().await.close().await.expect("closed");
    let counter = Arc::new(Counter::default());
    let options = Options { faults: Some(counter.faults()), ..sample.options() };
    let home = Home::open(&sample.data(), &options).await.expect("opened");
    let known = sample.unique(0);
    home.append(vec![known.clone()], now()).await.expect("logged");
    counter.syncs();

    home.append(vec![sample.unique(1)], now()).await.expect("logged");
    // Seven files at once; names of blob, its directory and staging; head; names of head outside and two tiles.
    assert_eq!(counter.syncs(), [7, 3 + 1 + 3, 0]);

    home.append((2..66).map(|n| sample.unique(n)).collect(), now()).await.expect("logged");
    // All bytes; all names of blobs and staging; head; head outside and two tiles.
    assert_eq!(counter.syncs(), [0, 1 + 3, 2]);

    home.append((66..130).map(|n| sample.unique(n)).collect(), now()).await.expect("logged");
    // The same over the border of a tile: the names of eight directories at once; head; two directories of partial tiles
    // emptied.
    assert_eq!(counter.syncs(), [0, 8 + 1 + 2, 2]);

    home.log_proposals(&[sample.proposal(b"artifact")], now()).await.expect("logged");
    // An entry without payload has no blob.
    assert_eq!(counter.syncs(), [6, 1 + 1 + 3, 0]);

    home.append(vec![known], now()).await.expect("known");
    // The blob's name alone: it may have been written a moment ago by somebody else.
    assert_eq!(counter.syncs(), [0, 1, 0]);
    home.close().await.expect("closed");
    Witness::default().check(&sample, &[]);
}

/// What no sync was spent on may be undone by a power cut: the checkpoint is an older one, removed tiles and the staged
/// step are back. Nothing of it is missed, and nothing of it stays.
#[tokio::test]
async fn what_a_power_cut_undoes_is_done_again() {
    // Inside of a tile, and over its border.
    for (before, added) in [(20, 1), (127, 3)] {
        let sample = Sample::new("power");
        let home = sample.home().await;
        home.append((0..before).map(|n| sample.unique(n)).collect(), now()).await.expect("logged");
        home.close().await.expect("closed");
        let old = sample.copied("old");
        let watched = sample.data().join("log/staging");
        let staged: Arc<Faults> =
            Arc::new(move |operation, path| match operation == Operation::Remove && path.starts_with(&watched) {
                true => Fault::Fails,
                false => Fault::None,
            });
        let options = Options { faults: Some(staged), ..sample.options() };
        let home = Home::open(&sample.data(), &options).await.expect("opened");
        let added: Vec<_> = (1000..1000 + added).map(|n| sample.unique(n)).collect();
        home.append(added.clone(), now()).await.expect_err("the staged step stays");
        drop(home);
        let undone = |path: &str| {
            std::fs::copy(old.data().join("log").join(path), sample.data().join("log").join(path)).expect("put back");
        };
        undone("checkpoint");
        let width = before * 2;
        for tile in [format!("tile/0/000.p/{width}"), format!("tile/entries/000.p/{width}")] {
            if let Some(directory) = sample.data().join("log").join(&tile).parent().filter(|at| at.is_dir()) {
                assert!(!directory.join(width.to_string()).exists(), "the partial tile was removed");
                undone(&tile);
            }
        }
        let home = sample.open().await;
        assert_eq!(home.log().size(), (before + added.len() as u64) * 2);
        let receipts = home.append(added, now()).await.expect("known");
        home.close().await.expect("closed");
        Witness::default().check(&sample, &receipts.iter().map(acknowledged).collect::<Vec<_>>());
        assert_eq!(crate::fsck::fsck(&sample.fsck_target()).await.expect("looked"), []);
    }
}
