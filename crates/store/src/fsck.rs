//! Looks at a data directory from outside and names every file that is not what it was.
//!
//! Nothing is opened for writing and no cache is asked: every byte is read. Every file has a witness:
//!
//! | file | witness |
//! | --- | --- |
//! | `blobs/…` | its name |
//! | `trees/…` | the tree's manifest, which is a blob |
//! | `log/tile/entries/…` | the leaf hashes, which lead to the root that the checkpoint signs |
//! | `log/tile/…` | computed from the entries |
//! | `ledger.sqlite` | the seal; and its rows, made again from log and blobs |
//! | `ct/tile/…` | as those of `log/` |
//! | `ct/entries/…` | the hash of the leaf in it, which is its name and stands in the tree |
//! | `log/…`, `ct/…`, `VERSION`, keys, … | the seal |
//! | `seal.json` | its own digest |
//!
//! A file that no rule covers is a finding, and so is one that should be there and isn't. Without a seal (after a crash,
//! beside a live server) that is itself a finding, and what only the seal could tell is not known; rows are compared all
//! the same.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sign::trust::Trust;
use wire::digest::Digest;

use crate::blobs::{self, BlobError, Blobs};
use crate::durable::{self, Disk, FileError};
use crate::home::{NAMES, ROOT, data_roots};
use crate::ledger::{LedgerError, blocking};
use crate::seal::{self, Root, Seal, SealError, Seen};
use crate::trees::{self, Trees, TreesError};

mod certificates;
mod log;
mod rows;

/// What to look at.
#[derive(Clone)]
pub struct Target {
    /// The data directory.
    pub data: PathBuf,
    /// Further directories that the seal covers, as in [`crate::home::Options`].
    pub covered: Vec<Root>,
    /// Directory of the newest checkpoints outside; `None` leaves it out.
    pub heads: Option<PathBuf>,
    /// The trust root that the ledger was made with; `None` (it can't be read) leaves out the comparison of rows.
    pub trust: Option<Arc<Trust>>,
    /// Where copies may be made, outside all of the above: a ledger that is in use is copied before it is read.
    pub scratch: PathBuf,
}

/// A file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong.
    pub what: What,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It should be there.
    Missing,
    /// No rule covers it.
    Unlisted,
    /// Its bytes are not those that they should be.
    Changed,
    /// Its type, mode or time is another (in a tree).
    Attributes,
    /// The seal is missing: the directory is in use, or was not closed.
    Unsealed,
    /// The rows of that table are not those that log and blobs give.
    Rows(&'static str),
    /// It was made with another trust root: only `reindex` can bring it in line.
    OtherTrust,
    /// The head outside is newer than the log here, or another: this is an old copy.
    NotTheNewest,
    /// It could not be read.
    Unreadable(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.path.display())?;
        match &self.what {
            What::Missing => f.write_str("is missing"),
            What::Unlisted => f.write_str("does not belong here"),
            What::Changed => f.write_str("has changed"),
            What::Attributes => f.write_str("has another type, mode or time"),
            What::Unsealed => f.write_str("is missing: the directory is in use or was not closed cleanly"),
            What::Rows(table) => write!(f, "has other rows in table `{table}` than log and blobs give"),
            What::OtherTrust => f.write_str("was made with another trust root: run `assay admin reindex`"),
            What::NotTheNewest => f.write_str("is not the newest copy of the log"),
            What::Unreadable(why) => write!(f, "can't be read: {why}"),
        }
    }
}

/// Why the whole could not be looked at. What concerns one file is a [`Finding`].
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// Making the ledger again failed for a reason that is no damage.
    #[error("comparing the ledger's rows")]
    Ledger(#[from] LedgerError),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Looks at everything and returns all findings, sorted by path; none means that nothing has changed.
pub async fn fsck(target: &Target) -> Result<Vec<Finding>, FsckError> {
    let looked = target.clone();
    let mut report = blocking(move || files(&looked)).await?;
    if let (Some(trust), false) = (&target.trust, report.log_or_blobs_damaged()) {
        rows::compare(target, trust, &mut report).await?;
    }
    let mut findings = report.findings;
    findings.sort_unstable();
    findings.dedup();
    Ok(findings)
}

/// What was found so far.
pub(crate) struct Report {
    data: PathBuf,
    sealed: bool,
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, path: impl Into<PathBuf>, what: What) {
        self.findings.push(Finding { path: path.into(), what });
    }

    fn has(&self, path: &Path) -> bool {
        self.findings.iter().any(|finding| finding.path == path)
    }

    /// Rows made from damaged sources would accuse the ledger, which may be the only thing that is right.
    fn log_or_blobs_damaged(&self) -> bool {
        let (log, blobs) = (self.data.join("log"), self.data.join("blobs"));
        self.findings.iter().any(|finding| finding.path.starts_with(&log) || finding.path.starts_with(&blobs))
    }
}

fn files(target: &Target) -> Result<Report, FsckError> {
    let mut report = Report { data: target.data.clone(), sealed: false, findings: Vec::new() };
    let seal_path = target.data.join("seal.json");
    let seal = match Seal::read(&seal_path) {
        Ok(seal) => Some(seal),
        Err(SealError::Missing) => {
            report.add(&seal_path, What::Unsealed);
            None
        }
        Err(SealError::Damaged) => {
            report.add(&seal_path, What::Changed);
            None
        }
        Err(error) => {
            report.add(&seal_path, What::Unreadable(error.to_string()));
            None
        }
    };
    report.sealed = seal.is_some();
    names(&mut report)?;
    check_blobs(seal.as_ref(), &mut report)?;
    check_trees(seal.as_ref(), &mut report)?;
    let mut roots = data_roots(&target.data);
    roots.extend(target.covered.iter().cloned());
    if let Some(seal) = &seal {
        for root in &roots {
            check_sealed(seal, root, &mut report)?;
        }
    }
    log::check(target, "log", &mut report)?;
    certificates::check(target, &mut report)?;
    Ok(report)
}

/// Finds what lies in the data directory and has no business there.
fn names(report: &mut Report) -> Result<(), FsckError> {
    for name in durable::list(&report.data.clone())? {
        let passing = name == "tmp" || name == "reindex.sqlite" || name.starts_with("ledger.sqlite-");
        // What a process at work makes; a sealed directory has none of it.
        if !NAMES.contains(&name.as_str()) || (report.sealed && passing && !is_empty(&report.data.join(&name))) {
            report.add(report.data.join(name), What::Unlisted);
        }
    }
    Ok(())
}

fn is_empty(path: &Path) -> bool {
    path.is_dir() && durable::list(path).is_ok_and(|names| names.is_empty())
}

fn check_blobs(seal: Option<&Seal>, report: &mut Report) -> Result<(), FsckError> {
    let root = report.data.join("blobs");
    let store = Blobs::new(root.clone(), Disk::new(PathBuf::new()));
    let mut found = BTreeSet::new();
    for path in seal::walk(&Root { name: String::new(), path: root.clone(), except: Vec::new() })? {
        let at = root.join(&path);
        let Some(digest) = blob_digest(&path).filter(|_| at.symlink_metadata().is_ok_and(|m| m.is_file())) else {
            report.add(at, What::Unlisted);
            continue;
        };
        found.insert(digest);
        match store.verify(&digest) {
            Ok(_) => {}
            Err(BlobError::Damaged { .. }) => report.add(at, What::Changed),
            Err(error) => report.add(at, What::Unreadable(error.to_string())),
        }
    }
    for digest in seal.iter().flat_map(|seal| &seal.blobs).filter(|digest| !found.contains(digest)) {
        report.add(store.path(digest), What::Missing);
    }
    // Put there after the seal, under a right name: it harms nothing, and it was not there.
    let sealed: Option<BTreeSet<&Digest>> = seal.map(|seal| seal.blobs.iter().collect());
    for digest in found.iter().filter(|digest| sealed.as_ref().is_some_and(|sealed| !sealed.contains(digest))) {
        report.add(store.path(digest), What::Unlisted);
    }
    Ok(())
}

/// Reads `sha256/9f/86d0…` back.
fn blob_digest(path: &str) -> Option<Digest> {
    let (algorithm, hex) = path.split_once('/')?;
    let digest = Digest::from_parts(algorithm, &hex.replacen('/', "", 1)).ok()?;
    (blobs::relative_path(&digest) == Path::new(path)).then_some(digest)
}

fn check_trees(seal: Option<&Seal>, report: &mut Report) -> Result<(), FsckError> {
    let disk = Disk::new(PathBuf::new());
    let blobs = Blobs::new(report.data.join("blobs"), disk.clone());
    let root = report.data.join("trees");
    let store = Trees::new(root.clone(), blobs.clone(), disk);
    let mut found = BTreeSet::new();
    for name in durable::list(&root)? {
        let at = root.join(&name);
        if name != "sha256" || !at.is_dir() {
            report.add(at, What::Unlisted);
            continue;
        }
        for name in durable::list(&at)? {
            match Digest::from_parts("sha256", &name) {
                Ok(digest) if at.join(&name).is_dir() => {
                    found.insert(digest);
                    check_tree(&store, &blobs, &digest, report)?;
                }
                _ => report.add(at.join(name), What::Unlisted),
            }
        }
    }
    for digest in seal.iter().flat_map(|seal| &seal.trees).filter(|digest| !found.contains(digest)) {
        report.add(store.path(digest), What::Missing);
    }
    Ok(())
}

fn check_tree(store: &Trees, blobs: &Blobs, digest: &Digest, report: &mut Report) -> Result<(), FsckError> {
    match store.verify(digest) {
        Ok(differences) => {
            for difference in differences {
                let what = match difference.what {
                    trees::What::Missing => What::Missing,
                    trees::What::Unlisted => What::Unlisted,
                    trees::What::Content => What::Changed,
                    trees::What::Type | trees::What::Mode | trees::What::Time => What::Attributes,
                };
                report.add(store.path(digest).join(difference.path), what);
            }
        }
        // Without its manifest nothing can be said of a tree.
        Err(TreesError::Missing(_)) => report.add(blobs.path(digest), What::Missing),
        Err(TreesError::Manifest(BlobError::Damaged { .. })) => report.add(blobs.path(digest), What::Changed),
        Err(error) => report.add(store.path(digest), What::Unreadable(error.to_string())),
    }
    Ok(())
}

/// Compares the files of a root with the seal.
fn check_sealed(seal: &Seal, root: &Root, report: &mut Report) -> Result<(), FsckError> {
    for change in seal.changes(root)? {
        let what = match (change.now, change.was) {
            // What has no business in the data directory was named already.
            (_, None) if root.name == ROOT && !NAMES.contains(&first_part(&change.name)) => continue,
            (Seen::Missing, _) => What::Missing,
            (Seen::Bytes(_), Some(_)) => What::Changed,
            (_, None) => What::Unlisted,
            (Seen::Unreadable(why), Some(_)) => What::Unreadable(why),
        };
        report.add(change.path, what);
    }
    Ok(())
}

fn first_part(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
