//! Putting a back-up back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use sign::LogKey;
use sign::note::NoteKey;
use tlog::Head;
use tlog::checkpoint::Checkpoint;
use tlog::merkle::{self, Hash};
use tlog::tile::{TilePath, WIDTH, parse_bundle};
use wire::digest::Digest;

use super::manifest::{Kept, KeptLog, MANIFEST, Manifest};
use super::{
    BackupError, Counted, FILE_MAX, LOGS, TILES_MAX, Taken, copy_blob, copy_tree, read_certificate, read_tile,
};
use crate::blobs::Blobs;
use crate::certificates::{DIRECTORY, entry_path};
use crate::durable::{self, Batch, Disk, FileError, Operation};
use crate::trees::Trees;

/// Where a back-up is put back.
#[derive(Clone, Debug)]
pub struct Place {
    /// The data directory.
    pub data: PathBuf,
    /// Where the other roots go, by their names: `home`.
    pub roots: BTreeMap<String, PathBuf>,
    /// Names that may be in those roots already.
    pub beside: Vec<String>,
}

/// The last files: before they are there, nobody takes the place for a home.
const LAST: [(&str, &str); 2] = [("data", "VERSION"), ("home", "VERSION")];

/// Checks a back-up whole, and puts it into `place` if there is one; everything is hashed on the way. `told` hears what is
/// being done.
///
/// `place` must hold no home. After an interruption the same call goes on; until it has ended, there is no home there.
pub fn restore(from: &Path, place: Option<&Place>, told: &mut dyn FnMut(&str)) -> Result<Taken, BackupError> {
    let manifest = Manifest::read(&from.join(MANIFEST))?;
    let at = place.map(|place| (place, Disk::new(place.data.join("tmp"))));
    put(from, &manifest, at.as_ref().map(|(place, disk)| (*place, disk)), told)
}

pub(super) fn put(
    from: &Path,
    manifest: &Manifest,
    at: Option<(&Place, &Disk)>,
    told: &mut dyn FnMut(&str),
) -> Result<Taken, BackupError> {
    if let Some((place, _)) = at {
        refuse_occupied(place)?;
    }
    let files = read_files(from, manifest)?;
    let mut logs = Vec::new();
    for kept in &manifest.logs {
        let checkpoint = read_checkpoint(kept, manifest, &files)?;
        told(&format!("{} entries of {}", checkpoint.size, kept.origin));
        check_log(&from.join(&kept.name), kept, &checkpoint)?;
        logs.push((kept, checkpoint));
    }
    let missing = || BackupError::Damaged { what: "it has no log of statements".to_owned() };
    let statements = logs.iter().find(|(kept, _)| kept.name == LOGS[0]).ok_or_else(missing)?;
    let mut taken = Taken { entries: statements.1.size, ..Taken::default() };
    told(&format!("{} blobs, {} trees", manifest.blobs.len(), manifest.trees.len()));
    let Some((place, disk)) = at else {
        check_content(from, manifest, &mut taken)?;
        return Ok(taken);
    };
    for root in place.roots.values() {
        let at_work = root.join(AT_WORK);
        disk.make_directories(&at_work)?;
        private(root)?;
        disk.elsewhere(at_work).empty_scratch()?;
    }
    disk.make_directories(&place.data)?;
    disk.clear_scratch()?;
    put_content(from, manifest, place, disk, &mut taken)?;
    for (kept, checkpoint) in &logs {
        put_log(&from.join(&kept.name), kept, checkpoint, &place.data.join(&kept.name), disk)?;
    }
    put_files(manifest, &files, place, disk)?;
    disk.clear_scratch()?;
    for root in place.roots.values() {
        durable::remove_tree(&root.join(AT_WORK))?;
    }
    Ok(taken)
}

/// What a place has while a back-up is put into it: an interrupted call goes on only where it was at work.
const AT_WORK: &str = ".restoring";

/// Refuses a place in which there is a home, or something else than what an interrupted call has left.
fn refuse_occupied(place: &Place) -> Result<(), BackupError> {
    let occupied =
        |path: &Path, left: &[&str]| match durable::list(path)?.into_iter().find(|name| !left.contains(&name.as_str()))
        {
            Some(name) => Err(BackupError::Occupied { path: path.to_owned(), name }),
            None => Ok(()),
        };
    let at_work = place.roots.values().any(|root| root.join(AT_WORK).exists());
    let ended = place.roots.values().find(|root| root.join("VERSION").exists());
    let in_use = (!at_work && place.data.join("VERSION").exists()).then_some(&place.data);
    if let Some(path) = ended.or(in_use) {
        return Err(BackupError::Exists(path.clone()));
    }
    for root in place.roots.values().filter(|root| !root.join(AT_WORK).exists()) {
        occupied(root, &place.beside.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    occupied(&place.data, &["VERSION", "blobs", "trees", "log", DIRECTORY, "tmp", "lock", AT_WORK])
}

/// Reads the small files and checks their digests and where they want to go.
fn read_files(from: &Path, manifest: &Manifest) -> Result<BTreeMap<Digest, Vec<u8>>, BackupError> {
    let mut files = BTreeMap::new();
    for Kept { digest, path, root, .. } in &manifest.files {
        let relative = Path::new(path);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || !plain {
            return Err(BackupError::Damaged { what: format!("`{path}` of {root} is no path below it") });
        }
        let at = from.join("files").join(digest.hex());
        let bytes = durable::read(&at, FILE_MAX)?;
        if Digest::of(&bytes) != *digest {
            return Err(BackupError::Damaged { what: format!("`{}` has changed", at.display()) });
        }
        files.insert(*digest, bytes);
    }
    Ok(files)
}

/// Returns the checkpoint of a log, if its own key has signed it.
fn read_checkpoint(
    kept: &KeptLog,
    manifest: &Manifest,
    files: &BTreeMap<Digest, Vec<u8>>,
) -> Result<Checkpoint, BackupError> {
    if !LOGS.contains(&kept.name.as_str()) {
        return Err(BackupError::Damaged { what: format!("it has an unknown log `{}`", kept.name) });
    }
    let damaged = || BackupError::Damaged { what: format!("the `key.pem` or `origin` of `{}` is none", kept.name) };
    let text = |name: &str| {
        let file = manifest.files.iter().find(|file| file.root == kept.name && file.path == name);
        let bytes = file.and_then(|file| files.get(&file.digest));
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(damaged)
    };
    let key = LogKey::from_pem(text("key.pem")?).map_err(|_| damaged())?;
    let origin = text("origin")?.trim_end_matches('\n');
    if origin != kept.origin {
        return Err(damaged());
    }
    let log = NoteKey::new(origin, key.public()).map_err(|_| damaged())?;
    kept.signed_by(&log)
}

/// Computes the root anew from every entry, and reads the file of every certificate.
fn check_log(from: &Path, kept: &KeptLog, checkpoint: &Checkpoint) -> Result<(), BackupError> {
    let damaged = |error: &dyn std::error::Error| BackupError::Damaged {
        what: format!("the log in `{}`: {}", from.display(), chain(error)),
    };
    let derived = Head::derive(checkpoint, &mut |path| read_tile(from, path), &mut |_, _| Ok(()));
    derived.map_err(|error| damaged(&error))?;
    let mut digests = Vec::new();
    for (index, hash) in (0..).zip(certificates(from, checkpoint)?) {
        digests.extend_from_slice(Digest::of(&read_certificate(from, index, &hash)?).bytes());
    }
    if from.ends_with(DIRECTORY) && kept.beside != Some(Digest::of(&digests)) {
        return Err(BackupError::Damaged { what: format!("the files in `{}` have changed", from.display()) });
    }
    Ok(())
}

/// The leaves of a log of certificates; of another log, none.
fn certificates(from: &Path, checkpoint: &Checkpoint) -> Result<Vec<Hash>, BackupError> {
    if !from.ends_with(DIRECTORY) {
        return Ok(Vec::new());
    }
    let mut hashes = Vec::new();
    for index in 0..checkpoint.size.div_ceil(WIDTH) {
        let Some(path) = TilePath::entries(index, checkpoint.size) else { continue };
        let bundle = read_tile(from, &path.to_string())?;
        let damaged = |_| BackupError::Damaged { what: format!("`{path}` of the log of certificates") };
        hashes.extend(parse_bundle(&bundle, path.width()).map_err(damaged)?.iter().map(|leaf| merkle::leaf_hash(leaf)));
    }
    Ok(hashes)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

fn check_content(from: &Path, manifest: &Manifest, taken: &mut Taken) -> Result<(), BackupError> {
    let disk = Disk::new(PathBuf::new());
    let blobs = Blobs::new(from.join("blobs"), disk.clone());
    for digest in &manifest.blobs {
        match blobs.verify(digest) {
            Ok(_) => taken.blobs.there += 1,
            Err(error) => taken.damaged.push(format!("`{}`: {error}", blobs.path(digest).display())),
        }
    }
    let trees = Trees::new(from.join("trees"), blobs, disk);
    for digest in &manifest.trees {
        match trees.verify(digest) {
            Ok(differences) if differences.is_empty() => taken.trees.there += 1,
            Ok(differences) => taken.damaged.extend(differences.iter().map(|difference| {
                format!("`{}`: {:?}", trees.path(digest).join(&difference.path).display(), difference.what)
            })),
            Err(error) => taken.damaged.push(format!("`{}`: {error}", trees.path(digest).display())),
        }
    }
    Ok(())
}

fn put_content(
    from: &Path,
    manifest: &Manifest,
    place: &Place,
    disk: &Disk,
    taken: &mut Taken,
) -> Result<(), BackupError> {
    let source = Blobs::new(from.join("blobs"), disk.clone());
    let blobs = Blobs::new(place.data.join("blobs"), disk.clone());
    for digest in &manifest.blobs {
        match blobs.has(digest)? {
            true => count(&mut taken.blobs, None),
            false => {
                let size = copy_blob(&source, &blobs, digest)?;
                taken.bytes += size;
                count(&mut taken.blobs, Some(size));
            }
        }
    }
    let source = Trees::new(from.join("trees"), source, disk.clone());
    let trees = Trees::new(place.data.join("trees"), blobs, disk.clone());
    trees.clear_staging()?;
    for digest in &manifest.trees {
        match trees.has(digest) {
            true => count(&mut taken.trees, None),
            false => {
                let size = copy_tree(&source, &trees, digest)?;
                taken.bytes += size;
                count(&mut taken.trees, Some(size));
            }
        }
    }
    Ok(())
}

fn count(counted: &mut Counted, copied: Option<u64>) {
    match copied {
        Some(_) => counted.copied += 1,
        None => counted.there += 1,
    }
}

/// Writes tiles, then head and checkpoint. Hash tiles are made from the entries, as [`check_log`] has found them right.
fn put_log(from: &Path, kept: &KeptLog, checkpoint: &Checkpoint, to: &Path, disk: &Disk) -> Result<(), BackupError> {
    disk.make_directories(to)?;
    let mut files = Batch::new(disk);
    for (index, hash) in (0..).zip(&certificates(from, checkpoint)?) {
        files.write(entry_path(to, hash), &read_certificate(from, index, hash)?, 0o444)?;
        if index % TILES_MAX as u64 == TILES_MAX as u64 - 1 {
            std::mem::replace(&mut files, Batch::new(disk)).commit()?;
        }
    }
    files.commit()?;
    let mut batch = Batch::new(disk);
    let mut count = 0;
    for tile in TilePath::all(checkpoint.size) {
        let name = tile.to_string();
        batch.write(to.join(&name), &read_tile(from, &name)?, 0o444)?;
        count += 1;
        if count == TILES_MAX {
            std::mem::replace(&mut batch, Batch::new(disk)).commit()?;
            count = 0;
        }
    }
    batch.commit()?;
    // Hash tiles that were damaged in the back-up are mended by the entries.
    let mut batch = Batch::new(disk);
    Head::derive(checkpoint, &mut |path| read_tile(from, path), &mut |tile, bytes| {
        let path = to.join(tile.to_string());
        if durable::read(&path, bytes.len() as u64).ok().as_deref() != Some(bytes) {
            batch.write(path, bytes, 0o444)?;
        }
        Ok(())
    })
    .map_err(|error| BackupError::Damaged { what: format!("the log in `{}`: {}", from.display(), chain(&error)) })?;
    batch.commit()?;
    disk.replace(&to.join("head"), kept.checkpoint.as_bytes(), 0o644)?;
    Ok(disk.replace(&to.join("checkpoint"), kept.checkpoint.as_bytes(), 0o644)?)
}

fn put_files(
    manifest: &Manifest,
    files: &BTreeMap<Digest, Vec<u8>>,
    place: &Place,
    disk: &Disk,
) -> Result<(), BackupError> {
    let is_last = |file: &&Kept| LAST.contains(&(file.root.as_str(), file.path.as_str()));
    let first = manifest.files.iter().filter(|file| !is_last(file));
    for kept in first.chain(manifest.files.iter().filter(is_last)) {
        let (root, disk) = match kept.root.as_str() {
            "data" => (place.data.clone(), disk.clone()),
            name if LOGS.contains(&name) => (place.data.join(name), disk.clone()),
            name => match place.roots.get(name) {
                // It may lie on another file system than the data directory.
                Some(root) => (root.clone(), disk.elsewhere(root.join(AT_WORK))),
                None => return Err(BackupError::Damaged { what: format!("it has files of an unknown root `{name}`") }),
            },
        };
        let path = root.join(&kept.path);
        let parent = durable::parent(&path);
        if !parent.is_dir() {
            disk.make_directories(parent)?;
            if kept.mode & 0o077 == 0 {
                private(parent)?;
            }
        }
        disk.replace(&path, &files[&kept.digest], kept.mode)?;
    }
    Ok(())
}

/// Lets only the owner enter a directory.
fn private(path: &Path) -> Result<(), FileError> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(|error| FileError::new(Operation::SetAttributes, path, error))
}
