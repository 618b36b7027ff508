//! PNG pictures: the time of the last change, and the dates that ImageMagick adds as text.
//!
//! Format: PNG, third edition <https://www.w3.org/TR/png-3/>. Only `tIME` and the `tEXt` of three keywords are touched,
//! whose values have one notation; `Creation Time` is free text and stays. Picture data is not looked at.

use flate2::Crc;

use super::{NormaliseError, Report, Settings, date};

const MAGIC: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// The keywords that ImageMagick writes, with their values as RFC 3339.
const DATES: [&str; 3] = ["date:create", "date:modify", "date:timestamp"];

pub(super) fn normalise(bytes: &mut [u8], settings: &Settings, report: &mut Report) -> Result<(), NormaliseError> {
    if !bytes.starts_with(MAGIC) {
        return Err(NormaliseError::damaged(0, "", "no PNG begins like this"));
    }
    let mut at = MAGIC.len();
    loop {
        let place = at as u64;
        let cut_off = || NormaliseError::damaged(place, "", "the picture is cut off here");
        let length = bytes.get(at..at + 4).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
        let length = length.ok_or_else(cut_off)? as usize;
        let chunk = bytes.get_mut(at + 4..at + 12 + length).ok_or_else(cut_off)?;
        let (chunk, stated) = chunk.split_at_mut(4 + length);
        let name = String::from_utf8_lossy(&chunk[..4]).into_owned();
        if checksum(chunk) != *stated {
            return Err(NormaliseError::damaged(place, &name, "the chunk does not have its checksum"));
        }
        match name.as_str() {
            "tIME" => time(&mut chunk[4..], place, settings, report)?,
            "tEXt" => text(&mut chunk[4..], settings, report),
            "dSIG" | "caBX" => return Err(NormaliseError::Signed { path: format!("chunk {name}") }),
            _ => {}
        }
        let sum = checksum(chunk);
        stated.copy_from_slice(&sum);
        at += 12 + length;
        if name == "IEND" {
            break;
        }
    }
    match at == bytes.len() {
        true => Ok(()),
        false => Err(NormaliseError::damaged(at as u64, "", "bytes after the end of the picture")),
    }
}

fn checksum(chunk: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(chunk);
    crc.sum().to_be_bytes()
}

/// Year in two bytes, month, day, hour, minute, second, in UTC.
fn time(value: &mut [u8], at: u64, settings: &Settings, report: &mut Report) -> Result<(), NormaliseError> {
    let malformed = || NormaliseError::damaged(at, "tIME", "malformed time");
    let &[high, low, month, day, hour, minute, second] = &*value else { return Err(malformed()) };
    let year = i16::from_be_bytes([high, low]);
    // A leap second is the second before, for this comparison.
    let old = date::from_parts(year, month, day, hour, minute, second.min(59)).ok_or_else(malformed)?;
    if date::unix_s(old).is_none_or(|old| old > i64::from(settings.epoch_unix_s)) {
        let new = date::utc(settings.epoch_unix_s);
        report.change("tIME", "time", old, new);
        value[..2].copy_from_slice(&new.year().to_be_bytes());
        let rest = [new.month(), new.day(), new.hour(), new.minute(), new.second()];
        value[2..].copy_from_slice(&rest.map(|part| part as u8));
    }
    Ok(())
}

/// `date:create`, zero, `2026-11-25T08:56:12+00:00`
fn text(value: &mut [u8], settings: &Settings, report: &mut Report) {
    for key in DATES {
        let Some(old) = value.strip_prefix(key.as_bytes()).and_then(|rest| rest.strip_prefix(b"\0")) else { continue };
        let old = String::from_utf8_lossy(old).into_owned();
        match date::rfc3339(&old) {
            Some(time) if time > i64::from(settings.epoch_unix_s) => {
                let new = format!("{}+00:00", date::utc(settings.epoch_unix_s).strftime("%Y-%m-%dT%H:%M:%S"));
                value[key.len() + 1..].copy_from_slice(new.as_bytes());
                report.change("tEXt", key, old, new);
            }
            Some(_) => {}
            None => report.note(format!("`{key}: {old}` is kept: it is no date as ImageMagick writes it")),
        }
    }
}
