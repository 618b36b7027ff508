//! Which files differ from the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use super::SourceError;
use super::git::{Repository, Tracked};

// Modes as tree objects have them; anything else is a plain file.
const LINK: &str = "120000";
const SUBMODULE: &str = "160000";
const EXECUTABLE: &str = "100755";

/// Returns the paths below the repository's directory whose bytes, kind or executable bit differ from the commit, whose
/// index entry does, and that are neither tracked nor ignored; sorted.
pub(super) fn changed(repository: &Repository) -> Result<BTreeSet<String>, SourceError> {
    let head = repository.head()?;
    let mut changed = repository.untracked()?;
    changed.extend(staged(&head, &repository.index()?));
    changed.extend(modified(repository, &head)?);
    Ok(changed.into_iter().map(|path| path.trim_end_matches('/').to_owned()).collect())
}

/// Paths where index and commit differ, in either direction.
fn staged(head: &[Tracked], index: &[Tracked]) -> BTreeSet<String> {
    let by_path = |all: &[Tracked]| -> BTreeMap<String, (String, String)> {
        all.iter().map(|entry| (entry.path.clone(), (entry.mode.clone(), entry.id.clone()))).collect()
    };
    let (head, index) = (by_path(head), by_path(index));
    head.keys().chain(index.keys()).filter(|path| head.get(*path) != index.get(*path)).cloned().collect()
}

/// Paths of the commit that are gone from the work tree or have other bytes there.
fn modified(repository: &Repository, head: &[Tracked]) -> Result<BTreeSet<String>, SourceError> {
    let mut changed = BTreeSet::new();
    let mut links = Vec::new();
    let mut files = Vec::new();
    for entry in head {
        match (kept_kind(repository, entry), entry.mode.as_str()) {
            (false, _) => {
                changed.insert(entry.path.clone());
            }
            (true, LINK) => links.push(entry),
            (true, SUBMODULE) => {}
            (true, _) => files.push(entry),
        }
    }
    changed.extend(changed_links(repository, &links)?);
    let paths: Vec<&str> = files.iter().map(|entry| entry.path.as_str()).collect();
    let ids = repository.hash_files(&paths)?;
    changed.extend(files.iter().zip(ids).filter(|(entry, id)| entry.id != *id).map(|(entry, _)| entry.path.clone()));
    Ok(changed)
}

/// Whether what stands at the path is of the kind, and has the executable bit, that the commit says.
fn kept_kind(repository: &Repository, entry: &Tracked) -> bool {
    let Ok(found) = repository.directory().join(&entry.path).symlink_metadata() else { return false };
    let executable = found.permissions().mode() & 0o100 != 0;
    match entry.mode.as_str() {
        LINK => found.is_symlink(),
        SUBMODULE => found.is_dir(),
        EXECUTABLE => found.is_file() && executable,
        _ => found.is_file() && !executable,
    }
}

fn changed_links(repository: &Repository, links: &[&Tracked]) -> Result<BTreeSet<String>, SourceError> {
    let ids: Vec<&str> = links.iter().map(|entry| entry.id.as_str()).collect();
    let mut changed = BTreeSet::new();
    for (entry, committed) in links.iter().zip(repository.blobs(&ids)?) {
        let host = repository.directory().join(&entry.path);
        let target = host.read_link().map_err(|cause| SourceError::Read { path: host.clone(), cause })?;
        if committed != target.as_os_str().as_bytes() {
            changed.insert(entry.path.clone());
        }
    }
    Ok(changed)
}
