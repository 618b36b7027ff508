//! Where boxes and lines go: layers, an order in each, columns.

/// How often the order of the layers is improved; more changes little for graphs of this size.
const SWEEPS: usize = 8;

/// Boxes and lines in units of columns and layers.
pub(super) struct Layout {
    /// Column and layer of each box.
    pub(super) places: Vec<(f64, usize)>,
    /// One line for each link, from child to parent.
    pub(super) edges: Vec<Line>,
    /// How many columns wide.
    pub(super) columns: f64,
    /// How many layers high.
    pub(super) layers: usize,
}

/// A line through points (column, layer), from the child up to its parent.
pub(super) struct Line {
    pub(super) points: Vec<(f64, usize)>,
}

/// Lays out `count` boxes with links (child, parent).
pub(super) fn lay_out(count: usize, links: &[(usize, usize)]) -> Layout {
    let links = without_cycles(count, links);
    let layer_of = layers(count, &links);
    let (graph, chains) = with_stand_ins(count, &layer_of, &links);
    let rows = order(&graph);
    let columns = columns(&graph, &rows);
    let place = |index: usize| (columns[index], graph.layer[index]);
    let width = columns.iter().fold(0.0, |widest: f64, column| widest.max(*column)) + 1.0;
    Layout {
        places: (0..count).map(place).collect(),
        edges: chains.iter().map(|chain| Line { points: chain.iter().map(|i| place(*i)).collect() }).collect(),
        columns: width,
        layers: rows.len(),
    }
}

/// Boxes and stand-ins, with their neighbours one layer up and down.
struct Graph {
    layer: Vec<usize>,
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
}

/// Leaves out the links that would close a cycle: a depth-first search with its own stack, since depth comes from data.
fn without_cycles(count: usize, links: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut parents = vec![Vec::new(); count];
    for &(child, parent) in links {
        parents[child].push(parent);
    }
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; count];
    let mut kept = Vec::new();
    for root in 0..count {
        let mut stack = vec![(root, 0)];
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::Open;
        while let Some((node, next)) = stack.pop() {
            let Some(&parent) = parents[node].get(next) else {
                marks[node] = Mark::Done;
                continue;
            };
            stack.push((node, next + 1));
            if marks[parent] != Mark::Open {
                kept.push((node, parent));
            }
            if marks[parent] == Mark::New {
                marks[parent] = Mark::Open;
                stack.push((parent, 0));
            }
        }
    }
    kept
}

/// A node stands one below its lowest parent; one without parents stands directly above its highest child.
fn layers(count: usize, links: &[(usize, usize)]) -> Vec<usize> {
    let mut layer = vec![0; count];
    for _ in 0..count {
        let mut changed = false;
        for &(child, parent) in links {
            if layer[child] <= layer[parent] {
                layer[child] = layer[parent] + 1;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for node in 0..count {
        let has_parent = links.iter().any(|(child, _)| *child == node);
        let highest_child = links.iter().filter(|(_, parent)| *parent == node).map(|(child, _)| layer[*child]).min();
        if let (false, Some(child)) = (has_parent, highest_child) {
            layer[node] = child - 1;
        }
    }
    layer
}

fn with_stand_ins(count: usize, layer_of: &[usize], links: &[(usize, usize)]) -> (Graph, Vec<Vec<usize>>) {
    let mut layer = layer_of.to_vec();
    let mut chains = Vec::new();
    for &(child, parent) in links {
        let mut chain = vec![child];
        for between in (layer_of[parent] + 1..layer_of[child]).rev() {
            chain.push(layer.len());
            layer.push(between);
        }
        chain.push(parent);
        chains.push(chain);
    }
    let mut graph = Graph { above: vec![Vec::new(); layer.len()], below: vec![Vec::new(); layer.len()], layer };
    for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
        graph.above[pair[0]].push(pair[1]);
        graph.below[pair[1]].push(pair[0]);
    }
    debug_assert!(graph.layer.len() >= count);
    (graph, chains)
}

/// Orders each row by the mean position of the neighbours in the row above, then below, and so on.
fn order(graph: &Graph) -> Vec<Vec<usize>> {
    let height = graph.layer.iter().max().map_or(0, |deepest| deepest + 1);
    let mut rows = vec![Vec::new(); height];
    for (index, layer) in graph.layer.iter().enumerate() {
        rows[*layer].push(index);
    }
    let mut position = vec![0.0; graph.layer.len()];
    let number = |row: &[usize], position: &mut [f64]| {
        for (at, index) in row.iter().enumerate() {
            position[*index] = at as f64 - (row.len() as f64 - 1.0) / 2.0;
        }
    };
    rows.iter().for_each(|row| number(row, &mut position));
    for sweep in 0..SWEEPS {
        let (neighbours, sequence): (_, Vec<usize>) = if sweep % 2 == 0 {
            (&graph.above, (0..height).collect())
        } else {
            (&graph.below, (0..height).rev().collect())
        };
        for at in sequence {
            let weight = |index: &usize| mean(&neighbours[*index], &position).unwrap_or(position[*index]);
            rows[at].sort_by(|a, b| weight(a).total_cmp(&weight(b)).then(a.cmp(b)));
            number(&rows[at], &mut position);
        }
    }
    rows
}

/// Gives each node a column near its neighbours', at least one apart within a row, beginning at 0.
fn columns(graph: &Graph, rows: &[Vec<usize>]) -> Vec<f64> {
    let mut column = vec![0.0; graph.layer.len()];
    for row in rows {
        for (at, index) in row.iter().enumerate() {
            column[*index] = at as f64 - (row.len() as f64 - 1.0) / 2.0;
        }
    }
    for sweep in 0..SWEEPS {
        for row in rows {
            let neighbours = if sweep % 2 == 0 { &graph.above } else { &graph.below };
            let wanted: Vec<f64> =
                row.iter().map(|index| mean(&neighbours[*index], &column).unwrap_or(column[*index])).collect();
            for (index, place) in row.iter().zip(spread(&wanted)) {
                column[*index] = place;
            }
        }
    }
    let left = column.iter().fold(f64::INFINITY, |least, place| least.min(*place));
    column.iter().map(|place| place - left).collect()
}

/// Places near the wanted ones, in the same order, at least one apart: pushes right, then takes back half of it.
fn spread(wanted: &[f64]) -> Vec<f64> {
    let mut right = wanted.to_vec();
    for at in 1..right.len() {
        right[at] = right[at].max(right[at - 1] + 1.0);
    }
    let mut left = wanted.to_vec();
    for at in (0..left.len().saturating_sub(1)).rev() {
        left[at] = left[at].min(left[at + 1] - 1.0);
    }
    right.iter().zip(&left).map(|(right, left)| (right + left) / 2.0).collect()
}

fn mean(indices: &[usize], values: &[f64]) -> Option<f64> {
    if indices.is_empty() {
        return None;
    }
    Some(indices.iter().map(|index| values[*index]).sum::<f64>() / indices.len() as f64)
}
