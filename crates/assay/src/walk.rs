//! A walk over the chain as a report: the tree for people, nodes and edges for programs.

use std::collections::{BTreeMap, BTreeSet};

use model::lineage::{Direction, Edge, Kind, Node, NodeId};
use serde_json::{Value, json};

use crate::error::Result;
use crate::report::Report;
use crate::session::Session;

/// How many nodes of one kind stand under one parent before the rest is counted.
const SHOWN_MAX: usize = 8;

/// Walks from a node, and reports what was found.
pub(crate) fn report(session: &Session<'_>, start: NodeId, direction: Direction, all: bool) -> Result<Report> {
    let found = session.walk(start.clone(), direction)?;
    let json = json!({
        "nodes": found.nodes.iter().map(node_json).collect::<Vec<_>>(),
        "edges": found.edges.iter().map(edge_json).collect::<Vec<_>>(),
        "truncated": found.truncated,
    });
    let picture = Picture::new(&found.nodes, &found.edges, direction, all);
    Ok(Report::yes(json, picture.text(&start)))
}

fn node_json(node: &Node) -> Value {
    let digest = node.id.as_str().starts_with("sha256:").then(|| node.id.as_str());
    json!({"id": node.id.as_str(), "kind": node.kind.name(), "digest": digest, "label": node.label, "time": node.time})
}

fn edge_json(edge: &Edge) -> Value {
    json!({"from": edge.from.as_str(), "to": edge.to.as_str(), "relation": edge.relation})
}

struct Picture<'a> {
    nodes: BTreeMap<&'a NodeId, &'a Node>,
    next: BTreeMap<&'a NodeId, Vec<(&'a str, &'a NodeId)>>,
    all: bool,
}

impl<'a> Picture<'a> {
    fn new(nodes: &'a [Node], edges: &'a [Edge], direction: Direction, all: bool) -> Picture<'a> {
        let mut next: BTreeMap<&NodeId, Vec<(&str, &NodeId)>> = BTreeMap::new();
        for edge in edges {
            let (near, far) = match direction {
                Direction::Back => (&edge.from, &edge.to),
                Direction::Forward => (&edge.to, &edge.from),
            };
            next.entry(near).or_default().push((&edge.relation, far));
        }
        Picture { nodes: nodes.iter().map(|node| (&node.id, node)).collect(), next, all }
    }

    fn text(&self, start: &NodeId) -> String {
        let mut out = String::new();
        let mut seen = BTreeSet::new();
        self.draw(start, "", "", &mut seen, &mut out, 0);
        out.truncate(out.trim_end().len());
        out
    }

    /// Depth-first; a node that was drawn before is named and not entered again. The depth is bounded by the number
    /// of kinds, since every edge of the chain leads to another stage.
    fn draw(
        &self,
        id: &'a NodeId,
        indent: &str,
        relation: &str,
        seen: &mut BTreeSet<&'a NodeId>,
        out: &mut String,
        depth: usize,
    ) {
        let again = !seen.insert(id);
        let children = self.next.get(id).map(Vec::as_slice).unwrap_or_default();
        let more = if again && !children.is_empty() { " (above)" } else { "" };
        out.push_str(&format!("{indent}{relation}{}{more}\n", self.line(id)));
        if again || depth > Kind::ALL.len() * 2 {
            return;
        }
        let mut shown: BTreeMap<Option<Kind>, usize> = BTreeMap::new();
        let mut hidden: BTreeMap<Option<Kind>, usize> = BTreeMap::new();
        for (relation, child) in children {
            let kind = self.nodes.get(child).map(|node| node.kind);
            let count = shown.entry(kind).or_default();
            *count += 1;
            if *count > SHOWN_MAX && !self.all {
                *hidden.entry(kind).or_default() += 1;
                continue;
            }
            self.draw(child, &format!("{indent}  "), &format!("{relation}: "), seen, out, depth + 1);
        }
        for (kind, count) in hidden {
            let kind = kind.map_or("node", Kind::name);
            out.push_str(&format!("{indent}  … and {count} more of kind {kind} (--all shows them)\n"));
        }
    }

    fn line(&self, id: &NodeId) -> String {
        let Some(node) = self.nodes.get(id) else { return id.to_string() };
        let name = id.as_str();
        let name = if name.starts_with("sha256:") { &name[..19.min(name.len())] } else { name };
        let time = node.time.map_or_else(String::new, |time| format!(" at {time}"));
        if node.label.is_empty() || node.label == name {
            return format!("{} {name}{time}", node.kind.name());
        }
        format!("{} {} [{name}]{time}", node.kind.name(), node.label)
    }
}
