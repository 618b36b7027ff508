//! A base that is an image: fetched by digest, kept as blobs, its layers put upon one another and imported as a tree.
//!
//! ```text
//! reference ─ index ─(platform)─ manifest ─┬─ config ─ variables
//!                                          └─ layers ─ root ─ tree
//! ```
//!
//! What the store holds is not asked for again, so a lock that was made once is made again without a network. An image is
//! the whole root file system: nothing of it is left out but what a tree cannot hold (owners, mode bits other than the
//! executable one, times, extended attributes, device files and fifos).

mod source;

mod unpack;

use std::io;
use std::path::{Path, PathBuf};

use inspect::image::root::RootError;
use inspect::image::{LAYER_BYTES_MAX, LAYERS_MAX};
use wire::digest::{Algorithm, Digest, Hasher};
use wire::oci_image::{Config, Descriptor, Document, Index, MEDIA_TYPE_CONFIG, MEDIA_TYPE_DOCKER_CONFIG, Manifest};

use super::reference::ImageReference;
use crate::inputs::{ImagesError, InputsError};
use crate::lock;
use crate::pin::World;
use crate::pin::cache::Cache;
use crate::spec::{CONSTRUCTED, looks_secret};

use source::Source;

/// Version of how a tree is made of layers; a fingerprint of an older version is not used.
const LAYOUT: u32 = 1;

/// The most that all files of all layers may have: the largest images of toolchains have 20 GiB.
const BYTES_MAX: u64 = 64 << 30;

/// How many variables an image may give, and how long one may be.
const VARIABLES_MAX: usize = 256;
const VARIABLE_LENGTH_MAX: usize = 8192;

/// Why an image could not become a base.
#[derive(Debug, thiserror::Error)]
pub enum BaseImageError {
    /// The registry.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// A file of an image layout could not be read.
    #[error("reading `{}` of the image layout", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A layout with none or several, and none named.
    #[error("the layout `{directory}` holds {count} images; name one by its digest, as `oci:{directory}@sha256:…`")]
    Choice {
        /// The layout's directory.
        directory: String,
        /// How many it holds.
        count: usize,
    },
    /// Bytes that are not what was asked for.
    #[error("the manifest `{expected}` of the image is {found}")]
    Differs {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// An index, manifest or config that is none.
    #[error("reading {what} `{digest}` of the image")]
    Document {
        /// `the manifest`
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// Why.
        #[source]
        source: wire::oci_image::ImageError,
    },
    /// An index without an image for this machine.
    #[error("the image is not for {wanted}, but for {}", if .found.is_empty() { "none" } else { .found })]
    Platform {
        /// `linux/amd64`
        wanted: String,
        /// Platforms that it is for.
        found: String,
    },
    /// A part of another kind than an image has.
    #[error("{what} is of type `{found}`, which is none of an image")]
    Kind {
        /// `the config`
        what: String,
        /// Its media type.
        found: String,
    },
    /// The config tells of other layers than the manifest, or there are too many.
    #[error("the manifest has {layers} layers and the config {diff_ids} (at most {LAYERS_MAX} are read)")]
    Layers {
        /// Layers of the manifest.
        layers: usize,
        /// Layers of the config.
        diff_ids: usize,
    },
    /// A layer that is larger than any real one.
    #[error("{layer} has {size} bytes, more than {LAYER_BYTES_MAX}")]
    TooLarge {
        /// Which one.
        layer: LayerName,
        /// Its size.
        size: u64,
    },
    /// More bytes than all files of an image may have.
    #[error("the files of the image have more than {BYTES_MAX} bytes")]
    Bytes,
    /// A layer that cannot be put upon those before it.
    #[error("reading {layer}")]
    Layer {
        /// Which one.
        layer: LayerName,
        /// Why.
        #[source]
        source: RootError,
    },
    /// A layer that unpacks to something else than the config says.
    #[error("{layer} unpacks to {found}, but the config says {expected}")]
    DiffId {
        /// Which one.
        layer: LayerName,
        /// What the config says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A variable that cannot be one, or too many.
    #[error("the image sets {count} variables, or one that is malformed or too long")]
    Variables {
        /// How many.
        count: usize,
    },
    /// Unpacking failed on our side.
    #[error("unpacking the image into `{}`", path.display())]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store.
    #[error("keeping the image")]
    Inputs(#[from] InputsError),
}

/// `layer 2 of 5 (sha256:…)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerName {
    /// From 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// Its digest.
    pub digest: Digest,
}

impl std::fmt::Display for LayerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "layer {} of {} ({})", self.number, self.count, self.digest)
    }
}

/// An image whose documents were read.
struct Described {
    digest: Digest,
    platform: String,
    manifest: Manifest,
    config: Config,
}

/// Pins an image: brings all of it into the store, and its tree. Returns also whether the tree was made now.
pub fn pin(
    reference: &ImageReference,
    project: &Path,
    world: &World<'_>,
) -> Result<(lock::Base, bool), BaseImageError> {
    let source = Source::new(reference, project, world);
    let described = describe(reference, &source)?;
    let variables = variables(&described.config)?;
    let count = described.manifest.layers.len();
    for (index, layer) in described.manifest.layers.iter().enumerate() {
        let name = LayerName { number: index + 1, count, digest: layer.digest };
        if layer.size > LAYER_BYTES_MAX {
            return Err(BaseImageError::TooLarge { layer: name, size: layer.size });
        }
        (world.progress)(&format!("fetching {name}"));
        source.blob(layer)?;
    }
    let (unpacked, is_new) = tree(&described, world)?;
    let image = lock::Image {
        reference: reference.to_string(),
        digest: described.digest,
        platform: described.platform,
        config: described.manifest.config.digest,
        layers: described.manifest.layers.iter().map(|layer| layer.digest).collect(),
        variables,
    };
    let lock::Base { distribution, tree, packages, .. } = unpacked;
    Ok((lock::Base { distribution, tree, image: Some(image), packages }, is_new))
}

/// Reads manifest and config, and keeps them.
fn describe(reference: &ImageReference, source: &Source<'_>) -> Result<Described, BaseImageError> {
    let wanted = platform();
    let top = source.top(reference)?;
    let (mut digest, mut document) = (top, source.document(&top)?);
    if let Document::Index(index) = &document {
        digest = choose(index, &wanted)?;
        document = source.document(&digest)?;
    }
    let Document::Manifest(manifest) = document else {
        let found = "an index inside an index".to_owned();
        return Err(BaseImageError::Kind { what: "the manifest".to_owned(), found });
    };
    let config_type = manifest.config.media_type.as_str();
    if !matches!(config_type, MEDIA_TYPE_CONFIG | MEDIA_TYPE_DOCKER_CONFIG) {
        return Err(BaseImageError::Kind { what: "the config".to_owned(), found: clip(config_type) });
    }
    for (index, layer) in manifest.layers.iter().enumerate() {
        if inspect::image::compression(&layer.media_type).is_none() {
            let what = format!("layer {} of {} ({})", index + 1, manifest.layers.len(), layer.digest);
            return Err(BaseImageError::Kind { what, found: clip(&layer.media_type) });
        }
    }
    let config = source.config(&manifest.config)?;
    let found = format!("{}/{}", clip(&config.os), clip(&config.architecture));
    if found != wanted {
        return Err(BaseImageError::Platform { wanted, found });
    }
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids || layers > LAYERS_MAX {
        return Err(BaseImageError::Layers { layers, diff_ids });
    }
    Ok(Described { digest, platform: wanted, manifest, config })
}

/// The platform of this machine, as images name it.
fn platform() -> String {
    format!("linux/{}", architecture())
}

/// The architecture of this machine, as images name it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The manifest of an index for a platform: the first, which is what other tools take.
fn choose(index: &Index, wanted: &str) -> Result<Digest, BaseImageError> {
    let named = |manifest: &Descriptor| {
        let platform = manifest.platform.as_ref()?;
        Some(format!("{}/{}", clip(&platform.os), clip(&platform.architecture)))
    };
    let found = index.manifests.iter().find(|manifest| named(manifest).as_deref() == Some(wanted));
    found.map(|manifest| manifest.digest).ok_or_else(|| {
        let mut others: Vec<String> = index.manifests.iter().filter_map(named).collect();
        others.sort();
        others.dedup();
        others.truncate(20);
        BaseImageError::Platform { wanted: wanted.to_owned(), found: others.join(", ") }
    })
}

/// The variables of the image that steps shall have: not those that the sandbox constructs, but for the search path,
/// and none that looks like a secret.
fn variables(config: &Config) -> Result<Vec<String>, BaseImageError> {
    let all = config.config.as_ref().and_then(|execution| execution.env.as_deref()).unwrap_or_default();
    let malformed = |variable: &&String| {
        let name = variable.split_once('=').map_or("", |(name, _)| name);
        name.is_empty() || variable.len() > VARIABLE_LENGTH_MAX || variable.contains('\0')
    };
    if all.len() > VARIABLES_MAX || all.iter().any(|variable| malformed(&variable)) {
        return Err(BaseImageError::Variables { count: all.len() });
    }
    let is_taken = |variable: &&String| {
        let name = variable.split_once('=').map_or("", |(name, _)| name);
        name == "PATH" || !(CONSTRUCTED.contains(&name) || looks_secret(name))
    };
    Ok(all.iter().filter(is_taken).cloned().collect())
}

/// The tree of an image: found by its manifest's digest, or made.
fn tree(described: &Described, world: &World<'_>) -> Result<(lock::Base, bool), BaseImageError> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(format!("image {LAYOUT}\n{}\n", described.digest).as_bytes());
    let cache = Cache::new(&world.host.cache, "image", &hasher.finish());
    if let Some(known) = cache.load::<lock::Base>()
        && world.inputs.tree(&known.tree)?.is_some()
    {
        return Ok((known, false));
    }
    let base = unpack::unpack(&described.manifest.layers, &described.config.rootfs.diff_ids, world)?;
    cache.save(&base);
    Ok((base, true))
}

fn clip(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests;
