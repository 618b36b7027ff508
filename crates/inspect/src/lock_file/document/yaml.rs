//! YAML as a document: what lock files use of it.
//!
//! Aliases, anchors, tags, keys that are no text, and several documents are refused: no package manager writes them, and
//! readers differ in what they make of them. Without aliases nothing can grow beyond the file's own size.

use std::collections::BTreeSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::{Budget, DEPTH_MAX, Map, Node, Value};
use crate::lock_file::finding::{Position, Reason, Refusal, shorten};

/// Reads YAML text.
pub(in crate::lock_file) fn parse(text: &str) -> Result<Node, Refusal> {
    let mut builder = Builder { budget: Budget::new(), open: Vec::new(), root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| Refusal::new(position(error.marker()), Reason::Syntax(shorten(error.info()))))?;
        builder.take(event, position(&span.start))?;
    }
    builder.root.ok_or(Refusal::new(Position::START, Reason::Syntax("the file is empty".to_owned())))
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

struct Builder {
    budget: Budget,
    open: Vec<Open>,
    root: Option<Node>,
}

/// A list or table that is not closed yet.
enum Open {
    List { at: Position, list: Vec<Node> },
    Map { at: Position, map: Vec<(String, Node)>, keys: BTreeSet<String>, key: Option<(Position, String)> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Refusal> {
        let refuse = |what: &str| Err(Refusal::new(at, Reason::Syntax(format!("{what} are not read in lock files"))));
        match event {
            Event::Alias(_) => return refuse("aliases"),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return refuse("anchors");
            }
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return refuse("tags");
            }
            Event::DocumentStart(_) if self.root.is_some() => return refuse("several documents"),
            Event::Scalar(text, style, ..) => self.scalar(&text, style, at)?,
            Event::SequenceStart(..) => self.start(Open::List { at, list: Vec::new() }, at)?,
            Event::MappingStart(..) => {
                self.start(Open::Map { at, map: Vec::new(), keys: BTreeSet::new(), key: None }, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Position) -> Result<(), Refusal> {
        if let Some(Open::Map { keys, key: key @ None, .. }) = self.open.last_mut() {
            if !keys.insert(text.to_owned()) {
                let message = format!("key `{}` stands twice", shorten(text));
                return Err(Refusal::new(at, Reason::Syntax(message)));
            }
            *key = Some((at, text.to_owned()));
            return Ok(());
        }
        let value = match (style, text) {
            (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
            (ScalarStyle::Plain, "true") => Value::Flag(true),
            (ScalarStyle::Plain, "false") => Value::Flag(false),
            (ScalarStyle::Plain, text) if text.bytes().all(|b| b.is_ascii_digit()) => Value::Number(text.to_owned()),
            (_, text) => Value::Text(text.to_owned()),
        };
        self.put(Node { at, value })
    }

    fn start(&mut self, open: Open, at: Position) -> Result<(), Refusal> {
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(Refusal::new(at, Reason::Syntax("keys must be texts".to_owned())));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Refusal::new(at, Reason::TooMany { what: "levels", max: DEPTH_MAX }));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        match self.open.pop() {
            Some(Open::List { at, list }) => self.put(Node { at, value: Value::List(list) }),
            Some(Open::Map { at, map, .. }) => self.put(Node { at, value: Value::Map(Map(map)) }),
            None => Ok(()),
        }
    }

    /// Puts a finished value into what is open around it; a member of a table stands where its key does.
    fn put(&mut self, node: Node) -> Result<(), Refusal> {
        self.budget.take().map_err(|reason| Refusal::new(node.at, reason))?;
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { list, .. }) => list.push(node),
            Some(Open::Map { map, key, .. }) => {
                let (at, key) =
                    key.take().ok_or(Refusal::new(node.at, Reason::Syntax("keys must be texts".to_owned())))?;
                map.push((key, Node { at, ..node }));
            }
        }
        Ok(())
    }
}
