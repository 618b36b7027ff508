//! The log's tiles, computed again from its entries.
//!
//! Entries and leaf hashes are two copies of one thing, and the checkpoint's root decides between them: whichever leads
//! to it is right, and every file of the other copy that differs is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tlog::checkpoint::Checkpoint;
use tlog::merkle::{self, Hash};
use tlog::tile::{BUNDLE_SIZE_MAX, TilePath, WIDTH, parse_bundle, parse_hashes};

use super::{FsckError, Report, Target, What};
use crate::durable::{self, FileError};
use crate::log::{Heads, LogError, Reader};
use crate::seal::{self, Root};

/// The highest level that a log of less than 2⁶⁴ entries has.
const LEVEL_MAX: u8 = 7;

/// The largest checkpoint that is read.
const SMALL_MAX: u64 = 64 << 10;

/// Checks everything of the log in the directory `name`, but what only the seal can tell.
pub(super) fn check(target: &Target, name: &str, report: &mut Report) -> Result<(), FsckError> {
    let directory = target.data.join(name);
    let reader = match Reader::open(&directory) {
        Ok(reader) => Some(reader),
        // With a seal, the file that is to blame has been named already.
        Err(error) => {
            if !report.sealed {
                report.add(blamed(&directory, &error), What::Unreadable(error.to_string()));
            }
            None
        }
    };
    let Some(checkpoint) = checkpoint(&directory, reader.as_ref(), report) else { return Ok(()) };
    let named = report.has(&directory.join("origin")) || report.has(&directory.join("key.pem"));
    if let (Some(reader), Some(heads), false) = (&reader, &target.heads, named) {
        check_heads(&directory, heads, reader, report);
    }
    let files = Files { directory, exact: report.sealed, size: checkpoint.size };
    files.check_tree(&checkpoint, report);
    files.find_unlisted(report)
}

/// Returns which file an error is about.
fn blamed(directory: &Path, error: &LogError) -> PathBuf {
    match error {
        LogError::Damaged { path, .. } | LogError::Checkpoint { path, .. } => path.clone(),
        LogError::File(FileError { path, .. }) => path.clone(),
        _ => directory.to_owned(),
    }
}

/// Returns the checkpoint that tiles are checked against: a file that the seal vouches for needs no signature; without
/// a seal, the log's key decides.
fn checkpoint(directory: &Path, reader: Option<&Reader>, report: &Report) -> Option<Checkpoint> {
    if let (false, Some(reader)) = (report.sealed, reader) {
        return Checkpoint::open(&reader.checkpoint(), reader.note_key()).ok();
    }
    let intact = |name: &&str| !report.has(&directory.join(name));
    let name = ["checkpoint", "head"].into_iter().find(intact)?;
    let text = String::from_utf8(durable::read(&directory.join(name), SMALL_MAX).ok()?).ok()?;
    Checkpoint::parse(&text[..=text.find("\n\n")?]).ok()
}

/// Compares the log with its head outside.
fn check_heads(directory: &Path, heads: &Path, reader: &Reader, report: &mut Report) {
    let path = directory.join("head");
    let text = durable::read(&path, SMALL_MAX).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(head) = text.and_then(|text| Checkpoint::open(&text, reader.note_key()).ok()) else {
        if !report.has(&path) && !report.sealed {
            report.add(path, What::Changed);
        }
        return;
    };
    let heads = Heads::at(heads, reader.origin());
    match heads.read(reader.note_key()) {
        Ok(Some(outside)) if outside.size < head.size || outside == head => {}
        Ok(Some(_)) => report.add(path, What::NotTheNewest),
        Ok(None) => report.add(heads.path(), What::Missing),
        Err(_) => report.add(heads.path(), What::Changed),
    }
}

/// The files of a log of a known size.
struct Files {
    directory: PathBuf,
    /// Sealed: just the files of this size, and no others.
    exact: bool,
    size: u64,
}

/// One of the two copies of the leaves: the roots of full tiles, and the hashes after the last full tile.
#[derive(Default)]
struct Leaves {
    roots: Vec<Hash>,
    edge: Vec<Hash>,
    broken: bool,
}

impl Leaves {
    fn push(&mut self, hashes: Option<&[Hash]>) {
        match hashes {
            None => {
                self.broken = true;
                self.roots.push([0; 32]);
            }
            Some(hashes) if hashes.len() as u64 == WIDTH => self.roots.push(merkle::root(hashes)),
            Some(hashes) => self.edge = hashes.to_vec(),
        }
    }

    fn root(&self, size: u64) -> Option<Hash> {
        let mut node = |level: u32, index: u64| {
            // Subtrees of less than a tile lie behind the last full one.
            let (row, level, first) = match level.checked_sub(WIDTH.ilog2()) {
                Some(level) => (&self.roots, level, index << level),
                None => (&self.edge, level, (index << level) % WIDTH),
            };
            let range = first as usize..first as usize + (1 << level);
            row.get(range).map(merkle::root).ok_or(())
        };
        if self.broken { None } else { merkle::root_at(size, &mut node).ok() }
    }
}

impl Files {
    fn check_tree(&self, checkpoint: &Checkpoint, report: &mut Report) {
        let (mut entries, mut leaves) = (Leaves::default(), Leaves::default());
        let mut differing = Vec::new();
        for index in 0..self.size.div_ceil(WIDTH) {
            let (Some(bundle), Some(tile)) =
                (TilePath::entries(index, self.size), TilePath::hashes(0, index, self.size))
            else {
                continue;
            };
            let from_bundle = self.read(bundle).map(|bytes| bundle_hashes(bundle, &bytes));
            let from_tile = self.read(tile).map(|bytes| parse_hashes(&bytes, tile.width()));
            let (entry_hashes, leaf_hashes) = (flat(&from_bundle), flat(&from_tile));
            entries.push(entry_hashes);
            leaves.push(leaf_hashes);
            if entry_hashes.is_none() || entry_hashes != leaf_hashes {
                differing.push((bundle, what(&from_bundle), tile, what(&from_tile)));
            }
        }
        let entries_right = entries.root(self.size) == Some(checkpoint.root);
        let leaves_right = leaves.root(self.size) == Some(checkpoint.root);
        for (bundle, bundle_is, tile, tile_is) in &differing {
            if !entries_right {
                report.add(self.path(*bundle), bundle_is.clone());
            }
            if !leaves_right {
                report.add(self.path(*tile), tile_is.clone());
            }
        }
        match (entries_right, leaves_right) {
            (true, _) => self.check_levels(entries.roots, report),
            (false, true) => self.check_levels(leaves.roots, report),
            // Both copies agree and the checkpoint is another: it is the checkpoint that changed.
            (false, false) if differing.is_empty() => report.add(self.directory.join("checkpoint"), What::Changed),
            (false, false) => {}
        }
    }

    /// Compares the tiles above the leaves, level by level.
    fn check_levels(&self, mut hashes: Vec<Hash>, report: &mut Report) {
        for level in 1..=LEVEL_MAX {
            let chunks = hashes.chunks(WIDTH as usize);
            for (tile, expected) in (0..).map_while(|index| TilePath::hashes(level, index, self.size)).zip(chunks) {
                match self.read(tile) {
                    None => report.add(self.path(tile), What::Missing),
                    Some(bytes) if bytes != expected.concat() => report.add(self.path(tile), What::Changed),
                    Some(_) => {}
                }
            }
            hashes = hashes.chunks_exact(WIDTH as usize).map(merkle::root).collect();
        }
    }

    /// Without a seal a partial tile may have been superseded by a wider one.
    fn read(&self, tile: TilePath) -> Option<Vec<u8>> {
        match self.exact {
            true => durable::read(&self.path(tile), BUNDLE_SIZE_MAX as u64).ok(),
            false => crate::log::read_tile(&self.directory, &tile.to_string()).ok(),
        }
    }

    fn path(&self, tile: TilePath) -> PathBuf {
        self.directory.join(tile.to_string())
    }

    fn find_unlisted(&self, report: &mut Report) -> Result<(), FsckError> {
        let listed: BTreeSet<String> = TilePath::all(self.size).map(|path| path.to_string()).collect();
        let except = durable::list(&self.directory)?.into_iter().filter(|name| name != "tile").collect();
        let root = Root { name: String::new(), path: self.directory.clone(), except };
        for path in seal::walk(&root)? {
            // Beside a writer, or after a crash, there are tiles of another size.
            let passing = !self.exact && path.parse::<TilePath>().is_ok();
            if !listed.contains(&path) && !passing {
                report.add(self.directory.join(path), What::Unlisted);
            }
        }
        Ok(())
    }
}

fn bundle_hashes(path: TilePath, bytes: &[u8]) -> Option<Vec<Hash>> {
    let entries = parse_bundle(bytes, path.width()).ok()?;
    Some(entries.iter().map(|entry| merkle::leaf_hash(entry)).collect())
}

fn flat(read: &Option<Option<Vec<Hash>>>) -> Option<&[Hash]> {
    read.as_ref()?.as_deref()
}

/// What is wrong with a file that was read, or not.
fn what(read: &Option<Option<Vec<Hash>>>) -> What {
    if read.is_some() { What::Changed } else { What::Missing }
}
