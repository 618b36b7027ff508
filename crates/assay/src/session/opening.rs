//! Before a session: the home is compared with its seal, then made complete, then opened.
//!
//! Nothing of the home is believed or written before the comparison: a changed `trust.json` must not count for a moment.
//! The seal of the home's own data directory covers keys and trust as well, so whoever writes those (a new key, the first
//! token of a server) takes that seal away first and seals again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sign::LogKey;
use sign::trust::{LogIdentity, Trust};
use store::home::{Held, HomeError, Options};
use store::lock::LockError;
use store::log::{LogError, NewLog};
use store::seal::{Change, Root};
use tlog::index::IndexKey;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::home::Home;
use crate::keys;
use crate::machine;

/// How much of what has changed since the home was closed a command lets pass.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pass {
    /// None of it.
    Nothing,
    /// What is made again from log and blobs.
    Ledger,
    /// Whatever it is, to put it on record.
    Everything,
}

/// How the home's data directory is opened.
pub(crate) fn options(home: &Home, trust: Arc<Trust>) -> Options {
    Options { heads: home.heads().to_path_buf(), trust, covered: covered(home), faults: None }
}

/// What the seal covers beside the data directory: keys and trust, but not from a directory that lies elsewhere.
fn covered(home: &Home) -> Vec<Root> {
    let except = ["data", "runs", "projects", "deployments"].map(str::to_owned).to_vec();
    let root = Root { name: "home".to_owned(), path: home.root().to_path_buf(), except };
    if has_own_data(home) { vec![root] } else { Vec::new() }
}

fn own_data(home: &Home) -> PathBuf {
    home.root().join("data")
}

pub(super) fn has_own_data(home: &Home) -> bool {
    home.data() == own_data(home)
}

/// Takes the home's own data directory and compares it with its seal, before anything of the home is believed or written.
/// `None` when there is no seal: it is new, in use, or was left by a crash.
pub(super) fn hold(context: &Context) -> Result<Option<Held>> {
    let data = own_data(&context.home);
    if !data.join("seal.json").exists() {
        return Ok(None);
    }
    let covered = covered(&Home::clone(&context.home).with_own_data());
    match context.runtime.block_on(Held::take(&data, &covered)) {
        Ok(held) => Ok(Some(held)),
        Err(HomeError::Lock(LockError::Held { .. })) => Ok(None),
        Err(error) => Err(of_home("opening the data directory", error)),
    }
}

/// Writes files of the home that the seal of its own data directory covers, and seals that again, unless it is open:
/// who closes it will seal it.
pub(crate) fn amend<T>(context: &Context, write: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(held) = hold(context)? else { return write() };
    held.unseal().map_err(|error| of_home("opening the data directory", error))?;
    let written = write();
    let sealed = context.runtime.block_on(held.reseal());
    sealed.map_err(|error| of_home("sealing the data directory", error))?;
    written
}

/// Makes the home, its keys and its log if they are not there, and returns whose statements count.
pub(crate) fn prepare(context: &Context) -> Result<Trust> {
    if is_complete(context) {
        if let Some(held) = hold(context)? {
            held.unchanged().map_err(|error| of_home("opening the data directory", error))?;
        }
        return make(context);
    }
    amend(context, || make(context))
}

pub(super) fn is_complete(context: &Context) -> bool {
    keys::complete(&context.home) && context.home.data().join("VERSION").exists()
}

pub(super) fn make(context: &Context) -> Result<Trust> {
    let home = &context.home;
    home.create()?;
    let now = machine::now()?;
    let mut trust = keys::ensure(home, now)?;
    keys::secret(home)?;
    if home.data().join("VERSION").exists() {
        return Ok(trust);
    }
    let key = LogKey::generate().context("log", "making the log's key")?;
    let origin = format!("assay.local/{}", machine::random_name()?);
    // Accepted before it exists: a crash in between leaves an accepted key that nobody has.
    trust.logs.push(LogIdentity {
        origin: origin.clone(),
        key: key.public().clone(),
        valid_from: now,
        valid_until: None,
    });
    keys::write_trust(&home.trust(), &trust)?;
    let index_key = IndexKey::new(zeroize::Zeroizing::new(machine::random()?));
    let options = options(home, Arc::new(trust.clone()));
    let created =
        context.runtime.block_on(store::home::Home::create(&home.data(), &options, NewLog { origin, key, index_key }));
    match created {
        Ok(()) | Err(HomeError::Exists(_)) => Ok(trust),
        Err(error) => Err(of_home("making the data directory", error)),
    }
}

/// Opens a data directory that was held, or takes it now.
pub(super) async fn open_held(
    held: Option<Held>,
    data: &Path,
    options: &Options,
    pass: Pass,
) -> std::result::Result<store::home::Home, HomeError> {
    let held = match held {
        Some(held) => held,
        None => Held::take(data, &options.covered).await?,
    };
    match pass {
        Pass::Ledger if held.only_ledger_changed() => held.open_reindexed(options).await,
        Pass::Nothing | Pass::Ledger => held.open(options).await,
        Pass::Everything => held.open_accepting(options).await,
    }
}

/// Turns a failure of the data directory into one with a hint.
pub(crate) fn of_home(doing: &str, error: HomeError) -> Failure {
    let hint = match &error {
        HomeError::Lock(LockError::Held { .. }) => Some("wait for the other command, or stop it".to_owned()),
        HomeError::Log(LogError::Head(_) | LogError::Tile(_) | LogError::Receipt { .. }) => {
            Some("assay admin fsck".to_owned())
        }
        HomeError::Changed { path, changes } => return changed(path, changes),
        _ => None,
    };
    let failure = Failure::new("home", doing).because(&error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Names the files that were changed while nobody had the home open.
fn changed(path: &Path, changes: &[Change]) -> Failure {
    let first = changes.first().map(Change::to_string).unwrap_or_default();
    let message = format!("`{}` was changed since it was closed: {first}", path.display());
    let also = changes.iter().skip(1).map(Change::to_string).collect();
    let hint = if Held::is_only_ledger(changes) { "assay admin reindex" } else { "assay admin fsck" };
    Failure { also, ..Failure::no("home-changed", message) }.hint(hint)
}
