//! All rows as text, to compare two ledgers.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Column, Row, ValueRef};

use super::schema::{Class, TABLES};
use super::{Ledger, LedgerError, pool};

/// One table's rows, each a line, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDump {
    /// Name of the table.
    pub table: &'static str,
    /// Its rows.
    pub rows: Vec<String>,
}

impl Ledger {
    /// Returns the rows of every derived table. Two ledgers of one log and one trust root have the same.
    pub async fn dump(&self) -> Result<Vec<TableDump>, LedgerError> {
        dump(&self.reading().await.read).await
    }
}

/// A ledger's file as it is, whoever made it.
pub(crate) struct Contents {
    /// Fingerprint of the trust root that it was made with.
    pub(crate) trust: String,
    /// How many leaves it has read.
    pub(crate) size: u64,
    /// All rows.
    pub(crate) tables: Vec<TableDump>,
}

/// Reads a ledger's file. With `immutable`, nothing is written, not even beside it, and the file must not be in use.
pub(crate) async fn read_file(path: &Path, immutable: bool) -> Result<Contents, LedgerError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(immutable).immutable(immutable);
    let pool = pool(1).connect_with(options).await?;
    let contents = contents(&pool).await;
    pool.close().await;
    contents
}

async fn contents(pool: &SqlitePool) -> Result<Contents, LedgerError> {
    let row = sqlx::query("SELECT trust, size FROM logs WHERE log = $1").bind(super::LOG).fetch_one(pool).await?;
    let size: i64 = row.try_get(1)?;
    Ok(Contents { trust: row.try_get(0)?, size: size.unsigned_abs(), tables: dump(pool).await? })
}

async fn dump(pool: &SqlitePool) -> Result<Vec<TableDump>, LedgerError> {
    let mut dumps = Vec::new();
    for table in TABLES.iter().filter(|table| table.class == Class::Derived) {
        let select = AssertSqlSafe(format!("SELECT * FROM {}", table.name));
        let rows = sqlx::query(select).fetch_all(pool).await?;
        let mut rows: Vec<String> = rows.iter().map(line).collect::<sqlx::Result<_>>()?;
        rows.sort_unstable();
        dumps.push(TableDump { table: table.name, rows });
    }
    Ok(dumps)
}

/// A row as `column=value` pairs. Values are read as text or number, which is all that the schema has.
fn line(row: &SqliteRow) -> sqlx::Result<String> {
    let mut line = String::new();
    for column in row.columns() {
        let index = column.ordinal();
        let value = match row.try_get_raw(index)?.is_null() {
            true => "NULL".to_owned(),
            false => match row.try_get_unchecked::<String, _>(index) {
                Ok(text) => format!("{text:?}"),
                Err(_) => row.try_get_unchecked::<i64, _>(index)?.to_string(),
            },
        };
        line.push_str(&format!("{}={value} ", column.name()));
    }
    Ok(line)
}
