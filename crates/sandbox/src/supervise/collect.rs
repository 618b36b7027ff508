//! Copies what a plan wants out of the sandbox, after its processes have ended.
//!
//! Every path is opened below the writable mount that it lies in, and no link on the way is followed (`openat2(2)`): a link that a step
//! left behind cannot lead the supervisor, which sees the host, anywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wire::digest::{Algorithm, Hasher};

use super::record::text;
use crate::error::Failure;
use crate::outcome::{Collected, CollectedKind};
use crate::plan::{Collect, Plan};
use crate::sys;

mod changes;
#[cfg(test)]
mod tests;

use changes::Changes;

/// More entries than any artifact has; with the byte limit this bounds the work.
const ENTRIES_MAX: usize = 1_000_000;
/// Directories deeper than this are no artifact; it also bounds the stack.
const DEPTH_MAX: usize = 128;

/// What came of it.
#[derive(Default)]
pub(super) struct Collection {
    pub(super) collected: Vec<Collected>,
    /// Paths that were declared, not optional, and are not there.
    pub(super) absent: Vec<String>,
    /// There was more than the limits allow.
    pub(super) too_much: bool,
    bytes_left: u64,
    seen: BTreeSet<PathBuf>,
}

/// Where to copy from and to.
pub(super) struct Place<'a> {
    /// The root of the sandbox.
    pub(super) root: BorrowedFd<'a>,
    /// What stands before paths inside, below that root (`trace-only`'s scratch directory).
    pub(super) prefix: &'a str,
    /// The host directory that receives.
    pub(super) to: &'a Path,
    /// Where the sources of the plan lie: what a root is compared with.
    pub(super) sources: &'a BTreeMap<String, PathBuf>,
}

/// Copies everything that the plan wants in this case.
pub(super) fn collect(plan: &Plan, place: &Place<'_>, has_failed: bool) -> Result<Collection, Failure> {
    let mut collection = Collection { bytes_left: plan.limits.collect_bytes, ..Collection::default() };
    for one in plan.collect.iter().filter(|one| !has_failed || one.after_failure) {
        collect_one(plan, place, one, &mut collection)
            .map_err(|error| Failure::setup("collecting", &one.path, error))?;
        if collection.too_much {
            break;
        }
    }
    Ok(collection)
}

fn collect_one(plan: &Plan, place: &Place<'_>, one: &Collect, collection: &mut Collection) -> io::Result<()> {
    let mount = plan.writable_above(&one.path).map_or("/", |mount| mount.target());
    let base = format!("{}{mount}", place.prefix);
    let base = sys::open_in_root(place.root, Path::new(&base), libc::O_PATH | libc::O_DIRECTORY)?;
    if let (Some(source), "/") = (plan.root_source(), one.path.as_str()) {
        let lower = place.sources.get(source).cloned().unwrap_or_default();
        return Changes { plan, base: &base, lower: &lower, to: place.to }.collect(collection);
    }
    let below = Path::new(one.path[mount.len()..].trim_start_matches('/'));
    let found = expand(&base, below)?;
    if found.is_empty() && !one.optional {
        collection.absent.push(one.path.clone());
    }
    for path in found {
        copy(&base, Path::new(mount), &path, place.to, 0, collection)?;
    }
    Ok(())
}

/// Returns the paths below `base` that a pattern means, sorted; none if nothing is there.
fn expand(base: &OwnedFd, pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.iter() {
        let mut next = Vec::new();
        for above in &found {
            if !is_pattern(part.as_bytes()) {
                next.push(above.join(part));
                continue;
            }
            let names = list(base, above)?.unwrap_or_default();
            next.extend(
                names.iter().filter(|name| matches(part.as_bytes(), name.as_bytes())).map(|name| above.join(name)),
            );
        }
        found = next;
    }
    let is_there = |path: &PathBuf| open(base, path, libc::O_PATH | libc::O_NOFOLLOW).is_ok();
    Ok(found.into_iter().filter(is_there).collect())
}

fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'*' | b'?'))
}

/// Whether a name matches a pattern of `*` and `?`; a leading dot is nothing special.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on after the last `*`, and the name it has eaten up to.
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((after, eaten)) = star else { return false };
                star = Some((after, eaten + 1));
                (at, seen) = (after, eaten + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

fn open(base: &OwnedFd, path: &Path, flags: i32) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    sys::open_beneath(base.as_fd(), path, flags)
}

/// Lists a directory, sorted; `None` if there is none.
fn list(base: &OwnedFd, path: &Path) -> io::Result<Option<Vec<std::ffi::OsString>>> {
    let directory = match open(base, path, libc::O_RDONLY | libc::O_DIRECTORY) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => {
            return Ok(None);
        }
        other => other?,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))? {
        names.push(entry?.file_name());
        if names.len() > ENTRIES_MAX {
            return Err(io::Error::other("too many entries"));
        }
    }
    names.sort();
    Ok(Some(names))
}

fn copy(
    base: &OwnedFd,
    mount: &Path,
    path: &Path,
    to: &Path,
    depth: usize,
    collection: &mut Collection,
) -> io::Result<()> {
    let inside = if path.as_os_str().is_empty() { mount.to_owned() } else { mount.join(path) };
    if collection.too_much || !collection.seen.insert(inside.clone()) {
        return Ok(());
    }
    if depth > DEPTH_MAX || collection.seen.len() > ENTRIES_MAX {
        collection.too_much = true;
        return Ok(());
    }
    let outside = to.join(inside.strip_prefix("/").unwrap_or(&inside));
    if let Some(above) = outside.parent() {
        fs::create_dir_all(above)?;
    }
    let about = open(base, path, libc::O_PATH | libc::O_NOFOLLOW)?;
    let metadata = File::from(about.try_clone()?).metadata()?;
    let name = text(inside.as_os_str().as_bytes());
    if metadata.is_symlink() {
        let target = sys::read_link(about.as_fd())?;
        std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(&target), &outside)?;
        collection.add(name, CollectedKind::Link { to: text(&target) });
    } else if metadata.is_dir() {
        match fs::create_dir(&outside) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => collection.add(name, CollectedKind::Directory),
        }
        for entry in list(base, path)?.unwrap_or_default() {
            copy(base, mount, &path.join(entry), to, depth + 1, collection)?;
        }
    } else if metadata.is_file() {
        let executable = metadata.mode() & 0o100 != 0;
        let kind = copy_file(base, path, &outside, executable, collection)?;
        collection.add(name, kind);
    } else {
        return Err(io::Error::other(format!("`{name}` is neither file, directory nor link")));
    }
    Ok(())
}

fn copy_file(
    base: &OwnedFd,
    path: &Path,
    outside: &Path,
    executable: bool,
    collection: &mut Collection,
) -> io::Result<CollectedKind> {
    let mut from = File::from(open(base, path, libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK)?);
    let mut to = File::options().write(true).create_new(true).open(outside)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut piece = vec![0_u8; 1 << 17];
    let mut size = 0_u64;
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            break;
        }
        let Some(left) = collection.bytes_left.checked_sub(count as u64) else {
            collection.too_much = true;
            break;
        };
        collection.bytes_left = left;
        hasher.update(&piece[..count]);
        to.write_all(&piece[..count])?;
        size += count as u64;
    }
    to.set_permissions(Permissions::from_mode(if executable { 0o755 } else { 0o644 }))?;
    Ok(CollectedKind::File { digest: hasher.finish(), size, executable })
}

impl Collection {
    fn add(&mut self, path: String, kind: CollectedKind) {
        self.collected.push(Collected { path, kind });
    }
}
