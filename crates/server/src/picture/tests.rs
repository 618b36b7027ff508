use super::layout::lay_out;
use super::*;

fn node(id: &str, kind: Kind, label: &str) -> Node {
    Node { id: NodeId::stored(id.to_owned()), kind, label: label.to_owned(), time: None }
}

fn edge(from: &str, to: &str) -> Edge {
    Edge { from: NodeId::stored(from.to_owned()), to: NodeId::stored(to.to_owned()), relation: "of".to_owned() }
}

fn picture(nodes: &[Node], edges: &[Edge], start: &str) -> Picture {
    draw(nodes, edges, &NodeId::stored(start.to_owned()), &|node| Some(format!("/node/{}", node.id)))
}

#[test]
fn parents_stand_above_children_and_nothing_overlaps() {
    // A random acyclic graph from a fixed seed: child > parent.
    let mut seed = 0x9e37_79b9_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let links: Vec<(usize, usize)> =
        (1..60).flat_map(|child| [(child, random(child)), (child, random(child))]).collect();
    let layout = lay_out(60, &links);
    for (child, parent) in links {
        assert!(layout.places[child].1 > layout.places[parent].1, "{child} {parent}");
    }
    for a in 0..60 {
        for b in 0..a {
            let ((column_a, layer_a), (column_b, layer_b)) = (layout.places[a], layout.places[b]);
            assert!(layer_a != layer_b || (column_a - column_b).abs() > 0.99, "{a} {b}");
        }
    }
    assert!(layout.places.iter().all(|(column, layer)| *column >= 0.0 && *layer < layout.layers));
}

#[test]
fn a_cycle_is_drawn() {
    let nodes = [node("a", Kind::Artifact, "a"), node("b", Kind::Run, "b")];
    let drawn = picture(&nodes, &[edge("a", "b"), edge("b", "a"), edge("a", "a")], "a");
    assert_eq!(drawn.svg.matches("<rect").count(), 2);
}

#[test]
fn names_from_outside_are_escaped() {
    let nodes = [node("a", Kind::Artifact, "<script>alert('x')</script>&\"")];
    let drawn = draw(&nodes, &[], &nodes[0].id, &|_| Some("javascript:\"><b>".to_owned()));
    assert!(!drawn.svg.contains("<script>") && !drawn.svg.contains("\"><b>"), "{}", drawn.svg);
}

#[test]
fn many_siblings_become_one_box_and_signers_a_line() {
    let mut nodes = vec![node("recipe", Kind::Recipe, "greeter"), node("identity:builder", Kind::Identity, "builder")];
    let mut edges = vec![edge("recipe", "identity:builder")];
    for index in 0..42 {
        nodes.push(node(&format!("pkg:cargo/p{index}@1"), Kind::Package, "p"));
        edges.push(edge("recipe", &format!("pkg:cargo/p{index}@1")));
    }
    let drawn = picture(&nodes, &edges, "recipe");
    assert_eq!(drawn.svg.matches("<rect").count(), 2);
    assert!(drawn.svg.contains("42 × package"));
    assert!(drawn.svg.contains("recipe · builder"));
}

#[test]
fn the_bytes_of_packages_are_left_out() {
    let nodes = [
        node("recipe", Kind::Recipe, "greeter"),
        node("pkg:cargo/serde@1", Kind::Package, "serde 1"),
        node("sha256:00", Kind::Package, "serde 1"),
    ];
    let bytes = Edge { relation: attest::relation::BYTES.to_owned(), ..edge("pkg:cargo/serde@1", "sha256:00") };
    let drawn = picture(&nodes, &[edge("recipe", "pkg:cargo/serde@1"), bytes], "recipe");
    assert_eq!(drawn.svg.matches("<rect").count(), 2);
}

#[test]
fn nothing_and_too_much_are_drawn() {
    assert_eq!(picture(&[], &[], "a").left_out, 0);
    let nodes: Vec<Node> = (0..500).map(|index| node(&format!("n{index}"), Kind::Artifact, "x")).collect();
    let edges: Vec<Edge> = (1..500).map(|index| edge(&format!("n{index}"), &format!("n{}", index - 1))).collect();
    assert_eq!(picture(&nodes, &edges, "n0").left_out, 500 - DRAWN_MAX);
}

#[test]
fn labels_are_cut_in_the_middle() {
    assert_eq!(shorten("sha256:0123456789abcdef", 10), "sha256…def");
    assert_eq!(shorten("short", 10), "short");
    assert_eq!(wrap("greeter: run at level full, complete"), ["greeter: run at level", "full, complete"]);
    assert_eq!(wrap("one"), ["one"]);
    assert_eq!(wrap(""), Vec::<String>::new());
    assert_eq!(wrap(&"x".repeat(50)).len(), 1);
}

#[test]
fn labels_break_where_they_can_be_read() {
    let check = |label: &str, lines: &[&str]| assert_eq!(wrap(label), lines, "{label}");
    check("greeter", &["greeter"]);
    check("greeter: run at level full, complete", &["greeter: run at level", "full, complete"]);
    check("tag greeter-image:latest by operator", &["tag greeter-image:", "latest by operator"]);
    check("registry.example.org/team/greeter", &["registry.example.org/", "team/greeter"]);
    check("", &[]);
    let long = wrap(&"x".repeat(50));
    assert_eq!(long.len(), 1);
    assert!(long[0].contains('…') && long[0].chars().count() <= LABEL_MAX, "{long:?}");
}
