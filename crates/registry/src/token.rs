//! What a new token may be: whose it is, its role, the repositories that it covers. The command line and the server ask
//! here, so a token is the same whoever gives it.

use crate::access::Role;
use crate::pattern::{Pattern, PatternError};

/// The longest name of a token, in characters.
pub const NAME_MAX: usize = 100;

/// Patterns that one token may have.
pub const PATTERNS_MAX: usize = 64;

/// Bytes of randomness in a token.
pub const RANDOM: usize = 32;

/// What a token begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "assay_";

/// A token that may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Whose it is.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The repositories that it covers.
    pub repositories: Vec<Pattern>,
}

/// Why a token may not be given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// The name would be unreadable in a list, or be taken for something else there.
    #[error("a token's name has 1 to {NAME_MAX} letters, digits and ` ._-@+/`, and is no digest")]
    Name,
    /// No such role.
    #[error("a role is `reader`, `publisher`, `deployer` or `admin`")]
    Role,
    /// No repositories, or too many patterns.
    #[error("a token covers 1 to {PATTERNS_MAX} patterns of repositories")]
    Repositories,
    /// A pattern is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl TokenError {
    /// Returns the field that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            TokenError::Name => "name",
            TokenError::Role => "role",
            TokenError::Repositories | TokenError::Pattern(_) => "repositories",
        }
    }
}

impl NewToken {
    /// Checks what somebody asks for.
    pub fn new(name: &str, role: &str, repositories: &[String]) -> Result<NewToken, TokenError> {
        let plain = |c: char| c.is_alphanumeric() || " ._-@+/".contains(c);
        if name.is_empty() || name.chars().count() > NAME_MAX || !name.chars().all(plain) {
            return Err(TokenError::Name);
        }
        let role = Role::of_name(role).ok_or(TokenError::Role)?;
        if repositories.is_empty() || repositories.len() > PATTERNS_MAX {
            return Err(TokenError::Repositories);
        }
        let repositories = repositories.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>()?;
        Ok(NewToken { name: name.to_owned(), role, repositories })
    }
}

/// Writes random bytes as a token: `assay_` and 64 hexadecimal digits.
pub fn text(random: [u8; RANDOM]) -> String {
    format!("{PREFIX}{}", wire::digest::Digest::Sha256(random).hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_may_be() {
        let check = |name: &str, role: &str, repositories: &[&str], field: Option<&str>| {
            let repositories: Vec<String> = repositories.iter().map(|text| (*text).to_owned()).collect();
            let made = NewToken::new(name, role, &repositories);
            assert_eq!(made.as_ref().err().map(TokenError::field), field, "{name} {role} {repositories:?}: {made:?}");
        };
        check("ci", "publisher", &["team/*"], None);
        check("Ada Lovelace", "reader", &["*", "a"], None);
        check(&"x".repeat(NAME_MAX), "admin", &["*"], None);
        check(&"x".repeat(NAME_MAX + 1), "admin", &["*"], Some("name"));
        check("", "reader", &["*"], Some("name"));
        check("a<b", "reader", &["*"], Some("name"));
        // It would be taken for a token's digest where one is revoked.
        check(&format!("sha256:{}", "0".repeat(64)), "reader", &["*"], Some("name"));
        check("ci", "owner", &["*"], Some("role"));
        check("ci", "reader", &[], Some("repositories"));
        check("ci", "reader", &["x"; PATTERNS_MAX + 1], Some("repositories"));
        check("ci", "reader", &["a b"], Some("repositories"));
    }

    #[test]
    fn a_token_is_known_when_it_is_seen() {
        let token = text([7; RANDOM]);
        assert_eq!(token.len(), "assay_".len() + 64);
        assert!(token.starts_with("assay_0707"));
    }
}
