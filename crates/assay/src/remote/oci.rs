//! A client of any OCI registry: anonymous, Basic or Bearer; manifests here, blobs and lists in their own modules.
//!
//! Specification: OCI Distribution 1.1 <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.
//! Nothing is asked of a registry that 1.0 does not have, but referrers; without them, the tag scheme of the
//! specification is used. What a registry sends is checked against the digest it was asked for.

mod blobs;
mod lists;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::runtime::Handle;
use wire::digest::{Digest, Hasher};
use wire::oci_distribution::header::Challenge;
use wire::oci_distribution::{Errors, Name, Reference};
use wire::oci_image::{
    Document, MANIFEST_SIZE_MAX, MEDIA_TYPE_DOCKER_LIST, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX,
    MEDIA_TYPE_MANIFEST,
};

use super::address::Address;
use super::auth::{self, Login};
use super::http::{Answer, Call, Http, Trouble, shown};
use crate::error::{Context as _, Failure, Result};

pub(crate) use blobs::Pushed;

/// The largest answer that is read whole: a manifest, or a page of a list.
const ANSWER_MAX: usize = MANIFEST_SIZE_MAX;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// Tells a server of ours in which log the statements of what is pushed stand.
const ASSAY_ORIGIN: HeaderName = HeaderName::from_static("assay-origin");

type Attempt<T> = std::result::Result<T, Trouble>;

/// A registry, as one user sees it.
pub(crate) struct Client {
    http: Http,
    login: Option<Login>,
    authorizations: Mutex<BTreeMap<Scope, String>>,
    runtime: Handle,
}

/// A manifest or index whose digest was checked.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// Its digest.
    pub(crate) digest: Digest,
    /// What it says.
    pub(crate) document: Document,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// What is done to which repository: a token is good for that alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    name: Name,
    write: bool,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repository:{}:{}", self.name, if self.write { "pull,push" } else { "pull" })
    }
}

impl Client {
    /// Prepares to ask a registry; nothing is sent.
    pub(crate) fn new(address: Address, login: Option<Login>, runtime: Handle) -> Result<Client> {
        Ok(Client { http: Http::new(address)?, login, authorizations: Mutex::default(), runtime })
    }

    /// Returns a manifest; `None` when there is none.
    pub(crate) fn manifest(&self, name: &Name, reference: &Reference) -> Result<Option<Manifest>> {
        self.run(self.read_manifest(name, reference))
    }

    /// Returns the digest of a manifest; `None` when there is none.
    pub(crate) fn head(&self, name: &Name, reference: &Reference) -> Result<Option<Digest>> {
        self.run(async {
            let answer = self.exchange(&reading(name), &self.manifest_call(Method::HEAD, name, reference)?).await?;
            match (answer.status, stated_digest(&answer.headers)) {
                (StatusCode::NOT_FOUND, _) => Ok(None),
                (StatusCode::OK, Some(digest)) => Ok(Some(digest)),
                // Some registries name no digest; then the bytes do.
                (StatusCode::OK, None) => {
                    Ok(self.read_manifest(name, reference).await?.map(|manifest| manifest.digest))
                }
                _ => Err(self.refused(&format!("looking for `{name}` `{reference}`"), &answer).into()),
            }
        })
    }

    /// Stores a manifest under its digest or a tag. `origin` names the log in which statements about it stand.
    pub(crate) fn put_manifest(
        &self,
        name: &Name,
        reference: &Reference,
        media_type: &str,
        bytes: &[u8],
        origin: Option<&str>,
    ) -> Result<()> {
        self.run(self.write_manifest(name, reference, media_type, bytes, origin)).map(drop)
    }

    async fn read_manifest(&self, name: &Name, reference: &Reference) -> Attempt<Option<Manifest>> {
        let answer = self.exchange(&reading(name), &self.manifest_call(Method::GET, name, reference)?).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(checked(name, reference, answer)?)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused(&format!("reading `{name}` `{reference}`"), &answer).into()),
        }
    }

    /// Stores a manifest; returns whether the registry lists it as referrer of its subject.
    async fn write_manifest(
        &self,
        name: &Name,
        reference: &Reference,
        media_type: &str,
        bytes: &[u8],
        origin: Option<&str>,
    ) -> Attempt<bool> {
        let url = self.url(&format!("/v2/{name}/manifests/{reference}"))?;
        let mut call = Call::new(Method::PUT, url).header(CONTENT_TYPE, media_type).bytes(bytes.to_vec());
        if let Some(origin) = origin {
            call = call.header(ASSAY_ORIGIN, origin);
        }
        let answer = self.exchange(&writing(name), &call).await?;
        match answer.status.is_success() {
            true => Ok(answer.headers.contains_key(OCI_SUBJECT)),
            false => Err(self.refused(&format!("pushing `{name}` `{reference}`"), &answer).into()),
        }
    }

    fn manifest_call(&self, method: Method, name: &Name, reference: &Reference) -> Result<Call> {
        let accept =
            [MEDIA_TYPE_MANIFEST, MEDIA_TYPE_INDEX, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_DOCKER_LIST].join(", ");
        Ok(Call::new(method, self.url(&format!("/v2/{name}/manifests/{reference}"))?).header(ACCEPT, accept))
    }

    // Sending.

    fn run<T>(&self, work: impl Future<Output = Attempt<T>>) -> Result<T> {
        self.runtime.block_on(work).map_err(|trouble| self.http.failure(trouble))
    }

    fn url(&self, path: &str) -> Result<Url> {
        self.http.address().at(path)
    }

    async fn exchange(&self, scope: &Scope, call: &Call) -> Attempt<Answer> {
        let answer = self.http.exchange(call, self.authorization(scope).as_deref(), ANSWER_MAX).await?;
        match self.answer_challenge(scope, answer.status, &answer.headers).await? {
            Some(authorization) => self.http.exchange(call, Some(&authorization), ANSWER_MAX).await,
            None => Ok(answer),
        }
    }

    async fn open(&self, scope: &Scope, call: &Call) -> Attempt<Response> {
        let response = self.http.open(call, self.authorization(scope).as_deref()).await?;
        match self.answer_challenge(scope, response.status(), response.headers()).await? {
            Some(authorization) => self.http.open(call, Some(&authorization)).await,
            None => Ok(response),
        }
    }

    fn authorization(&self, scope: &Scope) -> Option<String> {
        self.authorizations.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    /// Answers a 401, and remembers the answer; `None` when the request needs none, or we have none.
    async fn answer_challenge(
        &self,
        scope: &Scope,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Attempt<Option<String>> {
        if status != StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let authorization = match auth::choose(values) {
            None => return Ok(None),
            Some(Challenge::Basic { .. }) => match &self.login {
                Some(login) => login.basic(),
                None => return Ok(None),
            },
            Some(Challenge::Bearer { realm, service, .. }) => {
                format!("Bearer {}", self.token(&realm, service.as_deref(), scope).await?)
            }
        };
        let mut known = self.authorizations.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(scope.clone(), authorization.clone());
        Ok(Some(authorization))
    }

    /// Gets a token, with our login if we have one.
    async fn token(&self, realm: &str, service: Option<&str>, scope: &Scope) -> Attempt<String> {
        let url = auth::token_url(self.http.address(), realm, service, &scope.to_string())?;
        let mut call = Call::new(Method::GET, url);
        if let Some(login) = &self.login {
            call = call.header(AUTHORIZATION, login.basic());
        }
        let answer = self.http.exchange(&call, None, auth::TOKEN_ANSWER_MAX).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&format!("asking for a token for `{}`", scope.name), &answer).into());
        }
        auth::parse_token(&answer.body).ok_or_else(|| {
            let host = answer.url.host_str().unwrap_or_default();
            Failure::new("registry-auth", format!("`{host}` answered without a good token")).into()
        })
    }

    /// What a command says when a registry does not do what it was asked.
    fn refused(&self, doing: &str, answer: &Answer) -> Failure {
        let host = self.http.address().host();
        let said = serde_json::from_slice(&answer.body).ok().filter(|errors: &Errors| !errors.errors.is_empty());
        let first = said.as_ref().and_then(|errors| errors.errors.first());
        let reason = match first {
            Some(error) => format!("{}: {}", shown(error.code.as_bytes()), shown(error.message.as_bytes())),
            None => shown(&answer.body),
        };
        let message = format!("{doing}: {host} answered {}: {reason}", answer.status);
        let mut failure = match answer.status.as_u16() {
            401 => Failure::no("unauthorized", message).hint(self.login_hint()),
            403 => Failure::no("denied", message).hint(self.login_hint()),
            405 | 409 => Failure::no("denied", message),
            404 => Failure::no("not-found", message),
            _ => Failure::new("registry", message),
        };
        if let Some(hint) = first.and_then(|error| error.detail["hint"].as_str()) {
            failure = failure.hint(shown(hint.as_bytes()));
        }
        failure
    }

    fn login_hint(&self) -> String {
        format!(
            "ASSAY_TOKEN=… for a server of assay, `podman login {}` for another registry",
            self.http.address().host()
        )
    }
}

fn reading(name: &Name) -> Scope {
    Scope { name: name.clone(), write: false }
}

fn writing(name: &Name) -> Scope {
    Scope { name: name.clone(), write: true }
}

fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

/// Checks that a manifest is what was asked for, or what the registry says that the tag names.
fn checked(name: &Name, reference: &Reference, answer: Answer) -> Result<Manifest> {
    let expected = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(_) => stated_digest(&answer.headers),
    };
    let digest = match expected {
        Some(expected) => {
            let found = digest_as(&expected, &answer.body);
            if found != expected {
                return Err(Failure::no(
                    "digest-mismatch",
                    format!("manifest `{reference}` of `{name}` should be {expected}, but the registry sent {found}"),
                ));
            }
            found
        }
        None => Digest::of(&answer.body),
    };
    let doing = || format!("reading the manifest `{reference}` of `{name}`");
    let media_type = media_type(&answer.headers, &answer.body);
    let document = Document::parse(&media_type, &answer.body).context("manifest", doing())?;
    Ok(Manifest { digest, document, bytes: answer.body })
}

/// Digests bytes in the algorithm of another digest.
pub(super) fn digest_as(like: &Digest, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(store::blobs::algorithm(like));
    hasher.update(bytes);
    hasher.finish()
}

/// What a manifest came as; where that says nothing, what it says itself.
fn media_type(headers: &HeaderMap, bytes: &[u8]) -> String {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if sent.contains("vnd.") {
        return sent.to_owned();
    }
    let inside: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    inside["mediaType"].as_str().unwrap_or(MEDIA_TYPE_MANIFEST).to_owned()
}

#[cfg(test)]
mod tests;
