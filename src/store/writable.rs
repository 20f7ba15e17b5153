//! Checks whether the database is writable. A file, a mount, a role or a server may be read-only
//! while reads succeed, and then no user can sign in.

use std::time::Duration;

use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::time::timeout;

use super::Store;
use super::errors::{context, primary_code};
use super::write::spawn_uncancellable;
use crate::core::error::InternalError;

/// A write that affects no row. It fails all the same if the database is read-only.
const WRITE_NOTHING: &str = "update accounts set disabled_at = disabled_at where id = ''";
/// Writes to all tables that a login writes, because each of them may be damaged in a file.
const WRITE_NOTHING_TO_FILE: [&str; 4] = [
    WRITE_NOTHING,
    "update login_attempts set failures = failures where key = x''",
    "update sessions set remember = remember where digest = x''",
    "update events set refusal = refusal where id = x''",
];

/// How long the check waits for a connection. Kubernetes gives a probe one second.
const MAX_WAIT: Duration = Duration::from_millis(250);

impl Store {
    /// Writes without an effect, and rolls back. If the writer is busy, nothing is written, because
    /// then the database is writable.
    pub async fn check_writable(&self) -> Result<(), InternalError> {
        let checked = match self {
            Self::Sqlite(pools) => match timeout(MAX_WAIT, pools.writer.acquire()).await {
                Ok(Ok(mut writer)) => {
                    let written =
                        spawn_uncancellable(async move { write_to_sqlite(&mut writer).await })
                            .await;
                    match &written {
                        Ok(()) => pools.files.writer.clear(),
                        Err(error) => pools.files.record_error(error),
                    }
                    written
                }
                Ok(Err(error)) => Err(error),
                Err(_busy) => Ok(()),
            },
            Self::Postgres(pools) => match timeout(MAX_WAIT, pools.pool.acquire()).await {
                Ok(Ok(mut connection)) => {
                    spawn_uncancellable(async move { write_to_postgres(&mut connection).await })
                        .await
                }
                Ok(Err(error)) => Err(error),
                Err(_busy) => Ok(()),
            },
        };
        match checked {
            Err(error) if is_busy(&error) => Ok(()),
            checked => checked.map_err(context("testing a write to the database")),
        }
    }
}

async fn write_to_sqlite(writer: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut transaction = writer.begin().await?;
    for write in WRITE_NOTHING_TO_FILE {
        sqlx::query(write).execute(&mut *transaction).await?;
    }
    transaction.rollback().await
}

async fn write_to_postgres(connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::query(WRITE_NOTHING).execute(&mut *transaction).await?;
    transaction.rollback().await
}

/// Whether another process writes: BUSY 5, LOCKED 6.
fn is_busy(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| matches!(code, 5 | 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_takes_no_writes_is_told_from_one_that_is_busy() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_file(&folder.path().join("small.db")).await.unwrap();
        store.check_writable().await.unwrap();
        let Store::Sqlite(pools) = &store else { panic!("it is a file") };
        sqlx::query("pragma query_only = on").execute(&pools.writer).await.unwrap();
        let refused = store.check_writable().await.unwrap_err();
        assert!(refused.is_transient() && refused.to_string().contains("readonly"), "{refused}");
        sqlx::query("pragma query_only = off").execute(&pools.writer).await.unwrap();
        store.check_writable().await.unwrap();

        let held = pools.writer.begin().await.unwrap();
        store.check_writable().await.unwrap(); // does not wait for another writer
        drop(held);
        let file = folder.path().join("small.db");
        let other = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut other = SqliteConnection::connect_with(&other).await.unwrap();
        sqlx::query("pragma busy_timeout = 1").execute(&pools.writer).await.unwrap();
        let held = other.begin_with("begin exclusive").await.unwrap();
        store.check_writable().await.unwrap();
        held.rollback().await.unwrap();
    }
}
