//! Container images: manifests, indexes, configurations and the descriptors that tie them together.
//!
//! Specification: OCI image format v1.1.1 <https://github.com/opencontainers/image-spec/tree/v1.1.1>.
//!
//! ```json
//! {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
//!  "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:b5b2…","size":702},
//!  "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:9834…","size":16724}],
//!  "annotations":{"org.opencontainers.image.title":"greeter"}}
//! ```
//!
//! A manifest's digest is that of the bytes that were pushed; it is never parsed and written again to be named.
//! Docker's own manifest types have the same shape and are read under their own media types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The largest manifest or index that is read: 4 MiB, the size every registry must accept at least.
pub const MANIFEST_SIZE_MAX: usize = 4 << 20;
/// The largest image configuration that is read.
pub const CONFIG_SIZE_MAX: usize = 4 << 20;
/// How many descriptors one document may hold; no real image comes near.
pub const DESCRIPTORS_MAX: usize = 10_000;

/// Media type of a manifest.
pub const MEDIA_TYPE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index.
pub const MEDIA_TYPE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image configuration.
pub const MEDIA_TYPE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of an uncompressed layer.
pub const MEDIA_TYPE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of a layer under gzip.
pub const MEDIA_TYPE_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of a layer under Zstandard.
pub const MEDIA_TYPE_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Media type of the empty object `{}`.
pub const MEDIA_TYPE_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker's media type of a manifest.
pub const MEDIA_TYPE_DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's media type of an index.
pub const MEDIA_TYPE_DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's media type of an image configuration.
pub const MEDIA_TYPE_DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's media type of a layer, which is under gzip.
pub const MEDIA_TYPE_DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Annotation: when it was made.
pub const ANNOTATION_CREATED: &str = "org.opencontainers.image.created";
/// Annotation: the commit.
pub const ANNOTATION_REVISION: &str = "org.opencontainers.image.revision";
/// Annotation: the repository of the source.
pub const ANNOTATION_SOURCE: &str = "org.opencontainers.image.source";
/// Annotation: the version.
pub const ANNOTATION_VERSION: &str = "org.opencontainers.image.version";
/// Annotation: the title.
pub const ANNOTATION_TITLE: &str = "org.opencontainers.image.title";
/// Annotation: the digest of the base image.
pub const ANNOTATION_BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// Annotation: the name of the base image.
pub const ANNOTATION_BASE_NAME: &str = "org.opencontainers.image.base.name";
/// Annotation of a descriptor in a layout's `index.json`: the tag.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Bytes of the file `oci-layout` at the root of a layout.
pub const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// Bytes of the empty configuration.
pub const EMPTY: &[u8] = b"{}";

/// Notes of a producer by name.
pub type Annotations = BTreeMap<String, String>;

/// Names a blob: its type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Number of its bytes.
    pub size: u64,
    /// What kind of artifact a manifest stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Where else it can be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The bytes themselves, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What an image runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`
    pub architecture: String,
    /// `linux`
    pub os: String,
    /// Version of the operating system.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that are needed.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// `v8`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image, or another artifact in its clothes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2
    pub schema_version: u32,
    /// [`MEDIA_TYPE_MANIFEST`]; absent in old documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact this is, if it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

/// Several manifests under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2
    pub schema_version: u32,
    /// [`MEDIA_TYPE_INDEX`]; absent in old documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

/// An image's configuration. Fields that we do not know are lost when it is written again, so foreign ones never are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// When it was made, RFC 3339; kept as text because other tools write years that no clock had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// `amd64`
    pub architecture: String,
    /// `linux`
    pub os: String,
    /// How to run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Execution>,
    /// Its layers, uncompressed.
    pub rootfs: RootFs,
    /// How each layer came to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
}

/// How to run an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    /// `65532:65532`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `8080/tcp` → `{}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// `NAME=VALUE`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Program and its first arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Directories to be mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// `SIGTERM`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
}

/// The object `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The uncompressed layers of an image: its identity, whatever the compression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers, base first.
    pub diff_ids: Vec<Digest>,
}

/// How a layer came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// No layer belongs to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// What a registry keeps under a tag: a manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one document is parsed at a time and none is kept")]
pub enum Document {
    /// A manifest.
    Manifest(Manifest),
    /// An index.
    Index(Index),
}

/// Why bytes are no manifest, index or configuration.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Over the limit.
    #[error("document of {size} bytes is larger than the limit of {limit}")]
    Size {
        /// What was given.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Not JSON, a field missing or malformed.
    #[error("not an OCI {what}")]
    Form {
        /// `manifest`, `index`, `configuration`
        what: &'static str,
        /// What the JSON reader says.
        #[source]
        source: serde_json::Error,
    },
    /// A media type that is neither a manifest nor an index.
    #[error("unsupported manifest type `{0}`")]
    MediaType(String),
    /// The document says that it is something else than it was sent as.
    #[error("document says it is `{inside}` but was sent as `{outside}`")]
    Disagree {
        /// Field `mediaType` of the document.
        inside: String,
        /// Content type it came with.
        outside: String,
    },
    /// A `schemaVersion` other than 2.
    #[error("unsupported schema version {0}: expected 2")]
    SchemaVersion(u32),
    /// Fields of a manifest and of an index in one document, which clients may read either way (CVE-2021-41190).
    #[error("document has fields of a manifest and of an index")]
    Ambiguous,
    /// More than [`DESCRIPTORS_MAX`] descriptors.
    #[error("document has {0} descriptors, more than the limit of {DESCRIPTORS_MAX}")]
    Descriptors(usize),
}

/// Fields that tell a manifest from an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Parses a manifest or an index that came with the content type `media_type` (parameters allowed).
    pub fn parse(media_type: &str, json: &[u8]) -> Result<Document, ImageError> {
        check_size(json, MANIFEST_SIZE_MAX)?;
        let outside = media_type.split(';').next().unwrap_or_default().trim();
        let index = match outside {
            MEDIA_TYPE_MANIFEST | MEDIA_TYPE_DOCKER_MANIFEST => false,
            MEDIA_TYPE_INDEX | MEDIA_TYPE_DOCKER_LIST => true,
            other => return Err(ImageError::MediaType(clip(other))),
        };
        let probe: Probe = from_json("manifest", json)?;
        if let Some(inside) = probe.media_type.filter(|inside| inside != outside) {
            return Err(ImageError::Disagree { inside: clip(&inside), outside: outside.to_owned() });
        }
        if (probe.config.is_some() || probe.layers.is_some()) && probe.manifests.is_some() {
            return Err(ImageError::Ambiguous);
        }
        let document = match index {
            false => Document::Manifest(from_json("manifest", json)?),
            true => Document::Index(from_json("index", json)?),
        };
        document.check()
    }

    fn check(self) -> Result<Document, ImageError> {
        let (version, count) = match &self {
            Document::Manifest(manifest) => (manifest.schema_version, manifest.layers.len()),
            Document::Index(index) => (index.schema_version, index.manifests.len()),
        };
        if version != 2 {
            return Err(ImageError::SchemaVersion(version));
        }
        if count > DESCRIPTORS_MAX {
            return Err(ImageError::Descriptors(count));
        }
        Ok(self)
    }

    /// Returns the manifest that this document is about.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Document::Manifest(manifest) => manifest.subject.as_ref(),
            Document::Index(index) => index.subject.as_ref(),
        }
    }

    /// Returns the notes.
    pub fn annotations(&self) -> Option<&Annotations> {
        match self {
            Document::Manifest(manifest) => manifest.annotations.as_ref(),
            Document::Index(index) => index.annotations.as_ref(),
        }
    }

    /// Returns the artifact type that a referrers list shows: its own, for a manifest else that of its configuration.
    pub fn artifact_type(&self) -> Option<&str> {
        let given = |kind: &Option<String>| kind.as_ref().is_some_and(|kind| !kind.is_empty());
        match self {
            Document::Manifest(manifest) if given(&manifest.artifact_type) => manifest.artifact_type.as_deref(),
            Document::Manifest(manifest) => Some(&manifest.config.media_type),
            Document::Index(index) if given(&index.artifact_type) => index.artifact_type.as_deref(),
            Document::Index(_) => None,
        }
    }

    /// Returns what must be there before the document may be: configuration and layers, or manifests.
    pub fn references(&self) -> Vec<&Descriptor> {
        match self {
            Document::Manifest(manifest) => std::iter::once(&manifest.config).chain(&manifest.layers).collect(),
            Document::Index(index) => index.manifests.iter().collect(),
        }
    }
}

impl Descriptor {
    /// Names a blob.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            artifact_type: None,
            urls: Vec::new(),
            data: None,
            platform: None,
            annotations: None,
        }
    }

    /// Names the empty object `{}`.
    pub fn empty() -> Descriptor {
        Descriptor::new(MEDIA_TYPE_EMPTY, Digest::of(EMPTY), EMPTY.len() as u64)
    }
}

impl Manifest {
    /// Makes an image manifest.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: Some(MEDIA_TYPE_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: None,
        }
    }

    /// Returns the canonical JSON.
    pub fn to_json(&self) -> Vec<u8> {
        crate::jcs::to_vec(self)
    }
}

impl Index {
    /// Makes an index.
    pub fn new(manifests: Vec<Descriptor>) -> Index {
        Index {
            schema_version: 2,
            media_type: Some(MEDIA_TYPE_INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: None,
        }
    }

    /// Parses an index, such as a layout's `index.json`.
    pub fn parse(json: &[u8]) -> Result<Index, ImageError> {
        match Document::parse(MEDIA_TYPE_INDEX, json)? {
            Document::Index(index) => Ok(index),
            Document::Manifest(_) => Err(ImageError::Ambiguous),
        }
    }

    /// Returns the canonical JSON.
    pub fn to_json(&self) -> Vec<u8> {
        crate::jcs::to_vec(self)
    }
}

impl Config {
    /// Parses an image's configuration.
    pub fn parse(json: &[u8]) -> Result<Config, ImageError> {
        check_size(json, CONFIG_SIZE_MAX)?;
        let config: Config = from_json("configuration", json)?;
        if config.rootfs.diff_ids.len() > DESCRIPTORS_MAX {
            return Err(ImageError::Descriptors(config.rootfs.diff_ids.len()));
        }
        Ok(config)
    }

    /// Returns the canonical JSON.
    pub fn to_json(&self) -> Vec<u8> {
        crate::jcs::to_vec(self)
    }
}

fn check_size(json: &[u8], limit: usize) -> Result<(), ImageError> {
    if json.len() > limit { Err(ImageError::Size { size: json.len(), limit }) } else { Ok(()) }
}

fn from_json<'de, T: Deserialize<'de>>(what: &'static str, json: &'de [u8]) -> Result<T, ImageError> {
    serde_json::from_slice(json).map_err(|source| ImageError::Form { what, source })
}

fn clip(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests;
