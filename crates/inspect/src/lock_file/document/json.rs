//! JSON as a document.
//!
//! `serde_json` tells no positions, but reads byte for byte when it reads from a `Read`, and looks one byte ahead at
//! most. So a counting reader knows where the key or list member begins whose first byte was just looked at.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Budget, DEPTH_MAX, Map, Node, Value};
use crate::lock_file::finding::{Position, Reason, Refusal, shorten};

/// Reads JSON text.
pub(in crate::lock_file) fn parse(text: &str) -> Result<Node, Refusal> {
    let state = State {
        at: Cell::new(Position { line: 1, column: 0 }),
        budget: Budget::new().into(),
        refused: RefCell::new(None),
    };
    let mut deserializer = serde_json::Deserializer::from_reader(Counting { rest: text.as_bytes(), at: &state.at });
    let seed = NodeSeed { state: &state, at: Some(Position::START), depth: 0 };
    let node = seed.deserialize(&mut deserializer).and_then(|node| deserializer.end().map(|()| node));
    node.map_err(|error| {
        if let Some(refusal) = state.refused.take() {
            return refusal;
        }
        let at = Position { line: error.line().max(1), column: error.column().max(1) };
        // It ends in ` at line 3 column 4`, which stands in front already.
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(before, _)| before);
        Refusal::new(at, Reason::Syntax(shorten(message)))
    })
}

struct State {
    /// The last byte that was read.
    at: Cell<Position>,
    budget: RefCell<Budget>,
    /// Why reading was stopped from here; the parser's own error is then a mere signal.
    refused: RefCell<Option<Refusal>>,
}

impl State {
    fn refuse<E: Error>(&self, at: Position, reason: Reason) -> E {
        self.refused.replace(Some(Refusal::new(at, reason)));
        E::custom("refused")
    }
}

struct Counting<'a> {
    rest: &'a [u8],
    at: &'a Cell<Position>,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (Some((&byte, rest)), Some(first)) = (self.rest.split_first(), buffer.first_mut()) else { return Ok(0) };
        *first = byte;
        self.rest = rest;
        let Position { line, column } = self.at.get();
        self.at.set(match byte {
            b'\n' => Position { line: line + 1, column: 0 },
            // Later bytes of one character in UTF-8.
            0x80..=0xbf => Position { line, column },
            _ => Position { line, column: column + 1 },
        });
        Ok(1)
    }
}

/// Reads one value; where it stands is known from its key, or is where the reader stands.
#[derive(Clone, Copy)]
struct NodeSeed<'a> {
    state: &'a State,
    at: Option<Position>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let at = self.at.unwrap_or(self.state.at.get());
        let taken = self.state.budget.borrow_mut().take();
        taken.map_err(|reason| self.state.refuse::<D::Error>(at, reason))?;
        if self.depth > DEPTH_MAX {
            return Err(self.state.refuse(at, Reason::TooMany { what: "levels", max: DEPTH_MAX }));
        }
        Ok(Node { at, value: deserializer.deserialize_any(self)? })
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let seed = NodeSeed { at: None, depth: self.depth + 1, ..self };
        while let Some(node) = members.next_element_seed(seed)? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map: Vec<(String, Node)> = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some((at, key)) = members.next_key_seed(KeySeed(self.state))? {
            if !seen.insert(key.clone()) {
                return Err(self.state.refuse(at, Reason::Syntax(format!("key `{}` stands twice", shorten(&key)))));
            }
            let seed = NodeSeed { at: Some(at), depth: self.depth + 1, ..self };
            map.push((key, members.next_value_seed(seed)?));
        }
        Ok(Value::Map(Map(map)))
    }
}

struct KeySeed<'a>(&'a State);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = (Position, String);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(Position, String), D::Error> {
        let at = self.0.at.get();
        Ok((at, serde::Deserialize::deserialize(deserializer)?))
    }
}
