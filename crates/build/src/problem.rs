//! What is wrong with a file that somebody wrote: where, the text there, and what would be right.

use std::fmt;
use std::ops::Range;

use inspect::lock_file::{Finding, LockFileError, Position};

/// How much of a line is shown: longer ones are cut.
const TEXT_MAX: usize = 160;

/// Something wrong at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File name as the user knows it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The text of the line.
    pub text: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What is allowed, or what to write in its place.
    pub allowed: Option<String>,
}

impl Problem {
    /// Returns the problem at a byte offset of a file's text.
    pub fn at(file: &str, text: &str, offset: usize, message: String, allowed: Option<String>) -> Problem {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let line = text[start..].lines().next().unwrap_or("");
        Problem {
            file: file.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[start..offset].chars().count() + 1,
            text: line.chars().take(TEXT_MAX).collect(),
            message,
            allowed,
        }
    }

    /// Returns the problem that the TOML parser found.
    pub(crate) fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Problem {
        let offset = error.span().map_or(0, |span: Range<usize>| span.start);
        Problem::at(file, text, offset, error.message().to_owned(), None)
    }

    /// Returns why a lock file was refused.
    pub(crate) fn of_lock_file(bytes: &[u8], error: &LockFileError) -> Problem {
        Problem::at_position(&error.file, bytes, error.at, error.reason.to_string(), None)
    }

    /// Returns what a lock file leaves open, or pins badly.
    pub(crate) fn of_finding(bytes: &[u8], finding: &Finding) -> Problem {
        let message = match &finding.package {
            Some(package) => format!("`{package}`: {}", finding.problem),
            None => finding.problem.to_string(),
        };
        Problem::at_position(&finding.file, bytes, finding.at, message, Some(finding.hint()))
    }

    /// Returns the problem at a line of a file, from 1.
    pub(crate) fn at_line(file: &str, bytes: &[u8], line: usize, message: String, allowed: Option<String>) -> Problem {
        Problem::at_position(file, bytes, Position { line, column: 1 }, message, allowed)
    }

    fn at_position(file: &str, bytes: &[u8], at: Position, message: String, allowed: Option<String>) -> Problem {
        let text = String::from_utf8_lossy(bytes);
        let start: usize = text.split_inclusive('\n').take(at.line.saturating_sub(1)).map(str::len).sum();
        Problem { column: at.column, ..Problem::at(file, &text, start, message, allowed) }
    }

    /// Returns the problem as one line: `file:line:column: message; what is allowed`.
    pub fn one_line(&self) -> String {
        let mut out = format!("{}:{}:{}: {}", self.file, self.line, self.column, self.message);
        if let Some(allowed) = &self.allowed {
            out.push_str("; ");
            out.push_str(allowed);
        }
        out
    }
}

/// Three lines: place and message, the text, and what is allowed.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        write!(f, "\n  | {}\n  | {}^", self.text, " ".repeat(self.column.min(TEXT_MAX) - 1))?;
        match &self.allowed {
            Some(allowed) => write!(f, "\n  = {allowed}"),
            None => Ok(()),
        }
    }
}

/// Returns the known word nearest to `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns "did you mean" and the list of what is known.
pub fn suggestion(word: &str, known: &[&str]) -> String {
    let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match nearest(word, known) {
        _ if known.is_empty() => "nothing is allowed here".to_owned(),
        Some(near) => format!("did you mean `{near}`? allowed: {list}"),
        None => format!("allowed: {list}"),
    }
}

/// Optimal string alignment: insertions, deletions, substitutions, and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    const WORD_MAX: usize = 64; // quadratic below; no known word is longer
    let a: Vec<char> = a.chars().take(WORD_MAX).collect();
    let b: Vec<char> = b.chars().take(WORD_MAX).collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substitute = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitute.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests;
