//! An OCI image in an image layout: read, and every digest on the way checked.
//!
//! Specification: OCI image 1.1 <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>.
//!
//! ```text
//! oci-layout · index.json → blobs/sha256/<manifest> → blobs/sha256/<config>, blobs/sha256/<layer>…
//! ```
//!
//! A layout with several manifests is refused unless one is asked for by its digest: which one was meant is the
//! caller's to say. Layers may be plain tar, gzip or zstd. Indexes of indexes are not followed.

pub mod root;

use std::io::{self, Read};

use serde::Deserialize;
use wire::digest::{Algorithm, Digest, Hasher};
use wire::oci_image::{
    Config, Descriptor, Document, Index, MEDIA_TYPE_CONFIG, MEDIA_TYPE_DOCKER_LAYER, MEDIA_TYPE_LAYER,
    MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD, MEDIA_TYPE_MANIFEST,
};

use crate::archive::{self, ArchiveError, Limits, Member};
use crate::compressed::Compression;

/// The largest JSON document of a layout: registries take manifests of 4 MiB.
pub const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// How many layers an image may have; overlayfs stacks no more than 500.
pub const LAYERS_MAX: usize = 500;

/// The largest layer as it is stored.
pub const LAYER_BYTES_MAX: u64 = 16 << 30;

/// An image whose digests and sizes all agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The image digest: that of the manifest.
    pub manifest: Digest,
    /// The manifest's bytes.
    pub manifest_bytes: Vec<u8>,
    /// Digest of the config.
    pub config_digest: Digest,
    /// What the config says.
    pub config: Config,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest as it is stored.
    pub digest: Digest,
    /// Size as it is stored.
    pub size: u64,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Its members, in their order.
    pub members: Vec<Member>,
}

/// Why a layout was refused.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file could not be opened or read.
    #[error("reading `{path}` of the image layout")]
    Read {
        /// Path inside the layout.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A document larger than allowed.
    #[error("`{path}` of the image layout is larger than {max} bytes")]
    TooLarge {
        /// Path inside the layout.
        path: String,
        /// The limit.
        max: u64,
    },
    /// A marker file that does not parse.
    #[error("`oci-layout` of the image layout does not parse")]
    Marker(#[source] serde_json::Error),
    /// An index, manifest or config that is none.
    #[error("`{path}` of the image layout cannot be read")]
    Document {
        /// Path inside the layout.
        path: String,
        /// Why.
        #[source]
        cause: wire::oci_image::ImageError,
    },
    /// A layout version or media type that we do not read.
    #[error("{what} is `{found}`: expected `{expected}`")]
    Kind {
        /// Of what.
        what: &'static str,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// No manifest, several without a choice, or not the one asked for.
    #[error("the image layout does not hold exactly one manifest to read but {0}: name one by its digest")]
    Choice(usize),
    /// Bytes whose digest or size is not what the descriptor says.
    #[error("`{path}` is not what its descriptor says: expected {expected}, found {found}")]
    Differs {
        /// Path inside the layout.
        path: String,
        /// What the descriptor says.
        expected: Box<Identity>,
        /// What the bytes are.
        found: Box<Identity>,
    },
    /// A layer that unpacks to something else than the config says.
    #[error("layer {index} unpacks to {found} but the config says {expected}")]
    DiffId {
        /// Position of the layer, from 0.
        index: usize,
        /// What the config says.
        expected: Box<Digest>,
        /// What it is.
        found: Box<Digest>,
    },
    /// The config names another number of layers than the manifest, or there are too many.
    #[error("the manifest has {layers} layers and the config {diff_ids} (at most {LAYERS_MAX} are read)")]
    Layers {
        /// Layers of the manifest.
        layers: usize,
        /// Layers of the config.
        diff_ids: usize,
    },
    /// A layer that is no sound tar archive.
    #[error("reading layer {index}")]
    Archive {
        /// Position of the layer, from 0.
        index: usize,
        /// Why.
        #[source]
        cause: ArchiveError,
    },
}

/// Digest and size of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.digest, self.size)
    }
}

/// Opens a file of the layout by its relative path.
pub type Open<'a> = dyn FnMut(&str) -> io::Result<Box<dyn Read>> + 'a;

/// Reads the image of a layout: the one with the digest `wanted`, or else the only one.
pub fn read(open: &mut Open<'_>, wanted: Option<&Digest>) -> Result<Image, ImageError> {
    let marker = document(open, "oci-layout", None)?;
    let marker: Marker = serde_json::from_slice(&marker).map_err(ImageError::Marker)?;
    expect("image layout version", &marker.version, "1.0.0")?;
    let index = document(open, "index.json", None)?;
    let index = Index::parse(&index).map_err(|cause| unreadable("index.json", cause))?;
    let chosen = choose(&index.manifests, wanted)?;
    expect("media type of the manifest", &chosen.media_type, MEDIA_TYPE_MANIFEST)?;

    let path = blob_path(chosen);
    let manifest_bytes = document(open, &path, Some(chosen))?;
    let manifest = Document::parse(MEDIA_TYPE_MANIFEST, &manifest_bytes).map_err(|cause| unreadable(&path, cause))?;
    let Document::Manifest(manifest) = manifest else { unreachable!("it was parsed as a manifest") };
    expect("media type of the config", &manifest.config.media_type, MEDIA_TYPE_CONFIG)?;
    let path = blob_path(&manifest.config);
    let config = document(open, &path, Some(&manifest.config))?;
    let config = Config::parse(&config).map_err(|cause| unreadable(&path, cause))?;
    expect("kind of root file system", &config.rootfs.kind, "layers")?;
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids || layers > LAYERS_MAX {
        return Err(ImageError::Layers { layers, diff_ids });
    }
    let mut read_layers = Vec::with_capacity(layers);
    for (position, (descriptor, diff_id)) in manifest.layers.iter().zip(&config.rootfs.diff_ids).enumerate() {
        read_layers.push(layer(open, position, descriptor, diff_id)?);
    }
    Ok(Image {
        manifest: chosen.digest,
        manifest_bytes,
        config_digest: manifest.config.digest,
        config,
        layers: read_layers,
    })
}

#[derive(Deserialize)]
struct Marker {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

fn blob_path(descriptor: &Descriptor) -> String {
    format!("blobs/{}/{}", descriptor.digest.algorithm(), descriptor.digest.hex())
}

fn check(descriptor: &Descriptor, path: &str, found: Identity) -> Result<(), ImageError> {
    let expected = Identity { digest: descriptor.digest, size: descriptor.size };
    if expected == found {
        return Ok(());
    }
    Err(ImageError::Differs { path: path.to_owned(), expected: Box::new(expected), found: Box::new(found) })
}

fn expect(what: &'static str, found: &str, expected: &'static str) -> Result<(), ImageError> {
    if found == expected {
        return Ok(());
    }
    Err(ImageError::Kind { what, found: found.chars().take(200).collect(), expected })
}

fn choose<'a>(manifests: &'a [Descriptor], wanted: Option<&Digest>) -> Result<&'a Descriptor, ImageError> {
    let mut fitting = manifests.iter().filter(|one| wanted.is_none_or(|wanted| one.digest == *wanted));
    match (fitting.next(), fitting.count()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(ImageError::Choice(0)),
        (Some(_), more) => Err(ImageError::Choice(more + 1)),
    }
}

/// Reads one JSON document; with a descriptor, its bytes are checked before anybody parses them.
fn document(open: &mut Open<'_>, path: &str, descriptor: Option<&Descriptor>) -> Result<Vec<u8>, ImageError> {
    let read = |cause| ImageError::Read { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    open(path).map_err(read)?.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(ImageError::TooLarge { path: path.to_owned(), max: DOCUMENT_BYTES_MAX });
    }
    if let Some(descriptor) = descriptor {
        let mut hasher = hasher(&descriptor.digest);
        hasher.update(&bytes);
        check(descriptor, path, Identity { digest: hasher.finish(), size: bytes.len() as u64 })?;
    }
    Ok(bytes)
}

fn unreadable(path: &str, cause: wire::oci_image::ImageError) -> ImageError {
    ImageError::Document { path: path.to_owned(), cause }
}

fn layer(open: &mut Open<'_>, index: usize, descriptor: &Descriptor, diff_id: &Digest) -> Result<Layer, ImageError> {
    let path = blob_path(descriptor);
    let read = |cause| ImageError::Read { path: path.clone(), cause };
    if descriptor.size > LAYER_BYTES_MAX {
        return Err(ImageError::TooLarge { path, max: LAYER_BYTES_MAX });
    }
    // First pass: are these the bytes? Only then is anything of theirs unpacked.
    let mut stored = Counted::new(open(&path).map_err(read)?.take(descriptor.size + 1), &descriptor.digest);
    io::copy(&mut stored, &mut io::sink()).map_err(read)?;
    check(descriptor, &path, stored.finish())?;

    let stored = io::BufReader::new(open(&path).map_err(read)?.take(descriptor.size));
    let unpacked = match compression(&descriptor.media_type) {
        Some(compression) => compression.unpack(stored),
        None => {
            let found = descriptor.media_type.chars().take(200).collect();
            return Err(ImageError::Kind { what: "media type of a layer", found, expected: MEDIA_TYPE_LAYER_GZIP });
        }
    };
    let mut unpacked = Counted::new(unpacked, diff_id);
    let mut members = Vec::new();
    archive::read(&mut unpacked, &Limits::LAYER, &mut |member, _| {
        members.push(member.clone());
        Ok(())
    })
    .map_err(|cause| ImageError::Archive { index, cause })?;
    let found = unpacked.finish().digest;
    if found != *diff_id {
        return Err(ImageError::DiffId { index, expected: Box::new(*diff_id), found: Box::new(found) });
    }
    Ok(Layer { digest: descriptor.digest, size: descriptor.size, diff_id: *diff_id, members })
}

/// Returns how a layer of a media type is compressed; `None` for what is no layer that anybody may pass on.
pub fn compression(media_type: &str) -> Option<Compression> {
    match media_type {
        MEDIA_TYPE_LAYER => Some(Compression::Plain),
        MEDIA_TYPE_LAYER_GZIP | MEDIA_TYPE_DOCKER_LAYER => Some(Compression::Gzip),
        MEDIA_TYPE_LAYER_ZSTD => Some(Compression::Zstd),
        _ => None,
    }
}

/// Starts a digest of the same algorithm.
fn hasher(like: &Digest) -> Hasher {
    Hasher::new(match like {
        Digest::Sha256(_) => Algorithm::Sha256,
        Digest::Sha512(_) => Algorithm::Sha512,
    })
}

/// Hashes and counts what is read through it.
struct Counted<R> {
    reader: R,
    hasher: Hasher,
    size: u64,
}

impl<R> Counted<R> {
    /// Hashes with the algorithm of `like`.
    fn new(reader: R, like: &Digest) -> Counted<R> {
        Counted { reader, hasher: hasher(like), size: 0 }
    }

    fn finish(self) -> Identity {
        Identity { digest: self.hasher.finish(), size: self.size }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
