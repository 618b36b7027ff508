//! What is wrong with a policy: where, the text there, and what is allowed.

use std::fmt;

/// How much of a line is shown: longer ones are cut.
const TEXT_MAX: usize = 160;

/// Something wrong at one place of a policy.
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
    /// What is allowed there.
    pub hint: Option<String>,
}

impl Problem {
    /// Returns the problem at a byte offset of the policy's text.
    pub(crate) fn at(file: &str, text: &str, offset: usize, message: String, hint: Option<String>) -> Problem {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
        Problem {
            file: file.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[start..offset].chars().count() + 1,
            text: text[start..].lines().next().unwrap_or_default().chars().take(TEXT_MAX).collect(),
            message,
            hint,
        }
    }
}

/// One line: `production.toml:4:8: unknown rule `loged`; expected …`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}
