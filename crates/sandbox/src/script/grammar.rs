//! Commands of a script: where a mark can be put so that nothing but the mark changes.
//!
//! Reference: POSIX.1-2024, Shell Command Language, 2.10; and bash 5.2's `[[`, `((`, `function`, `select`, arrays. It is no checker: a script
//! that a shell refuses may pass here (and is then refused by the shell all the same), but one that a shell reads differently must not.

mod compound;

use super::words::{Word, is_name};
use super::{Branch, How, Place, Shell, Untraced};

/// Lists within lists; deeper ones are refused.
const DEPTH_MAX: u32 = 100;
/// Places of one script; a larger one is refused.
const POINTS_MAX: usize = 200_000;
/// Bytes of a statement's text that are kept.
const TEXT_BYTES_MAX: usize = 160;
/// Variables whose values are kept at one place.
const NAMES_MAX: usize = 8;
/// Beginnings of names whose value changes by being looked at, or by the mark itself.
const UNSTEADY: [&str; 12] = [
    "BASH",
    "RANDOM",
    "SRANDOM",
    "SECONDS",
    "EPOCH",
    "LINENO",
    "HISTCMD",
    "COMP_",
    "DIRSTACK",
    "FUNCNAME",
    "GROUPS",
    "PIPESTATUS",
];

/// What is inserted at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Before a statement: the exit status stays what it is.
    Before,
    /// A list of its own, of status 0.
    Empty,
    /// Between `&&` and what follows.
    And,
    /// Between `||` and what follows.
    Or,
    /// An `else` before `fi`.
    Else,
    /// A last `*)` before `esac`; true if the item before it has no `;;` yet.
    NoMatch(bool),
}

/// Where something is inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: usize,
    pub(super) form: Form,
    pub(super) place: Place,
    /// Whether it stands before a plain `.` or `source`: the next file that the shell opens is a script.
    pub(super) sources: bool,
}

/// What must be known of a script beside its points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// It prints functions as they are written, or may.
    pub(super) shows_functions: bool,
    /// It reads other scripts.
    pub(super) sources: bool,
    /// A part of it is not marked: a command substitution, a function that is shown.
    pub(super) has_hidden: bool,
}

/// A script being read.
pub(super) struct Scan<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) shell: Shell,
    pub(super) pending: Vec<super::words::Pending>,
    /// Whether a here-document is open around the command substitution that is read.
    pub(super) outer_pending: bool,
    /// More than 0 where nothing is marked.
    pub(super) opaque: u32,
    pub(super) points: Vec<Point>,
    pub(super) habits: Habits,
    hides_functions: bool,
    /// Whether it is the argument of `-c`.
    is_argument: bool,
    depth: u32,
    /// Up to here lines are counted.
    counted: (usize, u32),
}

/// What a list was.
pub(super) struct List {
    statements: usize,
    last: Kind,
}

impl List {
    /// Whether a shell may run it without a process of its own for its last command.
    fn is_single(&self) -> bool {
        self.statements == 1 && self.last == Kind::Simple
    }
}

/// What a command was, as far as others must know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Simple,
    Compound,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a [u8], shell: Shell, is_argument: bool, hides_functions: bool) -> Self {
        Self {
            text,
            at: 0,
            shell,
            pending: Vec::new(),
            outer_pending: false,
            opaque: 0,
            points: Vec::new(),
            habits: Habits::default(),
            hides_functions,
            is_argument,
            depth: 0,
            counted: (0, 1),
        }
    }

    /// Reads the whole script.
    pub(super) fn script(&mut self) -> Result<(), Untraced> {
        let first = self.points.len();
        let list = self.list()?;
        if self.at < self.text.len() {
            return self.refuse("something closes that was not opened");
        }
        if !self.pending.is_empty() {
            return self.refuse("a here-document has no end");
        }
        if self.is_argument && list.is_single() {
            self.spare_single(first);
        }
        Ok(())
    }

    pub(super) fn refuse<T>(&self, why: &str) -> Result<T, Untraced> {
        let before = &self.text[..self.at.min(self.text.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Err(Untraced(format!("line {line}: {why}")))
    }

    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Untraced>) -> Result<T, Untraced> {
        if self.depth >= DEPTH_MAX {
            return self.refuse("commands are nested too deeply");
        }
        self.depth += 1;
        let result = parse(self)?;
        self.depth -= 1;
        Ok(result)
    }

    /// Reads statements up to a word or sign that ends the list.
    pub(super) fn list(&mut self) -> Result<List, Untraced> {
        self.marked(None)
    }

    /// A list whose first statement says that it was entered.
    fn marked(&mut self, mut branch: Option<Branch>) -> Result<List, Untraced> {
        let mut list = List { statements: 0, last: Kind::Simple };
        loop {
            self.newlines()?;
            if self.ends_list() {
                return Ok(list);
            }
            list.last = self.and_or(branch.take())?;
            list.statements += 1;
            self.blanks();
            match self.byte(0) {
                Some(b';') if !matches!(self.byte(1), Some(b';' | b'&')) => self.at += 1,
                Some(b'&') => self.at += 1,
                Some(b'\n') => {}
                _ if self.ends_list() => return Ok(list),
                _ => return self.refuse("a command is not understood"),
            }
        }
    }

    /// Whether a list ends here; at the start of a command.
    fn ends_list(&self) -> bool {
        match self.byte(0) {
            None | Some(b')') => true,
            Some(b';') => matches!(self.byte(1), Some(b';' | b'&')),
            _ => ["then", "else", "elif", "fi", "do", "done", "esac", "}"].iter().any(|word| self.is_keyword(word)),
        }
    }

    fn is_keyword(&self, word: &str) -> bool {
        let is_end = |byte: Option<u8>| {
            byte.is_none_or(|byte| {
                matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
            })
        };
        self.looks_at(word) && is_end(self.byte(word.len()))
    }

    fn keyword(&mut self, word: &str) -> Result<(), Untraced> {
        if !self.is_keyword(word) {
            return self.refuse(&format!("`{word}` is missing"));
        }
        self.at += word.len();
        Ok(())
    }

    fn line(&mut self, at: usize) -> u32 {
        let (from, line) = if at >= self.counted.0 { self.counted } else { (0, 1) };
        let more = self.text[from..at].iter().filter(|&&byte| byte == b'\n').count() as u32;
        self.counted = (at, line + more);
        line + more
    }

    /// Puts a point here; returns its number, or none where nothing is marked.
    fn point(&mut self, form: Form, branch: Option<Branch>) -> Result<Option<usize>, Untraced> {
        if self.opaque > 0 {
            self.habits.has_hidden = true;
            return Ok(None);
        }
        if self.points.len() >= POINTS_MAX {
            return self.refuse("it has too many commands");
        }
        let place = Place { line: self.line(self.at), text: String::new(), decides: false, names: Vec::new(), branch };
        self.points.push(Point { at: self.at, form, place, sources: false });
        Ok(Some(self.points.len() - 1))
    }

    /// Gives a point its text, and the variables in it if their values are to be noted.
    fn describe(&mut self, point: Option<usize>, head: &str, from: usize, notes: bool) {
        let Some(point) = point.and_then(|point| self.points.get_mut(point)) else { return };
        let place = &mut point.place;
        let bytes = self.text[from..self.at].trim_ascii();
        let bytes = bytes.strip_suffix(b";").unwrap_or(bytes).trim_ascii_end();
        point.sources = (bytes.starts_with(b". ") || bytes.starts_with(b"source "))
            && !bytes.windows(2).any(|pair| pair == b"$(" || pair == b"<(")
            && !bytes.iter().any(|byte| matches!(byte, b'`' | b'<' | b'>' | b'|'));
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        let cut = &line[..line.len().min(TEXT_BYTES_MAX)];
        let more = if cut.len() < bytes.len() { "…" } else { "" };
        place.text = format!("{head}{}{more}", String::from_utf8_lossy(cut));
        if notes {
            names(bytes, &mut place.names);
        }
    }

    /// Says of a point that a branch follows from it.
    fn decide(&mut self, point: Option<usize>) {
        if let Some(point) = point.and_then(|point| self.points.get_mut(point)) {
            point.place.decides = true;
        }
    }

    fn and_or(&mut self, branch: Option<Branch>) -> Result<Kind, Untraced> {
        let statement = self.point(Form::Before, branch)?;
        let begin = self.at;
        let mut kind = self.pipeline(statement)?;
        let mut is_first = true;
        loop {
            self.blanks();
            let (form, how, head) = match () {
                () if self.looks_at("&&") => (Form::And, How::And, "&& "),
                () if self.looks_at("||") => (Form::Or, How::Or, "|| "),
                () => break,
            };
            if is_first {
                self.decide(statement);
            }
            if std::mem::take(&mut is_first) && kind == Kind::Simple {
                self.describe(statement, "", begin, true);
            }
            self.at += 2;
            self.newlines()?;
            let operand = self.point(form, Some(Branch { of: statement, how, pattern: None }))?;
            let from = self.at;
            kind = self.pipeline(None)?;
            let notes = kind == Kind::Simple || self.text[from..].starts_with(b"[[");
            self.describe(operand, head, from, notes);
        }
        if is_first && kind == Kind::Simple {
            self.describe(statement, "", begin, false);
        }
        Ok(kind)
    }

    fn pipeline(&mut self, statement: Option<usize>) -> Result<Kind, Untraced> {
        while self.is_keyword("!") || (self.shell == Shell::Bash && self.is_keyword("time")) {
            self.at += if self.byte(0) == Some(b'!') { 1 } else { 4 };
            self.blanks();
            if self.is_keyword("-p") {
                self.at += 2;
                self.blanks();
            }
        }
        let mut kind = self.deeper(|scan| scan.command(statement))?;
        loop {
            self.blanks();
            if self.byte(0) != Some(b'|') || self.byte(1) == Some(b'|') {
                return Ok(kind);
            }
            self.at += if self.byte(1) == Some(b'&') { 2 } else { 1 };
            self.newlines()?;
            kind = self.deeper(|scan| scan.command(None))?;
        }
    }

    fn command(&mut self, statement: Option<usize>) -> Result<Kind, Untraced> {
        let compound = if self.byte(0) == Some(b'(') {
            if self.shell == Shell::Bash && self.byte(1) == Some(b'(') {
                self.at += 2;
                self.arithmetic()?;
            } else {
                self.subshell()?;
            }
            true
        } else {
            self.compound(statement)?
        };
        if !compound {
            return self.simple(statement);
        }
        while self.redirection()? {}
        Ok(Kind::Compound)
    }

    fn compound(&mut self, statement: Option<usize>) -> Result<bool, Untraced> {
        let begin = self.at;
        let is_bash = self.shell == Shell::Bash;
        match () {
            () if self.is_keyword("if") => self.conditional(statement)?,
            () if self.is_keyword("while") => self.repeated("while ", statement)?,
            () if self.is_keyword("until") => self.repeated("until ", statement)?,
            () if self.is_keyword("for") || (is_bash && self.is_keyword("select")) => self.each(statement)?,
            () if self.is_keyword("case") => self.selection(statement)?,
            () if self.is_keyword("{") => {
                self.at += 1;
                self.list()?;
                self.keyword("}")?;
                self.describe_head(statement, "{", begin);
            }
            () if is_bash && self.is_keyword("[[") => {
                self.at += 2;
                self.double_brackets()?;
                self.describe(statement, "", begin, true);
            }
            () if is_bash && self.is_keyword("function") => {
                self.at += "function".len();
                self.blanks();
                let name = self.word()?;
                self.blanks();
                if self.looks_at("()") {
                    self.at += 2;
                }
                self.function(name, statement)?;
            }
            () if is_bash && self.is_keyword("coproc") => return self.refuse("`coproc` is not understood"),
            () => return Ok(false),
        }
        Ok(true)
    }

    fn describe_head(&mut self, point: Option<usize>, head: &str, from: usize) {
        let end = std::mem::replace(&mut self.at, from);
        self.describe(point, head, from, false);
        self.at = end;
    }

    fn subshell(&mut self) -> Result<(), Untraced> {
        self.at += 1;
        let first = self.points.len();
        let list = self.list()?;
        if self.byte(0) != Some(b')') {
            return self.refuse("a parenthesis is not closed");
        }
        self.at += 1;
        if list.is_single() {
            self.spare_single(first);
        }
        Ok(())
    }

    /// Takes back the mark before the only statement of a list that a shell may run without a process of its own.
    fn spare_single(&mut self, first: usize) {
        if let Some(point) = self.points.get_mut(first).filter(|point| point.form == Form::Before) {
            point.place.text.clear();
            point.place.names.clear();
            point.at = usize::MAX;
        }
    }

    /// The body of a function.
    fn function(&mut self, name: Word<'_>, statement: Option<usize>) -> Result<(), Untraced> {
        let Some(name) = name.literal.filter(|name| !name.is_empty()) else {
            return self.refuse("the name of a function is not plain");
        };
        if [&b"["[..], b"test", b":", b".", b"source"].contains(&name) {
            return self.refuse("a function takes the place of a command that marks need");
        }
        let text = format!("{}()", String::from_utf8_lossy(&name[..name.len().min(TEXT_BYTES_MAX)]));
        self.describe_head(statement, &text, self.at);
        self.newlines()?;
        let hidden = u32::from(self.hides_functions);
        self.opaque += hidden;
        let is_compound = self.byte(0) == Some(b'(') || self.compound_starts();
        if !is_compound || self.deeper(|scan| scan.command(None))? != Kind::Compound {
            return self.refuse("the body of a function is not understood");
        }
        self.opaque -= hidden;
        Ok(())
    }

    fn compound_starts(&self) -> bool {
        ["{", "if", "while", "until", "for", "case", "[[", "select"].iter().any(|word| self.is_keyword(word))
    }

    fn simple(&mut self, statement: Option<usize>) -> Result<Kind, Untraced> {
        let mut name: Option<Word<'a>> = None;
        let mut arguments: Vec<Word<'a>> = Vec::new();
        let begin = self.at;
        loop {
            self.blanks();
            if self.redirection()? {
                continue;
            }
            let word = self.word()?;
            if word.start == word.end {
                break;
            }
            if self.byte(0) == Some(b'(') {
                let is_array = self.shell == Shell::Bash && self.text[word.start..word.end].ends_with(b"=");
                if is_array {
                    self.array()?;
                    continue;
                }
            }
            match name {
                None if is_assignment(&self.text[word.start..word.end]) => {}
                None => {
                    name = Some(word);
                    if self.is_function()? {
                        self.function(word, statement)?;
                        return Ok(Kind::Compound);
                    }
                }
                Some(_) => arguments.push(word),
            }
        }
        if begin == self.at || (self.byte(0) == Some(b'(')) {
            return self.refuse("a command is not understood");
        }
        if let Some(name) = name {
            self.judge(name, &arguments)?;
        }
        Ok(Kind::Simple)
    }

    /// Passes over `()` behind a name.
    fn is_function(&mut self) -> Result<bool, Untraced> {
        let after = self.at;
        self.blanks();
        if self.byte(0) != Some(b'(') {
            self.at = after;
            return Ok(false);
        }
        self.at += 1;
        self.blanks();
        if self.byte(0) != Some(b')') {
            return self.refuse("a parenthesis is not understood");
        }
        self.at += 1;
        Ok(true)
    }

    /// Looks for commands that would show the marks, or change how they are read.
    fn judge(&mut self, name: Word<'a>, arguments: &[Word<'a>]) -> Result<(), Untraced> {
        let first = arguments.first();
        let literal = first.and_then(|word| word.literal);
        match name.literal.unwrap_or_default() {
            // `alias -g` is zsh's; both shells refuse it.
            b"alias" if literal != Some(b"-g") => self.refuse("it defines aliases"),
            b"jobs" | b"fg" | b"bg" => self.refuse("it prints commands of jobs as they are written"),
            b"enable" => self.refuse("`enable` may take the commands away that marks need"),
            b"set" => match first {
                None => {
                    self.habits.shows_functions = true;
                    Ok(())
                }
                Some(word) if word.literal.is_none() && self.may_be_option(word) => {
                    self.refuse("`set` with options that are computed")
                }
                Some(_) => Ok(()),
            },
            b"declare" | b"typeset" | b"type" => {
                self.habits.shows_functions = true;
                Ok(())
            }
            b"." | b"source" => {
                self.habits.sources = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn may_be_option(&self, word: &Word<'_>) -> bool {
        let raw = &self.text[word.start..word.end];
        let bare = raw.iter().find(|&&byte| byte != b'"' && byte != b'\'');
        matches!(bare, Some(b'$' | b'`' | b'-' | b'+' | b'\\'))
    }

    /// Passes over one redirection, if one is here.
    fn redirection(&mut self) -> Result<bool, Untraced> {
        self.blanks();
        let begin = self.at;
        if self.byte(0) == Some(b'{') && self.shell == Shell::Bash {
            let name = self.text[begin + 1..].iter().take_while(|&&byte| is_name(byte)).count();
            let rest = &self.text[begin + 1 + name..];
            if name > 0 && rest.first() == Some(&b'}') && matches!(rest.get(1), Some(b'<' | b'>')) {
                self.at += name + 2;
            }
        }
        while self.byte(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let is_both = self.shell == Shell::Bash && self.at == begin && self.looks_at("&>");
        let is_process = self.shell == Shell::Bash && (self.looks_at("<(") || self.looks_at(">("));
        if !is_both && (!matches!(self.byte(0), Some(b'<' | b'>')) || (is_process && self.at == begin)) {
            self.at = begin;
            return Ok(false);
        }
        if self.looks_at("<<") && !(self.shell == Shell::Bash && self.looks_at("<<<")) {
            let strips = self.looks_at("<<-");
            self.at += if strips { 3 } else { 2 };
            self.here_document(strips)?;
            return Ok(true);
        }
        let operators = ["&>>", "<<<", "&>", ">>", "<&", ">&", "<>", ">|", "<", ">"];
        self.at += operators.iter().find(|operator| self.looks_at(operator)).map_or(1, |operator| operator.len());
        self.blanks();
        let word = self.word()?;
        if word.start == word.end {
            return self.refuse("a redirection is not understood");
        }
        Ok(true)
    }
}

fn is_assignment(word: &[u8]) -> bool {
    let name = word.iter().take_while(|&&byte| is_name(byte)).count();
    let rest = &word[name..];
    let plain = rest.starts_with(b"=") || rest.starts_with(b"+=");
    name > 0 && !word[0].is_ascii_digit() && (plain || (rest.starts_with(b"[") && rest.contains(&b'=')))
}

fn is_steady(name: &str) -> bool {
    name != "_" && !UNSTEADY.iter().any(|start| name.starts_with(start))
}

/// Collects the variables that a text expands, each once.
fn names(text: &[u8], names: &mut Vec<String>) {
    let mut rest = text;
    while let Some(dollar) = rest.iter().position(|&byte| byte == b'$' || byte == b'\'' || byte == b'\\') {
        let sign = rest[dollar];
        rest = &rest[dollar + 1..];
        match sign {
            b'\\' => rest = rest.get(1..).unwrap_or_default(),
            // A quote that hides a dollar; an apostrophe between double quotes at worst hides a value.
            b'\'' => {
                let end = rest.iter().position(|&byte| byte == b'\'').map_or(rest.len(), |end| end + 1);
                rest = &rest[end..];
            }
            _ => {
                let bare = rest.strip_prefix(b"{").unwrap_or(rest);
                let mut length = bare.iter().take_while(|&&byte| is_name(byte)).count();
                if bare.first().is_some_and(u8::is_ascii_digit) {
                    length = if bare.len() == rest.len() {
                        1
                    } else {
                        bare.iter().take_while(|b| b.is_ascii_digit()).count()
                    };
                }
                let name = String::from_utf8_lossy(&bare[..length]).into_owned();
                if length > 0 && names.len() < NAMES_MAX && is_steady(&name) && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
}
