//! Patterns of `COPY` and `.dockerignore`.
//!
//! Specification: Go's `path/filepath.Match` <https://pkg.go.dev/path/filepath#Match>, and for `.dockerignore` also `**` and `!`
//! <https://docs.docker.com/build/concepts/context/#dockerignore-files>.

/// How many lines of a `.dockerignore` are read.
const RULES_MAX: usize = 10_000;

/// Whether a name fits a pattern of `*`, `?`, `[a-z]`, `[^a-z]` and `\`; none of them means a `/`.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where to go on after the last `*`, and how much of the name it has eaten.
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at + 1, seen));
            at += 1;
            continue;
        }
        match one(&pattern[at.min(pattern.len())..], name[seen]) {
            Some(length) => (at, seen) = (at + length, seen + 1),
            None => {
                let Some((after, eaten)) = star.filter(|(_, eaten)| name[*eaten] != '/') else { return false };
                star = Some((after, eaten + 1));
                (at, seen) = (after, eaten + 1);
            }
        }
    }
    pattern[at.min(pattern.len())..].iter().all(|c| *c == '*')
}

/// Returns how much of the pattern means this one character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => (c != '/').then_some(1),
        '\\' => (pattern.get(1) == Some(&c)).then_some(2),
        '[' => {
            let end = pattern.iter().skip(2).position(|c| *c == ']')? + 2;
            let (inside, is_other) = match pattern.get(1) {
                Some('^' | '!') => (&pattern[2..end], true),
                _ => (&pattern[1..end], false),
            };
            let mut found = false;
            let mut at = 0;
            while at < inside.len() {
                if inside.get(at + 1) == Some(&'-') && at + 2 < inside.len() {
                    found |= (inside[at]..=inside[at + 2]).contains(&c);
                    at += 3;
                } else {
                    found |= inside[at] == c;
                    at += 1;
                }
            }
            (c != '/' && found != is_other).then_some(end + 1)
        }
        first => (*first == c).then_some(1),
    }
}

/// Whether a path fits a pattern of as many components; `**` stands for any number of them.
fn path_fits(pattern: &[&str], path: &[&str]) -> bool {
    // Where to go on after the last `**`, and how many components it has eaten: no choice before it needs another look.
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < path.len() {
        match pattern.get(at) {
            Some(&"**") => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(part) if fits(part, path[seen]) => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((after, eaten)) = star else { return false };
                star = Some((after, eaten + 1));
                (at, seen) = (after, eaten + 1);
            }
        }
    }
    pattern[at..].iter().all(|part| *part == "**")
}

/// What of a context is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ignore(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: Vec<String>,
    is_exception: bool,
}

impl Ignore {
    /// Reads a `.dockerignore`.
    pub(super) fn parse(text: &str) -> Ignore {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rule = |line: &str| {
            let (is_exception, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            let parts = line.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned);
            Rule { pattern: parts.collect(), is_exception }
        };
        Ignore(lines.take(RULES_MAX).map(rule).filter(|rule| !rule.pattern.is_empty()).collect())
    }

    /// Whether a path of the context is left out: the last rule that fits it, or a directory above it, says so.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |rule: &&Rule| {
            let pattern: Vec<&str> = rule.pattern.iter().map(String::as_str).collect();
            (1..=parts.len()).any(|length| path_fits(&pattern, &parts[..length]))
        };
        self.0.iter().rev().find(fits).is_some_and(|rule| !rule.is_exception)
    }
}
