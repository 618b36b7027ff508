//! Names of images, and the build arguments in them.

use std::collections::BTreeMap;

use wire::digest::Digest;

use super::Problem;
use super::shorten;

/// An image from elsewhere, and where the file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The line of the instruction, from 1.
    pub line: usize,
    /// Its name.
    pub name: Name,
}

/// What names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A digest: always the same image. The tag, if there is one, is then a mere remark.
    Digest {
        /// `docker.io/library/debian`, as it stands.
        repository: String,
        /// `12.6-slim`
        tag: Option<String>,
        /// The digest of its manifest or index.
        digest: Digest,
    },
    /// A tag, `latest` if none is written.
    Tag {
        /// `debian`, as it stands.
        repository: String,
        /// `12.6-slim`
        tag: Option<String>,
    },
    /// A build argument without a value, or what cannot be an image's name.
    Open(String),
}

impl Name {
    /// Reads `REPOSITORY[:TAG][@DIGEST]`.
    pub fn parse(text: &str) -> Name {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '[' | ']');
        let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
        let (repository, tag) = match named.rsplit_once(':') {
            // A colon before a slash is that of a port.
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
            _ => (named, None),
        };
        if repository.is_empty() || tag.as_deref() == Some("") || text.len() > 1024 || !named.chars().all(good) {
            return Name::Open(shorten(text));
        }
        let repository = repository.to_owned();
        match digest.map(str::parse::<Digest>) {
            None => Name::Tag { repository, tag },
            Some(Ok(digest)) => Name::Digest { repository, tag, digest },
            Some(Err(_)) => Name::Open(shorten(text)),
        }
    }

    /// Returns the digest, if it has one.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Name::Digest { digest, .. } => Some(*digest),
            Name::Tag { .. } | Name::Open(_) => None,
        }
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        match self {
            Name::Digest { .. } => None,
            Name::Tag { repository, tag: None } => Some(Problem::Latest { image: repository.clone() }),
            Name::Tag { repository, tag: Some(tag) } if tag == "latest" => {
                Some(Problem::Latest { image: format!("{repository}:latest") })
            }
            Name::Tag { repository, tag: Some(tag) } => Some(Problem::Tag { image: format!("{repository}:{tag}") }),
            Name::Open(text) => Some(Problem::Argument { image: text.clone() }),
        }
    }
}

/// How far expanded text may grow: an argument's default may name other arguments.
const EXPANDED_MAX: usize = 4096;

/// Puts the values of arguments in: `$A`, `${A}`, `${A:-default}`, `${A:+instead}`. `None` if one has no value, if the
/// form is another one, or if the text grows too long.
pub(super) fn expand(text: &str, arguments: &BTreeMap<String, Option<String>>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let known = |name: &str| arguments.get(name).cloned().flatten().filter(|value| !value.is_empty());
        if let Some(inner) = rest.strip_prefix('{') {
            // A default may hold braces of its own; those are not followed.
            let (inside, after) = inner.split_once('}')?;
            rest = after;
            let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
            let (name, operation) = inside.split_at(end);
            match operation {
                "" => out.push_str(&known(name)?),
                _ if inside.contains('$') => return None,
                _ => match (operation.strip_prefix(":-"), operation.strip_prefix(":+")) {
                    (Some(default), _) => out.push_str(&known(name).unwrap_or_else(|| default.to_owned())),
                    (None, Some(instead)) => out.push_str(known(name).map_or("", |_| instead)),
                    (None, None) => return None,
                },
            }
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            out.push_str(&known(&rest[..end])?);
            rest = &rest[end..];
        }
        if out.len() > EXPANDED_MAX {
            return None;
        }
    }
    out.push_str(rest);
    (out.len() <= EXPANDED_MAX).then_some(out)
}
