//! Physical lines to logical ones, as pip's `req_file.py` joins them and takes the comments out.

use crate::lock_file::finding::{Position, Reason, Refusal};

/// The longest logical line: a thousand hashes have some 90 kB.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A logical line and where each of its physical lines begins in it.
pub(super) struct Logical {
    text: String,
    /// Offset in `text`, line, characters of that line that were left out before it.
    starts: Vec<(usize, usize, usize)>,
}

/// A word and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) at: Position,
    pub(super) text: &'a str,
}

impl Logical {
    /// Returns the words; a comment begins with `#` after a space or at the start, and goes on to the end, even over
    /// a continued line.
    pub(super) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        let mut starts = self.starts.iter().copied().peekable();
        // Where counting stands: an offset and its place.
        let (mut from, mut at) = (0, Position::START);
        for text in self.text.split_whitespace() {
            if text.starts_with('#') {
                break;
            }
            let offset = text.as_ptr() as usize - self.text.as_ptr() as usize;
            while let Some((start, line, skipped)) = starts.next_if(|&(start, ..)| start <= offset) {
                (from, at) = (start, Position { line, column: skipped + 1 });
            }
            at.column += self.text[from..offset].chars().count();
            from = offset;
            tokens.push(Token { at, text });
        }
        tokens
    }
}

/// Joins lines that end in a backslash, and calls `take` with each. A line that is all comment ends what was begun.
pub(super) fn each(text: &str, mut take: impl FnMut(Logical) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut open: Option<Logical> = None;
    for (index, line) in text.split('\n').enumerate() {
        let number = index + 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        refuse_hidden_ends(line, number)?;
        let comment = line.trim_start().starts_with('#');
        let goes_on = line.ends_with('\\') && !comment;
        let stripped = if goes_on { line.trim_matches('\\') } else { line };
        let skipped = if goes_on { line.len() - line.trim_start_matches('\\').len() } else { 0 };
        let logical = open.get_or_insert_with(|| Logical { text: String::new(), starts: Vec::new() });
        if comment {
            logical.text.push(' ');
        }
        logical.starts.push((logical.text.len(), number, skipped.min(line.len())));
        logical.text.push_str(stripped);
        if logical.text.len() > LINE_BYTES_MAX {
            let at = Position { line: number, column: 1 };
            return Err(Refusal::new(at, Reason::TooMany { what: "bytes in a line", max: LINE_BYTES_MAX }));
        }
        if !goes_on && let Some(logical) = open.take() {
            take(logical)?;
        }
    }
    open.map_or(Ok(()), take)
}

/// pip cuts lines where Python's `splitlines` does: at characters that look like nothing or like a space.
fn refuse_hidden_ends(line: &str, number: usize) -> Result<(), Refusal> {
    let hidden = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    match line.chars().position(hidden) {
        None => Ok(()),
        Some(before) => {
            let message = "a control character stands in the line, and pip would cut the line there";
            Err(Refusal::new(Position { line: number, column: before + 1 }, Reason::Syntax(message.to_owned())))
        }
    }
}
