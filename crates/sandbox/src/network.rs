//! A network of its own for a process that is no plan's: only the loopback interface, where every port is free.
//!
//! References: `network_namespaces(7)`, `user_namespaces(7)`, `setns(2)`. Both functions change the calling process for good and need
//! it to have a single thread; what it starts afterwards is in the same network.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;

use crate::sys;

/// Leaves the machine's network for an empty one with loopback up. An ordinary user gets a user namespace as well, in which
/// nothing but its own user and group is known.
///
/// After an error the process may be in a half-made network: end it.
pub fn own() -> io::Result<()> {
    let (user, group) = (sys::user_id(), sys::group_id());
    if sys::unshare(libc::CLONE_NEWNET).is_err() {
        sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1\n"))?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1\n"))?;
    }
    sys::loopback_up()
}

/// Enters the network of another process, which the caller must own.
pub fn join(pid: u32) -> io::Result<()> {
    let theirs = |kind: &str| format!("/proc/{pid}/ns/{kind}");
    let network = File::open(theirs("net"))?;
    if fs::read_link(theirs("user"))? != fs::read_link("/proc/self/ns/user")? {
        sys::enter_namespace(File::open(theirs("user"))?.as_fd(), libc::CLONE_NEWUSER)?;
    }
    sys::enter_namespace(network.as_fd(), libc::CLONE_NEWNET)
}
