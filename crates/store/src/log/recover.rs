//! Taking over the entries that another copy of the same log has and this one lost.
//!
//! ```text
//! their checkpoint, signed by this log's key → all entries lead to its root, ours are its beginning    nothing written
//! envelopes of the new entries → entry bundles → hash tiles                                            nothing counts
//! head → as an append from there on
//! ```
//!
//! So a restored back-up becomes the newest state again, if anybody has it: a mirror, a later copy, another server. No
//! second history is made, for every entry is one that this log has signed before. After a crash the same call can be
//! made again.

use std::collections::BTreeMap;

use tlog::Head;
use tlog::checkpoint::{Checkpoint, CheckpointError};
use tlog::index::IndexEntry;
use tlog::tile::{BUNDLE_SIZE_MAX, TilePath, WIDTH, parse_bundle};
use wire::digest::Digest;

use super::read::cut;
use super::{HeadRefused, Log, LogError, State};
use crate::durable::{self, Batch};

/// How many bundles are written by one batch, which holds each open.
const BUNDLES_MAX: usize = 128;

/// Another copy of the log. Nothing that it answers is trusted.
pub trait Newer {
    /// Its newest checkpoint: a signed note.
    fn checkpoint(&mut self) -> Result<String, SourceError>;

    /// The bytes of a tile or an entry bundle by its C2SP path, which is one of its newest size.
    fn tile(&mut self, path: &str) -> Result<Vec<u8>, SourceError>;

    /// The bytes of a blob.
    fn blob(&mut self, digest: &Digest) -> Result<Vec<u8>, SourceError>;
}

/// Another copy of the log could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// What was taken over.
#[derive(Debug)]
pub struct Recovered {
    /// Entries that were here before.
    pub before: u64,
    /// Entries that are here now.
    pub size: u64,
    /// Why nothing may be signed all the same: the head outside is newer than the other copy, too.
    pub refused: Option<HeadRefused>,
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The other copy can't be read.
    #[error("reading the other copy of the log")]
    Source(#[from] SourceError),
    /// Its checkpoint is none of this log.
    #[error("the checkpoint of the other copy is none that this log has signed")]
    Checkpoint(#[source] CheckpointError),
    /// It has fewer entries.
    #[error("the other copy has {there} entries, and here are {here}: there is nothing to take over")]
    Older {
        /// Entries there.
        there: u64,
        /// Entries here.
        here: u64,
    },
    /// Its entries are not those of its checkpoint, or do not continue those here.
    #[error(
        "the entries here and those of the other copy do not lead to its checkpoint of size {size}: it is damaged, or two \
         copies of this log were added to"
    )]
    Diverged {
        /// Size of its checkpoint.
        size: u64,
        /// Where it was noticed.
        #[source]
        source: Cause,
    },
    /// It answered differently when asked again.
    #[error("the other copy has changed `{0}` meanwhile")]
    Changed(String),
    /// An index entry that is none.
    #[error("entry {index} of the other copy is damaged")]
    Index {
        /// Which entry.
        index: u64,
    },
    /// An envelope could not be kept.
    #[error("keeping envelope {digest} of the other copy")]
    Envelope {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The log here.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Who makes an envelope durable as a blob.
pub type Keep<'a> = &'a mut dyn FnMut(&Digest, &[u8]) -> Result<(), Cause>;

/// Why that failed, or where something was noticed.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Log {
    /// Takes over what `newer` has more than this directory; `keep` makes an envelope durable as a blob. The caller holds
    /// the lock of the data directory.
    pub fn recover(&self, newer: &mut dyn Newer, keep: Keep<'_>) -> Result<Recovered, RecoverError> {
        let mut state = self.state();
        // What was begun here is finished first; that the head outside is newer is why we are asked.
        match self.load(&mut state) {
            Ok(_) | Err(LogError::Refused(_)) => *state = State::Unknown,
            Err(error) => return Err(error.into()),
        }
        let (_, ours) = self.reader().read_checkpoint("head")?;
        let text = newer.checkpoint()?;
        let theirs = Checkpoint::open(&text, self.reader().note_key()).map_err(RecoverError::Checkpoint)?;
        if theirs.size < ours.size || (theirs.size == ours.size && theirs.root == ours.root) {
            return Err(RecoverError::Older { there: theirs.size, here: ours.size });
        }
        let mut bundles = Bundles { log: self, newer, ours: ours.size, theirs: theirs.size, seen: BTreeMap::new() };
        bundles.check(&theirs)?;
        bundles.keep_envelopes(keep)?;
        bundles.write(&theirs)?;
        self.inner.disk.replace(&self.path("head"), text.as_bytes(), 0o644).map_err(LogError::from)?;
        let refused = match self.load(&mut state) {
            Ok(head) => {
                *state = State::Ready(head);
                None
            }
            Err(LogError::Refused(refused)) => Some(refused),
            Err(error) => return Err(error.into()),
        };
        Ok(Recovered { before: ours.size, size: theirs.size, refused })
    }
}

/// The entries of the log as it will be: ours as far as they go, then theirs.
struct Bundles<'a> {
    log: &'a Log,
    newer: &'a mut dyn Newer,
    ours: u64,
    theirs: u64,
    /// Digests of the bundles that were checked, by index: what is written is what was checked.
    seen: BTreeMap<u64, Digest>,
}

impl Bundles<'_> {
    /// Index of the first bundle that is not ours whole.
    fn first(&self) -> u64 {
        self.ours / WIDTH
    }

    fn count(&self) -> u64 {
        self.theirs.div_ceil(WIDTH)
    }

    fn path(&self, index: u64) -> TilePath {
        TilePath::entries(index, self.theirs).expect("below the size")
    }

    /// Computes their root from our entries and theirs, and checks that the bundle in which ours end begins with ours.
    fn check(&mut self, theirs: &Checkpoint) -> Result<(), RecoverError> {
        let diverged = |source: Cause| RecoverError::Diverged { size: theirs.size, source };
        if !self.ours.is_multiple_of(WIDTH) {
            let (first, width) = (self.first(), self.ours % WIDTH);
            let wanted = TilePath::entries(first, self.ours).expect("below the size");
            let bytes = self.fetch(first)?;
            let own = self.log.reader().read_tile(&wanted.to_string()).map_err(LogError::from)?;
            if cut(&bytes, wanted, self.path(first).width()).as_deref() != Some(&own) {
                let what = format!("entries {} to {} differ", first * WIDTH, first * WIDTH + width - 1);
                return Err(diverged(what.into()));
            }
        }
        let derived = Head::derive(theirs, &mut |path| self.entries(path), &mut |_, _| Ok(()));
        derived.map(drop).map_err(|error| diverged(error.into()))
    }

    /// Reads an entry bundle by its path: of ours, what is ours whole.
    fn entries(&mut self, path: &str) -> Result<Vec<u8>, SourceError> {
        let wanted: TilePath = path.parse().map_err(|_| SourceError(format!("`{path}` is no tile")))?;
        if wanted.index() < self.first() {
            return self.log.reader().read_tile(path).map_err(|error| SourceError(error.to_string()));
        }
        self.fetch(wanted.index())
    }

    /// Reads an entry bundle of theirs; the second time it must be what it was.
    fn fetch(&mut self, index: u64) -> Result<Vec<u8>, SourceError> {
        let path = self.path(index).to_string();
        let bytes = self.newer.tile(&path)?;
        if bytes.len() > BUNDLE_SIZE_MAX {
            return Err(SourceError(format!("`{path}` is larger than {BUNDLE_SIZE_MAX} bytes")));
        }
        let digest = Digest::of(&bytes);
        match self.seen.insert(index, digest) {
            Some(before) if before != digest => Err(SourceError(format!("`{path}` has changed meanwhile"))),
            _ => Ok(bytes),
        }
    }

    fn keep_envelopes(&mut self, keep: Keep<'_>) -> Result<(), RecoverError> {
        for bundle in self.first()..self.count() {
            let bytes = self.fetch(bundle)?;
            let entries = parse_bundle(&bytes, self.path(bundle).width());
            let entries = entries.map_err(|_| RecoverError::Index { index: bundle * WIDTH })?;
            for (index, entry) in (bundle * WIDTH..).zip(&entries).filter(|(index, _)| *index >= self.ours) {
                if !IndexEntry::is_one(entry) {
                    continue;
                }
                // An entry that came without what was signed has no envelope.
                let Some(digest) = IndexEntry::parse(entry).map_err(|_| RecoverError::Index { index })?.envelope else {
                    continue;
                };
                let blob = self.newer.blob(&digest)?;
                keep(&digest, &blob).map_err(|source| RecoverError::Envelope { digest, source })?;
            }
        }
        Ok(())
    }

    /// Writes entry bundles and hash tiles that are not here.
    fn write(&mut self, theirs: &Checkpoint) -> Result<(), RecoverError> {
        let disk = &self.log.inner.disk;
        let mut batch = Batch::new(disk);
        for (position, bundle) in (self.first()..self.count()).enumerate() {
            let path = self.log.path(&self.path(bundle).to_string());
            batch.write(path, &self.fetch(bundle)?, 0o444).map_err(LogError::from)?;
            if position % BUNDLES_MAX == BUNDLES_MAX - 1 {
                std::mem::replace(&mut batch, Batch::new(disk)).commit().map_err(LogError::from)?;
            }
        }
        batch.commit().map_err(LogError::from)?;
        let log = self.log;
        let mut batch = Batch::new(disk);
        let mut count = 0;
        // From here on what is read is here.
        let derived = Head::derive(theirs, &mut |path| log.reader().read_tile(path), &mut |tile, bytes| {
            let path = log.path(&tile.to_string());
            if durable::read_optional(&path, BUNDLE_SIZE_MAX as u64)?.as_deref() != Some(bytes) {
                batch.write(path, bytes, 0o444)?;
                count += 1;
                if count % BUNDLES_MAX == 0 {
                    std::mem::replace(&mut batch, Batch::new(disk)).commit()?;
                }
            }
            Ok(())
        });
        derived.map_err(LogError::from)?;
        batch.commit().map_err(LogError::from)?;
        self.remove_superseded()
    }

    /// Removes the partial tiles in which ours ended. While our head counts, they are cut out of what has just been written.
    fn remove_superseded(&self) -> Result<(), RecoverError> {
        for narrow in TilePath::edge(self.ours) {
            let wide = match narrow.level() {
                Some(level) => TilePath::hashes(level, narrow.index(), self.theirs),
                None => TilePath::entries(narrow.index(), self.theirs),
            };
            let directory = self.log.path(&narrow.partial_directory());
            self.log.remove_superseded(wide.expect("a longer log has it"))?;
            if directory.is_dir() {
                self.log.inner.disk.sync_directory(&directory).map_err(LogError::from)?;
            }
        }
        Ok(())
    }
}
