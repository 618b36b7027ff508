//! `if`, `while`, `until`, `for`, `select` and `case`: where their branches begin.

use super::super::words::is_name;
use super::super::{Branch, How, Shell, Untraced};
use super::{Form, Scan, TEXT_BYTES_MAX, is_steady};

impl Scan<'_> {
    pub(super) fn conditional(&mut self, statement: Option<usize>) -> Result<(), Untraced> {
        self.at += 2;
        self.condition("if ", statement, None)?;
        let mut decided = statement;
        loop {
            self.keyword("then")?;
            self.branch(decided, How::Then)?;
            if self.is_keyword("elif") {
                self.at += 4;
                decided = self.condition("elif ", None, Some(Branch { of: decided, how: How::Else, pattern: None }))?;
            } else {
                break;
            }
        }
        if self.is_keyword("else") {
            self.at += 4;
            self.branch(decided, How::Else)?;
        } else {
            self.point(Form::Else, Some(Branch { of: decided, how: How::Else, pattern: None }))?;
        }
        self.keyword("fi")
    }

    /// A list that decides; its first statement is marked here if nothing before it is.
    fn condition(
        &mut self,
        head: &str,
        marked: Option<usize>,
        branch: Option<Branch>,
    ) -> Result<Option<usize>, Untraced> {
        self.newlines()?;
        let (from, first) = (self.at, self.points.len());
        let list = self.marked(branch)?;
        if list.statements == 0 {
            return self.refuse("a condition is missing");
        }
        let first = (self.points.len() > first).then_some(first);
        let decides = if marked.is_some() {
            // The mark before the whole command has told all: the one within is taken back.
            first.into_iter().for_each(|first| self.spare_single(first));
            marked
        } else {
            first
        };
        self.describe(decides, head, from, true);
        self.decide(decides);
        Ok(decides)
    }

    fn branch(&mut self, of: Option<usize>, how: How) -> Result<(), Untraced> {
        if self.marked(Some(Branch { of, how, pattern: None }))?.statements == 0 {
            return self.refuse("a list is empty");
        }
        Ok(())
    }

    pub(super) fn repeated(&mut self, head: &str, statement: Option<usize>) -> Result<(), Untraced> {
        self.at += 5;
        let from = self.at;
        let decided = self.condition(head, None, None)?;
        self.keyword("do")?;
        self.describe_head(statement, head.trim_end(), from);
        self.branch(decided, How::Body)?;
        self.keyword("done")
    }

    pub(super) fn each(&mut self, statement: Option<usize>) -> Result<(), Untraced> {
        let begin = self.at;
        self.at += if self.is_keyword("for") { 3 } else { 6 };
        self.blanks();
        let mut variable = None;
        if self.shell == Shell::Bash && self.looks_at("((") {
            self.at += 2;
            self.arithmetic()?;
        } else {
            let name = self.word()?;
            let Some(literal) = name.literal.filter(|name| !name.is_empty() && name.iter().all(|&b| is_name(b))) else {
                return self.refuse("the variable of `for` is not plain");
            };
            variable = Some(String::from_utf8_lossy(literal).into_owned());
            self.newlines()?;
            if self.is_keyword("in") {
                self.at += 2;
                self.words()?;
            }
        }
        self.describe(statement, "", begin, false);
        self.blanks();
        if self.byte(0) == Some(b';') {
            self.at += 1;
        }
        self.newlines()?;
        self.keyword("do")?;
        let first = self.points.len();
        self.branch(statement, How::Body)?;
        if let (Some(point), Some(variable)) = (self.points.get_mut(first), variable) {
            let is_new = !point.place.names.contains(&variable) && is_steady(&variable);
            point.place.names.extend(is_new.then_some(variable));
        }
        self.keyword("done")
    }

    fn words(&mut self) -> Result<(), Untraced> {
        loop {
            self.blanks();
            let word = self.word()?;
            if word.start == word.end {
                return Ok(());
            }
        }
    }

    pub(super) fn selection(&mut self, statement: Option<usize>) -> Result<(), Untraced> {
        let begin = self.at;
        self.at += 4;
        self.blanks();
        self.word()?;
        self.describe(statement, "", begin, true);
        self.decide(statement);
        self.newlines()?;
        self.keyword("in")?;
        let (mut falls, mut is_open, mut has_default) = (false, false, false);
        loop {
            self.newlines()?;
            if self.is_keyword("esac") {
                break;
            }
            if is_open {
                return self.refuse("an item of `case` is not understood");
            }
            let pattern = self.patterns()?;
            has_default |= pattern == "*";
            let after = self.at;
            let branch = Branch { of: statement, how: How::Item, pattern: Some(pattern) };
            if self.marked(Some(branch.clone()))?.statements == 0 {
                let end = std::mem::replace(&mut self.at, after);
                self.point(Form::Empty, Some(branch))?;
                self.at = end;
            }
            is_open = !self.looks_at(";");
            let length = [";;&", ";&", ";;"].iter().find(|end| self.looks_at(end)).map_or(0, |end| end.len());
            falls |= length > 0 && !(length == 2 && self.looks_at(";;"));
            self.at += length;
        }
        if !falls && !has_default {
            self.point(Form::NoMatch(is_open), Some(Branch { of: statement, how: How::NoMatch, pattern: None }))?;
        }
        self.keyword("esac")
    }

    fn patterns(&mut self) -> Result<String, Untraced> {
        if self.byte(0) == Some(b'(') {
            self.at += 1;
        }
        let begin = self.at;
        loop {
            self.blanks();
            let word = self.word()?;
            self.blanks();
            if word.start == word.end {
                return self.refuse("a pattern is not understood");
            }
            let end = self.at;
            self.at += 1;
            match self.text.get(end) {
                Some(b'|') => {}
                Some(b')') => {
                    let raw = self.text[begin..end].trim_ascii();
                    let cut = &raw[..raw.len().min(TEXT_BYTES_MAX)];
                    return Ok(String::from_utf8_lossy(cut).into_owned());
                }
                _ => return self.refuse("a pattern is not understood"),
            }
        }
    }
}
