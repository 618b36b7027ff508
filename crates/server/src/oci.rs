//! The registry's protocol: HTTP on the outside, `registry` within. What a status means stands in [`crate::error`].
//!
//! Specification: OCI Distribution 1.1 <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.

mod blobs;
mod manifests;
mod path;
mod token;
mod uploads;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry::RegistryError;
use registry::access::Action;
use wire::digest::Digest;
use wire::oci_distribution::{Name, Reference};

use crate::auth::{self, Caller};
use crate::error::Problem;
use crate::state::Server;
use path::Target;

pub(crate) use token::token;

/// The header that names what an answer holds.
pub(crate) const CONTENT_DIGEST: &str = "docker-content-digest";

/// Answers everything below `/v2/`.
pub(crate) async fn v2(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match answer(&server, &parts, body).await {
        Ok(response) => response,
        Err(problem) => problem.into_oci(),
    };
    let version = header::HeaderValue::from_static("registry/2.0");
    response.headers_mut().insert("docker-distribution-api-version", version);
    response
}

async fn answer(server: &Server, parts: &Parts, body: Body) -> Result<Response, Problem> {
    // The colon of a digest is the only character of these paths that clients differ about.
    let path = parts.uri.path().replace("%3A", ":").replace("%3a", ":");
    let path = path.strip_prefix("/v2").unwrap_or(&path);
    let target = path::parse(path.strip_prefix('/').unwrap_or(path))
        .ok_or_else(|| Problem::not_found("no such path in the registry's protocol"))?;
    let Some(name) = target.name() else { return base(server, parts).await };
    let name: Name = name.parse().map_err(RegistryError::Name)?;
    let write = !parts.method.is_safe();
    let caller = server.caller(&parts.method, &parts.headers, Some(&auth::scope(&name, write))).await?;
    caller.must(if write { Action::Push } else { Action::Read }, Some(&name))?;
    let call = Call { server, caller, name, method: &parts.method, headers: &parts.headers, query: Query::of(parts) };
    match target {
        Target::Base => Err(Problem::method()),
        Target::Blob { digest, .. } => call.blob(&parse_digest(digest)?).await,
        Target::Uploads { .. } => call.uploads(body).await,
        Target::Upload { id, .. } => call.upload(id, body).await,
        Target::Manifest { reference, .. } => {
            let reference: Reference = reference.parse().map_err(|error| match error {
                wire::oci_distribution::ReferenceError::Digest(error) => RegistryError::Digest(error),
                error => RegistryError::Reference(error),
            })?;
            call.manifest(&reference, body).await
        }
        Target::Tags { .. } => call.tags().await,
        Target::Referrers { digest, .. } => call.referrers(&parse_digest(digest)?).await,
    }
}

/// `/v2/` is where clients learn how to sign in, so nobody without a credential gets past it, even where reading is
/// public: those get a bearer for nobody.
async fn base(server: &Server, parts: &Parts) -> Result<Response, Problem> {
    let caller = server.caller(&parts.method, &parts.headers, None).await?;
    let anonymous_bearer = parts.headers.contains_key(header::AUTHORIZATION) && caller.may(Action::Read, None);
    if !caller.is_known() && !anonymous_bearer {
        return Err(caller.challenge());
    }
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], "{}").into_response())
}

/// One request to one repository, whose caller may make it.
struct Call<'a> {
    server: &'a Server,
    caller: Caller,
    name: Name,
    method: &'a Method,
    headers: &'a HeaderMap,
    query: Query,
}

impl Call<'_> {
    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The query of a request, in order; a name may stand more than once.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(parts: &Parts) -> Query {
        Query(axum::extract::Query::try_from_uri(&parts.uri).map_or_else(|_| Vec::new(), |query| query.0))
    }

    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns a number, at most `most`; `usual` if there is none, an error for anything else.
    pub(crate) fn number(&self, name: &str, usual: usize, most: usize) -> Result<usize, Problem> {
        let Some(text) = self.first(name) else { return Ok(usual) };
        let number: usize =
            text.parse().map_err(|_| Problem::invalid(format!("`{name}` is not a number")).at(name.to_owned()))?;
        Ok(number.min(most))
    }
}

fn parse_digest(text: &str) -> Result<Digest, Problem> {
    Ok(text.parse::<Digest>().map_err(RegistryError::Digest)?)
}
