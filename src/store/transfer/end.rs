//! One end of a move: what each engine does in its own words.

use futures_util::stream::BoxStream;
use sqlx::AssertSqlSafe;
use tokio::sync::mpsc::Receiver;

use super::copy_format::Rows;
use super::tables::{TABLES, Table};
use crate::store::engine::connection::Transaction;

/// Rows that are read, written and compared at once: a hundredth of a second.
pub const BATCH: usize = 2000;
/// Rows that come from the other side, with a `None` behind each table.
pub type Coming = Receiver<Option<Rows>>;

/// A table's rows in the order of its key, always [`BATCH`] of them but for the last ones.
pub type Batches<'c> = BoxStream<'c, sqlx::Result<Rows>>;

/// What each engine does in its own words.
pub trait TransferEnd {
    /// Sees what was committed before it begins to read, and nothing that is committed then.
    async fn begin_snapshot(&mut self) -> sqlx::Result<()>;
    /// Has a transaction take what time and room it needs.
    async fn raise_limits(&mut self) -> sqlx::Result<()>;
    /// Takes off an empty schema what is cheaper to build at once than row by row, as far as this user
    /// may, and says by which statements it comes back.
    async fn drop_indexes(&mut self) -> sqlx::Result<Vec<String>>;
    /// Brings that back, and has the planner of queries look at what is there now.
    async fn restore_indexes(&mut self, dropped: Vec<String>) -> sqlx::Result<()>;
    /// What the table has.
    async fn batches(&mut self, table: &'static Table) -> sqlx::Result<Batches<'_>>;
    /// Puts all rows of a table in, as they come.
    async fn fill(
        &mut self,
        table: &'static Table,
        rows: &mut Coming,
        tell: impl FnMut(usize),
    ) -> sqlx::Result<()>;
}

/// The rows of a table that come next, or none if those were all.
pub async fn next(rows: &mut Coming) -> sqlx::Result<Option<Rows>> {
    rows.recv().await.ok_or(sqlx::Error::WorkerCrashed)
}

/// Builds what was dropped, and has the planner of queries look at what is there now.
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

/// Runs the first statement of each pair; the second ones undo them.
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
