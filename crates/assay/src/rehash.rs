//! `--paranoid`: every byte of what a build mounts is read and hashed again before it is mounted.
//!
//! A build trusts trees that are sealed in the store: they were hashed when they were imported, nobody may write to them, and
//! walking 60,000 files again costs seconds. Who doesn't trust the disk, or who else is on the machine, asks for this.

use std::collections::BTreeSet;

use build::lock::Lock;
use serde_json::{Value, json};
use store::blobs::BlobError;
use store::trees::What;
use wire::digest::Digest;

use crate::commands::env::provision::pinned_blobs;
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::inputs::StoreInputs;

/// What was read again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rehashed {
    trees: usize,
    entries: usize,
    blobs: usize,
}

impl Rehashed {
    /// Its JSON form.
    pub(crate) fn json(self) -> Value {
        json!({"trees": self.trees, "entries": self.entries, "blobs": self.blobs})
    }

    /// As people read it.
    pub(crate) fn text(self) -> String {
        format!("read again: {} entries of {} trees, and {} blobs", self.entries, self.trees, self.blobs)
    }
}

/// Reads again all that a lock pins and the store holds; what it does not hold is hashed when it is brought back.
pub(crate) fn rehash(context: &Context, inputs: &StoreInputs, lock: &Lock) -> Result<Rehashed> {
    let mut done = Rehashed::default();
    let mut found = Vec::new();
    let own = lock.stages.iter().map(|stage| lock.of_stage(&stage.name));
    let locks: Vec<Lock> = std::iter::once(lock.clone()).chain(own).collect();
    let trees: BTreeSet<(String, Digest)> = locks.iter().flat_map(Lock::trees).collect();
    for (name, digest) in trees {
        if !inputs.trees.has(&digest) {
            continue;
        }
        context.progress.doing(&format!("reading `{name}` again"));
        let doing = || format!("reading `{name}`, tree {digest}, again");
        let tree = inputs.trees.tree(&digest).map_err(|error| Failure::no("damaged", doing()).because(&error))?;
        done.trees += 1;
        done.entries += tree.entries().count();
        let place = inputs.trees.path(&digest);
        for difference in inputs.trees.verify(&digest).context("store", doing())? {
            let path = place.join(&difference.path);
            found.push(format!("`{}` {} ({name})", path.display(), said(difference.what)));
        }
    }
    for (digest, what) in locks.iter().flat_map(pinned_blobs) {
        match inputs.blobs.verify(&digest) {
            Ok(_) => done.blobs += 1,
            Err(BlobError::Missing(_)) => {}
            Err(BlobError::Damaged { found: now, .. }) => {
                found.push(format!("`{}` is {now} now ({what})", inputs.blobs.path(&digest).display()));
            }
            Err(error) => return Err(error).context("store", format!("reading {what} {digest} again")),
        }
    }
    let mut found = found.into_iter();
    let Some(first) = found.next() else { return Ok(done) };
    let mut failure = Failure::no("damaged", format!("the store is damaged: {first}"));
    failure.also = found.take(20).collect();
    Err(failure.hint("nothing was mounted; see docs/runbooks/tampering-found.md"))
}

fn said(what: What) -> &'static str {
    match what {
        What::Missing => "is missing",
        What::Unlisted => "is no part of it",
        What::Type => "is of another type",
        What::Content => "has other content",
        What::Mode => "has another mode",
        What::Time => "has another time",
    }
}
