//! What a writable root has become: what differs from the tree that it is a copy of, and what of that is gone.
//!
//! The comparison is by content, not by time or by what the trace saw: a file that was written and is as it was is no change, and
//! a file whose time was put back is one. Modes but the executable bit, owners and times are no difference, since no tree holds them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::{Collection, DEPTH_MAX, copy, list, open, text};
use crate::outcome::CollectedKind;
use crate::plan::{Mount, Plan};
use crate::sys;

/// What the sandbox itself puts into the root.
const SYSTEM: [&str; 3] = ["dev", "proc", "sys"];

/// A root and what it is compared with.
pub(super) struct Changes<'a> {
    pub(super) plan: &'a Plan,
    /// The root as the steps left it.
    pub(super) base: &'a OwnedFd,
    /// The source that it is a copy of.
    pub(super) lower: &'a Path,
    /// The host directory that receives.
    pub(super) to: &'a Path,
}

impl Changes<'_> {
    pub(super) fn collect(&self, collection: &mut Collection) -> io::Result<()> {
        self.directory(Path::new(""), 0, collection)
    }

    /// Compares a directory that both have.
    fn directory(&self, path: &Path, depth: usize, collection: &mut Collection) -> io::Result<()> {
        if depth > DEPTH_MAX {
            collection.too_much = true;
            return Ok(());
        }
        let now: BTreeSet<OsString> = list(self.base, path)?.unwrap_or_default().into_iter().collect();
        let before = fs::read_dir(self.lower.join(path))?.map(|entry| Ok(entry?.file_name()));
        let before = before.collect::<io::Result<BTreeSet<OsString>>>()?;
        for name in now.union(&before) {
            let path = path.join(name);
            if self.is_own(&path) || collection.too_much {
                continue;
            }
            if now.contains(name) {
                self.entry(&path, before.contains(name), depth, collection)?;
            } else {
                collection.add(text(Path::new("/").join(&path).as_os_str().as_bytes()), CollectedKind::Removed);
            }
        }
        Ok(())
    }

    /// Whether the sandbox put it there, or something is mounted there that is no part of the root.
    fn is_own(&self, path: &Path) -> bool {
        let inside = Path::new("/").join(path);
        let mut others = self.plan.mounts.iter().map(Mount::target).filter(|target| *target != "/");
        SYSTEM.iter().any(|name| path == Path::new(name)) || others.any(|target| inside == Path::new(target))
    }

    fn entry(&self, path: &Path, was_there: bool, depth: usize, collection: &mut Collection) -> io::Result<()> {
        let about = File::from(open(self.base, path, libc::O_PATH | libc::O_NOFOLLOW)?);
        let now = about.metadata()?;
        // A socket is nothing without its process.
        if now.file_type().is_socket() {
            return Ok(());
        }
        let before = was_there.then(|| fs::symlink_metadata(self.lower.join(path))).transpose()?;
        if now.is_dir() && before.as_ref().is_some_and(Metadata::is_dir) {
            return self.directory(path, depth + 1, collection);
        }
        if before.is_some_and(|before| self.is_same(path, &about, &now, &before).unwrap_or(false)) {
            return Ok(());
        }
        copy(self.base, Path::new("/"), path, self.to, depth, collection)
    }

    fn is_same(&self, path: &Path, about: &File, now: &Metadata, before: &Metadata) -> io::Result<bool> {
        if now.is_symlink() && before.is_symlink() {
            let target = sys::read_link(std::os::fd::AsFd::as_fd(about))?;
            return Ok(fs::read_link(self.lower.join(path))?.as_os_str().as_bytes() == target);
        }
        let is_executable = |about: &Metadata| about.mode() & 0o100 != 0;
        if !(now.is_file() && before.is_file())
            || now.len() != before.len()
            || is_executable(now) != is_executable(before)
        {
            return Ok(false);
        }
        let ours = File::from(open(self.base, path, libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK)?);
        has_same_bytes(ours, File::open(self.lower.join(path))?)
    }
}

fn has_same_bytes(mut one: File, mut other: File) -> io::Result<bool> {
    let (mut ours, mut theirs) = (vec![0_u8; 1 << 17], vec![0_u8; 1 << 17]);
    loop {
        let count = one.read(&mut ours)?;
        if count == 0 {
            return Ok(other.read(&mut theirs)? == 0);
        }
        match other.read_exact(&mut theirs[..count]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if ours[..count] != theirs[..count] {
            return Ok(false);
        }
    }
}
