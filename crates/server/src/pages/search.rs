//! Search: a whole digest leads to its page, anything else to a list.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use model::lineage::NodeId;
use wire::digest::Digest;

use super::view::{self, Line};
use super::{Frame, Page, Visit};

/// Results that are shown.
const RESULTS: usize = 100;

/// The longest text that is looked for.
const TEXT_MAX: usize = 300;

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    frame: Frame,
    results: Vec<Line>,
    more: bool,
}

/// `GET /search?q=TEXT`
pub(crate) async fn search(visit: Visit) -> Page {
    visit.must_read()?;
    let text: String = visit.query.first("q").unwrap_or_default().trim().chars().take(TEXT_MAX).collect();
    if let Some(place) = exact(&visit, &text).await? {
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, place)], ()).into_response());
    }
    let nodes = visit.server.ledger().search(&text, RESULTS).await?;
    let more = nodes.len() == RESULTS;
    visit.send(&Search { frame: visit.frame(""), results: nodes.iter().map(view::line).collect(), more })
}

/// The page of exactly that node, or of the statement in that envelope.
async fn exact(visit: &Visit, text: &str) -> Result<Option<String>, crate::error::Problem> {
    let ledger = visit.server.ledger();
    let nodes = ledger.nodes(&[NodeId::stored(text.to_owned())]).await?;
    if let Some(place) = nodes.first().and_then(view::href) {
        return Ok(Some(place));
    }
    let Ok(digest) = text.parse::<Digest>() else { return Ok(None) };
    let row = ledger.statement_by_envelope(&digest).await?;
    Ok(row.map(|row| format!("/statement/{}", row.envelope)))
}
