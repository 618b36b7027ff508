use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wire::dsse::Envelope;

use super::*;
use crate::durable::Fault;
use crate::home::{Home, HomeError, Options};
use crate::log::{HeadRefused, Newer, RecoverError, SourceError};
use crate::sample::{Sample, Witness, copy_tree as copy_directory, now};

fn quiet(_: &str) {}

/// A home with a directory of keys beside it.
struct Case {
    sample: Sample,
}

impl Case {
    /// With a tree, which a test that copies directories can't have.
    async fn new(name: &str, statements: u64) -> Case {
        let case = Case::bare(name, statements).await;
        let home = case.sample.open().await;
        let entries = vec![
            ("bin/tool".to_owned(), trees::Source::Bytes { bytes: b"#!".to_vec(), executable: true }),
            ("bin/link".to_owned(), trees::Source::Link { target: "tool".to_owned() }),
        ];
        home.trees().import(entries, None).expect("imported");
        let certificates = crate::certificates::tests::opened(&home);
        for number in 0..3 {
            crate::certificates::tests::append(&certificates, number).expect("logged");
        }
        home.close().await.expect("closed");
        case
    }

    async fn bare(name: &str, statements: u64) -> Case {
        let case = Case { sample: Sample::new(name) };
        fs::create_dir_all(case.root().join("keys")).expect("made");
        fs::write(case.root().join("keys/admin.pem"), b"a key").expect("written");
        fs::set_permissions(case.root().join("keys/admin.pem"), fs::Permissions::from_mode(0o600)).expect("set");
        fs::write(case.root().join("VERSION"), b"home").expect("written");
        fs::write(case.root().join("trust.json"), b"{}").expect("written");
        let home = case.sample.home().await;
        home.append((0..statements).map(|n| case.sample.unique(n)).collect(), now()).await.expect("logged");
        home.blobs().put_bytes(b"an artifact").expect("put");
        home.close().await.expect("closed");
        case
    }

    fn root(&self) -> PathBuf {
        self.sample.data().parent().expect("below").to_owned()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.sample.scratch.path().join(name)
    }

    fn source(&self) -> Source {
        let except = vec!["data".to_owned()];
        let covered = vec![Root { name: "home".to_owned(), path: self.root(), except }];
        Source { data: self.sample.data(), covered }
    }

    fn place(&self, name: &str) -> Place {
        let root = self.at(name);
        Place { data: root.join("data"), roots: BTreeMap::from([("home".to_owned(), root)]), beside: Vec::new() }
    }

    fn back_up(&self) -> Result<Taken, BackupError> {
        back_up(&self.source(), &self.at("backup"), now(), &mut quiet)
    }

    async fn append(&self, numbers: std::ops::Range<u64>) {
        let home = self.sample.open().await;
        let envelopes: Vec<Envelope> = numbers.map(|n| self.sample.unique(n)).collect();
        home.append(envelopes, now()).await.expect("logged");
        home.close().await.expect("closed");
    }

    /// The home is lost; what was restored takes its place.
    fn lose(&self, restored: &str) {
        durable::remove_tree(&self.root()).expect("removed");
        fs::rename(self.at(restored), self.root()).expect("moved");
    }
}

#[tokio::test]
async fn what_is_put_back_is_what_was_taken() {
    let case = Case::new("backup", 300).await;
    let taken = case.back_up().expect("taken");
    assert_eq!((taken.entries, taken.trees.copied, &taken.damaged[..]), (600, 1, &[][..]));
    let again = case.back_up().expect("taken again");
    assert_eq!((again.blobs.copied, again.trees.copied, again.bytes), (0, 0, 0), "nothing is new");
    case.append(300..301).await;
    let more = case.back_up().expect("taken");
    assert_eq!((more.entries, more.blobs.copied), (602, 1), "one envelope is new");

    let checked = restore(&case.at("backup"), None, &mut quiet).expect("checked");
    assert_eq!((checked.entries, &checked.damaged[..]), (602, &[][..]));
    restore(&case.at("backup"), Some(&case.place("restored")), &mut quiet).expect("restored");
    let mode = |path: &str| fs::metadata(case.at(path)).expect("there").mode() & 0o777;
    assert_eq!((mode("restored"), mode("restored/keys"), mode("restored/keys/admin.pem")), (0o700, 0o700, 0o600));
    assert_eq!((mode("backup"), mode("restored/data/log/key.pem")), (0o700, 0o600));
    assert!(!case.at("restored/.restoring").exists());
    let old = Reader::open(&case.sample.data().join("log")).expect("readable");
    let issued = put_back(&case.sample.data().join("ct"));
    case.lose("restored");
    assert_eq!(put_back(&case.sample.data().join("ct")), issued, "the log of certificates, with its files");
    let home = case.sample.open().await;
    assert_eq!(home.log().checkpoint(), old.checkpoint());
    home.append(vec![case.sample.unique(999)], now()).await.expect("it is the newest copy, and goes on");
    home.close().await.expect("closed");
    Witness::default().check(&case.sample, &[]);
    assert_eq!(crate::fsck::fsck(&case.sample.fsck_target()).await.expect("checked"), []);
}

#[tokio::test]
async fn a_backup_is_taken_beside_who_appends() {
    let case = Case::new("backup", 1).await;
    let home = case.sample.open().await;
    let running = home.clone();
    let envelopes: Vec<Envelope> = (1..200).map(|n| case.sample.unique(n)).collect();
    let appending = tokio::spawn(async move {
        for envelope in envelopes {
            running.append(vec![envelope], now()).await.expect("logged");
        }
    });
    let (source, to) = (case.source(), case.at("backup"));
    let mut sizes = Vec::new();
    while !appending.is_finished() {
        let (source, to) = (source.clone(), to.clone());
        let taken = tokio::task::spawn_blocking(move || {
            let taken = back_up(&source, &to, now(), &mut quiet).expect("taken");
            let checked = restore(&to, None, &mut quiet).expect("checked");
            assert_eq!((checked.entries, &checked.damaged[..]), (taken.entries, &[][..]));
            taken
        });
        sizes.push(taken.await.expect("not panicked").entries);
    }
    appending.await.expect("appended");
    assert!(sizes.is_sorted() && !sizes.is_empty(), "{sizes:?}");
    home.close().await.expect("closed");
}

#[tokio::test]
async fn an_old_backup_refuses_to_sign_until_the_newer_entries_are_taken_over() {
    let case = Case::bare("backup", 200).await;
    case.back_up().expect("taken");
    case.append(200..400).await;
    copy_directory(&case.root(), &case.at("mirror"));
    restore(&case.at("backup"), Some(&case.place("restored")), &mut quiet).expect("restored");
    case.lose("restored");

    let home = case.sample.open().await;
    let error = home.append(vec![case.sample.unique(999)], now()).await.expect_err("refused");
    let HomeError::Log(LogError::Refused(HeadRefused::Newer { outside: 800, here: 400, .. })) = &error else {
        panic!("{error}");
    };
    let copy = Copy::at(&case.at("mirror")).expect("a home");
    let recovered = home.recover(Box::new(copy.clone())).await.expect("taken over");
    assert_eq!((recovered.before, recovered.size, recovered.refused.is_none()), (400, 800, true));
    take_missing(&home, &copy).expect("taken");
    home.append(vec![case.sample.unique(999)], now()).await.expect("it is the newest copy again");
    assert_eq!(home.log().size(), 802);
    home.close().await.expect("closed");
    Witness::default().check(&case.sample, &[]);
    assert_eq!(crate::fsck::fsck(&case.sample.fsck_target()).await.expect("checked"), []);

    let home = case.sample.open().await;
    let error = home.recover(Box::new(copy)).await.expect_err("nothing to take over");
    assert!(matches!(error, HomeError::Recover(RecoverError::Older { there: 800, here: 802 })), "{error}");
    home.close().await.expect("closed");
}

/// Two copies of one log were added to: neither follows the other, and nothing is written.
#[tokio::test]
async fn another_history_is_not_taken_over() {
    let case = Case::bare("backup", 150).await;
    copy_directory(&case.root(), &case.at("fork"));
    case.append(150..151).await;
    let elsewhere = Options { heads: case.at("other-heads"), ..case.sample.options() };
    let fork = Home::open(&case.at("fork/data"), &elsewhere).await.expect("opened");
    fork.adopt().expect("adopted");
    fork.append((500..700).map(|n| case.sample.unique(n)).collect(), now()).await.expect("logged");
    fork.close().await.expect("closed");
    let home = case.sample.open().await;
    let before = home.log().checkpoint();
    let copy = Copy::at(&case.at("fork")).expect("a home");
    let error = home.recover(Box::new(copy)).await.expect_err("refused");
    assert!(matches!(error, HomeError::Recover(RecoverError::Diverged { size: 700, .. })), "{error}");
    assert_eq!(home.log().checkpoint(), before);
    home.close().await.expect("closed");
    assert_eq!(crate::fsck::fsck(&case.sample.fsck_target()).await.expect("checked"), []);
    let error = back_up(&Source { data: case.at("fork/data"), covered: Vec::new() }, &case.at("b"), now(), &mut quiet);
    error.expect("a back-up of the fork");
    let error = back_up(&case.source(), &case.at("b"), now(), &mut quiet).expect_err("another history");
    assert!(matches!(error, BackupError::Newer { found: 700, here: 302, .. }), "{error}");
}

/// A copy that answers what somebody else wants.
struct Liar {
    copy: Copy,
    calls: usize,
    lie: Lie,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    Checkpoint,
    Tile,
    Blob,
    NoBlob,
    SecondAnswer,
    Endless,
}

impl Newer for Liar {
    fn checkpoint(&mut self) -> Result<String, SourceError> {
        let text = self.copy.checkpoint()?;
        Ok(if self.lie == Lie::Checkpoint { text.replacen("\n400\n", "\n402\n", 1) } else { text })
    }

    fn tile(&mut self, path: &str) -> Result<Vec<u8>, SourceError> {
        let mut bytes = self.copy.tile(path)?;
        self.calls += 1;
        match self.lie {
            Lie::Tile => *bytes.last_mut().expect("not empty") ^= 1,
            Lie::SecondAnswer if self.calls > 3 => *bytes.last_mut().expect("not empty") ^= 1,
            Lie::Endless => bytes.resize(tlog::tile::BUNDLE_SIZE_MAX + 1, 0),
            _ => {}
        }
        Ok(bytes)
    }

    fn blob(&mut self, digest: &Digest) -> Result<Vec<u8>, SourceError> {
        match self.lie {
            Lie::Blob => Ok(b"something else".to_vec()),
            Lie::NoBlob => Err(SourceError("404".to_owned())),
            _ => self.copy.blob(digest),
        }
    }
}

#[tokio::test]
async fn nothing_that_another_copy_answers_is_trusted() {
    let case = Case::bare("backup", 100).await;
    copy_directory(&case.root(), &case.at("old"));
    case.append(100..200).await;
    copy_directory(&case.root(), &case.at("mirror"));
    let copy = Copy::at(&case.at("mirror")).expect("a home");
    case.lose("old");
    let home = case.sample.open().await;
    let before = home.log().checkpoint();
    for lie in [Lie::Checkpoint, Lie::Tile, Lie::Blob, Lie::NoBlob, Lie::SecondAnswer, Lie::Endless] {
        let liar = Liar { copy: copy.clone(), calls: 0, lie };
        let error = home.recover(Box::new(liar)).await.expect_err("refused");
        assert!(matches!(error, HomeError::Recover(_)), "{lie:?}: {error}");
        assert_eq!(home.log().checkpoint(), before, "{lie:?}");
    }
    home.recover(Box::new(copy)).await.expect("the truth is taken");
    home.close().await.expect("closed");
    Witness::default().check(&case.sample, &[]);
}

#[tokio::test]
async fn a_place_that_is_no_backups_is_left_alone() {
    let case = Case::new("backup", 2).await;
    let to = |name: &str| back_up(&case.source(), &case.at(name), now(), &mut quiet);
    fs::create_dir_all(case.at("diary")).expect("made");
    fs::write(case.at("diary/monday.txt"), b"rain").expect("written");
    assert!(matches!(to("diary"), Err(BackupError::Occupied { name, .. }) if name == "monday.txt"));
    let inside = back_up(&case.source(), &case.root().join("backups/today"), now(), &mut quiet);
    assert!(matches!(inside, Err(BackupError::Inside { .. })));
    let other = Case::new("other", 2).await;
    other.back_up().expect("taken");
    let error = back_up(&case.source(), &other.at("backup"), now(), &mut quiet).expect_err("another log");
    assert!(matches!(error, BackupError::OtherLog { .. }), "{error}");
    case.back_up().expect("taken");
    let held = Lock::take(&case.at("backup/lock")).expect("free");
    assert!(matches!(case.back_up(), Err(BackupError::Lock(_))), "two at once");
    drop(held);
    let over = Place { data: case.sample.data(), roots: BTreeMap::new(), beside: Vec::new() };
    let error = restore(&case.at("backup"), Some(&over), &mut quiet).expect_err("a home");
    assert!(matches!(error, BackupError::Exists(_)), "{error}");
    let diary = Place {
        data: case.at("new/data"),
        roots: BTreeMap::from([("home".to_owned(), case.at("diary"))]),
        beside: Vec::new(),
    };
    let error = restore(&case.at("backup"), Some(&diary), &mut quiet).expect_err("occupied");
    assert!(matches!(error, BackupError::Occupied { .. }), "{error}");
    assert!(!case.at("new").exists());
}

#[tokio::test]
async fn a_damaged_blob_is_named_and_an_intact_copy_kept() {
    let case = Case::new("backup", 2).await;
    case.back_up().expect("taken");
    let blobs = Blobs::new(case.sample.data().join("blobs"), Disk::new(case.at("tmp")));
    let path = blobs.path(&Digest::of(b"an artifact"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    fs::write(&path, b"an artefact").expect("written");
    let taken = case.back_up().expect("taken");
    assert_eq!(taken.damaged, [""; 0], "the copy from before is intact");
    let fresh = back_up(&case.source(), &case.at("fresh"), now(), &mut quiet).expect("taken all the same");
    assert_eq!(fresh.damaged.len(), 1);
    assert!(fresh.damaged[0].contains(&path.display().to_string()), "{}", fresh.damaged[0]);
    let checked = restore(&case.at("fresh"), None, &mut quiet).expect("checked");
    assert_eq!(checked.damaged, [""; 0], "what could not be taken is not promised");
    restore(&case.at("backup"), Some(&case.place("restored")), &mut quiet).expect("restored");
    assert_eq!(
        fs::read(case.at("restored/data").join(path.strip_prefix(case.sample.data()).expect("below"))).expect("there"),
        b"an artifact"
    );
}

/// Every file of a back-up, with a byte changed or removed: restoring refuses or mends it, and never makes another home.
#[tokio::test]
async fn no_changed_byte_of_a_backup_is_put_back() {
    let case = Case::new("backup", 130).await;
    case.back_up().expect("taken");
    let root = Root { name: String::new(), path: case.at("backup"), except: vec!["lock".to_owned(), "tmp".to_owned()] };
    let files = seal::walk(&root).expect("walked");
    let whole: BTreeMap<String, Digest> = intact(&case, &files);
    let sampled = files.iter().enumerate().filter(|(n, name)| !name.starts_with("blobs/") || n % 20 == 0);
    for (number, name) in sampled {
        for removed in [true, false] {
            let path = root.path.join(name);
            if fs::symlink_metadata(&path).expect("there").is_symlink() {
                continue;
            }
            let bytes = fs::read(&path).expect("read");
            let mode = fs::metadata(&path).expect("there").permissions();
            let parent = durable::parent(&path).to_owned();
            let parent_mode = fs::metadata(&parent).expect("there").permissions();
            fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).expect("set");
            fs::remove_file(&path).expect("removed");
            if !removed {
                let mut changed = bytes.clone();
                match changed.get_mut(number * 7 % bytes.len().max(1)) {
                    Some(byte) => *byte ^= 1,
                    None => changed.push(0),
                }
                fs::write(&path, changed).expect("written");
            }
            let place = format!("restored-{number}-{removed}");
            let outcome = restore(&case.at("backup"), Some(&case.place(&place)), &mut quiet);
            match outcome {
                Ok(_) => assert_eq!(put_back(&case.at(&place)), whole, "{name}"),
                Err(_) => assert!(!case.at(&place).join("VERSION").exists(), "{name}"),
            }
            drop(fs::remove_file(&path));
            fs::write(&path, &bytes).expect("written");
            fs::set_permissions(&path, mode).expect("set");
            fs::set_permissions(&parent, parent_mode).expect("set");
            durable::remove_tree(&case.at(&place)).expect("removed");
        }
    }
}

fn intact(case: &Case, files: &[String]) -> BTreeMap<String, Digest> {
    assert!(
        files.iter().any(|name| name.starts_with("log/tile/")) && files.iter().any(|name| name.starts_with("trees/"))
    );
    restore(&case.at("backup"), Some(&case.place("whole")), &mut quiet).expect("restored");
    put_back(&case.at("whole"))
}

fn put_back(root: &Path) -> BTreeMap<String, Digest> {
    let root = Root { name: String::new(), path: root.to_owned(), except: Vec::new() };
    let files = seal::walk(&root).expect("walked");
    files.into_iter().map(|name| (name.clone(), seal::file_digest(&root.path.join(name)).expect("read"))).collect()
}

/// A disk on which one step fails.
fn failing(scratch: PathBuf, fault: Fault, step: usize) -> (Disk, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let faults = move |_: Operation, _: &Path| match counted.fetch_add(1, Ordering::SeqCst) == step {
        true => fault,
        false => Fault::None,
    };
    (Disk::with_faults(scratch, Arc::new(faults)), seen)
}

/// The crash table of a back-up: at each step the one before stands, or the new one does; and the same call ends it.
#[tokio::test]
async fn every_step_of_a_backup_may_fail() {
    let case = Case::bare("backup", 20).await;
    case.back_up().expect("taken");
    copy_directory(&case.at("backup"), &case.at("before"));
    case.append(20..25).await;
    for fault in [Fault::Fails, Fault::FailsButPersists] {
        for step in 0.. {
            let to = case.at(&format!("{fault:?}-{step}"));
            copy_directory(&case.at("before"), &to);
            let (disk, seen) = failing(to.join("tmp"), fault, step);
            let outcome = write(&case.source(), &to, now(), &mut quiet, disk);
            if seen.load(Ordering::SeqCst) <= step {
                outcome.expect("nothing failed");
                assert!(step > 30, "{step} steps");
                break;
            }
            let stands = restore(&to, None, &mut quiet).unwrap_or_else(|error| panic!("{fault:?} {step}: {error}"));
            assert!(stands.damaged.is_empty() && [40, 50].contains(&stands.entries), "{fault:?} {step}: {stands:?}");
            back_up(&case.source(), &to, now(), &mut quiet).expect("the same call ends it");
            assert_eq!(restore(&to, None, &mut quiet).expect("whole").entries, 50);
            durable::remove_tree(&to).expect("removed");
        }
    }
}

/// The crash table of a restoration: until its last step nobody takes the place for a home; the same call ends it.
#[tokio::test]
async fn every_step_of_a_restoration_may_fail() {
    let case = Case::new("backup", 10).await;
    case.back_up().expect("taken");
    let from = case.at("backup");
    let manifest = Manifest::read(&from.join(MANIFEST)).expect("read");
    restore(&from, Some(&case.place("whole")), &mut quiet).expect("restored");
    let whole = put_back(&case.at("whole"));
    for fault in [Fault::Fails, Fault::FailsButPersists] {
        for step in 0.. {
            let name = format!("{fault:?}-{step}");
            let place = case.place(&name);
            let (disk, seen) = failing(place.data.join("tmp"), fault, step);
            let outcome = restore::put(&from, &manifest, Some((&place, &disk)), &mut quiet);
            if seen.load(Ordering::SeqCst) <= step {
                outcome.expect("nothing failed");
                assert!(step > 60, "{step} steps");
                break;
            }
            // A failed step that somebody else has done already is none.
            drop(outcome);
            match case.at(&name).join("VERSION").exists() {
                // Only the last step's answer was lost.
                true => {}
                false => drop(restore(&from, Some(&place), &mut quiet).expect("the same call ends it")),
            }
            let mut there = put_back(&case.at(&name));
            there.retain(|path, _| !path.starts_with(".restoring"));
            assert_eq!(there, whole, "{fault:?} {step}");
            durable::remove_tree(&case.at(&name)).expect("removed");
        }
    }
}

/// The crash table of taking over: at each step the log is what it was or what it will be, and the same call ends it.
#[tokio::test]
async fn every_step_of_taking_over_may_fail() {
    let case = Case::bare("backup", 126).await;
    copy_directory(&case.root(), &case.at("old"));
    case.append(126..129).await;
    copy_directory(&case.root(), &case.at("mirror"));
    let copy = Copy::at(&case.at("mirror")).expect("a home");
    let wanted = put_back(&case.at("mirror/data/log"));
    for fault in [Fault::Fails, Fault::FailsButPersists] {
        for step in 0.. {
            durable::remove_tree(&case.root()).expect("removed");
            copy_directory(&case.at("old"), &case.root());
            let armed = Arc::new(AtomicUsize::new(usize::MAX));
            let (seen, at) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&armed));
            let counted = Arc::clone(&seen);
            let faults = move |_: Operation, _: &Path| match counted.fetch_add(1, Ordering::SeqCst)
                == at.load(Ordering::SeqCst)
            {
                true => fault,
                false => Fault::None,
            };
            let options = Options { faults: Some(Arc::new(faults)), ..case.sample.options() };
            let home = Home::open(&case.sample.data(), &options).await.expect("opened");
            seen.store(0, Ordering::SeqCst);
            armed.store(step, Ordering::SeqCst);
            let outcome = home.recover(Box::new(copy.clone())).await;
            armed.store(usize::MAX, Ordering::SeqCst);
            if seen.load(Ordering::SeqCst) <= step {
                outcome.expect("nothing failed");
                assert!(step > 15, "{step} steps");
                home.close().await.expect("closed");
                break;
            }
            match home.recover(Box::new(copy.clone())).await {
                Ok(recovered) => assert_eq!(recovered.size, 258, "{fault:?} {step}"),
                // The head was replaced, and what recovered has been done by opening the log again.
                Err(HomeError::Recover(RecoverError::Older { there: 258, here: 258 })) => {}
                Err(error) => panic!("{fault:?} {step}: {error}"),
            }
            home.close().await.expect("closed");
            let files = put_back(&case.sample.data().join("log"));
            assert!(files == wanted, "{fault:?} {step}: {files:?}");
        }
    }
}
