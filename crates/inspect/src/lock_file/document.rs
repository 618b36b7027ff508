//! A document of keys, lists and texts, with the place of each: what TOML, JSON and YAML come to.
//!
//! Limited in bytes, depth and number of values, and free of double keys: two readers could take different ones.

mod json;
mod toml;
mod yaml;

use std::cell::Cell;

use super::finding::{Position, Reason, Refusal, shorten};
use super::{LOCK_BYTES_MAX, PACKAGES_MAX};

pub(super) use self::json::parse as json;
pub(super) use self::toml::parse as toml;
pub(super) use self::yaml::parse as yaml;

/// How deep values may be nested. npm's format 1 nests two levels for each level of `node_modules`.
const DEPTH_MAX: usize = 64;

/// How many values a document may have: a package has some 20, and one with wheels for every machine some 200.
const NODES_MAX: usize = 40 * PACKAGES_MAX;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Its first character; in JSON objects, that of its key.
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What stands there. A number or a date is kept as its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// Members in the file's order, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map(Vec<(String, Node)>);

impl Node {
    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Flag(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a table",
        }
    }

    fn mistyped(&self, key: &str, expected: &'static str) -> Refusal {
        Refusal::new(self.at, Reason::Type { key: shorten(key), found: self.kind(), expected })
    }

    /// Reads it as a table; `key` names it in the message.
    pub(super) fn map(&self, key: &str) -> Result<&Map, Refusal> {
        match &self.value {
            Value::Map(map) => Ok(map),
            _ => Err(self.mistyped(key, "a table")),
        }
    }

    /// Reads it as a list.
    pub(super) fn list(&self, key: &str) -> Result<&[Node], Refusal> {
        match &self.value {
            Value::List(list) => Ok(list),
            _ => Err(self.mistyped(key, "a list")),
        }
    }

    /// Reads it as a text.
    pub(super) fn text(&self, key: &str) -> Result<&str, Refusal> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.mistyped(key, "a text")),
        }
    }

    /// Reads it as a text or number: formats quote their versions or do not.
    pub(super) fn scalar(&self, key: &str) -> Result<&str, Refusal> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Ok(text),
            _ => Err(self.mistyped(key, "a text")),
        }
    }
}

impl Map {
    /// Looks a key up; one that is null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|(held, _)| held == key).map(|(_, node)| node).filter(|node| node.value != Value::Null)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(key, node)| (key.as_str(), node))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, Refusal> {
        self.get(key).map(|node| node.text(key)).transpose()
    }

    /// Reads a text that must be there; `at` is where the table stands.
    pub(super) fn required(&self, key: &'static str, at: Position) -> Result<&str, Refusal> {
        self.text(key)?.ok_or(Refusal::new(at, Reason::Missing(key)))
    }

    pub(super) fn scalar(&self, key: &str) -> Result<Option<&str>, Refusal> {
        self.get(key).map(|node| node.scalar(key)).transpose()
    }

    /// Reads a flag; absent is false.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Refusal> {
        match self.get(key) {
            None => Ok(false),
            Some(Node { value: Value::Flag(flag), .. }) => Ok(*flag),
            Some(node) => Err(node.mistyped(key, "true or false")),
        }
    }

    /// Reads a whole number that is not negative.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, Refusal> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match &node.value {
            Value::Number(text) => {
                text.parse().map(Some).map_err(|_| node.mistyped(key, "a whole number that is not negative"))
            }
            _ => Err(node.mistyped(key, "a whole number that is not negative")),
        }
    }

    /// Reads a list; absent is empty.
    pub(super) fn list(&self, key: &str) -> Result<&[Node], Refusal> {
        self.get(key).map_or(Ok(&[]), |node| node.list(key))
    }

    /// Reads a list of texts; one text alone is a list of one, and absent is empty.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, Refusal> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Node { value: Value::Text(text), .. }) => Ok(vec![text.clone()]),
            Some(node) => node.list(key)?.iter().map(|one| Ok(one.text(key)?.to_owned())).collect(),
        }
    }

    /// Reads a table; absent is `None`.
    pub(super) fn map(&self, key: &str) -> Result<Option<&Map>, Refusal> {
        self.get(key).map(|node| node.map(key)).transpose()
    }

    /// Returns the members of a table; absent has none.
    pub(super) fn members(&self, key: &str) -> Result<impl Iterator<Item = (&str, &Node)>, Refusal> {
        Ok(self.map(key)?.into_iter().flat_map(Map::iter))
    }
}

/// Refuses what is too large or no text. A byte order mark is let pass.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, Refusal> {
    if bytes.len() > LOCK_BYTES_MAX {
        return Err(Refusal::new(Position::START, Reason::TooLarge { size: bytes.len() }));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            Err(Refusal::new(Lines::of(&good).position(&good, good.len()), Reason::Encoding))
        }
    }
}

/// Counts values while a document is read.
struct Budget(usize);

impl Budget {
    fn new() -> Budget {
        Budget(NODES_MAX)
    }

    fn take(&mut self) -> Result<(), Reason> {
        self.0 = self.0.checked_sub(1).ok_or(Reason::TooMany { what: "values", max: NODES_MAX })?;
        Ok(())
    }
}

/// Where each line begins.
///
/// Remembers the last place that was asked for and counts on from there: a file may be one long line, and places are
/// asked for in order.
pub(super) struct Lines {
    starts: Vec<usize>,
    last: Cell<(usize, usize)>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { starts, last: Cell::new((0, 1)) }
    }

    /// Returns the place of a byte offset.
    pub(super) fn position(&self, text: &str, offset: usize) -> Position {
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1];
        let (from, before) = match self.last.get() {
            (from, column) if from >= start && from <= offset => (from, column),
            _ => (start, 1),
        };
        let column = before + text.get(from..offset).unwrap_or_default().chars().count();
        self.last.set((offset, column));
        Position { line, column }
    }
}

#[cfg(test)]
mod tests;
