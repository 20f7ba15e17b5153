//! The ways to write: in a separate transaction, or in a group commit.

use super::Store;
use super::engine::connection::{ConnectionRef, Transaction};
use super::group_commit::{BoxFuture, RollbackScope};

impl Store {
    /// Runs a write to its end, even if its caller is dropped; so `work` owns its data. On SQLite,
    /// which has one writer, the write joins a group commit; on PostgreSQL it is a separate task.
    ///
    /// With [`RollbackScope::Own`], `work` is a single statement or begins a transaction. With
    /// [`RollbackScope::Group`], `work` runs inside a transaction, and either succeeds completely
    /// or fails before its first statement that writes.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        scope: RollbackScope,
        work: impl for<'c> FnOnce(ConnectionRef<'c>) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    ) -> sqlx::Result<T> {
        let pools = match self {
            Self::Sqlite(pools) => {
                let group = &pools.group_commit;
                return group.run(scope, move |db| work(ConnectionRef::Sqlite(db))).await;
            }
            Self::Postgres(pools) => pools,
        };
        let pool = pools.pool.clone();
        let work = async move {
            match scope {
                RollbackScope::Own => {
                    let mut connection = pool.acquire().await?;
                    work(ConnectionRef::Postgres(&mut connection)).await
                }
                RollbackScope::Group => {
                    let mut transaction = pool.begin().await?;
                    let done = work(ConnectionRef::Postgres(&mut transaction)).await?;
                    transaction.commit().await?;
                    Ok(done)
                }
            }
        };
        spawn_uncancellable(work).await
    }

    /// Runs `work` in a separate transaction. `work` commits it; otherwise it is rolled back.
    pub(super) async fn transaction<T, F: Future<Output = sqlx::Result<T>>>(
        &self,
        work: impl FnOnce(Transaction) -> F,
    ) -> sqlx::Result<T> {
        match self {
            Self::Sqlite(pools) => {
                // Waits for the writers of other processes before it reads. A transaction that reads
                // first fails at its first write if another process writes meanwhile.
                let begin = begin(&pools.writer, "begin immediate");
                let work = async { work(Transaction::Sqlite(begin.await?)).await };
                pools.files.around_write(work).await
            }
            Self::Postgres(pools) => {
                work(Transaction::Postgres(begin(&pools.pool, "begin").await?)).await
            }
        }
    }
}

/// Begins a transaction. A caller that is dropped meanwhile leaves none open.
async fn begin<D: sqlx::Database>(
    pool: &sqlx::Pool<D>,
    statement: &'static str,
) -> sqlx::Result<sqlx::Transaction<'static, D>> {
    let pool = pool.clone();
    spawn_uncancellable(async move { pool.begin_with(statement).await }).await
}

/// Runs this to its end, even if its caller is dropped. A transaction that is dropped while it
/// begins would stay open on a connection that another request gets next (launchbadge/sqlx#4393).
pub async fn spawn_uncancellable<T: Send + 'static>(
    work: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> sqlx::Result<T> {
    tokio::spawn(work).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{Connection, SqliteConnection};

    use crate::store::Store;

    #[tokio::test]
    async fn a_transaction_keeps_other_writers_out_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("small.db");
        let store = Store::open_file(&file).await.unwrap();
        let other = SqliteConnectOptions::new().filename(file);
        let mut other = SqliteConnection::connect_with(&other).await.unwrap();
        sqlx::query("pragma busy_timeout = 1").execute(&mut other).await.unwrap();
        let at_the_same_time = store.transaction(|open| async move {
            let begun = other.begin_with("begin immediate").await.map(drop);
            drop(open);
            Ok(begun)
        });
        assert!(at_the_same_time.await.unwrap().is_err(), "the transaction could not write then");
    }
}
