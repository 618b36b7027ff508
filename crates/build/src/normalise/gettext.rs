//! gettext catalogues: the two dates of their header entry, `POT-Creation-Date` and `PO-Revision-Date`.
//!
//! Format: "The Format of GNU MO Files" <https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html>. A date later
//! than the epoch becomes the epoch in UTC; it has the same length, so no offset and no hash table changes.

use super::{NormaliseError, Report, Settings, date};

const KEYS: [&str; 2] = ["POT-Creation-Date", "PO-Revision-Date"];

/// A `.mo`.
pub(super) fn compiled(bytes: &mut [u8], settings: &Settings, report: &mut Report) -> Result<(), NormaliseError> {
    let little = bytes.starts_with(&[0xde, 0x12, 0x04, 0x95]);
    if !little && !bytes.starts_with(&[0x95, 0x04, 0x12, 0xde]) {
        return Err(NormaliseError::damaged(0, "", "no compiled catalogue begins like this"));
    }
    let file = &*bytes;
    let number = |at: u64| {
        let word = usize::try_from(at).ok().and_then(|at| file.get(at..at.checked_add(4)?)?.try_into().ok());
        let word = word.ok_or_else(|| NormaliseError::damaged(at, "", "the catalogue is cut off here"))?;
        Ok(u64::from(if little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) }))
    };
    if number(4)? >> 16 > 1 {
        return Err(NormaliseError::unsupported(4, "", "a catalogue of a later version"));
    }
    let (count, originals, translations) = (number(8)?, number(12)?, number(16)?);
    let mut header = None;
    for index in 0..count {
        let (length, start) = (number(originals + 8 * index)?, number(originals + 8 * index + 4)?);
        let text = (number(translations + 8 * index)?, number(translations + 8 * index + 4)?);
        for (length, start) in [(length, start), text] {
            if start + length >= file.len() as u64 {
                return Err(NormaliseError::damaged(start, "", "a string reaches beyond the end"));
            }
        }
        if length == 0 {
            header = Some(text.1 as usize..(text.0 + text.1) as usize);
        }
    }
    if let Some(range) = header {
        lines(&mut bytes[range], ("", ""), settings, report);
    }
    Ok(())
}

/// A `.po` or `.pot`.
pub(super) fn text(bytes: &mut [u8], settings: &Settings, report: &mut Report) -> Result<(), NormaliseError> {
    let mut starts = bytes.iter().enumerate().filter(|&(at, _)| {
        let line = at == 0 || bytes[at - 1] == b'\n';
        line && bytes[at..].starts_with(b"msgid ")
    });
    let Some((first, _)) = starts.next() else {
        return Err(NormaliseError::damaged(0, "", "no `msgid` in it"));
    };
    let end = starts.next().map_or(bytes.len(), |(at, _)| at);
    if bytes[first..end].starts_with(b"msgid \"\"\n") || bytes[first..end].starts_with(b"msgid \"\"\r\n") {
        lines(&mut bytes[first..end], ("\"", "\\n\""), settings, report);
    }
    Ok(())
}

/// Replaces the dates of the header's lines, between `open` and `close`.
fn lines(header: &mut [u8], (open, close): (&str, &str), settings: &Settings, report: &mut Report) {
    for line in header.split_mut(|&byte| byte == b'\n') {
        let length = line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len);
        for key in KEYS {
            let before = format!("{open}{key}: ");
            let Some(value) = line[..length].strip_prefix(before.as_bytes()) else { continue };
            let Some(value) = value.strip_suffix(close.as_bytes()) else { continue };
            let value = String::from_utf8_lossy(value).into_owned();
            match date::gettext(&value) {
                Some(time) if time > i64::from(settings.epoch_unix_s) => {
                    let new = date::utc(settings.epoch_unix_s).strftime("%Y-%m-%d %H:%M+0000").to_string();
                    report.change("", key, &value, &new);
                    line[before.len()..before.len() + new.len()].copy_from_slice(new.as_bytes());
                }
                Some(_) => {}
                // `YEAR-MO-DA HO:MI+ZONE` is what a template says before anybody translated.
                None if value.starts_with("YEAR-") || value.is_empty() => {}
                None => report.note(format!("`{key}: {value}` is kept: it is no date as gettext writes it")),
            }
        }
    }
}
