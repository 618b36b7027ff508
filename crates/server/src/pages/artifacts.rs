//! The first page: the newest artifacts and how far each came.

use askama::Template;
use store::ledger::Page as Rows;

use super::view::Stage;
use super::{Frame, Page, Visit};

/// Artifacts in one page.
const PAGE: usize = 20;

#[derive(Template)]
#[template(path = "artifacts.html")]
struct Artifacts {
    frame: Frame,
    artifacts: Vec<Card>,
    next: Option<String>,
}

struct Card {
    href: String,
    name: String,
    kind: String,
    short: String,
    time: Option<String>,
    stages: Vec<Stage>,
}

/// `GET /[?before=INDEX]`
pub(crate) async fn newest(visit: Visit) -> Page {
    visit.must_read()?;
    let rows = visit.server.ledger().newest_artifacts(&Rows { after: visit.before()?, limit: PAGE }).await?;
    let next = rows.last().filter(|_| rows.len() == PAGE).map(|row| format!("/?before={}", row.index));
    let mut artifacts = Vec::new();
    for row in &rows {
        artifacts.push(Card {
            href: format!("/artifact/{}", row.digest),
            name: row.name.clone(),
            kind: row.kind.clone(),
            short: row.digest.short(),
            time: Some(row.built.to_string()),
            stages: visit.server.stages(row).await?,
        });
    }
    visit.send(&Artifacts { frame: visit.frame("artifacts"), artifacts, next })
}
