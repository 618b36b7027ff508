//! Who we are to a registry: logins, challenges, and the token that a challenge leads to.
//!
//! Specifications: Docker registry v2 token authentication
//! <https://distribution.github.io/distribution/spec/auth/token/>; login files
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>. Credential helpers are not run: a
//! program whose name stands in a file is nothing that a push should start.
//!
//! ```json
//! {"auths":{"registry.example.org":{"auth":"YWRhOnNlY3JldA=="}}}
//! ```

use std::env;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use wire::base64;
use wire::oci_distribution::header::Challenge;

use super::address::Address;
use crate::error::{Context as _, Failure, Result};

/// Challenges of one answer that are looked at; servers send one or two.
const CHALLENGES_MAX: usize = 8;
/// The longest challenge: realm, service and a few scopes.
const CHALLENGE_LENGTH_MAX: usize = 4096;
/// The largest answer of a token service that is read.
pub(super) const TOKEN_ANSWER_MAX: usize = 64 << 10;
/// The longest token: it must fit into the head of a request.
const TOKEN_LENGTH_MAX: usize = 32 << 10;
/// The largest login file; one with a hundred registries has 10 KiB.
const FILE_MAX: u64 = 1 << 20;

/// A user name and a password, or a token in its place.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    user: String,
    password: String,
}

impl Login {
    /// The login that a server of ours takes: any name, and the token.
    pub(crate) fn of_token(token: &str) -> Login {
        Login { user: "assay".to_owned(), password: token.to_owned() }
    }

    /// The value of an `Authorization` header.
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", base64::encode(format!("{}:{}", self.user, self.password).as_bytes()))
    }
}

/// The password is not for logs.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Chooses the challenge to answer, from the values of `WWW-Authenticate`: Bearer before Basic.
pub(super) fn choose<'a>(values: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let short = values.take(CHALLENGES_MAX).filter(|value| value.len() <= CHALLENGE_LENGTH_MAX);
    let known: Vec<Challenge> = short.filter_map(Challenge::parse).collect();
    let is_bearer = |challenge: &&Challenge| matches!(challenge, Challenge::Bearer { .. });
    known.iter().find(is_bearer).or_else(|| known.first()).cloned()
}

/// Where a token is to be had. A realm by plain HTTP elsewhere would have our login read on the way.
pub(super) fn token_url(address: &Address, realm: &str, service: Option<&str>, scope: &str) -> Result<Url> {
    let url = Url::parse(realm).ok().filter(|url| address.may_lead_to(url));
    let mut url = url.ok_or_else(|| {
        let shown: String = realm.chars().take(200).collect();
        Failure::new("registry-auth", format!("{address} sends us for a token to `{shown}`, which is no place for one"))
    })?;
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    query.append_pair("scope", scope);
    drop(query);
    Ok(url)
}

/// Reads a token service's answer.
pub(super) fn parse_token(json: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(json).ok()?;
    let token = answer.token.filter(|token| !token.is_empty()).or(answer.access_token)?;
    let fits =
        !token.is_empty() && token.len() <= TOKEN_LENGTH_MAX && token.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(token)
}

/// Finds the login for a host that `podman login`, `skopeo login` or `docker login` left.
pub(crate) fn login_of(host: &str) -> Result<Option<Login>> {
    for path in files() {
        let Some(json) = read(&path)? else { continue };
        if let Some(login) = login_in(&json, host) {
            return Ok(Some(login));
        }
    }
    Ok(None)
}

/// Login files, first match wins.
fn files() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("HOME");
    let config = variable("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    let docker = variable("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
    let files = [
        variable("REGISTRY_AUTH_FILE"),
        variable("XDG_RUNTIME_DIR").map(|path| path.join("containers/auth.json")),
        config.map(|path| path.join("containers/auth.json")),
        docker.map(|path| path.join("config.json")),
    ];
    files.into_iter().flatten().collect()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let doing = || format!("reading the logins in `{}`", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("registry-auth", doing()),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).context("registry-auth", doing())?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(Failure::new("registry-auth", format!("`{}` is larger than {FILE_MAX} bytes", path.display())));
    }
    Ok(Some(bytes))
}

/// Finds a host's login in a login file; `None` as well when the file cannot be understood.
fn login_in(json: &[u8], host: &str) -> Option<Login> {
    let file: Value = serde_json::from_slice(json).ok()?;
    let auths = file.get("auths")?.as_object()?;
    let names = match host {
        "registry-1.docker.io" => vec!["docker.io".to_owned(), "https://index.docker.io/v1/".to_owned()],
        host => vec![host.to_owned(), format!("https://{host}"), format!("http://{host}")],
    };
    let entry = names.iter().find_map(|name| auths.get(name))?;
    let pair = base64::decode(entry.get("auth")?.as_str()?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, password) = pair.split_once(':')?;
    (!password.is_empty())
        .then(|| Login { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}

#[cfg(test)]
mod tests;
