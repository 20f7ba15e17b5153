//! Opens a database of either engine, and closes it.

use std::path::{Path, PathBuf};

use prometheus_client::metrics::histogram::Histogram;
use sqlx::sqlite::SqliteConnectOptions;

use super::Store;
use super::engine::{migrations, postgres, sqlite};
use super::errors::context;
use super::file_guard::StorageFailure;
use super::open_error::OpenError;
use crate::core::error::InternalError;

/// A log directive that hides warnings about slow statements, for commands that copy everything.
pub const QUIET_SLOW_QUERIES: &str = "sqlx::query=error";
/// The log target of the driver's messages about a password file.
pub const PGPASS_TARGET: &str = "sqlx_postgres::options::pgpass";
/// The number of PostgreSQL connections of a command, which runs its queries one after the other.
const CLI_CONNECTIONS: u32 = 4;

/// Connections to Cloakroom's database, for tables of an embedding service.
///
/// On SQLite these are four additional connections to the same file, with foreign keys enabled.
/// They wait up to 0.9 seconds for another writer. Start a transaction that writes with `begin
/// immediate`. On PostgreSQL these are Cloakroom's own connections, as many as the setting
/// `database_connections` allows, whose statements time out after two seconds.
///
/// Let your rows refer to an account with `references accounts (id) on delete cascade`, so that
/// they are deleted together with the account. Your own migrations need their own migrations table;
/// otherwise your service and Cloakroom would refuse to start because of each other's migrations.
/// See `examples/notes`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Database {
    /// An SQLite file.
    Sqlite(sqlx::SqlitePool),
    /// A PostgreSQL server.
    Postgres(sqlx::PgPool),
}

impl Store {
    /// Opens the database at `address`, creates it if it is an SQLite file that does not exist, and
    /// runs the missing migrations.
    pub async fn open(address: &str) -> Result<Self, OpenError> {
        Self::open_with(address, CLI_CONNECTIONS).await
    }

    /// Opens the database with this number of connections to PostgreSQL. SQLite has a fixed number.
    pub async fn open_with(address: &str, connections: u32) -> Result<Self, OpenError> {
        if address.starts_with("sqlite:") {
            Ok(Self::Sqlite(sqlite::open(sqlite::parse(address)?).await?))
        } else if address.starts_with("postgres:") || address.starts_with("postgresql:") {
            Ok(Self::Postgres(postgres::open(address, connections).await?))
        } else {
            Err(OpenError::UnknownEngine)
        }
    }

    /// Opens an SQLite file, like [`Store::open`].
    pub async fn open_file(file: &Path) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new().filename(file);
        Ok(Self::Sqlite(sqlite::open(options).await?))
    }

    /// The file of an SQLite database, or `None` if the URL is not one of SQLite.
    pub fn file_of(address: &str) -> Result<Option<PathBuf>, OpenError> {
        if !address.starts_with("sqlite:") {
            return Ok(None);
        }
        Ok(Some(sqlite::parse(address)?.get_filename().to_owned()))
    }

    /// Whether there is a Cloakroom database at a URL. Nothing is created.
    pub async fn exists(address: &str) -> Result<bool, OpenError> {
        if let Some(file) = Self::file_of(address)? {
            return Ok(match std::fs::metadata(&file) {
                Ok(about) => about.len() > 0, // SQLite treats an empty file as a new database
                Err(error) => error.kind() != std::io::ErrorKind::NotFound, // opening it fails
            });
        }
        postgres::has_tables(address).await
    }

    /// The version of the newest migration that this program has.
    pub fn newest_schema() -> i64 {
        let versions = migrations::SQLITE.iter().map(|migration| migration.version);
        versions.max().unwrap_or_default()
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<(), InternalError> {
        self.reader()
            .query("select count(*) from accounts where 1 = 0")
            .execute()
            .await
            .map(drop)
            .map_err(context("checking the database"))
    }

    /// The versions of the migrations that have run, oldest first.
    pub async fn migrations(&self) -> Result<Vec<i64>, InternalError> {
        self.reader()
            .query("select version from _sqlx_migrations order by version")
            .fetch_values()
            .await
            .map_err(context("reading which migrations ran"))
    }

    /// The connections of each pool: the numbers of used and of idle ones.
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

    /// How long writes waited for the writer of SQLite. `None` on PostgreSQL, where writes do not
    /// queue.
    pub fn write_waits(&self) -> Option<&Histogram> {
        match self {
            Self::Sqlite(pools) => Some(&pools.group_commit.waits),
            Self::Postgres(_) => None,
        }
    }

    /// Resolves when the disk has failed to keep data. After that, nothing is read or written until
    /// the database is opened again.
    pub async fn wait_for_sync_failure(&self) -> StorageFailure {
        match self {
            Self::Sqlite(pools) => pools.files.wait_for_sync_failure().await,
            Self::Postgres(_) => std::future::pending().await, // a task of the server
        }
    }

    /// Closes every connection, after pending writes are on the disk.
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

    /// The connections for an embedding service with its own tables.
    pub fn database(&self) -> Database {
        match self {
            Self::Sqlite(pools) => Database::Sqlite(pools.guests.clone()),
            Self::Postgres(pools) => Database::Postgres(pools.pool.clone()),
        }
    }
}
