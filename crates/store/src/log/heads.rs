//! The head of the log outside its directory.
//!
//! A data directory that was copied or set back to an old state would sign a second history of the same log. So the
//! newest checkpoint is also kept where the copy isn't, in a file named by the log's origin, and moves only by
//! compare-and-swap under a lock. It cannot help against an old state of the whole machine: only a witness does.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sign::note::NoteKey;
use tlog::checkpoint::Checkpoint;
use tlog::merkle::Hash;
use wire::digest::Digest;

use super::{LogError, SMALL_MAX};
use crate::durable::{self, Batch, Disk, FileError, Operation};

/// Where the head of one log is kept outside.
pub struct Heads {
    path: PathBuf,
    disk: Disk,
}

/// Why nothing is signed. The hint is part of the message: this is a state that only an administrator can judge.
#[derive(Debug, thiserror::Error)]
pub enum HeadRefused {
    /// There is none.
    #[error(
        "the log's head outside its directory, `{}`, is missing: if this is the newest copy of the log, \
         run `assay admin log adopt`", path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It has more entries than there are here.
    #[error(
        "the log's head outside its directory, `{}`, has {outside} entries, and here are only {here}: this is an old \
         copy of the log; if the newer one is lost, run `assay admin log adopt`", path.display()
    )]
    Newer {
        /// Where it is.
        path: PathBuf,
        /// Entries there.
        outside: u64,
        /// Entries here.
        here: u64,
    },
    /// It is of another tree.
    #[error(
        "the log's head outside its directory, `{}`, has other entries than the log here: two copies of this log were \
         added to; keep the other one, or run `assay admin log adopt`", path.display()
    )]
    Diverged {
        /// Where it is.
        path: PathBuf,
    },
    /// It is no checkpoint of this log.
    #[error(
        "the log's head outside its directory, `{}`, is no checkpoint of this log: if this is the newest copy of the \
         log, run `assay admin log adopt`", path.display()
    )]
    Damaged {
        /// Where it is.
        path: PathBuf,
    },
}

/// The head outside while nobody else can move it.
pub(super) struct Held<'a> {
    heads: &'a Heads,
    _lock: File,
}

impl Heads {
    /// The head of the log called `origin` in the directory `heads`.
    pub fn new(heads: &Path, origin: &str, disk: &Disk) -> Heads {
        let name = Digest::of(origin.as_bytes()).hex();
        let scratch = heads.join(format!("{name}.tmp"));
        Heads { path: heads.join(name), disk: disk.elsewhere(scratch) }
    }

    /// The same, only to be read.
    pub fn at(heads: &Path, origin: &str) -> Heads {
        Heads::new(heads, origin, &Disk::new(PathBuf::new()))
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the head whatever was there.
    pub(super) fn adopt(&self, checkpoint: &str) -> Result<(), FileError> {
        self.disk.make_directories(durable::parent(&self.path))?;
        self.hold()?.replace(checkpoint)
    }

    /// Waits until nobody else is moving the head, and removes what an interrupted move left.
    pub(super) fn hold(&self) -> Result<Held<'_>, FileError> {
        self.disk.make_directories(durable::parent(&self.path))?;
        let path = self.path.with_extension("lock");
        let wrap = |error| FileError::new(Operation::Lock, &path, error);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(wrap)?;
        lock.lock().map_err(wrap)?;
        Ok(Held { heads: self, _lock: lock })
    }

    /// Reads the head without holding it; `None` if it is missing.
    pub fn read(&self, log: &NoteKey) -> Result<Option<Checkpoint>, LogError> {
        let Some(bytes) = durable::read_optional(&self.path, SMALL_MAX)? else { return Ok(None) };
        let text = String::from_utf8(bytes).ok();
        match text.and_then(|text| Checkpoint::open(&text, log).ok()) {
            Some(checkpoint) => Ok(Some(checkpoint)),
            None => Err(HeadRefused::Damaged { path: self.path.clone() }.into()),
        }
    }
}

impl Held<'_> {
    /// Checks that the head is `ours` before it is moved.
    pub(super) fn expect(&self, ours: &Checkpoint, log: &NoteKey) -> Result<(), LogError> {
        let path = self.heads.path.clone();
        match self.heads.read(log)? {
            None => Err(HeadRefused::Missing { path }.into()),
            Some(outside) if outside == *ours => Ok(()),
            Some(outside) if outside.size > ours.size => {
                Err(HeadRefused::Newer { path, outside: outside.size, here: ours.size }.into())
            }
            Some(_) => Err(HeadRefused::Diverged { path }.into()),
        }
    }

    /// Moves an older head that ours continues on to ours; `text` is the signed form of `ours`.
    pub(super) fn advance(
        &self,
        text: &str,
        ours: &Checkpoint,
        log: &NoteKey,
        root_at: &mut dyn FnMut(u64) -> Result<Hash, LogError>,
    ) -> Result<(), LogError> {
        match self.heads.read(log)? {
            Some(outside) if outside.size < ours.size => {
                if root_at(outside.size)? != outside.root {
                    return Err(HeadRefused::Diverged { path: self.heads.path.clone() }.into());
                }
                Ok(self.replace(text)?)
            }
            _ => self.expect(ours, log),
        }
    }

    /// Writes a new head without moving it yet.
    pub(super) fn write(&self, checkpoint: &str) -> Result<Batch, FileError> {
        self.heads.disk.empty_scratch()?;
        let mut batch = Batch::new(&self.heads.disk);
        batch.write(self.heads.path.clone(), checkpoint.as_bytes(), 0o600)?;
        Ok(batch)
    }

    /// Replaces the head.
    pub(super) fn replace(&self, checkpoint: &str) -> Result<(), FileError> {
        self.write(checkpoint)?.commit()
    }
}
