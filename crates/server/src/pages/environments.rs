//! Environments: what is live, what was, and what was seen to run.

use askama::Template;
use axum::extract::Path;
use model::lineage::{Direction, NodeId};
use store::ledger::{DeploymentRow, Page as Rows};

use super::view::{self, Named};
use super::{Frame, Page, Visit};
use crate::error::Problem;
use crate::send::percent;

/// Deployments of one service, and observations, that are shown.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "environments.html")]
struct Environments {
    frame: Frame,
    environments: Vec<EnvironmentCard>,
}

struct EnvironmentCard {
    name: String,
    href: String,
    services: Vec<Service>,
}

#[derive(Template)]
#[template(path = "environment.html")]
struct Environment {
    frame: Frame,
    name: String,
    lineage: String,
    services: Vec<Service>,
    history: Vec<HistoryRow>,
    observations: Vec<ObservationLine>,
}

/// A service and what is live of it.
struct Service {
    name: String,
    live: Option<Named>,
    since: String,
    seen: Option<Seen>,
}

/// The newest observation.
struct Seen {
    text: &'static str,
    state: &'static str,
    time: String,
}

struct HistoryRow {
    from: String,
    until: Option<String>,
    now: &'static str,
    state: &'static str,
    service: String,
    artifact: Named,
    action: String,
    statement: String,
    actor: String,
}

struct ObservationLine {
    time: String,
    label: String,
    statement: String,
}

/// `GET /environments`
pub(crate) async fn all(visit: Visit) -> Page {
    visit.must_read()?;
    let mut environments: Vec<EnvironmentCard> = Vec::new();
    for (environment, service) in visit.server.ledger().services().await? {
        let service = live(&visit, &environment, service).await?;
        match environments.last_mut().filter(|last| last.name == environment) {
            Some(last) => last.services.push(service),
            None => {
                let href = format!("/environment/{}", percent(&environment));
                environments.push(EnvironmentCard { name: environment, href, services: vec![service] });
            }
        }
    }
    visit.send(&Environments { frame: visit.frame("environments"), environments })
}

/// `GET /environment/{name}`
pub(crate) async fn one(Path(name): Path<String>, visit: Visit) -> Page {
    visit.must_read()?;
    let ledger = visit.server.ledger();
    let mut services = Vec::new();
    let mut rows: Vec<DeploymentRow> = Vec::new();
    for (_, service) in ledger.services().await?.into_iter().filter(|(environment, _)| *environment == name) {
        rows.extend(ledger.deployments(&name, &service, &Rows::first(ROWS)).await?);
        services.push(live(&visit, &name, service).await?);
    }
    if services.is_empty() {
        return Err(Problem::not_found("nothing was deployed to an environment of this name").into());
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.index));
    visit.send(&Environment {
        frame: visit.frame("environments"),
        lineage: format!("/node?id={}", percent(NodeId::environment(&name).as_str())),
        services,
        history: rows.into_iter().take(ROWS).map(history_row).collect(),
        observations: observations(&visit, &name).await?,
        name,
    })
}

async fn live(visit: &Visit, environment: &str, service: String) -> Result<Service, Problem> {
    let ledger = visit.server.ledger();
    let live = ledger.newest_live(environment, &service).await?;
    let seen = ledger.newest_observation(environment, &service).await?.map(|row| {
        let (text, state) = match row.observed {
            Some(observed) if observed == row.expected => ("runs as deployed", "good"),
            Some(_) => ("something else runs", "bad"),
            None => ("nothing runs", "bad"),
        };
        Seen { text, state, time: row.seen.to_string() }
    });
    Ok(Service {
        name: service,
        since: live.as_ref().map(|row| row.from.to_string()).unwrap_or_default(),
        live: live.map(|row| view::named(&row.artifact, &row.digest)),
        seen,
    })
}

fn history_row(row: DeploymentRow) -> HistoryRow {
    let (now, state) = if row.live { ("live", "good") } else { ("failed", "bad") };
    HistoryRow {
        from: row.from.to_string(),
        until: row.to.map(|to| to.to_string()),
        now,
        state,
        service: row.service,
        artifact: view::named(&row.artifact, &row.digest),
        action: row.action,
        statement: format!("/statement/{}", row.payload),
        actor: row.actor,
    }
}

/// The newest observations, by the edges that lead to the environment.
async fn observations(visit: &Visit, environment: &str) -> Result<Vec<ObservationLine>, Problem> {
    let ledger = visit.server.ledger();
    let edges = ledger.edges(&[NodeId::environment(environment)], Direction::Forward).await?;
    let made_in = edges.into_iter().filter(|edge| edge.relation == attest::relation::IN);
    let ids: Vec<NodeId> = made_in.map(|edge| edge.from).collect();
    let mut nodes = ledger.nodes(&ids).await?;
    nodes.sort_by_key(|node| std::cmp::Reverse(node.time));
    let line = |node: &model::lineage::Node| ObservationLine {
        time: node.time.map(|time| time.to_string()).unwrap_or_default(),
        label: node.label.clone(),
        statement: format!("/statement/{}", node.id),
    };
    Ok(nodes.iter().take(ROWS).map(line).collect())
}
