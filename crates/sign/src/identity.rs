//! Whose tokens are taken, who may have a certificate, and what it says of him.
//!
//! What each kind of issuer's claims become follows Fulcio
//! <https://github.com/sigstore/fulcio/blob/v1.7.1/docs/oidc.md> and
//! <https://github.com/sigstore/fulcio/blob/v1.7.1/docs/oid-info.md>. Unlike there, who is let in must be said for each
//! issuer: everybody on the internet has an account at a public one.

mod file;
mod mapping;

use std::collections::BTreeMap;

use crate::certificate::SubjectName;
use crate::issuing::FulcioValue;
use crate::jwt::Claims;
use crate::trust::fits;

pub use file::{ISSUERS_MAX, IssuersError, IssuersFile, is_fetchable};

/// An issuer of identity tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its URL: `iss` of its tokens, letter by letter.
    pub url: String,
    /// For whom its tokens must be.
    pub audience: String,
    /// How its claims are read.
    pub kind: Kind,
    /// Who may have a certificate.
    pub allow: Allow,
    /// File of its keys, for one that cannot be asked; relative to the configuration.
    pub keys: Option<String>,
    /// Whether certificates name a keyed hash in place of the name, and nothing else of the token.
    pub pseudonymous: bool,
}

/// How an issuer's claims are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Workflows of GitHub Actions; the server of links, `https://github.com`.
    GithubActions(String),
    /// Jobs of GitLab CI; the server of links, `https://gitlab.com`.
    GitlabCi(String),
    /// Service accounts of Kubernetes.
    Kubernetes,
    /// Verified e-mail addresses.
    Email,
    /// Workloads of a SPIFFE trust domain.
    Spiffe(String),
    /// Subjects that are URIs of one scheme and host: `https://ci.example.org`.
    Uri(String),
    /// Any other: texts with `{claim}` for the name and for Fulcio's extensions.
    Generic {
        /// The name, a URI.
        subject: String,
        /// Extensions by number.
        extensions: BTreeMap<u32, String>,
    },
}

/// Who may have a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Everybody whom the issuer knows.
    Anyone,
    /// Whose claims fit one of these, each claim by name: the whole text, where `*` stands for one or more characters
    /// other than `/` and `@`. At least one rule, each with at least one claim.
    Rules(Vec<BTreeMap<String, String>>),
}

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name in it.
    pub name: SubjectName,
    /// The name that the issuer gave: what a revocation is about. The same, but for pseudonyms.
    pub own_name: SubjectName,
    /// URL of the issuer.
    pub issuer: String,
    /// What a proof of possession is over.
    pub challenge: String,
    /// Fulcio's extensions.
    pub values: Vec<FulcioValue>,
}

/// Why a token's owner gets no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A claim that is needed.
    #[error("the token has no claim `{0}`, which issuers of this kind must state")]
    Claim(String),
    /// A claim of another form.
    #[error("the token's claim `{claim}` is not {expected}")]
    Form {
        /// Its name.
        claim: &'static str,
        /// `a verified e-mail address`
        expected: &'static str,
    },
    /// Nobody let him in.
    #[error("no rule of the issuer `{0}` allows this token's owner a certificate")]
    NotAllowed(String),
}

impl Issuer {
    /// Returns the claim that a proof of possession is over.
    pub fn challenge_claim(&self) -> &'static str {
        match self.kind {
            Kind::Email => "email",
            _ => "sub",
        }
    }

    /// Returns Fulcio's name for the kind.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::GithubActions(_) | Kind::GitlabCi(_) | Kind::Generic { .. } => "ci-provider",
            Kind::Kubernetes => "kubernetes",
            Kind::Email => "email",
            Kind::Spiffe(_) => "spiffe",
            Kind::Uri(_) => "uri",
        }
    }

    /// Returns the trust domain of SPIFFE; empty for other kinds.
    pub fn trust_domain(&self) -> &str {
        match &self.kind {
            Kind::Spiffe(domain) => domain,
            _ => "",
        }
    }

    /// Returns scheme and host that subjects must have; empty for other kinds than URIs.
    pub fn subject_domain(&self) -> &str {
        match &self.kind {
            Kind::Uri(domain) => domain,
            _ => "",
        }
    }

    /// Finds whom a certificate is for. `pseudonyms` is the key of the hashes that stand in place of names.
    pub fn identify(&self, claims: &Claims, pseudonyms: &[u8]) -> Result<Identity, IdentityError> {
        if !self.allow.allows(claims) {
            return Err(IdentityError::NotAllowed(self.url.clone()));
        }
        let challenge = claims.text(self.challenge_claim());
        let challenge = challenge.ok_or_else(|| IdentityError::Claim(self.challenge_claim().to_owned()))?;
        let (own_name, values) = mapping::map(&self.kind, claims)?;
        let issuer = self.url.clone();
        if !self.pseudonymous {
            return Ok(Identity { name: own_name.clone(), own_name, issuer, challenge, values });
        }
        let hash = wire::digest::hmac_sha256(pseudonyms, format!("{issuer}\0{}", own_name.text()).as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = SubjectName::Uri(format!("urn:assay:pseudonym:{hex}"));
        Ok(Identity { name, own_name, issuer, challenge, values: Vec::new() })
    }
}

impl Allow {
    fn allows(&self, claims: &Claims) -> bool {
        let fits = |(name, pattern): (&String, &String)| {
            claims.text(name).is_some_and(|text| fits(pattern.as_bytes(), text.as_bytes()))
        };
        match self {
            Allow::Anyone => true,
            Allow::Rules(rules) => rules.iter().any(|rule| !rule.is_empty() && rule.iter().all(fits)),
        }
    }
}

#[cfg(test)]
mod tests;
