//! Manifests, tags and referrers.

use axum::Json;
use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use registry::{NewManifest, Push, RegistryError, TAGS_A_PUSH_MAX};
use wire::digest::Digest;
use wire::oci_distribution::header::link_next;
use wire::oci_distribution::{Reference, Tag, TagList};
use wire::oci_image::{MANIFEST_SIZE_MAX, MEDIA_TYPE_INDEX};

use super::blobs::empty;
use super::{CONTENT_DIGEST, Call};
use crate::body;
use crate::error::Problem;
use crate::send::{etag, is_unchanged, not_modified};

/// Names the manifest that a pushed one is about, so that the client knows that its referrer is listed.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Names each tag that a push by digest set.
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// Says which filters a list of referrers took into account.
const OCI_FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Sent by `assay push`: the origin of the log in which the artifact's own statements stand.
const ASSAY_ORIGIN: &str = "assay-origin";

/// Tags in one page unless the client asks for fewer.
const TAGS_A_PAGE: usize = 1_000;

impl Call<'_> {
    /// `GET|HEAD|PUT|DELETE /v2/<name>/manifests/<tag or digest>`
    pub(super) async fn manifest(&self, reference: &Reference, body: Body) -> Result<Response, Problem> {
        match *self.method {
            Method::GET | Method::HEAD => self.get_manifest(reference).await,
            Method::PUT => self.put_manifest(reference, body).await,
            Method::DELETE => {
                self.server.registry.delete(&self.name, reference, &self.push()).await?;
                Ok(empty(StatusCode::ACCEPTED, []))
            }
            _ => Err(Problem::method()),
        }
    }

    async fn get_manifest(&self, reference: &Reference) -> Result<Response, Problem> {
        let row = self.server.registry.manifest_row(&self.name, reference).await?;
        if is_unchanged(self.headers, &etag(&row.digest)) {
            return Ok(not_modified(&row.digest));
        }
        let headers = [
            (header::CONTENT_TYPE, row.media_type),
            (header::ETAG, etag(&row.digest)),
            (HeaderName::from_static(CONTENT_DIGEST), row.digest.to_string()),
            (header::CONTENT_LENGTH, row.size.to_string()),
        ];
        if *self.method == Method::HEAD {
            return Ok(empty(StatusCode::OK, headers));
        }
        let manifest = self.server.registry.manifest(&self.name, &Reference::Digest(row.digest)).await?;
        Ok((StatusCode::OK, headers, manifest.bytes).into_response())
    }

    async fn put_manifest(&self, reference: &Reference, body: Body) -> Result<Response, Problem> {
        let bytes = match body::whole(body, MANIFEST_SIZE_MAX).await {
            Err(problem) if problem.status == StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(RegistryError::ManifestTooLarge.into());
            }
            other => other?,
        };
        let tags = self.query.all("tag").map(str::parse).collect::<Result<Vec<Tag>, _>>();
        let tags = tags.map_err(RegistryError::Reference)?;
        if tags.len() > TAGS_A_PUSH_MAX {
            return Err(Problem::invalid(format!("a push sets at most {TAGS_A_PUSH_MAX} tags")).at("tag"));
        }
        let media_type = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let manifest = NewManifest { reference, tags: &tags, media_type, bytes: &bytes };
        let accepted = self.server.registry.put_manifest(&self.name, manifest, &self.push()).await?;
        self.server.metrics.pushed();
        let location = format!("/v2/{}/manifests/{}", self.name, accepted.digest);
        let named = HeaderName::from_static(CONTENT_DIGEST);
        let headers = [(header::LOCATION, location), (named, accepted.digest.to_string())];
        let mut response = empty(StatusCode::CREATED, headers);
        if let Some(subject) = accepted.subject {
            append(&mut response, OCI_SUBJECT, &subject.to_string());
        }
        for tag in &tags {
            append(&mut response, OCI_TAG, tag.as_str());
        }
        Ok(response)
    }

    fn push(&self) -> Push<'_> {
        let from = self.header(ASSAY_ORIGIN).filter(|origin| wire::note::is_key_name(origin) && origin.len() <= 255);
        Push { actor: &self.caller.name, from, now: self.server.now() }
    }

    /// `GET /v2/<name>/tags/list[?n=&last=]`
    pub(super) async fn tags(&self) -> Result<Response, Problem> {
        if !self.method.is_safe() {
            return Err(Problem::method());
        }
        let limit = self.query.number("n", TAGS_A_PAGE, TAGS_A_PAGE)?;
        let (tags, more) = self.server.registry.tags(&self.name, self.query.first("last"), limit).await?;
        let next =
            tags.last().filter(|_| more).map(|last| format!("/v2/{}/tags/list?n={limit}&last={last}", self.name));
        let mut response = Json(TagList { name: self.name.to_string(), tags }).into_response();
        if let Some(next) = next {
            append(&mut response, header::LINK, &link_next(&next));
        }
        Ok(response)
    }

    /// `GET /v2/<name>/referrers/<digest>[?artifactType=]`
    pub(super) async fn referrers(&self, subject: &Digest) -> Result<Response, Problem> {
        if !self.method.is_safe() {
            return Err(Problem::method());
        }
        let kind = self.query.first("artifactType").filter(|kind| !kind.is_empty());
        let after = self.query.first("last").map(super::parse_digest).transpose()?;
        let now = self.server.now();
        let (index, next) = self.server.registry.referrers(&self.name, subject, kind, after, now).await?;
        let headers = [(header::CONTENT_TYPE, MEDIA_TYPE_INDEX)];
        let mut response = (StatusCode::OK, headers, index.to_json()).into_response();
        if kind.is_some() {
            append(&mut response, OCI_FILTERS, "artifactType");
        }
        if let Some(last) = next {
            let filter = kind.map(|kind| format!("&artifactType={}", crate::send::percent(kind))).unwrap_or_default();
            let target = format!("/v2/{}/referrers/{subject}?last={last}{filter}", self.name);
            append(&mut response, header::LINK, &link_next(&target));
        }
        Ok(response)
    }
}

/// Adds a header whose value was checked where it was parsed; one that is no header value is left out.
fn append(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    }
}
