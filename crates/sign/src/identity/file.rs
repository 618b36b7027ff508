//! `issuers.toml`, version 1, as the reader of TOML hands it over.
//!
//! ```toml
//! version = 1
//!
//! [[issuer]]
//! type = "github-actions"
//! allow = [{ repository_owner = "acme" }]
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Allow, Issuer, Kind};
use crate::certificate::Claim;

/// How many issuers there may be.
pub const ISSUERS_MAX: usize = 64;

/// The longest text in the file.
const TEXT_MAX: usize = 2048;

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuersFile {
    version: u32,
    #[serde(default)]
    issuer: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    #[serde(rename = "type")]
    kind: KindName,
    url: Option<String>,
    audience: Option<String>,
    allow: Option<AllowEntry>,
    keys: Option<String>,
    #[serde(default)]
    pseudonymous: bool,
    server: Option<String>,
    trust_domain: Option<String>,
    subject_domain: Option<String>,
    subject: Option<String>,
    #[serde(default)]
    extensions: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    GithubActions,
    GitlabCi,
    Kubernetes,
    Google,
    Email,
    Spiffe,
    Uri,
    Generic,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum AllowEntry {
    Word(String),
    Rules(Vec<BTreeMap<String, String>>),
}

/// Why the file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuersError {
    /// A later version.
    #[error("the file has version {0}: this assay reads version 1")]
    Version(u32),
    /// Too many.
    #[error("{0} issuers are more than the limit of {ISSUERS_MAX}")]
    Count(usize),
    /// Something is wrong with one of them.
    #[error("issuer {position}: {what}")]
    Issuer {
        /// Which one, the first is 1.
        position: usize,
        /// What is wrong.
        what: String,
    },
}

impl IssuersFile {
    /// Returns the issuers.
    pub fn issuers(self) -> Result<Vec<Issuer>, IssuersError> {
        if self.version != 1 {
            return Err(IssuersError::Version(self.version));
        }
        if self.issuer.len() > ISSUERS_MAX {
            return Err(IssuersError::Count(self.issuer.len()));
        }
        let mut issuers: Vec<Issuer> = Vec::new();
        for (index, entry) in self.issuer.into_iter().enumerate() {
            let wrong = |what: String| IssuersError::Issuer { position: index + 1, what };
            let issuer = entry.issuer().map_err(wrong)?;
            if issuers.iter().any(|known| known.url == issuer.url) {
                return Err(wrong(format!("`{}` stands twice", issuer.url)));
            }
            issuers.push(issuer);
        }
        Ok(issuers)
    }
}

impl Entry {
    fn issuer(self) -> Result<Issuer, String> {
        let usual = match self.kind {
            KindName::GithubActions => Some("https://token.actions.githubusercontent.com"),
            KindName::GitlabCi => Some("https://gitlab.com"),
            KindName::Google => Some("https://accounts.google.com"),
            _ => None,
        };
        let url = self.url.clone().or_else(|| usual.map(str::to_owned)).ok_or("`url` is missing")?;
        let texts = [&self.audience, &self.server, &self.trust_domain, &self.subject_domain, &self.subject];
        if texts.into_iter().flatten().chain([&url]).any(|text| text.is_empty() || text.len() > TEXT_MAX) {
            return Err(format!("a text is empty, or longer than {TEXT_MAX} bytes"));
        }
        if !is_fetchable(&url) {
            return Err(format!("`{url}` is no URL with https, or with http on this machine"));
        }
        let kind = self.kind(&url)?;
        let allow = match self.allow {
            Some(AllowEntry::Word(word)) if word == "anyone" => Allow::Anyone,
            Some(AllowEntry::Rules(rules)) if !rules.is_empty() && rules.iter().all(|rule| !rule.is_empty()) => {
                Allow::Rules(rules)
            }
            _ => return Err("`allow` must say who may have a certificate: rules of claims, or \"anyone\"".to_owned()),
        };
        let audience = self.audience.unwrap_or_else(|| "sigstore".to_owned());
        Ok(Issuer { url, audience, kind, allow, keys: self.keys, pseudonymous: self.pseudonymous })
    }

    fn kind(&self, url: &str) -> Result<Kind, String> {
        self.check_fields()?;
        let server = |usual: &str| {
            let server = self.server.clone().unwrap_or_else(|| usual.to_owned());
            match server.starts_with("https://") || server.starts_with("http://") {
                true => Ok(server.trim_end_matches('/').to_owned()),
                false => Err(format!("`server` is `{server}`: expected a URL")),
            }
        };
        let needed = |field: &Option<String>, name: &str| field.clone().ok_or(format!("`{name}` is missing"));
        Ok(match self.kind {
            KindName::GithubActions => Kind::GithubActions(server("https://github.com")?),
            KindName::GitlabCi => Kind::GitlabCi(server(url)?),
            KindName::Kubernetes => Kind::Kubernetes,
            KindName::Google | KindName::Email => Kind::Email,
            KindName::Spiffe => {
                let domain = needed(&self.trust_domain, "trust-domain")?;
                match domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
                    true => Kind::Spiffe(domain),
                    false => return Err(format!("`trust-domain` is `{domain}`: expected a name like `example.org`")),
                }
            }
            KindName::Uri => {
                let domain = needed(&self.subject_domain, "subject-domain")?;
                match domain.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/')) {
                    true => Kind::Uri(domain),
                    false => return Err(format!("`subject-domain` is `{domain}`: expected `https://HOST`")),
                }
            }
            KindName::Generic => {
                let subject = needed(&self.subject, "subject")?;
                // A claim before the host would let the token say who decides about the rest.
                let host = subject.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('/')));
                let fixed = matches!(host, Some((scheme, Some((host, _))))
                    if !scheme.contains('{') && !host.is_empty() && !host.contains('{'));
                if !fixed {
                    return Err(format!(
                        "`subject` is `{subject}`: expected `https://HOST/…` with `{{claim}}` after it"
                    ));
                }
                Kind::Generic { subject, extensions: numbered(&self.extensions)? }
            }
        })
    }

    /// A field that this kind does not read would be believed to count.
    fn check_fields(&self) -> Result<(), String> {
        use KindName as K;
        let unread = [
            ("server", self.server.is_some() && !matches!(self.kind, K::GithubActions | K::GitlabCi)),
            ("trust-domain", self.trust_domain.is_some() && self.kind != K::Spiffe),
            ("subject-domain", self.subject_domain.is_some() && self.kind != K::Uri),
            ("subject", self.subject.is_some() && self.kind != K::Generic),
            ("extensions", !self.extensions.is_empty() && self.kind != K::Generic),
        ];
        match unread.into_iter().find(|(_, unread)| *unread) {
            Some((name, _)) => Err(format!("`{name}` is not read for this type")),
            None => Ok(()),
        }
    }
}

fn numbered(extensions: &BTreeMap<String, String>) -> Result<BTreeMap<u32, String>, String> {
    let number = |(name, text): (&String, &String)| {
        let row = Claim::ALL.iter().find(|(_, _, known)| known == name);
        let (_, number, _) = row.ok_or_else(|| format!("`extensions` names `{name}`, which is none of Fulcio's"))?;
        Ok((*number, text.clone()))
    };
    extensions.iter().map(number).collect()
}

/// Whether keys may be fetched from there: over https, or from this machine.
pub fn is_fetchable(url: &str) -> bool {
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains(['@', '#', '?', '\\']);
    let host = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    let here = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| match port.parse::<u16>() {
            Ok(_) => name,
            Err(_) => host,
        });
        matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    };
    plain
        && match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => !host(rest).is_empty(),
            (None, Some(rest)) => here(&host(rest)),
            (None, None) => false,
        }
}
