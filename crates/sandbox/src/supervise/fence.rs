//! Landlock at `trace-only`: writes only below the scratch directory, and no look at the directories that the host names, or at devices.
//!
//! Reference: `landlock(7)`. Landlock knows only grants, so denying one directory means granting everything beside it: each entry of each
//! directory on the way down to it. What appears there later is denied too, and the directories on the way cannot be listed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules,
};

#[cfg(test)]
mod tests;

/// The newest rights that are asked for; an older kernel holds what it knows.
const NEWEST: ABI = ABI::V6;
/// More entries beside a denied directory than this mean that it lies in a strange place.
const GRANTS_MAX: usize = 100_000;

/// Why no fence could be made, though the kernel has Landlock.
#[derive(Debug, thiserror::Error)]
pub(super) enum FenceError {
    #[error("listing `{}`", .path.display())]
    List { path: PathBuf, source: std::io::Error },
    #[error("more than {GRANTS_MAX} entries beside the denied directories")]
    TooMany,
    #[error(transparent)]
    Landlock(#[from] landlock::RulesetError),
}

/// Fences this process in; does nothing on a kernel without Landlock, which the outcome tells.
pub(super) fn fence(scratch: &Path, denied: &[PathBuf]) -> Result<(), FenceError> {
    if crate::sys::landlock_abi().is_none() {
        return Ok(());
    }
    // What is typed into the same user's terminals could be read, and what other programs keep in `/dev/shm`.
    let denied: Vec<PathBuf> = denied.iter().cloned().chain([PathBuf::from("/dev")]).collect();
    let readable = openings(&denied, &list)?;
    let look = AccessFs::from_read(NEWEST);
    let devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
    let use_device = AccessFs::ReadFile | AccessFs::WriteFile;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(&readable, look))?
        .add_rules(path_beneath_rules(devices, use_device))?
        .add_rules(path_beneath_rules([scratch], AccessFs::from_all(NEWEST)))?
        .restrict_self()?;
    Ok(())
}

/// Links are left out: a grant would follow them, perhaps to a denied directory, and following one needs no grant.
fn list(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_type()?.is_symlink() {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

type List<'a> = dyn Fn(&Path) -> std::io::Result<Vec<PathBuf>> + 'a;

/// Returns the places whose grant leaves out exactly the denied directories.
fn openings(denied: &[PathBuf], list: &List<'_>) -> Result<BTreeSet<PathBuf>, FenceError> {
    let mut open = BTreeSet::new();
    open_beside(Path::new("/"), denied, list, &mut open)?;
    Ok(open)
}

fn open_beside(
    here: &Path,
    denied: &[PathBuf],
    list: &List<'_>,
    open: &mut BTreeSet<PathBuf>,
) -> Result<(), FenceError> {
    if denied.iter().any(|path| here.starts_with(path)) {
        return Ok(());
    }
    if !denied.iter().any(|path| path.starts_with(here)) {
        open.insert(here.to_owned());
        return if open.len() > GRANTS_MAX { Err(FenceError::TooMany) } else { Ok(()) };
    }
    let entries = list(here).map_err(|source| FenceError::List { path: here.to_owned(), source })?;
    entries.iter().try_for_each(|entry| open_beside(entry, denied, list, open))
}
