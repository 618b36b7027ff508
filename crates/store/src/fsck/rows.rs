//! The ledger's rows, made again from log and blobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sign::trust::Trust;

use super::{FsckError, Report, Target, What};
use crate::blobs::{BlobError, Blobs};
use crate::durable::{self, Disk, FileError, Operation};
use crate::ledger::{self, Ledger, LedgerError, PrepareError, Sources, blocking};
use crate::log::Reader;

/// How often a ledger in use is copied until two copies in a row are the same.
const COPIES_MAX: usize = 5;

/// Compares every derived table with one that is made now.
pub(super) async fn compare(target: &Target, trust: &Arc<Trust>, report: &mut Report) -> Result<(), FsckError> {
    let path = target.data.join("ledger.sqlite");
    if report.has(&path) {
        return Ok(());
    }
    if !path.exists() {
        report.add(path, What::Missing);
        return Ok(());
    }
    let copy = match report.sealed {
        true => None,
        false => {
            let (data, scratch) = (target.data.clone(), target.scratch.clone());
            Some(blocking(move || copy(&data, &scratch)).await?)
        }
    };
    let read = ledger::read_file(copy.as_ref().map_or(path.as_path(), |copy| &copy.0), copy.is_none()).await;
    let contents = match read {
        Ok(contents) => contents,
        Err(error) => {
            report.add(path, What::Unreadable(error.to_string()));
            return Ok(());
        }
    };
    if contents.trust != ledger::fingerprint(trust) {
        // With a seal, either nothing changed, or the trust root's own file was named.
        if !report.sealed {
            report.add(path, What::OtherTrust);
        }
        return Ok(());
    }
    let Ok(log) = Reader::open(&target.data.join("log")) else { return Ok(()) };
    let blobs = Blobs::new(target.data.join("blobs"), Disk::new(PathBuf::new()));
    let sources = Sources { log, blobs, trust: Arc::clone(trust) };
    let expected = match Ledger::in_memory(&sources, contents.size).await {
        Ok(expected) => expected,
        // Only the log knows of an envelope whose blob is gone, where no seal tells.
        Err(LedgerError::Envelope(PrepareError::Blob { source: BlobError::Missing(digest), .. })) => {
            report.add(sources.blobs.path(&digest), What::Missing);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    for (expected, found) in expected.dump().await?.iter().zip(&contents.tables) {
        if expected != found {
            report.add(&path, What::Rows(expected.table));
        }
    }
    Ok(expected.close().await?)
}

/// A copy of a database that somebody may be writing to; removed when dropped.
struct Copied(PathBuf);

impl Drop for Copied {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(with_suffix(&self.0, suffix)));
        }
    }
}

/// Copies the ledger and its log of writes until both stayed the same while they were copied.
fn copy(data: &Path, scratch: &Path) -> Result<Copied, FileError> {
    std::fs::create_dir_all(scratch).map_err(|error| FileError::new(Operation::MakeDirectory, scratch, error))?;
    let copy = Copied(scratch.join(format!("fsck-{}.sqlite", std::process::id())));
    let from = data.join("ledger.sqlite");
    let mut last = None;
    for _ in 0..COPIES_MAX {
        let mut both = Vec::new();
        for suffix in ["", "-wal"] {
            let bytes = durable::read_optional(&with_suffix(&from, suffix), u64::MAX)?;
            let to = with_suffix(&copy.0, suffix);
            if let Some(bytes) = &bytes {
                std::fs::write(&to, bytes).map_err(|error| FileError::new(Operation::Write, &to, error))?;
            }
            both.push(bytes.map(|bytes| wire::digest::Digest::of(&bytes)));
        }
        if last.as_ref() == Some(&both) {
            break;
        }
        last = Some(both);
    }
    Ok(copy)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
