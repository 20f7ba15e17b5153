//! A database for one test: a file, or a schema on the PostgreSQL server at `TEST_DATABASE_URL`.

use std::path::Path;

use cloakroom::config::DatabaseUrl;
use cloakroom::core::secret::random_id;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// The database is deleted when this is dropped.
#[derive(Debug)]
pub enum Database {
    /// A file in the app's folder.
    Sqlite(String),
    Postgres(Schema),
}

#[derive(Debug)]
pub struct Schema {
    server: String,
    pub name: String,
}

/// Runs the body on a connection to either engine.
macro_rules! connected {
    ($database:expr, |$name:ident| $body:expr) => {
        match $database {
            Database::Sqlite(address) => {
                let mut $name = SqliteConnection::connect(address).await.unwrap();
                let done = $body.await.unwrap();
                $name.close().await.unwrap();
                done
            }
            Database::Postgres(schema) => {
                let mut $name = PgConnection::connect(&schema.address()).await.unwrap();
                let done = $body.await.unwrap();
                $name.close().await.unwrap();
                done
            }
        }
    };
}

impl Database {
    pub async fn new(folder: &Path) -> Self {
        match std::env::var("TEST_DATABASE_URL") {
            Ok(server) => Self::Postgres(Schema::make(server).await),
            Err(_) => Self::Sqlite(format!("sqlite://{}/cloakroom.db", folder.display())),
        }
    }

    /// The setting `database_url`: none for the default file.
    pub fn setting(&self) -> Option<DatabaseUrl> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(schema) => Some(DatabaseUrl::from(schema.address())),
        }
    }

    pub async fn sql(&self, sql: &'static str) {
        connected!(self, |db| async { sqlx::query(sql).execute(&mut db).await.map(drop) });
    }

    /// Runs this in a transaction that stays open as long as the connection is kept.
    pub async fn hold(&self, sql: &'static str) -> PgConnection {
        let Self::Postgres(schema) = self else { panic!("there is no need of it in SQLite") };
        let mut connection = PgConnection::connect(&schema.address()).await.unwrap();
        for sql in ["begin", sql] {
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        }
        connection
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        connected!(self, |db| sqlx::query_scalar(sql).fetch_one(&mut db))
    }

    pub async fn text(&self, sql: &'static str) -> String {
        connected!(self, |db| sqlx::query_scalar(sql).fetch_one(&mut db))
    }
}

impl Schema {
    async fn make(server: String) -> Self {
        let schema = Self { server, name: random_id().replace('-', "_") };
        schema.owner(&format!("create schema \"{}\"", schema.name)).await;
        schema
    }

    /// The URL with which every connection uses this schema only.
    pub fn address(&self) -> String {
        let (server, name) = (&self.server, &self.name);
        let and = if server.contains('?') { '&' } else { '?' };
        format!("{server}{and}options[search_path]=\"{name}\"&application_name={name}")
    }

    async fn owner(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // A separate thread, because the test's own runtime may be shutting down.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let name = &self.name;
                // A transaction that the test left open would lock the schema.
                let connected = format!("application_name = '{name}'");
                runtime.unwrap().block_on(async {
                    self.owner(&format!(
                        "select pg_terminate_backend(pid) from pg_stat_activity where {connected}"
                    ))
                    .await;
                    self.owner(&format!("drop schema \"{name}\" cascade")).await;
                });
            });
        });
    }
}
