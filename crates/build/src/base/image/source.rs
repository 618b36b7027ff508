//! Where the parts of an image come from: the store, then a registry or a layout.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wire::digest::{Algorithm, Digest, Hasher};
use wire::oci_image::{
    Config, Descriptor, Document, Index, MANIFEST_SIZE_MAX, MEDIA_TYPE_DOCKER_LIST, MEDIA_TYPE_DOCKER_MANIFEST,
    MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST,
};

use super::BaseImageError;
use crate::base::reference::{ImageReference, Repository};
use crate::inputs::{Images, Inputs, InputsError};
use crate::pin::World;

/// An image's place, and the store that its parts go to.
pub(super) struct Source<'a> {
    place: Place<'a>,
    inputs: &'a dyn Inputs,
}

enum Place<'a> {
    Registry { images: &'a dyn Images, repository: &'a Repository },
    Layout { directory: PathBuf, named: &'a str },
}

impl<'a> Source<'a> {
    pub(super) fn new(reference: &'a ImageReference, project: &Path, world: &World<'a>) -> Source<'a> {
        let place = match reference {
            ImageReference::Registry { repository, .. } => Place::Registry { images: world.images, repository },
            ImageReference::Layout { directory, .. } => {
                Place::Layout { directory: project.join(directory), named: directory }
            }
        };
        Source { place, inputs: world.inputs }
    }

    /// Returns the digest of the manifest or index that a reference leads to.
    pub(super) fn top(&self, reference: &ImageReference) -> Result<Digest, BaseImageError> {
        let Place::Layout { directory, named } = &self.place else {
            let ImageReference::Registry { digest, .. } = reference else { unreachable!("its place is no layout") };
            return Ok(*digest);
        };
        if let Some(digest) = reference.digest() {
            return Ok(digest);
        }
        let bytes = read(&directory.join("index.json"))?;
        let index = Index::parse(&bytes).map_err(|source| BaseImageError::Document {
            what: "the index",
            digest: Digest::of(&bytes),
            source,
        })?;
        match index.manifests.as_slice() {
            [only] => Ok(only.digest),
            several => Err(BaseImageError::Choice { directory: (*named).to_owned(), count: several.len() }),
        }
    }

    /// Returns a manifest or index, and keeps it.
    pub(super) fn document(&self, digest: &Digest) -> Result<Document, BaseImageError> {
        let bytes = match self.held(digest)? {
            Some(bytes) => bytes,
            None => {
                let bytes = match &self.place {
                    Place::Registry { images, repository } => images.manifest(repository, digest)?,
                    Place::Layout { directory, .. } => read(&blob_path(directory, digest))?,
                };
                checked(digest, &bytes)?;
                self.inputs.put(&mut bytes.as_slice(), Some(digest))?;
                bytes
            }
        };
        let refuse = |source| BaseImageError::Document { what: "the manifest", digest: *digest, source };
        Document::parse(media_type(&bytes), &bytes).map_err(refuse)
    }

    /// Returns the config, and keeps it.
    pub(super) fn config(&self, config: &Descriptor) -> Result<Config, BaseImageError> {
        self.blob(config)?;
        let absent = || BaseImageError::Inputs(InputsError::Absent(config.digest));
        let bytes = self.held(&config.digest)?.ok_or_else(absent)?;
        let refuse = |source| BaseImageError::Document { what: "the config", digest: config.digest, source };
        Config::parse(&bytes).map_err(refuse)
    }

    /// Brings a blob into the store, unless it is there.
    pub(super) fn blob(&self, blob: &Descriptor) -> Result<(), BaseImageError> {
        if self.inputs.has(&blob.digest)? {
            return Ok(());
        }
        match &self.place {
            Place::Registry { images, repository } => Ok(images.blob(repository, blob)?),
            Place::Layout { directory, .. } => {
                let path = blob_path(directory, &blob.digest);
                let file = File::open(&path).map_err(|source| BaseImageError::Layout { path, source })?;
                self.inputs.put(&mut file.take(blob.size.saturating_add(1)), Some(&blob.digest))?;
                Ok(())
            }
        }
    }

    /// A document that the store holds, its digest checked.
    fn held(&self, digest: &Digest) -> Result<Option<Vec<u8>>, BaseImageError> {
        if !self.inputs.has(digest)? {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = self.inputs.open(digest)?.take(MANIFEST_SIZE_MAX as u64 + 1).read_to_end(&mut bytes);
        read.map_err(InputsError::Io)?;
        checked(digest, &bytes)?;
        Ok(Some(bytes))
    }
}

fn checked(expected: &Digest, bytes: &[u8]) -> Result<(), BaseImageError> {
    let mut hasher = Hasher::new(match expected {
        Digest::Sha256(_) => Algorithm::Sha256,
        Digest::Sha512(_) => Algorithm::Sha512,
    });
    hasher.update(bytes);
    let found = hasher.finish();
    if found == *expected { Ok(()) } else { Err(BaseImageError::Differs { expected: *expected, found }) }
}

fn blob_path(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs").join(digest.algorithm()).join(digest.hex())
}

/// Reads a document of a layout.
fn read(path: &Path) -> Result<Vec<u8>, BaseImageError> {
    let failed = |source| BaseImageError::Layout { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MANIFEST_SIZE_MAX as u64 {
        return Err(failed(io::Error::other(format!("it has more than {MANIFEST_SIZE_MAX} bytes"))));
    }
    fs::read(path).map_err(failed)
}

/// What a document says that it is; old ones say nothing, and an index is known by its list.
pub(super) fn media_type(bytes: &[u8]) -> &'static str {
    let document: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let known = [MEDIA_TYPE_MANIFEST, MEDIA_TYPE_INDEX, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_DOCKER_LIST];
    let said = document["mediaType"].as_str().and_then(|said| known.into_iter().find(|known| *known == said));
    said.unwrap_or(if document["manifests"].is_array() { MEDIA_TYPE_INDEX } else { MEDIA_TYPE_MANIFEST })
}
