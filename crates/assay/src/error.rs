//! How a command fails: one shape for people and for `--json`, made where an error is consumed.
//!
//! ```json
//! {"version":1,"error":{"code":"lock-stale","message":"…","where":{"file":"assay.lock","line":3,"column":1},"hint":"assay lock"}}
//! ```

use std::error::Error;
use std::fmt;

use build::problem::Problem;
use serde_json::{Value, json};

/// Why a command did not answer yes.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A stable name for scripts, in kebab case.
    pub(crate) code: &'static str,
    /// What was being done to what.
    pub(crate) message: String,
    /// The place in a file that the user wrote.
    pub(crate) place: Option<Place>,
    /// What to do next: a command that works, or a sentence.
    pub(crate) hint: Option<String>,
    /// Causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// Further findings of the same kind, a line each.
    pub(crate) also: Vec<String>,
    /// 1 for an honest no, 2 for could not tell.
    pub(crate) exit: u8,
}

/// A place in a file that a user wrote.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Path as the user knows it.
    pub(crate) file: String,
    /// From 1; 0 when the whole file is meant.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) column: usize,
    /// The line's text.
    pub(crate) text: String,
}

/// The result of a command's parts.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that leaves the question open (exit 2).
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
            place: None,
            hint: None,
            causes: Vec::new(),
            also: Vec::new(),
            exit: 2,
        }
    }

    /// An honest no (exit 1).
    pub(crate) fn no(code: &'static str, message: impl Into<String>) -> Failure {
        Failure { exit: 1, ..Failure::new(code, message) }
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the place in a file.
    pub(crate) fn at(mut self, place: Place) -> Failure {
        self.place = Some(place);
        self
    }

    /// Adds an error and its sources as causes.
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Failure {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(cause) = next {
            let text = cause.to_string();
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = cause.source();
        }
        self
    }

    /// The problems of one file, the first in full. There must be one.
    pub(crate) fn problems(code: &'static str, problems: &[Problem]) -> Failure {
        let Some((first, others)) = problems.split_first() else {
            return Failure::new(code, "the file has a problem that nobody described");
        };
        let place =
            Place { file: first.file.clone(), line: first.line, column: first.column, text: first.text.clone() };
        let mut failure = Failure::new(code, first.message.clone()).at(place);
        failure.hint = first.allowed.clone();
        failure.also = others.iter().map(Problem::one_line).collect();
        failure
    }

    /// Returns the JSON form.
    pub(crate) fn json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.sentence()});
        if let Some(place) = &self.place {
            error["where"] =
                json!({"file": place.file, "line": place.line, "column": place.column, "text": place.text});
        }
        if let Some(hint) = &self.hint {
            error["hint"] = json!(hint);
        }
        if !self.also.is_empty() {
            error["also"] = json!(self.also);
        }
        json!({"version": 1, "error": error})
    }

    pub(crate) fn sentence(&self) -> String {
        let mut out = self.message.clone();
        for cause in &self.causes {
            out.push_str(": ");
            out.push_str(cause);
        }
        out
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.sentence())?;
        if let Some(place) = &self.place {
            write!(f, "\n  --> {}", place.file)?;
            if place.line > 0 {
                let number = place.line.to_string();
                let margin = " ".repeat(number.len());
                write!(f, ":{}:{}", place.line, place.column)?;
                write!(f, "\n {margin} |\n {number} | {}", place.text)?;
                write!(f, "\n {margin} | {}^", " ".repeat(place.column.saturating_sub(1)))?;
            }
        }
        for also in &self.also {
            write!(f, "\n  also {also}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// Turns an error into a [`Failure`] where it is consumed.
pub(crate) trait Context<T> {
    /// Says what was being done to what; the error and its sources become causes.
    fn context(self, code: &'static str, message: impl Into<String>) -> Result<T>;
}

impl<T, E: Error + 'static> Context<T> for std::result::Result<T, E> {
    fn context(self, code: &'static str, message: impl Into<String>) -> Result<T> {
        self.map_err(|error| Failure::new(code, message).because(&error))
    }
}
