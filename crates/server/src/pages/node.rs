//! An artifact's page, and that of any other node: lineage, verdicts, statements.

use std::collections::BTreeMap;

use askama::Template;
use attest::predicate;
use axum::extract::Path;
use model::lineage::{Direction, Edge, Node, NodeId, Walk};
use store::ledger::{PAGE_MAX, Page as Rows, StatementRow};
use wire::digest::Digest;

use super::view::{self, Line, Shown, Stage};
use super::{Frame, Page, Visit};
use crate::error::Problem;
use crate::picture;

/// Nodes of one walk; the API's walk goes on to the end.
const NODES: usize = 1_000;

/// Statements that are shown in full, the newest.
const STATEMENTS: usize = 40;

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage {
    frame: Frame,
    title: String,
    kind: &'static str,
    id: String,
    stages: Vec<Stage>,
    places: Vec<String>,
    picture: String,
    left_out: usize,
    truncated: bool,
    nodes: Vec<Line>,
    verdicts: Vec<Shown>,
    statements: Vec<Shown>,
    statements_left_out: bool,
}

/// `GET /artifact/{digest}`
pub(crate) async fn artifact(Path(digest): Path<String>, visit: Visit) -> Page {
    visit.must_read()?;
    let digest: Digest = digest.parse().map_err(|_| Problem::not_found("that is no digest"))?;
    show(&visit, NodeId::digest(&digest)).await
}

/// `GET /node?id=ID`
pub(crate) async fn node(visit: Visit) -> Page {
    visit.must_read()?;
    let id = visit.query.first("id").unwrap_or_default().to_owned();
    show(&visit, NodeId::stored(id)).await
}

async fn show(visit: &Visit, id: NodeId) -> Page {
    let ledger = visit.server.ledger();
    let digest: Option<Digest> = id.as_str().parse().ok();
    if let Some(digest) = &digest {
        visit.server.must_read_digest(&visit.caller, digest).await?;
    }
    let known = ledger.nodes(std::slice::from_ref(&id)).await?;
    let node = known.into_iter().next().ok_or_else(|| Problem::not_found("the chain has no such node"))?;

    let (back, back_cut) = walk(visit, &id, Direction::Back).await?;
    let (forward, forward_cut) = walk(visit, &id, Direction::Forward).await?;
    let mut ids = back.ids().to_vec();
    ids.extend(forward.ids().iter().filter(|id| !back.ids().contains(id)).cloned());
    let nodes = ledger.nodes(&ids).await?;
    let mut edges = back.edges();
    edges.extend(forward.edges());
    edges.sort_unstable();
    edges.dedup();
    let drawn = picture::draw(&nodes, &edges, &id, &view::href);

    let (stages, places) = match &digest {
        Some(digest) => (stages(visit, digest).await?, places(visit, digest).await?),
        None => (Vec::new(), Vec::new()),
    };
    let (shown, statements_left_out) = statements(visit, digest.as_ref()).await?;
    let (verdicts, statements) = shown.into_iter().partition(|shown: &Shown| shown.verdict.is_some());
    visit.send(&NodePage {
        frame: visit.frame("artifacts"),
        title: if node.label.is_empty() { id.to_string() } else { node.label.clone() },
        kind: node.kind.name(),
        id: id.to_string(),
        stages,
        places,
        picture: drawn.svg,
        left_out: drawn.left_out,
        truncated: back_cut || forward_cut,
        nodes: lines(&nodes, &edges),
        verdicts,
        statements,
        statements_left_out,
    })
}

/// Walks until the end or [`NODES`]; also says whether it was cut there.
async fn walk(visit: &Visit, start: &NodeId, direction: Direction) -> Result<(Walk, bool), Problem> {
    let mut walk = Walk::new(vec![start.clone()], direction);
    while !walk.frontier().is_empty() {
        if walk.ids().len() > NODES {
            return Ok((walk, true));
        }
        let edges = visit.server.ledger().edges(&walk.frontier(), direction).await?;
        walk.feed(edges);
    }
    let cut = walk.truncated();
    Ok((walk, cut))
}

/// All nodes in words: each with what it came of.
fn lines(nodes: &[Node], edges: &[Edge]) -> Vec<Line> {
    let labels: BTreeMap<&NodeId, &str> = nodes.iter().map(|node| (&node.id, node.label.as_str())).collect();
    let mut parents: BTreeMap<&NodeId, Vec<(String, String)>> = BTreeMap::new();
    for edge in edges {
        let label = labels.get(&edge.to).copied().filter(|label| !label.is_empty()).unwrap_or(edge.to.as_str());
        parents.entry(&edge.from).or_default().push((reads(&edge.relation), label.to_owned()));
    }
    let with_parents = |node: &Node| {
        let mut line = view::line(node);
        line.relations = parents.remove(&node.id).unwrap_or_default();
        line
    };
    nodes.iter().map(with_parents).collect()
}

fn reads(relation: &str) -> String {
    let known = attest::RELATIONS.iter().find(|known| known.name == relation);
    known.map_or(relation, |known| known.reads).to_owned()
}

async fn stages(visit: &Visit, digest: &Digest) -> Result<Vec<Stage>, Problem> {
    match visit.server.ledger().artifact(digest).await? {
        Some(row) => visit.server.stages(&row).await,
        None => Ok(Vec::new()),
    }
}

/// Repositories and tags that hold a manifest.
async fn places(visit: &Visit, digest: &Digest) -> Result<Vec<String>, Problem> {
    let ledger = visit.server.ledger();
    let mut places = Vec::new();
    for repository in ledger.repositories_with(digest).await? {
        let tags = ledger.tags_of(&repository, digest).await?;
        places.extend(tags.iter().map(|row| format!("{repository}:{}", row.tag)));
        if tags.is_empty() {
            places.push(repository);
        }
    }
    Ok(places)
}

/// The newest statements about a digest, newest first, without those that say only where it was pushed.
async fn statements(visit: &Visit, digest: Option<&Digest>) -> Result<(Vec<Shown>, bool), Problem> {
    let Some(digest) = digest else { return Ok((Vec::new(), false)) };
    let mut rows: Vec<StatementRow> = Vec::new();
    let mut page = Rows { after: None, limit: PAGE_MAX };
    loop {
        let more = visit.server.ledger().statements_about(digest, None, &page).await?;
        page.after = more.last().map(|row| row.index);
        let last = more.len() < PAGE_MAX;
        rows.extend(more);
        if last {
            break;
        }
    }
    let left_out = rows.len() > STATEMENTS;
    let mut shown = Vec::new();
    // What the registry says of pushes is the most frequent and the least telling: it comes last.
    let routine = |row: &StatementRow| [predicate::PUBLICATION, predicate::TAG].contains(&row.predicate.as_str());
    rows.sort_by_key(|row| (routine(row), std::cmp::Reverse(row.index)));
    for row in rows.iter().take(STATEMENTS) {
        let statement = visit.server.statement(row).await?;
        shown.push(view::shown(row, &statement));
    }
    Ok((shown, left_out))
}
