//! The log's page.

use askama::Template;
use store::ledger::Page as Rows;

use super::view::predicate_name;
use super::{Frame, Page, Visit};

/// Statements in one page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "log.html")]
struct Log {
    frame: Frame,
    key: String,
    checkpoint: String,
    entries: Vec<Entry>,
    next: Option<String>,
}

struct Entry {
    index: u64,
    time: String,
    name: String,
    href: String,
    about: String,
    signer: String,
}

/// `GET /log[?before=INDEX]`
pub(crate) async fn log(visit: Visit) -> Page {
    visit.must_read()?;
    let rows = Rows { after: visit.before()?, limit: PAGE };
    let rows = visit.server.ledger().newest_statements(None, &rows).await?;
    let next = rows.last().filter(|_| rows.len() == PAGE).map(|row| format!("/log?before={}", row.index));
    let entries = rows.into_iter().map(|row| Entry {
        index: row.index,
        time: row.logged.to_string(),
        name: predicate_name(&row.predicate),
        href: format!("/statement/{}", row.envelope),
        about: row.subject.unwrap_or_default(),
        signer: row.signer.unwrap_or_else(|| "nobody trusted".to_owned()),
    });
    visit.send(&Log {
        frame: visit.frame("log"),
        key: visit.server.log().note_key().to_string(),
        checkpoint: visit.server.log().checkpoint().to_string(),
        entries: entries.collect(),
        next,
    })
}
