//! A member in the file: its local header, its data, and perhaps a descriptor behind them.

use std::io::Write;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::super::{NormaliseError, Report, Source, expanded};
use super::directory::{Entry, u16_at, u32_at, u64_at};
use super::extra::{self, Long};

const LOCAL_BYTES: usize = 30;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Writes one member, edits its entry of the directory, and returns how many bytes were written.
pub(super) fn rewrite(
    input: &mut dyn Source,
    entry: &mut Entry,
    dos: (u16, u16),
    bytes_max: u64,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<u64, NormaliseError> {
    let (at, path) = (entry.offset, entry.path());
    let mut exact = |bytes: &mut [u8]| input.read_exact(bytes).map_err(|e| NormaliseError::reading(e, at, &path));
    let mut fixed = [0; LOCAL_BYTES];
    exact(&mut fixed)?;
    let mut name = vec![0; usize::from(u16_at(&fixed, 26))];
    exact(&mut name)?;
    let mut fields = vec![0; usize::from(u16_at(&fixed, 28))];
    exact(&mut fields)?;
    let described = agree(&fixed, &name, &fields, entry)?;
    let (kept, mut dropped) = extra::without_chance(&fields, at, &path)?;
    let (central, also) = extra::without_chance(&entry.extra, at, &path)?;
    dropped.extend(also);
    entry.extra = central;
    let same_time = (u16_at(&fixed, 10), u16_at(&fixed, 12)) == dos;
    let total = report.changes.total();
    entry.set_time(dos, report);
    if !same_time && report.changes.total() == total {
        report.change(&path, "time", "another in its local header", "the epoch");
    }
    dropped.sort_by_key(|field| field.field); // stable: the local header's value, which is the fuller one, stays first
    dropped.dedup_by_key(|field| field.field);
    for field in dropped {
        report.change(&path, field.field, &field.value, "");
    }
    fixed[10..12].copy_from_slice(&dos.0.to_le_bytes());
    fixed[12..14].copy_from_slice(&dos.1.to_le_bytes());
    fixed[28..30].copy_from_slice(&(kept.len() as u16).to_le_bytes());
    let header = [fixed.as_slice(), &name, &kept].concat();
    out.write_all(&header).map_err(NormaliseError::Write)?;
    data(input, entry, bytes_max, out)?;
    let data_end = at + (LOCAL_BYTES + name.len() + fields.len()) as u64 + entry.packed;
    let behind = entry.end.checked_sub(data_end).unwrap_or(u64::MAX);
    let descriptor = descriptor(input, entry, described, behind, data_end)?;
    out.write_all(&descriptor).map_err(NormaliseError::Write)?;
    Ok((header.len() + descriptor.len()) as u64 + entry.packed)
}

/// Compares the two descriptions of a member; whether a third follows the data.
fn agree(fixed: &[u8], name: &[u8], fields: &[u8], entry: &Entry) -> Result<bool, NormaliseError> {
    let (at, path) = (entry.offset, entry.path());
    let damaged = |what: &str| NormaliseError::damaged(at, &path, what);
    if &fixed[..4] != b"PK\x03\x04" {
        return Err(damaged("no member begins where the directory says"));
    }
    if name != entry.name {
        return Err(damaged("the directory calls the member otherwise than its header"));
    }
    if u16_at(fixed, 8) != entry.method() || u16_at(fixed, 6) != entry.flags() {
        return Err(damaged("method or flags in the directory are not those of the member's header"));
    }
    if !matches!(entry.method(), STORED | DEFLATED) {
        let what = format!("compression method {}: only stored and deflated members are read", entry.method());
        return Err(NormaliseError::unsupported(at, &path, what));
    }
    let described = entry.flags() & 8 != 0;
    let long = Long::read(fields, at, &path)?;
    let size = long.or(u32_at(fixed, 22), at, &path)?;
    let packed = long.or(u32_at(fixed, 18), at, &path)?;
    let crc = u32_at(fixed, 14);
    let same = (crc, packed, size) == (entry.crc(), entry.packed, entry.size);
    let blank = crc == 0 && [0, u64::from(u32::MAX)].contains(&packed) && [0, u64::from(u32::MAX)].contains(&size);
    let left_to_the_descriptor = described && blank;
    if !same && !left_to_the_descriptor {
        return Err(damaged("checksum or sizes in the directory are not those of the member's header"));
    }
    Ok(described)
}

/// Copies the packed data, and compares size and checksum of what it unpacks to.
fn data(input: &mut dyn Source, entry: &Entry, bytes_max: u64, out: &mut dyn Write) -> Result<(), NormaliseError> {
    let (at, path) = (entry.offset, entry.path());
    let mut decompress = Decompress::new(false);
    let mut crc = Crc::new();
    let mut unpacked = vec![0; 64 * 1024];
    let mut packed = vec![0; 32 * 1024];
    let (mut left, mut size, mut ended) = (entry.packed, 0_u64, false);
    while left > 0 {
        let part = &mut packed[..left.min(32 * 1024) as usize];
        input.read_exact(part).map_err(|error| NormaliseError::reading(error, at, &path))?;
        out.write_all(part).map_err(NormaliseError::Write)?;
        left -= part.len() as u64;
        if entry.method() == STORED {
            crc.update(part);
            size += part.len() as u64;
            continue;
        }
        let mut part = &*part;
        loop {
            let (read, written) = (decompress.total_in(), decompress.total_out());
            let status = decompress
                .decompress(part, &mut unpacked, FlushDecompress::None)
                .map_err(|_| NormaliseError::damaged(at, &path, "malformed compressed data"))?;
            let written = (decompress.total_out() - written) as usize;
            part = &part[(decompress.total_in() - read) as usize..];
            crc.update(&unpacked[..written]);
            size += written as u64;
            if size > entry.size.min(bytes_max) || expanded(entry.packed, size) {
                return Err(NormaliseError::damaged(at, &path, "the member unpacks to more than it may"));
            }
            ended |= status == Status::StreamEnd;
            if ended && !(part.is_empty() && left == 0) {
                return Err(NormaliseError::damaged(at, &path, "bytes after the end of the compressed data"));
            }
            if ended || (part.is_empty() && written < unpacked.len()) {
                break;
            }
        }
    }
    if size != entry.size || crc.sum() != entry.crc() || (entry.method() == DEFLATED && !ended) {
        return Err(NormaliseError::damaged(at, &path, "the content does not have its checksum and size"));
    }
    Ok(())
}

/// Reads what stands between data and next member: nothing, or a descriptor in one of its four forms.
fn descriptor(
    input: &mut dyn Source,
    entry: &Entry,
    described: bool,
    length: u64,
    at: u64,
) -> Result<Vec<u8>, NormaliseError> {
    let path = entry.path();
    let fits = if described { matches!(length, 12 | 16 | 20 | 24) } else { length == 0 };
    if !fits {
        return Err(NormaliseError::damaged(at, &path, "bytes behind the member that nothing accounts for"));
    }
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes).map_err(|error| NormaliseError::reading(error, at, &path))?;
    let numbers = if matches!(length, 16 | 24) { bytes.strip_prefix(b"PK\x07\x08") } else { Some(bytes.as_slice()) };
    let right = match numbers {
        _ if !described => true,
        None => false,
        Some(numbers) if numbers.len() == 12 => {
            let sizes = (u64::from(u32_at(numbers, 4)), u64::from(u32_at(numbers, 8)));
            (u32_at(numbers, 0), sizes) == (entry.crc(), (entry.packed, entry.size))
        }
        Some(numbers) => {
            let sizes = (u64_at(numbers, 4), u64_at(numbers, 12));
            (u32_at(numbers, 0), sizes) == (entry.crc(), (entry.packed, entry.size))
        }
    };
    if right { Ok(bytes) } else { Err(NormaliseError::damaged(at, &path, "the descriptor contradicts the directory")) }
}
