//! Who listens on a port of this machine: `/proc/net/tcp` and the descriptors of processes (proc(5)).
//!
//! ```text
//!   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
//!    0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 48917 1 …
//! ```
//!
//! Addresses are words of 32 bits as the processor keeps them, in hexadecimal; state `0A` is LISTEN.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Context, Result};
use crate::service::processes::{ProcessId, holders};

#[cfg(test)]
mod tests;

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    address: IpAddr,
    port: u16,
    user: u32,
    inode: u64,
}

/// Where a service is asked for its health, when that is on this machine's loopback interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// The addresses that its name stands for.
    addresses: Vec<IpAddr>,
    /// The port.
    pub(crate) port: u16,
}

/// Who listens there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// The processes that hold the socket; none when they may not be looked at.
    pub(crate) processes: Vec<ProcessId>,
    user: u32,
}

impl Local {
    /// Reads a URL; `None` when it leads elsewhere, where nobody can look.
    pub(crate) fn of(url: &str) -> Option<Local> {
        let authority = url.strip_prefix("http://")?.split(['/', '?', '#']).next()?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) if host == "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Err(_) => return None,
        };
        addresses.iter().all(IpAddr::is_loopback).then_some(Local { addresses, port })
    }

    fn is_served_by(&self, socket: &Socket) -> bool {
        socket.port == self.port && (socket.address.is_unspecified() || self.addresses.contains(&socket.address))
    }
}

impl Listener {
    /// `pid 812 (/usr/bin/nginx)`, or as much of it as can be known.
    pub(crate) fn text(&self) -> String {
        match self.processes.first() {
            Some(process) => format!("pid {} ({})", process.pid, process.program()),
            None => format!("a process of user {} that cannot be looked at", self.user),
        }
    }
}

/// Returns who listens where a service is to answer, in the network that process `seen_by` is in (`self` for this one).
pub(crate) fn listeners(local: &Local, seen_by: &str) -> Result<Vec<Listener>> {
    let mut sockets = Vec::new();
    for table in ["tcp", "tcp6"] {
        let path = format!("/proc/{seen_by}/net/{table}");
        match fs::read_to_string(&path) {
            Ok(text) => sockets.extend(listening(&text).filter(|socket| local.is_served_by(socket))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {} // a kernel without IPv6
            Err(error) => return Err(error).context("port", format!("reading `{path}`")),
        }
    }
    let users: BTreeSet<(u64, u32)> = sockets.iter().map(|socket| (socket.inode, socket.user)).collect();
    let listener = |(inode, user): (u64, u32)| {
        let name = format!("socket:[{inode}]");
        Listener { processes: holders(&|link, _| link.as_os_str() == name.as_str()), user }
    };
    Ok(users.into_iter().map(listener).collect())
}

fn listening(text: &str) -> impl Iterator<Item = Socket> + '_ {
    text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        if *fields.get(3)? != "0A" {
            return None;
        }
        Some(Socket {
            address: address_of(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            user: fields.get(7)?.parse().ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    })
}

fn address_of(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for word in text.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from).map(|address| address.to_canonical()),
        _ => None,
    }
}
