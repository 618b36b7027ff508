//! `go.mod`: what a module requires, and what stands in for it.

use super::Input;
use crate::lock_file::PACKAGES_MAX;
use crate::lock_file::document::text_of;
use crate::lock_file::finding::{LockFileError, Position, Reason, Refusal, shorten};

/// A `go.mod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoMod {
    /// The module's path.
    pub module: String,
    /// Where that stands.
    pub at: Position,
    /// The version of the language, `1.22`; since Go 1.21 also the oldest toolchain that will do.
    pub go: Option<String>,
    /// The toolchain that is asked for: `go1.22.3`. The `go` command would fetch it.
    pub toolchain: Option<String>,
    /// What it requires, in the file's order. From `go 1.17` on that is all that a build takes.
    pub requires: Vec<Require>,
    /// What stands in for what.
    pub replaces: Vec<Replace>,
    /// Packages of commands that the module uses for its own building.
    pub tools: Vec<String>,
}

/// A line of `require`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The module.
    pub path: String,
    /// The lowest version that will do.
    pub version: String,
    /// Whether no package of the module itself imports it: `// indirect`.
    pub indirect: bool,
    /// Where it stands.
    pub at: Position,
}

/// A line of `replace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The module that is replaced.
    pub path: String,
    /// The version that is replaced; `None`: each.
    pub version: Option<String>,
    /// What stands in.
    pub with: Replacement,
    /// Where it stands.
    pub at: Position,
}

/// What stands in for a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// A directory, relative to the `go.mod` or absolute.
    Path(String),
    /// Another module or version.
    Module {
        /// Its path.
        path: String,
        /// Its version.
        version: String,
    },
}

impl GoMod {
    /// Returns what stands in for a version of a module; a line for the version goes before one for each.
    pub fn replacement(&self, path: &str, version: &str) -> Option<&Replacement> {
        let of_path = || self.replaces.iter().filter(|replace| replace.path == path);
        let exact = of_path().find(|replace| replace.version.as_deref() == Some(version));
        exact.or_else(|| of_path().find(|replace| replace.version.is_none())).map(|replace| &replace.with)
    }
}

pub(super) fn parse(input: Input<'_>) -> Result<GoMod, LockFileError> {
    read(input.bytes).map_err(|refusal| refusal.in_file(input.file))
}

fn read(bytes: &[u8]) -> Result<GoMod, Refusal> {
    let text = text_of(bytes)?;
    let mut out = GoMod {
        module: String::new(),
        at: Position::START,
        go: None,
        toolchain: None,
        requires: Vec::new(),
        replaces: Vec::new(),
        tools: Vec::new(),
    };
    let mut block: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.len() > LINE_BYTES_MAX {
            let at = Position { line: number, column: 1 };
            return Err(Refusal::new(at, Reason::TooMany { what: "bytes in a line", max: LINE_BYTES_MAX }));
        }
        let (words, comment) = words(line, number)?;
        let Some(first) = words.first() else { continue };
        match (&block, &words[..]) {
            (None, [verb, open]) if open.text == "(" => block = Some(verb.text.clone()),
            (None, [verb, rest @ ..]) => directive(&mut out, verb.at, &verb.text, rest, comment)?,
            (Some(_), [close]) if close.text == ")" => block = None,
            (Some(verb), rest) => directive(&mut out, first.at, verb, rest, comment)?,
            (None, []) => {}
        }
    }
    if block.is_some() {
        let at = Position { line: text.lines().count(), column: 1 };
        return Err(Refusal::new(at, Reason::Syntax("a block is not closed".to_owned())));
    }
    if out.module.is_empty() {
        return Err(Refusal::new(Position::START, Reason::Missing("module")));
    }
    Ok(out)
}

fn directive(out: &mut GoMod, at: Position, verb: &str, words: &[Word], comment: &str) -> Result<(), Refusal> {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let at = if verb == "require" { words.first().map_or(at, |word| word.at) } else { at };
    match (verb, &texts[..]) {
        ("module", [path]) if out.module.is_empty() => {
            (out.module, out.at) = ((*path).to_owned(), at);
        }
        ("go", [version]) if out.go.is_none() => out.go = Some((*version).to_owned()),
        ("toolchain", [name]) if out.toolchain.is_none() => out.toolchain = Some((*name).to_owned()),
        ("require", [path, version]) => {
            if out.requires.len() == PACKAGES_MAX {
                return Err(Refusal::new(at, Reason::TooMany { what: "requirements", max: PACKAGES_MAX }));
            }
            let indirect = comment == "indirect" || comment.starts_with("indirect;");
            out.requires.push(Require { path: (*path).to_owned(), version: (*version).to_owned(), indirect, at });
        }
        ("replace", _) => {
            if out.replaces.len() == REPLACES_MAX {
                return Err(Refusal::new(at, Reason::TooMany { what: "replacements", max: REPLACES_MAX }));
            }
            let replace = replace(at, &texts);
            out.replaces.push(replace.ok_or_else(|| unknown(at, verb, &texts))?);
        }
        ("tool", [path]) => out.tools.push((*path).to_owned()),
        ("exclude", [_, _]) | ("godebug" | "ignore", [_, ..]) | ("retract", [_, ..]) => {}
        _ => return Err(unknown(at, verb, &texts)),
    }
    Ok(())
}

/// The longest line: two module paths and versions, and a comment.
const LINE_BYTES_MAX: usize = 4096;

/// How many lines of `replace` a file may have: each is looked at for each requirement.
const REPLACES_MAX: usize = 2000;

/// Reads `PATH [VERSION] => PATH [VERSION]`; a directory begins with `./`, `../` or `/`.
pub(super) fn replace(at: Position, words: &[&str]) -> Option<Replace> {
    let arrow = words.iter().position(|word| *word == "=>")?;
    let (path, version) = match words[..arrow] {
        [path] => (path, None),
        [path, version] => (path, Some(version.to_owned())),
        _ => return None,
    };
    let with = match words[arrow + 1..] {
        [path] if is_directory(path) => Replacement::Path(path.to_owned()),
        [path, version] => Replacement::Module { path: path.to_owned(), version: version.to_owned() },
        _ => return None,
    };
    Some(Replace { path: path.to_owned(), version, with, at })
}

fn is_directory(path: &str) -> bool {
    path == "." || path == ".." || ["/", "./", "../"].iter().any(|start| path.starts_with(start))
}

fn unknown(at: Position, verb: &str, words: &[&str]) -> Refusal {
    let line = format!("{verb} {}", words.join(" "));
    Refusal::new(at, Reason::Syntax(format!("`{}` is no line of a go.mod", shorten(&line))))
}

struct Word {
    at: Position,
    text: String,
}

/// Splits a line into words and the text of its comment; words may be quoted.
fn words(line: &str, number: usize) -> Result<(Vec<Word>, &str), Refusal> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let column = line[..line.len() - rest.len()].chars().count() + 1;
        let at = Position { line: number, column };
        let Some(first) = rest.chars().next() else { return Ok((words, "")) };
        if let Some(comment) = rest.strip_prefix("//") {
            return Ok((words, comment.trim()));
        }
        let (text, length) = match first {
            '(' | ')' | '[' | ']' | ',' => (&rest[..1], 1),
            '"' | '`' => {
                let end = rest[1..].find(first);
                let end = end.ok_or_else(|| Refusal::new(at, Reason::Syntax("a quote is not closed".to_owned())))?;
                (&rest[1..=end], end + 2)
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | ',' | '"' | '`');
                let end = rest.find(ends).unwrap_or(rest.len());
                let end = rest.find("//").map_or(end, |comment| end.min(comment));
                (&rest[..end], end)
            }
        };
        if text.contains('\\') && first == '"' {
            return Err(Refusal::new(at, Reason::Syntax("a quoted word holds a backslash".to_owned())));
        }
        words.push(Word { at, text: text.to_owned() });
        rest = &rest[length..];
    }
}
