//! Times as archives write them.

use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;

/// 1980-01-01, the earliest time that a zip can hold.
const DOS_MIN_UNIX_S: u32 = 315_532_800;

/// The latest time that a zip can hold: 2107-12-31 23:59:58; 32 bits of seconds end before.
pub(super) fn dos(epoch_unix_s: u32) -> (u16, u16) {
    let time = utc(epoch_unix_s.max(DOS_MIN_UNIX_S));
    let clock = u16::from(time.hour() as u8) << 11 | u16::from(time.minute() as u8) << 5 | (time.second() as u16 / 2);
    let date = (time.year() - 1980) as u16 * 512 + time.month() as u16 * 32 + time.day() as u16;
    (clock, date)
}

/// Shows a time of a zip; it may be no date at all.
pub(super) fn dos_text(clock: u16, date: u16) -> String {
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        1980 + (date >> 9),
        date >> 5 & 15,
        date & 31,
        clock >> 11,
        clock >> 5 & 63,
        (clock & 31) * 2
    )
}

/// Returns the date and time in UTC.
pub(super) fn utc(unix_s: u32) -> DateTime {
    let second = jiff::Timestamp::from_second(i64::from(unix_s)).expect("32 bits of seconds lie within its range");
    TimeZone::UTC.to_datetime(second)
}

/// Returns `2023-11-14`, in UTC.
pub(super) fn day(unix_s: u32) -> String {
    utc(unix_s).date().to_string()
}

/// Seconds since 1970 of a date and time in UTC.
pub(super) fn unix_s(time: DateTime) -> Option<i64> {
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_second())
}

/// A date and time from its parts; `None` when there is no such one.
pub(super) fn from_parts(year: i16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<DateTime> {
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(|part| i8::try_from(part).ok());
    civil::DateTime::new(year, month?, day?, hour?, minute?, second?, 0).ok()
}

/// Reads `2026-11-25 08:56+0100`, as gettext writes it; strictly, so that what it is replaced with has its length.
pub(super) fn gettext(text: &str) -> Option<i64> {
    let shape = text.len() == 21 && text.is_ascii() && matches!(text.as_bytes()[16], b'+' | b'-');
    if !shape {
        return None;
    }
    let time = jiff::fmt::strtime::parse("%Y-%m-%d %H:%M%z", text).ok()?.to_timestamp().ok()?;
    Some(time.as_second())
}

/// Reads `2026-11-25T08:56:12+00:00`, as ImageMagick writes it into PNG.
pub(super) fn rfc3339(text: &str) -> Option<i64> {
    (text.len() == 25).then(|| text.parse::<jiff::Timestamp>().ok()).flatten().map(jiff::Timestamp::as_second)
}
