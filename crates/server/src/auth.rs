//! Who asks, and whether he may: credential → token → grants → [`registry::access`].
//!
//! Nothing is decided here but what was sent; the rules are the registry's. Grants come from the ledger each time, so a
//! revoked token is dead with the next request.

pub(crate) mod bearer;
pub(crate) mod credentials;

use axum::http::{HeaderMap, Method, header};
use registry::access::{self, Action, Grant, Role};
use registry::pattern::Pattern;
use store::ledger::GrantRow;
use wire::digest::Digest;
use wire::oci_distribution::Name;
use wire::oci_distribution::header::Challenge;

use crate::error::Problem;
use crate::state::Server;
use credentials::Credential;

/// What statements and logs call somebody without a token.
const NOBODY: &str = "anonymous";

/// Somebody who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Name of the token.
    pub(crate) name: String,
    /// Digest of the token; `None` for nobody.
    pub(crate) token: Option<Digest>,
    grants: Vec<Grant>,
    challenges: Vec<String>,
}

impl Caller {
    /// Whether he may do it; `None` is what belongs to no repository.
    pub(crate) fn may(&self, action: Action, repository: Option<&Name>) -> bool {
        access::allows(&self.grants, action, repository.map(Name::as_str))
    }

    /// Ends the request unless he may.
    pub(crate) fn must(&self, action: Action, repository: Option<&Name>) -> Result<(), Problem> {
        if self.may(action, repository) {
            return Ok(());
        }
        if self.token.is_none() {
            return Err(Problem::unauthorized(self.challenges.clone()));
        }
        let verb = match action {
            Action::Read => "read",
            Action::Push => "push",
            Action::Attest => "add statements",
            Action::Administer => "give or revoke tokens",
        };
        let place = repository.map(|name| format!(" to or from repository `{name}`")).unwrap_or_default();
        Err(Problem::denied(format!("token `{}` may not {verb}{place}", self.name)))
    }

    /// Whether there is no repository that he may not read.
    pub(crate) fn reads_everything(&self) -> bool {
        access::covers_everything(&self.grants, Action::Read)
    }

    /// Whether somebody is known to ask.
    pub(crate) fn is_known(&self) -> bool {
        self.token.is_some()
    }

    /// Answers 401, whatever may be read without a token.
    pub(crate) fn challenge(&self) -> Problem {
        Problem::unauthorized(self.challenges.clone())
    }
}

impl Server {
    /// Finds out who asks. An unknown, revoked or malformed credential is an error, not nobody: a client that has one
    /// wants to know that it is no good.
    pub(crate) async fn caller(
        &self,
        method: &Method,
        headers: &HeaderMap,
        scope: Option<&str>,
    ) -> Result<Caller, Problem> {
        let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        // A cookie is sent by the browser without being asked; it is good for reading only.
        let cookies = text(header::COOKIE).filter(|_| method.is_safe());
        let challenges = self.challenges(headers, scope);
        let refused = || Problem::unauthorized(challenges.clone());
        let holder = match credentials::read(text(header::AUTHORIZATION), cookies) {
            Credential::None => None,
            Credential::Token(token) => Some(Digest::of(token.as_bytes())),
            Credential::Bearer(bearer) => match self.bearer_key.read(&bearer, self.now()) {
                Some(holder) => holder,
                // An old cookie is no reason to refuse a public page.
                None if text(header::AUTHORIZATION).is_none() => None,
                None => return Err(refused()),
            },
            Credential::Malformed => return Err(refused()),
        };
        match holder {
            Some(token) => {
                let (name, grants) = self.grants(&token).await?.ok_or_else(refused)?;
                Ok(Caller { name, token: Some(token), grants, challenges })
            }
            None => Ok(Caller { challenges, ..self.nobody() }),
        }
    }

    /// Somebody without a token.
    pub(crate) fn nobody(&self) -> Caller {
        Caller { name: NOBODY.to_owned(), token: None, grants: self.public_grants(), challenges: Vec::new() }
    }

    /// Returns name and grants of a token; `None` for one that is unknown or revoked.
    pub(crate) async fn grants(&self, token: &Digest) -> Result<Option<(String, Vec<Grant>)>, Problem> {
        let rows = self.ledger().grants_of(token).await.map_err(|error| Problem::internal(&error))?;
        let name = rows.first().map(|row| row.name.clone());
        Ok(name.map(|name| (name, rows.iter().filter_map(grant).collect())))
    }

    fn public_grants(&self) -> Vec<Grant> {
        let everything = Pattern::parse("*").into_iter().collect();
        match self.settings.anonymous_read {
            true => vec![Grant { role: Role::Reader, repositories: everything }],
            false => Vec::new(),
        }
    }

    /// What a 401 offers. Bearer first: containers/image takes the first that it knows, and only with Bearer does it
    /// come back without a login to read what is public.
    fn challenges(&self, headers: &HeaderMap, scope: Option<&str>) -> Vec<String> {
        let bearer = Challenge::Bearer {
            realm: format!("{}/token", self.public_url(headers)),
            service: Some(self.origin().to_owned()),
            scope: scope.map(str::to_owned),
        };
        vec![bearer.to_string(), Challenge::Basic { realm: self.origin().to_owned() }.to_string()]
    }

    /// The URL by which this client reaches the server: as configured, else by the `Host` that it sent.
    pub(crate) fn public_url(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.settings.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let plain = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]_".contains(&b));
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(plain);
        format!("http://{}", host.unwrap_or("localhost"))
    }
}

/// A row that this program cannot read grants nothing.
fn grant(row: &GrantRow) -> Option<Grant> {
    let repositories = row.repositories.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
    Some(Grant { role: Role::of_name(&row.role)?, repositories })
}

/// The scope that a client should ask a bearer for.
pub(crate) fn scope(name: &Name, write: bool) -> String {
    format!("repository:{name}:{}", if write { "pull,push" } else { "pull" })
}
