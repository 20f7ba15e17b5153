//! What a backup contains.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::error::BackupError;
use crate::store::Store;
use crate::store::transfer::TABLES;

/// The schema version of a database and the number of rows in each table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The version of the newest migration that has run.
    pub schema: i64,
    /// The tables that both this program and the database have, with their numbers of rows.
    pub rows: Vec<(&'static str, u64)>,
}

impl Contents {
    pub fn rows_of(&self, table: &str) -> u64 {
        self.rows.iter().find(|(name, _)| *name == table).map_or(0, |(_, rows)| *rows)
    }
}

impl Store {
    /// Checks every page, index and reference of an SQLite file that no process writes, and counts
    /// its rows.
    pub async fn inspect(file: &Path) -> Result<Contents, BackupError> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
        let damaged = |error: sqlx::Error| BackupError::Damaged(error.to_string());
        let mut copy = SqliteConnection::connect_with(&options).await.map_err(damaged)?;
        let found: Vec<String> = sqlx::query_scalar("pragma integrity_check(1)")
            .fetch_all(&mut copy)
            .await
            .map_err(damaged)?;
        if found != ["ok"] {
            return Err(BackupError::Damaged(found.join("; ").replace('\n', " ")));
        }
        let lost = sqlx::query("pragma foreign_key_check").fetch_all(&mut copy);
        let lost = lost.await.map_err(damaged)?.len();
        if lost > 0 {
            return Err(BackupError::Damaged(format!("{lost} rows refer to missing rows")));
        }
        let tables: Vec<String> =
            sqlx::query_scalar("select name from sqlite_schema where type = 'table'")
                .fetch_all(&mut copy)
                .await
                .map_err(damaged)?;
        let has = |name: &str| tables.iter().any(|table| table == name);
        if !has("_sqlx_migrations") {
            return Err(BackupError::NotOurs);
        }
        let schema = "select coalesce(max(version), 0) from _sqlx_migrations where success";
        let schema = sqlx::query_scalar(schema).fetch_one(&mut copy).await.map_err(damaged)?;
        let mut rows = Vec::new();
        for table in TABLES.iter().filter(|table| has(table.name)) {
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(table.count_sql()))
                .fetch_one(&mut copy)
                .await
                .map_err(damaged)?;
            rows.push((table.name, count.unsigned_abs()));
        }
        copy.close().await.map_err(damaged)?;
        Ok(Contents { schema, rows })
    }
}
