//! Tags and referrers, page by page; and referrers where a registry keeps no list of them.
//!
//! Specification: OCI Distribution 1.1, "Listing Referrers" and "Referrers Tag Schema"
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>. The tag is one document
//! for all who push, and the protocol has no way to write it only if it is unchanged: after writing, it is read again.

use reqwest::header::LINK;
use reqwest::{Method, StatusCode, Url};
use wire::digest::Digest;
use wire::oci_distribution::header::parse_link_next;
use wire::oci_distribution::{Name, Reference, Tag, TagList};
use wire::oci_image::{Descriptor, Document, Index, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};

use super::{Attempt, Client, Scope, reading};
use crate::error::{Context as _, Failure, Result};
use crate::remote::http::{Answer, Call};
use crate::remote::parcel::Referrer;

/// Pages of one list that are read.
const PAGES_MAX: usize = 500;
/// Tags or referrers that are read.
const LIST_MAX: usize = 100_000;
/// How often the tag of referrers is written before somebody else's writing wins.
const WRITES_MAX: usize = 4;

impl Client {
    /// Returns the tags of a repository.
    pub(crate) fn tags(&self, name: &Name) -> Result<Vec<String>> {
        self.run(async {
            let url = self.url(&format!("/v2/{name}/tags/list?n=1000"))?;
            let doing = || format!("listing the tags of `{name}`");
            let mut tags = Vec::new();
            for page in self.pages(&reading(name), url, &doing).await?.unwrap_or_default() {
                let list: TagList = serde_json::from_slice(&page.body).context("registry", doing())?;
                tags.extend(list.tags);
                within_limit(tags.len(), &doing)?;
            }
            Ok(tags)
        })
    }

    /// Returns what refers to a manifest.
    pub(crate) fn referrers(&self, name: &Name, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.run(self.list_referrers(name, subject))
    }

    async fn list_referrers(&self, name: &Name, subject: &Digest) -> Attempt<Vec<Descriptor>> {
        let doing = || format!("listing what refers to {subject} in `{name}`");
        let url = self.url(&format!("/v2/{name}/referrers/{subject}"))?;
        let Some(pages) = self.pages(&reading(name), url, &doing).await? else {
            return Ok(self.tagged_referrers(name, subject).await?.map(|index| index.manifests).unwrap_or_default());
        };
        let mut referrers = Vec::new();
        for page in pages {
            referrers.extend(Index::parse(&page.body).context("registry", doing())?.manifests);
            within_limit(referrers.len(), &doing)?;
        }
        Ok(referrers)
    }

    /// Pushes referrers of a manifest, whose blobs are there. Where the registry does not list them by itself, they are
    /// added to the tag that stands for the list.
    pub(crate) fn attach(&self, name: &Name, subject: &Digest, referrers: &[Referrer]) -> Result<()> {
        self.run(async {
            let mut unlisted = Vec::new();
            for referrer in referrers {
                let reference = Reference::Digest(referrer.descriptor.digest);
                let listed =
                    self.write_manifest(name, &reference, MEDIA_TYPE_MANIFEST, &referrer.manifest, None).await?;
                if !listed {
                    unlisted.push(referrer.descriptor.clone());
                }
            }
            self.add_to_tag(name, subject, &unlisted).await
        })
    }

    async fn add_to_tag(&self, name: &Name, subject: &Digest, referrers: &[Descriptor]) -> Attempt<()> {
        let tag = Reference::Tag(fallback_tag(subject)?);
        for _ in 0..WRITES_MAX {
            let known = self.tagged_referrers(name, subject).await?;
            let Some(index) = with_referrers(known, referrers) else { return Ok(()) };
            self.write_manifest(name, &tag, MEDIA_TYPE_INDEX, &index.to_json(), None).await?;
        }
        let message = format!("`{tag}` of `{name}`, which lists what refers to {subject}, is being written by others");
        Err(Failure::new("registry", message).hint("type the same command again").into())
    }

    async fn tagged_referrers(&self, name: &Name, subject: &Digest) -> Attempt<Option<Index>> {
        let tag = Reference::Tag(fallback_tag(subject)?);
        match self.read_manifest(name, &tag).await?.map(|manifest| manifest.document) {
            None => Ok(None),
            Some(Document::Index(index)) => Ok(Some(index)),
            Some(Document::Manifest(_)) => Err(Failure::new(
                "registry",
                format!("`{tag}` of `{name}` should list what refers to {subject}, but is no index"),
            )
            .into()),
        }
    }

    /// All pages of a list; `None` when the registry has no such list.
    async fn pages(&self, scope: &Scope, first: Url, doing: &impl Fn() -> String) -> Attempt<Option<Vec<Answer>>> {
        let mut pages: Vec<Answer> = Vec::new();
        let mut next = Some(first);
        while let Some(url) = next {
            let page = self.exchange(scope, &Call::new(Method::GET, url)).await?;
            match page.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND if pages.is_empty() => return Ok(None),
                _ => return Err(self.refused(&doing(), &page).into()),
            }
            next = self.next_page(&page)?;
            pages.push(page);
            if pages.len() == PAGES_MAX && next.is_some() {
                return Err(Failure::new("too-many", format!("{}: more than {PAGES_MAX} pages", doing())).into());
            }
        }
        Ok(Some(pages))
    }

    /// Where the next page is: on the same server only.
    fn next_page(&self, page: &Answer) -> Result<Option<Url>> {
        let link = page.headers.get(LINK).and_then(|value| value.to_str().ok()).and_then(parse_link_next);
        let Some(target) = link else { return Ok(None) };
        let url = page.url.join(target).ok().filter(|url| self.http.address().owns(url) && *url != page.url);
        url.map(Some).ok_or_else(|| {
            Failure::new("registry", format!("{} leads to a next page that is none of its own", self.http.address()))
        })
    }
}

fn within_limit(count: usize, doing: &impl Fn() -> String) -> Result<()> {
    match count <= LIST_MAX {
        true => Ok(()),
        false => Err(Failure::new("too-many", format!("{}: more than {LIST_MAX} of them", doing()))),
    }
}

/// The list with some more; `None` when they all stand in it.
fn with_referrers(known: Option<Index>, referrers: &[Descriptor]) -> Option<Index> {
    let mut index = known.unwrap_or_else(|| Index::new(Vec::new()));
    let before = index.manifests.len();
    for referrer in referrers {
        if !index.manifests.iter().any(|listed| listed.digest == referrer.digest) {
            index.manifests.push(referrer.clone());
        }
    }
    (index.manifests.len() > before).then_some(index)
}

/// The tag that stands for the list of what refers to a manifest: `sha256-<hex>`, at most 64 digits of it.
fn fallback_tag(subject: &Digest) -> Result<Tag> {
    let hex: String = subject.hex().chars().take(64).collect();
    format!("{}-{hex}", subject.algorithm()).parse().context("registry", "naming a list of referrers")
}

#[cfg(test)]
mod tests;
