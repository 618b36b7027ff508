//! A disk that is really full, and a clock that is really wrong.

use std::error::Error;

use super::*;
use crate::scratch::Scratch;

const CHILD: &str = "ASSAY_STORE_TEST_FULL_DISK";

/// Bytes of the small disk, and of a page of it.
const DISK: usize = 32 << 20;
const PAGE: u64 = 4096;

/// Runs [`full_disk_child`] in a mount namespace of its own, on a tmpfs of a few megabytes.
#[test]
fn a_full_disk_loses_nothing() {
    let place = Scratch::new("full");
    let script =
        format!("mount -t tmpfs -o size={DISK} assay-test \"$1\" || exit 77; exec \"$2\" --exact $3 --nocapture");
    let ran = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"])
        .arg(place.path())
        .arg(std::env::current_exe().expect("this binary"))
        .arg("home::tests::full::full_disk_child")
        .env(CHILD, place.path())
        .output();
    let output = match ran {
        Ok(output) if output.status.code() == Some(77) || output.stderr.starts_with(b"unshare:") => {
            return skipped(&String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => {
            return skipped(&format!("no `unshare`: {error}"));
        }
        Ok(output) => output,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("a full disk was met at"), "the child did its work: {text}");
}

fn skipped(why: &str) {
    writeln!(std::io::stdout(), "skipped, for nothing can be mounted here: {why}").expect("printed");
}

/// Leaves so many pages free, and gives the rest back when dropped.
struct Filler(PathBuf);

impl Filler {
    fn leave(directory: &Path, pages: u64) -> Filler {
        let path = directory.join("filler");
        let mut file = std::fs::File::create(&path).expect("made");
        let page = [7; PAGE as usize];
        let mut size = 0;
        while file.write_all(&page).is_ok() {
            size += PAGE;
        }
        file.set_len(size - pages * PAGE).expect("cut");
        Filler(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// The error says which file had no space.
fn check(error: &HomeError, directory: &Path) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    assert!(text.contains(&format!("`{}/", directory.display())), "{text}");
    assert!(["No space left", "is full"].iter().any(|reason| text.contains(reason)), "{text}");
}

/// Does nothing when it is not asked to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let directory = Path::new(&directory);
    let mut sample = Sample::new("full");
    sample.scratch = Scratch::of(directory);
    let home = sample.home().await;
    let mut witness = Witness::default();
    let mut known = Vec::new();
    let mut failed = [0; 3];

    // Appends: with each page more the disk is full a little later.
    for pages in (0..70).step_by(3) {
        let wanted: Vec<_> = (0..6).map(|n| sample.unique(pages * 10 + n)).collect();
        let filler = Filler::leave(directory, pages);
        let first = home.append(wanted.clone(), now()).await;
        witness.check(&sample, &known);
        drop(filler);
        if let Err(error) = first {
            check(&error, directory);
            failed[0] += 1;
        }
        let receipts = home.append(wanted, now()).await.expect("there is space again");
        known.extend(receipts.iter().map(acknowledged));
        witness.check(&sample, &known);
    }
    // Blobs.
    for pages in 0..12 {
        let bytes = vec![pages as u8; 10 * PAGE as usize];
        let filler = Filler::leave(directory, pages);
        let first = home.blobs().put_bytes(&bytes);
        assert_eq!(home.blobs().has(&Digest::of(&bytes)).expect("known"), first.is_ok());
        drop(filler);
        if let Err(error) = first {
            check(&error.into(), directory);
            failed[1] += 1;
        }
        home.blobs().put_bytes(&bytes).expect("there is space again");
    }
    // Sealing: what the ledger gives back when it is closed must not be enough for the seal.
    let mut batch = Batch::new(home.disk());
    for number in 0..1000_u32 {
        home.blobs().put_into(&number.to_be_bytes(), &mut batch).expect("written");
    }
    batch.commit().expect("stored");
    home.close().await.expect("closed");
    for pages in 0..20 {
        let home = sample.open().await;
        let filler = Filler::leave(directory, pages);
        let first = home.close().await;
        drop(filler);
        if let Err(error) = first {
            check(&error, directory);
            failed[2] += 1;
        }
        home.close().await.expect("there is space again");
        witness.check(&sample, &known);
        Seal::read(&sample.data().join("seal.json")).expect("sealed");
    }
    assert_eq!(crate::fsck::fsck(&sample.fsck_target()).await.expect("looked"), []);
    assert!(failed.iter().all(|count| *count > 1), "{failed:?}");
    let mut stdout = std::io::stdout();
    writeln!(stdout, "a full disk was met at {failed:?} of 24, 12 and 20 places").expect("the parent listens");
}

/// The clock jumps back between appends. The log's order is that of its entries, whatever the clock says; checkpoints have
/// no time. The time of an entry is what the clock said: a key that was not yet valid then signs nothing.
#[tokio::test]
async fn a_clock_that_jumps_back_changes_no_order() {
    let sample = Sample::new("clock");
    let home = sample.home().await;
    let mut known = Vec::new();
    let mut witness = Witness::default();
    for (number, seconds) in [100_000, 50_000, 200_000, 1].into_iter().enumerate() {
        let time = attest::sample::time(seconds);
        let receipts = home.append(vec![sample.unique(number as u64)], time).await.expect("logged");
        assert_eq!(receipts[0].index, 2 * number as u64);
        known.extend(receipts.iter().map(acknowledged));
        witness.check(&sample, &known);
    }
    let before_the_keys = attest::sample::time(-100);
    let error = home.append(vec![sample.unique(9)], before_the_keys).await.expect_err("no key was valid then");
    assert!(matches!(error, HomeError::Untrusted(_)), "{error}");
    let rows = home.ledger().newest_statements(None, &crate::ledger::Page::first(10)).await.expect("asked");
    assert_eq!(rows.iter().map(|row| row.index).collect::<Vec<_>>(), [6, 4, 2, 0]);
    let times = [1, 200_000, 50_000, 100_000].map(attest::sample::time);
    assert_eq!(rows.iter().map(|row| row.logged).collect::<Vec<_>>(), times);
    for row in &rows {
        let bundle = home.bundle(row).await.expect("made");
        attest::open(&bundle, &sample.trust, row.logged).expect("verifies");
    }
    home.close().await.expect("closed");
    assert_eq!(crate::fsck::fsck(&sample.fsck_target()).await.expect("looked"), []);
    let reader = crate::log::Reader::open(&sample.data().join("log")).expect("opened");
    assert_eq!(reader.size(), 8);
    assert_eq!(reader.checkpoint().lines().nth(1), Some("8"));
}
