//! Transfers whole databases: to another engine, or from PostgreSQL into a backup.

use sqlx::PgConnection;

use super::copy::{MoveError, Progress, compare, copy};
use super::end::TransferEnd;
use super::tables::TABLES;
use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::engine::connection::Transaction;
use crate::store::engine::query::Statement;
use crate::store::errors::context;

impl Store {
    /// Counts the rows to transfer.
    pub async fn count_rows(&self) -> Result<u64, InternalError> {
        let mut all = 0;
        for table in TABLES {
            let count = self.reader().query(Statement::Generated(table.count_sql()));
            let count: i64 = count.fetch_value().await.map_err(context("counting rows"))?;
            all += count.unsigned_abs();
        }
        Ok(all)
    }

    /// Copies every row to an empty database and compares all of them, in one transaction of the
    /// target. No other process may write to the target. A transfer that failed starts from the
    /// beginning.
    pub async fn move_to(
        &self,
        target: &Self,
        mut tell: impl FnMut(Progress),
    ) -> Result<(), MoveError> {
        target.check_files().await?;
        let mut there = target.writer().begin().await.map_err(context("starting to copy"))?;
        there.raise_limits().await.map_err(context("starting to copy"))?;
        if target.count_rows().await? > 0 {
            return Err(MoveError::NotEmpty);
        }
        let mut here = self.begin_snapshot().await?;
        copy(&mut here, &mut there, &mut tell).await?;
        here.rollback().await.map_err(context("reading rows"))?;
        // A new snapshot, so that rows that were written during the copy are not lost unnoticed.
        let mut here = self.begin_snapshot().await?;
        compare(&mut here, &mut there, &mut tell).await?;
        drop(here);
        self.check_files().await?;
        there.commit().await.map_err(context("committing the copied data"))?;
        target.check_files().await.map_err(MoveError::from)
    }

    /// Copies every row of a PostgreSQL database into this empty database and compares all of them.
    /// The source is in a transaction that reads a snapshot, so concurrent writes do not matter.
    pub async fn take_over(
        &self,
        source: &mut PgConnection,
        mut tell: impl FnMut(Progress),
    ) -> Result<(), MoveError> {
        self.check_files().await?;
        let mut all = self.writer().begin().await.map_err(context("starting to copy"))?;
        all.raise_limits().await.map_err(context("starting to copy"))?;
        copy(source, &mut all, &mut tell).await?;
        compare(source, &mut all, &mut tell).await?;
        all.commit().await.map_err(context("committing the copied data"))?;
        self.check_files().await.map_err(MoveError::from)
    }

    /// Begins a snapshot of everything that is committed.
    async fn begin_snapshot(&self) -> Result<Transaction, InternalError> {
        self.check_files().await?;
        let mut here = self.reader().begin().await.map_err(context("reading rows"))?;
        here.begin_snapshot().await.map_err(context("reading rows"))?;
        Ok(here)
    }

    /// Fails if a file of the database is not the one that was opened.
    async fn check_files(&self) -> Result<(), InternalError> {
        let checked = match self {
            Self::Sqlite(pools) => pools.files.check().await,
            Self::Postgres(_) => Ok(()),
        };
        checked.map_err(context("checking the files of the database"))
    }
}
