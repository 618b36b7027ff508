//! An OCI image with a layer of our own, alone or upon that of a whole root file system, made the same way every time.
//!
//! Specification: OCI image 1.1 <https://github.com/opencontainers/image-spec/tree/v1.1.1> (manifest, config, layer,
//! image layout).
//!
//! An image is a function of its [`Spec`] alone: entries sorted, every time the given epoch, owner 0:0 without names,
//! modes 0755 and 0644, JSON in canonical form; no time of its making, no tool, no host, no history. Its identity is the
//! uncompressed layer (`diff_ids`) and the config; the gzip form is transport, yet pinned too. Whatever changes the
//! bytes of an image raises [`OUTPUT_FORMAT`].

mod layer;

mod layout;

mod root;

mod service;

pub mod stacked;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use wire::digest::Digest;

pub use layer::Layer;
pub use layout::write;
pub use root::{root, root_layer};
pub use service::{Binary, SERVICE_USER, Service, service_entries, upon_base};

/// The version of the bytes that [`assemble`] makes; stands in the lock and in the recipe.
pub const OUTPUT_FORMAT: u32 = 1;

/// The largest layer before compression.
pub const LAYER_BYTES_MAX: u64 = 8 << 30;

/// The search path of processes in an image that declares none.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What an image is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Seconds since the epoch: the time of every file and of the image; the commit's.
    pub epoch_unix_s: i64,
    /// `amd64`, `arm64`: as OCI names them.
    pub architecture: String,
    /// Program and arguments that the container starts.
    pub entrypoint: Vec<String>,
    /// Arguments after the entry point, which whoever runs the image may replace.
    pub arguments: Vec<String>,
    /// `65532:65532`
    pub user: String,
    /// TCP ports that the service listens on.
    pub ports: Vec<u16>,
    /// Variables of the process. `PATH` is added when it is not among them.
    pub variables: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Files, links and directories, in any order.
    pub entries: Vec<Entry>,
    /// The layer below them, for an image upon a base.
    pub base: Option<Layer>,
}

/// Something that stands at a path of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative path: `usr/bin/greeter`.
    pub path: String,
    /// What stands there.
    pub content: Content,
}

/// What stands at a path. Directories above a path are made by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file.
    File {
        /// Where its bytes come from.
        bytes: Bytes,
        /// 0755 instead of 0644.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Its target as it stands in the link.
        target: String,
    },
    /// Nothing: what layers below have there is gone.
    Gone,
    /// An empty directory.
    Directory {
        /// Whether anybody may write in it (mode 1777), as `/tmp` needs, instead of 0755.
        shared: bool,
    },
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// From memory.
    Here(Vec<u8>),
    /// From a file.
    File(PathBuf),
}

/// A finished image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Digest of the manifest: the image digest.
    pub manifest: Digest,
    /// Size of the manifest in bytes.
    pub manifest_size: u64,
    /// Digest of the config.
    pub config: Digest,
    /// Digests of the uncompressed layers.
    pub diff_ids: Vec<Digest>,
    /// Digests of the layers as they are stored (gzip).
    pub layers: Vec<Digest>,
    /// What an image layout directory holds: relative path and bytes, `index.json` last.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Why an image could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A time before 1970 or after what a tar header can hold.
    #[error("{0} is no time that an image can have")]
    Epoch(i64),
    /// A path or link that cannot stand in an image.
    #[error("`{path}` cannot stand in an image: {problem}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file could not be read.
    #[error("reading `{}` for the image", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file that changed while it was read, or differs from what the base's tree says.
    #[error("`{}` changed while the image was made, or is not what the base holds", .0.display())]
    Changed(PathBuf),
    /// More than [`LAYER_BYTES_MAX`].
    #[error("the image's layer has more than {LAYER_BYTES_MAX} bytes")]
    TooLarge,
    /// No entry point.
    #[error("the image has no entry point")]
    NoEntrypoint,
    /// A machine that images have no name for, or several machines.
    #[error("an image for {0}: its binaries must all be for one of amd64 and arm64")]
    Machine(String),
    /// The libraries of a binary could not be found in the base.
    #[error("finding the libraries of `{binary}`")]
    Libraries {
        /// The binary's name.
        binary: String,
        /// Why.
        #[source]
        cause: inspect::elf::ElfError,
    },
    /// Writing the image layout failed.
    #[error("writing the image to `{}`", path.display())]
    Write {
        /// What was being written.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Makes the image; the same [`Spec`] and bytes always give the same result.
pub fn assemble(spec: &Spec) -> Result<Image, ImageError> {
    if spec.entrypoint.is_empty() {
        return Err(ImageError::NoEntrypoint);
    }
    let created = wire::timestamp::Timestamp::from_unix_s(spec.epoch_unix_s);
    let created = created.ok_or(ImageError::Epoch(spec.epoch_unix_s))?;
    let mut layers = Vec::from_iter(spec.base.clone());
    layers.push(layer::pack(&spec.entries, &|_| false, created)?);
    let config = layout::config(spec, created, &layers);
    Ok(layout::image(config, layers))
}

#[cfg(test)]
mod tests;
