//! Patterns of names: which repositories a grant covers, which tags are releases.
//!
//! `*` stands for any run of characters (also none, also `/`), `#` for one or more digits, all else for itself:
//! `team/*` covers every repository below `team`, `v#*` every tag that looks like a version. There is no escape,
//! because neither character can stand in a repository or tag name.

/// The longest pattern that is taken: repository names end at 255 characters.
pub const LENGTH_MAX: usize = 255;

/// A checked pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a pattern: expected 1 to {LENGTH_MAX} characters of names, `*` or `#`")]
pub struct PatternError(String);

impl Pattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let named = |b: u8| b.is_ascii_alphanumeric() || b"._-/:*#".contains(&b);
        if text.is_empty() || text.len() > LENGTH_MAX || !text.bytes().all(named) {
            return Err(PatternError(text.chars().take(LENGTH_MAX).collect()));
        }
        Ok(Pattern(text.to_owned()))
    }

    /// Whether `name` is covered.
    pub fn covers(&self, name: &str) -> bool {
        covers(self.0.as_bytes(), name.as_bytes())
    }

    /// Returns the pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Advances a set of pattern positions over the name, so that time is at most length × length, whatever the pattern.
fn covers(pattern: &[u8], name: &[u8]) -> bool {
    let mut at = vec![false; pattern.len() + 1];
    at[0] = true;
    skip_stars(pattern, &mut at);
    for &byte in name {
        let mut next = vec![false; pattern.len() + 1];
        for position in (0..pattern.len()).filter(|position| at[*position]) {
            match pattern[position] {
                b'*' => next[position] = true,
                b'#' if byte.is_ascii_digit() => {
                    next[position] = true;
                    next[position + 1] = true;
                }
                literal if literal == byte => next[position + 1] = true,
                _ => {}
            }
        }
        skip_stars(pattern, &mut next);
        at = next;
    }
    at[pattern.len()]
}

/// A star may stand for nothing.
fn skip_stars(pattern: &[u8], at: &mut [bool]) {
    for position in 0..pattern.len() {
        if at[position] && pattern[position] == b'*' {
            at[position + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests;
