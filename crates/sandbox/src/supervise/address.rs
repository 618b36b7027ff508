//! Socket addresses as a tracee passes them: bytes to words.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use super::calls::family;

#[cfg(test)]
mod tests;

/// The kernel takes no longer address.
pub(super) const ADDRESS_MAX: usize = 128;

/// An address that is not of this machine's own kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Internet {
    /// `192.0.2.1:443`, or the family.
    pub(super) address: String,
    /// Reaches no further than the sandbox's own loopback.
    pub(super) loopback: bool,
}

/// Reads a `struct sockaddr`; `None` for Unix sockets, netlink, and "no address".
pub(super) fn internet(bytes: &[u8]) -> Option<Internet> {
    let number = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    match i32::from(number) {
        libc::AF_UNSPEC | libc::AF_UNIX | libc::AF_NETLINK => None,
        libc::AF_INET => Some(version_4(bytes).unwrap_or_else(|| unreadable(number))),
        libc::AF_INET6 => Some(version_6(bytes).unwrap_or_else(|| unreadable(number))),
        _ => Some(unreadable(number)),
    }
}

/// Returns the path of a Unix socket's address; `None` for one without a path, and for other families.
pub(super) fn unix_path(bytes: &[u8]) -> Option<&[u8]> {
    let (family, path) = bytes.split_at_checked(2)?;
    let path = path.split(|&byte| byte == 0).next()?;
    (family == (libc::AF_UNIX as u16).to_ne_bytes() && !path.is_empty()).then_some(path)
}

fn version_4(bytes: &[u8]) -> Option<Internet> {
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let ip = Ipv4Addr::from(octets);
    let loopback = ip.is_loopback() || ip.is_unspecified();
    Some(Internet { address: SocketAddrV4::new(ip, port).to_string(), loopback })
}

fn version_6(bytes: &[u8]) -> Option<Internet> {
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
    let ip = Ipv6Addr::from(octets);
    let mapped = ip.to_ipv4_mapped();
    let loopback = ip.is_loopback() || ip.is_unspecified() || mapped.is_some_and(|ip| ip.is_loopback());
    Some(Internet { address: SocketAddrV6::new(ip, port, 0, 0).to_string(), loopback })
}

fn unreadable(number: u16) -> Internet {
    Internet { address: family(u32::from(number)), loopback: false }
}
