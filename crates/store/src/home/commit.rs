//! Group commit: calls that come at the same time share one commit of the log.
//!
//! ```text
//! call ─ signature checked, entry made ─┐
//! call ─ …                              ├─ waiting ─ blobs, leaves, one checkpoint ─ ledger ─ answers
//! call ─ …                              ┘
//! ```
//!
//! What takes a processor is done by each caller before he waits; a commit does what takes the disk. The ledger follows by
//! its cursor: who has logged a statement waits for it, who has logged an entry without payload doesn't. What it has not
//! read yet is known to [`Ahead`], so that the same entry has one place all the same.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use sign::trust::Trust;
use tlog::merkle::Hash;
use tlog::proposal::{Content, Proposal};
use tlog::{Leaf, Receipt, entry};
use wire::digest::Digest;
use wire::dsse::Envelope;
use wire::timestamp::Timestamp;

use super::{Home, HomeError};
use crate::durable::Batch;
use crate::ledger::blocking;
use crate::log::{About, LogError, NewEntry, STATEMENTS_MAX};

/// A call that waits for the next commit.
pub(super) struct Waiting {
    entries: Vec<Prepared>,
    done: Sender,
}

/// Where an entry stands that was to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is in the log now.
    New(Box<Receipt>),
    /// The same entry was in the log before, or came earlier in the same call: its position.
    Known(u64),
}

pub(super) type Answer = Result<Vec<Placed>, HomeError>;

type Sender = tokio::sync::oneshot::Sender<Answer>;

impl Home {
    pub(super) fn check_count(&self, entries: usize) -> Result<(), HomeError> {
        if self.lock().is_none() {
            return Err(self.closed());
        }
        match entries > STATEMENTS_MAX {
            true => Err(LogError::TooMany(entries).into()),
            false => Ok(()),
        }
    }

    /// Hands entries to the next commit and waits for it.
    pub(super) async fn place(&self, entries: Vec<Prepared>) -> Answer {
        let (done, outcome) = tokio::sync::oneshot::channel();
        self.waiting().push(Waiting { entries, done });
        let home = self.clone();
        // In a task of its own, so that a caller who goes away doesn't take along those who wait for his commit.
        drop(tokio::spawn(home.commit_waiting()));
        outcome.await.unwrap_or(Err(HomeError::Together(None)))
    }

    /// Commits what waits. Who finds nothing was taken along by somebody else; since each takes something if there is
    /// anything, and each call starts one of these, nobody is left waiting.
    async fn commit_waiting(self) {
        let committing = self.inner.committing.lock().await;
        let batch = take_batch(&mut self.waiting());
        let answers = self.commit(batch).await;
        drop(committing);
        // Who has his answer may give up the directory: nothing here may hold it any longer.
        drop(self);
        for (done, answer) in answers {
            // Who is gone needs no answer.
            drop(done.send(answer));
        }
    }

    async fn commit(&self, batch: Vec<Waiting>) -> Vec<(Sender, Answer)> {
        let mut calls = Vec::new();
        let mut entries = Vec::new();
        for waiting in batch {
            calls.push((waiting.entries.len(), waiting.done));
            entries.extend(waiting.entries);
        }
        if calls.is_empty() {
            return Vec::new();
        }
        let mut outcome = self.log_entries(entries).await.map(Vec::into_iter).map_err(Arc::new);
        let alone = calls.len() == 1;
        let mut answers = Vec::new();
        for (count, done) in calls {
            let answer = match &mut outcome {
                Ok(placed) => Ok(placed.take(count).collect()),
                Err(error) if alone => Err(unwrap_error(error)),
                Err(error) => Err(HomeError::Together(Some(Arc::clone(error)))),
            };
            answers.push((done, answer));
        }
        answers
    }

    async fn log_entries(&self, entries: Vec<Prepared>) -> Answer {
        // It may have been closed while they waited.
        if self.lock().is_none() {
            return Err(self.closed());
        }
        // What a failed commit has begun is finished first, or it would be logged a second time.
        let log = self.inner.log.clone();
        match blocking(move || log.ready()).await {
            // What is known already can be answered all the same.
            Ok(()) | Err(LogError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let ledger = &self.inner.ledger;
        if !self.inner.ahead.covers(self.log().size()) {
            let read = ledger.catch_up(&self.inner.sources).await?;
            self.inner.ahead.restart(read);
        }
        let leaves: Vec<Hash> = entries.iter().map(|entry| entry.new.leaf.hash()).collect();
        // In this order: what the ledger has read meanwhile is in it before it is forgotten here.
        let mut known = self.inner.ahead.indexes_of(&leaves);
        let others: Vec<Hash> = leaves.iter().filter(|leaf| !known.contains_key(*leaf)).copied().collect();
        known.extend(ledger.indexes_of_leaves(&others).await?);
        let statements = entries.iter().any(|entry| entry.envelope.is_some());
        let home = self.clone();
        let placed = blocking(move || home.write_entries(&entries, &leaves, known)).await?;
        match statements {
            true => self.caught_up().await?,
            false => self.follow(),
        }
        Ok(placed)
    }

    /// Waits until the ledger has read all that is published now.
    pub async fn caught_up(&self) -> Result<(), HomeError> {
        let read = self.inner.ledger.catch_up(&self.inner.sources).await?;
        self.inner.ahead.forget(read);
        Ok(())
    }

    /// Has the ledger follow the log in a task of its own, unless one is at it.
    fn follow(&self) {
        let Some(mut turn) = self.inner.ahead.begin() else { return };
        // Nothing of the directory's lock: who has it may give it up meanwhile.
        let (ledger, sources) = (self.inner.ledger.clone(), self.inner.sources.clone());
        drop(tokio::spawn(async move {
            // An error stays the ledger's: nothing is lost, and who waits for it next is told.
            while let Ok(read) = ledger.catch_up(&sources).await {
                if turn.is_over(read) {
                    return;
                }
            }
        }));
    }

    /// Blobs first, then the log; `leaves` are the entries' hashes, `known` those that it has already.
    fn write_entries(&self, entries: &[Prepared], leaves: &[Hash], mut known: BTreeMap<Hash, u64>) -> Answer {
        let mut fresh: BTreeMap<Hash, usize> = BTreeMap::new();
        let mut new = Vec::new();
        let mut now = None;
        let mut blobs = Batch::new(&self.inner.disk);
        for (entry, leaf) in entries.iter().zip(leaves) {
            if let Some(json) = &entry.envelope {
                self.inner.blobs.put_into(json, &mut blobs)?;
            }
            if !known.contains_key(leaf) && !fresh.contains_key(leaf) {
                fresh.insert(*leaf, new.len());
                new.push(entry.new.clone());
                now = now.max(Some(entry.now));
            }
        }
        let mut receipts = Vec::new();
        match now {
            Some(now) => receipts.extend(self.inner.log.append(&new, blobs, now)?),
            None => blobs.commit()?,
        }
        let logged = fresh.iter().map(|(leaf, at)| (*leaf, receipts[*at].index));
        self.inner.ahead.extend(logged, self.log().size());
        let place = |leaf: &Hash| match known.get(leaf) {
            Some(index) => Placed::Known(*index),
            None => {
                let receipt = &receipts[fresh[leaf]];
                // Whoever asks for the same a second time in this commit finds it known.
                known.insert(*leaf, receipt.index);
                Placed::New(Box::new(receipt.clone()))
            }
        };
        Ok(leaves.iter().map(place).collect())
    }

    pub(super) fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry whose signature was checked, ready to be logged.
pub(super) struct Prepared {
    /// Canonical JSON of the envelope, if there is one: it becomes a blob.
    envelope: Option<Vec<u8>>,
    new: NewEntry,
    now: Timestamp,
}

impl Prepared {
    /// Of a statement that somebody trusted has signed.
    pub(super) fn statement(envelope: &Envelope, trust: &Trust, now: Timestamp) -> Result<Prepared, HomeError> {
        let json = envelope.to_json();
        Envelope::parse(&json).map_err(HomeError::Envelope)?;
        let verified = attest::verify(envelope, trust, now).map_err(|error| HomeError::Untrusted(Box::new(error)))?;
        let identity = trust.identity(verified.key()).expect("who verified is in the trust root");
        let leaf: Leaf = entry::attestation(envelope, &identity.key)?;
        let statement = verified.value();
        let about = About::Statement {
            envelope: Digest::of(&json),
            subjects: statement.digests().collect(),
            predicate: statement.predicate_type.clone(),
        };
        let new = NewEntry { leaf, about, signer: *verified.key() };
        Ok(Prepared { envelope: Some(json), new, now })
    }

    /// Of what anybody has signed.
    pub(super) fn proposal(proposal: &Proposal, now: Timestamp) -> Prepared {
        let (envelope, about) = match proposal.content() {
            Content::Digest(name) => (None, About::Digest(name.clone())),
            Content::Envelope { envelope, statement } => {
                let json = envelope.to_json();
                let statement = statement.as_deref();
                let about = About::Statement {
                    envelope: Digest::of(&json),
                    subjects: statement.map(|statement| statement.digests().collect()).unwrap_or_default(),
                    predicate: statement.map(|statement| statement.predicate_type.clone()).unwrap_or_default(),
                };
                (Some(json), about)
            }
        };
        let new = NewEntry { leaf: proposal.leaf().clone(), about, signer: *proposal.signer() };
        Prepared { envelope, new, now }
    }
}

/// Takes whole calls, oldest first, as many as one commit may have.
fn take_batch(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut statements = 0;
    let fits = |call: &&Waiting| {
        statements += call.entries.len();
        statements <= STATEMENTS_MAX
    };
    let calls = waiting.iter().take_while(fits).count();
    waiting.drain(..calls.max(1).min(waiting.len())).collect()
}

/// Returns the error itself where nobody else needs it.
fn unwrap_error(error: &mut Arc<HomeError>) -> HomeError {
    let taken = std::mem::replace(error, Arc::new(HomeError::Together(None)));
    Arc::try_unwrap(taken).unwrap_or_else(|shared| HomeError::Together(Some(shared)))
}
