//! Format 1: packages nested as their directories are.

use super::Entry;
use super::scope;
use crate::lock_file::document::{Map, Node, Value};
use crate::lock_file::finding::{Position, Refusal};
use crate::lock_file::reading::{is_version, room};

pub(super) fn entries(root: &Map) -> Result<Vec<Entry<'_>>, Refusal> {
    let mut entries = Vec::new();
    entries.push(Entry {
        at: Position::START,
        place: String::new(),
        name: root.text("name")?,
        version: root.text("version")?.unwrap_or_default(),
        resolved: None,
        integrity: None,
        link: None,
        bundled: false,
        // The file does not say which of its packages the project itself asks for.
        wants: Vec::new(),
        scope: Default::default(),
    });
    walk(root, "", &mut entries)?;
    Ok(entries)
}

/// Reads the `dependencies` of the package at `place`; how deep they nest is limited where the document is read.
fn walk<'a>(map: &'a Map, place: &str, entries: &mut Vec<Entry<'a>>) -> Result<(), Refusal> {
    for (name, node) in map.members("dependencies")? {
        let held = node.map(name)?;
        let below = match place {
            "" => format!("node_modules/{name}"),
            place => format!("{place}/node_modules/{name}"),
        };
        room(entries.len(), node.at)?;
        entries.push(entry(node, held, below.clone())?);
        walk(held, &below, entries)?;
    }
    Ok(())
}

/// `version` is a version, an alias `npm:NAME@VERSION`, or the address of what comes from no registry.
fn entry<'a>(node: &Node, map: &'a Map, place: String) -> Result<Entry<'a>, Refusal> {
    let spelled = map.required("version", node.at)?;
    let alias = spelled.strip_prefix("npm:").and_then(|alias| alias.rsplit_once('@'));
    let (name, version, resolved) = match alias {
        Some((name, version)) => (Some(name), version, map.text("resolved")?),
        None if is_version(spelled) => (None, spelled, map.text("resolved")?),
        None => (None, "", Some(spelled)),
    };
    // `requires` is a table of what a package needs; `true` stands at the top only.
    let wants = match map.get("requires") {
        Some(Node { value: Value::Flag(_), .. }) | None => Vec::new(),
        Some(requires) => requires.map("requires")?.iter().map(|(name, _)| name).collect(),
    };
    Ok(Entry {
        at: node.at,
        place,
        name,
        version,
        resolved,
        integrity: map.text("integrity")?,
        link: None,
        bundled: map.flag("bundled")?,
        wants,
        scope: scope(map)?,
    })
}
