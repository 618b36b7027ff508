//! Draws a lineage: a layered graph as inline SVG, computed here, no script in the page.
//!
//! Parents stand above children, so commit and inputs are on top and what is live is at the bottom. Steps, after
//! Sugiyama: fold what would only clutter; a layer for each node; stand-ins where an edge skips layers; an order in
//! each layer by the mean place of its neighbours; coordinates. All of it is deterministic. Colours come from the
//! page's style sheet by class, for light and dark.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use attest::relation;
use model::lineage::{Edge, Kind, Node, NodeId};

mod layout;

use layout::{Layout, lay_out};

/// How many nodes are drawn; the list below the picture has them all.
pub(crate) const DRAWN_MAX: usize = 120;

/// As many siblings of one kind with the same neighbours stay apart; more become one box that says how many.
const APART_MAX: usize = 3;

const BOX_WIDTH: f64 = 186.0;
const BOX_HEIGHT: f64 = 60.0;
const GAP: f64 = 18.0;
const LAYER_HEIGHT: f64 = 104.0;
const MARGIN: f64 = 12.0;

/// How many characters fit into a line of a label, and of the smaller line over it, in the widest usual font.
const LABEL_MAX: usize = 21;
const OVER_MAX: usize = 26;

/// A picture this wide is not made to fit a narrow page: it would become too small to read.
const FITTING_MAX: f64 = 1500.0;

/// A picture, and what it leaves out.
pub(crate) struct Picture {
    /// The `<svg>` element; everything from outside in it is escaped.
    pub(crate) svg: String,
    /// Nodes that were not drawn because there are more than [`DRAWN_MAX`].
    pub(crate) left_out: usize,
}

/// A box of the picture: one node, or several folded into one.
#[derive(Clone, Debug)]
struct Shape {
    kind: Kind,
    label: String,
    title: String,
    href: Option<String>,
    signers: BTreeSet<String>,
    start: bool,
}

/// Draws nodes and edges; `href` says where a node leads.
pub(crate) fn draw(nodes: &[Node], edges: &[Edge], start: &NodeId, href: &dyn Fn(&Node) -> Option<String>) -> Picture {
    let edges = without_parts(edges, start);
    let linked: BTreeSet<&NodeId> = edges.iter().flat_map(|edge| [&edge.from, &edge.to]).collect();
    let drawn: Vec<Node> =
        nodes.iter().filter(|node| node.id == *start || linked.contains(&node.id)).cloned().collect();
    let (shapes, links) = fold(&drawn, &edges, start, href);
    let left_out = shapes.len().saturating_sub(DRAWN_MAX);
    let shapes = &shapes[..shapes.len() - left_out];
    let links: Vec<(usize, usize)> =
        links.into_iter().filter(|(from, to)| *from < shapes.len() && *to < shapes.len()).collect();
    let layout = lay_out(shapes.len(), &links);
    Picture { svg: paint(shapes, &layout), left_out }
}

/// Leaves out what is only a part of something that is drawn: the bytes of a package, the configuration and the layers
/// of an image.
fn without_parts(edges: &[Edge], start: &NodeId) -> Vec<Edge> {
    let is_part = |edge: &&Edge| match edge.relation.as_str() {
        relation::BYTES | relation::PART_OF => edge.to != *start && edge.from != *start,
        _ => false,
    };
    let parts: BTreeSet<&NodeId> = edges
        .iter()
        .filter(is_part)
        .map(|edge| if edge.relation == relation::BYTES { &edge.to } else { &edge.from })
        .collect();
    edges.iter().filter(|edge| !parts.contains(&edge.from) && !parts.contains(&edge.to)).cloned().collect()
}

/// Turns nodes into boxes and edges into (child, parent) pairs of boxes: an identity becomes a line in the box that it
/// signed, and many siblings become one box.
fn fold(
    nodes: &[Node],
    edges: &[Edge],
    start: &NodeId,
    href: &dyn Fn(&Node) -> Option<String>,
) -> (Vec<Shape>, Vec<(usize, usize)>) {
    let identities: BTreeMap<&NodeId, &str> = nodes
        .iter()
        .filter(|node| node.kind == Kind::Identity && node.id != *start)
        .map(|node| (&node.id, node.label.as_str()))
        .collect();
    let mut signers: BTreeMap<&NodeId, BTreeSet<String>> = BTreeMap::new();
    for edge in edges {
        if let Some(name) = identities.get(&edge.to) {
            signers.entry(&edge.from).or_default().insert((*name).to_owned());
        }
    }
    let things: Vec<&Node> = nodes.iter().filter(|node| !identities.contains_key(&node.id)).collect();
    let between = |edge: &&Edge| !identities.contains_key(&edge.from) && !identities.contains_key(&edge.to);
    let links: Vec<&Edge> = edges.iter().filter(between).collect();
    let folded = siblings(&things, &links, start);

    let mut shapes = Vec::new();
    let mut index: BTreeMap<&NodeId, usize> = BTreeMap::new();
    for node in things {
        let first = folded.get(&node.id);
        if first.is_some_and(|(first, _)| *first != &node.id) {
            continue;
        }
        index.insert(&node.id, shapes.len());
        shapes.push(match first {
            Some((_, count)) => folded_shape(node.kind, *count),
            None => Shape {
                kind: node.kind,
                label: node.label.clone(),
                title: format!("{} {}", node.kind.name(), node.id),
                href: href(node),
                signers: signers.remove(&node.id).unwrap_or_default(),
                start: node.id == *start,
            },
        });
    }
    let place = |id: &NodeId| index.get(folded.get(id).map_or(id, |(first, _)| first)).copied();
    let links: BTreeSet<(usize, usize)> = links
        .iter()
        .filter_map(|edge| Some((place(&edge.from)?, place(&edge.to)?)))
        .filter(|(from, to)| from != to)
        .collect();
    (shapes, links.into_iter().collect())
}

/// A node's neighbours, and whether each is a parent.
type Near<'a> = BTreeSet<(bool, &'a NodeId)>;

/// Finds groups of more than [`APART_MAX`] nodes of one kind with the same neighbours: for each of their nodes, the
/// first of its group and how many they are.
fn siblings<'a>(nodes: &[&'a Node], edges: &[&'a Edge], start: &NodeId) -> BTreeMap<&'a NodeId, (&'a NodeId, usize)> {
    let mut near: BTreeMap<&NodeId, Near<'_>> = BTreeMap::new();
    for edge in edges {
        near.entry(&edge.from).or_default().insert((true, &edge.to));
        near.entry(&edge.to).or_default().insert((false, &edge.from));
    }
    let alone = Near::new();
    let mut groups: BTreeMap<(Kind, &Near<'_>), Vec<&'a NodeId>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.id != *start) {
        groups.entry((node.kind, near.get(&node.id).unwrap_or(&alone))).or_default().push(&node.id);
    }
    let large = groups.values().filter(|group| group.len() > APART_MAX);
    large.flat_map(|group| group.iter().map(|id| (*id, (group[0], group.len())))).collect()
}

fn folded_shape(kind: Kind, count: usize) -> Shape {
    Shape {
        kind,
        label: format!("{count} × {}", kind.name()),
        title: format!("{count} nodes of kind {}; the list below names each", kind.name()),
        href: Some("#nodes".to_owned()),
        signers: BTreeSet::new(),
        start: false,
    }
}

fn paint(shapes: &[Shape], layout: &Layout) -> String {
    let width = layout.columns * (BOX_WIDTH + GAP) - GAP + 2.0 * MARGIN;
    let height = (layout.layers.max(1) - 1) as f64 * LAYER_HEIGHT + BOX_HEIGHT + 2.0 * MARGIN;
    let mut svg = String::new();
    let class = if width > FITTING_MAX { "lineage wide" } else { "lineage" };
    // Writing to a String cannot fail.
    let _ = write!(
        svg,
        "<svg class=\"{class}\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"group\" aria-labelledby=\"lineage-title\">\
         <title id=\"lineage-title\">Lineage, parents above children; the list below says the same in words</title>"
    );
    for edge in &layout.edges {
        let _ = write!(svg, "<path class=\"edge\" d=\"{}\"/>", curve(&edge.points));
    }
    for (shape, place) in shapes.iter().zip(&layout.places) {
        paint_box(&mut svg, shape, x_of(place.0), y_of(place.1));
    }
    svg.push_str("</svg>");
    svg
}

fn paint_box(svg: &mut String, shape: &Shape, x: f64, y: f64) {
    let (left, top) = (x - BOX_WIDTH / 2.0, y);
    let start = if shape.start { " start" } else { "" };
    let signers = shape.signers.iter().cloned().collect::<Vec<_>>().join(", ");
    let over =
        if signers.is_empty() { shape.kind.name().to_owned() } else { format!("{} · {signers}", shape.kind.name()) };
    let text_x = left + 11.0;
    let lines: String = wrap(&shape.label)
        .iter()
        .zip([top + 34.0, top + 50.0])
        .map(|(line, y)| format!("<text class=\"label\" x=\"{text_x:.1}\" y=\"{y:.1}\">{}</text>", escape(line)))
        .collect();
    let open = shape.href.as_ref().map(|href| format!("<a href=\"{}\">", escape(href)));
    let _ = write!(
        svg,
        "{open}<g class=\"node kind-{kind}{start}\"><title>{title}</title>\
         <rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"7\"/>\
         <text class=\"over\" x=\"{text_x:.1}\" y=\"{over_y:.1}\">{over}</text>{lines}</g>{close}",
        open = open.as_deref().unwrap_or_default(),
        close = if open.is_some() { "</a>" } else { "" },
        kind = shape.kind.name(),
        title = escape(&format!("{}\n{}", shape.label, shape.title)),
        over_y = top + 17.0,
        over = escape(&shorten(&over, OVER_MAX)),
    );
}

/// Breaks a label between words, or behind `:` and `/`, into at most two lines; what is too long is cut in the middle.
fn wrap(label: &str) -> Vec<String> {
    let label = label.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut end = 0;
    for word in label.split_inclusive([' ', ':', '/']) {
        let longer = label[..end + word.len()].trim_end();
        if longer.chars().count() > LABEL_MAX && end > 0 {
            break;
        }
        end += word.len();
    }
    let lines = [label[..end].trim_end(), label[end..].trim()];
    lines.iter().filter(|line| !line.is_empty()).map(|line| shorten(line, LABEL_MAX)).collect()
}

/// A smooth line through layer points (column, layer), from the child's top up to the parent's bottom.
fn curve(points: &[(f64, usize)]) -> String {
    let mut path = String::new();
    for (index, pair) in points.windows(2).enumerate() {
        let (below, above) = (pair[0], pair[1]);
        // A stand-in is a point in the middle of its row; only the two ends are boxes.
        let from_y = if index == 0 { y_of(below.1) } else { y_of(below.1) + BOX_HEIGHT / 2.0 };
        let to_y = y_of(above.1) + if index + 2 == points.len() { BOX_HEIGHT } else { BOX_HEIGHT / 2.0 };
        let (from_x, to_x) = (x_of(below.0), x_of(above.0));
        if index == 0 {
            let _ = write!(path, "M{from_x:.1} {from_y:.1}");
        }
        let middle = (from_y + to_y) / 2.0;
        let _ = write!(path, "C{from_x:.1} {middle:.1} {to_x:.1} {middle:.1} {to_x:.1} {to_y:.1}");
    }
    path
}

fn x_of(column: f64) -> f64 {
    MARGIN + BOX_WIDTH / 2.0 + column * (BOX_WIDTH + GAP)
}

fn y_of(layer: usize) -> f64 {
    MARGIN + layer as f64 * LAYER_HEIGHT
}

/// Cuts a label in the middle, where names differ least, and marks the cut.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let tail = most / 3;
    let head = most - tail - 1;
    let head: String = characters[..head].iter().collect();
    let tail: String = characters[characters.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}

/// Escapes text for HTML and for quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            control if control.is_control() && control != '\n' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests;
