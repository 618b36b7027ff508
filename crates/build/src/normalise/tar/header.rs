//! One header block, edited in place: a field that already has its value keeps its bytes.

use super::{NormaliseError, Report};

/// The name that a pax header gets, as Python and Go write it; many programs put a process id there.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// A header block whose checksum holds.
#[derive(Clone)]
pub(super) struct Block {
    bytes: [u8; 512],
    at: u64,
}

/// The fields that hold numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Uid,
    Gid,
    Size,
    Mtime,
}

impl Field {
    fn range(self) -> std::ops::Range<usize> {
        match self {
            Field::Uid => 108..116,
            Field::Gid => 116..124,
            Field::Size => 124..136,
            Field::Mtime => 136..148,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Field::Uid => "uid",
            Field::Gid => "gid",
            Field::Size => "size",
            Field::Mtime => "mtime",
        }
    }
}

const CHECKSUM: std::ops::Range<usize> = 148..156;
const UNAME: std::ops::Range<usize> = 265..297;
const GNAME: std::ops::Range<usize> = 297..329;
/// Only in GNU's own format.
const GNU_ATIME: std::ops::Range<usize> = 345..357;
const GNU_CTIME: std::ops::Range<usize> = 357..369;
/// Only in POSIX's.
const PREFIX: std::ops::Range<usize> = 345..500;
/// Offset, sparse map and real size.
const GNU_SPARSE: std::ops::Range<usize> = 369..495;

impl Block {
    /// Checks the checksum.
    pub(super) fn parse(bytes: [u8; 512], at: u64) -> Result<Block, NormaliseError> {
        let block = Block { bytes, at };
        let stated = octal(&bytes[CHECKSUM]);
        let (unsigned, signed) = block.sums();
        if stated != Some(unsigned) && stated.and_then(|sum| i64::try_from(sum).ok()) != Some(signed) {
            return Err(NormaliseError::damaged(at, "", "no header stands here: its checksum is wrong"));
        }
        match block.two_readings() {
            Some(what) => Err(NormaliseError::damaged(at, &block.name(), what)),
            None => Ok(block),
        }
    }

    /// What programs read in two ways, if there is such a thing: by the letter, by the magic, or by neither.
    fn two_readings(&self) -> Option<&'static str> {
        let known = self.is_gnu() || &self.bytes[257..265] == b"ustar\x0000";
        if !known && matches!(self.kind(), b'x' | b'g' | b'L' | b'K') {
            return Some("an extension header in a format without any: programs read a member in it");
        }
        let filled = |range: std::ops::Range<usize>| self.bytes[range].iter().any(|&byte| byte != 0);
        if !known && self.bytes[257..].starts_with(b"ustar") && filled(PREFIX) {
            return Some("a prefix in a format of an unknown version: programs read two names in it");
        }
        // Go before 1.8 wrote POSIX's prefix of long names there, and some programs still read it.
        let times = [GNU_ATIME, GNU_CTIME].iter().all(|range| octal(&self.bytes[range.clone()]).is_some());
        let prefixed = self.is_gnu() && self.kind() != b'S' && (!times || filled(GNU_SPARSE));
        prefixed.then_some("a prefix in GNU's format, which has none: programs read two names in it")
    }

    fn is_gnu(&self) -> bool {
        &self.bytes[257..265] == b"ustar  \0"
    }

    pub(super) fn bytes(&self) -> &[u8; 512] {
        &self.bytes
    }

    /// The type flag.
    pub(super) fn kind(&self) -> u8 {
        self.bytes[156]
    }

    /// The name field for people.
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(text(&self.bytes[..100])).into_owned()
    }

    /// The path as this header has it.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = text(&self.bytes[..100]);
        let prefix = if &self.bytes[257..263] == b"ustar\0" { text(&self.bytes[PREFIX]) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// The link's target as this header has it.
    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.bytes[157..257]).to_vec()
    }

    /// Reads a number: octal, or GNU's binary form.
    pub(super) fn number(&self, field: Field) -> Result<u64, NormaliseError> {
        let bytes = &self.bytes[field.range()];
        let number = match bytes[0] {
            0x80 => {
                let (high, low) = bytes.split_at(bytes.len() - 8);
                let low = low.try_into().map(u64::from_be_bytes).ok();
                low.filter(|_| bytes.len() == 8 || high[1..].iter().all(|&byte| byte == 0))
                    .map(|low| if bytes.len() == 8 { low & (u64::MAX >> 8) } else { low })
            }
            // A negative number: a time before 1970, which is not later than any epoch.
            0xff if field == Field::Mtime => Some(0),
            _ => octal(bytes),
        };
        let number = number.filter(|&number| number <= i64::MAX as u64 / 2);
        number.ok_or_else(|| NormaliseError::damaged(self.at, &self.name(), format!("malformed {}", field.name())))
    }

    /// Sets times and owner of a member. `pax_time` is the time that a pax header gave it.
    pub(super) fn normalise(
        &mut self,
        epoch_unix_s: u32,
        pax_time: Option<i64>,
        path: &str,
        report: &mut Report,
    ) -> Result<(), NormaliseError> {
        let before = self.bytes;
        let negative = self.bytes[Field::Mtime.range().start] == 0xff;
        let header = self.number(Field::Mtime)?;
        let effective = pax_time.map_or(header, |seconds| u64::try_from(seconds).unwrap_or(0));
        let mtime = effective.min(u64::from(epoch_unix_s));
        if mtime != header || negative {
            self.put(Field::Mtime, mtime);
            let from = match pax_time {
                Some(seconds) => seconds.to_string(),
                None if negative => "before 1970".to_owned(),
                None => header.to_string(),
            };
            report.change(path, "mtime", from, mtime);
        }
        self.own(path, report)?;
        self.seal(&before);
        Ok(())
    }

    /// Sets name, time and owner of an extension header, and the size of its content.
    pub(super) fn normalise_extension(
        &mut self,
        size: u64,
        path: &str,
        report: &mut Report,
    ) -> Result<(), NormaliseError> {
        let before = self.bytes;
        if matches!(self.kind(), b'x' | b'g') && text(&self.bytes[..100]) != PAX_NAME {
            report.change(path, "pax header name", self.name(), String::from_utf8_lossy(PAX_NAME));
            self.bytes[..100].fill(0);
            self.bytes[..PAX_NAME.len()].copy_from_slice(PAX_NAME);
            if &self.bytes[257..263] == b"ustar\0" {
                self.bytes[PREFIX].fill(0);
            }
        }
        let mtime = self.number(Field::Mtime)?;
        if mtime != 0 {
            self.put(Field::Mtime, 0);
            report.change(path, "extension mtime", mtime, 0);
        }
        if self.number(Field::Size)? != size {
            self.put(Field::Size, size);
        }
        self.own(path, report)?;
        self.seal(&before);
        Ok(())
    }

    fn own(&mut self, path: &str, report: &mut Report) -> Result<(), NormaliseError> {
        for field in [Field::Uid, Field::Gid] {
            // An id that is no number in any notation is replaced all the same: nothing reads it.
            let number = self.number(field);
            if !matches!(number, Ok(0)) {
                let old = number.map_or_else(|_| "malformed".to_owned(), |number| number.to_string());
                self.put(field, 0);
                report.change(path, field.name(), old, 0);
            }
        }
        if &self.bytes[257..262] != b"ustar" {
            return Ok(());
        }
        for (range, field) in [(UNAME, "uname"), (GNAME, "gname")] {
            if self.bytes[range.clone()].iter().any(|&byte| byte != 0) {
                report.change(path, field, String::from_utf8_lossy(text(&self.bytes[range.clone()])), "");
                self.bytes[range].fill(0);
            }
        }
        if self.is_gnu() {
            for (range, field) in [(GNU_ATIME, "atime"), (GNU_CTIME, "ctime")] {
                if self.bytes[range.clone()].iter().any(|&byte| byte != 0) {
                    report.change(path, field, octal(&self.bytes[range.clone()]).unwrap_or_default(), "");
                    self.bytes[range].fill(0);
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, field: Field, number: u64) {
        let range = field.range();
        let text = format!("{number:0width$o}\0", width = range.len() - 1);
        self.bytes[range].copy_from_slice(text.as_bytes());
    }

    /// Writes the checksum anew, if anything changed.
    fn seal(&mut self, before: &[u8; 512]) {
        if self.bytes != *before {
            let (sum, _) = self.sums();
            self.bytes[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }

    /// The sums of all bytes with the checksum blank: of unsigned ones, and of signed ones as old programs had it.
    fn sums(&self) -> (u64, i64) {
        let blank = self.bytes.iter().enumerate().map(|(at, &byte)| if CHECKSUM.contains(&at) { b' ' } else { byte });
        blank.fold((0, 0), |(unsigned, signed), byte| (unsigned + u64::from(byte), signed + i64::from(byte as i8)))
    }
}

/// The bytes before the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// An octal number among blanks and zeros; a blank field is 0.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text(field)).ok()?.trim_matches(' ');
    if digits.is_empty() {
        return Some(0);
    }
    digits.bytes().all(|byte| matches!(byte, b'0'..=b'7')).then(|| u64::from_str_radix(digits, 8).ok()).flatten()
}
