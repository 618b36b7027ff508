//! The central directory: where members lie, edited in place and written anew.

use std::io::{SeekFrom, Write};

use super::super::{NormaliseError, Report, Settings, Source, date};
use super::extra;

const END: &[u8; 4] = b"PK\x05\x06";
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const END64_BYTES: u64 = 56;
const CENTRAL_BYTES: usize = 46;

/// What an archive's end says.
pub(super) struct Directory {
    /// Bytes in front of the first member: a start script, as of a zipapp; kept.
    pub(super) prefix_bytes: u64,
    /// The members in the directory's order.
    pub(super) entries: Vec<Entry>,
    /// Size of the whole archive.
    pub(super) bytes: u64,
    end: Vec<u8>,
    zip64: Option<([u8; END64_BYTES as usize], [u8; LOCATOR_BYTES as usize])>,
}

/// One member, as the directory describes it.
pub(super) struct Entry {
    fixed: [u8; CENTRAL_BYTES],
    pub(super) name: Vec<u8>,
    pub(super) extra: Vec<u8>,
    comment: Vec<u8>,
    /// Where its local header begins.
    pub(super) offset: u64,
    /// Where its last byte ends: the next member, or the directory.
    pub(super) end: u64,
    /// Size of its data as it stands in the archive, and unpacked.
    pub(super) packed: u64,
    pub(super) size: u64,
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

impl Directory {
    /// Reads the directory, and checks that it accounts for every byte of the archive.
    pub(super) fn read(input: &mut dyn Source, settings: &Settings) -> Result<Directory, NormaliseError> {
        let bytes = input.seek(SeekFrom::End(0)).map_err(NormaliseError::Read)?;
        let (end_at, end) = end(input, bytes)?;
        let zip64 = zip64(input, end_at)?;
        let (mut count, mut size, mut start) =
            (u64::from(u16_at(&end, 10)), u64::from(u32_at(&end, 12)), u64::from(u32_at(&end, 16)));
        if u16_at(&end, 4) != 0 || u16_at(&end, 6) != 0 || u16_at(&end, 8) != u16_at(&end, 10) {
            return Err(NormaliseError::unsupported(end_at, "", "an archive in several parts"));
        }
        let mut directory_end = end_at;
        if let Some((record, _)) = &zip64 {
            let differs = |short: u64, long: u64, max: u64| short != max && short != long;
            let long = (u64_at(record, 32), u64_at(record, 40), u64_at(record, 48));
            if differs(count, long.0, 0xffff)
                || differs(size, long.1, 0xffff_ffff)
                || differs(start, long.2, 0xffff_ffff)
            {
                return Err(NormaliseError::damaged(end_at, "", "the two ends of the directory contradict each other"));
            }
            (count, size, start) = long;
            directory_end = end_at - LOCATOR_BYTES - END64_BYTES;
        }
        if start.checked_add(size) != Some(directory_end) {
            let what = "the directory does not lie where the end says: bytes were put in front of or into the archive";
            return Err(NormaliseError::damaged(end_at, "", what));
        }
        let limits = &settings.limits;
        if count > limits.members_max as u64 {
            let max = limits.members_max as u64;
            return Err(NormaliseError::Limit { at: start, path: String::new(), what: "members", max });
        }
        if size > limits.memory_bytes_max {
            let max = limits.memory_bytes_max;
            return Err(NormaliseError::Limit { at: start, path: String::new(), what: "bytes of directory", max });
        }
        let mut entries = entries(input, start, size, count)?;
        let prefix_bytes = claim(input, &mut entries, start, settings)?;
        Ok(Directory { prefix_bytes, entries, bytes, end, zip64 })
    }

    /// Writes the directory and the end, where `at` is the place of the directory.
    pub(super) fn write(mut self, at: u64, out: &mut dyn Write) -> Result<(), NormaliseError> {
        let mut bytes = Vec::new();
        for entry in &self.entries {
            let mut fixed = entry.fixed;
            fixed[30..32].copy_from_slice(&(entry.extra.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&fixed);
            bytes.extend_from_slice(&entry.name);
            bytes.extend_from_slice(&entry.extra);
            bytes.extend_from_slice(&entry.comment);
        }
        let size = bytes.len() as u64;
        if let Some((record, locator)) = &mut self.zip64 {
            record[40..48].copy_from_slice(&size.to_le_bytes());
            record[48..56].copy_from_slice(&at.to_le_bytes());
            locator[8..16].copy_from_slice(&(at + size).to_le_bytes());
            bytes.extend_from_slice(record);
            bytes.extend_from_slice(locator);
        }
        for (range, value) in [(12..16, size), (16..20, at)] {
            if self.zip64.is_none() || self.end[range.clone()] != [0xff; 4] {
                // Neither grows, so that what fitted before fits now.
                self.end[range].copy_from_slice(&(value as u32).to_le_bytes());
            }
        }
        bytes.extend_from_slice(&self.end);
        out.write_all(&bytes).map_err(NormaliseError::Write)
    }
}

impl Entry {
    pub(super) fn flags(&self) -> u16 {
        u16_at(&self.fixed, 8)
    }

    pub(super) fn method(&self) -> u16 {
        u16_at(&self.fixed, 10)
    }

    pub(super) fn crc(&self) -> u32 {
        u32_at(&self.fixed, 16)
    }

    /// Sets the time; notes it as the member's.
    pub(super) fn set_time(&mut self, (clock, day): (u16, u16), report: &mut Report) {
        let old = (u16_at(&self.fixed, 12), u16_at(&self.fixed, 14));
        if old != (clock, day) {
            let path = self.path();
            report.change(&path, "time", date::dos_text(old.0, old.1), date::dos_text(clock, day));
            self.fixed[12..14].copy_from_slice(&clock.to_le_bytes());
            self.fixed[14..16].copy_from_slice(&day.to_le_bytes());
        }
    }

    /// Notes where it lies now.
    pub(super) fn moved(&mut self, offset: u64) {
        if self.fixed[42..46] == [0xff; 4] {
            if let Some(at) = extra::long_offset(&self.extra, u32_at(&self.fixed, 24), u32_at(&self.fixed, 20)) {
                self.extra[at..at + 8].copy_from_slice(&offset.to_le_bytes());
            }
        } else {
            // An offset of 4 GiB or more could stand only where the order was kept, and then none grows.
            self.fixed[42..46].copy_from_slice(&(offset as u32).to_le_bytes());
        }
    }
}

/// Finds the end record; its comment must end with the archive.
fn end(input: &mut dyn Source, bytes: u64) -> Result<(u64, Vec<u8>), NormaliseError> {
    let from = bytes.saturating_sub(END_BYTES + 0xffff);
    input.seek(SeekFrom::Start(from)).map_err(NormaliseError::Read)?;
    let mut tail = Vec::new();
    input.read_to_end(&mut tail).map_err(NormaliseError::Read)?;
    let fits = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(END)
            && record.len() >= END_BYTES as usize
            && usize::from(u16_at(record, 20)) == record.len() - END_BYTES as usize
    };
    let found: Vec<usize> = (0..tail.len()).filter(fits).collect();
    match found.as_slice() {
        [at] => Ok((from + *at as u64, tail[*at..].to_vec())),
        [] => Err(NormaliseError::damaged(bytes, "", "no end of a zip directory: cut off, or bytes after the archive")),
        _ => Err(NormaliseError::damaged(from + found[0] as u64, "", "two ends of a zip directory")),
    }
}

type Zip64 = ([u8; END64_BYTES as usize], [u8; LOCATOR_BYTES as usize]);

/// Reads the end of a zip64 directory, if there is one.
fn zip64(input: &mut dyn Source, end_at: u64) -> Result<Option<Zip64>, NormaliseError> {
    let Some(locator_at) = end_at.checked_sub(LOCATOR_BYTES) else { return Ok(None) };
    let mut locator = [0; LOCATOR_BYTES as usize];
    read(input, locator_at, &mut locator)?;
    if &locator[..4] != b"PK\x06\x07" {
        return Ok(None);
    }
    let mut record = [0; END64_BYTES as usize];
    let at = u64_at(&locator, 8);
    if at.checked_add(END64_BYTES) != Some(locator_at) {
        return Err(NormaliseError::damaged(
            locator_at,
            "",
            "the zip64 end of the directory is not where it should be",
        ));
    }
    read(input, at, &mut record)?;
    if &record[..4] != b"PK\x06\x06" || u64_at(&record, 4) != END64_BYTES - 12 {
        return Err(NormaliseError::damaged(at, "", "malformed zip64 end of the directory"));
    }
    Ok(Some((record, locator)))
}

fn read(input: &mut dyn Source, at: u64, bytes: &mut [u8]) -> Result<(), NormaliseError> {
    input.seek(SeekFrom::Start(at)).map_err(NormaliseError::Read)?;
    input.read_exact(bytes).map_err(|error| NormaliseError::reading(error, at, ""))
}

fn entries(input: &mut dyn Source, start: u64, size: u64, count: u64) -> Result<Vec<Entry>, NormaliseError> {
    let mut bytes = vec![0; size as usize];
    read(input, start, &mut bytes)?;
    let mut entries = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let at = start + size - rest.len() as u64;
        let malformed = || NormaliseError::damaged(at, "", "malformed entry of the directory");
        let fixed: [u8; CENTRAL_BYTES] =
            rest.get(..CENTRAL_BYTES).and_then(|fixed| fixed.try_into().ok()).ok_or_else(malformed)?;
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(&fixed, at)));
        if &fixed[..4] != b"PK\x01\x02" || u16_at(&fixed, 34) != 0 {
            return Err(malformed());
        }
        let mut take = CENTRAL_BYTES;
        let [name, extra, comment] = lengths.map(|length| {
            take += length;
            rest.get(take - length..take).map(<[u8]>::to_vec)
        });
        let (Some(name), Some(extra), Some(comment)) = (name, extra, comment) else { return Err(malformed()) };
        let path = String::from_utf8_lossy(&name).into_owned();
        let long = extra::Long::read(&extra, at, &path)?;
        let size = long.or(u32_at(&fixed, 24), at, &path)?;
        let packed = long.or(u32_at(&fixed, 20), at, &path)?;
        let offset = long.or(u32_at(&fixed, 42), at, &path)?;
        entries.push(Entry { fixed, name, extra, comment, offset, end: 0, packed, size });
        rest = &rest[take..];
    }
    if entries.len() as u64 != count {
        let what = format!("the directory holds {} members and says {count}", entries.len());
        return Err(NormaliseError::damaged(start, "", what));
    }
    Ok(entries)
}

/// Gives each member the bytes up to the next, and returns what stands in front of the first.
fn claim(
    input: &mut dyn Source,
    entries: &mut [Entry],
    start: u64,
    settings: &Settings,
) -> Result<u64, NormaliseError> {
    let mut magic = [0; 16];
    if start >= 16 {
        read(input, start - 16, &mut magic)?;
        if &magic == b"APK Sig Block 42" {
            return Err(NormaliseError::Signed { path: "APK Signing Block".to_owned() });
        }
    }
    let mut places: Vec<usize> = (0..entries.len()).collect();
    places.sort_by_key(|&place| entries[place].offset);
    let mut end = start;
    let mut unpacked: u64 = 0;
    for &place in places.iter().rev() {
        let entry = &mut entries[place];
        entry.end = end;
        // A member of less than its header and data overlaps the next: the way of zip bombs.
        if entry.offset.checked_add(30 + entry.packed).is_none_or(|least| least > end) {
            return Err(NormaliseError::damaged(entry.offset, &entry.path(), "the member reaches into the next"));
        }
        unpacked = unpacked.saturating_add(entry.size);
        end = entry.offset;
    }
    if unpacked > settings.limits.bytes_max {
        let max = settings.limits.bytes_max;
        return Err(NormaliseError::Limit { at: start, path: String::new(), what: "bytes unpacked", max });
    }
    Ok(end)
}
