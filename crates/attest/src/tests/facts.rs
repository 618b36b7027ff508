//! What each sample adds to the chain, and the walk over all of it. // M11.1

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect_file;
use model::lineage::{Direction, Edge, Fact, NodeId, Walk};

use super::all;
use crate::fact::{RELATIONS, facts, relation};
use crate::predicate::Predicate;
use crate::sample::{self, Scene};

fn signer(predicate: Predicate) -> &'static str {
    match predicate.role().name() {
        "builder" => "builder-full",
        other => ["tester", "publisher", "verifier", "deployer", "admin"]
            .into_iter()
            .find(|name| *name == other)
            .expect("the cast has every role"),
    }
}

fn all_facts() -> Vec<(Predicate, Fact)> {
    let mut scene = Scene::new("example.org/log").expect("keys can be made");
    let mut fact = |predicate| {
        let statement = sample::statement(predicate);
        let attestation = scene.logged(signer(predicate), &statement).expect("nothing is wrong with it");
        (predicate, facts(&attestation))
    };
    all().map(&mut fact).collect()
}

#[test]
fn each_statement_adds_its_part() {
    let mut text = String::new();
    let names = BTreeMap::from([
        (NodeId::commit(sample::COMMIT), "commit"),
        (NodeId::digest(&sample::recipe_payload()), "recipe"),
        (NodeId::digest(&sample::run_payload()), "run"),
        (NodeId::digest(&sample::digest("second run")), "second run"),
        (NodeId::digest(&sample::deployment().verdict), "verdict"),
    ]);
    for (predicate, fact) in all_facts() {
        text.push_str(&format!("{}\n", predicate.name()));
        let label = |id: &NodeId| match fact.nodes.iter().find(|node| node.id == *id) {
            Some(node) => format!("{} “{}”", node.kind.name(), node.label),
            None => names.get(id).map_or("elsewhere".to_owned(), |name| format!("the {name}")),
        };
        for node in &fact.nodes {
            let time = node.time.map(|time| format!(" {time}")).unwrap_or_default();
            text.push_str(&format!("  {}{time}\n", label(&node.id)));
        }
        for edge in &fact.edges {
            text.push_str(&format!("    {} -{}-> {}\n", label(&edge.from), edge.relation, label(&edge.to)));
        }
    }
    expect_file!["facts.txt"].assert_eq(&text);
}

#[test]
fn every_relation_is_in_the_table() {
    let known: BTreeSet<&str> = RELATIONS.iter().map(|relation| relation.name).collect();
    assert_eq!(known.len(), RELATIONS.len());
    for (predicate, fact) in all_facts() {
        for edge in &fact.edges {
            assert!(known.contains(edge.relation.as_str()), "{} states {}", predicate.name(), edge.relation);
        }
    }
}

#[test]
fn what_runs_leads_back_to_commit_person_inputs_and_rules() {
    let edges: Vec<Edge> = all_facts().into_iter().flat_map(|(_, fact)| fact.edges).collect();
    let walk = |start: NodeId, direction: Direction| {
        let mut walk = Walk::new(vec![start], direction);
        while !walk.frontier().is_empty() {
            let frontier = walk.frontier();
            let near = |edge: &&Edge| match direction {
                Direction::Back => frontier.contains(&edge.from),
                Direction::Forward => frontier.contains(&edge.to),
            };
            walk.feed(edges.iter().filter(near).cloned().collect());
        }
        walk.ids().to_vec()
    };
    let back = walk(NodeId::environment("production"), Direction::Back);
    let reached = [
        NodeId::commit(sample::COMMIT),
        NodeId::identity("Ada <ada@example.org>"),
        NodeId::identity("builder-full"),
        NodeId::identity("deployer"),
        NodeId::package("pkg:cargo/serde@1.0.229"),
        NodeId::digest(&sample::policy().digest()),
        NodeId::digest(&sample::recipe_payload()),
        NodeId::digest(&sample::digest("assay.lock")),
    ];
    for id in reached {
        assert!(back.contains(&id), "{id} is not reached");
    }
    let packages =
        [NodeId::package("pkg:cargo/serde@1.0.229"), NodeId::digest(&sample::digest("pkg:cargo/serde@1.0.229"))];
    for start in packages.into_iter().chain([NodeId::commit(sample::COMMIT)]) {
        let forward = walk(start.clone(), Direction::Forward);
        for id in [
            NodeId::environment("production"),
            NodeId::digest(&sample::digest("greeter")),
            NodeId::digest(&sample::digest("image manifest")),
            NodeId::digest(&sample::digest("image layer")),
        ] {
            assert!(forward.contains(&id), "{id} is not reached from {start}");
        }
    }
}

#[test]
fn a_failed_deployment_is_live_nowhere() {
    let mut scene = Scene::new("example.org/log").expect("keys can be made");
    let mut deployment = sample::deployment();
    deployment.live = false;
    let attestation = scene.logged("deployer", &crate::deployment(&deployment)).expect("nothing is wrong with it");
    assert!(facts(&attestation).edges.iter().all(|edge| edge.relation != relation::RUNS));
}
