use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use attest::predicate::Predicate;

use super::*;
use crate::durable::{Batch, Fault, Operation};
use crate::log::HeadRefused;
use crate::sample::{Random, Sample, Witness, copy_tree, now};
use crate::seal::{Seal, SealError};

mod batches;
mod full;
mod proposals;
mod syncs;

/// Position and hash of the entry that a receipt proves.
fn acknowledged(receipt: &Receipt) -> (u64, tlog::merkle::Hash) {
    (receipt.index, tlog::merkle::leaf_hash(&receipt.body))
}

#[tokio::test]
async fn appends_and_gives_bundles_that_verify() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    let envelopes = sample.life();
    let receipts = home.append(envelopes.clone(), now()).await.expect("logged");
    let indexes: Vec<u64> = receipts.iter().map(|receipt| receipt.index).collect();
    assert_eq!(indexes, (0..envelopes.len() as u64).map(|n| n * 2).collect::<Vec<_>>());
    for envelope in &envelopes {
        let digest = Digest::of(&envelope.to_json());
        let row = home.ledger().statement_by_envelope(&digest).await.expect("asked").expect("known");
        let bundle = home.bundle(&row).await.expect("made");
        let attestation = attest::open(&bundle, &sample.trust, now()).expect("verifies");
        assert_eq!(attestation.statement().payload(), &row.payload);
        assert_eq!(attestation.logged().map(tlog::Logged::index), Some(row.index));
        assert_eq!(home.envelope(&row).expect("stored"), *envelope);
    }
    home.close().await.expect("closed");
    Witness::default().check(&sample, &receipts.iter().map(acknowledged).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_same_statement_keeps_its_entry() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    let envelope = sample.unique(1);
    let twice = home.append(vec![envelope.clone(), envelope.clone()], now()).await.expect("logged");
    assert_eq!((twice[0].index, twice[1].index), (0, 0));
    home.append(vec![sample.unique(2)], now()).await.expect("logged");
    let again = home.append(vec![sample.unique(3), envelope.clone()], now()).await.expect("logged");
    assert_eq!((again[0].index, again[1].index), (4, 0));
    home.close().await.expect("closed");
    let home = sample.open().await;
    assert_eq!(home.append(vec![envelope], now()).await.expect("logged")[0].index, 0);
    assert_eq!(home.log().size(), 6);
    assert!(home.append(Vec::new(), now()).await.expect("nothing").is_empty());
}

#[tokio::test]
async fn what_nobody_trusted_has_signed_is_not_logged() {
    let (sample, stranger) = (Sample::new("home"), Sample::new("stranger"));
    let home = sample.home().await;
    let mut forged = sample.unique(1);
    forged.payload[20] ^= 1;
    for envelope in [stranger.unique(1), forged] {
        let error = home.append(vec![sample.unique(2), envelope], now()).await.expect_err("refused");
        assert!(matches!(error, HomeError::Untrusted(_)), "{error}");
    }
    assert_eq!(home.log().size(), 0);
    assert!(home.blobs().list().expect("listed").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_the_same_time_share_commits() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    let calls = (0..60).map(|n| {
        let (home, envelopes) = (home.clone(), vec![sample.unique(n), sample.unique(n + 1000)]);
        tokio::spawn(async move { home.append(envelopes, now()).await.expect("logged") })
    });
    let mut receipts = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        receipts.extend(call.await.expect("no panic"));
    }
    assert_eq!(home.log().size(), 240);
    home.close().await.expect("closed");
    Witness::default().check(&sample, &receipts.iter().map(acknowledged).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_process_has_it_and_the_seal_is_there_only_while_closed() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    home.announce("http://127.0.0.1:8470").expect("written");
    let Err(HomeError::Lock(LockError::Held { holder, .. })) = Home::open(&sample.data(), &sample.options()).await
    else {
        panic!("held")
    };
    assert_eq!(holder.address.as_deref(), Some("http://127.0.0.1:8470"));
    let seal = sample.data().join("seal.json");
    assert!(matches!(Seal::read(&seal), Err(SealError::Missing)));
    home.close().await.expect("closed");
    home.close().await.expect("closing again does nothing");
    assert!(matches!(home.append(vec![sample.unique(1)], now()).await, Err(HomeError::Closed(_))));
    Seal::read(&seal).expect("sealed");
    let names = durable::list(&sample.data()).expect("listed");
    assert_eq!(names, ["VERSION", "ledger.sqlite", "lock", "log", "seal.json"]);
    drop(sample.open().await);
    assert!(matches!(Seal::read(&seal), Err(SealError::Missing)), "a process that dies leaves no seal");
}

#[tokio::test]
async fn only_a_data_directory_is_opened() {
    let sample = Sample::new("home");
    let open = || async { Home::open(&sample.data(), &sample.options()).await.map(drop) };
    assert!(matches!(open().await, Err(HomeError::NotAHome(_))));
    std::fs::create_dir_all(sample.data()).expect("made");
    std::fs::write(sample.data().join("diary.txt"), "private").expect("written");
    let created = Home::create(&sample.data(), &sample.options(), sample.new_log()).await;
    assert!(matches!(created, Err(HomeError::Occupied { name, .. }) if name == "diary.txt"));
    std::fs::remove_file(sample.data().join("diary.txt")).expect("removed");
    Home::create(&sample.data(), &sample.options(), sample.new_log()).await.expect("created");
    let created = Home::create(&sample.data(), &sample.options(), sample.new_log()).await;
    assert!(matches!(created, Err(HomeError::Exists(_))));
    std::fs::write(sample.data().join("VERSION"), "assay data 2\nmore").expect("written");
    assert!(matches!(open().await, Err(HomeError::Version { found, .. }) if found == "assay data 2"));
}

#[tokio::test]
async fn a_missing_or_newer_head_outside_refuses_to_sign() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    let envelope = sample.unique(1);
    let first = home.append(vec![envelope.clone()], now()).await.expect("logged");
    home.close().await.expect("closed");
    let old = sample.scratch.path().join("old");
    copy_tree(&sample.data(), &old);

    let home = sample.open().await;
    home.append(vec![sample.unique(2)], now()).await.expect("logged");
    home.close().await.expect("closed");

    // An old copy of the directory.
    let home = Home::open(&old, &sample.options()).await.expect("it can be read");
    let error = home.append(vec![sample.unique(3)], now()).await.expect_err("refused");
    assert!(matches!(&error, HomeError::Log(LogError::Refused(HeadRefused::Newer { outside: 4, here: 2, .. }))));
    assert!(error.to_string().contains("`assay admin log adopt`"), "{error}");
    assert!(home.ready().is_err());
    assert_eq!(home.log().receipt(0).expect("readable").body, first[0].body);
    // What is there already needs no signature.
    assert_eq!(home.append(vec![envelope], now()).await.expect("known")[0].index, 0);
    // Closed, not dropped: a dropped ledger removes its WAL in its own time, under the hands of who copies.
    home.close().await.expect("closed");

    // Another history of the same length.
    let diverged = sample.scratch.path().join("diverged");
    copy_tree(&old, &diverged);
    let elsewhere = Options { heads: sample.scratch.path().join("other-heads"), ..sample.options() };
    let home = Home::open(&diverged, &elsewhere).await.expect("opened");
    let error = home.append(vec![sample.unique(3)], now()).await.expect_err("refused");
    assert!(matches!(&error, HomeError::Log(LogError::Refused(HeadRefused::Missing { .. }))), "{error}");
    assert!(error.to_string().contains("`assay admin log adopt`"), "{error}");
    home.adopt().expect("adopted");
    home.append(vec![sample.unique(3)], now()).await.expect("logged");
    home.close().await.expect("closed");
    let home = Home::open(&diverged, &sample.options()).await.expect("opened");
    let error = home.append(vec![sample.unique(4)], now()).await.expect_err("refused");
    assert!(matches!(&error, HomeError::Log(LogError::Refused(HeadRefused::Diverged { .. }))), "{error}");
}

/// Faults for the step with that number, counted from when it is armed.
struct Injector {
    step: AtomicUsize,
    seen: AtomicUsize,
    fault: Fault,
}

const NEVER: usize = usize::MAX;

impl Injector {
    fn new(fault: Fault) -> Arc<Injector> {
        Arc::new(Injector { step: AtomicUsize::new(NEVER), seen: AtomicUsize::new(0), fault })
    }

    fn arm(&self, step: usize) {
        self.seen.store(0, Ordering::SeqCst);
        self.step.store(step, Ordering::SeqCst);
    }

    fn faults(self: &Arc<Injector>) -> Arc<Faults> {
        let injector = Arc::clone(self);
        Arc::new(move |_: Operation, _: &Path| {
            let step = injector.seen.fetch_add(1, Ordering::SeqCst);
            if step == injector.step.load(Ordering::SeqCst) { injector.fault } else { Fault::None }
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Retry {
    Same,
    Other,
    Reload,
}

/// The crash table: each step of an append that fills a tile fails in turn, with and without its effect, and then the
/// same is asked again, or something else, or the directory is opened anew. After each step the whole log is verified
/// from outside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_an_append_may_fail() {
    let template = Sample::new("crash");
    let home = template.home().await;
    let before: Vec<Envelope> = (0..126).map(|n| template.unique(n)).collect();
    let before = home.append(before, now()).await.expect("logged");
    home.close().await.expect("closed");
    let before: Vec<_> = before.iter().map(acknowledged).collect();
    let mut witness = Witness::default();
    witness.check(&template, &before);
    let (template, before) = (Arc::new(template), Arc::new(before));
    let mut columns = Vec::new();
    for fault in [Fault::Fails, Fault::FailsButPersists] {
        for retry in [Retry::Same, Retry::Other, Retry::Reload] {
            let (template, before, witness) = (Arc::clone(&template), Arc::clone(&before), witness.clone());
            columns.push(tokio::spawn(async move {
                let mut step = 0;
                while crash_row(&template, &before, &witness, fault, retry, step).await {
                    step += 1;
                }
                step
            }));
        }
    }
    for column in columns {
        let steps = column.await.expect("no row failed");
        assert!(steps > 40, "an append has {steps} steps");
    }
}

/// Returns whether the step exists.
async fn crash_row(
    template: &Sample,
    before: &[(u64, tlog::merkle::Hash)],
    witness: &Witness,
    fault: Fault,
    retry: Retry,
    step: usize,
) -> bool {
    let row = format!("{fault:?} at step {step}, then {retry:?}");
    let copy = format!("{fault:?} {retry:?}");
    drop(std::fs::remove_dir_all(template.scratch.path().join(&copy)));
    let sample = template.copied(&copy);
    let injector = Injector::new(fault);
    let options = Options { faults: Some(injector.faults()), ..sample.options() };
    let mut home = Home::open(&sample.data(), &options).await.expect("opened");
    let mut witness = witness.clone();
    let mut known = before.to_vec();

    let wanted: Vec<Envelope> = (1000..1003).map(|n| sample.unique(n)).collect();
    injector.arm(step);
    let first = home.append(wanted.clone(), now()).await;
    let exists = injector.seen.load(Ordering::SeqCst) > step;
    injector.arm(NEVER);
    match &first {
        Ok(receipts) => known.extend(receipts.iter().map(acknowledged)),
        Err(_) => assert!(exists, "{row}: no step failed but {first:?}"),
    }
    witness.check(&sample, &known);
    match retry {
        Retry::Same => {}
        Retry::Other => {
            let other = home.append(vec![sample.unique(2000)], now()).await;
            known.extend(other.unwrap_or_else(|error| panic!("{row}: {error:?}")).iter().map(acknowledged));
            witness.check(&sample, &known);
        }
        Retry::Reload => {
            drop(home);
            home = Home::open(&sample.data(), &options).await.unwrap_or_else(|error| panic!("{row}: {error:?}"));
            witness.check(&sample, &known);
        }
    }
    let again = home.append(wanted.clone(), now()).await.unwrap_or_else(|error| panic!("{row}: {error:?}"));
    known.extend(again.iter().map(acknowledged));
    let mut logged = witness.check(&sample, &known);
    logged.sort_unstable();
    let count = logged.len();
    logged.dedup();
    assert_eq!(logged.len(), count, "{row}: a statement was logged twice");
    assert!(wanted.iter().all(|envelope| logged.contains(&Digest::of(&envelope.to_json()))), "{row}");
    if retry == Retry::Reload {
        home.close().await.expect("closed");
    }
    exists
}

/// A staged step that was damaged on disk never overwrites what is good.
#[tokio::test]
async fn a_damaged_staging_file_is_passed_over() {
    let template = Sample::new("staging");
    let home = template.home().await;
    home.append((0..127).map(|n| template.unique(n)).collect(), now()).await.expect("logged");
    home.close().await.expect("closed");
    // Find the step after which everything is in place but the staged file.
    let sample = template.copied("whole");
    let staging = sample.data().join("log/staging");
    let watched = staging.clone();
    let removed: Arc<Faults> =
        Arc::new(move |operation, path| match operation == Operation::Remove && path.starts_with(&watched) {
            true => Fault::Fails,
            false => Fault::None,
        });
    let options = Options { faults: Some(removed), ..sample.options() };
    let home = Home::open(&sample.data(), &options).await.expect("opened");
    home.append((500..503).map(|n| sample.unique(n)).collect(), now()).await.expect_err("not discarded");
    drop(home);
    let [name] = &durable::list(&staging).expect("listed")[..] else { panic!("one staged file") };
    let good = std::fs::read(staging.join(name)).expect("read");
    let mut random = Random(0x5eed);
    for round in 0..60 {
        let position = random.below(good.len() as u64) as usize;
        let mut bad = good.clone();
        bad[position] ^= 1 << random.below(8);
        std::fs::create_dir_all(&staging).expect("made");
        std::fs::write(staging.join(name), &bad).expect("written");
        let home = sample.open().await;
        assert_eq!(home.log().size(), 260, "round {round}");
        drop(home);
        Witness::default().check(&sample, &[]);
    }
}

const CHILD: &str = "ASSAY_STORE_TEST_KILLED_WRITER";

/// The process that [`a_killed_writer_loses_nothing`] kills; does nothing when it is not asked to.
#[tokio::test]
async fn killed_writer_child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let sample = Sample::load(Path::new(&directory));
    let home = sample.open().await;
    let mut stdout = std::io::stdout();
    for number in home.log().size().. {
        let envelopes = (0..number % 3 + 1).map(|n| sample.unique(number * 10 + n)).collect();
        for receipt in home.append(envelopes, now()).await.expect("logged") {
            let (index, leaf) = acknowledged(&receipt);
            writeln!(stdout, "ack {index} {}", Digest::Sha256(leaf).hex()).expect("the parent listens");
        }
        stdout.flush().expect("the parent listens");
    }
}

/// How often a writer is killed; `ASSAY_KILL_ROUNDS=1000` for a campaign.
fn kill_rounds() -> usize {
    std::env::var("ASSAY_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(30)
}

/// kill -9 at any moment: what was acknowledged is there, and the directory opens without repair.
#[test]
fn a_killed_writer_loses_nothing() {
    let rounds = kill_rounds();
    let sample = Sample::new("killed");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async { sample.home().await.close().await.expect("closed") });
    sample.save();
    let seed = 0x00c0_ffee_u64;
    let mut random = Random(seed);
    let mut witness = Witness::default();
    let mut known = Vec::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "home::tests::killed_writer_child", "--nocapture"])
            .env(CHILD, sample.scratch.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let enough = known.len() + 1 + random.below(8) as usize;
        while known.len() < enough {
            let line = lines.next().unwrap_or_else(|| panic!("round {round} of seed {seed:#x}: the child ended"));
            known.extend(ack(&line.expect("text")));
        }
        // Somewhere inside the next append.
        let until = std::time::Instant::now() + std::time::Duration::from_micros(random.below(4000));
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        known.extend(lines.map_while(Result::ok).filter_map(|line| ack(&line)));
        witness.check(&sample, &known);
    }
    let findings = runtime.block_on(async {
        sample.open().await.close().await.expect("closed");
        crate::fsck::fsck(&sample.fsck_target()).await.expect("looked")
    });
    assert_eq!(findings, []);
}

/// Reads `ack INDEX LEAF`; anything else is the test harness talking, or a line that was cut.
fn ack(line: &str) -> Option<(u64, tlog::merkle::Hash)> {
    let (index, leaf) = line.strip_prefix("ack ")?.split_once(' ')?;
    match Digest::from_parts("sha256", leaf) {
        Ok(Digest::Sha256(leaf)) => Some((index.parse().ok()?, leaf)),
        _ => None,
    }
}

/// A ledger is a view: one that is ahead of the log, or damaged, is made again.
#[tokio::test]
async fn a_ledger_that_does_not_fit_is_made_again() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    home.close().await.expect("closed");
    let old = sample.scratch.path().join("old");
    copy_tree(&sample.data().join("log"), &old);
    let home = sample.open().await;
    home.append(sample.life(), now()).await.expect("logged");
    home.close().await.expect("closed");
    std::fs::remove_dir_all(sample.data().join("log")).expect("removed");
    copy_tree(&old, &sample.data().join("log"));
    let seal = sample.data().join("seal.json");
    std::fs::remove_file(&seal).expect("removed");
    let home = sample.open().await;
    assert_eq!(home.ledger().cursor().await.expect("asked"), 0);
    home.close().await.expect("closed");
    std::fs::remove_file(&seal).expect("removed");

    std::fs::write(sample.data().join("ledger.sqlite"), b"this is no database, but long enough to look at")
        .expect("written");
    assert!(matches!(Home::open(&sample.data(), &sample.options()).await, Err(HomeError::Ledger(_))));
    let home = Home::open_reindexed(&sample.data(), &sample.options()).await.expect("opened");
    assert_eq!(home.ledger().cursor().await.expect("asked"), 0);
}

#[tokio::test]
async fn a_deployment_is_found_by_a_reopened_home() {
    let sample = Sample::new("home");
    let home = sample.home().await;
    home.append(vec![sample.sample(Predicate::Deployment)], now()).await.expect("logged");
    drop(home);
    let home = sample.open().await;
    let deployment = attest::sample::deployment();
    let live = home.ledger().newest_live(&deployment.environment, &deployment.service).await.expect("asked");
    assert_eq!(live.map(|row| row.digest), Some(deployment.artifact.1));
}
