//! One end of a transfer: the operations that differ between the engines.

use futures_util::stream::BoxStream;
use sqlx::AssertSqlSafe;
use tokio::sync::mpsc::Receiver;

use super::copy_format::Rows;
use super::tables::{TABLES, Table};
use crate::store::engine::connection::Transaction;

/// The number of rows that are read, written and compared together, in about 10 ms.
pub const BATCH: usize = 2000;
/// Rows from the other side, with a `None` after each table.
pub type Coming = Receiver<Option<Rows>>;

/// The rows of a table in the order of its key, in batches of [`BATCH`]. Only the last one is
/// smaller.
pub type Batches<'c> = BoxStream<'c, sqlx::Result<Rows>>;

/// One end of a transfer.
pub trait TransferEnd {
    /// Begins a snapshot: sees everything that was committed before, and nothing that is committed
    /// later.
    async fn begin_snapshot(&mut self) -> sqlx::Result<()>;
    /// Raises the limits of time and memory for this transaction.
    async fn raise_limits(&mut self) -> sqlx::Result<()>;
    /// Drops the indexes and constraints of an empty schema that are cheaper to build once than row
    /// by row, as far as this user may. Returns the statements that restore them.
    async fn drop_indexes(&mut self) -> sqlx::Result<Vec<String>>;
    /// Restores the indexes and constraints, and updates the statistics of the query planner.
    async fn restore_indexes(&mut self, dropped: Vec<String>) -> sqlx::Result<()>;
    /// Reads the rows of a table.
    async fn batches(&mut self, table: &'static Table) -> sqlx::Result<Batches<'_>>;
    /// Writes all rows of a table as they arrive.
    async fn fill(
        &mut self,
        table: &'static Table,
        rows: &mut Coming,
        tell: impl FnMut(usize),
    ) -> sqlx::Result<()>;
}

/// The next rows of the table, or `None` after the last ones.
pub async fn next(rows: &mut Coming) -> sqlx::Result<Option<Rows>> {
    rows.recv().await.ok_or(sqlx::Error::WorkerCrashed)
}

/// Builds what was dropped, and updates the statistics of the query planner.
pub async fn build<'c, D, C>(db: &'c mut C, dropped: Vec<String>) -> sqlx::Result<()>
where
    D: sqlx::Database,
    for<'e> &'e mut C: sqlx::Executor<'e, Database = D>,
{
    let analyze = TABLES.iter().map(|table| format!("analyze {}", table.name));
    for sql in dropped.into_iter().chain(analyze) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await?;
    }
    Ok(())
}

/// Runs the first statement of each pair. Returns the second ones, which undo them.
pub async fn exchange<'c, D, C>(
    db: &'c mut C,
    pairs: Vec<(String, String)>,
) -> sqlx::Result<Vec<String>>
where
    D: sqlx::Database,
    for<'e> &'e mut C: sqlx::Executor<'e, Database = D>,
{
    let (drop_indexes, restore_indexes): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    for sql in drop_indexes {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await?;
    }
    Ok(restore_indexes)
}

impl TransferEnd for Transaction {
    async fn begin_snapshot(&mut self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(end) => end.begin_snapshot().await,
            Self::Postgres(end) => end.begin_snapshot().await,
        }
    }

    async fn raise_limits(&mut self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(end) => end.raise_limits().await,
            Self::Postgres(end) => end.raise_limits().await,
        }
    }

    async fn drop_indexes(&mut self) -> sqlx::Result<Vec<String>> {
        match self {
            Self::Sqlite(end) => end.drop_indexes().await,
            Self::Postgres(end) => end.drop_indexes().await,
        }
    }

    async fn restore_indexes(&mut self, dropped: Vec<String>) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(end) => end.restore_indexes(dropped).await,
            Self::Postgres(end) => end.restore_indexes(dropped).await,
        }
    }

    async fn batches(&mut self, table: &'static Table) -> sqlx::Result<Batches<'_>> {
        match self {
            Self::Sqlite(end) => end.batches(table).await,
            Self::Postgres(end) => end.batches(table).await,
        }
    }

    async fn fill(
        &mut self,
        table: &'static Table,
        rows: &mut Coming,
        tell: impl FnMut(usize),
    ) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(end) => end.fill(table, rows, tell).await,
            Self::Postgres(end) => end.fill(table, rows, tell).await,
        }
    }
}
