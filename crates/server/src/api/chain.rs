//! The chain: lineage, nodes, artifacts, environments.

use axum::extract::Path;
use model::lineage::{Direction, Edge, Node, NodeId};
use registry::access::Action;
use serde_json::{Value, json};
use store::ledger::{ArtifactRow, DeploymentRow, EdgeCursor, ObservationRow, Page};

use super::{Answer, Call, answer, parse_digest};
use crate::error::Problem;

/// Nodes from which one walk may start, or whose edges are asked for at once.
const STARTS_MAX: usize = 64;

/// Nodes that one request may name.
const IDS_MAX: usize = 500;

/// `GET /api/v1/lineage?start=ID&direction=back|forward`
pub(crate) async fn lineage(call: Call) -> Answer {
    call.must(Action::Read)?;
    let direction = direction(&call)?;
    let start = node_ids(&call, "start", STARTS_MAX)?;
    let ledger = call.server.ledger();
    let walk = ledger.walk(start, direction).await?;
    let nodes = ledger.nodes(walk.ids()).await?;
    let edges: Vec<Value> = walk.edges().iter().map(edge).collect();
    let nodes: Vec<Value> = nodes.iter().map(node).collect();
    Ok(answer(json!({"nodes": nodes, "edges": edges, "truncated": walk.truncated()})))
}

/// `GET /api/v1/edges?node=ID&direction=back|forward[&after=CURSOR&n=]`: those at the nodes themselves, no walk.
pub(crate) async fn edges(call: Call) -> Answer {
    call.must(Action::Read)?;
    let direction = direction(&call)?;
    let nodes = node_ids(&call, "node", STARTS_MAX)?;
    let after = match call.query.first("after") {
        None => None,
        Some(text) => Some(cursor(text).ok_or_else(|| {
            Problem::invalid("`after` is no place in a list of edges").at("after").hint("send `next` as it came")
        })?),
    };
    let page = Page { after, limit: call.page()? };
    let (edges, next) = call.server.ledger().edges_of(&nodes, direction, &page).await?;
    let next = next.map(|next| format!("{}.{}.{}", next.node, next.other, next.relation));
    Ok(answer(json!({"edges": edges.iter().map(edge).collect::<Vec<_>>(), "next": next})))
}

/// `3.4711.12`
fn cursor(text: &str) -> Option<EdgeCursor> {
    let mut parts = text.splitn(3, '.');
    let cursor = EdgeCursor {
        node: parts.next()?.parse().ok()?,
        other: parts.next()?.parse().ok()?,
        relation: parts.next()?.parse().ok()?,
    };
    Some(cursor)
}

fn direction(call: &Call) -> Result<Direction, Problem> {
    match call.query.first("direction").unwrap_or("back") {
        "back" => Ok(Direction::Back),
        "forward" => Ok(Direction::Forward),
        other => {
            let other: String = other.chars().take(40).collect();
            Err(Problem::invalid(format!("`{other}` is no direction: expected `back` or `forward`")).at("direction"))
        }
    }
}

/// Reads nodes of the query: one to `most`.
fn node_ids(call: &Call, name: &'static str, most: usize) -> Result<Vec<NodeId>, Problem> {
    let nodes: Vec<NodeId> = call.query.all(name).map(|id| NodeId::stored(id.to_owned())).collect();
    match nodes.is_empty() || nodes.len() > most {
        true => Err(Problem::invalid(format!("`{name}` must be given 1 to {most} times")).at(name)),
        false => Ok(nodes),
    }
}

/// `GET /api/v1/nodes?q=TEXT` finds, `GET /api/v1/nodes?id=ID&id=…` names; what is not known is left out.
pub(crate) async fn nodes(call: Call) -> Answer {
    call.must(Action::Read)?;
    if call.query.first("id").is_some() {
        let ids = node_ids(&call, "id", IDS_MAX)?;
        let found = call.server.ledger().nodes(&ids).await?;
        return Ok(answer(json!({"nodes": found.iter().map(node).collect::<Vec<_>>()})));
    }
    let text = call.query.first("q").unwrap_or_default();
    let found = call.server.ledger().search(text, call.page()?).await?;
    Ok(answer(json!({"nodes": found.iter().map(node).collect::<Vec<_>>()})))
}

/// `GET /api/v1/artifacts[?before=INDEX&n=&name=&project=&commit=]`
pub(crate) async fn artifacts(call: Call) -> Answer {
    call.must(Action::Read)?;
    let limit = call.page()?;
    let page = Page { after: call.index("before")?, limit };
    let ledger = call.server.ledger();
    let rows = match (call.query.first("name"), call.query.first("project"), call.query.first("commit")) {
        (Some(name), _, _) => ledger.artifacts_by_name(name, &page).await?,
        (_, Some(project), _) => ledger.artifacts_by_project(project, &page).await?,
        (_, _, Some(commit)) => ledger.artifacts_by_commit(commit, &page).await?,
        _ => ledger.newest_artifacts(&page).await?,
    };
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.index);
    Ok(answer(json!({"artifacts": rows.iter().map(artifact).collect::<Vec<_>>(), "next": next})))
}

/// `GET /api/v1/artifacts/{digest}`
pub(crate) async fn artifact_by_digest(Path(digest): Path<String>, call: Call) -> Answer {
    let digest = parse_digest("digest", &digest)?;
    call.must_read(&digest).await?;
    let row = call.server.ledger().artifact(&digest).await?;
    let row = row.ok_or_else(|| Problem::not_found("no statement says that this was built").at(digest.to_string()))?;
    Ok(answer(json!({"artifact": artifact(&row)})))
}

/// `GET /api/v1/policies/{name}`: the newest on record under that name.
pub(crate) async fn policy(Path(name): Path<String>, call: Call) -> Answer {
    call.must(Action::Read)?;
    let row = call.server.ledger().newest_policy(&name).await?;
    let row = row.ok_or_else(|| Problem::not_found("no policy of that name is on record").at(name))?;
    Ok(answer(json!({"policy": {
        "name": row.name, "digest": row.digest, "statement": row.payload, "index": row.index, "time": row.stated,
    }})))
}

/// `GET /api/v1/environments`
pub(crate) async fn environments(call: Call) -> Answer {
    call.must(Action::Read)?;
    let mut list: Vec<Value> = Vec::new();
    for (environment, service) in call.server.ledger().services().await? {
        let shown = live_service(&call, &environment, &service).await?;
        match list.last_mut().filter(|last| last["name"] == environment.as_str()) {
            Some(last) => last["services"].as_array_mut().into_iter().for_each(|services| services.push(shown.clone())),
            None => list.push(json!({"name": environment, "services": [shown]})),
        }
    }
    Ok(answer(json!({"environments": list})))
}

/// `GET /api/v1/environments/{name}[?service=NAME&before=INDEX&n=]`
pub(crate) async fn environment(Path(name): Path<String>, call: Call) -> Answer {
    call.must(Action::Read)?;
    let page = Page { after: call.index("before")?, limit: call.page()? };
    let ledger = call.server.ledger();
    let mut services = Vec::new();
    let wanted = call.query.first("service");
    let here = |(environment, service): &(String, String)| {
        *environment == name && wanted.is_none_or(|wanted| service == wanted)
    };
    for (_, service) in ledger.services().await?.into_iter().filter(here) {
        let mut shown = live_service(&call, &name, &service).await?;
        let history = ledger.deployments(&name, &service, &page).await?;
        shown["history"] = history.iter().map(deployment).collect();
        shown["next"] = json!(history.last().filter(|_| history.len() == page.limit).map(|row| row.index));
        services.push(shown);
    }
    if services.is_empty() {
        return Err(Problem::not_found("nothing was deployed to an environment of this name").at(name).into());
    }
    Ok(answer(json!({"name": name, "services": services})))
}

async fn live_service(call: &Call, environment: &str, service: &str) -> Result<Value, Problem> {
    let live = call.server.ledger().newest_live(environment, service).await?;
    let seen = call.server.ledger().newest_observation(environment, service).await?;
    Ok(
        json!({"service": service, "live": live.as_ref().map(deployment), "observation": seen.as_ref().map(observation)}),
    )
}

/// A node as `why` and `where` show it.
pub(crate) fn node(node: &Node) -> Value {
    let digest = Some(node.id.as_str()).filter(|id| id.parse::<wire::digest::Digest>().is_ok());
    json!({
        "id": node.id.as_str(), "kind": node.kind.name(), "digest": digest, "label": node.label,
        "time": node.time.map(|time| time.to_string()),
    })
}

fn edge(edge: &Edge) -> Value {
    json!({"from": edge.from.as_str(), "to": edge.to.as_str(), "relation": edge.relation})
}

fn artifact(row: &ArtifactRow) -> Value {
    json!({
        "digest": row.digest, "name": row.name, "project": row.project, "kind": row.kind, "commit": row.commit,
        "recipe": row.recipe, "index": row.index, "built": row.built,
    })
}

fn deployment(row: &DeploymentRow) -> Value {
    json!({
        "statement": row.payload, "index": row.index, "artifact": row.artifact, "digest": row.digest,
        "verdict": row.verdict, "action": row.action, "live": row.live, "actor": row.actor, "from": row.from,
        "to": row.to,
    })
}

fn observation(row: &ObservationRow) -> Value {
    json!({
        "statement": row.payload, "index": row.index, "expected": row.expected, "observed": row.observed,
        "agrees": row.observed == Some(row.expected), "at": row.seen,
    })
}
