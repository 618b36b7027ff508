//! The records of a pax header: `30 mtime=1700000000.123456789\n`.

use super::{NormaliseError, Report};

/// What says when and by whom something was packed, and on which disk it lay.
const CHANCE: [(&[u8], &str); 11] = [
    (b"mtime", "pax mtime"),
    (b"atime", "pax atime"),
    (b"ctime", "pax ctime"),
    (b"uid", "pax uid"),
    (b"gid", "pax gid"),
    (b"uname", "pax uname"),
    (b"gname", "pax gname"),
    (b"LIBARCHIVE.creationtime", "pax LIBARCHIVE.creationtime"),
    (b"SCHILY.dev", "pax SCHILY.dev"),
    (b"SCHILY.ino", "pax SCHILY.ino"),
    (b"SCHILY.nlink", "pax SCHILY.nlink"),
];

/// The records of one header, in order.
pub(super) struct Records<'a>(Vec<Record<'a>>);

struct Record<'a> {
    bytes: &'a [u8],
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Records<'a> {
    /// Reads all records; a malformed one, or a key twice, is damage.
    pub(super) fn parse(content: &'a [u8], at: u64, path: &str) -> Result<Records<'a>, NormaliseError> {
        let mut records: Vec<Record<'a>> = Vec::new();
        let mut rest = content;
        while !rest.is_empty() {
            let record = record(rest).ok_or_else(|| NormaliseError::damaged(at, path, "malformed pax header"))?;
            if records.iter().any(|earlier| earlier.key == record.key) {
                let key = String::from_utf8_lossy(record.key);
                return Err(NormaliseError::damaged(at, path, format!("a pax header says `{key}` twice")));
            }
            if record.key.starts_with(b"GNU.sparse.") {
                let what =
                    "a sparse file, whose name in the header holds a process id: make the archive without `--sparse`";
                return Err(NormaliseError::unsupported(at, path, what));
            }
            rest = &rest[record.bytes.len()..];
            records.push(record);
        }
        Ok(Records(records))
    }

    pub(super) fn value(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.0.iter().find(|record| record.key == key).map(|record| record.value)
    }

    /// Returns the records that say nothing by chance, as they stand, and notes the others.
    pub(super) fn without_chance(&self, path: &str, report: &mut Report) -> Vec<u8> {
        let mut kept = Vec::new();
        for record in &self.0 {
            match CHANCE.iter().find(|(key, _)| *key == record.key) {
                Some((_, field)) => report.change(path, field, String::from_utf8_lossy(record.value), ""),
                None => kept.extend_from_slice(record.bytes),
            }
        }
        kept
    }

    /// Returns the whole seconds of `mtime`, rounded down.
    pub(super) fn time(&self, at: u64, path: &str) -> Result<Option<i64>, NormaliseError> {
        let Some(value) = self.value(b"mtime") else { return Ok(None) };
        let seconds = std::str::from_utf8(value).ok().and_then(|text| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
            let part = i64::from(text.starts_with('-') && fraction.bytes().any(|byte| byte != b'0'));
            whole.parse::<i64>().ok().filter(|_| digits)?.checked_sub(part)
        });
        match seconds {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(NormaliseError::damaged(at, path, "malformed time in a pax header")),
        }
    }

    /// Returns the content's size: that of the pax header if there is one, which may not contradict the other.
    pub(super) fn size(&self, header: u64, at: u64, path: &str) -> Result<u64, NormaliseError> {
        let Some(value) = self.value(b"size") else { return Ok(header) };
        let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let size = text.and_then(|text| text.parse().ok()).filter(|&size: &u64| size <= i64::MAX as u64 / 2);
        match size {
            Some(size) if header == 0 || size == header => Ok(size),
            Some(size) => {
                let what = format!("two sizes: {header} in its header and {size} in its pax header");
                Err(NormaliseError::damaged(at, path, what))
            }
            None => Err(NormaliseError::damaged(at, path, "malformed size in a pax header")),
        }
    }
}

/// A global header may not name or size what follows it: no packer does that, and readers differ.
pub(super) fn check_global(content: &[u8], at: u64) -> Result<(), NormaliseError> {
    let records = Records::parse(content, at, "")?;
    match [b"path".as_slice(), b"linkpath", b"size"].iter().find(|key| records.value(key).is_some()) {
        Some(_) => Err(NormaliseError::damaged(at, "", "a global header that names or sizes members")),
        None => Ok(()),
    }
}

fn record(content: &[u8]) -> Option<Record<'_>> {
    let space = content.iter().take(8).position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
    let bytes = content.get(..length)?;
    let text = bytes.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|&byte| byte == b'=')?;
    Some(Record { bytes, key: &text[..equals], value: &text[equals + 1..] })
}
