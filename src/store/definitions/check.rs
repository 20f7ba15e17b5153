//! Compares the definitions of a database with those of the migrations.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use super::report::DefinitionReport;
use super::{postgres, sqlite};
use crate::core::error::InternalError;
use crate::store::engine::connection::Pool;
use crate::store::errors::context;
use crate::store::{BackupError, Store};

impl Store {
    /// Compares the definitions in an SQLite file that no process writes with those of the
    /// migrations.
    pub async fn check_file_definitions(
        file: &Path,
        schema: i64,
    ) -> Result<DefinitionReport, BackupError> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
        let damaged = |error: sqlx::Error| BackupError::Damaged(error.to_string());
        let mut copy = SqliteConnection::connect_with(&options).await.map_err(damaged)?;
        let report = sqlite::check(&mut copy, schema).await.map_err(damaged)?;
        copy.close().await.map_err(damaged)?;
        Ok(report)
    }

    /// Compares the definitions in this database with those of the migrations.
    pub async fn check_definitions(&self) -> Result<Option<DefinitionReport>, InternalError> {
        check(self.reader(), Self::newest_schema())
            .await
            .map_err(context("comparing the schema with the migrations"))
    }
}

/// Compares the definitions of the database with those that the migrations up to `schema` create.
/// Returns `None` if PostgreSQL denies its user the temporary tables that are needed for it.
pub async fn check(pool: Pool<'_>, schema: i64) -> sqlx::Result<Option<DefinitionReport>> {
    match pool {
        Pool::Sqlite(pool, _) => sqlite::check(&mut *pool.acquire().await?, schema).await.map(Some),
        Pool::Postgres(pool) => match postgres::check(&mut *pool.acquire().await?, schema).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
                Ok(None)
            }
            checked => checked.map(Some),
        },
    }
}
