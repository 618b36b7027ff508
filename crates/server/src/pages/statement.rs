//! One statement's page.

use askama::Template;
use axum::extract::Path;
use model::lineage::NodeId;
use wire::digest::Digest;

use super::view::{self, Shown};
use super::{Frame, Page, Visit};
use crate::error::Problem;

/// Subjects that are shown.
const SUBJECTS: usize = 50;

#[derive(Template)]
#[template(path = "statement.html")]
struct StatementPage {
    frame: Frame,
    statement: Shown,
    subjects: Vec<SubjectLine>,
    envelope: String,
    lineage: String,
    others: Vec<(String, String)>,
}

struct SubjectLine {
    label: String,
    href: Option<String>,
    id: String,
}

/// `GET /statement/{digest}`: by payload or by envelope.
pub(crate) async fn one(Path(digest): Path<String>, visit: Visit) -> Page {
    visit.must_read()?;
    let unknown = || Problem::not_found("there is no such statement");
    let digest: Digest = digest.parse().map_err(|_| unknown())?;
    let ledger = visit.server.ledger();
    let by_envelope = ledger.statement_by_envelope(&digest).await?;
    let payload = by_envelope.as_ref().map_or(digest, |row| row.payload);
    let rows = ledger.statements_by_payload(&payload).await?;
    let row = by_envelope.as_ref().or(rows.first()).ok_or_else(unknown)?;
    visit.server.must_read_statement(&visit.caller, row).await?;
    let statement = visit.server.statement(row).await?;
    let others = rows.iter().filter(|other| other.envelope != row.envelope);
    let others = others.map(|other| {
        (format!("/statement/{}", other.envelope), other.signer.clone().unwrap_or_else(|| "nobody trusted".to_owned()))
    });

    let pairs: Vec<(String, Digest)> = statement
        .subject
        .iter()
        .flat_map(|subject| {
            let name = subject.name.clone().unwrap_or_default();
            subject.digests().map(move |digest| (name.clone(), digest))
        })
        .take(SUBJECTS)
        .collect();
    let ids: Vec<NodeId> = pairs.iter().map(|(_, digest)| NodeId::digest(digest)).collect();
    let nodes = ledger.nodes(&ids).await?;
    let subjects = pairs.into_iter().map(|(label, digest)| {
        let node = nodes.iter().find(|node| node.id == NodeId::digest(&digest));
        let id = digest.to_string();
        SubjectLine { label: if label.is_empty() { id.clone() } else { label }, href: node.and_then(view::href), id }
    });
    visit.send(&StatementPage {
        frame: visit.frame("log"),
        subjects: subjects.collect(),
        envelope: row.envelope.to_string(),
        lineage: format!("/node?id={}", row.payload),
        others: others.collect(),
        statement: view::shown(row, &statement),
    })
}
