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
