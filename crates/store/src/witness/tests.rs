use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sign::LogKey;
use tlog::{Head, Leaf, merkle};

use super::*;
use crate::durable::{Fault, Operation};
use crate::scratch::Scratch;

const NAME: &str = "w1.example.org";
const ORIGIN: &str = "example.org/log";

/// A log of leaves that exists in memory only.
struct SampleLog {
    key: LogKey,
    leaves: Vec<merkle::Hash>,
}

impl SampleLog {
    fn new() -> SampleLog {
        SampleLog { key: LogKey::generate().expect("a key"), leaves: Vec::new() }
    }

    fn key(&self) -> Vec<NoteKey> {
        vec![NoteKey::new(ORIGIN, self.key.public()).expect("a name")]
    }

    /// Grows to a size; the leaves of another `history` are others.
    fn grow(&mut self, size: usize, history: &str) {
        let leaf = |index: usize| merkle::leaf_hash(format!("{history} {index}").as_bytes());
        self.leaves.extend((self.leaves.len()..size).map(leaf));
    }

    fn checkpoint(&self) -> String {
        let root = merkle::root(&self.leaves);
        Checkpoint { origin: ORIGIN.to_owned(), size: self.leaves.len() as u64, root }.sign(&self.key)
    }

    fn request(&self, old: u64) -> String {
        let leaves = &self.leaves;
        let mut nodes = |level: u32, index: u64| {
            let (first, count) = ((index << level) as usize, 1_usize << level);
            Ok::<_, std::convert::Infallible>(merkle::root(&leaves[first..first + count]))
        };
        let Ok(proof) = merkle::consistency_proof(old, leaves.len() as u64, &mut nodes);
        AddCheckpoint { old, proof, checkpoint: self.checkpoint() }.to_string()
    }
}

fn now() -> Timestamp {
    "2026-11-22T19:41:00Z".parse().expect("a time")
}

fn witness(scratch: &Scratch) -> PathBuf {
    let path = scratch.path().join("witness");
    Witness::create(&path, NAME).expect("made");
    path
}

fn open(path: &Path) -> Witness {
    Witness::open(path, None).expect("opened")
}

/// The size that a witness has on record, as a log hears of it.
fn size_of(witness: &Witness) -> u64 {
    witness.seen().first().map_or(0, |log| log.size)
}

#[test]
fn a_growing_log_is_cosigned_and_remembered() {
    let scratch = Scratch::new("witness");
    let path = witness(&scratch);
    let mut log = SampleLog::new();
    let mut old = 0;
    for size in [1, 2, 5, 5, 9] {
        // Opened anew each time: what counts is what is on disk.
        let witness = open(&path);
        log.grow(size, "leaf");
        let lines = witness.add_checkpoint(&log.request(old), &log.key(), now()).expect("cosigned");
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, [NAME, NAME], "one line of each kind of key");
        old = size as u64;
        assert_eq!(witness.seen(), [SeenLog { origin: ORIGIN.to_owned(), size: old }]);
        let note = witness.checkpoint(&Digest::of(ORIGIN.as_bytes()).hex()).expect("on record");
        let policy = format!("witness w {}\nquorum w", witness.keys().last().expect("a key"));
        let policy = wire::tlog_policy::TlogPolicy::parse(&policy).expect("a policy");
        let quorum = tlog::quorum::Quorum::new(policy).expect("keys");
        assert_eq!(quorum.check(&note, &log.key(), now()).expect("cosigned").checkpoint().size, old);
    }
    assert_eq!(open(&path).checkpoint("00"), None);
}

#[test]
fn what_does_not_continue_is_refused_and_kept_as_evidence() {
    let scratch = Scratch::new("witness");
    let path = witness(&scratch);
    let witness = open(&path);
    let mut log = SampleLog::new();
    log.grow(4, "leaf");
    witness.add_checkpoint(&log.request(0), &log.key(), now()).expect("cosigned");
    let mut fork = SampleLog { key: LogKey::from_pem(&log.key.to_pem()).expect("a key"), leaves: Vec::new() };
    fork.grow(6, "other leaf");
    let lie = fork.request(4);
    for _ in 0..2 {
        let error = witness.add_checkpoint(&lie, &log.key(), now()).expect_err("a fork");
        assert!(matches!(error, WitnessError::Refused(Refusal::Proof { old: 4, size: 6, .. })), "{error:?}");
    }
    let kept = durable::list(&path.join("evidence")).expect("listed");
    assert_eq!(kept, [Digest::of(lie.as_bytes()).hex()]);
    // What proves nothing is not kept: anybody could send it.
    for request in ["old 4\n", &log.request(2), &log.request(4).replace("old 4", "old 9")] {
        witness.add_checkpoint(request, &log.key(), now()).expect_err("refused");
    }
    assert_eq!(durable::list(&path.join("evidence")).expect("listed").len(), 1);
    log.grow(7, "leaf");
    witness.add_checkpoint(&log.request(4), &log.key(), now()).expect("the true one goes on");
}

/// Each step × {fails, fails but persists} × {retry, reopen}: what was answered is on record, and the log always comes on.
#[test]
fn every_step_may_fail() {
    for fault in [Fault::Fails, Fault::FailsButPersists] {
        for reopen in [false, true] {
            let mut step = 0;
            while fail_at(step, fault, reopen) {
                step += 1;
            }
            assert!(step >= 4, "create, write, sync, rename and sync of the directory were each tried: {step}");
        }
    }
}

/// Returns whether there was such a step.
fn fail_at(step: usize, fault: Fault, reopen: bool) -> bool {
    let scratch = Scratch::new("witness");
    let path = witness(&scratch);
    let mut log = SampleLog::new();
    log.grow(3, "leaf");
    open(&path).add_checkpoint(&log.request(0), &log.key(), now()).expect("cosigned");
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let faults: Arc<Faults> = Arc::new(move |operation: Operation, path: &Path| {
        let ours = operation != Operation::Lock && !path.ends_with("lock");
        match ours && seen.fetch_add(1, Ordering::SeqCst) == step {
            true => fault,
            false => Fault::None,
        }
    });
    let mut witness = Witness::open(&path, Some(faults)).expect("opened");
    count.store(0, Ordering::SeqCst);
    log.grow(8, "leaf");
    let row = format!("step {step}, {fault:?}, reopen {reopen}");
    let first = witness.add_checkpoint(&log.request(3), &log.key(), now());
    let existed = count.swap(usize::MAX / 2, Ordering::SeqCst) > step;
    assert!(first.is_ok() || existed, "{row}: {first:?}");
    if reopen {
        drop(witness);
        witness = open(&path);
    }
    let size = size_of(&witness);
    assert!(if first.is_ok() { size == 8 } else { [3, 8].contains(&size) }, "{row}: {size}");
    // The log asks again from where the witness is, as the protocol has it.
    log.grow(9, "leaf");
    witness.add_checkpoint(&log.request(size), &log.key(), now()).unwrap_or_else(|error| panic!("{row}: {error:?}"));
    drop(witness);
    assert_eq!(size_of(&open(&path)), 9, "{row}");
    existed
}

/// Two that start from one size at the same time: one is cosigned, the other hears of it, and nothing is rolled back.
#[test]
fn of_two_at_the_same_time_one_wins() {
    let scratch = Scratch::new("witness");
    let path = witness(&scratch);
    let witness = open(&path);
    let mut log = SampleLog::new();
    log.grow(2, "leaf");
    witness.add_checkpoint(&log.request(0), &log.key(), now()).expect("cosigned");
    let requests: Vec<String> = (3..11)
        .map(|size| {
            log.grow(size, "leaf");
            log.request(2)
        })
        .collect();
    let keys = log.key();
    let won: usize = std::thread::scope(|scope| {
        let (witness, keys) = (&witness, &keys);
        let ask = |request| scope.spawn(move || witness.add_checkpoint(request, keys, now()).is_ok());
        let asked: Vec<_> = requests.iter().map(|request| ask(request.as_str())).collect();
        asked.into_iter().map(|thread| usize::from(thread.join().expect("no panic"))).sum()
    });
    assert_eq!(won, 1);
    let size = size_of(&witness);
    drop(witness);
    assert_eq!(size_of(&open(&path)), size);
}

#[test]
fn a_record_that_it_did_not_sign_is_refused_at_opening() {
    let scratch = Scratch::new("witness");
    let path = witness(&scratch);
    let mut log = SampleLog::new();
    log.grow(4, "leaf");
    let older = log.checkpoint();
    let first = open(&path);
    first.add_checkpoint(&log.request(0), &log.key(), now()).expect("cosigned");
    drop(first);
    let record = path.join("seen").join(Digest::of(ORIGIN.as_bytes()).hex());
    let good = fs::read(&record).expect("read");
    let refused = |bytes: &[u8]| {
        fs::set_permissions(&record, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("writable");
        fs::write(&record, bytes).expect("written");
        matches!(Witness::open(&path, None).map(drop), Err(WitnessError::Damaged { path, .. }) if path == record)
    };
    // The log's own line is for readers, and checked by them: a witness relies on its own alone.
    let text = String::from_utf8(good.clone()).expect("text");
    let line = text.lines().find(|line| line.starts_with("— example.org/log ")).expect("the log's line");
    let logs_line = text.find(line).expect("it is there")..text.find(line).expect("it is there") + line.len();
    for at in (0..good.len()).filter(|at| !logs_line.contains(at)) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(refused(&bad), "byte {at}");
    }
    assert!(refused(older.as_bytes()), "a checkpoint without a cosignature");
    assert!(refused(b""));
    assert!(!refused(&good));
    let moved = record.with_file_name(Digest::of(b"example.org/other").hex());
    fs::rename(&record, &moved).expect("moved");
    assert!(matches!(Witness::open(&path, None).map(drop), Err(WitnessError::Damaged { path, .. }) if path == moved));
    fs::remove_dir_all(path.join("seen")).expect("removed");
    assert!(matches!(Witness::open(&path, None).map(drop), Err(WitnessError::Damaged { .. })));
}

#[test]
fn a_directory_is_made_once_and_used_by_one() {
    let scratch = Scratch::new("witness");
    let path = witness(&scratch);
    assert!(matches!(Witness::create(&path, NAME), Err(WitnessError::Exists(_))));
    let held = open(&path);
    assert!(matches!(Witness::open(&path, None).map(drop), Err(WitnessError::Lock(_))));
    drop(held);
    let elsewhere = scratch.path().join("elsewhere");
    assert!(matches!(Witness::open(&elsewhere, None).map(drop), Err(WitnessError::NotAWitness(_))));
    fs::create_dir_all(&elsewhere).expect("made");
    fs::write(elsewhere.join("diary.txt"), "private").expect("written");
    assert!(matches!(Witness::create(&elsewhere, NAME), Err(WitnessError::Occupied(_))));
    assert!(matches!(Witness::create(&scratch.path().join("x"), "a name"), Err(WitnessError::Key(KeyError::Name(_)))));
    fs::write(path.join("VERSION"), "assay witness 2\n").expect("written");
    assert!(matches!(Witness::open(&path, None).map(drop), Err(WitnessError::Damaged { .. })));
}

/// A log's leaf is of a size, so that this module's samples are those of real logs.
#[test]
fn the_sample_is_a_log() {
    let mut log = SampleLog::new();
    log.grow(3, "leaf");
    let leaves: Vec<Leaf> = (0..3).map(|n| Leaf::new(format!("leaf {n}").into_bytes()).expect("small")).collect();
    let step = tlog::step(&Head::empty(ORIGIN), &leaves, &log.key);
    assert_eq!(step.checkpoint, log.checkpoint());
}
