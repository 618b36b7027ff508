//! The part of [`super::fsck`] that looks at the log of certificates: its tree, and the file beside each leaf.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tlog::merkle;

use super::{FsckError, Report, Target, What, log};
use crate::certificates::{DIRECTORY, ENTRIES, ENTRY_SIZE_MAX, decode, entry_path};
use crate::durable;
use crate::log::Reader;
use crate::seal::{self, Root};

/// Checks everything below `ct/` but what only the seal can tell; a directory that never issued has none.
pub(super) fn check(target: &Target, report: &mut Report) -> Result<(), FsckError> {
    let directory = target.data.join(DIRECTORY);
    if !directory.exists() {
        return Ok(());
    }
    log::check(target, DIRECTORY, report)?;
    let mut found = BTreeSet::new();
    let entries = directory.join(ENTRIES);
    for name in seal::walk(&Root { name: String::new(), path: entries.clone(), except: Vec::new() })? {
        let path = entries.join(&name);
        let Ok(bytes) = durable::read(&path, ENTRY_SIZE_MAX) else {
            report.add(path, What::Unlisted);
            continue;
        };
        match decode(&bytes).map(|entry| entry_path(&directory, &merkle::leaf_hash(&entry.leaf))) {
            Some(named) if named == path => drop(found.insert(path)),
            // Where its name has the form of one, it is its bytes that are wrong.
            _ if name.len() == 65 && name.as_bytes()[2] == b'/' => report.add(path, What::Changed),
            _ => report.add(path, What::Unlisted),
        }
    }
    // What cannot be read, or is not what was logged, was named already: it would accuse the files beside it.
    let tiles = directory.join("tile");
    if report.findings.iter().any(|finding| finding.path.starts_with(&tiles)) {
        return Ok(());
    }
    let Ok(reader) = Reader::open(&directory) else { return Ok(()) };
    check_leaves(&reader, &directory, &found, report);
    Ok(())
}

/// Each leaf has its file, which states its position and holds its precertificate.
fn check_leaves(reader: &Reader, directory: &Path, found: &BTreeSet<PathBuf>, report: &mut Report) {
    let mut first = 0;
    while first < reader.size() {
        let Ok(leaves) = reader.leaves(first) else { return };
        if leaves.is_empty() {
            return;
        }
        for (index, leaf) in (first..).zip(&leaves) {
            let path = entry_path(directory, &merkle::leaf_hash(leaf));
            let read = found.get(&path).and_then(|path| durable::read(path, ENTRY_SIZE_MAX).ok());
            match read.as_deref().and_then(decode) {
                None if report.has(&path) => {}
                None => report.add(path, What::Missing),
                Some(entry) => {
                    let certified = sign::sct::read_entry(leaf).map(|(tbs, _)| tbs);
                    let stated = sign::certificate::precertified(&entry.precertificate);
                    if entry.index != index || certified.is_none() || certified != stated.as_deref() {
                        report.add(path, What::Changed);
                    }
                }
            }
        }
        first += leaves.len() as u64;
    }
}
