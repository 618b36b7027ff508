//! The mount calls that take descriptors (kernel 5.2 and 5.12); see `mount_setattr(2)`, `open_tree(2)`, `fsopen(2)`.

use std::ffi::CStr;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use libc::{c_int, c_long, c_uint};

use super::{c_path, check};

const OPEN_TREE_CLONE: c_uint = 1;
const FSOPEN_CLOEXEC: c_uint = 1;
const FSMOUNT_CLOEXEC: c_uint = 1;
const FSCONFIG_SET_STRING: c_uint = 1;
const FSCONFIG_CMD_CREATE: c_uint = 6;
const MOVE_MOUNT_F_EMPTY_PATH: c_uint = 4;

/// Attributes of a mount.
pub(crate) const READ_ONLY: u64 = 0x1;
pub(crate) const NO_SUID: u64 = 0x2;
pub(crate) const NO_DEV: u64 = 0x4;
pub(crate) const NO_EXEC: u64 = 0x8;

fn owned(result: c_long) -> io::Result<OwnedFd> {
    // SAFETY: the kernel gave this descriptor to us alone.
    check(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// Clones the mount of a path, with the mounts below it, detached.
pub(crate) fn open_tree(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let flags = OPEN_TREE_CLONE | libc::AT_RECURSIVE as c_uint | libc::O_CLOEXEC as c_uint;
    // SAFETY: the path ends with zero.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Makes a new file system, detached.
pub(crate) fn new_file_system(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> io::Result<OwnedFd> {
    // SAFETY: all strings end with zero.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
    for (name, value) in options {
        // SAFETY: all strings end with zero.
        check(unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                context.as_raw_fd(),
                FSCONFIG_SET_STRING,
                name.as_ptr(),
                value.as_ptr(),
                0,
            )
        })?;
    }
    // SAFETY: the command takes no strings.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, 0, 0, 0) })?;
    // SAFETY: plain numbers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, attributes as c_uint) })
}

/// Attaches a detached mount at a path.
pub(crate) fn attach(mount: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: strings end with zero.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Adds attributes to a mount and all mounts below it.
pub(crate) fn restrict(mount: BorrowedFd<'_>, set: u64) -> io::Result<()> {
    let attributes = Attributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    set_attributes(mount.as_raw_fd(), c"", libc::AT_EMPTY_PATH | libc::AT_RECURSIVE, &attributes)
}

/// Adds attributes to the one mount at a path.
pub(crate) fn restrict_path(path: &CStr, set: u64) -> io::Result<()> {
    set_attributes(libc::AT_FDCWD, path, 0, &Attributes { set, clear: 0, propagation: 0, user_namespace: 0 })
}

/// Cuts this namespace's mounts off from the outer one's changes.
pub(crate) fn make_private() -> io::Result<()> {
    let attributes = Attributes { set: 0, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    set_attributes(libc::AT_FDCWD, c"/", libc::AT_RECURSIVE, &attributes)
}

fn set_attributes(fd: c_int, path: &CStr, flags: c_int, attributes: &Attributes) -> io::Result<()> {
    // SAFETY: the size is the structure's; the path ends with zero.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            path.as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<Attributes>(),
        )
    })
    .map(drop)
}

/// Makes the working directory, a mount point, the root, and drops everything that was visible before.
pub(crate) fn pivot_here() -> io::Result<()> {
    // SAFETY: strings end with zero.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    // SAFETY: strings end with zero.
    check(c_long::from(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) }))?;
    std::env::set_current_dir("/")
}
