//! Questions about several things at once, in pages: what a client asks that cannot afford one question for each.

use model::lineage::{Direction, Edge, NodeId};
use sqlx::{QueryBuilder, Row, Sqlite};
use wire::digest::Digest;

use super::apply::integer;
use super::chain::STATEMENT_COLUMNS;
use super::rows::{FromRow, StatementRow};
use super::{Ledger, LedgerError, PAGE_MAX, Page};

type Result<T> = std::result::Result<T, LedgerError>;

/// Where a page of edges ended: good for as long as the tables are not made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeCursor {
    /// Which of the nodes that were asked about, from 0.
    pub node: usize,
    /// Number of the node at the other end of the last edge.
    pub other: i64,
    /// Number of its relation.
    pub relation: i64,
}

impl Ledger {
    /// Returns the statements with some payloads, by their place in the log: a page begins after an index.
    pub async fn statements_by_payloads(&self, payloads: &[Digest], page: &Page<u64>) -> Result<Vec<StatementRow>> {
        if payloads.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::<Sqlite>::new(STATEMENT_COLUMNS);
        query.push("WHERE s.log = ").push_bind(self.log());
        query.push(" AND s.log_index > ").push_bind(page.after.map_or(-1, integer));
        query.push(" AND s.payload IN (");
        let mut list = query.separated(", ");
        for payload in payloads {
            list.push_bind(payload.to_string());
        }
        query.push(") ORDER BY s.log_index LIMIT ").push_bind(page.rows());
        let rows = query.build().fetch_all(&self.reading().await.read).await?;
        Ok(rows.iter().map(StatementRow::from_row).collect::<sqlx::Result<_>>()?)
    }

    /// Returns a page of the edges from (back) or to (forward) some nodes, node by node, and where the next begins;
    /// `None` for the last page.
    pub async fn edges_of(
        &self,
        nodes: &[NodeId],
        direction: Direction,
        page: &Page<EdgeCursor>,
    ) -> Result<(Vec<Edge>, Option<EdgeCursor>)> {
        let mut after = page.after.unwrap_or_default();
        let limit = page.limit.clamp(1, PAGE_MAX);
        let mut edges = Vec::new();
        for (position, node) in nodes.iter().enumerate().skip(after.node) {
            if position > after.node {
                after = EdgeCursor { node: position, ..EdgeCursor::default() };
            }
            let wanted = limit - edges.len();
            let rows = self.edges_at(node, direction, after, wanted).await?;
            let full = rows.len() == wanted;
            for (edge, other, relation) in rows {
                edges.push(edge);
                after = EdgeCursor { node: position, other, relation };
            }
            if full {
                return Ok((edges, Some(after)));
            }
        }
        Ok((edges, None))
    }

    async fn edges_at(
        &self,
        node: &NodeId,
        direction: Direction,
        after: EdgeCursor,
        limit: usize,
    ) -> Result<Vec<(Edge, i64, i64)>> {
        let query = sqlx::query(match direction {
            Direction::Back => {
                "SELECT o.name, t.text, e.parent, e.relation FROM edges e JOIN nodes o ON o.node = e.parent \
                 JOIN terms t ON t.term = e.relation WHERE e.log = $1 \
                 AND e.child = (SELECT node FROM nodes WHERE log = $1 AND name = $2) \
                 AND (e.parent, e.relation) > ($3, $4) ORDER BY e.parent, e.relation LIMIT $5"
            }
            Direction::Forward => {
                "SELECT o.name, t.text, e.child, e.relation FROM edges e JOIN nodes o ON o.node = e.child \
                 JOIN terms t ON t.term = e.relation WHERE e.log = $1 \
                 AND e.parent = (SELECT node FROM nodes WHERE log = $1 AND name = $2) \
                 AND (e.child, e.relation) > ($3, $4) ORDER BY e.child, e.relation LIMIT $5"
            }
        });
        let query = query.bind(self.log()).bind(node.as_str().to_owned());
        let query = query.bind(after.other).bind(after.relation).bind(limit as i64);
        let mut found = Vec::new();
        for row in query.fetch_all(&self.reading().await.read).await? {
            let other = NodeId::stored(row.try_get(0)?);
            let (from, to) = match direction {
                Direction::Back => (node.clone(), other),
                Direction::Forward => (other, node.clone()),
            };
            found.push((Edge { from, to, relation: row.try_get(1)? }, row.try_get(2)?, row.try_get(3)?));
        }
        Ok(found)
    }
}
