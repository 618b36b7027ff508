//! The one walk over the chain: backward it answers `why`, forward `where`.
//!
//! Every stage leaves [`Fact`]s: a node, and edges to its parents. [`Walk`] asks for edges a frontier at a time and
//! never fetches them itself, so the command line, the server and an incident query share it over any storage.
//!
//! ```text
//! let mut walk = Walk::new(start, Direction::Back);
//! while !walk.frontier().is_empty() {
//!     let edges = ledger.edges(&walk.frontier(), walk.direction())?;
//!     walk.feed(edges);
//! }
//! let ids = walk.ids();            // fetch labels for these
//! ```

use std::collections::BTreeSet;
use std::fmt;

use wire::digest::Digest;
use wire::timestamp::Timestamp;

/// How many nodes a walk visits before it stops and says so.
pub const NODES_MAX: usize = 100_000;

/// The name of a node: a digest (`sha256:…`), `git:<commit>`, a package URL (`pkg:cargo/serde@1.0.219`),
/// `env:<name>`, or `identity:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(String);

impl NodeId {
    /// The node of a digest.
    pub fn digest(digest: &Digest) -> NodeId {
        NodeId(digest.to_string())
    }

    /// The node of a git commit.
    pub fn commit(commit: &str) -> NodeId {
        NodeId(format!("git:{commit}"))
    }

    /// The node of a package URL.
    pub fn package(purl: &str) -> NodeId {
        NodeId(purl.to_owned())
    }

    /// The node of an environment.
    pub fn environment(name: &str) -> NodeId {
        NodeId(format!("env:{name}"))
    }

    /// The node of a signer or a person.
    pub fn identity(name: &str) -> NodeId {
        NodeId(format!("identity:{name}"))
    }

    /// A node name as it was stored.
    pub fn stored(name: String) -> NodeId {
        NodeId(name)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A git commit.
    Commit,
    /// A source tree.
    Source,
    /// `assay.toml`, by the digest of its bytes.
    Spec,
    /// `assay.lock`, by the digest of its bytes.
    Lock,
    /// A base or toolchain tree.
    Base,
    /// A dependency or system package.
    Package,
    /// A recipe statement, by the digest of its payload.
    Recipe,
    /// A run statement.
    Run,
    /// A file artifact.
    Artifact,
    /// An image manifest.
    Image,
    /// A `rebuilt` statement.
    Rebuilt,
    /// A test-result statement.
    Test,
    /// A reference record.
    Reference,
    /// A policy, by the digest of its bytes.
    Policy,
    /// A verdict statement.
    Verdict,
    /// A publication or tag statement.
    Publication,
    /// A deployment statement.
    Deployment,
    /// An environment.
    Environment,
    /// An observation statement.
    Observation,
    /// A signer or a person.
    Identity,
    /// A grant or revocation of a role.
    Grant,
    /// Any other statement.
    Statement,
}

impl Kind {
    /// All kinds with their names, in flow order.
    pub const ALL: [(Kind, &'static str); 22] = [
        (Kind::Commit, "commit"),
        (Kind::Source, "source"),
        (Kind::Spec, "spec"),
        (Kind::Lock, "lock"),
        (Kind::Base, "base"),
        (Kind::Package, "package"),
        (Kind::Recipe, "recipe"),
        (Kind::Run, "run"),
        (Kind::Artifact, "artifact"),
        (Kind::Image, "image"),
        (Kind::Rebuilt, "rebuilt"),
        (Kind::Test, "test"),
        (Kind::Reference, "reference"),
        (Kind::Policy, "policy"),
        (Kind::Verdict, "verdict"),
        (Kind::Publication, "publication"),
        (Kind::Deployment, "deployment"),
        (Kind::Environment, "environment"),
        (Kind::Observation, "observation"),
        (Kind::Identity, "identity"),
        (Kind::Grant, "grant"),
        (Kind::Statement, "statement"),
    ];

    /// Returns the kind's name, as tables and JSON hold it.
    pub fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(kind, _)| *kind == self).expect("every kind is in the table").1
    }

    /// Returns the kind of a name.
    pub fn of_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// A node of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// What it is.
    pub kind: Kind,
    /// One line for people: `greeter`, `serde 1.0.219`, `denied for production`.
    pub label: String,
    /// The statement's own time; `None` for what has none (a package).
    pub time: Option<Timestamp>,
}

/// `from` came of `to`: edges point back, from child to parent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The child.
    pub from: NodeId,
    /// The parent.
    pub to: NodeId,
    /// How: `built-by`, `built-from`, `depends-on`, `signed-by`, `deployed`, …
    pub relation: String,
}

/// What one logged statement adds to the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    /// Nodes it names; one that is known already keeps its first label and time.
    pub nodes: Vec<Node>,
    /// Edges it states.
    pub edges: Vec<Edge>,
}

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the parents: `why`.
    Back,
    /// To the children: `where`.
    Forward,
}

/// A breadth-first walk that is fed with edges.
#[derive(Clone, Debug)]
pub struct Walk {
    direction: Direction,
    frontier: Vec<NodeId>,
    seen: BTreeSet<NodeId>,
    order: Vec<NodeId>,
    edges: BTreeSet<Edge>,
    truncated: bool,
}

impl Walk {
    /// Starts at some nodes.
    pub fn new(start: Vec<NodeId>, direction: Direction) -> Walk {
        let mut walk = Walk {
            direction,
            frontier: Vec::new(),
            seen: BTreeSet::new(),
            order: Vec::new(),
            edges: BTreeSet::new(),
            truncated: false,
        };
        for id in start {
            walk.reach(id);
        }
        walk
    }

    /// Returns the nodes whose edges are wanted next; empty when the walk is done.
    pub fn frontier(&self) -> Vec<NodeId> {
        self.frontier.clone()
    }

    /// Returns which edges are wanted: those *from* the frontier (back), or *to* it (forward).
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Takes all edges of the frontier, and moves it on.
    pub fn feed(&mut self, edges: Vec<Edge>) {
        self.frontier.clear();
        for edge in edges {
            let next = match self.direction {
                Direction::Back => edge.to.clone(),
                Direction::Forward => edge.from.clone(),
            };
            self.edges.insert(edge);
            self.reach(next);
        }
    }

    /// Returns the nodes visited, nearest first.
    pub fn ids(&self) -> &[NodeId] {
        &self.order
    }

    /// Returns the edges walked, both of whose ends were visited.
    pub fn edges(&self) -> Vec<Edge> {
        self.edges.iter().filter(|e| self.seen.contains(&e.from) && self.seen.contains(&e.to)).cloned().collect()
    }

    /// Whether the walk stopped at [`NODES_MAX`] nodes.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    fn reach(&mut self, id: NodeId) {
        if self.seen.contains(&id) {
            return;
        }
        if self.seen.len() == NODES_MAX {
            self.truncated = true;
            self.frontier.clear();
            return;
        }
        self.seen.insert(id.clone());
        self.order.push(id.clone());
        self.frontier.push(id);
    }
}

#[cfg(test)]
mod tests;
