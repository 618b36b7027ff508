//! Release directories: `versions/<digest>/bin/NAME`, and `current`, a link that is switched atomically.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use wire::digest::Digest;

use crate::error::{Context, Failure, Result};

/// Unpacks an artifact's bytes as a release, unless it is there with the right bytes. Returns its directory.
///
/// The release appears complete or not at all: it is made aside, synced and renamed.
pub(crate) fn unpack(directory: &Path, name: &str, digest: &Digest, bytes: &mut dyn Read) -> Result<PathBuf> {
    let release = version(directory, digest);
    let program = release.join("bin").join(name);
    if program.exists() && digest_of(&program)? == *digest {
        return Ok(release);
    }
    let doing = || format!("unpacking `{name}` into `{}`", release.display());
    let aside = release.with_extension("new");
    for stale in [&aside, &release] {
        if stale.exists() {
            fs::remove_dir_all(stale).context("unpack", doing())?;
        }
    }
    fs::create_dir_all(aside.join("bin")).context("unpack", doing())?;
    let path = aside.join("bin").join(name);
    let mut file = fs::File::create(&path).context("unpack", doing())?;
    std::io::copy(bytes, &mut file).context("unpack", doing())?;
    file.set_permissions(fs::Permissions::from_mode(0o555)).context("unpack", doing())?;
    file.sync_all().context("unpack", doing())?;
    drop(file);
    let found = digest_of(&path)?;
    if found != *digest {
        return Err(Failure::no("artifact-damaged", format!("`{name}` has digest {found}, expected {digest}"))
            .hint("assay admin fsck"));
    }
    fs::rename(&aside, &release).context("unpack", doing())?;
    sync(&directory.join("versions"))?;
    Ok(release)
}

/// Makes `current` point at a release. There is no moment at which it points nowhere.
pub(crate) fn switch(directory: &Path, digest: &Digest) -> Result<()> {
    let next = directory.join("current.new");
    let _stale = fs::remove_file(&next);
    let doing = || format!("switching `{}` to {digest}", directory.join("current").display());
    symlink(Path::new("versions").join(digest.hex()), &next).context("switch", doing())?;
    fs::rename(&next, directory.join("current")).context("switch", doing())?;
    sync(directory)
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

fn sync(directory: &Path) -> Result<()> {
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .context("sync", format!("syncing `{}`", directory.display()))
}
