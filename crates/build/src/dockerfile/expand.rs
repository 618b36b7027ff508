//! Words of instructions, and the variables in them.
//!
//! Specification: "Dockerfile reference", environment replacement <https://docs.docker.com/reference/dockerfile/#environment-replacement>,
//! and where that is silent BuildKit's `frontend/dockerfile/shell`. A variable without a value is empty text. Forms that cut or
//! replace parts of a value (`${A#…}`, `${A%…}`, `${A/…}`) are refused.

use std::collections::BTreeMap;

/// How far one instruction's text may grow.
const EXPANDED_MAX: usize = 64 << 10;

/// How deep one default may stand in another.
const DEPTH_MAX: usize = 16;

/// Splits at spaces outside of quotes, and keeps quotes and escapes.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), c) if c == escape => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Takes the quotes off a word and puts variables in; the error says what is wrong with it.
pub(super) fn word(text: &str, escape: char, variables: &BTreeMap<String, String>) -> Result<String, String> {
    Expansion { variables, escape }.text(text, 0)
}

struct Expansion<'a> {
    variables: &'a BTreeMap<String, String>,
    escape: char,
}

impl Expansion<'_> {
    fn text(&self, text: &str, depth: usize) -> Result<String, String> {
        if depth > DEPTH_MAX {
            return Err("defaults stand too deep in one another".to_owned());
        }
        let mut out = String::new();
        let mut quote: Option<char> = None;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            rest = match (quote, c) {
                (None, '"' | '\'') => {
                    quote = Some(c);
                    after
                }
                (Some(open), c) if c == open => {
                    quote = None;
                    after
                }
                (None | Some('"'), c) if c == self.escape => self.escaped(after, quote, &mut out),
                (None | Some('"'), '$') => {
                    let (value, after) = self.variable(after, depth)?;
                    out.push_str(&value);
                    after
                }
                (_, c) => {
                    out.push(c);
                    after
                }
            };
            if out.len() > EXPANDED_MAX {
                return Err(format!("it grows beyond {EXPANDED_MAX} bytes"));
            }
        }
        if quote.is_some() { Err("a quote is not closed".to_owned()) } else { Ok(out) }
    }

    /// Behind an escape: inside of double quotes it stands for itself before all but what means something there.
    fn escaped<'t>(&self, after: &'t str, quote: Option<char>, out: &mut String) -> &'t str {
        let Some(next) = after.chars().next() else {
            out.push(self.escape);
            return after;
        };
        if quote.is_some() && !matches!(next, '"' | '$') && next != self.escape {
            out.push(self.escape);
        }
        out.push(next);
        &after[next.len_utf8()..]
    }

    /// Reads what follows a `$`.
    fn variable<'t>(&self, text: &'t str, depth: usize) -> Result<(String, &'t str), String> {
        let Some(inner) = text.strip_prefix('{') else {
            let end = name_end(text);
            if end == 0 {
                return Ok(("$".to_owned(), text));
            }
            return Ok((self.variables.get(&text[..end]).cloned().unwrap_or_default(), &text[end..]));
        };
        let end = closing(inner).ok_or("a `${` is not closed")?;
        let (inside, after) = (&inner[..end], &inner[end + 1..]);
        let (name, operation) = inside.split_at(name_end(inside));
        if name.is_empty() {
            return Err(format!("`${{{inside}}}` names no variable"));
        }
        let set = self.variables.get(name);
        let full = set.filter(|value| !value.is_empty());
        let value = match operation {
            "" => set.cloned().unwrap_or_default(),
            _ => {
                let (known, sign, other) = match operation.strip_prefix(':') {
                    Some(rest) => (full, rest.chars().next(), rest.get(1..)),
                    None => (set, operation.chars().next(), operation.get(1..)),
                };
                let other = || self.text(other.unwrap_or_default(), depth + 1);
                match (sign, known) {
                    (Some('-'), Some(value)) => value.clone(),
                    (Some('-'), None) | (Some('+'), Some(_)) => other()?,
                    (Some('+'), None) => String::new(),
                    (Some('?'), Some(value)) => value.clone(),
                    (Some('?'), None) => return Err(format!("`{name}` has no value: {}", other()?)),
                    _ => return Err(format!("`${{{inside}}}` is a form that is not known here")),
                }
            }
        };
        Ok((value, after))
    }
}

fn name_end(text: &str) -> usize {
    let first = text.chars().next();
    if first.is_none_or(|c| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// Returns where the `}` stands that closes, past those of variables inside.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
