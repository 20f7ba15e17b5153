//! Group commit on SQLite: a commit waits for the disk, and there is only one writer. Writes that
//! arrive meanwhile share the next commit, so that a slow disk does not limit the number of logins
//! per second. Each caller gets its response after the commit, as if it had committed alone.

use std::pin::Pin;
use std::sync::Arc;

use prometheus_client::metrics::histogram::Histogram;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};

use super::file_guard::FileGuard;
use super::suspect_writer;
use crate::core::clock::Stopwatch;

/// Upper bounds of the waits in seconds: from a free writer to the longest wait that requests accept.
const WAIT_BOUNDS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];
/// The maximum number of writes in a commit, and of writes that wait for the next one.
const MAX_WRITES: usize = 256;

pub type BoxFuture<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// Sends the outcome of a write to its caller.
type Notify = Box<dyn FnOnce() + Send>;
/// A write. `Ok(None)` is a write that failed by itself: its caller has the error already, and the
/// others continue. `Err` rolls back the whole group.
type Work = Box<
    dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<Option<Notify>>>
        + Send,
>;

/// What is rolled back when a write fails.
#[derive(Debug, Clone, Copy)]
pub enum RollbackScope {
    /// Only the write itself, which is a single statement or uses a savepoint. An error of the
    /// connection rolls back the whole group all the same.
    Own,
    /// The whole group, which saves the savepoint: for writes that fail only when the disk fails.
    Group,
}

/// The queue for the next commit.
#[derive(Debug)]
pub struct GroupCommit {
    queue: mpsc::Sender<Work>,
    files: Arc<FileGuard>,
    /// The time from the arrival of a write to its start.
    pub waits: Histogram,
}

impl GroupCommit {
    /// Starts the task that commits writes until this is dropped. It is independent of requests, so
    /// that a client that disconnects cannot cancel the writes of others.
    pub fn start(writer: SqlitePool, files: Arc<FileGuard>) -> Self {
        let (queue, mut waiting) = mpsc::channel(MAX_WRITES);
        let written = Arc::clone(&files);
        tokio::spawn(async move {
            while let Some(first) = waiting.recv().await {
                if let Err(error) = commit_together(&writer, first, &mut waiting, &written).await {
                    tracing::warn!("a database commit failed: {error}");
                    written.record_error(&error);
                    // The waiting writes would only wait as long for the same error.
                    while waiting.try_recv().is_ok() {}
                }
            }
        });
        Self { queue, files, waits: Histogram::new(WAIT_BOUNDS) }
    }

    /// Runs a write in a transaction with the other waiting writes, and returns after the commit is
    /// on the disk.
    pub async fn run<T: Send + 'static>(
        &self,
        scope: RollbackScope,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<T>>
        + Send
        + 'static,
    ) -> sqlx::Result<T> {
        self.files.check().await?;
        let (answer, answered) = oneshot::channel();
        let (asked, waits) = (Stopwatch::start(), self.waits.clone());
        let work: Work = Box::new(move |connection| {
            Box::pin(async move {
                waits.observe(asked.elapsed().as_secs_f64());
                // If the caller has gone away, sending fails, and that is fine.
                match (work(connection).await, scope) {
                    (Ok(done), _) => {
                        Ok(Some(Box::new(move || drop(answer.send(Ok(done)))) as Notify))
                    }
                    (Err(error), RollbackScope::Group) => Err(error),
                    (Err(error), RollbackScope::Own)
                        if suspect_writer::is_of_connection(&error) =>
                    {
                        Err(error)
                    }
                    (Err(error), RollbackScope::Own) => {
                        drop(answer.send(Err(error)));
                        Ok(None)
                    }
                }
            })
        });
        self.queue.send(work).await.map_err(|_ended| sqlx::Error::WorkerCrashed)?;
        // The sender is dropped only if the commit failed.
        let outcome = answered.await.unwrap_or(Err(sqlx::Error::WorkerCrashed));
        self.files.verify_after(outcome).await
    }
}

/// Runs all waiting writes in one transaction.
async fn commit_together(
    writer: &SqlitePool,
    first: Work,
    waiting: &mut mpsc::Receiver<Work>,
    files: &FileGuard,
) -> sqlx::Result<()> {
    let mut all = writer.begin_with("begin immediate").await?;
    let (mut done, mut next) = (Vec::new(), Some(first));
    while let Some(work) = next {
        done.extend(work(&mut all).await?);
        next = if done.len() < MAX_WRITES { waiting.try_recv().ok() } else { None };
    }
    all.commit().await?;
    if !done.is_empty() {
        files.writer.clear();
    }
    for notify in done {
        notify();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    use super::*;
    use crate::store::suspect_writer::SuspectWriter;

    async fn counting(folder: &tempfile::TempDir, busy: Duration) -> SqlitePool {
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("counting.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(busy);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let table = "create table if not exists counted (n integer primary key) strict";
        sqlx::query(table).execute(&pool).await.unwrap();
        pool
    }

    fn start_committing(folder: &tempfile::TempDir, pool: &SqlitePool) -> GroupCommit {
        let files =
            FileGuard::of(&folder.path().join("counting.db"), SuspectWriter::default()).unwrap();
        GroupCommit::start(pool.clone(), Arc::new(files))
    }

    async fn count(commits: &GroupCommit, n: i64) -> sqlx::Result<()> {
        let insert = "insert into counted (n) values ($1)";
        commits
            .run(RollbackScope::Own, move |db| {
                Box::pin(async move { sqlx::query(insert).bind(n).execute(db).await.map(drop) })
            })
            .await
    }

    async fn count_rows(pool: &SqlitePool) -> i64 {
        sqlx::query_scalar("select count(*) from counted").fetch_one(pool).await.unwrap()
    }

    #[tokio::test]
    async fn who_fails_takes_nobody_along() {
        let folder = tempfile::tempdir().unwrap();
        let pool = counting(&folder, Duration::ZERO).await;
        let commits = start_committing(&folder, &pool);
        let writes = (0..1000).map(|n| count(&commits, n / 2)); // each number twice
        let done = futures_util::future::join_all(writes).await;
        let failed = done.iter().filter(|done| done.is_err()).count();
        assert_eq!((failed, count_rows(&pool).await), (500, 500));
        assert!(done.iter().filter_map(|done| done.as_ref().err()).all(|error| {
            error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
        }));
    }

    #[tokio::test]
    async fn who_goes_away_takes_nobody_along() {
        let folder = tempfile::tempdir().unwrap();
        let pool = counting(&folder, Duration::ZERO).await;
        let commits = start_committing(&folder, &pool);
        for n in (0..100_i64).step_by(2) {
            let patience = Duration::from_micros(n.unsigned_abs() * 10);
            let (_, stayed) = tokio::join!(
                tokio::time::timeout(patience, count(&commits, n)),
                count(&commits, n + 1)
            );
            stayed.unwrap();
        }
        assert!(count_rows(&pool).await >= 50);
    }

    #[tokio::test]
    async fn nobody_is_told_of_what_was_not_committed() {
        let folder = tempfile::tempdir().unwrap();
        let pool = counting(&folder, Duration::from_millis(20)).await;
        let commits = start_committing(&folder, &pool);
        let other = counting(&folder, Duration::ZERO).await;
        let held = other.begin_with("begin exclusive").await.unwrap();
        let writes = (0..10).map(|n| count(&commits, n));
        let done = futures_util::future::join_all(writes).await;
        assert!(done.iter().all(|done| matches!(done, Err(sqlx::Error::WorkerCrashed))));
        held.rollback().await.unwrap();
        count(&commits, 0).await.unwrap();
        assert_eq!(count_rows(&pool).await, 1);
    }
}
