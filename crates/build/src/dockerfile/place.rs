//! Where in the file a problem is.

use crate::problem::Problem;

/// Collects problems with their lines and columns.
pub(super) struct Places<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    pub(super) problems: Vec<Problem>,
}

/// How many lines below an instruction's first its words are looked for: those that a `\` continues.
const LINES_MAX: usize = 200;

impl Places<'_> {
    /// Notes a problem at a line, at the first place of `word` in it or in those below; at the instruction, where there is none.
    pub(super) fn note(&mut self, line: usize, word: &str, message: impl Into<String>, allowed: impl Into<String>) {
        let start = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
        let below: usize = self.text[start..].split_inclusive('\n').take(LINES_MAX).map(str::len).sum();
        let region = &self.text[start..start + below];
        let indent = region.len() - region.trim_start_matches([' ', '\t']).len();
        let found = (!word.is_empty()).then(|| region.find(word)).flatten().unwrap_or(indent);
        let problem = Problem::at(self.file, self.text, start + found, message.into(), Some(allowed.into()));
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
