use super::*;

fn edge(from: &str, to: &str) -> Edge {
    Edge { from: NodeId::stored(from.into()), to: NodeId::stored(to.into()), relation: "of".into() }
}

fn walk(edges: &[Edge], start: &str, direction: Direction) -> Walk {
    let mut walk = Walk::new(vec![NodeId::stored(start.into())], direction);
    while !walk.frontier().is_empty() {
        let frontier = walk.frontier();
        let near = |edge: &Edge| match direction {
            Direction::Back => edge.from.clone(),
            Direction::Forward => edge.to.clone(),
        };
        walk.feed(edges.iter().filter(|edge| frontier.contains(&near(edge))).cloned().collect());
    }
    walk
}

#[test]
fn forward_is_the_inverse_of_back() {
    let edges = [
        edge("live", "image"),
        edge("image", "binary"),
        edge("binary", "commit"),
        edge("image", "base"),
        edge("base", "commit"),
    ];
    let names = |walk: &Walk| walk.ids().iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&walk(&edges, "live", Direction::Back)), ["live", "image", "binary", "base", "commit"]);
    let ids: Vec<_> = ["live", "image", "binary", "base", "commit"].into();
    for a in &ids {
        for b in &ids {
            let back = names(&walk(&edges, a, Direction::Back)).contains(&b.to_string());
            let forward = names(&walk(&edges, b, Direction::Forward)).contains(&a.to_string());
            assert_eq!(back, forward, "{a} {b}");
        }
    }
}

/// Over generated graphs with cycles, loops and several edges between two nodes.
#[test]
fn walks_of_any_graph_are_inverse_and_visit_each_node_once() {
    let mut random = wire::mutation::Mutator::new(7);
    for round in 0..200 {
        let count = 2 + random.below(12);
        let node = |number: usize| format!("n{number}");
        let edges: Vec<Edge> = (0..random.below(3 * count))
            .map(|_| edge(&node(random.below(count)), &node(random.below(count))))
            .collect();
        let walks = |direction| -> Vec<Walk> { (0..count).map(|from| walk(&edges, &node(from), direction)).collect() };
        let (back, forward) = (walks(Direction::Back), walks(Direction::Forward));
        for (a, back) in back.iter().enumerate() {
            let distinct: BTreeSet<&NodeId> = back.ids().iter().collect();
            assert_eq!(distinct.len(), back.ids().len(), "round {round}");
            assert!(back.edges().iter().all(|edge| distinct.contains(&edge.from) && distinct.contains(&edge.to)));
            for (b, forward) in forward.iter().enumerate() {
                let reaches = back.ids().contains(&NodeId::stored(node(b)));
                assert_eq!(reaches, forward.ids().contains(&NodeId::stored(node(a))), "round {round}: {a} {b}");
            }
        }
    }
}

#[test]
fn a_walk_stops_at_its_limit() {
    let star = (0..NODES_MAX + 10).map(|number| edge("centre", &number.to_string())).collect();
    let mut wide = Walk::new(vec![NodeId::stored("centre".into())], Direction::Back);
    wide.feed(star);
    let mut long = Walk::new(vec![NodeId::stored("0".into())], Direction::Forward);
    let mut steps = 0;
    while let [only] = long.frontier().as_slice() {
        steps += 1;
        assert!(steps <= NODES_MAX, "it does not end");
        long.feed(vec![edge(&steps.to_string(), only.as_str())]);
    }
    for walk in [wide, long] {
        assert!(walk.truncated() && walk.frontier().is_empty());
        assert_eq!(walk.ids().len(), NODES_MAX);
        let seen: BTreeSet<&NodeId> = walk.ids().iter().collect();
        assert!(walk.edges().iter().all(|edge| seen.contains(&edge.from) && seen.contains(&edge.to)));
    }
}

#[test]
fn a_cycle_ends() {
    let edges = [edge("a", "b"), edge("b", "a")];
    assert_eq!(walk(&edges, "a", Direction::Back).ids().len(), 2);
}

#[test]
fn names_of_kinds_are_unique() {
    for (kind, name) in Kind::ALL {
        assert_eq!(Kind::of_name(name), Some(kind));
        assert_eq!(kind.name(), name);
    }
}
