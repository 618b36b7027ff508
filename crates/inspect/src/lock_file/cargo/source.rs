//! The `source` of a package, as cargo writes it.

use wire::digest::Digest;

use super::artifact;
use crate::lock_file::finding::{PackageProblem, shorten};
use crate::lock_file::pin::{Commit, GitReference, Origin};

/// The longest source: a URL, a reference and a commit.
const SOURCE_MAX: usize = 4096;

/// What names crates.io: its git index, and since cargo 1.70 its sparse one.
const CRATES_IO: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

/// Whether a registry, as a lock file spells it, is crates.io, by either of its index names.
pub fn is_crates_io(registry: &str) -> bool {
    CRATES_IO.contains(&registry)
}

/// Reads a source; without one the package is the project's own.
pub(super) fn origin(source: Option<&str>, checksum: Option<&str>, format: u8) -> Result<Origin, PackageProblem> {
    // Version 1 writes `<none>` for packages that no registry vouches for.
    let checksum = checksum.filter(|checksum| *checksum != "<none>");
    let Some(text) = source else {
        return match checksum {
            Some(checksum) => Err(PackageProblem::Digest(shorten(checksum))),
            None => Ok(Origin::Workspace(String::new())),
        };
    };
    let expected = "`registry+URL`, `sparse+URL` or `git+URL#COMMIT`";
    let refuse = || PackageProblem::Origin { found: shorten(text), expected };
    if text.len() > SOURCE_MAX || text.contains(|c: char| c.is_control() || c == ' ') {
        return Err(refuse());
    }
    match text.split_once('+').ok_or_else(refuse)? {
        ("registry" | "sparse", url) if !url.is_empty() => {
            let digest =
                checksum.map(|hex| Digest::from_parts("sha256", hex).map_err(|_| PackageProblem::Digest(shorten(hex))));
            Ok(Origin::Registry { registry: Some(text.to_owned()), artifacts: vec![artifact(digest.transpose()?)] })
        }
        ("git", rest) => match checksum {
            Some(checksum) => Err(PackageProblem::Digest(shorten(checksum))),
            None => git(rest, format).ok_or_else(refuse),
        },
        _ => Err(refuse()),
    }
}

fn git(rest: &str, format: u8) -> Option<Origin> {
    let (address, commit) = rest.split_once('#')?;
    let (url, query) = address.split_once('?').map_or((address, None), |(url, query)| (url, Some(query)));
    if url.starts_with('-') {
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
    Some(Origin::Git { url: url.to_owned(), reference, commit: Commit::parse(commit)?, subdirectory: None })
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
