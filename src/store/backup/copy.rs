//! Copies a database to a file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tokio::time::interval;

use super::error::BackupError;
use crate::store::Store;
use crate::store::engine::{postgres, sqlite};
use crate::store::errors::context;
use crate::store::transfer::{Progress, TABLES};

/// The interval at which the progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

impl Store {
    /// Copies the database at a URL to a file that is empty or does not exist. The copy is a
    /// snapshot that contains every acknowledged write, and other processes may go on writing. The
    /// database itself is not migrated. `tell` receives the amount that is done and the total.
    pub async fn back_up(
        address: &str,
        to: &Path,
        mut tell: impl FnMut(u64, u64),
    ) -> Result<(), BackupError> {
        if let Some(file) = Self::file_of(address)? {
            return back_up_sqlite(&file, sqlite::parse(address)?, to, tell).await;
        }
        let mut source = postgres::look(address).await?;
        if !postgres::is_up_to_date(&mut source).await? {
            return Err(BackupError::OlderSchema);
        }
        // The server's settings might abort a long copy.
        for sql in [
            "set statement_timeout = 0",
            "set idle_in_transaction_session_timeout = 0",
            "begin isolation level repeatable read, read only",
        ] {
            let begun = sqlx::query(sql).execute(&mut source).await;
            begun.map_err(context("starting to copy"))?;
        }
        let mut all: u64 = 0;
        for table in TABLES {
            let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(table.count_sql()));
            let count = count.fetch_one(&mut source).await;
            all += count.map_err(context("counting rows"))?.unsigned_abs();
        }
        let target = Self::open_file(to).await?;
        let mut done = 0;
        let copied = target.take_over(&mut source, |progress| {
            let (Progress::Copied(rows) | Progress::Compared(rows)) = progress;
            done += u64::try_from(rows).unwrap_or_default();
            tell(done, 2 * all);
        });
        let copied = copied.await;
        target.close().await;
        copied?;
        source.close().await.map_err(context("finishing the copy"))?;
        let _ = fs::remove_file(to.with_added_extension("migrating")); // made by opening it
        Ok(())
    }
}

/// Copies an SQLite database with one statement, which reads a snapshot and does not block writers.
async fn back_up_sqlite(
    file: &Path,
    options: SqliteConnectOptions,
    to: &Path,
    mut tell: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    // SQLite would turn an empty file into a new database.
    if !fs::metadata(file).is_ok_and(|about| about.len() > 0) {
        return Err(BackupError::NoDatabase(file.display().to_string()));
    }
    let options = options
        .create_if_missing(false)
        .busy_timeout(sqlite::BUSY)
        .synchronous(SqliteSynchronous::Full);
    let failed = |error: sqlx::Error| sqlite::not_opened(file, &error);
    let mut source = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    let pages = "select (page_count - freelist_count) * page_size
         from pragma_page_count, pragma_freelist_count, pragma_page_size";
    let all: i64 = sqlx::query_scalar(pages).fetch_one(&mut source).await.map_err(failed)?;
    let path = to.to_str().ok_or_else(|| {
        BackupError::NoDatabase(format!("{}, which is not in UTF-8", to.display()))
    })?;
    let copied = {
        let copying = sqlx::query("vacuum into $1").bind(path).execute(&mut source);
        let mut copying = std::pin::pin!(copying);
        let mut looks = interval(PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                copied = &mut copying => break copied,
                _ = looks.tick() => {
                    let done = fs::metadata(to).map_or(0, |about| about.len());
                    tell(done, all.unsigned_abs());
                }
            }
        }
    };
    let closed = source.close().await;
    copied.map_err(context("copying the database"))?;
    closed.map_err(context("closing the database"))?;
    Ok(())
}
