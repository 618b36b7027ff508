//! Whether a request is sent again, and when. A pure decision; `http` waits.
//!
//! `Retry-After` (RFC 9110 section 10.2.3 <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>) is obeyed in its form
//! of seconds; a date counts as absent.

use std::time::Duration;

/// How often a request is sent before it is given up.
pub(super) const TRIES: u32 = 5;
/// First pause; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// A server that wants more patience than this is better asked by the user, later.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended<'a> {
    /// With an answer: its status, and its `Retry-After`.
    Answered(u16, Option<&'a str>),
    /// The connection broke or fell silent.
    Broken,
    /// Nobody was there.
    Unconnected,
}

/// Returns how long to wait before the same request is sent again; `None` when it is not. `tried` counts from 1.
pub(super) fn pause(ended: Ended<'_>, tried: u32) -> Option<Duration> {
    if tried >= TRIES {
        return None;
    }
    let usual = PAUSE * (1 << (tried.max(1) - 1));
    match ended {
        Ended::Answered(429 | 503, Some(after)) => match after.trim().parse().map(Duration::from_secs) {
            Ok(after) if after > PAUSE_MAX => None,
            Ok(after) => Some(after.max(usual)),
            Err(_) => Some(usual),
        },
        Ended::Answered(429 | 500 | 502 | 503 | 504, _) | Ended::Broken => Some(usual),
        Ended::Answered(..) | Ended::Unconnected => None,
    }
}

#[cfg(test)]
mod tests;
