//! Static libraries, as `ar D` writes them: times, owners and groups 0.
//!
//! Format: `ar(5)` <https://man.freebsd.org/cgi/man.cgi?ar(5)>. A member's header is 60 bytes of text; no size changes,
//! so the symbol table (`/`, `/SYM64/`, `__.SYMDEF`), which holds the members' offsets, stays valid. The members' order
//! has a meaning for the linker and stays; `ar D` sets the mode to 644, which is left alone here.

use std::io::Write;

use super::{NormaliseError, Report, Settings, Source, copy};

pub(super) const MAGIC: &[u8; 8] = b"!<arch>\n";

/// One member's header.
pub(super) struct Header {
    pub(super) bytes: [u8; 60],
    pub(super) name: String,
    pub(super) size: u64,
    /// Where it stands in the archive.
    pub(super) at: u64,
}

impl Header {
    /// Reads the next header; `None` at the end.
    pub(super) fn read(input: &mut dyn Source, at: u64) -> Result<Option<Header>, NormaliseError> {
        let mut bytes = [0; 60];
        let mut filled = 0;
        while filled < bytes.len() {
            match input.read(&mut bytes[filled..]).map_err(NormaliseError::Read)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(NormaliseError::damaged(at, "", "the archive is cut off in a member's header")),
                read => filled += read,
            }
        }
        let name = String::from_utf8_lossy(&bytes[..16]).trim_end().to_owned();
        if &bytes[58..] != b"`\n" {
            return Err(NormaliseError::damaged(at, &name, "no member's header stands here"));
        }
        let size = number(&bytes[48..58]).ok_or_else(|| NormaliseError::damaged(at, &name, "malformed size"))?;
        Ok(Some(Header { bytes, name, size, at }))
    }

    /// Sets a field to a decimal number, if it has another value.
    pub(super) fn set(
        &mut self,
        field: Field,
        rule: impl FnOnce(u64) -> u64,
        path: &str,
        report: &mut Report,
    ) -> Result<(), NormaliseError> {
        let (name, range) = match field {
            Field::Time => ("mtime", 16..28),
            Field::Owner => ("uid", 28..34),
            Field::Group => ("gid", 34..40),
        };
        // GNU's table of long names has blank fields.
        let blank = self.bytes[range.clone()].iter().all(|&byte| byte == b' ');
        if blank {
            return Ok(());
        }
        let old = number(&self.bytes[range.clone()])
            .ok_or_else(|| NormaliseError::damaged(self.at, path, format!("malformed {name}")))?;
        let new = rule(old);
        if new != old {
            let text = format!("{new:<width$}", width = range.len());
            self.bytes[range].copy_from_slice(text.as_bytes());
            report.change(path, name, old, new);
        }
        Ok(())
    }

    /// Sets the size, which must fit: ten digits are more than a limit allows.
    pub(super) fn resize(&mut self, size: u64) {
        if size != self.size {
            self.bytes[48..58].copy_from_slice(format!("{size:<10}").as_bytes());
        }
    }
}

/// The fields that are set.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Time,
    Owner,
    Group,
}

/// A decimal number, with blanks after it.
fn number(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_end_matches(' ');
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Reads over the archive's magic.
pub(super) fn begin(input: &mut dyn Source) -> Result<(), NormaliseError> {
    let mut magic = [0; 8];
    input.read_exact(&mut magic).map_err(|error| NormaliseError::reading(error, 0, ""))?;
    match &magic {
        MAGIC => Ok(()),
        b"!<thin>\n" => {
            let what = "a thin archive holds no members, only paths to them: make it without `T`";
            Err(NormaliseError::unsupported(0, "", what))
        }
        _ => Err(NormaliseError::damaged(0, "", "no ar archive begins like this")),
    }
}

pub(super) fn normalise(
    input: &mut dyn Source,
    settings: &Settings,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), NormaliseError> {
    begin(input)?;
    out.write_all(MAGIC).map_err(NormaliseError::Write)?;
    let mut at = MAGIC.len() as u64;
    let mut members = 0;
    let mut long_names = Vec::new();
    while let Some(mut header) = Header::read(input, at)? {
        members += 1;
        if members > settings.limits.members_max {
            let max = settings.limits.members_max as u64;
            return Err(NormaliseError::Limit { at, path: header.name, what: "members", max });
        }
        let mut head = Vec::new(); // what of the member had to be read for its name
        let path = member_path(input, &header, &mut head, &mut long_names)?;
        header.set(Field::Time, |_| 0, &path, report)?;
        header.set(Field::Owner, |_| 0, &path, report)?;
        header.set(Field::Group, |_| 0, &path, report)?;
        out.write_all(&header.bytes).and_then(|()| out.write_all(&head)).map_err(NormaliseError::Write)?;
        copy(input, out, header.size - head.len() as u64, at, &path)?;
        at += 60 + header.size;
        at += pad(input, out, header.size, at, &path)?;
    }
    Ok(())
}

/// Copies the byte after a member of odd size; it may miss after the last.
pub(super) fn pad(
    input: &mut dyn Source,
    out: &mut dyn Write,
    size: u64,
    at: u64,
    path: &str,
) -> Result<u64, NormaliseError> {
    let mut byte = [0];
    if size.is_multiple_of(2) || input.read(&mut byte).map_err(NormaliseError::Read)? == 0 {
        return Ok(0);
    }
    if byte != *b"\n" && byte != [0] {
        return Err(NormaliseError::damaged(at, path, "the byte after a member of odd size is no padding"));
    }
    out.write_all(&byte).map_err(NormaliseError::Write)?;
    Ok(1)
}

/// The largest table of long names, and the longest name of the BSD kind.
const NAMES_MAX: u64 = 16 << 20;

/// Returns a member's name for people. BSD keeps it in front of the content, GNU in the member `//`.
fn member_path(
    input: &mut dyn Source,
    header: &Header,
    head: &mut Vec<u8>,
    long_names: &mut Vec<u8>,
) -> Result<String, NormaliseError> {
    let inside = header.name.strip_prefix("#1/").and_then(|length| length.parse::<u64>().ok());
    let length = if header.name == "//" { Some(header.size) } else { inside };
    let Some(length) = length else {
        let long = header.name.strip_prefix('/').and_then(|offset| offset.parse::<usize>().ok());
        let Some(offset) = long else { return Ok(header.name.trim_end_matches('/').to_owned()) };
        let name = long_names.get(offset..).and_then(|rest| rest.split(|&byte| byte == b'\n').next());
        let name = name.ok_or_else(|| NormaliseError::damaged(header.at, &header.name, "its name is in no table"))?;
        return Ok(String::from_utf8_lossy(name).trim_end_matches('/').to_owned());
    };
    if length > NAMES_MAX || length > header.size {
        return Err(NormaliseError::damaged(header.at, &header.name, "its name is longer than it may be"));
    }
    head.resize(length as usize, 0);
    input.read_exact(head).map_err(|error| NormaliseError::reading(error, header.at, &header.name))?;
    if header.name == "//" {
        long_names.clone_from(head);
        return Ok(header.name.clone());
    }
    Ok(String::from_utf8_lossy(head).trim_end_matches('\0').to_owned())
}
