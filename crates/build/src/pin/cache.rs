//! What was found for a fingerprint, kept between runs: `NAME-<fingerprint>.json` in the cache directory.
//!
//! Failing to read or write it is never an error, for everything in it can be found again.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::digest::Digest;

/// How large an entry may be: a base of 5,000 packages has about 2 MiB.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// One entry.
pub(crate) struct Cache {
    path: PathBuf,
}

impl Cache {
    pub(crate) fn new(directory: &Path, name: &str, fingerprint: &Digest) -> Cache {
        Cache { path: directory.join(format!("{name}-{}.json", fingerprint.hex())) }
    }

    pub(crate) fn load<T: DeserializeOwned>(&self) -> Option<T> {
        let size = fs::metadata(&self.path).ok()?.len();
        let bytes = if size <= SIZE_MAX { fs::read(&self.path).ok()? } else { return None };
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn save<T: Serialize>(&self, value: &T) {
        let _lost = self.try_save(&wire::jcs::to_vec(value));
    }

    /// Written aside and renamed, so that no half-written entry is ever read.
    fn try_save(&self, bytes: &[u8]) -> std::io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let aside = self.path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&aside, bytes)?;
        fs::rename(&aside, &self.path)
    }
}
