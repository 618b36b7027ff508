//! What the log has and the ledger has not read yet: entries by hash, of this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tlog::merkle::Hash;

/// How many entries the ledger may be behind before who logs more waits for it: 64 bytes each are held in memory.
const BEHIND_MAX: usize = 100_000;

/// Entries that the ledger may not have read. Clones share them.
#[derive(Clone)]
pub(super) struct Ahead {
    inner: Arc<Mutex<Entries>>,
}

struct Entries {
    indexes: BTreeMap<Hash, u64>,
    /// Positions of the same entries, to forget them in the log's order.
    leaves: BTreeMap<u64, Hash>,
    /// Each leaf before that is in the ledger or in here; another size of the log means that others were added.
    covered: u64,
    /// Whether a task has the ledger follow.
    following: bool,
}

/// The right to have the ledger follow; given back when dropped.
pub(super) struct Turn {
    ahead: Ahead,
    over: bool,
}

impl Ahead {
    /// Of a ledger that has read all of a log of `size` leaves.
    pub(super) fn new(size: u64) -> Ahead {
        let (indexes, leaves) = (BTreeMap::new(), BTreeMap::new());
        Ahead { inner: Arc::new(Mutex::new(Entries { indexes, leaves, covered: size, following: false })) }
    }

    /// Whether each leaf of a log of `size` leaves is in the ledger or in here, and there is room for more.
    pub(super) fn covers(&self, size: u64) -> bool {
        let entries = self.entries();
        entries.covered == size && entries.indexes.len() < BEHIND_MAX
    }

    /// Begins again with a ledger that has read so much.
    pub(super) fn restart(&self, read: u64) {
        let mut entries = self.entries();
        entries.indexes.clear();
        entries.leaves.clear();
        entries.covered = read;
    }

    /// Returns which of some leaves are in here, and where they stand.
    pub(super) fn indexes_of(&self, leaves: &[Hash]) -> BTreeMap<Hash, u64> {
        let entries = self.entries();
        leaves.iter().filter_map(|leaf| Some((*leaf, *entries.indexes.get(leaf)?))).collect()
    }

    /// Takes entries that a commit has added; the log has `size` leaves now.
    pub(super) fn extend(&self, logged: impl Iterator<Item = (Hash, u64)>, size: u64) {
        let mut entries = self.entries();
        for (leaf, index) in logged {
            entries.indexes.insert(leaf, index);
            entries.leaves.insert(index, leaf);
        }
        entries.covered = size;
    }

    /// Forgets what the ledger has read.
    pub(super) fn forget(&self, read: u64) {
        let mut entries = self.entries();
        let left = entries.leaves.split_off(&read);
        for leaf in std::mem::replace(&mut entries.leaves, left).values() {
            entries.indexes.remove(leaf);
        }
    }

    /// Takes the right to have the ledger follow, unless somebody has it.
    pub(super) fn begin(&self) -> Option<Turn> {
        let before = std::mem::replace(&mut self.entries().following, true);
        (!before).then(|| Turn { ahead: self.clone(), over: false })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Forgets what the ledger has read; returns whether that was all. Then the right is given back in the same moment, so
    /// that what is added right afterwards finds nobody at it.
    pub(super) fn is_over(&mut self, read: u64) -> bool {
        self.ahead.forget(read);
        let mut entries = self.ahead.entries();
        self.over = entries.indexes.is_empty();
        entries.following = !self.over;
        self.over
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.over {
            self.ahead.entries().following = false;
        }
    }
}
