//! Which lines of shell scripts ran, and what decided: the record, and the marked copy of a script that makes it.
//!
//! A shell gets a copy of its script in which, before each statement and at the beginning of each branch, a *mark* stands on the same line:
//! `[ -w "/.assay/KEY/PLACE" ]`, a question whose answer is always no, since there is no such file. The tracer, which sees the
//! question (`faccessat2` with `W_OK`, which next to nobody else asks), notes the place. So there is no descriptor, variable, function,
//! process or file that a script could find, nothing is written, and without a tracer the marks do nothing. The values of
//! variables that decide travel in the question.
//!
//! What a mark must not change is the exit status that the next command may ask for, and `set -e`:
//!
//! ```sh
//! case $? in 0)[ ! -w "/.assay/K/7" ];;1)[ -w "/.assay/K/7" ];;*). "/.assay/K/7/$?";;esac&&:;make all
//! A && [ ! -w "/.assay/K/8" ] && B
//! if C; then D; else [ ! -w "/.assay/K/9" ];fi
//! ```
//!
//! A status above 1 is put back by the tracer: the file that `.` opens is `return 5&&:`. Under `set -x` a mark stands in `{ …; } 2>/dev/null`.
//!
//! Known to show: `bash` reports a compound that a signal has killed with its text, marks and all, on standard error. A script can't be told
//! from its text to die so.
//!
//! Rejected: `xtrace` into an inherited descriptor (`bash` only; seen in `$-`, `SHELLOPTS`, `/proc/self/fd`, and it
//! takes the place of the script's own); a function or a `trap … DEBUG` (seen by `set` and `trap`); reading the offsets of the
//! script's descriptor (`dash` reads blocks of 8 KiB); `brush-parser` (MIT, 0.4.0: one syntax for all shells, no places of
//! `then`, `else` and `fi`, and 7 further crates with `insta` among them), since the copy needs only places, and must refuse what it doesn't know.
//!
//! What this proves: that the process, a shell that was given this script, asked this question. A script that asks it itself
//! (`[ -w /.assay/… ]`) can tell untrue lines of its own, and of no other process or script: the record is the process's own claim.

use serde::{Deserialize, Serialize};

mod copy;
mod grammar;
mod start;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use copy::{Copy, PREFIX, SCRIPT_BYTES_MAX, SEPARATOR, Wanted};
pub(crate) use start::{Start, start};

/// The shells whose scripts are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shell {
    /// The Debian Almquist shell.
    Dash,
    /// The GNU Bourne-Again shell, under any name.
    Bash,
}

/// Whether the scripts of a step are traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scripts {
    /// No script is touched.
    #[default]
    Untraced,
    /// Shells get marked copies.
    Traced,
}

impl Scripts {
    /// Whether nothing is traced.
    pub fn is_off(&self) -> bool {
        *self == Self::Untraced
    }
}

/// Why a script is not traced: `line 3: a quote is not closed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Untraced(pub(crate) String);

/// How a branch was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The condition was true.
    Then,
    /// It was false; also where there is no `else`.
    Else,
    /// A loop went round.
    Body,
    /// This item of a `case`.
    Item,
    /// No item of a `case`.
    NoMatch,
    /// What stands before `&&` was true.
    And,
    /// What stands before `||` was false.
    Or,
}

impl How {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Then => "then",
            Self::Else => "else",
            Self::Body => "body",
            Self::Item => "item",
            Self::NoMatch => "no-match",
            Self::And => "and",
            Self::Or => "or",
        }
    }
}

/// That a place is the beginning of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The place that decided, if that is marked; a number within the script, in an event of the trace.
    pub of: Option<usize>,
    /// How it was entered.
    pub how: How,
    /// The pattern of an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// A marked place of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// The statement, its first line; of a compound its head: `if [ "$x" = 1 ]`.
    pub text: String,
    /// Whether a branch that is marked follows from it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub decides: bool,
    /// Variables whose values are noted each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The branch that begins here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One line of the trace about scripts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ScriptEvent {
    /// A step begins, and its scripts are traced or not.
    Step {
        /// Its index.
        step: usize,
        /// Whether they are.
        scripts: Scripts,
    },
    /// A script was given to a shell for the first time, and gets its number.
    Script {
        /// Number, from 0.
        id: usize,
        /// Path; `-c` for an argument.
        path: String,
        /// SHA-256 of what it held.
        digest: String,
        /// The shell.
        shell: Shell,
        /// Whether parts of it are not marked: command substitutions, functions that it prints.
        partial: bool,
    },
    /// A place was reached for the first time, and gets its number.
    Place {
        /// Number, from 0.
        id: usize,
        /// The script.
        script: usize,
        /// Its number within the script, which [`Branch::of`] names.
        local: usize,
        /// What stands there.
        #[serde(flatten)]
        place: Place,
    },
    /// Places that a process passed, in order.
    Ran {
        /// The process.
        process: usize,
        /// When this line was written: before the next process that it started.
        until_us: u64,
        /// Their numbers, as [`encode`] writes them: `0-7 3 4`.
        ran: String,
        /// Values of their variables: index into the numbers, and a value for each name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<(usize, Vec<String>)>,
    },
    /// A script was not traced.
    Untraced {
        /// The process.
        process: usize,
        /// Path; `-c` for an argument; empty if it is not known.
        path: String,
        /// Why.
        reason: String,
    },
    /// The limit of the record was reached: nothing after this is noted, so it is incomplete.
    Cut {
        /// The process that reached it.
        process: usize,
        /// When.
        at_us: u64,
    },
}

/// Writes numbers, those that follow each other as a range: `0-7 3 4`.
pub fn encode(numbers: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let length = rest.iter().enumerate().take_while(|(index, number)| **number == first + index).count();
        let space = if text.is_empty() { "" } else { " " };
        match length {
            1 => text.push_str(&format!("{space}{first}")),
            _ => text.push_str(&format!("{space}{first}-{}", first + length - 1)),
        }
        rest = &rest[length..];
    }
    text
}

/// Reads what [`encode`] wrote; at most `count_max` numbers. `None` if it is something else.
pub fn decode(text: &str, count_max: usize) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in text.split(' ').filter(|_| !text.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if last < first || last - first >= count_max.saturating_sub(numbers.len()) {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}
