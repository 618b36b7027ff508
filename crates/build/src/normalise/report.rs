//! What was changed, in which member, from what to what.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::Kind;

/// How many changes a [`Report`] lists one by one; all are counted.
pub const LISTED_MAX: usize = 10_000;

/// One field that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The member's path in the archive, what is no UTF-8 replaced; empty for the archive itself.
    pub path: String,
    /// The field, as the archive's format calls it: `mtime`, `uname`, `extra 0x5455`, `order`.
    pub field: &'static str,
    /// What stood there.
    pub from: String,
    /// What stands there now; empty when the field is gone.
    pub to: String,
}

/// All changes, counted, and the first [`LISTED_MAX`] of them listed in the order of the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How many of each field.
    pub by_field: BTreeMap<&'static str, u64>,
    /// The first ones.
    pub listed: Vec<Change>,
}

impl Changes {
    /// Returns how many there are.
    pub fn total(&self) -> u64 {
        self.by_field.values().sum()
    }

    /// Whether the output is the input, byte for byte.
    pub fn is_empty(&self) -> bool {
        self.by_field.is_empty()
    }
}

/// What normalising did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// As what the archive was read.
    pub kind: Kind,
    /// What was changed.
    pub changes: Changes,
    /// What was left as it is although the format's rule would change it, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// A report without changes.
    pub fn empty(kind: Kind) -> Report {
        Report { kind, changes: Changes::default(), notes: Vec::new() }
    }

    /// Notes a change.
    pub(super) fn change(&mut self, path: &str, field: &'static str, from: impl Display, to: impl Display) {
        *self.changes.by_field.entry(field).or_default() += 1;
        if self.changes.listed.len() < LISTED_MAX {
            let change = Change { path: path.to_owned(), field, from: from.to_string(), to: to.to_string() };
            self.changes.listed.push(change);
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Takes over what was done to the same bytes by another rule.
    pub(super) fn merge(&mut self, other: Report) {
        for (field, count) in other.changes.by_field {
            *self.changes.by_field.entry(field).or_default() += count;
        }
        let room = LISTED_MAX - self.changes.listed.len();
        self.changes.listed.extend(other.changes.listed.into_iter().take(room));
        self.notes.extend(other.notes);
    }

    /// Takes over what was done to the member `outer`.
    pub(super) fn absorb(&mut self, outer: &str, mut inner: Report) {
        for change in &mut inner.changes.listed {
            change.path = if change.path.is_empty() { outer.to_owned() } else { format!("{outer}/{}", change.path) };
        }
        inner.notes.iter_mut().for_each(|note| note.insert_str(0, &format!("{outer}: ")));
        self.merge(inner);
    }
}
