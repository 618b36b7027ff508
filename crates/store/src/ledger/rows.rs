//! What questions are answered with: rows of the ledger as plain values.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use wire::digest::Digest;
use wire::timestamp::Timestamp;

/// A logged statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRow {
    /// Its place in this log: the number of its entry. For one that a publication brought from another log, it is that
    /// of the publication's index entry, so that every statement has a place of its own.
    pub index: u64,
    /// Digest of its payload: its name in the chain.
    pub payload: Digest,
    /// Digest of its envelope: the blob that holds it.
    pub envelope: Digest,
    /// Its predicate type; empty if the payload is no in-toto statement.
    pub predicate: String,
    /// Name of the identity that signed it; `None` if nobody trusted did.
    pub signer: Option<String>,
    /// Id of the key that signed it.
    pub key_id: Option<Digest>,
    /// Name of its first subject.
    pub subject: Option<String>,
    /// The statement's own time, at most that of the log.
    pub stated: Timestamp,
    /// When it was logged, or brought here.
    pub logged: Timestamp,
    /// Where else it was logged; `None` for this log.
    pub elsewhere: Option<Elsewhere>,
}

/// The other log of a statement that was pushed here with its bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// That log's origin.
    pub origin: String,
    /// Number of its entry there.
    pub index: u64,
    /// The blob that holds its bundle.
    pub bundle: Digest,
}

/// An output of a build, by the newest recipe that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    /// Digest of the file or of the image's manifest.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// Project that it belongs to.
    pub project: String,
    /// `file` or `image`.
    pub kind: String,
    /// Commit that it was built from, if the source was clean.
    pub commit: Option<String>,
    /// Digest of the recipe statement's payload.
    pub recipe: Digest,
    /// Log entry of the newest recipe statement.
    pub index: u64,
    /// When that was stated.
    pub built: Timestamp,
}

/// One run of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Number of its log entry.
    pub index: u64,
    /// Digest of its statement's payload.
    pub payload: Digest,
    /// Digest of its recipe statement's payload.
    pub recipe: Digest,
    /// Isolation that held.
    pub level: String,
    /// Whether the evidence is complete.
    pub complete: bool,
    /// Wall time.
    pub duration_ms: u64,
    /// Builder's clock at the start.
    pub started: Timestamp,
    /// Builder's clock at the end.
    pub finished: Timestamp,
}

/// A recorded verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictRow {
    /// Number of its log entry.
    pub index: u64,
    /// Digest of its statement's payload.
    pub payload: Digest,
    /// What was judged.
    pub digest: Digest,
    /// For which environment; empty for none.
    pub environment: String,
    /// Digest of the policy's text.
    pub policy: Digest,
    /// Name of the policy.
    pub policy_name: String,
    /// `pass`, `fail` or `unknown`.
    pub result: String,
    /// When.
    pub judged: Timestamp,
}

/// A deployment, and how long it was live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentRow {
    /// Number of its log entry.
    pub index: u64,
    /// Digest of its statement's payload.
    pub payload: Digest,
    /// Environment.
    pub environment: String,
    /// Service.
    pub service: String,
    /// Name of the artifact.
    pub artifact: String,
    /// Digest of the artifact.
    pub digest: Digest,
    /// Digest of the payload of the verdict that let it pass.
    pub verdict: Digest,
    /// `deploy` or `rollback`.
    pub action: String,
    /// Whether it went live.
    pub live: bool,
    /// Who asked for it.
    pub actor: String,
    /// When it ended, and its being live began.
    pub from: Timestamp,
    /// When the next one went live; `None` while it is the newest live one, and for one that never went live.
    pub to: Option<Timestamp>,
}

/// What was seen to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationRow {
    /// Number of its log entry.
    pub index: u64,
    /// Digest of its statement's payload.
    pub payload: Digest,
    /// Environment.
    pub environment: String,
    /// Service.
    pub service: String,
    /// What should run.
    pub expected: Digest,
    /// What runs.
    pub observed: Option<Digest>,
    /// When.
    pub seen: Timestamp,
}

/// A manifest in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRow {
    /// Repository.
    pub repository: String,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// What a list of referrers shows as artifact type.
    pub artifact_type: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// The manifest that it is about.
    pub subject: Option<Digest>,
    /// Its annotations, as canonical JSON.
    pub annotations: Option<String>,
    /// Log entry of the publication.
    pub index: u64,
    /// When it was published.
    pub published: Timestamp,
}

/// A tag and where it points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRow {
    /// Repository.
    pub repository: String,
    /// Tag.
    pub tag: String,
    /// Manifest that it points to.
    pub digest: Digest,
    /// Log entry of its newest move.
    pub index: u64,
    /// When that was.
    pub moved: Timestamp,
}

/// One move of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMoveRow {
    /// Number of its log entry.
    pub index: u64,
    /// Where it pointed before.
    pub from: Option<Digest>,
    /// Where it pointed then; `None` when it was deleted.
    pub to: Option<Digest>,
    /// Who moved it.
    pub actor: String,
    /// When.
    pub moved: Timestamp,
}

/// A role that a token has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// SHA-256 of the token.
    pub token: Digest,
    /// The role.
    pub role: String,
    /// Whose token it is.
    pub name: String,
    /// Patterns of the repositories that the role holds for.
    pub repositories: Vec<String>,
    /// Log entry of the grant.
    pub index: u64,
    /// When it was granted.
    pub granted: Timestamp,
}

/// A policy on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// Its name.
    pub name: String,
    /// Digest of its text.
    pub digest: Digest,
    /// Digest of its statement's payload.
    pub payload: Digest,
    /// Log entry.
    pub index: u64,
    /// When it was put on record.
    pub stated: Timestamp,
}

/// A value that a column can't hold: the file was damaged.
#[derive(Debug, thiserror::Error)]
#[error("column `{0}` holds no {1}")]
struct BadColumn(&'static str, &'static str);

fn bad(column: &'static str, what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(BadColumn(column, what)))
}

fn digest(row: &SqliteRow, column: &'static str) -> sqlx::Result<Digest> {
    row.try_get::<&str, _>(column)?.parse().map_err(|_| bad(column, "digest"))
}

fn optional_digest(row: &SqliteRow, column: &'static str) -> sqlx::Result<Option<Digest>> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|_| bad(column, "digest"))).transpose()
}

fn time(row: &SqliteRow, column: &'static str) -> sqlx::Result<Timestamp> {
    Timestamp::from_unix_s(row.try_get(column)?).ok_or_else(|| bad(column, "time"))
}

fn optional_time(row: &SqliteRow, column: &'static str) -> sqlx::Result<Option<Timestamp>> {
    let seconds: Option<i64> = row.try_get(column)?;
    seconds.map(|seconds| Timestamp::from_unix_s(seconds).ok_or_else(|| bad(column, "time"))).transpose()
}

fn number(row: &SqliteRow, column: &'static str) -> sqlx::Result<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| bad(column, "number"))
}

fn flag(row: &SqliteRow, column: &'static str) -> sqlx::Result<bool> {
    Ok(row.try_get::<i64, _>(column)? != 0)
}

fn elsewhere(row: &SqliteRow) -> sqlx::Result<Option<Elsewhere>> {
    let (Some(origin), Some(bundle)) = (row.try_get("origin")?, optional_digest(row, "bundle")?) else {
        return Ok(None);
    };
    Ok(Some(Elsewhere { origin, index: number(row, "origin_index")?, bundle }))
}

/// Reads a row of the query that selects its columns by name.
pub(super) trait FromRow: Sized {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self>;
}

/// A log entry that came without what was signed: only its digest and the key are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BareEntryRow {
    /// Position of the Sigstore entry.
    pub index: u64,
    /// Id of the key that signed.
    pub key_id: Digest,
    /// `hashedrekord 0.0.2`
    pub kind: String,
    /// When it was logged.
    pub logged: Timestamp,
}

impl FromRow for BareEntryRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<BareEntryRow> {
        Ok(BareEntryRow {
            index: number(row, "log_index")?,
            key_id: digest(row, "key_id")?,
            kind: row.try_get("kind")?,
            logged: time(row, "logged_unix_s")?,
        })
    }
}

impl FromRow for StatementRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<StatementRow> {
        Ok(StatementRow {
            index: number(row, "log_index")?,
            payload: digest(row, "payload")?,
            envelope: digest(row, "envelope")?,
            predicate: row.try_get("predicate_type")?,
            signer: row.try_get("signer")?,
            key_id: optional_digest(row, "key_id")?,
            subject: row.try_get("subject")?,
            stated: time(row, "stated_unix_s")?,
            logged: time(row, "logged_unix_s")?,
            elsewhere: elsewhere(row)?,
        })
    }
}

impl FromRow for ArtifactRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<ArtifactRow> {
        Ok(ArtifactRow {
            digest: digest(row, "digest")?,
            name: row.try_get("name")?,
            project: row.try_get("project")?,
            kind: row.try_get("kind")?,
            commit: row.try_get("commit_id")?,
            recipe: digest(row, "recipe")?,
            index: number(row, "last_index")?,
            built: time(row, "built_unix_s")?,
        })
    }
}

impl FromRow for RunRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<RunRow> {
        Ok(RunRow {
            index: number(row, "log_index")?,
            payload: digest(row, "payload")?,
            recipe: digest(row, "recipe")?,
            level: row.try_get("level")?,
            complete: flag(row, "complete")?,
            duration_ms: number(row, "duration_ms")?,
            started: time(row, "started_unix_s")?,
            finished: time(row, "finished_unix_s")?,
        })
    }
}

impl FromRow for VerdictRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<VerdictRow> {
        Ok(VerdictRow {
            index: number(row, "log_index")?,
            payload: digest(row, "payload")?,
            digest: digest(row, "digest")?,
            environment: row.try_get("environment")?,
            policy: digest(row, "policy")?,
            policy_name: row.try_get("policy_name")?,
            result: row.try_get("result")?,
            judged: time(row, "judged_unix_s")?,
        })
    }
}

impl FromRow for DeploymentRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<DeploymentRow> {
        Ok(DeploymentRow {
            index: number(row, "log_index")?,
            payload: digest(row, "payload")?,
            environment: row.try_get("environment")?,
            service: row.try_get("service")?,
            artifact: row.try_get("artifact")?,
            digest: digest(row, "digest")?,
            verdict: digest(row, "verdict")?,
            action: row.try_get("action")?,
            live: flag(row, "live")?,
            actor: row.try_get("actor")?,
            from: time(row, "from_unix_s")?,
            to: optional_time(row, "to_unix_s")?,
        })
    }
}

impl FromRow for ObservationRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<ObservationRow> {
        Ok(ObservationRow {
            index: number(row, "log_index")?,
            payload: digest(row, "payload")?,
            environment: row.try_get("environment")?,
            service: row.try_get("service")?,
            expected: digest(row, "expected")?,
            observed: optional_digest(row, "observed")?,
            seen: time(row, "seen_unix_s")?,
        })
    }
}

impl FromRow for ManifestRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<ManifestRow> {
        Ok(ManifestRow {
            repository: row.try_get("repository")?,
            digest: digest(row, "digest")?,
            media_type: row.try_get("media_type")?,
            artifact_type: row.try_get("artifact_type")?,
            size: number(row, "size")?,
            subject: optional_digest(row, "subject")?,
            annotations: row.try_get("annotations")?,
            index: number(row, "log_index")?,
            published: time(row, "published_unix_s")?,
        })
    }
}

impl FromRow for TagRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<TagRow> {
        Ok(TagRow {
            repository: row.try_get("repository")?,
            tag: row.try_get("tag")?,
            digest: digest(row, "digest")?,
            index: number(row, "log_index")?,
            moved: time(row, "moved_unix_s")?,
        })
    }
}

impl FromRow for TagMoveRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<TagMoveRow> {
        Ok(TagMoveRow {
            index: number(row, "log_index")?,
            from: optional_digest(row, "from_digest")?,
            to: optional_digest(row, "to_digest")?,
            actor: row.try_get("actor")?,
            moved: time(row, "moved_unix_s")?,
        })
    }
}

impl FromRow for GrantRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<GrantRow> {
        let patterns: &str = row.try_get("repositories")?;
        Ok(GrantRow {
            token: digest(row, "token")?,
            role: row.try_get("role")?,
            name: row.try_get("name")?,
            repositories: serde_json::from_str(patterns).map_err(|_| bad("repositories", "list"))?,
            index: number(row, "log_index")?,
            granted: time(row, "granted_unix_s")?,
        })
    }
}

impl FromRow for PolicyRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<PolicyRow> {
        Ok(PolicyRow {
            name: row.try_get("name")?,
            digest: digest(row, "digest")?,
            payload: digest(row, "payload")?,
            index: number(row, "log_index")?,
            stated: time(row, "stated_unix_s")?,
        })
    }
}
