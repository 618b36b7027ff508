//! Archives made here, member by member, and readers of them that share no code with what is tested.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use wire::mutation::Mutator;

/// The same seed gives the same archives.
pub(super) struct Random(Mutator);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(Mutator::new(seed))
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound.max(1))
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    pub(super) fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.damage(bytes)
    }
}

/// What no rule may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) mode: u32,
    pub(super) kind: String,
    pub(super) link: Vec<u8>,
    pub(super) content: Vec<u8>,
}

/// Members by name. A name twice fails.
pub(super) type Members = BTreeMap<Vec<u8>, Kept>;

/// A member of a tar that is to be written.
#[derive(Clone)]
pub(super) struct TarMember {
    pub(super) path: String,
    pub(super) kind: tar::EntryType,
    pub(super) mode: u32,
    pub(super) link: Option<String>,
    pub(super) content: Vec<u8>,
}

/// The shapes in which tar headers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Gnu,
    Ustar,
    Pax,
}

/// When and by whom.
#[derive(Clone, Copy)]
pub(super) struct Chance {
    pub(super) mtime: u64,
    pub(super) uid: u64,
    pub(super) name: &'static str,
}

pub(super) fn tar(members: &[TarMember], shape: Shape, chance: Chance) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = if shape == Shape::Gnu { tar::Header::new_gnu() } else { tar::Header::new_ustar() };
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        header.set_mtime(chance.mtime);
        header.set_uid(chance.uid);
        header.set_gid(chance.uid);
        header.set_size(member.content.len() as u64);
        header.set_username(chance.name).expect("it fits");
        header.set_groupname(chance.name).expect("it fits");
        if shape == Shape::Pax {
            let time = format!("{}.{:09}", chance.mtime, chance.uid);
            let records = [("mtime", time.as_bytes()), ("SCHILY.xattr.user.kept", b"yes"), ("ctime", b"1.5")];
            builder.append_pax_extensions(records).expect("to memory");
        }
        match &member.link {
            Some(link) => builder.append_link(&mut header, &member.path, link).expect("to memory"),
            None => builder.append_data(&mut header, &member.path, member.content.as_slice()).expect("to memory"),
        }
    }
    builder.into_inner().expect("to memory")
}

pub(super) fn tar_members(bytes: &[u8]) -> Members {
    try_tar_members(bytes).expect("it is a tar").expect("no name twice")
}

/// Reads a tar with the `tar` crate; `None` when a name stands twice.
pub(super) fn try_tar_members(bytes: &[u8]) -> std::io::Result<Option<Members>> {
    let mut members = Members::new();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() == tar::EntryType::XGlobalHeader {
            continue; // this crate takes it for a member
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let mut xattrs = Vec::new();
        for record in entry.pax_extensions()?.into_iter().flatten() {
            let record = record?;
            if record.key_bytes().starts_with(b"SCHILY.xattr") {
                xattrs.extend_from_slice(record.value_bytes());
            }
        }
        let kept = Kept {
            mode: entry.header().mode()?,
            kind: format!("{:?} {}", entry.header().entry_type(), String::from_utf8_lossy(&xattrs)),
            link: entry.link_name_bytes().unwrap_or_default().to_vec(),
            content,
        };
        if members.insert(entry.path_bytes().to_vec(), kept).is_some() {
            return Ok(None);
        }
    }
    Ok(Some(members))
}

/// A member of a zip that is to be written.
#[derive(Clone, Default)]
pub(super) struct ZipMember {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
    pub(super) deflate: bool,
    pub(super) mode: u32,
    pub(super) dos: (u16, u16),
    pub(super) local_extra: Vec<u8>,
    pub(super) central_extra: Vec<u8>,
    /// Size of the descriptor: 0, 12, 16, 20, 24.
    pub(super) descriptor: usize,
    pub(super) zip64: bool,
}

pub(super) fn field(id: u16, value: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes(), &(value.len() as u16).to_le_bytes(), value].concat()
}

fn put(out: &mut Vec<u8>, numbers: &[(u64, usize)]) {
    for &(number, size) in numbers {
        out.extend_from_slice(&number.to_le_bytes()[..size]);
    }
}

/// Writes a zip whose directory and members stand in the given order.
pub(super) fn zip(prefix: &[u8], members: &[ZipMember], comment: &[u8]) -> Vec<u8> {
    let mut out = prefix.to_vec();
    let mut central = Vec::new();
    for member in members {
        let mut crc = Crc::new();
        crc.update(&member.content);
        let crc = u64::from(crc.sum());
        let data = if member.deflate { deflate(&member.content) } else { member.content.clone() };
        let (packed, size) = (data.len() as u64, member.content.len() as u64);
        let flags = if member.descriptor > 0 { 8 } else { 0 };
        let method = if member.deflate { 8 } else { 0 };
        let offset = out.len() as u64;
        let long = u64::from(u32::MAX);
        let mut local_extra = member.local_extra.clone();
        let mut central_extra = member.central_extra.clone();
        let (mut local, mut stated) = ((crc, packed, size), (packed, size, offset));
        if member.descriptor > 0 {
            local = (0, 0, 0);
        }
        if member.zip64 {
            local_extra.extend(field(1, &[local.2.to_le_bytes(), local.1.to_le_bytes()].concat()));
            central_extra.extend(field(1, &[size.to_le_bytes(), packed.to_le_bytes(), offset.to_le_bytes()].concat()));
            (local.1, local.2) = (long, long);
            stated = (long, long, long);
        }
        let (name, dos) = (member.name.as_bytes(), (u64::from(member.dos.0), u64::from(member.dos.1)));
        let common = [(20, 2), (flags, 2), (method, 2), (dos.0, 2), (dos.1, 2)];
        put(&mut out, &[(0x0403_4b50, 4)]);
        put(&mut out, &common);
        put(&mut out, &[(local.0, 4), (local.1, 4), (local.2, 4)]);
        put(&mut out, &[(name.len() as u64, 2), (local_extra.len() as u64, 2)]);
        out.extend_from_slice(&[name, &local_extra, &data].concat());
        let width = if member.descriptor >= 20 { 8 } else { 4 };
        if matches!(member.descriptor, 16 | 24) {
            put(&mut out, &[(0x0807_4b50, 4)]);
        }
        if member.descriptor > 0 {
            put(&mut out, &[(crc, 4), (packed, width), (size, width)]);
        }
        put(&mut central, &[(0x0201_4b50, 4), (0x031e, 2)]);
        put(&mut central, &common);
        put(&mut central, &[(crc, 4), (stated.0, 4), (stated.1, 4), (name.len() as u64, 2)]);
        put(&mut central, &[(central_extra.len() as u64, 2), (0, 2), (0, 2), (0, 2)]);
        put(&mut central, &[(u64::from(member.mode) << 16, 4), (stated.2, 4)]);
        central.extend_from_slice(&[name, &central_extra].concat());
    }
    let (start, size, count) = (out.len() as u64, central.len() as u64, members.len() as u64);
    out.extend_from_slice(&central);
    let zip64 = members.iter().any(|member| member.zip64);
    if zip64 {
        let at = out.len() as u64;
        put(&mut out, &[(0x0606_4b50, 4), (44, 8), (0x031e, 2), (45, 2), (0, 4), (0, 4)]);
        put(&mut out, &[(count, 8), (count, 8), (size, 8), (start, 8)]);
        put(&mut out, &[(0x0706_4b50, 4), (0, 4), (at, 8), (1, 4)]);
    }
    let start = if zip64 { u64::from(u32::MAX) } else { start };
    put(&mut out, &[(0x0605_4b50, 4), (0, 4), (count, 2), (count, 2), (size, 4), (start, 4)]);
    put(&mut out, &[(comment.len() as u64, 2)]);
    out.extend_from_slice(comment);
    out
}

fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("to memory");
    encoder.finish().expect("to memory")
}

/// Reads a zip through its directory, and unpacks every member.
pub(super) fn zip_members(bytes: &[u8]) -> (Members, Vec<String>) {
    let number = |at: usize, size: usize| {
        bytes[at..at + size].iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte)) as usize
    };
    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").expect("an end");
    let (mut at, mut count) = (number(end + 16, 4), number(end + 10, 2));
    if at == u32::MAX as usize {
        let record = number(end - 20 + 8, 8);
        (at, count) = (number(record + 48, 8), number(record + 32, 8));
    }
    let (mut members, mut order) = (Members::new(), Vec::new());
    for _ in 0..count {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        let [name, extra, comment] = [28, 30, 32].map(|field| number(at + field, 2));
        let (mut size, mut packed, mut offset) = (number(at + 24, 4), number(at + 20, 4), number(at + 42, 4));
        if offset == u32::MAX as usize {
            let long = bytes[at + 46 + name..].windows(4).position(|window| window == [1, 0, 24, 0]).expect("long");
            let long = at + 46 + name + long + 4;
            (size, packed, offset) = (number(long, 8), number(long + 8, 8), number(long + 16, 8));
        }
        let data = offset + 30 + number(offset + 26, 2) + number(offset + 28, 2);
        let raw = &bytes[data..data + packed];
        let content = match number(at + 10, 2) {
            0 => raw.to_vec(),
            _ => {
                let mut content = Vec::new();
                flate2::read::DeflateDecoder::new(raw).read_to_end(&mut content).expect("deflated");
                content
            }
        };
        assert_eq!(content.len(), size);
        let path = bytes[at + 46..at + 46 + name].to_vec();
        assert_eq!(path, bytes[offset + 30..offset + 30 + name], "both headers name it alike");
        order.push(String::from_utf8_lossy(&path).into_owned());
        let kind = format!("{:02x?} raw {raw:02x?}", &bytes[at + 4..at + 10]);
        let kept = Kept { mode: number(at + 38, 4) as u32, kind, link: Vec::new(), content };
        assert_eq!(members.insert(path, kept), None, "a name twice");
        at += 46 + name + extra + comment;
    }
    (members, order)
}

/// An ar with GNU's short names; times, owners and modes as given.
pub(super) fn ar(members: &[(&str, &[u8])], mtime: u64, owner: u64) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let header = format!("{name:<16}{mtime:<12}{owner:<6}{owner:<6}{:<8}{:<10}`\n", "100644", content.len());
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(content);
        if content.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}
