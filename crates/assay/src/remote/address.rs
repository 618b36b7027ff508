//! Where a server is, and which other places it may send us to.
//!
//! Plain HTTP is for loopback addresses, or for those who ask for it: a bearer that is read on the way is as good as
//! the token itself.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::error::{Context as _, Failure, Result};

/// Docker Hub's references name another host than its registry.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// The root of a server: `https://registry.example.org:5000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    url: Url,
}

impl Address {
    /// The registry of a host as references name it.
    pub(crate) fn of_host(host: &str, plain_http: bool) -> Result<Address> {
        let host = if host == DOCKER_HUB.0 { DOCKER_HUB.1 } else { host };
        let secure = Address::of_url(&format!("https://{host}"))?;
        match plain_http || is_loopback(&secure.url) {
            true => Address::of_url(&format!("http://{host}")),
            false => Ok(secure),
        }
    }

    /// The server of a URL.
    pub(crate) fn of_url(text: &str) -> Result<Address> {
        let doing = || format!("reading the server's address `{text}`");
        let mut url = Url::parse(text).context("server-address", doing()).map_err(|failure| failure.hint(EXAMPLE))?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !plain || url.path() != "/" {
            return Err(Failure::new("server-address", format!("`{text}` is not a server's address")).hint(EXAMPLE));
        }
        url.set_path("/");
        Ok(Address { url })
    }

    /// Host and port as references name them.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// A path of the server; `path` begins with `/` and may have a query.
    pub(crate) fn at(&self, path: &str) -> Result<Url> {
        self.url.join(path).context("server-address", format!("asking {self} for `{path}`"))
    }

    /// Whether a URL is of this very server, so that it may have what was said in confidence to it.
    pub(crate) fn owns(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }

    /// Whether the server may send us there: anywhere by HTTPS; by plain HTTP to itself or on this machine.
    pub(crate) fn may_lead_to(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self.url.scheme() == "http" && (self.owns(url) || is_loopback(url)),
            _ => false,
        }
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Whether others may read what is sent there.
    pub(crate) fn is_exposed(&self) -> bool {
        self.url.scheme() == "http" && !self.is_loopback()
    }
}

const EXAMPLE: &str = "https://assay.example.org, or http://127.0.0.1:8470 on this machine";

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests;
