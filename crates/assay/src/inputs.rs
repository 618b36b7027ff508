//! The home's blobs and trees as `build` wants them.

use std::io::Read;
use std::path::PathBuf;

use build::inputs::{Inputs, InputsError, TreeEntry, TreeSource};
use model::tree::Tree;
use store::blobs::{BlobError, Blobs};
use store::trees::{Source, Trees, TreesError};
use wire::digest::Digest;

/// The largest input that is taken: a toolchain's library has about 200 MB.
const INPUT_MAX: u64 = 8 << 30;

/// Blobs and trees of a data directory. They are content-addressed, so a server that holds the directory's lock and a
/// command beside it may both add to them.
#[derive(Clone)]
pub(crate) struct StoreInputs {
    /// Blobs by digest.
    pub(crate) blobs: Blobs,
    /// Trees by digest.
    pub(crate) trees: Trees,
}

impl Inputs for StoreInputs {
    fn has(&self, digest: &Digest) -> Result<bool, InputsError> {
        self.blobs.has(digest).map_err(of_blob)
    }

    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, InputsError> {
        Ok(Box::new(self.blobs.open(digest).map_err(of_blob)?))
    }

    fn put(&self, bytes: &mut dyn Read, expected: Option<&Digest>) -> Result<Digest, InputsError> {
        self.blobs.put(bytes, expected, INPUT_MAX).map(|(digest, _)| digest).map_err(of_blob)
    }

    fn import(&self, entries: Vec<TreeEntry>) -> Result<Tree, InputsError> {
        let entries = entries.into_iter().map(|entry| (entry.path, self.source(entry.source)));
        self.trees.import(entries, None).map(|(_, tree)| tree).map_err(of_trees)
    }

    fn tree(&self, digest: &Digest) -> Result<Option<PathBuf>, InputsError> {
        Ok(self.trees.has(digest).then(|| self.trees.path(digest)))
    }
}

impl StoreInputs {
    fn source(&self, source: TreeSource) -> Source {
        match source {
            TreeSource::File { path, executable } => Source::File { path, executable },
            TreeSource::Held { digest, executable } => Source::File { path: self.blobs.path(&digest), executable },
            TreeSource::Bytes { bytes, executable } => Source::Bytes { bytes, executable },
            TreeSource::Link(target) => Source::Link { target },
            TreeSource::Directory => Source::Directory,
        }
    }
}

fn of_blob(error: BlobError) -> InputsError {
    match error {
        BlobError::Missing(digest) => InputsError::Absent(digest),
        BlobError::Mismatch { expected, found, .. } => InputsError::Differs { expected, found },
        other => InputsError::Store(Box::new(other)),
    }
}

fn of_trees(error: TreesError) -> InputsError {
    match error {
        TreesError::Tree(error) => InputsError::Tree(error),
        other => InputsError::Store(Box::new(other)),
    }
}
