//! Questions about the chain: statements, nodes and edges, artifacts, verdicts, deployments.

use std::collections::BTreeSet;

use model::lineage::{Direction, Edge, Kind, Node, NodeId, Walk};
use sqlx::{QueryBuilder, Row, Sqlite};
use wire::digest::Digest;
use wire::timestamp::Timestamp;

use super::apply::integer;
use super::rows::{
    ArtifactRow, BareEntryRow, DeploymentRow, ObservationRow, PolicyRow, RunRow, StatementRow, VerdictRow,
};
use super::{Ledger, LedgerError, PAGE_MAX};

type Result<T> = std::result::Result<T, LedgerError>;

/// How many names one query asks for: SQLite's limit on parameters is 32,766, and long queries gain nothing.
const NAMES_A_QUERY: usize = 500;

/// Columns of a [`StatementRow`].
macro_rules! statement_columns {
    ($rest:literal) => {
        concat!(
            "SELECT s.log_index, s.payload, s.envelope, t.text AS predicate_type, s.signer, s.key_id, s.subject, ",
            "s.stated_unix_s, s.logged_unix_s, s.origin, s.origin_index, s.bundle FROM statements s JOIN terms t ON t.term = s.predicate ",
            $rest
        )
    };
}

pub(super) const STATEMENT_COLUMNS: &str = statement_columns!("");

/// Columns of an [`ArtifactRow`].
macro_rules! artifact_columns {
    ($rest:literal) => {
        concat!(
            "SELECT digest, name, project, kind, commit_id, recipe, last_index, built_unix_s FROM artifacts ",
            $rest
        )
    };
}

/// Columns of a [`DeploymentRow`].
macro_rules! deployment_columns {
    ($rest:literal) => {
        concat!(
            "SELECT log_index, payload, environment, service, artifact, digest, verdict, action, live, actor, ",
            "from_unix_s, to_unix_s FROM deployments ",
            $rest
        )
    };
}

/// Where a page of a list begins and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The last element of the page before; `None` for the first page.
    pub after: Option<T>,
    /// How many elements are wanted, at most [`PAGE_MAX`].
    pub limit: usize,
}

impl<T> Page<T> {
    /// The first page.
    pub fn first(limit: usize) -> Page<T> {
        Page { after: None, limit }
    }

    pub(super) fn rows(&self) -> i64 {
        self.limit.min(PAGE_MAX) as i64
    }
}

impl Page<u64> {
    /// For lists that run from new to old.
    fn before(&self) -> i64 {
        self.after.map_or(i64::MAX, integer)
    }
}

impl Ledger {
    /// Returns log entries that name a digest and came without what was signed, oldest first: a page begins after an index.
    pub async fn bare_entries_about(&self, digest: &Digest, page: &Page<u64>) -> Result<Vec<BareEntryRow>> {
        let query = sqlx::query(
            "SELECT log_index, key_id, kind, logged_unix_s FROM bare_entries \
             WHERE log = $1 AND digest = $2 AND log_index > $3 ORDER BY log_index LIMIT $4",
        );
        let query = query.bind(self.log()).bind(digest.to_string()).bind(page.after.map_or(-1, integer));
        self.rows(query.bind(page.rows())).await
    }

    /// Returns the statements about a digest, oldest first, of one predicate type or of any.
    pub async fn statements_about(
        &self,
        digest: &Digest,
        predicate: Option<&str>,
        page: &Page<u64>,
    ) -> Result<Vec<StatementRow>> {
        let query = match predicate {
            None => sqlx::query(statement_columns!(
                "WHERE s.log = $1 AND s.log_index IN (SELECT log_index FROM subjects WHERE log = $1 AND digest = $2 \
                 AND log_index > $3) ORDER BY s.log_index LIMIT $4"
            )),
            Some(_) => sqlx::query(statement_columns!(
                "WHERE s.log = $1 AND s.log_index IN (SELECT log_index FROM subjects WHERE log = $1 AND digest = $2 \
                 AND predicate = (SELECT term FROM terms WHERE text = $5) AND log_index > $3) \
                 ORDER BY s.log_index LIMIT $4"
            )),
        };
        let after = page.after.map_or(-1, integer);
        let query = query.bind(self.log()).bind(digest.to_string()).bind(after).bind(page.rows());
        self.rows(if predicate.is_some() { query.bind(predicate.map(str::to_owned)) } else { query }).await
    }

    /// Returns the newest statements, newest first, of one predicate type or of any.
    pub async fn newest_statements(&self, predicate: Option<&str>, page: &Page<u64>) -> Result<Vec<StatementRow>> {
        let query = match predicate {
            None => sqlx::query(statement_columns!(
                "WHERE s.log = $1 AND s.log_index < $2 ORDER BY s.log_index DESC LIMIT $3"
            )),
            Some(_) => sqlx::query(statement_columns!(
                "WHERE s.log = $1 AND s.log_index < $2 AND s.predicate = (SELECT term FROM terms WHERE text = $4) \
                 ORDER BY s.log_index DESC LIMIT $3"
            )),
        };
        let query = query.bind(self.log()).bind(page.before()).bind(page.rows());
        self.rows(if predicate.is_some() { query.bind(predicate.map(str::to_owned)) } else { query }).await
    }

    /// Returns the statements that a key has signed, oldest first. It reads every statement's row: for the administrator.
    pub async fn statements_signed_by(&self, key: &Digest, page: &Page<u64>) -> Result<Vec<StatementRow>> {
        let query = sqlx::query(statement_columns!(
            "WHERE s.log = $1 AND s.log_index > $2 AND s.key_id = $3 ORDER BY s.log_index LIMIT $4"
        ));
        let query = query.bind(self.log()).bind(page.after.map_or(-1, integer)).bind(key.to_string());
        self.rows(query.bind(page.rows())).await
    }

    /// Returns the statements with that payload, oldest first: several, when several signed it.
    pub async fn statements_by_payload(&self, payload: &Digest) -> Result<Vec<StatementRow>> {
        let query =
            sqlx::query(statement_columns!("WHERE s.log = $1 AND s.payload = $2 ORDER BY s.log_index LIMIT $3"));
        self.rows(query.bind(self.log()).bind(payload.to_string()).bind(PAGE_MAX as i64)).await
    }

    /// Returns the statement in that envelope.
    pub async fn statement_by_envelope(&self, envelope: &Digest) -> Result<Option<StatementRow>> {
        let query =
            sqlx::query(statement_columns!("WHERE s.log = $1 AND s.envelope = $2 ORDER BY s.log_index LIMIT 1"));
        self.row(query.bind(self.log()).bind(envelope.to_string())).await
    }

    /// Returns the statement of a log entry.
    pub async fn statement_by_index(&self, index: u64) -> Result<Option<StatementRow>> {
        let query = sqlx::query(statement_columns!("WHERE s.log = $1 AND s.log_index = $2"));
        self.row(query.bind(self.log()).bind(integer(index))).await
    }

    /// Returns all edges from (back) or to (forward) some nodes: what [`Walk::feed`] wants for a frontier.
    pub async fn edges(&self, frontier: &[NodeId], direction: Direction) -> Result<Vec<Edge>> {
        let mut edges = Vec::new();
        for names in frontier.chunks(NAMES_A_QUERY) {
            let mut query = QueryBuilder::<Sqlite>::new(match direction {
                Direction::Back => {
                    "SELECT f.name AS child, o.name AS parent, t.text AS relation FROM nodes f \
                     JOIN edges e ON e.log = f.log AND e.child = f.node JOIN nodes o ON o.node = e.parent "
                }
                Direction::Forward => {
                    "SELECT o.name AS child, f.name AS parent, t.text AS relation FROM nodes f \
                     JOIN edges e ON e.log = f.log AND e.parent = f.node JOIN nodes o ON o.node = e.child "
                }
            });
            query.push("JOIN terms t ON t.term = e.relation WHERE f.log = ").push_bind(self.log());
            push_names(query.push(" AND f.name IN "), names);
            for row in query.build().fetch_all(&self.reading().await.read).await? {
                edges.push(Edge {
                    from: NodeId::stored(row.try_get("child")?),
                    to: NodeId::stored(row.try_get("parent")?),
                    relation: row.try_get("relation")?,
                });
            }
        }
        edges.sort_unstable();
        Ok(edges)
    }

    /// Walks the chain to its end, or to the walk's own limit.
    pub async fn walk(&self, start: Vec<NodeId>, direction: Direction) -> Result<Walk> {
        let mut walk = Walk::new(start, direction);
        while !walk.frontier().is_empty() {
            let edges = self.edges(&walk.frontier(), direction).await?;
            walk.feed(edges);
        }
        Ok(walk)
    }

    /// Returns those of some nodes that are known, in the order asked for.
    pub async fn nodes(&self, ids: &[NodeId]) -> Result<Vec<Node>> {
        let mut found = std::collections::BTreeMap::new();
        for names in ids.chunks(NAMES_A_QUERY) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "SELECT name, kind, label, time_unix_s FROM nodes WHERE kind IS NOT NULL AND log = ",
            );
            query.push_bind(self.log());
            push_names(query.push(" AND name IN "), names);
            for row in query.build().fetch_all(&self.reading().await.read).await? {
                let node = node(&row)?;
                found.insert(node.id.clone(), node);
            }
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Finds nodes by what a user types: the beginning of a name, label, commit, digest or package.
    pub async fn search(&self, text: &str, limit: usize) -> Result<Vec<Node>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = BTreeSet::new();
        let mut nodes = Vec::new();
        let mut starts: Vec<String> = NAME_PREFIXES.iter().map(|prefix| format!("{prefix}{text}")).collect();
        starts.push(text.to_owned());
        for start in starts {
            let query = sqlx::query(
                "SELECT name, kind, label, time_unix_s FROM nodes WHERE kind IS NOT NULL AND log = $1 \
                 AND name >= $2 AND name < $3 ORDER BY name LIMIT $4",
            );
            self.found(query, &start, limit, &mut ids, &mut nodes).await?;
        }
        let query = sqlx::query(
            "SELECT name, kind, label, time_unix_s FROM nodes WHERE kind IS NOT NULL AND log = $1 \
             AND label >= $2 AND label < $3 ORDER BY label, name LIMIT $4",
        );
        self.found(query, text, limit, &mut ids, &mut nodes).await?;
        nodes.truncate(limit.min(PAGE_MAX));
        Ok(nodes)
    }

    async fn found(
        &self,
        query: super::Query,
        start: &str,
        limit: usize,
        ids: &mut BTreeSet<NodeId>,
        nodes: &mut Vec<Node>,
    ) -> Result<()> {
        let end = format!("{start}\u{10ffff}");
        let query = query.bind(self.log()).bind(start.to_owned()).bind(end).bind(limit.min(PAGE_MAX) as i64);
        for row in query.fetch_all(&self.reading().await.read).await? {
            let node = node(&row)?;
            if ids.insert(node.id.clone()) {
                nodes.push(node);
            }
        }
        Ok(())
    }

    /// Returns what was built last, newest first.
    pub async fn newest_artifacts(&self, page: &Page<u64>) -> Result<Vec<ArtifactRow>> {
        let query = sqlx::query(artifact_columns!(
            "WHERE log = $1 AND last_index < $2 ORDER BY last_index DESC, name LIMIT $3"
        ));
        self.rows(query.bind(self.log()).bind(page.before()).bind(page.rows())).await
    }

    /// Returns an artifact by its digest.
    pub async fn artifact(&self, digest: &Digest) -> Result<Option<ArtifactRow>> {
        let query = sqlx::query(artifact_columns!("WHERE log = $1 AND digest = $2"));
        self.row(query.bind(self.log()).bind(digest.to_string())).await
    }

    /// Returns the artifacts of a name, newest first.
    pub async fn artifacts_by_name(&self, name: &str, page: &Page<u64>) -> Result<Vec<ArtifactRow>> {
        let query = sqlx::query(artifact_columns!(
            "WHERE log = $1 AND name = $2 AND last_index < $3 ORDER BY last_index DESC LIMIT $4"
        ));
        self.rows(query.bind(self.log()).bind(name.to_owned()).bind(page.before()).bind(page.rows())).await
    }

    /// Returns the artifacts of a project, newest first.
    pub async fn artifacts_by_project(&self, project: &str, page: &Page<u64>) -> Result<Vec<ArtifactRow>> {
        let query = sqlx::query(artifact_columns!(
            "WHERE log = $1 AND project = $2 AND last_index < $3 ORDER BY last_index DESC, name LIMIT $4"
        ));
        self.rows(query.bind(self.log()).bind(project.to_owned()).bind(page.before()).bind(page.rows())).await
    }

    /// Returns the artifacts of a commit, newest first.
    pub async fn artifacts_by_commit(&self, commit: &str, page: &Page<u64>) -> Result<Vec<ArtifactRow>> {
        let query = sqlx::query(artifact_columns!(
            "WHERE log = $1 AND commit_id = $2 AND last_index < $3 ORDER BY last_index DESC, name LIMIT $4"
        ));
        self.rows(query.bind(self.log()).bind(commit.to_owned()).bind(page.before()).bind(page.rows())).await
    }

    /// Returns the runs of a recipe, oldest first.
    pub async fn runs(&self, recipe: &Digest, page: &Page<u64>) -> Result<Vec<RunRow>> {
        let query = sqlx::query(
            "SELECT log_index, payload, recipe, level, complete, duration_ms, started_unix_s, finished_unix_s \
             FROM runs WHERE log = $1 AND recipe = $2 AND log_index > $3 ORDER BY log_index LIMIT $4",
        );
        let after = page.after.map_or(-1, integer);
        self.rows(query.bind(self.log()).bind(recipe.to_string()).bind(after).bind(page.rows())).await
    }

    /// Returns the verdicts on a digest, newest first, for one environment or for any.
    pub async fn verdicts(&self, digest: &Digest, environment: Option<&str>, limit: usize) -> Result<Vec<VerdictRow>> {
        let query = sqlx::query(
            "SELECT log_index, payload, digest, environment, policy, policy_name, result, judged_unix_s FROM verdicts \
             WHERE log = $1 AND digest = $2 AND ($3 IS NULL OR environment = $3) ORDER BY log_index DESC LIMIT $4",
        );
        let query = query.bind(self.log()).bind(digest.to_string()).bind(environment.map(str::to_owned));
        self.rows(query.bind(limit.min(PAGE_MAX) as i64)).await
    }

    /// Returns what is live for a service of an environment, by the newest deployment that went live.
    pub async fn newest_live(&self, environment: &str, service: &str) -> Result<Option<DeploymentRow>> {
        let query = sqlx::query(deployment_columns!(
            "WHERE log = $1 AND environment = $2 AND service = $3 AND live = 1 ORDER BY log_index DESC LIMIT 1"
        ));
        self.row(query.bind(self.log()).bind(environment.to_owned()).bind(service.to_owned())).await
    }

    /// Returns the deployments to a service of an environment, newest first, whether they went live or not.
    pub async fn deployments(&self, environment: &str, service: &str, page: &Page<u64>) -> Result<Vec<DeploymentRow>> {
        let query = sqlx::query(deployment_columns!(
            "WHERE log = $1 AND environment = $2 AND service = $3 AND live IN (0, 1) AND log_index < $4 \
             ORDER BY log_index DESC LIMIT $5"
        ));
        let query = query.bind(self.log()).bind(environment.to_owned()).bind(service.to_owned());
        self.rows(query.bind(page.before()).bind(page.rows())).await
    }

    /// Returns where and when a digest was deployed, newest first.
    pub async fn deployments_of(&self, digest: &Digest, page: &Page<u64>) -> Result<Vec<DeploymentRow>> {
        let query = sqlx::query(deployment_columns!(
            "WHERE log = $1 AND digest = $2 AND log_index < $3 ORDER BY log_index DESC LIMIT $4"
        ));
        self.rows(query.bind(self.log()).bind(digest.to_string()).bind(page.before()).bind(page.rows())).await
    }

    /// Returns every environment with its services, sorted.
    pub async fn services(&self) -> Result<Vec<(String, String)>> {
        let mut services = Vec::new();
        let mut last = (String::new(), String::new());
        // One step through the index for each pair, however many deployments it had.
        loop {
            let row = sqlx::query(
                "SELECT environment, service FROM deployments WHERE log = $1 AND (environment, service) > ($2, $3) \
                 ORDER BY environment, service LIMIT 1",
            );
            let row = row.bind(self.log()).bind(last.0).bind(last.1);
            let Some(row) = row.fetch_optional(&self.reading().await.read).await? else { return Ok(services) };
            last = (row.try_get(0)?, row.try_get(1)?);
            services.push(last.clone());
        }
    }

    /// Returns the newest observation of a service.
    pub async fn newest_observation(&self, environment: &str, service: &str) -> Result<Option<ObservationRow>> {
        let query = sqlx::query(
            "SELECT log_index, payload, environment, service, expected, observed, seen_unix_s FROM observations \
             WHERE log = $1 AND environment = $2 AND service = $3 ORDER BY log_index DESC LIMIT 1",
        );
        self.row(query.bind(self.log()).bind(environment.to_owned()).bind(service.to_owned())).await
    }

    /// Returns the newest policy on record under a name.
    pub async fn newest_policy(&self, name: &str) -> Result<Option<PolicyRow>> {
        let query = sqlx::query(
            "SELECT name, digest, payload, log_index, stated_unix_s FROM policies WHERE log = $1 AND name = $2 \
             ORDER BY log_index DESC LIMIT 1",
        );
        self.row(query.bind(self.log()).bind(name.to_owned())).await
    }
}

/// What node names begin with, so that a user need not type it.
const NAME_PREFIXES: [&str; 8] =
    ["sha256:", "git:", "env:", "identity:", "pkg:cargo/", "pkg:deb/debian/", "pkg:npm/", "pkg:generic/"];

fn push_names(query: &mut QueryBuilder<Sqlite>, names: &[NodeId]) {
    query.push("(");
    let mut list = query.separated(", ");
    for name in names {
        list.push_bind(name.as_str().to_owned());
    }
    query.push(")");
}

fn node(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<Node> {
    let kind: &str = row.try_get("kind")?;
    let time: Option<i64> = row.try_get("time_unix_s")?;
    Ok(Node {
        id: NodeId::stored(row.try_get("name")?),
        kind: Kind::of_name(kind).unwrap_or(Kind::Statement),
        label: row.try_get::<Option<String>, _>("label")?.unwrap_or_default(),
        time: time.and_then(Timestamp::from_unix_s),
    })
}
