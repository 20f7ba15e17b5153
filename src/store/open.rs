//! Opens a database, whichever engine it is, and closes it.

use std::path::{Path, PathBuf};

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;

use super::Store;
use super::engine::{postgres, sqlite};
use super::errors::context;
use super::file_guard::StorageFailure;
use super::open_error::OpenError;
use super::wait_histogram::Waited;
use crate::core::error::Fault;

/// Has the log say nothing of statements that take long, for those who copy everything.
pub const QUIET_SLOW_QUERIES: &str = "sqlx::query=error";
/// What the driver's lines about a password file are logged as.
pub const PGPASS_TARGET: &str = "sqlx_postgres::options::pgpass";
/// As many connections to PostgreSQL do for a command, which asks for one thing after the other.
const CLI_CONNECTIONS: u32 = 4;

/// Connections to Cloakroom's database, for tables of an embedding service.
///
/// In SQLite they are four of their own to the same file, with foreign keys on, which wait for 0.9
/// seconds for who writes; begin a transaction that writes with `begin immediate`. In PostgreSQL they
/// are Cloakroom's own, as many as the setting `database_connections` says, whose statements end after
/// two seconds.
///
/// Let rows refer to an account by `references accounts (id) on delete cascade`, and they go when it
/// is closed. Migrations of your own need a table of their own to be noted in, or each side refuses
/// to start because of what the other one ran: see `examples/notes`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Database {
    /// A file.
    Sqlite(sqlx::SqlitePool),
    /// A server.
    Postgres(sqlx::PgPool),
}

impl Store {
    /// Opens the database at `address`, makes it if it is an SQLite file that is not there yet,
    /// and brings its schema up to date.
    pub async fn open(address: &str) -> Result<Self, OpenError> {
        Self::open_with(address, CLI_CONNECTIONS).await
    }

    /// The same with so many connections, if it is a PostgreSQL: SQLite has as many as are of use.
    pub async fn open_with(address: &str, connections: u32) -> Result<Self, OpenError> {
        if address.starts_with("sqlite:") {
            Ok(Self::Sqlite(sqlite::open(sqlite::parse(address)?).await?))
        } else if address.starts_with("postgres:") || address.starts_with("postgresql:") {
            Ok(Self::Postgres(postgres::open(address, connections).await?))
        } else {
            Err(OpenError::UnknownEngine)
        }
    }

    /// Opens an SQLite file, as [`Store::open`] does.
    pub async fn open_file(file: &Path) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new().filename(file);
        Ok(Self::Sqlite(sqlite::open(options).await?))
    }

    /// The file of an SQLite database; `None` if it is no such address.
    pub fn file_of(address: &str) -> Result<Option<PathBuf>, OpenError> {
        if !address.starts_with("sqlite:") {
            return Ok(None);
        }
        Ok(Some(sqlite::parse(address)?.get_filename().to_owned()))
    }

    /// Is there a database of Cloakroom's at an address? Nothing is made.
    pub async fn exists(address: &str) -> Result<bool, OpenError> {
        if let Some(file) = Self::file_of(address)? {
            return Ok(match std::fs::metadata(&file) {
                Ok(about) => about.len() > 0, // SQLite takes an empty file for a new database
                Err(error) => error.kind() != std::io::ErrorKind::NotFound, // opening says why
            });
        }
        postgres::has_tables(address).await
    }

    /// The last migration that this program knows.
    pub fn newest_schema() -> i64 {
        let newest = |known: &Migrator| known.iter().map(|migration| migration.version).max();
        newest(&sqlite::MIGRATIONS).unwrap_or_default()
    }

    /// The database answers.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.reader()
            .query("select count(*) from accounts where 1 = 0")
            .execute()
            .await
            .map(drop)
            .map_err(context("asking the database for a sign of life"))
    }

    /// The versions of the migrations that have run, oldest first.
    pub async fn migrations(&self) -> Result<Vec<i64>, Fault> {
        self.reader()
            .query("select version from _sqlx_migrations order by version")
            .fetch_values()
            .await
            .map_err(context("reading which migrations ran"))
    }

    /// The connections of each pool: how many are in use, and how many wait to be.
    pub fn connections(&self) -> Vec<(&'static str, u32, u32)> {
        fn of<D: sqlx::Database>(
            name: &'static str,
            pool: &sqlx::Pool<D>,
        ) -> (&'static str, u32, u32) {
            let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
            (name, pool.size().saturating_sub(idle), idle)
        }
        match self {
            Self::Sqlite(pools) => vec![of("readers", &pools.readers), of("writer", &pools.writer)],
            Self::Postgres(pools) => vec![of("all", &pools.pool)],
        }
    }

    /// How long those waited who write behind each other: what a sign-in writes, in SQLite, which has
    /// one writer. On PostgreSQL no request waits for that.
    pub fn waited(&self) -> Option<Waited> {
        match self {
            Self::Sqlite(pools) => Some(pools.group_commit.waits.snapshot()),
            Self::Postgres(_) => None,
        }
    }

    /// Comes back when the disk has failed to keep what was written: nothing is read or written any
    /// more until the database is opened again.
    pub async fn unsynced(&self) -> StorageFailure {
        match self {
            Self::Sqlite(pools) => pools.files.unsynced().await,
            Self::Postgres(_) => std::future::pending().await, // the server's own to mend
        }
    }

    /// Writes what is open to the disk and closes every connection.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => {
                pools.guests.close().await;
                pools.readers.close().await;
                pools.writer.close().await;
            }
            Self::Postgres(pools) => pools.pool.close().await,
        }
    }

    /// For services with tables of their own.
    pub fn database(&self) -> Database {
        match self {
            Self::Sqlite(pools) => Database::Sqlite(pools.guests.clone()),
            Self::Postgres(pools) => Database::Postgres(pools.pool.clone()),
        }
    }
}
