//! The newest checkpoint that witnesses have cosigned: `log/cosigned`, a signed note with their lines under the log's.
//!
//! It may be older than the published one: publishing never waits for witnesses. Receipts of entries that it reaches
//! are made under it, so that bundles carry the cosignatures to whoever demands them.

use tlog::checkpoint::Checkpoint;
use tlog::tile::Tiles;
use wire::note::Note;
use wire::tlog_witness::AddCheckpoint;

use super::{Log, LogError, Reader, SMALL_MAX};
use crate::durable;

/// The file.
pub(super) const COSIGNED: &str = "cosigned";

impl Reader {
    /// Returns the newest cosigned checkpoint and its text; `None` if no witness was ever asked.
    pub fn cosigned(&self) -> Result<Option<(String, Checkpoint)>, LogError> {
        let path = self.path(COSIGNED);
        match durable::read_optional(&path, SMALL_MAX)? {
            None => Ok(None),
            Some(_) => self.read_checkpoint(COSIGNED).map(Some),
        }
    }

    /// Returns the published checkpoint, with the cosignatures that there are for it.
    pub fn cosigned_checkpoint(&self) -> Result<String, LogError> {
        let published = self.checkpoint();
        let same = |text: &str| Note::parse(text).ok().map(|note| note.body);
        Ok(match self.cosigned()? {
            Some((text, _)) if same(&text) == same(&published) => text,
            _ => published.to_string(),
        })
    }

    /// Returns what a witness that last cosigned the log of `old` entries is asked: to cosign `checkpoint`, one that this
    /// log has published, with the proof that it continues the older one; `None` if the older one has more entries.
    pub fn extends(&self, old: u64, checkpoint: &str) -> Result<Option<AddCheckpoint>, LogError> {
        let size = self.open_checkpoint(checkpoint)?.size;
        if old > size {
            return Ok(None);
        }
        let proof = Tiles::new(size, &mut |path| self.read_tile(path)).consistency_proof(old)?;
        Ok(Some(AddCheckpoint { old, proof, checkpoint: checkpoint.to_owned() }))
    }

    fn open_checkpoint(&self, text: &str) -> Result<Checkpoint, LogError> {
        Checkpoint::open(text, self.note_key())
            .map_err(|source| LogError::Checkpoint { path: self.path(COSIGNED), source })
    }

    /// The checkpoint under which an entry is proven: the newest cosigned one if it reaches the entry.
    pub(super) fn proving_checkpoint(&self, index: u64) -> Result<String, LogError> {
        match self.cosigned()? {
            Some((text, checkpoint)) if checkpoint.size > index => Ok(text),
            _ => Ok(self.checkpoint().to_string()),
        }
    }
}

impl Log {
    /// Keeps a checkpoint of this log with cosignatures, durably; lines of other witnesses for the same checkpoint stay.
    ///
    /// Returns whether it was kept: one that is older than what is kept already is not. One that this log did not sign,
    /// or that is no beginning of what is published, is an error: whoever cosigned it has seen another history. Who the
    /// witnesses are is checked by whoever relies on them.
    pub fn keep_cosigned(&self, text: &str) -> Result<bool, LogError> {
        let path = self.path(COSIGNED);
        let damaged = || LogError::Damaged { path: path.clone(), expected: "a checkpoint of this log" };
        let reader = self.reader();
        let checkpoint = reader.open_checkpoint(text)?;
        // One at a time, and never while an append changes what is published.
        let _state = self.state();
        if checkpoint.size > reader.size() || reader.root_at(checkpoint.size)? != checkpoint.root {
            return Err(damaged());
        }
        let mut note = Note::parse(text).map_err(|_| damaged())?;
        if let Some((kept, before)) = reader.cosigned()? {
            if before.size > checkpoint.size {
                return Ok(false);
            }
            let kept = Note::parse(&kept).map_err(|_| damaged())?;
            if kept.body == note.body {
                let new = |line: &&wire::note::Signature| {
                    !note.signatures.iter().any(|one| one.name == line.name && one.key_id == line.key_id)
                };
                let others: Vec<_> = kept.signatures.iter().filter(new).cloned().collect();
                note.signatures.extend(others);
            }
        }
        self.inner.disk.replace(&path, note.to_string().as_bytes(), 0o644)?;
        Ok(true)
    }
}
