//! Which file a tracee means: from a descriptor, a working directory and a path to one absolute path without links.
//!
//! A successful open is asked of the kernel (`/proc/PID/fd/N`), so the answer is what was opened, whatever the program's memory says.
//! A changed path is resolved up to its last name in the root of the sandbox; a failed one is only tidied, for there is nothing to ask.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libc::pid_t;
use wire::digest::{Algorithm, Digest, Hasher};

use super::record::{Program, text};
use crate::sys;

#[cfg(test)]
mod tests;

/// How the kernel names a file that is in memory alone.
const MEMORY: &str = "/memfd:";
/// Programs are some megabytes; the tracer stands still while it reads one.
const MEMORY_PROGRAM_BYTES_MAX: u64 = 512 << 20;
/// What the kernel appends to the name of a file that was removed.
const DELETED: &[u8] = b" (deleted)";

/// Returns what a descriptor of a tracee stands for; `None` if that is no path (a pipe, a socket).
pub(super) fn descriptor(pid: pid_t, number: i64, asked: &[u8]) -> io::Result<Option<String>> {
    let link = std::fs::read_link(format!("/proc/{pid}/fd/{number}"))?;
    let bytes = link.as_os_str().as_bytes();
    Ok(bytes.starts_with(b"/").then(|| text(without_deleted(bytes, asked))))
}

fn without_deleted<'a>(bytes: &'a [u8], asked: &[u8]) -> &'a [u8] {
    match bytes.strip_suffix(DELETED) {
        Some(stripped) if !asked.ends_with(DELETED) => stripped,
        _ => bytes,
    }
}

/// Returns the absolute path that a call names, tidied but with its links.
pub(super) fn absolute(pid: pid_t, directory: Option<u64>, path: &[u8]) -> io::Result<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path));
    if path.is_absolute() {
        return Ok(tidy(path));
    }
    let from = match directory.map(|number| number as i32) {
        None | Some(libc::AT_FDCWD) => format!("/proc/{pid}/cwd"),
        Some(number) => format!("/proc/{pid}/fd/{number}"),
    };
    Ok(tidy(&std::fs::read_link(from)?.join(path)))
}

/// Removes `.`, `..` and doubled slashes by text alone.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => tidied.push(name),
            std::path::Component::ParentDir => {
                tidied.pop();
            }
            _ => {}
        }
    }
    tidied
}

/// Returns the path with the links on its way resolved, and with its last name's too if `follow`.
pub(super) fn resolved(root: &OwnedFd, path: &Path, follow: bool) -> String {
    let whole = || resolve(root, path);
    let parent = || Some(resolve(root, path.parent()?)?.join(path.file_name()?));
    let found = if follow { whole().or_else(parent) } else { parent() };
    text(found.as_deref().unwrap_or(path).as_os_str().as_bytes())
}

/// Returns the resolved path of a socket.
pub(super) fn socket(root: &OwnedFd, path: &Path) -> Option<String> {
    use std::os::unix::fs::FileTypeExt;
    let opened = std::fs::File::from(sys::open_in_root(root.as_fd(), path, libc::O_PATH).ok()?);
    if !opened.metadata().ok()?.file_type().is_socket() {
        return None;
    }
    let link = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).ok()?;
    Some(text(link.as_os_str().as_bytes()))
}

fn resolve(root: &OwnedFd, path: &Path) -> Option<PathBuf> {
    let opened = sys::open_in_root(root.as_fd(), path, libc::O_PATH).ok()?;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).ok()?;
    link.is_absolute().then_some(link)
}

/// Reads what `/proc` tells about a program that just started. One in memory alone is named with the digest of its bytes:
/// `/memfd:name (sha256:…)`.
pub(super) fn program(pid: pid_t) -> io::Result<Program> {
    let of = |name: &str| format!("/proc/{pid}/{name}");
    let link =
        |name: &str| std::fs::read_link(of(name)).map(|path| text(without_deleted(path.as_os_str().as_bytes(), b"")));
    let mut exe = link("exe")?;
    if exe.starts_with(MEMORY) {
        exe = format!("{exe} ({})", digest(&of("exe"))?);
    }
    Ok(Program {
        exe,
        argv: strings(&std::fs::read(of("cmdline"))?),
        cwd: link("cwd")?,
        variables: strings(&std::fs::read(of("environ"))?).into_iter().map(variable).collect(),
    })
}

fn digest(path: &str) -> io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    if file.metadata()?.len() > MEMORY_PROGRAM_BYTES_MAX {
        return Err(io::Error::other("a program in memory that is too large to be digested"));
    }
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut piece = vec![0_u8; 1 << 17];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&piece[..count]),
        }
    }
}

/// Returns the file that a program begins in when that is not the program itself: the loader, which no system call opened.
pub(super) fn loader(pid: pid_t, exe: &str) -> io::Result<Option<String>> {
    let begins = sys::trace::registers(pid)?.rip;
    let maps = std::fs::read(format!("/proc/{pid}/maps"))?;
    let line = maps.split(|&byte| byte == b'\n').find(|line| range(line).is_some_and(|range| range.contains(&begins)));
    let line = line.ok_or_else(|| io::Error::other("it begins in no map"))?;
    // The sixth field is the path; the kernel writes a newline in it as `\012`.
    let path = line.iter().position(|&byte| byte == b'/').map(|at| text(without_deleted(&line[at..], b"")));
    Ok(path.filter(|path| path != exe && !path.starts_with(MEMORY)))
}

fn range(line: &[u8]) -> Option<std::ops::Range<u64>> {
    let line = std::str::from_utf8(line.split(|&byte| byte == b' ').next()?).ok()?;
    let (start, end) = line.split_once('-')?;
    Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
}

fn strings(bytes: &[u8]) -> Vec<String> {
    let Some(bytes) = bytes.strip_suffix(b"\0") else {
        return if bytes.is_empty() { Vec::new() } else { bytes.split(|&byte| byte == 0).map(text).collect() };
    };
    bytes.split(|&byte| byte == 0).map(text).collect()
}

fn variable(entry: String) -> (String, String) {
    entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap_or((entry, String::new()))
}

/// Returns the thread group of a task, and the number that its own namespace knows it by.
pub(super) fn inner_pid(pid: pid_t) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

/// Returns the bytes of memory that a process holds for itself.
pub(super) fn private_bytes(pid: pid_t) -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let pages = |text: &str, index| text.split_whitespace().nth(index).and_then(|word| word.parse::<u64>().ok());
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let resident = pages(&statm, 1).unwrap_or(0);
    resident.saturating_sub(pages(&statm, 2).unwrap_or(0)) * PAGE_BYTES
}
