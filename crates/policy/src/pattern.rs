//! Patterns: a text in which `*` stands for any characters, `/` too, or none.

/// A pattern, as `builder-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Makes a pattern; every text is one.
    pub(crate) fn new(text: &str) -> Pattern {
        Pattern(text.to_owned())
    }

    /// Returns the pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether all of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut text) = text.strip_prefix(first) else { return false };
        let mut pieces: Vec<&str> = rest.split('*').collect();
        let last = pieces.pop().unwrap_or_default();
        // The leftmost match of each piece leaves the most for those that follow, so nothing need be tried twice.
        for piece in pieces {
            let Some(at) = text.find(piece) else { return false };
            text = &text[at + piece.len()..];
        }
        text.ends_with(last)
    }
}

/// Returns whether one of the patterns matches.
pub(crate) fn any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

/// Returns patterns for a sentence: `` `main` or `release/*` ``.
pub(crate) fn list(patterns: &[Pattern]) -> String {
    crate::rules::quoted(patterns.iter().map(Pattern::as_str), "or")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        let cases = [
            ("main", "main", true),
            ("main", "main2", false),
            ("main", "xmain", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("release/*", "release/1.0", true),
            ("release/*", "release", false),
            ("builder-*", "builder-full", true),
            ("*-full", "builder-full", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("a**a", "aa", true),
            ("ä*ß", "äöüß", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::new(&"a*".repeat(1000));
        assert!(!pattern.matches(&"a".repeat(999)));
        assert!(pattern.matches(&"a".repeat(1000)));
    }
}
