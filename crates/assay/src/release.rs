//! Release directories: `versions/<digest>/bin/NAME`, and `current`, a link that is switched atomically.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use wire::digest::Digest;

use crate::error::{Context, Failure, Result};

#[cfg(test)]
mod tests;

/// The extension of what is not finished: [`clear`] removes it.
const UNFINISHED: &str = "new";

/// Unpacks an artifact's bytes as a release, unless it is there with the right bytes. Returns its directory.
///
/// The release appears complete or not at all: it is made aside, synced and renamed. What could not be completed is removed.
pub(crate) fn unpack(directory: &Path, name: &str, digest: &Digest, bytes: &mut dyn Read) -> Result<PathBuf> {
    let release = version(directory, digest);
    if is_whole(&release, name, digest) {
        return Ok(release);
    }
    let aside = release.with_extension(UNFINISHED);
    let made = fill(&aside, name, digest, bytes).and_then(|()| {
        let placed = place(&aside, &release).and_then(|()| sync(&directory.join("versions")));
        placed.context("unpack", format!("placing `{}`", release.display()))
    });
    if aside.exists() {
        // Either it failed, or this is what was there before, with other bytes.
        let removed = fs::remove_dir_all(&aside).context("unpack", format!("removing `{}`", aside.display()));
        made.and(removed)?;
    } else {
        made?;
    }
    Ok(release)
}

fn fill(aside: &Path, name: &str, digest: &Digest, bytes: &mut dyn Read) -> Result<()> {
    let path = aside.join("bin").join(name);
    let mut write = || -> std::io::Result<()> {
        if aside.exists() {
            fs::remove_dir_all(aside)?;
        }
        fs::create_dir_all(aside.join("bin"))?;
        let mut file = fs::File::create(&path)?;
        std::io::copy(bytes, &mut file)?;
        file.set_permissions(fs::Permissions::from_mode(0o555))?;
        file.sync_all()?;
        sync(&aside.join("bin"))?;
        sync(aside)
    };
    write().context("unpack", format!("unpacking `{name}` into `{}`", aside.display()))?;
    let found = digest_of(&path)?;
    if found == *digest {
        return Ok(());
    }
    Err(Failure::no("artifact-damaged", format!("`{name}` has digest {found}, expected {digest}"))
        .hint("assay admin fsck"))
}

/// Puts a release in its place; what is there, with other bytes, comes aside in the same moment, so that `current` never leads nowhere.
fn place(aside: &Path, release: &Path) -> std::io::Result<()> {
    if !release.exists() {
        return fs::rename(aside, release);
    }
    match rustix::fs::renameat_with(CWD, aside, CWD, release, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::remove_dir_all(release)?; // a file system that cannot exchange
            fs::rename(aside, release)
        }
        other => other.map_err(std::io::Error::from),
    }
}

fn is_whole(release: &Path, name: &str, digest: &Digest) -> bool {
    let program = release.join("bin").join(name);
    program.is_file() && digest_of(&program).is_ok_and(|found| found == *digest)
}

/// Removes what commands that were killed left unfinished.
pub(crate) fn clear(directory: &Path) -> Result<()> {
    // What a running supervisor writes is its own, and not touched.
    let mut stale = vec![directory.join("current").with_extension(UNFINISHED), directory.join("journal.new")];
    match fs::read_dir(directory.join("versions")) {
        Ok(entries) => stale.extend(entries.flatten().map(|entry| entry.path()).filter(|path| is_unfinished(path))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).context("clear", format!("reading `{}`", directory.display())),
    }
    for path in stale {
        let removed = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(_) => continue,
        };
        removed.context("clear", format!("removing `{}`", path.display()))?;
    }
    Ok(())
}

fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == UNFINISHED)
}

/// Makes `current` point at a release, which must be whole. There is no moment at which it points nowhere.
pub(crate) fn switch(directory: &Path, name: &str, digest: &Digest) -> Result<()> {
    if !is_whole(&version(directory, digest), name, digest) {
        let message = format!("`{}` does not hold `{name}` as it was built", version(directory, digest).display());
        return Err(Failure::no("release-damaged", message).hint("deploy again: the release is unpacked anew"));
    }
    let next = directory.join("current").with_extension(UNFINISHED);
    let _stale = fs::remove_file(&next);
    let doing = || format!("switching `{}` to {digest}", directory.join("current").display());
    symlink(Path::new("versions").join(digest.hex()), &next).context("switch", doing())?;
    fs::rename(&next, directory.join("current")).context("switch", doing())?;
    sync(directory).context("switch", doing())
}

/// Returns which release `current` points at.
pub(crate) fn current(directory: &Path) -> Option<Digest> {
    let target = fs::read_link(directory.join("current")).ok()?;
    Digest::from_parts("sha256", target.file_name()?.to_str()?).ok()
}

/// The directory of a release.
pub(crate) fn version(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("versions").join(digest.hex())
}

/// Digests a file, or a running program through `/proc/PID/exe`.
pub(crate) fn digest_of(path: &Path) -> Result<Digest> {
    let doing = || format!("reading `{}`", path.display());
    let mut file = fs::File::open(path).context("read", doing())?;
    Digest::of_reader(&mut file).map(|(digest, _)| digest).context("read", doing())
}

fn sync(directory: &Path) -> std::io::Result<()> {
    fs::File::open(directory)?.sync_all()
}
