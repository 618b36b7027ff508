//! What pages show of statements, nodes and artifacts: plain values for the templates.

use attest::{Claim, predicate};
use model::lineage::{Direction, Kind, Node, NodeId};
use model::verdict::{Outcome, Verdict};
use serde_json::Value;
use store::ledger::{ArtifactRow, Page, StatementRow};
use wire::digest::Digest;
use wire::in_toto::Statement;

use crate::error::Problem;
use crate::readable;
use crate::send::percent;
use crate::state::Server;

/// A word in a coloured frame. The colour repeats what the word says.
pub(super) struct Mark {
    pub(super) text: String,
    /// `good`, `bad`, `open` or nothing.
    pub(super) state: &'static str,
}

/// One step of the chain: commit, build, tests, gate, live.
pub(super) struct Stage {
    pub(super) stage: &'static str,
    pub(super) what: String,
    pub(super) state: &'static str,
    pub(super) href: Option<String>,
}

/// A link to a thing with a digest.
pub(super) struct Named {
    pub(super) label: String,
    pub(super) href: String,
    pub(super) id: String,
    pub(super) short: String,
}

/// A node in a list.
pub(super) struct Line {
    pub(super) kind: &'static str,
    pub(super) label: String,
    pub(super) href: Option<String>,
    pub(super) id: String,
    pub(super) time: Option<String>,
    pub(super) relations: Vec<(String, String)>,
}

/// A statement, readable.
pub(super) struct Shown {
    pub(super) anchor: String,
    pub(super) href: String,
    pub(super) name: String,
    pub(super) predicate_type: String,
    pub(super) marks: Vec<Mark>,
    pub(super) signer: String,
    pub(super) time: String,
    pub(super) payload: String,
    pub(super) place: String,
    pub(super) table: String,
    pub(super) raw: String,
    pub(super) verdict: Option<ShownVerdict>,
}

/// A verdict with its rules.
pub(super) struct ShownVerdict {
    pub(super) summary: String,
    pub(super) rules: Vec<ShownRule>,
}

/// What a rule said.
pub(super) struct ShownRule {
    pub(super) name: String,
    pub(super) result: &'static str,
    pub(super) state: &'static str,
    pub(super) found: String,
    pub(super) fix: Option<String>,
}

/// Where a node's page is.
pub(super) fn href(node: &Node) -> Option<String> {
    let id = percent(node.id.as_str());
    Some(match node.kind {
        Kind::Artifact | Kind::Image => format!("/artifact/{id}"),
        Kind::Recipe
        | Kind::Run
        | Kind::Rebuilt
        | Kind::Test
        | Kind::Reference
        | Kind::Verdict
        | Kind::Publication
        | Kind::Deployment
        | Kind::Observation
        | Kind::Grant
        | Kind::Statement => format!("/statement/{id}"),
        Kind::Environment => format!("/environment/{}", percent(node.id.as_str().trim_start_matches("env:"))),
        Kind::Commit
        | Kind::Source
        | Kind::Spec
        | Kind::Lock
        | Kind::Base
        | Kind::Package
        | Kind::Policy
        | Kind::Identity => format!("/node?id={id}"),
    })
}

/// The page of an artifact.
pub(super) fn named(label: &str, digest: &Digest) -> Named {
    let href = format!("/artifact/{digest}");
    Named { label: label.to_owned(), href, id: digest.to_string(), short: digest.short() }
}

/// A node without its relations.
pub(super) fn line(node: &Node) -> Line {
    let label = if node.label.is_empty() { node.id.to_string() } else { node.label.clone() };
    let time = node.time.map(|time| time.to_string());
    Line { kind: node.kind.name(), label, href: href(node), id: node.id.to_string(), time, relations: Vec::new() }
}

/// The name of a predicate, for people.
pub(super) fn predicate_name(uri: &str) -> String {
    match predicate::TABLE.iter().find(|row| row.uri == uri) {
        Some(row) => row.name.to_owned(),
        None => uri.trim_start_matches("https://").to_owned(),
    }
}

/// Makes a statement readable.
pub(super) fn shown(row: &StatementRow, statement: &Statement) -> Shown {
    let claim = Claim::parse(statement);
    let mut marks = match &claim {
        Ok(claim) => marks(claim),
        Err(_) => vec![mark("malformed", "bad")],
    };
    if row.signer.is_none() {
        marks.push(mark("signer is not trusted", "bad"));
    }
    let verdict = match &claim {
        Ok(Claim::Verdict(verdict)) => Some(shown_verdict(verdict)),
        _ => None,
    };
    let place = match &row.elsewhere {
        None => format!("entry {} of this log", row.index),
        Some(elsewhere) => format!("entry {} of log {}", elsewhere.index, elsewhere.origin),
    };
    Shown {
        anchor: row.envelope.short(),
        href: format!("/statement/{}", row.envelope),
        name: predicate_name(&row.predicate),
        predicate_type: row.predicate.clone(),
        marks,
        signer: row.signer.clone().unwrap_or_else(|| "nobody trusted".to_owned()),
        time: row.stated.to_string(),
        payload: row.payload.to_string(),
        place,
        table: readable::table(&statement.predicate),
        raw: raw(statement),
        verdict,
    }
}

fn raw(statement: &Statement) -> String {
    let value = serde_json::to_value(statement).unwrap_or(Value::Null);
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

fn mark(text: impl Into<String>, state: &'static str) -> Mark {
    Mark { text: text.into(), state }
}

fn marks(claim: &Claim) -> Vec<Mark> {
    match claim {
        Claim::Run(run) => {
            let whole = if run.completeness.complete { mark("complete", "good") } else { mark("incomplete", "open") };
            vec![mark(format!("level {}", run.level), ""), whole]
        }
        Claim::Rebuilt(rebuilt) => vec![if rebuilt.equal { mark("equal", "good") } else { mark("differs", "bad") }],
        Claim::Test(test) => {
            vec![
                mark(test.suite.clone(), ""),
                if test.passed() { mark("passed", "good") } else { mark("failed", "bad") },
            ]
        }
        Claim::Sbom(sbom) => vec![mark(format!("{} of {} read", sbom.locked().0, sbom.locked().1), "")],
        Claim::Verdict(verdict) => {
            let place = verdict.environment.iter().map(|environment| mark(environment.clone(), ""));
            place.chain([mark(verdict.result.name(), outcome_state(verdict.result))]).collect()
        }
        Claim::Deployment(deployment) => vec![
            mark(deployment.environment.clone(), ""),
            if deployment.live { mark("went live", "good") } else { mark("failed", "bad") },
        ],
        Claim::Observation(observation) => vec![
            mark(observation.environment.clone(), ""),
            if observation.agrees() { mark("as deployed", "good") } else { mark("drift", "bad") },
        ],
        Claim::Publication(publication) => vec![mark(publication.repository.clone(), "")],
        Claim::Tag(tag) => vec![mark(format!("{}:{}", tag.repository, tag.tag), "")],
        Claim::Grant(grant) => vec![mark(format!("{} for {}", grant.role, grant.name), "")],
        Claim::Recipe(_) | Claim::Reference(_) | Claim::Policy(_) | Claim::Revocation(_) | Claim::Other => Vec::new(),
    }
}

/// The colour of an outcome.
pub(super) fn outcome_state(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "good",
        Outcome::Unknown => "open",
        Outcome::Fail => "bad",
    }
}

fn shown_verdict(verdict: &Verdict) -> ShownVerdict {
    let place = verdict.environment.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
    let summary = format!("{}{place} under policy {} at {}", verdict.subject.name, verdict.policy.name, verdict.at);
    let rules = verdict.rules.iter().map(|rule| ShownRule {
        name: rule.name.clone(),
        result: rule.result.name(),
        state: outcome_state(rule.result),
        found: rule.found.clone(),
        fix: rule.fix.clone(),
    });
    ShownVerdict { summary, rules: rules.collect() }
}

impl Server {
    /// Finds how far an artifact came.
    pub(super) async fn stages(&self, artifact: &ArtifactRow) -> Result<Vec<Stage>, Problem> {
        Ok(vec![
            commit_stage(artifact),
            self.build_stage(artifact).await?,
            self.test_stage(artifact).await?,
            self.gate_stage(artifact).await?,
            self.live_stage(artifact).await?,
        ])
    }

    async fn build_stage(&self, artifact: &ArtifactRow) -> Result<Stage, Problem> {
        let runs = self.ledger().runs(&artifact.recipe, &Page::first(store::ledger::PAGE_MAX)).await?;
        let Some(run) = runs.last() else {
            let href = Some(format!("/statement/{}", artifact.recipe));
            return Ok(Stage { stage: "build", what: "recipe only".to_owned(), state: "open", href });
        };
        let whole = if run.complete { "complete" } else { "incomplete" };
        let times = if runs.len() > 1 { format!(", {} runs", runs.len()) } else { String::new() };
        let state = if run.complete { "good" } else { "open" };
        let href = Some(format!("/statement/{}", run.payload));
        Ok(Stage { stage: "build", what: format!("{}, {whole}{times}", run.level), state, href })
    }

    async fn test_stage(&self, artifact: &ArtifactRow) -> Result<Stage, Problem> {
        let page = Page::first(store::ledger::PAGE_MAX);
        let mut rows = Vec::new();
        for digest in self.with_contents(artifact).await? {
            rows.extend(self.ledger().statements_about(&digest, Some(predicate::TEST), &page).await?);
        }
        let newest = rows.into_iter().filter(|row| row.signer.is_some()).max_by_key(|row| row.index);
        let Some(row) = newest else {
            return Ok(missing("tests", "not tested"));
        };
        let statement = self.statement(&row).await?;
        let (what, state) = match Claim::parse(&statement) {
            Ok(Claim::Test(test)) if test.passed() => (format!("{} passed", test.passed.len()), "good"),
            Ok(Claim::Test(test)) => (format!("{} failed", test.failed.len() + test.unstable.len()), "bad"),
            _ => ("unreadable".to_owned(), "bad"),
        };
        Ok(Stage { stage: "tests", what, state, href: Some(format!("/statement/{}", row.payload)) })
    }

    /// An artifact, and if it is an image the programs in it: a test of a program is a test of the image too.
    async fn with_contents(&self, artifact: &ArtifactRow) -> Result<Vec<Digest>, Problem> {
        let edges = self.ledger().edges(&[NodeId::digest(&artifact.digest)], Direction::Back).await?;
        let contained = edges.iter().filter(|edge| edge.relation == attest::relation::CONTAINS);
        let contained = contained.filter_map(|edge| edge.to.as_str().parse().ok());
        Ok(std::iter::once(artifact.digest).chain(contained).collect())
    }

    async fn gate_stage(&self, artifact: &ArtifactRow) -> Result<Stage, Problem> {
        let verdicts = self.ledger().verdicts(&artifact.digest, None, 1).await?;
        let Some(verdict) = verdicts.first() else { return Ok(missing("gate", "not judged")) };
        let state = Outcome::of_name(&verdict.result).map_or("bad", outcome_state);
        let place =
            if verdict.environment.is_empty() { String::new() } else { format!(" for {}", verdict.environment) };
        let href = Some(format!("/statement/{}", verdict.payload));
        Ok(Stage { stage: "gate", what: format!("{}{place}", verdict.result), state, href })
    }

    async fn live_stage(&self, artifact: &ArtifactRow) -> Result<Stage, Problem> {
        let page = Page::first(store::ledger::PAGE_MAX);
        let rows = self.ledger().deployments_of(&artifact.digest, &page).await?;
        let live = rows.iter().find(|row| row.live && row.to.is_none());
        let (row, what, state) = match (live, rows.first()) {
            (Some(row), _) => (row, row.environment.clone(), "good"),
            (None, Some(row)) if row.live => (row, format!("was in {}", row.environment), ""),
            (None, Some(row)) => (row, format!("failed in {}", row.environment), "bad"),
            (None, None) => return Ok(missing("live", "not deployed")),
        };
        Ok(Stage { stage: "live", what, state, href: Some(format!("/environment/{}", percent(&row.environment))) })
    }
}

fn commit_stage(artifact: &ArtifactRow) -> Stage {
    match &artifact.commit {
        Some(commit) => {
            let href = Some(format!("/node?id={}", percent(NodeId::commit(commit).as_str())));
            Stage { stage: "commit", what: commit.chars().take(12).collect(), state: "good", href }
        }
        None => missing("commit", "uncommitted"),
    }
}

fn missing(stage: &'static str, what: &str) -> Stage {
    Stage { stage, what: what.to_owned(), state: if stage == "commit" { "open" } else { "" }, href: None }
}
