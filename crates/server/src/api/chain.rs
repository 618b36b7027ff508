//! The chain: lineage, nodes, artifacts, environments.

use axum::extract::Path;
use model::lineage::{Direction, Node, NodeId};
use registry::access::Action;
use serde_json::{Value, json};
use store::ledger::{ArtifactRow, DeploymentRow, ObservationRow, Page};

use super::{Answer, Call, answer};
use crate::error::Problem;

/// Nodes from which one walk may start.
const STARTS_MAX: usize = 64;

/// `GET /api/v1/lineage?start=ID&direction=back|forward`
pub(crate) async fn lineage(call: Call) -> Answer {
    call.must(Action::Read)?;
    let direction = match call.query.first("direction").unwrap_or("back") {
        "back" => Direction::Back,
        "forward" => Direction::Forward,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(Problem::invalid(format!("`{other}` is no direction: expected `back` or `forward`"))
                .at("direction")
                .into());
        }
    };
    let start: Vec<NodeId> = call.query.all("start").map(|id| NodeId::stored(id.to_owned())).collect();
    if start.is_empty() || start.len() > STARTS_MAX {
        return Err(Problem::invalid(format!("`start` must be given 1 to {STARTS_MAX} times")).at("start").into());
    }
    let ledger = call.server.ledger();
    let walk = ledger.walk(start, direction).await?;
    let nodes = ledger.nodes(walk.ids()).await?;
    let edges: Vec<Value> = walk
        .edges()
        .iter()
        .map(|edge| json!({"from": edge.from.as_str(), "to": edge.to.as_str(), "relation": edge.relation}))
        .collect();
    let nodes: Vec<Value> = nodes.iter().map(node).collect();
    Ok(answer(json!({"nodes": nodes, "edges": edges, "truncated": walk.truncated()})))
}

/// `GET /api/v1/nodes?q=TEXT`
pub(crate) async fn nodes(call: Call) -> Answer {
    call.must(Action::Read)?;
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

/// `GET /api/v1/environments/{name}[?before=INDEX&n=]`
pub(crate) async fn environment(Path(name): Path<String>, call: Call) -> Answer {
    call.must(Action::Read)?;
    let page = Page { after: call.index("before")?, limit: call.page()? };
    let ledger = call.server.ledger();
    let mut services = Vec::new();
    for (_, service) in ledger.services().await?.into_iter().filter(|(environment, _)| *environment == name) {
        let mut shown = live_service(&call, &name, &service).await?;
        let history = ledger.deployments(&name, &service, &page).await?;
        shown["history"] = history.iter().map(deployment).collect();
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
