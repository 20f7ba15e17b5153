//! Backups: everything of a database as it is at one instant, in an SQLite file of its own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use tokio::time::interval;

use crate::core::error::Fault;
use crate::store::engine::{postgres, sqlite};
use crate::store::transfer::TABLES;
use crate::store::{MoveError, OpenError, Progress, Store, broken, on_engine};

/// How often it is looked how far a copy is.
const LOOK: Duration = Duration::from_millis(100);

/// What a database holds, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The last migration that ran.
    pub schema: i64,
    /// Each table that this program knows and the database has, and how many rows it has.
    pub rows: Vec<(&'static str, u64)>,
}

impl Contents {
    pub fn rows_of(&self, table: &str) -> u64 {
        self.rows.iter().find(|(name, _)| *name == table).map_or(0, |(_, rows)| *rows)
    }
}

/// Why there is no backup, or why one cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no database at {0}")]
    NoDatabase(String),
    #[error(
        "the database has an older schema than this program; back it up with the release that runs \
         on it, or run `cloakroom migrate` first"
    )]
    OlderSchema,
    #[error("the database is not one of cloakroom's: it has no migrations")]
    NotOurs,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Store {
    /// Copies the database at an address to a file that is empty or not there yet: as it is at one
    /// instant, after everything that was answered before, while others write on. The database itself
    /// is not migrated. `tell` hears how much is done, and of how much.
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
        // what the server's own settings say would end a long copy
        for sql in [
            "set statement_timeout = 0",
            "set idle_in_transaction_session_timeout = 0",
            "begin isolation level repeatable read, read only",
        ] {
            let begun = sqlx::query(sql).execute(&mut source).await;
            begun.map_err(broken("beginning to copy"))?;
        }
        let mut all: u64 = 0;
        for table in TABLES {
            let count = sqlx::query_scalar::<_, i64>(table.count());
            let count = count.fetch_one(&mut source).await;
            all += count.map_err(broken("counting rows"))?.unsigned_abs();
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
        source.close().await.map_err(broken("ending the copy"))?;
        let _ = fs::remove_file(to.with_added_extension("migrating")); // opening made this
        Ok(())
    }

    /// Checks every page, index and reference of an SQLite file that nobody writes, and counts.
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
            return Err(BackupError::Damaged(format!("{lost} rows refer to rows that are gone")));
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
            let count: i64 =
                sqlx::query_scalar(table.count()).fetch_one(&mut copy).await.map_err(damaged)?;
            rows.push((table.name, count.unsigned_abs()));
        }
        copy.close().await.map_err(damaged)?;
        Ok(Contents { schema, rows })
    }

    /// The last migration that this program knows.
    pub fn newest_schema() -> i64 {
        let newest = |known: &Migrator| known.iter().map(|migration| migration.version).max();
        newest(&sqlite::MIGRATIONS).unwrap_or_default()
    }

    /// Removes every session; how many of them had not been ended.
    pub async fn remove_all_sessions(&self) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let count = "select count(*) from sessions where ended_at is null";
                let live: i64 = sqlx::query_scalar(count).fetch_one(pool).await?;
                sqlx::query("delete from sessions").execute(pool).await?;
                Ok(live.unsigned_abs())
            }
            .await
        })
        .map_err(broken("removing the sessions"))
    }

    /// Removes every invite; how many those were.
    pub async fn remove_all_invites(&self) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query("delete from invites").execute(pool).await.map(|done| done.rows_affected())
        })
        .map_err(broken("removing the invites"))
    }
}

/// One statement reads a snapshot, and writers do not wait for it.
async fn back_up_sqlite(
    file: &Path,
    options: SqliteConnectOptions,
    to: &Path,
    mut tell: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    // one without a byte would become a new one
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
        let mut looks = interval(LOOK);
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
    copied.map_err(broken("copying the database"))?;
    closed.map_err(broken("closing the database"))?;
    Ok(())
}
