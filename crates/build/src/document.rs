//! Reading a TOML document that somebody wrote, key by key, collecting every problem on the way.
//!
//! Specification: TOML 1.0 <https://toml.io/en/v1.0.0>. Serde's derive stops at the first mistake and knows positions
//! only of values it was told to keep; a file written by hand deserves all its mistakes at once, each with its place.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Problem, suggestion};

/// How many problems are reported: after that many, a file is not what it claims to be.
pub(crate) const PROBLEMS_MAX: usize = 50;

/// A table of the document, and how to speak of it.
#[derive(Clone, Debug)]
pub(crate) struct Table<'a, 'i> {
    /// `[project]`, or `the file`.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) span: Range<usize>,
    /// Its keys and values.
    pub(crate) table: &'a DeTable<'i>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Byte offset of its first character.
    pub(crate) offset: usize,
}

/// Collects problems while values are taken out of tables.
pub(crate) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    /// Keys, and what to write for each where it is missing.
    examples: &'static [(&'static str, &'static str)],
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str, examples: &'static [(&'static str, &'static str)]) -> Reader<'t> {
        Reader { file, text, examples, problems: Vec::new() }
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, offset: usize, message: impl Into<String>, allowed: impl Into<Option<String>>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem::at(self.file, self.text, offset, message.into(), allowed.into()));
        }
    }

    /// Returns the problems, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }

    /// Notes every key that is not one of `allowed`.
    pub(crate) fn keys(&mut self, table: &Table<'_, '_>, allowed: &[&str]) {
        for (key, _) in table.table.iter() {
            let name: &str = key.get_ref();
            if !allowed.contains(&name) {
                let shown: String = name.chars().take(60).collect();
                let message = format!("unknown key `{shown}` in {}", table.name);
                self.problem(key.span().start, message, suggestion(name, allowed));
            }
        }
    }

    /// Takes a text, if the key stands.
    pub(crate) fn string(&mut self, table: &Table<'_, '_>, key: &str) -> Option<At<String>> {
        let value = table.table.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(key, value, "a text in quotes");
        }
        Some(At { value: text?.to_owned(), offset: value.span().start })
    }

    /// Takes a text that must stand.
    pub(crate) fn required_string(&mut self, table: &Table<'_, '_>, key: &str) -> Option<At<String>> {
        self.required(table, key);
        self.string(table, key)
    }

    /// Notes a key that is missing.
    pub(crate) fn required(&mut self, table: &Table<'_, '_>, key: &str) {
        if !table.table.contains_key(key) {
            let example = self.examples.iter().find(|(name, _)| *name == key);
            let allowed = example.map(|(_, example)| format!("write {example}"));
            self.problem(table.span.start, format!("{} lacks the key `{key}`", table.name), allowed);
        }
    }

    /// Takes a list of texts, if the key stands.
    pub(crate) fn strings(&mut self, table: &Table<'_, '_>, key: &str) -> Option<At<Vec<At<String>>>> {
        let value = table.table.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "a list of texts, as [\"a\", \"b\"]");
            return None;
        };
        let mut list = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => list.push(At { value: text.to_owned(), offset: item.span().start }),
                None => self.wrong_type(key, item, "a text in quotes"),
            }
        }
        Some(At { value: list, offset: value.span().start })
    }

    /// Takes a whole number within `range`, if the key stands.
    pub(crate) fn integer(&mut self, table: &Table<'_, '_>, key: &str, range: (u32, u32)) -> Option<u32> {
        let value = table.table.get(key)?;
        let number = value.get_ref().as_integer().and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
        let (min, max) = range;
        let wanted = format!("a whole number from {min} to {max}");
        let inside = number.filter(|n| (min..=max).contains(n));
        match value.get_ref().as_integer() {
            Some(found) if inside.is_none() => {
                let found: String = found.to_string().chars().take(60).collect();
                self.problem(
                    value.span().start,
                    format!("{found} is no value of `{key}`"),
                    format!("expected {wanted}"),
                );
            }
            Some(_) => {}
            None => self.wrong_type(key, value, &wanted),
        }
        inside
    }

    /// Takes a truth value, if the key stands.
    pub(crate) fn boolean(&mut self, table: &Table<'_, '_>, key: &str) -> Option<At<bool>> {
        let value = table.table.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong_type(key, value, "true or false");
        }
        Some(At { value: found?, offset: value.span().start })
    }

    /// Takes one word out of a closed set, if the key stands.
    pub(crate) fn one_of<T: Copy>(&mut self, table: &Table<'_, '_>, key: &str, known: &[(&str, T)]) -> Option<T> {
        let found = self.string(table, key)?;
        let word = found.value.as_str();
        let value = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if value.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let shown: String = word.chars().take(60).collect();
            self.problem(found.offset, format!("`{shown}` is no value of `{key}`"), suggestion(word, &names));
        }
        value
    }

    /// Takes a table of texts, if the key stands.
    pub(crate) fn map(&mut self, table: &Table<'_, '_>, key: &str) -> BTreeMap<String, At<String>> {
        let Some(inner) = self.table(table, key) else { return BTreeMap::new() };
        let mut map = BTreeMap::new();
        for (name, value) in inner.table.iter() {
            let at = name.span().start;
            match value.get_ref().as_str() {
                Some(text) => {
                    map.insert(name.get_ref().to_string(), At { value: text.to_owned(), offset: at });
                }
                None => self.wrong_type(name.get_ref(), value, "a text in quotes"),
            }
        }
        map
    }

    /// Takes a table, if the key stands.
    pub(crate) fn table<'a, 'i>(&mut self, table: &Table<'a, 'i>, key: &str) -> Option<Table<'a, 'i>> {
        let value = table.table.get(key)?;
        match value.get_ref().as_table() {
            Some(inner) => Some(Table { name: name_of(table, key), span: value.span(), table: inner }),
            None => {
                self.wrong_type(key, value, &format!("a table: write `[{key}]` on a line of its own"));
                None
            }
        }
    }

    /// Takes a list of tables; an absent key is an empty list.
    pub(crate) fn tables<'a, 'i>(&mut self, table: &Table<'a, 'i>, key: &str) -> Vec<Table<'a, 'i>> {
        let Some(value) = table.table.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, &format!("a list of tables: write `[[{key}]]` on a line of its own"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(inner) => {
                    let name = format!("[{}]", name_of(table, key));
                    tables.push(Table { name, span: item.span(), table: inner });
                }
                None => self.wrong_type(key, item, &format!("a table: write `[[{key}]]` on a line of its own")),
            }
        }
        tables
    }

    fn wrong_type(&mut self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let shown: String = key.chars().take(60).collect();
        let message = format!("`{shown}` is {} here", article(value.get_ref().type_str()));
        self.problem(value.span().start, message, format!("expected {wanted}"));
    }
}

fn name_of(parent: &Table<'_, '_>, key: &str) -> String {
    match parent.name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(name) => format!("[{}.{key}]", name.trim_matches(['[', ']'])),
        None => format!("[{key}]"),
    }
}

fn article(kind: &str) -> String {
    match kind {
        "integer" | "array" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}
