use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use sign::certificate::{SubjectKey, SubjectName};
use sign::issuing::{Authority, Below, Leaf as LeafRequest, Serial, Title, root};
use sign::{LogKey, SigningKey};
use tlog::index::IndexKey;

use super::*;
use crate::durable::Fault;
use crate::fsck::{What, fsck};
use crate::home::Options;
use crate::sample::{Sample, now};

/// Opens the log of a home, made if need be.
pub(crate) fn opened(home: &Home) -> CertificateLog {
    open(home).expect("opened")
}

fn open(home: &Home) -> Result<CertificateLog, CertificateLogError> {
    CertificateLog::open(home, || {
        Ok(NewLog {
            origin: format!("{}/ct", home.log().origin()),
            key: LogKey::generate().expect("a key"),
            index_key: IndexKey::from_hex(&Digest::of(b"index key").hex()).expect("a key"),
        })
    })
}

/// Leaf and precertificate of somebody's.
fn drafted(number: u8) -> (Vec<u8>, Vec<u8>) {
    static ISSUER: OnceLock<(Authority, SubjectKey)> = OnceLock::new();
    let (authority, key) = ISSUER.get_or_init(|| {
        let key = SigningKey::generate().expect("a key");
        let title = Title {
            organization: "example.org",
            common_name: "root",
            valid_from: now().plus_s(-60),
            valid_until: now().plus_s(60),
            serial: Serial::new([1; 20]),
        };
        let certificate = root(&title, &key, Below::Leaves).expect("a root");
        let subject = SubjectKey::from(key.public());
        (Authority::new(key, vec![certificate]).expect("its key"), subject)
    });
    let leaf = LeafRequest {
        key,
        name: &SubjectName::Email(format!("{number}@example.org")),
        issuer: "https://issuer.example.org",
        values: &[],
        valid_from: now(),
        serial: Serial::new([number; 20]),
    };
    let draft = authority.draft(&leaf).expect("drafted");
    (draft.entry().to_vec(), draft.precertificate().to_vec())
}

/// Logs somebody's certificate.
pub(crate) fn append(log: &CertificateLog, number: u8) -> Result<u64, CertificateLogError> {
    let (leaf, precertificate) = drafted(number);
    log.append(leaf, precertificate)
}

#[tokio::test]
async fn entries_come_back_with_their_proofs() {
    let sample = Sample::new("certificates");
    let home = sample.home().await;
    let log = opened(&home);
    let mut drafts = Vec::new();
    for number in 0..5 {
        let (leaf, precertificate) = drafted(number);
        assert_eq!(log.append(leaf.clone(), precertificate.clone()).expect("logged"), u64::from(number));
        drafts.push(Entry { index: u64::from(number), leaf, precertificate });
    }
    home.close().await.expect("closed");
    assert!(matches!(append(&log, 9), Err(CertificateLogError::Closed)));

    let home = sample.open().await;
    let log = opened(&home);
    assert_eq!(log.entries(1, 3).expect("read"), drafts[1..4]);
    assert_eq!(log.entries(3, u64::MAX).expect("read"), drafts[3..]);
    assert_eq!(log.entries(5, 9).expect("read"), []);
    let reader = log.reader();
    for entry in &drafts {
        let hash = merkle::leaf_hash(&entry.leaf);
        assert_eq!(log.find(&hash).expect("read"), Some(entry.index));
        for size in entry.index + 1..=5 {
            let proof = reader.inclusion_proof_at(entry.index, size).expect("proven");
            merkle::verify_inclusion(entry.index, size, &hash, &proof, &reader.root(size).expect("read"))
                .expect("good");
            let (old, new) = (reader.root(entry.index + 1).expect("read"), reader.root(size).expect("read"));
            let proof = reader.consistency_proof_at(entry.index + 1, size).expect("proven");
            merkle::verify_consistency(entry.index + 1, size, &old, &new, &proof).expect("good");
        }
    }
    assert_eq!(log.find(&[7; 32]).expect("read"), None);
    // The log of statements knows nothing of it.
    assert_eq!(home.log().size(), 0);
}

/// As many callers as there are share commits: each has a position of its own.
#[tokio::test]
async fn callers_share_commits() {
    let sample = Sample::new("certificates");
    let home = sample.home().await;
    let log = opened(&home);
    let mut positions: Vec<u64> = std::thread::scope(|scope| {
        let log = &log;
        let callers: Vec<_> = (0..32).map(|number| scope.spawn(move || append(log, number).expect("logged"))).collect();
        callers.into_iter().map(|caller| caller.join().expect("no panic")).collect()
    });
    positions.sort_unstable();
    assert_eq!(positions, (0..32).collect::<Vec<u64>>());
    for number in 0..32 {
        let hash = merkle::leaf_hash(&drafted(number).0);
        let draft = log.find(&hash).expect("read");
        // ECDSA is random, the leaf is not.
        assert!(draft.is_some(), "{number}");
    }
}

/// Every step of making the log and of an append fails in turn, without and with its effect. Afterwards, on the same
/// directory, the log is whole, nothing acknowledged is missing, and the next append succeeds.
#[tokio::test]
async fn each_step_may_fail() {
    for fault in [Fault::Fails, Fault::FailsButPersists] {
        let mut step = 0;
        loop {
            let sample = Sample::new("certificates");
            sample.home().await.close().await.expect("closed");
            let count = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&count);
            let faults = move |_, path: &Path| {
                let concerns = path.components().any(|part| part.as_os_str() == "ct" || part.as_os_str() == "tmp");
                match concerns && counted.fetch_add(1, Ordering::SeqCst) == step {
                    true => fault,
                    false => Fault::None,
                }
            };
            let options = Options { faults: Some(Arc::new(faults)), ..sample.options() };
            let mut acknowledged = Vec::new();
            if let Ok(home) = Home::open(&sample.data(), &options).await {
                if let Ok(log) = open(&home) {
                    for number in 0..2 {
                        acknowledged.extend(append(&log, number).ok().map(|index| (number, index)));
                    }
                }
                // Killed, but for the database: this process cannot leave its connections without closing them.
                let _left = home.ledger().close().await;
                drop(home);
            }
            check_after(&sample, &acknowledged).await;
            if count.load(Ordering::SeqCst) <= step {
                assert!(step > 20, "only {step} steps");
                assert_eq!(acknowledged.len(), 2);
                break;
            }
            step += 1;
        }
    }
}

async fn check_after(sample: &Sample, acknowledged: &[(u8, u64)]) {
    let home = sample.open().await;
    let log = opened(&home);
    for (number, index) in acknowledged {
        assert_eq!(log.find(&merkle::leaf_hash(&drafted(*number).0)).expect("read"), Some(*index));
    }
    let index = append(&log, 99).expect("logged again");
    assert_eq!(log.find(&merkle::leaf_hash(&drafted(99).0)).expect("read"), Some(index));
    home.close().await.expect("closed");
    let findings = fsck(&sample.fsck_target()).await.expect("looked");
    assert_eq!(findings, []);
}

/// A copy that was set back issues nothing: its promises would be of another history.
#[tokio::test]
async fn an_old_copy_promises_nothing() {
    let sample = Sample::new("certificates");
    let home = sample.home().await;
    append(&opened(&home), 1).expect("logged");
    home.close().await.expect("closed");
    let old = sample.scratch.path().join("old");
    crate::sample::copy_tree(&sample.data(), &old);
    let home = sample.open().await;
    append(&opened(&home), 2).expect("logged");
    home.close().await.expect("closed");

    let target = crate::fsck::Target { data: old.clone(), ..sample.fsck_target() };
    let findings: BTreeMap<PathBuf, What> =
        fsck(&target).await.expect("looked").into_iter().map(|finding| (finding.path, finding.what)).collect();
    assert_eq!(findings, BTreeMap::from([(old.join("ct/head"), What::NotTheNewest)]));
    let home = Home::open(&old, &sample.options()).await.expect("opened");
    let log = opened(&home);
    assert!(matches!(append(&log, 3), Err(CertificateLogError::Log(LogError::Refused(_)))));
    assert!(log.ready().is_err());
    drop(log);
    home.adopt().expect("adopted");
    append(&opened(&home), 3).expect("logged");
}

#[test]
fn an_entrys_file_has_one_form() {
    let bytes = encode(7, b"leaf", b"precertificate");
    let entry = decode(&bytes).expect("its own print");
    assert_eq!((entry.index, &entry.leaf[..], &entry.precertificate[..]), (7, &b"leaf"[..], &b"precertificate"[..]));
    for cut in 0..16 {
        assert_eq!(decode(&bytes[..cut]), None, "{cut}");
    }
}
