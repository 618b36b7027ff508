//! Identities by certificate: whom an issuer must name, and what they may say.

use wire::timestamp::Timestamp;

use super::{Role, TrustError, check_time};
use crate::certificate::{Subject, SubjectName};

/// The longest subject or issuer.
const LENGTH_MAX: usize = 2048;

/// A signer whose certificate names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedIdentity {
    /// Name that policies use: `release`.
    pub name: String,
    /// URL of the OpenID Connect issuer, letter by letter.
    pub issuer: String,
    /// Which names in certificates it has.
    pub subject: SubjectRule,
    /// What it may say.
    pub roles: Vec<Role>,
    /// First second in which its signatures count.
    pub valid_from: Timestamp,
    /// Last second in which they count.
    pub valid_until: Option<Timestamp>,
    /// From here on nothing that it signed counts, whenever it was signed.
    pub revoked_at: Option<Timestamp>,
}

/// Which names in certificates an identity has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectRule {
    /// This one, letter by letter.
    Exact(String),
    /// All of a form.
    Pattern(Pattern),
}

/// A name with gaps: `*` stands for one or more characters other than `/` and `@`.
///
/// It must match the whole name. The host of a URI and the domain of an e-mail address have no gaps: they say who
/// decides about the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// The text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no pattern: expected `https://HOST/…` or `…@DOMAIN` with `*` for parts of the path or the user, no two together"
)]
pub struct PatternError(String);

impl CertifiedIdentity {
    /// Whether it may speak in that role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether a certificate's subject is this identity.
    pub(super) fn is(&self, subject: &Subject) -> bool {
        let name_fits = match &self.subject {
            SubjectRule::Exact(text) => subject.name.text() == text,
            SubjectRule::Pattern(pattern) => pattern.fits(&subject.name),
        };
        subject.issuer == self.issuer && name_fits
    }

    pub(super) fn check(&self, now: Timestamp) -> Result<(), TrustError> {
        check_time(&self.name, self.valid_from, self.valid_until, self.revoked_at, now)
    }
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Pattern, PatternError> {
        let error = || PatternError(text.chars().take(200).collect());
        let fixed = match (text.strip_prefix("https://"), text.rsplit_once('@')) {
            (Some(rest), _) => rest.split_once('/').map(|(host, _)| host),
            (None, Some((_, domain))) if !text.contains('/') => Some(domain),
            _ => None,
        };
        let fixed = fixed.filter(|fixed| !fixed.is_empty() && !fixed.contains('*')).ok_or_else(error)?;
        let plain = text.chars().all(|letter| !letter.is_control() && !letter.is_whitespace());
        if text.len() > LENGTH_MAX || fixed.contains('@') || text.contains("**") || !text.contains('*') || !plain {
            return Err(error());
        }
        Ok(Pattern(text.to_owned()))
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// A pattern of a URI fits URIs alone, one of an e-mail address e-mail addresses alone.
    fn fits(&self, name: &SubjectName) -> bool {
        let of_uri = self.0.starts_with("https://");
        match name {
            SubjectName::Uri(text) => of_uri && fits(self.0.as_bytes(), text.as_bytes()),
            SubjectName::Email(text) => !of_uri && fits(self.0.as_bytes(), text.as_bytes()),
            SubjectName::Other(_) => false,
        }
    }
}

/// Whether the whole of `text` has the form of `pattern`. Going back to the last gap alone is enough, and takes at most
/// the product of both lengths.
pub(crate) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut gap: Option<(usize, usize)> = None; // after the gap in the pattern; up to where it reaches in the text
    let fills = |byte: u8| byte != b'/' && byte != b'@';
    loop {
        match (pattern.get(at), text.get(read)) {
            (None, None) => return true,
            (Some(b'*'), Some(byte)) if fills(*byte) => {
                (at, read) = (at + 1, read + 1);
                gap = Some((at, read));
                continue;
            }
            (Some(b'*'), _) => {}
            (Some(expected), Some(found)) if expected == found => {
                (at, read) = (at + 1, read + 1);
                continue;
            }
            _ => {}
        }
        // Lets the last gap take one more.
        match gap {
            Some((after, reach)) if text.get(reach).copied().is_some_and(fills) => {
                (at, read) = (after, reach + 1);
                gap = Some((after, reach + 1));
            }
            _ => return false,
        }
    }
}

/// Whether a text can stand for an issuer or an exact subject.
pub(super) fn is_plain(text: &str) -> bool {
    (1..=LENGTH_MAX).contains(&text.len()) && text.chars().all(|letter| !letter.is_control() && !letter.is_whitespace())
}
