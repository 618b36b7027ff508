//! How an image is named: `HOST/NAME[:TAG]@sha256:…` or `oci:DIR[@sha256:…]`.

use std::fmt;

use wire::digest::Digest;
use wire::oci_distribution::{Location, Name, Tag};

/// An image from elsewhere, by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageReference {
    /// In a registry.
    Registry {
        /// Registry and name.
        repository: Repository,
        /// What it was called when it was pinned: a mere remark.
        tag: Option<Tag>,
        /// Digest of its manifest, or of an index with one for each platform.
        digest: Digest,
    },
    /// In an OCI image layout.
    Layout {
        /// The directory, relative to the project.
        directory: String,
        /// Digest of its manifest or index; `None` for a layout that holds one image.
        digest: Option<Digest>,
    },
}

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// `registry.example.org:5000`
    pub host: String,
    /// `team/base`
    pub name: Name,
}

/// Why a text names no image that always stays the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageReferenceError {
    /// A repository, but which of its images is not said.
    NoDigest,
    /// A name without the registry that has it.
    NoHost,
    /// The directory of a layout is absolute, or no path.
    Directory,
    /// Neither form, or a malformed part.
    Malformed(String),
}

impl ImageReference {
    /// Reads a reference.
    pub fn parse(text: &str) -> Result<ImageReference, ImageReferenceError> {
        let malformed = |error: &dyn fmt::Display| ImageReferenceError::Malformed(error.to_string());
        if let Some(layout) = text.strip_prefix("oci:") {
            let (directory, digest) = match layout.rsplit_once("@") {
                Some((directory, digest)) => (directory, Some(digest.parse().map_err(|error| malformed(&error))?)),
                None => (layout, None),
            };
            let directory = directory.trim_end_matches('/');
            let is_path = !directory.is_empty() && directory.len() <= 1024 && !directory.contains(char::is_control);
            return match is_path && !directory.starts_with('/') {
                true => Ok(ImageReference::Layout { directory: directory.to_owned(), digest }),
                false => Err(ImageReferenceError::Directory),
            };
        }
        let location: Location = text.parse().map_err(|error| malformed(&error))?;
        let host = location.host.ok_or(ImageReferenceError::NoHost)?;
        let digest = location.digest.ok_or(ImageReferenceError::NoDigest)?;
        Ok(ImageReference::Registry { repository: Repository { host, name: location.name }, tag: location.tag, digest })
    }

    /// Returns the digest, if it names one.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            ImageReference::Registry { digest, .. } => Some(*digest),
            ImageReference::Layout { digest, .. } => *digest,
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageReference::Registry { repository, tag, digest } => {
                write!(f, "{repository}")?;
                if let Some(tag) = tag {
                    write!(f, ":{tag}")?;
                }
                write!(f, "@{digest}")
            }
            ImageReference::Layout { directory, digest: Some(digest) } => write!(f, "oci:{directory}@{digest}"),
            ImageReference::Layout { directory, digest: None } => write!(f, "oci:{directory}"),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.name)
    }
}

impl fmt::Display for ImageReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageReferenceError::NoDigest => f.write_str("it has no digest, so it may be another image tomorrow"),
            ImageReferenceError::NoHost => f.write_str("it names no registry"),
            ImageReferenceError::Directory => f.write_str("a layout's directory is a path relative to the project"),
            ImageReferenceError::Malformed(reason) => f.write_str(reason),
        }
    }
}
