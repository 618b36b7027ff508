//! TOML as a document.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Budget, DEPTH_MAX, Lines, Map, Node, Value};
use crate::lock_file::finding::{Position, Reason, Refusal, shorten};

/// Reads TOML text.
pub(in crate::lock_file) fn parse(text: &str) -> Result<Node, Refusal> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(Position::START, |span| lines.position(text, span.start));
        Refusal::new(at, Reason::Syntax(shorten(error.message().lines().next().unwrap_or_default())))
    })?;
    let mut reader = Reader { text, lines, budget: Budget::new() };
    let map = reader.map(table.get_ref(), Position::START, 0)?;
    Ok(Node { at: Position::START, value: Value::Map(map) })
}

struct Reader<'a> {
    text: &'a str,
    lines: Lines,
    budget: Budget,
}

impl Reader<'_> {
    fn map(&mut self, table: &DeTable<'_>, at: Position, depth: usize) -> Result<Map, Refusal> {
        if depth > DEPTH_MAX {
            return Err(Refusal::new(at, Reason::TooMany { what: "levels", max: DEPTH_MAX }));
        }
        // The parser sorts keys; the file's order is that of their places.
        let mut members: Vec<(&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)> = table.iter().collect();
        members.sort_by_key(|(key, _)| key.span().start);
        let mut map = Vec::with_capacity(members.len());
        for (key, value) in members {
            map.push((key.get_ref().clone().into_owned(), self.node(value, depth + 1)?));
        }
        Ok(Map(map))
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Refusal> {
        let at = self.lines.position(self.text, value.span().start);
        self.budget.take().map_err(|reason| Refusal::new(at, reason))?;
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(number) if number.radix() == 10 => Value::Number(number.as_str().to_owned()),
            DeValue::Integer(number) => Value::Text(format!("{}:{}", number.radix(), number.as_str())),
            DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(date) => Value::Text(date.to_string()),
            DeValue::Array(list) => {
                if depth > DEPTH_MAX {
                    return Err(Refusal::new(at, Reason::TooMany { what: "levels", max: DEPTH_MAX }));
                }
                let nodes: Result<Vec<Node>, Refusal> = list.iter().map(|one| self.node(one, depth + 1)).collect();
                Value::List(nodes?)
            }
            DeValue::Table(table) => Value::Map(self.map(table, at, depth)?),
        };
        Ok(Node { at, value })
    }
}
