//! The tables, each with its class, and the steps that lead to them.
//!
//! The ledger has derived tables only. What is in use for the moment (uploads) lies in files of its own, so that
//! deleting the ledger loses nothing at all.

use sqlx::{Connection, Row, SqliteConnection};

/// Where the rows of a table come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// From logged statements and blobs: `reindex` makes the same rows again, `fsck` compares them.
    Derived,
    /// Of the moment: safe to lose.
    Working,
}

/// One row of [`TABLES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// What its rows are made of.
    pub from: &'static str,
}

/// Every table of the ledger.
pub const TABLES: [Table; 19] = [
    derived("logs", "the log's origin and how far it was read; the trust that signatures were checked against"),
    derived("terms", "predicate types and relations, numbered as they first occur"),
    derived("leaves", "hash of each statement's log entry"),
    derived("statements", "every logged envelope; signer only when the signature is good and trusted"),
    derived("subjects", "subjects of statements"),
    derived("bare_entries", "entries that came without what was signed: its digest, and the key"),
    derived("nodes", "facts of trusted statements"),
    derived("edges", "facts of trusted statements"),
    derived("artifacts", "outputs of recipe statements"),
    derived("runs", "run statements"),
    derived("verdicts", "verdict statements"),
    derived("deployments", "deployment statements; an interval ends when the next begins"),
    derived("observations", "observation statements"),
    derived("manifests", "publication statements and the manifest blobs they name"),
    derived("repository_blobs", "what published manifests refer to"),
    derived("tags", "tag statements, the newest of each tag"),
    derived("tag_history", "tag statements"),
    derived("grants", "grant statements that were not revoked"),
    derived("policies", "policy statements"),
];

const fn derived(name: &'static str, from: &'static str) -> Table {
    Table { name, class: Class::Derived, from }
}

/// The ledger's schema, step by step; the version is how many were taken. Steps are only ever added.
pub(crate) const LEDGER: [&str; 2] = [include_str!("v1.sql"), include_str!("v2.sql")];

/// A database made by a later program.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// It has steps that this program doesn't know.
    #[error("the database has schema version {found}, and this program knows only {known}")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// The database failed.
    #[error("bringing the database schema up to date")]
    Database(#[from] sqlx::Error),
}

/// Takes the steps that a database lacks, each in a transaction together with its number.
pub(crate) async fn migrate(connection: &mut SqliteConnection, steps: &[&'static str]) -> Result<(), MigrateError> {
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)")
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM schema_version").fetch_one(&mut *connection).await?;
    let found: i64 = row.try_get(0)?;
    let known = steps.len() as i64;
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    for (step, number) in steps.iter().zip(1..).skip(found as usize) {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO schema_version (version) VALUES ($1)").bind(number).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}
