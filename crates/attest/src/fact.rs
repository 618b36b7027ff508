//! What a statement adds to the chain: nodes, and edges from each to what it came of.
//!
//! A statement's node is named by its payload's digest, so that two signers of one recipe meet in one node. A fact
//! describes a node only where its statement knows what to say of it: an edge may lead to another statement, or to a
//! commit, that some other fact describes, or none. Only attestations are turned into facts: what was not verified has
//! no place in the chain.

use std::collections::BTreeMap;

use model::deployment::{Deployment, Observation};
use model::lineage::{Edge, Fact, Kind, Node, NodeId};
use model::recipe::{Input, InputKind, Recipe, Stage};
use model::run::Rebuilt;
use model::source::Revision;
use model::verdict::{Outcome, Verdict};
use wire::digest::Digest;
use wire::in_toto::Statement;
use wire::timestamp::Timestamp;

use crate::claim::Claim;
use crate::open::Attestation;
use crate::predicate::Part;
use crate::predicate::grant::{Action, Grant};
use crate::predicate::policy::PolicyText;
use crate::predicate::publication::Publication;
use crate::predicate::reference::Reference;
use crate::predicate::revocation::Revocation;
use crate::predicate::run::Run;
use crate::predicate::tag::{Change, Tag};

/// The names of edges.
pub mod relation {
    /// artifact or image → run: the run made it.
    pub const BUILT_BY: &str = "built-by";
    /// artifact or image → recipe: it is an output of the recipe, whoever ran that.
    pub const MADE_BY: &str = "made-by";
    /// image → file artifact: both are outputs of one build, and the image packs the file.
    pub const CONTAINS: &str = "contains";
    /// configuration or layer → image: it is a part of the image.
    pub const PART_OF: &str = "part-of";
    /// run, rebuilt → recipe; deployment, observation → artifact: what it is a run, a deployment, … of.
    pub const OF: &str = "of";
    /// recipe → source tree, spec, lock, base, package: what it was made from.
    pub const FROM: &str = "from";
    /// package → its bytes, by digest.
    pub const BYTES: &str = "bytes";
    /// source tree → commit: where the tree stands in version control, as a run saw it.
    pub const AT: &str = "at";
    /// commit → identity: its author.
    pub const BY: &str = "by";
    /// statement → identity: whose key signed it.
    pub const SIGNED_BY: &str = "signed-by";
    /// rebuilt → run: the runs that it compared.
    pub const COMPARED: &str = "compared";
    /// test, reference, verdict, publication, tag, policy statement → what it is about.
    pub const ABOUT: &str = "about";
    /// verdict → policy.
    pub const UNDER: &str = "under";
    /// verdict → statement: the evidence that decided.
    pub const USED: &str = "used";
    /// deployment → verdict: what let it pass.
    pub const LET_BY: &str = "let-by";
    /// environment → deployment: it was brought live there.
    pub const RUNS: &str = "runs";
    /// observation → environment: where it was made.
    pub const IN: &str = "in";
    /// observation → artifact: what should have run, when something else did.
    pub const EXPECTED: &str = "expected";
}

/// A row of [`RELATIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Its name: one of the constants of [`relation`].
    pub name: &'static str,
    /// How an edge of it reads, from child to parent: "… was built by …".
    pub reads: &'static str,
}

/// All relations, with the words that stand between child and parent.
pub const RELATIONS: [Relation; 18] = [
    Relation { name: relation::BUILT_BY, reads: "was built by" },
    Relation { name: relation::MADE_BY, reads: "was made by" },
    Relation { name: relation::CONTAINS, reads: "contains" },
    Relation { name: relation::PART_OF, reads: "is part of" },
    Relation { name: relation::OF, reads: "is of" },
    Relation { name: relation::FROM, reads: "was made from" },
    Relation { name: relation::BYTES, reads: "has the bytes" },
    Relation { name: relation::AT, reads: "is the tree at" },
    Relation { name: relation::BY, reads: "is by" },
    Relation { name: relation::SIGNED_BY, reads: "was signed by" },
    Relation { name: relation::COMPARED, reads: "compared" },
    Relation { name: relation::ABOUT, reads: "is about" },
    Relation { name: relation::UNDER, reads: "was reached under" },
    Relation { name: relation::USED, reads: "used" },
    Relation { name: relation::LET_BY, reads: "was let by" },
    Relation { name: relation::RUNS, reads: "runs" },
    Relation { name: relation::IN, reads: "was made in" },
    Relation { name: relation::EXPECTED, reads: "expected" },
];

/// Returns what an attestation adds to the chain.
pub fn facts(attestation: &Attestation) -> Fact {
    let signed = attestation.statement();
    let mut facts = Facts::new(signed.payload(), signed.value());
    match attestation.claim() {
        Claim::Recipe(recipe) => facts.recipe(recipe),
        Claim::Run(run) => facts.run(run),
        Claim::Rebuilt(rebuilt) => facts.rebuilt(rebuilt),
        Claim::Test(test) => {
            let verdict = if test.passed() { "passed" } else { "failed" };
            let label = format!("{}: {} {verdict}", test.suite, count(test.passed.len(), "case"));
            facts.this(Kind::Test, label, Some(test.finished));
            facts.about_subjects();
        }
        Claim::Reference(reference) => facts.reference(reference),
        Claim::Verdict(verdict) => facts.verdict(verdict),
        Claim::Deployment(deployment) => facts.deployment(deployment),
        Claim::Observation(observation) => facts.observation(observation),
        Claim::Publication(publication) => facts.publication(publication),
        Claim::Tag(tag) => facts.tag(tag),
        Claim::Grant(grant) => facts.grant(grant),
        Claim::Policy(policy) => facts.policy(policy),
        Claim::Revocation(revocation) => facts.revocation(revocation),
        Claim::Sbom(sbom) => {
            let (read, all) = sbom.locked();
            let label = format!("{}: {read} of {all} locked packages read", sbom.project);
            facts.this(Kind::Statement, label, Some(sbom.at));
            facts.about_subjects();
        }
        Claim::Other => {
            facts.this(Kind::Statement, facts.statement.predicate_type.clone(), None);
            facts.about_subjects();
        }
    }
    let signer = facts.node(NodeId::identity(signed.identity()), Kind::Identity, signed.identity().to_owned(), None);
    facts.edge(facts.id.clone(), signer, relation::SIGNED_BY);
    facts.fact()
}

/// Collects nodes and edges, each once.
struct Facts<'a> {
    id: NodeId,
    statement: &'a Statement,
    nodes: BTreeMap<NodeId, Node>,
    edges: Vec<Edge>,
}

impl<'a> Facts<'a> {
    fn new(payload: &Digest, statement: &'a Statement) -> Facts<'a> {
        Facts { id: NodeId::digest(payload), statement, nodes: BTreeMap::new(), edges: Vec::new() }
    }

    fn fact(mut self) -> Fact {
        self.edges.sort();
        self.edges.dedup();
        Fact { nodes: self.nodes.into_values().collect(), edges: self.edges }
    }

    /// Adds the statement's own node.
    fn this(&mut self, kind: Kind, label: String, time: Option<Timestamp>) {
        self.node(self.id.clone(), kind, label, time);
    }

    /// Adds a node; one that is there already stays as it is.
    fn node(&mut self, id: NodeId, kind: Kind, label: String, time: Option<Timestamp>) -> NodeId {
        self.nodes.entry(id.clone()).or_insert(Node { id: id.clone(), kind, label, time });
        id
    }

    fn edge(&mut self, from: NodeId, to: NodeId, relation: &str) {
        if from != to {
            self.edges.push(Edge { from, to, relation: relation.to_owned() });
        }
    }

    /// Adds an edge from the statement to another statement, which describes itself.
    fn refers(&mut self, relation: &str, statement: &Digest) {
        self.edge(self.id.clone(), NodeId::digest(statement), relation);
    }

    /// Adds an edge from the statement to a digest's node, and describes that.
    fn points(&mut self, relation: &str, digest: &Digest, kind: Kind, label: &str) {
        let to = self.node(NodeId::digest(digest), kind, label.to_owned(), None);
        self.edge(self.id.clone(), to, relation);
    }

    /// Adds the outputs of a build, with an edge from each to the statement.
    fn outputs(&mut self, relation: &str) {
        let statement = self.statement;
        let subjects = || statement.subject.iter().filter_map(|subject| Some((subject.name.as_deref()?, subject)));
        let images = images(statement);
        let mut whole: BTreeMap<&str, NodeId> = BTreeMap::new();
        for (name, subject) in subjects() {
            let kind = if images.contains(&name) { Kind::Image } else { Kind::Artifact };
            for digest in subject.digests() {
                let node = self.node(NodeId::digest(&digest), kind, name.to_owned(), None);
                match Part::of(name) {
                    Part::Whole(_) => {
                        self.edge(node.clone(), self.id.clone(), relation);
                        whole.insert(name, node);
                    }
                    part => {
                        if let Some(image) = whole.get(part.whole()).cloned() {
                            self.edge(node, image, relation::PART_OF);
                        }
                    }
                }
            }
        }
        for image in images.iter().filter_map(|name| whole.get(name)) {
            for (_, file) in whole.iter().filter(|(name, _)| !images.contains(name)) {
                self.edge(image.clone(), file.clone(), relation::CONTAINS);
            }
        }
    }

    /// Adds an edge to each subject that is a thing of its own.
    fn about_subjects(&mut self) {
        let images = images(self.statement);
        for subject in &self.statement.subject {
            let name = subject.name.as_deref().unwrap_or("artifact");
            let kind = if images.contains(&name) { Kind::Image } else { Kind::Artifact };
            if let (Part::Whole(_), Some(digest)) = (Part::of(name), subject.digests().next()) {
                self.points(relation::ABOUT, &digest, kind, name);
            }
        }
    }

    fn recipe(&mut self, recipe: &Recipe) {
        let outputs = count(recipe.outputs.len(), "output");
        self.this(Kind::Recipe, format!("{}: recipe of {outputs}", recipe.project), None);
        self.outputs(relation::MADE_BY);
        self.points(relation::FROM, &recipe.source, Kind::Source, &format!("{} source", recipe.project));
        self.points(relation::FROM, &recipe.spec, Kind::Spec, "assay.toml");
        self.points(relation::FROM, &recipe.lock, Kind::Lock, "assay.lock");
        for input in &recipe.inputs {
            self.input(input);
        }
        for stage in &recipe.stages {
            self.stage(stage);
        }
        if let Some(commit) = &recipe.commit {
            self.edge(NodeId::digest(&recipe.source), NodeId::commit(commit), relation::AT);
        }
    }

    /// A stage is named by its plan; what it left for others by the tree that holds it.
    fn stage(&mut self, stage: &Stage) {
        let label = format!("stage {}: {}", stage.name, count(stage.steps.len(), "step"));
        self.points(relation::FROM, &stage.made.plan, Kind::Recipe, &label);
        let plan = NodeId::digest(&stage.made.plan);
        for output in &stage.made.outputs {
            let label = format!("{}: {}", stage.name, output.path);
            let tree = self.node(NodeId::digest(&output.tree), Kind::Artifact, label, None);
            self.edge(tree, plan.clone(), relation::MADE_BY);
        }
        for input in &stage.inputs {
            self.edge(plan.clone(), NodeId::digest(&input.tree), relation::FROM);
        }
    }

    /// A base or toolchain is named by its tree; a package by its package URL, which leads on to its bytes.
    fn input(&mut self, input: &Input) {
        let label = format!("{} {}", input.name, input.version);
        match input.kind {
            InputKind::Base | InputKind::Toolchain => {
                self.points(relation::FROM, &input.digest, Kind::Base, label.trim_end());
            }
            InputKind::Package | InputKind::Dependency => {
                let package = self.node(NodeId::package(&input.purl), Kind::Package, label.clone(), None);
                self.edge(self.id.clone(), package.clone(), relation::FROM);
                let bytes = self.node(NodeId::digest(&input.digest), Kind::Package, label, None);
                self.edge(package, bytes, relation::BYTES);
            }
        }
    }

    fn run(&mut self, run: &Run) {
        let how = if run.completeness.complete { "complete" } else { "incomplete" };
        let label = format!("{}: run at level {}, {how}", run.project, run.level);
        self.this(Kind::Run, label, Some(run.finished));
        self.outputs(relation::BUILT_BY);
        self.refers(relation::OF, &run.recipe);
        if let Some(revision) = &run.source.revision {
            self.revision(&run.source.tree, &run.project, revision);
        }
    }

    fn revision(&mut self, tree: &Digest, project: &str, revision: &Revision) {
        let source = self.node(NodeId::digest(tree), Kind::Source, format!("{project} source"), None);
        let label = format!("{} {}", short_commit(&revision.commit), revision.summary);
        let time = Timestamp::from_unix_s(revision.commit_time_unix_s);
        let commit = self.node(NodeId::commit(&revision.commit), Kind::Commit, label.trim_end().to_owned(), time);
        self.edge(source, commit.clone(), relation::AT);
        let author = &revision.author;
        let author = self.node(NodeId::identity(author), Kind::Identity, author.clone(), None);
        self.edge(commit, author, relation::BY);
    }

    fn rebuilt(&mut self, rebuilt: &Rebuilt) {
        let runs = rebuilt.runs.len();
        let outcome = if rebuilt.equal { "equal" } else { "not equal" };
        self.this(Kind::Rebuilt, format!("built {runs} times: {outcome}"), None);
        self.refers(relation::OF, &rebuilt.recipe);
        for run in &rebuilt.runs {
            self.refers(relation::COMPARED, run);
        }
        self.about_subjects();
    }

    fn reference(&mut self, reference: &Reference) {
        let label = format!("reference for {}: {}", reference.artifact, reference.origin);
        self.this(Kind::Reference, label, Some(reference.at));
        self.about_subjects();
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let word = match verdict.result {
            Outcome::Pass => "passed",
            Outcome::Unknown => "evidence missing",
            Outcome::Fail => "denied",
        };
        let place = verdict.environment.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
        self.this(Kind::Verdict, format!("{}: {word}{place}", verdict.subject.name), Some(verdict.at));
        self.about_subjects();
        self.points(relation::UNDER, &verdict.policy.digest, Kind::Policy, &verdict.policy.name);
        for evidence in verdict.evidence() {
            self.refers(relation::USED, &evidence);
        }
    }

    fn deployment(&mut self, deployment: &Deployment) {
        let (name, digest) = &deployment.artifact;
        let outcome = if deployment.live { "live" } else { "failed" };
        let label = format!("{} of {name} to {}: {outcome}", deployment.action, deployment.environment);
        self.this(Kind::Deployment, label, Some(deployment.finished));
        self.points(relation::OF, digest, Kind::Artifact, name);
        self.refers(relation::LET_BY, &deployment.verdict);
        if deployment.live {
            let environment = self.environment(&deployment.environment);
            self.edge(environment, self.id.clone(), relation::RUNS);
        }
    }

    fn environment(&mut self, name: &str) -> NodeId {
        self.node(NodeId::environment(name), Kind::Environment, name.to_owned(), None)
    }

    fn observation(&mut self, observation: &Observation) {
        let seen = match observation.observed {
            None => "nothing runs".to_owned(),
            Some(_) if observation.agrees() => "as deployed".to_owned(),
            Some(digest) => format!("runs {}, which was not deployed", digest.short()),
        };
        let label = format!("{} in {}: {seen}", observation.service, observation.environment);
        self.this(Kind::Observation, label, Some(observation.at));
        if let Some(digest) = &observation.observed {
            self.points(relation::OF, digest, Kind::Artifact, &observation.service);
        }
        if !observation.agrees() {
            self.points(relation::EXPECTED, &observation.expected, Kind::Artifact, &observation.service);
        }
        let environment = self.environment(&observation.environment);
        self.edge(self.id.clone(), environment, relation::IN);
    }

    fn publication(&mut self, publication: &Publication) {
        let label = format!("published in {} by {}", publication.repository, publication.actor);
        self.this(Kind::Publication, label, Some(publication.at));
        self.points(relation::ABOUT, &publication.manifest, Kind::Image, &publication.repository);
    }

    fn tag(&mut self, tag: &Tag) {
        let what = match tag.change {
            Change::Made { .. } => "made",
            Change::Moved { .. } => "moved",
            Change::Deleted { .. } => "deleted",
        };
        let label = format!("tag {}:{} {what} by {}", tag.repository, tag.tag, tag.actor);
        self.this(Kind::Publication, label, Some(tag.at));
        self.points(relation::ABOUT, &tag.change.about(), Kind::Image, &tag.repository);
    }

    fn grant(&mut self, grant: &Grant) {
        let (action, direction) = match grant.action {
            Action::Grant => ("granted", "to"),
            Action::Revoke => ("revoked", "from"),
        };
        let label = format!("{} {action} {direction} {} by {}", grant.role, grant.name, grant.actor);
        self.this(Kind::Grant, label, Some(grant.at));
    }

    fn revocation(&mut self, revocation: &Revocation) {
        let whose = match &revocation.subject {
            Some(name) => format!("{name} of {}", revocation.issuer),
            None => format!("everybody of {}", revocation.issuer),
        };
        let label = format!("certificates of {whose} revoked by {}", revocation.actor);
        self.this(Kind::Grant, label, Some(revocation.at));
    }

    fn policy(&mut self, policy: &PolicyText) {
        self.this(
            Kind::Statement,
            format!("policy {} put on record by {}", policy.name, policy.actor),
            Some(policy.at),
        );
        self.points(relation::ABOUT, &policy.digest(), Kind::Policy, &policy.name);
    }
}

/// Returns the names of those subjects that are images: they have a configuration.
fn images(statement: &Statement) -> Vec<&str> {
    let names = statement.subject.iter().filter_map(|subject| subject.name.as_deref());
    names
        .filter_map(|name| match Part::of(name) {
            Part::Config(whole) => Some(whole),
            _ => None,
        })
        .collect()
}

fn short_commit(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
