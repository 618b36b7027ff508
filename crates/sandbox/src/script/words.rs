//! Blanks, words, quotes, expansions and here-documents: everything of a script that has no statement of its own to mark.
//!
//! Command substitutions are parsed to find where they end, and nothing is marked in them. Where `dash` and `bash` read the same bytes
//! differently, the shell decides; where this code is not sure where something ends, the script is refused.

use super::grammar::Scan;
use super::{Shell, Untraced};

/// A here-document whose body comes with the next line.
pub(super) struct Pending {
    delimiter: Vec<u8>,
    strip_tabs: bool,
    quoted: bool,
}

/// A word: where it stands, and its text if nothing in it is quoted or expanded.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) literal: Option<&'a [u8]>,
}

/// Whether a byte ends a word that is not quoted.
fn is_meta(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

/// Whether a byte may stand in a name.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl<'a> Scan<'a> {
    pub(super) fn byte(&self, offset: usize) -> Option<u8> {
        self.text.get(self.at + offset).copied()
    }

    pub(super) fn looks_at(&self, text: &str) -> bool {
        self.text[self.at..].starts_with(text.as_bytes())
    }

    /// Passes over blanks, continued lines and a comment; stops at a newline.
    pub(super) fn blanks(&mut self) {
        loop {
            match self.byte(0) {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.byte(1) == Some(b'\n') => self.at += 2,
                Some(b'#') if self.at == 0 || is_meta(self.text[self.at - 1]) => {
                    while self.byte(0).is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Passes over blanks, comments and newlines, with the here-documents that begin there.
    pub(super) fn newlines(&mut self) -> Result<(), Untraced> {
        loop {
            self.blanks();
            if self.byte(0) != Some(b'\n') {
                return Ok(());
            }
            self.at += 1;
            self.bodies()?;
        }
    }

    fn bodies(&mut self) -> Result<(), Untraced> {
        if self.outer_pending && self.opaque > 0 {
            return self.refuse("a here-document is open around a command substitution of several lines");
        }
        for pending in std::mem::take(&mut self.pending) {
            self.body(&pending)?;
        }
        Ok(())
    }

    fn body(&mut self, pending: &Pending) -> Result<(), Untraced> {
        let begin = self.at;
        loop {
            if self.at >= self.text.len() {
                return self.refuse("a here-document has no end");
            }
            let rest = &self.text[self.at..];
            let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            let mut line = &rest[..length];
            if pending.strip_tabs {
                line = &line[line.iter().take_while(|&&byte| byte == b'\t').count()..];
            }
            if line == pending.delimiter {
                let end = self.at;
                self.expansions(begin, end, pending)?;
                self.at = (end + length + 1).min(self.text.len());
                return Ok(());
            }
            self.at += length + 1;
        }
    }

    /// Checks that nothing that is expanded in a body reaches over its end.
    fn expansions(&mut self, begin: usize, end: usize, pending: &Pending) -> Result<(), Untraced> {
        self.at = begin;
        if pending.quoted {
            return Ok(());
        }
        if self.text[..end].ends_with(b"\\\n") && end > begin {
            return self.refuse("the last line of a here-document is continued");
        }
        while self.at < end {
            match self.byte(0) {
                Some(b'\\') => self.at += 2,
                Some(b'$') => self.dollar(true)?,
                Some(b'`') => self.backquote()?,
                _ => self.at += 1,
            }
        }
        if self.at > end { self.refuse("an expansion reaches over the end of its here-document") } else { Ok(()) }
    }

    /// Reads the delimiter behind `<<` or `<<-`.
    pub(super) fn here_document(&mut self, strip_tabs: bool) -> Result<(), Untraced> {
        self.blanks();
        let word = self.word()?;
        let raw = &self.text[word.start..word.end];
        if raw.is_empty() || raw.iter().any(|byte| matches!(byte, b'$' | b'`' | b'\n')) {
            return self.refuse("the delimiter of a here-document is not plain");
        }
        let quoted = word.literal.is_none();
        let delimiter = raw.iter().copied().filter(|byte| !matches!(byte, b'\\' | b'\'' | b'"')).collect();
        self.pending.push(Pending { delimiter, strip_tabs, quoted });
        Ok(())
    }

    /// Reads a word; an empty one if none is here.
    pub(super) fn word(&mut self) -> Result<Word<'a>, Untraced> {
        let start = self.at;
        let mut is_literal = true;
        loop {
            match self.byte(0) {
                None => break,
                Some(b'\\') => {
                    is_literal = false;
                    self.at = (self.at + 2).min(self.text.len());
                }
                Some(b'\'') => {
                    is_literal = false;
                    self.single()?;
                }
                Some(b'"') => {
                    is_literal = false;
                    self.double()?;
                }
                Some(b'`') => {
                    is_literal = false;
                    self.backquote()?;
                }
                Some(b'$') => {
                    is_literal = false;
                    self.dollar(false)?;
                }
                Some(b'<' | b'>') if self.at == start && self.byte(1) == Some(b'(') && self.shell == Shell::Bash => {
                    is_literal = false;
                    self.at += 2;
                    self.substituted()?;
                }
                Some(byte) if is_meta(byte) => break,
                Some(_) => self.at += 1,
            }
        }
        let literal = is_literal.then(|| &self.text[start..self.at]);
        Ok(Word { start, end: self.at, literal })
    }

    fn single(&mut self) -> Result<(), Untraced> {
        let open = self.at;
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            self.at += 1;
            if byte == b'\'' {
                return Ok(());
            }
        }
        self.at = open;
        self.refuse("a quote is not closed")
    }

    /// `$'…'` of bash.
    fn escaped(&mut self) -> Result<(), Untraced> {
        self.at += 2;
        while let Some(byte) = self.byte(0) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'\'' {
                return Ok(());
            }
        }
        self.refuse("a quote is not closed")
    }

    fn double(&mut self) -> Result<(), Untraced> {
        let open = self.at;
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.at += 2,
                b'$' => self.dollar(true)?,
                b'`' => self.backquote()?,
                _ => self.at += 1,
            }
        }
        self.at = open.min(self.text.len());
        self.refuse("a double quote is not closed")
    }

    fn backquote(&mut self) -> Result<(), Untraced> {
        let open = self.at;
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'`' {
                self.at = self.at.min(self.text.len());
                return Ok(());
            }
        }
        self.at = open;
        self.refuse("a backquote is not closed")
    }

    /// An expansion, or a lone `$`.
    fn dollar(&mut self, in_quotes: bool) -> Result<(), Untraced> {
        match self.byte(1) {
            Some(b'(') if self.byte(2) == Some(b'(') => {
                self.at += 3;
                self.arithmetic()
            }
            Some(b'(') => {
                self.at += 2;
                self.substituted()
            }
            Some(b'{') => {
                self.at += 2;
                self.deeper(|scan| scan.braces(in_quotes))
            }
            Some(b'[') if self.shell == Shell::Bash => self.refuse("`$[` is not understood"),
            Some(b'\'') if self.shell == Shell::Bash && !in_quotes => self.escaped(),
            Some(b'#' | b'?' | b'$' | b'!' | b'-' | b'@' | b'*') => {
                self.at += 2;
                Ok(())
            }
            _ => {
                self.at += 1;
                Ok(())
            }
        }
    }

    /// The rest of `${…}`.
    fn braces(&mut self, in_quotes: bool) -> Result<(), Untraced> {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.at += 2,
                b'"' => self.double()?,
                b'\'' if in_quotes => self.doubtful()?,
                b'\'' => self.single()?,
                b'$' => self.dollar(in_quotes)?,
                b'`' => self.backquote()?,
                _ => self.at += 1,
            }
        }
        self.refuse("a `${` is not closed")
    }

    /// A single quote in a quoted `${…}`: shells disagree on whether it quotes, so what it encloses must be plain.
    fn doubtful(&mut self) -> Result<(), Untraced> {
        let rest = &self.text[self.at + 1..];
        let special = |&byte: &u8| matches!(byte, b'\'' | b'}' | b'"' | b'\\' | b'$' | b'`' | b'\n');
        match rest.iter().position(special) {
            Some(end) if rest[end] == b'\'' => {
                self.at += end + 2;
                Ok(())
            }
            _ => self.refuse("a single quote in a quoted `${…}`"),
        }
    }

    /// The rest of `$((…))` or `((…))`.
    pub(super) fn arithmetic(&mut self) -> Result<(), Untraced> {
        let mut depth = 0_u32;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b')' if self.byte(1) == Some(b')') => {
                    self.at += 2;
                    return Ok(());
                }
                b')' => return self.refuse("`((` is not arithmetic"),
                b'\\' => self.at += 1,
                b'\'' => return self.refuse("a quote in arithmetic"),
                b'"' => {
                    self.double()?;
                    continue;
                }
                b'$' => {
                    self.dollar(true)?;
                    continue;
                }
                b'`' => {
                    self.backquote()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.refuse("`((` is not closed")
    }

    /// The rest of `$(…)`, `<(…)` or `>(…)`.
    fn substituted(&mut self) -> Result<(), Untraced> {
        let was_outer = self.outer_pending;
        self.outer_pending |= !self.pending.is_empty();
        let outer = std::mem::take(&mut self.pending);
        self.opaque += 1;
        self.deeper(|scan| scan.list().map(drop))?;
        self.opaque -= 1;
        if self.byte(0) != Some(b')') || !self.pending.is_empty() {
            return self.refuse("a command substitution is not understood");
        }
        self.at += 1;
        (self.pending, self.outer_pending) = (outer, was_outer);
        Ok(())
    }

    /// `name=(…)` of bash; stands at the parenthesis.
    pub(super) fn array(&mut self) -> Result<(), Untraced> {
        self.at += 1;
        loop {
            self.newlines()?;
            if self.byte(0) == Some(b')') {
                self.at += 1;
                return Ok(());
            }
            let word = self.word()?;
            if word.start == word.end {
                return self.refuse("an array is not understood");
            }
        }
    }

    /// `[[ … ]]` of bash; stands behind the first bracket pair.
    pub(super) fn double_brackets(&mut self) -> Result<(), Untraced> {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\\' => self.at += 2,
                b'\'' => self.single()?,
                b'"' => self.double()?,
                b'$' => self.dollar(false)?,
                b'`' => self.backquote()?,
                b']' if self.looks_at("]]") && self.text[self.at - 1].is_ascii_whitespace() => {
                    self.at += 2;
                    return match self.byte(0) {
                        Some(byte) if !is_meta(byte) => self.refuse("`[[` is not understood"),
                        _ => Ok(()),
                    };
                }
                _ => self.at += 1,
            }
        }
        self.refuse("`[[` is not closed")
    }
}
