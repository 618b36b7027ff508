//! One instruction: its keyword, its flags, its arguments.

use super::lines::Logical;
use super::{Reason, Refusal, shorten};

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub keyword: Keyword,
    /// Its flags in order: `--from=build`.
    pub flags: Vec<Flag>,
    /// What follows the flags.
    pub arguments: Arguments,
    /// Its here-documents in order.
    pub heredocs: Vec<Heredoc>,
    /// The first line, from 1.
    pub line: usize,
    /// For text arguments: an offset in them, and the line that stands there. In order; the first is at 0.
    pub(super) starts: Vec<(usize, usize)>,
}

impl Instruction {
    /// Returns the value of a flag by its name without hyphens, the first if there are several.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|flag| flag.name == name).map(|flag| flag.value.as_str())
    }

    /// Returns the last line of its text; its here-documents stand below.
    pub fn last_line(&self) -> usize {
        self.starts.last().map_or(self.line, |&(_, line)| line.max(self.line))
    }

    /// Returns the line of an offset in the text arguments.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        let index = self.starts.partition_point(|&(start, _)| start <= offset);
        self.starts.get(index.wrapping_sub(1)).map_or(self.line, |&(_, line)| line)
    }
}

/// A flag of an instruction: `--mount=type=cache,target=/root/.cache`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// `mount`
    pub name: String,
    /// What follows the `=`; empty if there is none.
    pub value: String,
}

/// The arguments of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// A JSON list of texts: `["/bin/app", "serve"]`.
    List(Vec<String>),
    /// Anything else, as it stands.
    Text(String),
}

impl Arguments {
    /// Returns the members of the list, or the words of the text.
    pub fn words(&self) -> Vec<&str> {
        match self {
            Arguments::List(list) => list.iter().map(String::as_str).collect(),
            Arguments::Text(text) => text.split_whitespace().collect(),
        }
    }
}

/// A here-document of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// `EOF`
    pub name: String,
    /// Its lines, each with a line feed; without the tabs that `<<-` takes off.
    pub content: String,
    /// The line of its first line, from 1.
    pub line: usize,
}

/// The instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named by the word that stands in the file")]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

const KEYWORDS: [(Keyword, &str); 18] = [
    (Keyword::Add, "ADD"),
    (Keyword::Arg, "ARG"),
    (Keyword::Cmd, "CMD"),
    (Keyword::Copy, "COPY"),
    (Keyword::Entrypoint, "ENTRYPOINT"),
    (Keyword::Env, "ENV"),
    (Keyword::Expose, "EXPOSE"),
    (Keyword::From, "FROM"),
    (Keyword::Healthcheck, "HEALTHCHECK"),
    (Keyword::Label, "LABEL"),
    (Keyword::Maintainer, "MAINTAINER"),
    (Keyword::Onbuild, "ONBUILD"),
    (Keyword::Run, "RUN"),
    (Keyword::Shell, "SHELL"),
    (Keyword::Stopsignal, "STOPSIGNAL"),
    (Keyword::User, "USER"),
    (Keyword::Volume, "VOLUME"),
    (Keyword::Workdir, "WORKDIR"),
];

impl Keyword {
    /// Returns the word as it usually stands: `FROM`.
    pub fn as_str(self) -> &'static str {
        KEYWORDS.iter().find(|(keyword, _)| *keyword == self).map_or("", |(_, word)| word)
    }

    fn parse(word: &str) -> Option<Keyword> {
        KEYWORDS.iter().find(|(_, known)| known.eq_ignore_ascii_case(word)).map(|(keyword, _)| *keyword)
    }

    /// Whether words that begin with `--` right behind it are flags.
    fn has_flags(self) -> bool {
        matches!(self, Keyword::Add | Keyword::Copy | Keyword::From | Keyword::Healthcheck | Keyword::Run)
    }

    /// Whether its arguments may be a JSON list.
    fn has_list(self) -> bool {
        matches!(
            self,
            Keyword::Add
                | Keyword::Cmd
                | Keyword::Copy
                | Keyword::Entrypoint
                | Keyword::Run
                | Keyword::Shell
                | Keyword::Volume
        )
    }
}

pub(super) fn of(logical: &Logical) -> Result<Instruction, Refusal> {
    let text = logical.text.as_str();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let keyword = Keyword::parse(&text[..end]).ok_or((logical.line, Reason::Keyword(shorten(&text[..end]))))?;
    let mut rest = text[end..].trim_start();
    let mut flags = Vec::new();
    while keyword.has_flags() && rest.starts_with("--") {
        let (word, after) = flag_word(rest);
        rest = after.trim_start();
        if word == "--" {
            break;
        }
        let (name, value) = word[2..].split_once('=').unwrap_or((&word[2..], ""));
        flags.push(Flag { name: name.to_owned(), value: value.to_owned() });
    }
    if rest.is_empty() && logical.heredocs.is_empty() {
        let (found, expected) = (shorten(text), "something behind it");
        return Err((logical.line, Reason::Arguments { keyword: keyword.as_str(), found, expected }));
    }
    let offset = text.len() - rest.len();
    let starts: Vec<(usize, usize)> =
        logical.starts.iter().map(|&(start, line)| (start.saturating_sub(offset), line)).collect();
    // As in BuildKit, what follows the list is not looked at.
    let list = || serde_json::Deserializer::from_str(rest).into_iter::<Vec<String>>().next()?.ok();
    let list = if keyword.has_list() && rest.starts_with('[') { list() } else { None };
    Ok(Instruction {
        keyword,
        flags,
        arguments: list.map_or_else(|| Arguments::Text(rest.to_owned()), Arguments::List),
        heredocs: logical.heredocs.clone(),
        line: logical.line,
        starts,
    })
}

/// Splits off a flag; its value may be quoted, and the quotes are taken off. Here BuildKit takes a backslash whatever
/// `# escape=` says.
fn flag_word(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => return (word, &text[at..]),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (_, '\\') => word.extend(chars.next().map(|(_, next)| next)),
            (_, c) => word.push(c),
        }
    }
    (word, "")
}
