//! Points in time, to the second, in UTC.
//!
//! Specification: RFC 3339 <https://www.rfc-editor.org/rfc/rfc3339>; always printed as `2026-11-22T19:41:00Z`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds since 1970-01-01T00:00:00Z. Years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text or a number is no time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a time like `2026-11-22T19:41:00Z`")]
pub struct TimestampError(String);

/// The last second of the year 9999.
const UNIX_S_MAX: i64 = 253_402_300_799;

impl Timestamp {
    /// Makes a time from seconds since the epoch; `None` outside the years 1970 to 9999.
    pub fn from_unix_s(seconds: i64) -> Option<Timestamp> {
        (0..=UNIX_S_MAX).contains(&seconds).then_some(Timestamp(seconds))
    }

    /// Returns seconds since the epoch.
    pub fn unix_s(self) -> i64 {
        self.0
    }

    /// Returns the time `seconds` later (or earlier, if negative), held within the years 1970 to 9999.
    pub fn plus_s(self, seconds: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(seconds).clamp(0, UNIX_S_MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_second(self.0).expect("the range was checked when it was made");
        write!(f, "{}", time.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Timestamp, TimestampError> {
        let error = || TimestampError(text.chars().take(60).collect());
        let time: jiff::Timestamp = text.parse().map_err(|_| error())?;
        Timestamp::from_unix_s(time.as_second()).ok_or_else(error)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses() {
        let time = Timestamp::from_unix_s(1_795_376_460).expect("in range");
        assert_eq!(time.to_string(), "2026-11-22T19:41:00Z");
        assert_eq!("2026-11-22T20:41:00.5+01:00".parse(), Ok(time));
        for text in ["", "yesterday", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
