//! Where a package's bytes come from, as a lock file's `source` says it.

use wire::digest::Digest;

use super::PackageProblem;

/// The two names that crates.io has in lock files: its git index and its sparse one.
const CRATES_IO: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

/// The longest source: a URL with a branch name.
const SOURCE_MAX: usize = 4096;

/// Where a package's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A registry, which serves it as a `.crate` file.
    Registry {
        /// The source as the lock file has it: `registry+URL` (a git index) or `sparse+URL`.
        index: String,
        /// SHA-256 of the `.crate` file.
        checksum: Digest,
    },
    /// A commit of a git repository.
    Git {
        /// The repository's URL, without reference and commit.
        url: String,
        /// What the manifest asked for; [`Source::Git::commit`] is what it came to.
        reference: GitReference,
        /// 40 or 64 lower-case hexadecimal digits.
        commit: String,
        /// The source as the lock file has it: `git+URL?branch=main#COMMIT`.
        id: String,
    },
    /// A directory of the project: its bytes are part of the source tree.
    Path,
}

/// What a manifest asks of a git repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitReference {
    /// The default branch.
    Default,
    /// `branch = "…"`
    Branch(String),
    /// `tag = "…"`
    Tag(String),
    /// `rev = "…"`
    Rev(String),
}

impl Source {
    /// Whether this is crates.io, by either of its index names.
    pub fn is_crates_io(&self) -> bool {
        matches!(self, Source::Registry { index, .. } if CRATES_IO.contains(&index.as_str()))
    }

    pub(super) fn parse(source: Option<&str>, checksum: Option<&str>, format: u8) -> Result<Source, PackageProblem> {
        let Some(text) = source else {
            return match checksum {
                Some(checksum) => Err(PackageProblem::Checksum(shorten(checksum))),
                None => Ok(Source::Path),
            };
        };
        let refuse = || PackageProblem::Source(shorten(text));
        if text.len() > SOURCE_MAX || text.contains(|c: char| c.is_control() || c == ' ') {
            return Err(refuse());
        }
        match text.split_once('+').ok_or_else(refuse)? {
            ("registry" | "sparse", url) if !url.is_empty() => {
                let checksum = checksum.ok_or(PackageProblem::NoChecksum)?;
                let digest =
                    Digest::from_parts("sha256", checksum).map_err(|_| PackageProblem::Checksum(shorten(checksum)))?;
                Ok(Source::Registry { index: text.to_owned(), checksum: digest })
            }
            ("git", rest) => match checksum {
                // Version 1 writes `<none>` for packages that no registry vouches for.
                Some(checksum) if checksum != "<none>" => Err(PackageProblem::Checksum(shorten(checksum))),
                _ => parse_git(text, rest, format).ok_or_else(refuse),
            },
            _ => Err(refuse()),
        }
    }

    /// What a package URL must say besides name and version; nothing for crates.io.
    pub(super) fn purl_qualifier(&self) -> Option<(&'static str, String)> {
        match self {
            Source::Registry { .. } if self.is_crates_io() => None,
            Source::Registry { index, .. } => {
                let url = index.split_once('+').map_or(index.as_str(), |(_, url)| url);
                Some(("repository_url", url.to_owned()))
            }
            Source::Git { url, commit, .. } => Some(("vcs_url", format!("git+{url}@{commit}"))),
            Source::Path => Some(("download_url", "file://.".to_owned())),
        }
    }
}

fn parse_git(id: &str, rest: &str, format: u8) -> Option<Source> {
    let (address, commit) = rest.split_once('#')?;
    let hexadecimal = commit.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !hexadecimal || !matches!(commit.len(), 40 | 64) {
        return None;
    }
    let (url, query) = address.split_once('?').map_or((address, None), |(url, query)| (url, Some(query)));
    if !url.contains(':') || url.starts_with('-') {
        return None;
    }
    let value = |text: &str| if format >= 4 { decode(text) } else { Some(text.to_owned()) };
    let reference = match query.map(|query| query.split_once('=').unwrap_or((query, ""))) {
        None => GitReference::Default,
        Some(("branch", name)) => GitReference::Branch(value(name)?),
        Some(("tag", name)) => GitReference::Tag(value(name)?),
        Some(("rev", name)) => GitReference::Rev(value(name)?),
        Some(_) => return None,
    };
    Some(Source::Git { url: url.to_owned(), reference, commit: commit.to_owned(), id: id.to_owned() })
}

/// Version 4 writes reference names as `application/x-www-form-urlencoded`.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push((high * 16 + low) as u8);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}
