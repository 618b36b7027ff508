//! Another copy of a home, as what a lost end of its log is taken from.

use std::path::{Path, PathBuf};

use wire::digest::Digest;

use super::{BackupError, MANIFEST, Manifest, Taken, copy_blobs, copy_trees};
use crate::blobs::Blobs;
use crate::durable::{self, Disk};
use crate::home::Home;
use crate::log::{Newer, SourceError, read_tile};
use crate::trees::Trees;

/// The largest checkpoint that is read.
const CHECKPOINT_MAX: u64 = 64 << 10;

/// A directory with a copy: a home, a data directory, or a back-up. Nothing is written to it.
#[derive(Clone, Debug)]
pub struct Copy {
    root: PathBuf,
}

impl Copy {
    /// Recognises a copy below `path`.
    pub fn at(path: &Path) -> Result<Copy, SourceError> {
        let candidates = [path.to_owned(), path.join("data")];
        match candidates.into_iter().find(|root| root.join("log/tile").is_dir()) {
            Some(root) => Ok(Copy { root }),
            None => Err(SourceError(format!("`{}` is no home, no data directory and no back-up", path.display()))),
        }
    }

    fn blobs(&self) -> Blobs {
        Blobs::new(self.root.join("blobs"), Disk::new(PathBuf::new()))
    }
}

impl Newer for Copy {
    fn checkpoint(&mut self) -> Result<String, SourceError> {
        let manifest = self.root.join(MANIFEST);
        if manifest.is_file() {
            return match Manifest::read(&manifest) {
                Ok(manifest) => match manifest.log("log") {
                    Some(log) => Ok(log.checkpoint.clone()),
                    None => Err(SourceError("the back-up has no log".to_owned())),
                },
                Err(error) => Err(SourceError(error.to_string())),
            };
        }
        let bytes = durable::read(&self.root.join("log/checkpoint"), CHECKPOINT_MAX);
        let bytes = bytes.map_err(|error| SourceError(error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| SourceError("its checkpoint is no text".to_owned()))
    }

    fn tile(&mut self, path: &str) -> Result<Vec<u8>, SourceError> {
        read_tile(&self.root.join("log"), path).map_err(|error| SourceError(error.to_string()))
    }

    fn blob(&mut self, digest: &Digest) -> Result<Vec<u8>, SourceError> {
        self.blobs().read(digest, wire::dsse::SIZE_MAX as u64).map_err(|error| SourceError(error.to_string()))
    }
}

/// Copies what blobs and trees a home lacks from a copy of it.
pub fn take_missing(home: &Home, copy: &Copy) -> Result<Taken, BackupError> {
    let mut taken = Taken { entries: home.log().size(), ..Taken::default() };
    let from = copy.blobs();
    copy_blobs(&from, home.blobs(), &from.list()?, &mut taken)?;
    let from = Trees::new(copy.root.join("trees"), from, Disk::new(PathBuf::new()));
    copy_trees(&from, home.trees(), &from.list()?, &mut taken)?;
    Ok(taken)
}
