use std::io;

use sign::SigningKey;

use super::*;
use crate::testlog::{TestLog, envelope, leaves};

#[test]
fn a_receipt_can_be_made_again_from_the_tiles() {
    let mut log = TestLog::of_size(300);
    let step = log.append(&leaves(300, 7));
    for index in 300..307 {
        let receipt = step.receipt(index, format!("leaf {index}").as_bytes());
        let again = Receipt::prove(index, &step.checkpoint, &log.note_key(), &mut log.fetch());
        assert_eq!(again.expect("tiles"), receipt);
    }
    let later = log.append(&leaves(307, 300));
    let receipt = Receipt::prove(300, &later.checkpoint, &log.note_key(), &mut log.fetch()).expect("tiles");
    assert_eq!((receipt.index, receipt.size, &receipt.body[..]), (300, 607, &b"leaf 300"[..]));
}

#[test]
fn damage_gives_no_receipt() {
    let log = TestLog::of_size(300);
    let checkpoint = String::from_utf8(log.files["checkpoint"].clone()).expect("text");
    for path in ["tile/0/000", "tile/0/001.p/44", "tile/entries/000"] {
        let mut files = log.files.clone();
        files.get_mut(path).expect("file")[20] ^= 1;
        let mut fetch = |path: &str| files.get(path).cloned().ok_or(io::Error::from(io::ErrorKind::NotFound));
        let result = Receipt::prove(2, &checkpoint, &log.note_key(), &mut fetch);
        assert!(matches!(result, Err(ReceiptError::Proof { index: 2, .. })), "{path}: {result:?}");
    }
    let result = Receipt::prove(300, &checkpoint, &log.note_key(), &mut log.fetch());
    assert!(matches!(result, Err(ReceiptError::Tile(TileError::Range { .. }))));
    let changed = checkpoint.replace("300", "301");
    let result = Receipt::prove(2, &changed, &log.note_key(), &mut log.fetch());
    assert!(matches!(result, Err(ReceiptError::Checkpoint(_))));
}

#[test]
fn only_sigstore_entries_become_bundle_entries() {
    let (key, mut log) = (SigningKey::generate().expect("key"), TestLog::of_size(3));
    let leaf = crate::entry::attestation(&envelope(&key), key.public()).expect("small");
    let step = log.append(&[leaf.clone(), leaves(4, 1).remove(0)]);
    let entry = step.receipt(3, leaf.bytes()).to_log_entry().expect("dsse");
    assert_eq!((entry.kind_version.kind.as_str(), entry.kind_version.version.as_str()), ("dsse", "0.0.1"));
    assert_eq!((entry.log_index, entry.inclusion_proof.tree_size, entry.integrated_time), (3, 5, 0));
    assert!(step.receipt(4, b"leaf 4").to_log_entry().is_err());
}
