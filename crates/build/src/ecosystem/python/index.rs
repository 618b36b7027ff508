//! A package index, asked where the files of a version lie.
//!
//! Specification: Simple repository API <https://packaging.python.org/en/latest/specifications/simple-repository-api/>, in
//! its HTML form, which every index has:
//!
//! ```text
//! <a href="https://files.pythonhosted.org/packages/00/2e/…/click-8.1.7-py3-none-any.whl#sha256=ae74fb96…">click-8.1.7…</a>
//! ```
//!
//! The answer is not trusted: of it only addresses are taken, for digests that a lock file names.

use std::collections::{BTreeMap, BTreeSet};

use inspect::lock_file::python::normalized;
use wire::digest::Digest;

use crate::ecosystem::download::DownloadError;
use crate::pin::cache::Cache;
use crate::pin::{PinError, World};

/// The public index.
pub(super) const PUBLIC: &str = "https://pypi.org/simple";

/// Where the public index has its files.
const PUBLIC_FILES: &str = "https://files.pythonhosted.org/";

/// How large a page may be: that of the project with the most files has about 20 MB.
const PAGE_MAX: u64 = 64 << 20;

/// How many files a page may name.
const FILES_MAX: usize = 200_000;

/// Name, address and digest of a file.
type Found = (String, String, Digest);

/// Pages that were asked for, by address.
#[derive(Default)]
pub(super) struct Index {
    pages: BTreeMap<String, Vec<Found>>,
}

impl Index {
    /// Returns the files of a project that have one of these digests, from the first index that has any.
    pub(super) fn files(
        &mut self,
        project: &str,
        digests: &BTreeSet<Digest>,
        indexes: &[String],
        world: &World<'_>,
    ) -> Result<Vec<Found>, PinError> {
        let cache = Cache::new(&world.host.cache, "index", &fingerprint(project, digests, indexes));
        if let Some(known) = cache.load::<Vec<Found>>() {
            let good = |(name, _, digest): &Found| is_file_name(name) && digests.contains(digest);
            return Ok(known.into_iter().filter(good).collect());
        }
        for index in indexes {
            let url = format!("{}/{}/", index.trim_end_matches('/'), normalized(project));
            if !self.pages.contains_key(&url) {
                let what = format!("the files of `{project}`");
                let page = world.fetch.fetch(&url, PAGE_MAX);
                let page = page.map_err(|source| DownloadError::Fetch { what, source })?;
                self.pages.insert(url.clone(), links(&url, &String::from_utf8_lossy(&page)));
            }
            let known = self.pages.get(&url).map_or(&[][..], Vec::as_slice);
            let found: Vec<Found> = known.iter().filter(|(.., digest)| digests.contains(digest)).cloned().collect();
            if !found.is_empty() {
                cache.save(&found);
                return Ok(found);
            }
        }
        Err(PinError::NotInIndex { project: project.to_owned(), indexes: indexes.to_vec() })
    }
}

/// What was asked of which indexes: the answer to the same question is not asked for again.
fn fingerprint(project: &str, digests: &BTreeSet<Digest>, indexes: &[String]) -> Digest {
    let mut text = format!("{}\n{}\n", normalized(project), indexes.join("\n"));
    digests.iter().for_each(|digest| text.push_str(&format!("{digest}\n")));
    Digest::of(text.as_bytes())
}

/// The links of a page that name a file and its digest; others are passed over.
fn links(page_url: &str, page: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for rest in page.split("href=").skip(1).take(FILES_MAX) {
        let Some(quote) = rest.chars().next().filter(|c| ['"', '\''].contains(c)) else { continue };
        let Some(target) = rest[1..].split(quote).next() else { continue };
        let target = target.trim().replace("&amp;", "&");
        let Some((address, fragment)) = target.split_once('#') else { continue };
        let digest = fragment.split_once('=').and_then(|(algorithm, value)| Digest::from_parts(algorithm, value).ok());
        let address = absolute(page_url, address);
        if let (Some(digest), Some(name)) = (digest, file_name(&address)) {
            found.push((name, address, digest));
        }
    }
    found
}

/// A link as an absolute address.
fn absolute(page: &str, link: &str) -> String {
    let (scheme, rest) = page.split_once("://").unwrap_or(("https", page));
    let host = rest.split('/').next().unwrap_or("");
    if link.contains("://") {
        return link.to_owned();
    }
    if let Some(rest) = link.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let mut parts: Vec<&str> = match link.starts_with('/') {
        true => Vec::new(),
        false => {
            let mut parts: Vec<&str> = rest.split(['?', '#']).next().unwrap_or("").split('/').skip(1).collect();
            parts.pop();
            parts
        }
    };
    for part in link.trim_start_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("{scheme}://{host}/{}", parts.join("/"))
}

/// The last part of an address, if it can be a file's name.
pub(super) fn file_name(url: &str) -> Option<String> {
    let name = url.split(['?', '#']).next()?.rsplit('/').next()?.replace("%2B", "+").replace("%2b", "+");
    is_file_name(&name).then_some(name)
}

/// Whether a name is that of a wheel or source archive, and nothing else as a path.
pub(super) fn is_file_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'!');
    let known = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz"].iter().any(|end| name.ends_with(end));
    known && name.len() <= 255 && !name.starts_with('.') && name.bytes().all(plain)
}

/// Whether an address is the public index's.
pub(super) fn is_public(url: &str) -> bool {
    url.starts_with(PUBLIC_FILES)
}

#[cfg(test)]
mod tests;
