//! The registry's protocol: names, errors, lists and the few headers with a grammar of their own.
//!
//! Specification: OCI distribution v1.1.1 <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>;
//! references as people type them: distribution's grammar
//! <https://github.com/distribution/reference/blob/v0.6.0/reference.go>; scopes and challenges: its token documents
//! <https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/token.md>.
//!
//! ```text
//! registry.example.org:5000/team/greeter:v1.2@sha256:9f86…
//! {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown to the registry","detail":{"reference":"v1.2"}}]}
//! Link: </v2/greeter/tags/list?n=2&last=b>; rel="next"
//! ```
//!
//! The answer to `GET /v2/NAME/referrers/DIGEST` is an image index: [`crate::oci_image::Index`].

pub mod header;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::digest::Digest;

/// The longest repository name; clients have the same limit.
pub const NAME_MAX: usize = 255;
/// The longest tag.
pub const TAG_MAX: usize = 128;

/// A repository name: `team/greeter`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A tag: `v1.2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A name that may move.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// A repository somewhere, with tag or digest or both: `HOST/NAME[:TAG][@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// `registry.example.org:5000`; `None` where a name stands alone.
    pub host: Option<String>,
    /// The repository.
    pub name: Name,
    /// A name that may move.
    pub tag: Option<Tag>,
    /// The content itself; wins over the tag.
    pub digest: Option<Digest>,
}

/// Why a text is no name, tag or reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReferenceError {
    /// No repository name.
    #[error(
        "`{0}` is not a repository name: expected lower-case letters, digits and `.`, `_`, `-` between them, parts divided by `/`, at most {NAME_MAX} characters"
    )]
    Name(String),
    /// No tag.
    #[error(
        "`{0}` is not a tag: expected at most {TAG_MAX} of letters, digits, `_`, `.`, `-`, the first no `.` or `-`"
    )]
    Tag(String),
    /// No digest.
    #[error("reference has a malformed digest")]
    Digest(#[from] crate::digest::DigestError),
}

impl Name {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Name, ReferenceError> {
        if text.len() <= NAME_MAX && text.split('/').all(is_name_part) {
            Ok(Name(text.to_owned()))
        } else {
            Err(ReferenceError::Name(clip(text)))
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_name_part(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let separators_fit = || {
        let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        separators.into_iter().all(|run| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
    };
    plain(*first) && plain(*last) && separators_fit()
}

impl Tag {
    /// Returns the tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Tag, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits = text.len() <= TAG_MAX
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if fits { Ok(Tag(text.to_owned())) } else { Err(ReferenceError::Tag(clip(text))) }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        if text.contains(':') { Ok(Reference::Digest(text.parse()?)) } else { Ok(Reference::Tag(text.parse()?)) }
    }
}

impl FromStr for Location {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Location, ReferenceError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (host, path) = match rest.split_once('/') {
            Some((first, path)) if is_host(first) => (Some(first.to_owned()), path),
            _ => (None, rest),
        };
        let (name, tag) = match path.rsplit_once(':') {
            Some((name, tag)) => (name.parse()?, Some(tag.parse()?)),
            None => (path.parse()?, None),
        };
        Ok(Location { host, name, tag, digest })
    }
}

/// Whether the first part of a location is a host: it has a dot or a port, is `localhost`, or is an address.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let name_fits = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'),
    };
    let looks_so = name.contains('.') || port.is_some() || name == "localhost" || address.is_some();
    port_fits && name_fits && looks_so
}

impl Location {
    /// Returns what to ask the registry for: the digest if there is one, else the tag.
    pub fn reference(&self) -> Option<Reference> {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Some(Reference::Digest(*digest)),
            (None, Some(tag)) => Some(Reference::Tag(tag.clone())),
            (None, None) => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Tag(tag) => tag.fmt(f),
            Reference::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}/")?;
        }
        self.name.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tag, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The body of an error response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// What is wrong, at least one.
    pub errors: Vec<ErrorInfo>,
}

/// One error of a response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// One of [`ErrorCode`]'s names; text, for registries have codes of their own.
    pub code: String,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// For programs.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl Errors {
    /// Makes a body with one error.
    pub fn one(code: ErrorCode, message: &str, detail: Value) -> Errors {
        Errors { errors: vec![ErrorInfo { code: code.name().to_owned(), message: message.to_owned(), detail }] }
    }
}

/// The specification's error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A blob that is not there.
    BlobUnknown,
    /// An upload that cannot go on.
    BlobUploadInvalid,
    /// An upload that is not there.
    BlobUploadUnknown,
    /// A digest that does not match, or is none.
    DigestInvalid,
    /// A manifest names a blob that is not there.
    ManifestBlobUnknown,
    /// A manifest is malformed.
    ManifestInvalid,
    /// A manifest that is not there.
    ManifestUnknown,
    /// A name that is none.
    NameInvalid,
    /// A repository that is not there.
    NameUnknown,
    /// A length that does not match.
    SizeInvalid,
    /// Nobody said who asks.
    Unauthorized,
    /// Who asks may not.
    Denied,
    /// What is asked is not offered.
    Unsupported,
    /// Too many requests.
    TooManyRequests,
}

impl ErrorCode {
    /// Returns the name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::BlobUnknown => "BLOB_UNKNOWN",
            ErrorCode::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            ErrorCode::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            ErrorCode::DigestInvalid => "DIGEST_INVALID",
            ErrorCode::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            ErrorCode::ManifestInvalid => "MANIFEST_INVALID",
            ErrorCode::ManifestUnknown => "MANIFEST_UNKNOWN",
            ErrorCode::NameInvalid => "NAME_INVALID",
            ErrorCode::NameUnknown => "NAME_UNKNOWN",
            ErrorCode::SizeInvalid => "SIZE_INVALID",
            ErrorCode::Unauthorized => "UNAUTHORIZED",
            ErrorCode::Denied => "DENIED",
            ErrorCode::Unsupported => "UNSUPPORTED",
            ErrorCode::TooManyRequests => "TOOMANYREQUESTS",
        }
    }
}

/// The answer to `GET /v2/NAME/tags/list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagList {
    /// The repository.
    pub name: String,
    /// Its tags, sorted; some registries answer null for none.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn clip(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests;
