//! Which blobs were pushed or mounted into a repository and are not referred to yet.
//!
//! ```text
//! uploads/9f86d081884c7d65-sha256-44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a      empty
//! ```
//!
//! An empty file for each, beside the unfinished uploads and removed with abandoned ones: *working* data. Once a
//! manifest refers to a blob, the ledger says that it belongs to the repository; before that somebody must, or a
//! client that knows a digest could refer to another repository's blob and read it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use wire::digest::Digest;
use wire::oci_distribution::Name;

pub(crate) struct Members {
    directory: PathBuf,
}

impl Members {
    pub(crate) fn new(directory: PathBuf) -> Members {
        Members { directory }
    }

    /// Notes that a blob came into a repository.
    pub(crate) fn add(&self, repository: &Name, blob: &Digest) -> io::Result<()> {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.path(repository, blob))?;
        Ok(())
    }

    /// Whether it is noted.
    pub(crate) fn has(&self, repository: &Name, blob: &Digest) -> bool {
        fs::symlink_metadata(self.path(repository, blob)).is_ok()
    }

    fn path(&self, repository: &Name, blob: &Digest) -> PathBuf {
        let repository = Digest::of(repository.as_str().as_bytes()).hex();
        self.directory.join(format!("{}-{}-{}", &repository[..16], blob.algorithm(), blob.hex()))
    }
}
