//! Signed entry timestamps: a log's promise, with the time at which it took an entry.
//!
//! Specification: Rekor v1's `InclusionPromise`
//! <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_rekor.proto>: the log's signature over the
//! canonical JSON
//!
//! ```json
//! {"body":"eyJhcGlW…","integratedTime":1712085549,"logID":"c0d23d6a…","logIndex":84658396}
//! ```

use serde::Serialize;
use wire::base64;
use wire::jcs;
use wire::sigstore_bundle::TransparencyLogEntry;
use wire::timestamp::Timestamp;

use crate::authority::{SignatureLog, Window};

/// A time at which a log had an entry. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    log: String,
    at: Timestamp,
}

/// Why an entry proves no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromiseError {
    /// There is none.
    #[error("log entry has no signed entry timestamp")]
    Absent,
    /// The log's signature is wrong.
    #[error("the signed entry timestamp of log `{0}` does not match the entry")]
    Signature(String),
    /// No time, or one outside the calendar.
    #[error("log entry has a signed entry timestamp and no time")]
    Time,
    /// The log's key did not count at that time.
    #[error("log `{log}` is trusted from {window}, and its entry is of {at}")]
    NotValid {
        /// Which log.
        log: String,
        /// When it counts.
        window: Window,
        /// The entry's time.
        at: Timestamp,
    },
}

impl Promise {
    /// Returns the log's address.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// Returns the time.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    body: String,
    integrated_time: u64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
}

/// Checks the promise of `log`, which is the one that the entry names.
pub fn verify(entry: &TransparencyLogEntry, log: &SignatureLog) -> Result<Promise, PromiseError> {
    let promise = entry.inclusion_promise.as_ref().ok_or(PromiseError::Absent)?;
    let signed = Signed {
        body: base64::encode(&entry.canonicalized_body),
        integrated_time: entry.integrated_time,
        log_id: log.id.iter().map(|byte| format!("{byte:02x}")).collect(),
        log_index: entry.log_index,
    };
    let good = log.key.verify(&jcs::to_vec(&signed), &promise.signed_entry_timestamp);
    good.map_err(|_| PromiseError::Signature(log.base_url.clone()))?;
    let seconds = i64::try_from(entry.integrated_time).ok().filter(|seconds| *seconds > 0);
    let at = seconds.and_then(Timestamp::from_unix_s).ok_or(PromiseError::Time)?;
    if !log.window.contains(at) {
        return Err(PromiseError::NotValid { log: log.base_url.clone(), window: log.window, at });
    }
    Ok(Promise { log: log.base_url.clone(), at })
}
