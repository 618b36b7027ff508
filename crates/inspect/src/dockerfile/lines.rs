//! Directives, physical lines to logical ones, and here-documents, as BuildKit's parser finds them.

use super::{INSTRUCTIONS_MAX, Reason, Refusal, shorten};
use crate::dockerfile::instruction::Heredoc;

/// A file before its instructions are read.
pub(super) struct Source {
    pub(super) syntax: Option<(usize, String)>,
    pub(super) escape: char,
    pub(super) lines: Vec<Logical>,
}

/// An instruction's text: its physical lines joined, comments and continuations taken out.
pub(super) struct Logical {
    /// The first line, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    /// Offset in the text and the line that begins there.
    pub(super) starts: Vec<(usize, usize)>,
    pub(super) heredocs: Vec<Heredoc>,
}

pub(super) fn read(text: &str) -> Result<Source, Refusal> {
    let mut source = Source { syntax: None, escape: '\\', lines: Vec::new() };
    let physical: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let mut at = directives(&physical, &mut source)?;
    while at < physical.len() {
        let first = physical[at].trim_start();
        if first.is_empty() || first.starts_with('#') {
            at += 1;
            continue;
        }
        let (mut logical, next) = joined(&physical, at, source.escape);
        at = next;
        for open in openers(&logical.text, source.escape).map_err(|reason| (logical.line, reason))? {
            let (heredoc, next) = heredoc(&physical, at, open)?;
            logical.heredocs.push(heredoc);
            at = next;
        }
        source.lines.push(logical);
        if source.lines.len() > INSTRUCTIONS_MAX {
            return Err((at, Reason::TooMany));
        }
    }
    Ok(source)
}

/// Reads `# NAME=VALUE` at the top; the first line of another kind ends them. A line `#!` may stand before them.
fn directives(physical: &[&str], source: &mut Source) -> Result<usize, Refusal> {
    let mut at = usize::from(physical.first().is_some_and(|line| line.starts_with("#!")));
    let mut seen: Vec<String> = Vec::new();
    while let Some((name, value)) = physical.get(at).and_then(|line| directive(line)) {
        let refuse = || (at + 1, Reason::Directive(shorten(physical[at])));
        match name.as_str() {
            "syntax" => source.syntax = Some((at + 1, value.to_owned())),
            "escape" => {
                source.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    _ => return Err(refuse()),
                }
            }
            "check" => {}
            // An unknown one is a comment, and after a comment there are none.
            _ => break,
        }
        if seen.contains(&name) {
            return Err(refuse());
        }
        seen.push(name);
        at += 1;
    }
    Ok(at)
}

fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name =
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_name && !value.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}

/// Joins an instruction's lines, and returns where the next begins. Comments and empty lines between are left out.
fn joined(physical: &[&str], first: usize, escape: char) -> (Logical, usize) {
    let mut logical = Logical { line: first + 1, text: String::new(), starts: Vec::new(), heredocs: Vec::new() };
    let mut at = first;
    while let Some(&line) = physical.get(at) {
        at += 1;
        let is_first = at == first + 1;
        let trimmed = line.trim_start();
        if !is_first && (trimmed.is_empty() || trimmed.starts_with('#')) {
            continue;
        }
        let line = if is_first { trimmed } else { line };
        logical.starts.push((logical.text.len(), at));
        match continued(line, escape) {
            Some(before) => logical.text.push_str(before),
            None => {
                logical.text.push_str(line);
                break;
            }
        }
    }
    logical.text.truncate(logical.text.trim_end().len());
    (logical, at)
}

/// Returns the line without the character that continues it: the last one, and not doubled.
fn continued(line: &str, escape: char) -> Option<&str> {
    let before = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before)
}

/// The beginning of a here-document: `<<NAME`, `<<-NAME`, `<<"NAME"`.
struct Opener {
    name: String,
    strips_tabs: bool,
}

/// Finds here-documents in instructions that can have them, perhaps behind `ONBUILD`.
fn openers(text: &str, escape: char) -> Result<Vec<Opener>, Reason> {
    let mut words = text.split_ascii_whitespace();
    let mut keyword = words.next().unwrap_or_default().to_ascii_uppercase();
    if keyword == "ONBUILD" {
        keyword = words.next().unwrap_or_default().to_ascii_uppercase();
    }
    if !matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") || !text.contains("<<") {
        return Ok(Vec::new());
    }
    // With a quote left open BuildKit finds none, so what follows are instructions.
    bare_words(text, escape).unwrap_or_default().iter().filter_map(|word| opener(word)).collect()
}

/// Reads a word that may begin a here-document. A name that is more than letters, once its quotes are off, is refused: it
/// would take a shell to know where such a document ends, and to guess is to read its text as instructions.
fn opener(word: &str) -> Option<Result<Opener, Reason>> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (strips_tabs, name) = rest.strip_prefix('-').map_or((false, rest), |name| (true, name));
    if name.is_empty() || name.contains('<') {
        return None;
    }
    let quoted = ['"', '\''].iter().find_map(|&quote| name.strip_prefix(quote)?.strip_suffix(quote));
    let name = quoted.unwrap_or(name);
    let good = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\' | '`' | '$');
    Some(match !name.is_empty() && name.chars().all(good) {
        true => Ok(Opener { name: name.to_owned(), strips_tabs }),
        false => Err(Reason::HeredocName(shorten(word))),
    })
}

/// Splits at spaces outside of quotes, and keeps the quotes; `None` if one is not closed.
fn bare_words(text: &str, escape: char) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
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
    quote.is_none().then_some(words)
}

fn heredoc(physical: &[&str], first: usize, open: Opener) -> Result<(Heredoc, usize), Refusal> {
    let mut content = String::new();
    for (index, line) in physical.iter().enumerate().skip(first) {
        let stripped = if open.strips_tabs { line.trim_start_matches('\t') } else { line };
        if stripped == open.name {
            return Ok((Heredoc { name: open.name, content, line: first + 1 }, index + 1));
        }
        content.push_str(stripped);
        content.push('\n');
    }
    Err((first.max(1), Reason::Heredoc(shorten(&open.name))))
}
