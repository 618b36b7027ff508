//! Rows of one statement: what is inserted, and nothing decided but by what [`super::prepare`] found.
//!
//! Ids of terms and nodes are given in the order of the log, so that two ledgers of one log are equal row by row.

use attest::Claim;
use attest::predicate::grant::{Action, Grant};
use attest::predicate::policy::PolicyText;
use attest::predicate::publication::Publication;
use attest::predicate::run::Run;
use attest::predicate::tag::Tag;
use model::deployment::{Deployment, Observation};
use model::lineage::{Edge, Fact, Node};
use model::recipe::{ArtifactKind, Recipe};
use model::verdict::Verdict;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, query};

use super::prepare::{self, Bare, Manifest, Prepared};

type Result = std::result::Result<(), sqlx::Error>;

/// How many rows of entries without payload one statement inserts: 6 parameters each.
const BARE_ROWS: usize = 200;

/// Inserts all rows of some log entries, in their order. The caller's transaction also moves the cursor.
pub(super) async fn apply_all(connection: &mut SqliteConnection, log: i64, entries: &[prepare::Rows]) -> Result {
    // Entries without payload depend on nothing, so that runs of them go in together.
    for run in entries.chunk_by(|one, next| matches!((one, next), (prepare::Rows::Bare(_), prepare::Rows::Bare(_)))) {
        match run {
            [prepare::Rows::Statement(statement, brought)] => {
                apply_statement(connection, log, statement).await?;
                if let Some(brought) = brought {
                    apply_statement(connection, log, brought).await?;
                }
            }
            run => {
                let bare = run.iter().filter_map(|rows| match rows {
                    prepare::Rows::Bare(bare) => Some(bare),
                    prepare::Rows::Statement(..) => None,
                });
                let bare: Vec<&Bare> = bare.collect();
                for some in bare.chunks(BARE_ROWS) {
                    apply_bare(connection, log, some).await?;
                }
            }
        }
    }
    Ok(())
}

async fn apply_bare(connection: &mut SqliteConnection, log: i64, entries: &[&Bare]) -> Result {
    let mut leaves = QueryBuilder::<Sqlite>::new("INSERT INTO leaves (log, leaf, log_index) ");
    leaves.push_values(entries, |mut row, bare| {
        row.push_bind(log).push_bind(bare.leaf.clone()).push_bind(integer(bare.index));
    });
    leaves.push(" ON CONFLICT DO NOTHING").build().execute(&mut *connection).await?;
    let columns = "INSERT INTO bare_entries (log, digest, log_index, key_id, kind, logged_unix_s) ";
    let mut rows = QueryBuilder::<Sqlite>::new(columns);
    rows.push_values(entries, |mut row, bare| {
        row.push_bind(log)
            .push_bind(bare.digest.clone())
            .push_bind(integer(bare.index))
            .push_bind(bare.key_id.to_string())
            .push_bind(bare.kind.clone())
            .push_bind(bare.logged.unix_s());
    });
    rows.build().execute(&mut *connection).await?;
    Ok(())
}

async fn insert_leaf(connection: &mut SqliteConnection, log: i64, leaf: &str, index: i64) -> Result {
    query("INSERT INTO leaves (log, leaf, log_index) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(log)
        .bind(leaf)
        .bind(index)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Inserts all rows of a statement. An envelope counts once: one that was logged before, in another form of entry or with
/// a bundle, says nothing again. Or whoever may log could repeat an old grant after it was revoked.
async fn apply_statement(connection: &mut SqliteConnection, log: i64, statement: &Prepared) -> Result {
    let mut rows = Rows { connection, log, statement, index: integer(statement.index) };
    if rows.is_known().await? {
        if let Some(leaf) = &statement.leaf {
            insert_leaf(&mut *rows.connection, log, leaf, rows.index).await?;
        }
        return Ok(());
    }
    rows.statement().await?;
    rows.fact(&statement.fact).await?;
    match &statement.claim {
        Claim::Recipe(recipe) => rows.recipe(recipe).await,
        Claim::Run(run) => rows.run(run).await,
        Claim::Verdict(verdict) => rows.verdict(verdict).await,
        Claim::Deployment(deployment) => rows.deployment(deployment).await,
        Claim::Observation(observation) => rows.observation(observation).await,
        Claim::Publication(publication) => rows.publication(publication, statement.manifest.as_ref()).await,
        Claim::Tag(tag) => rows.tag(tag).await,
        Claim::Grant(grant) => rows.grant(grant).await,
        Claim::Policy(policy) => rows.policy(policy).await,
        Claim::Rebuilt(_)
        | Claim::Test(_)
        | Claim::Reference(_)
        | Claim::Revocation(_)
        | Claim::Sbom(_)
        | Claim::Other => Ok(()),
    }
}

/// SQL has signed integers; a log of 2^63 leaves would take longer than the sun lasts.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).expect("sizes and indexes fit 63 bits")
}

struct Rows<'a> {
    connection: &'a mut SqliteConnection,
    log: i64,
    statement: &'a Prepared,
    index: i64,
}

impl Rows<'_> {
    /// Whether the envelope is here already: logged here in another form of entry; or, where a bundle brings it, at all.
    async fn is_known(&mut self) -> std::result::Result<bool, sqlx::Error> {
        let brought = self.statement.elsewhere.is_some();
        let query =
            query("SELECT 1 FROM statements WHERE log = $1 AND envelope = $2 AND ($3 OR origin IS NULL) LIMIT 1");
        let query = query.bind(self.log).bind(self.statement.envelope.to_string()).bind(brought);
        Ok(query.fetch_optional(&mut *self.connection).await?.is_some())
    }

    async fn statement(&mut self) -> Result {
        let statement = self.statement;
        if let Some(leaf) = &statement.leaf {
            insert_leaf(&mut *self.connection, self.log, leaf, self.index).await?;
        }
        let predicate = self.term(&statement.predicate).await?;
        let elsewhere = statement.elsewhere.as_ref();
        query(
            "INSERT INTO statements (log, log_index, payload, envelope, predicate, signer, key_id, subject, \
             stated_unix_s, logged_unix_s, origin, origin_index, bundle) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(self.log)
        .bind(self.index)
        .bind(statement.payload.to_string())
        .bind(statement.envelope.to_string())
        .bind(predicate)
        .bind(&statement.signer)
        .bind(statement.key_id.map(|id| id.to_string()))
        .bind(&statement.subject)
        .bind(statement.stated.unix_s())
        .bind(statement.logged.unix_s())
        .bind(elsewhere.map(|elsewhere| elsewhere.origin.clone()))
        .bind(elsewhere.map(|elsewhere| integer(elsewhere.index)))
        .bind(elsewhere.map(|elsewhere| elsewhere.bundle.to_string()))
        .execute(&mut *self.connection)
        .await?;
        for (digest, name) in &statement.subjects {
            query(
                "INSERT INTO subjects (log, digest, predicate, log_index, name) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(self.log)
            .bind(digest.to_string())
            .bind(predicate)
            .bind(self.index)
            .bind(name)
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    async fn fact(&mut self, fact: &Fact) -> Result {
        for node in &fact.nodes {
            self.node(node).await?;
        }
        for Edge { from, to, relation } in &fact.edges {
            let child = self.node_id(from.as_str()).await?;
            let parent = self.node_id(to.as_str()).await?;
            let relation = self.term(relation).await?;
            query("INSERT INTO edges (log, child, parent, relation) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
                .bind(self.log)
                .bind(child)
                .bind(parent)
                .bind(relation)
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// A node keeps its first label and time; one that only an edge had named gets them now.
    async fn node(&mut self, node: &Node) -> Result {
        let id = self.node_id(node.id.as_str()).await?;
        query("UPDATE nodes SET kind = $1, label = $2, time_unix_s = $3 WHERE node = $4 AND kind IS NULL")
            .bind(node.kind.name())
            .bind(&node.label)
            .bind(node.time.map(|time| time.unix_s()))
            .bind(id)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn node_id(&mut self, name: &str) -> std::result::Result<i64, sqlx::Error> {
        let found = query("SELECT node FROM nodes WHERE log = $1 AND name = $2")
            .bind(self.log)
            .bind(name)
            .fetch_optional(&mut *self.connection)
            .await?;
        if let Some(row) = found {
            return row.try_get(0);
        }
        let row = query(
            "INSERT INTO nodes (node, log, name) VALUES ((SELECT COALESCE(MAX(node), 0) + 1 FROM nodes), $1, $2) \
             RETURNING node",
        )
        .bind(self.log)
        .bind(name)
        .fetch_one(&mut *self.connection)
        .await?;
        row.try_get(0)
    }

    async fn term(&mut self, text: &str) -> std::result::Result<i64, sqlx::Error> {
        let found =
            query("SELECT term FROM terms WHERE text = $1").bind(text).fetch_optional(&mut *self.connection).await?;
        if let Some(row) = found {
            return row.try_get(0);
        }
        let row = query(
            "INSERT INTO terms (term, text) VALUES ((SELECT COALESCE(MAX(term), 0) + 1 FROM terms), $1) \
             RETURNING term",
        )
        .bind(text)
        .fetch_one(&mut *self.connection)
        .await?;
        row.try_get(0)
    }

    async fn recipe(&mut self, recipe: &Recipe) -> Result {
        for output in &recipe.outputs {
            let kind = match output.kind {
                ArtifactKind::File => "file",
                ArtifactKind::Image { .. } => "image",
            };
            query(
                "INSERT INTO artifacts (log, digest, name, project, kind, commit_id, recipe, first_index, last_index, \
                 built_unix_s) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) \
                 ON CONFLICT (log, digest) DO UPDATE SET name = excluded.name, project = excluded.project, \
                 commit_id = excluded.commit_id, recipe = excluded.recipe, last_index = excluded.last_index, \
                 built_unix_s = excluded.built_unix_s",
            )
            .bind(self.log)
            .bind(output.digest.to_string())
            .bind(&output.name)
            .bind(&recipe.project)
            .bind(kind)
            .bind(&recipe.commit)
            .bind(self.statement.payload.to_string())
            .bind(self.index)
            .bind(self.statement.stated.unix_s())
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    async fn run(&mut self, run: &Run) -> Result {
        query(
            "INSERT INTO runs (log, log_index, payload, recipe, level, complete, duration_ms, started_unix_s, \
             finished_unix_s) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.log)
        .bind(self.index)
        .bind(self.statement.payload.to_string())
        .bind(run.recipe.to_string())
        .bind(&run.level)
        .bind(i64::from(run.completeness.complete))
        .bind(i64::try_from(run.duration_ms).unwrap_or(i64::MAX))
        .bind(run.started.unix_s())
        .bind(run.finished.unix_s())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn verdict(&mut self, verdict: &Verdict) -> Result {
        for digest in &verdict.subject.digests {
            query(
                "INSERT INTO verdicts (log, digest, environment, log_index, payload, policy, policy_name, result, \
                 judged_unix_s) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
            )
            .bind(self.log)
            .bind(digest.to_string())
            .bind(verdict.environment.as_deref().unwrap_or_default())
            .bind(self.index)
            .bind(self.statement.payload.to_string())
            .bind(verdict.policy.digest.to_string())
            .bind(&verdict.policy.name)
            .bind(verdict.result.name())
            .bind(verdict.at.unix_s())
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    async fn deployment(&mut self, deployment: &Deployment) -> Result {
        if deployment.live {
            query(
                "UPDATE deployments SET to_unix_s = $1 WHERE log = $2 AND environment = $3 AND service = $4 \
                 AND live = 1 AND to_unix_s IS NULL",
            )
            .bind(deployment.finished.unix_s())
            .bind(self.log)
            .bind(&deployment.environment)
            .bind(&deployment.service)
            .execute(&mut *self.connection)
            .await?;
        }
        query(
            "INSERT INTO deployments (log, log_index, payload, environment, service, artifact, digest, verdict, \
             action, live, actor, from_unix_s) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(self.log)
        .bind(self.index)
        .bind(self.statement.payload.to_string())
        .bind(&deployment.environment)
        .bind(&deployment.service)
        .bind(&deployment.artifact.0)
        .bind(deployment.artifact.1.to_string())
        .bind(deployment.verdict.to_string())
        .bind(&deployment.action)
        .bind(i64::from(deployment.live))
        .bind(&deployment.actor)
        .bind(deployment.finished.unix_s())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn observation(&mut self, observation: &Observation) -> Result {
        query(
            "INSERT INTO observations (log, log_index, payload, environment, service, expected, observed, \
             seen_unix_s) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.log)
        .bind(self.index)
        .bind(self.statement.payload.to_string())
        .bind(&observation.environment)
        .bind(&observation.service)
        .bind(observation.expected.to_string())
        .bind(observation.observed.map(|digest| digest.to_string()))
        .bind(observation.at.unix_s())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// A manifest whose blob is not here (or is none) is nothing that could be pulled: it gives no rows.
    async fn publication(&mut self, publication: &Publication, manifest: Option<&Manifest>) -> Result {
        let Some(manifest) = manifest else { return Ok(()) };
        query(
            "INSERT INTO manifests (log, repository, digest, media_type, artifact_type, size, subject, annotations, \
             log_index, published_unix_s) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        )
        .bind(self.log)
        .bind(&publication.repository)
        .bind(publication.manifest.to_string())
        .bind(&manifest.media_type)
        .bind(&manifest.artifact_type)
        .bind(integer(manifest.size))
        .bind(manifest.subject.map(|digest| digest.to_string()))
        .bind(&manifest.annotations)
        .bind(self.index)
        .bind(publication.at.unix_s())
        .execute(&mut *self.connection)
        .await?;
        for blob in &manifest.references {
            query(
                "INSERT INTO repository_blobs (log, repository, blob, manifest) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(self.log)
            .bind(&publication.repository)
            .bind(blob.to_string())
            .bind(publication.manifest.to_string())
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    async fn tag(&mut self, tag: &Tag) -> Result {
        query(
            "INSERT INTO tag_history (log, log_index, repository, tag, from_digest, to_digest, actor, moved_unix_s) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.log)
        .bind(self.index)
        .bind(&tag.repository)
        .bind(&tag.tag)
        .bind(tag.change.from().map(|digest| digest.to_string()))
        .bind(tag.change.to().map(|digest| digest.to_string()))
        .bind(&tag.actor)
        .bind(tag.at.unix_s())
        .execute(&mut *self.connection)
        .await?;
        match tag.change.to() {
            Some(to) => {
                query(
                    "INSERT INTO tags (log, repository, tag, digest, log_index, moved_unix_s) \
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (log, repository, tag) DO UPDATE SET \
                     digest = excluded.digest, log_index = excluded.log_index, moved_unix_s = excluded.moved_unix_s",
                )
                .bind(self.log)
                .bind(&tag.repository)
                .bind(&tag.tag)
                .bind(to.to_string())
                .bind(self.index)
                .bind(tag.at.unix_s())
                .execute(&mut *self.connection)
                .await?
            }
            None => {
                query("DELETE FROM tags WHERE log = $1 AND repository = $2 AND tag = $3")
                    .bind(self.log)
                    .bind(&tag.repository)
                    .bind(&tag.tag)
                    .execute(&mut *self.connection)
                    .await?
            }
        };
        Ok(())
    }

    async fn grant(&mut self, grant: &Grant) -> Result {
        query("DELETE FROM grants WHERE log = $1 AND token = $2 AND role = $3")
            .bind(self.log)
            .bind(grant.token.to_string())
            .bind(&grant.role)
            .execute(&mut *self.connection)
            .await?;
        if grant.action == Action::Revoke {
            return Ok(());
        }
        query(
            "INSERT INTO grants (log, token, role, name, repositories, log_index, granted_unix_s) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.log)
        .bind(grant.token.to_string())
        .bind(&grant.role)
        .bind(&grant.name)
        .bind(text_list(&grant.repositories))
        .bind(self.index)
        .bind(grant.at.unix_s())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn policy(&mut self, policy: &PolicyText) -> Result {
        query(
            "INSERT INTO policies (log, name, log_index, digest, payload, stated_unix_s) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.log)
        .bind(&policy.name)
        .bind(self.index)
        .bind(policy.digest().to_string())
        .bind(self.statement.payload.to_string())
        .bind(policy.at.unix_s())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

/// A list as one column: canonical JSON.
fn text_list(list: &[String]) -> String {
    String::from_utf8(wire::jcs::to_vec(&list)).expect("canonical JSON is UTF-8")
}
