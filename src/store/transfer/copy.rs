//! Copies rows from one database to the other, and compares them.

use futures_util::TryStreamExt;
use futures_util::future::join;
use tokio::sync::mpsc::channel;

use super::end::TransferEnd;
use super::tables::TABLES;
use crate::core::error::InternalError;
use crate::store::errors::context;

/// The number of batches that are read in advance, so that neither side waits for the other.
const AHEAD: usize = 4;

/// The error of a transfer.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("the target database is not empty; name an empty database")]
    NotEmpty,
    #[error(
        "the source database changed in {0} while it was copied, and the copy was discarded; stop all programs that write to the source database"
    )]
    Differs(&'static str),
    #[error(transparent)]
    Internal(#[from] InternalError),
}

/// The progress of a transfer.
#[derive(Debug, Clone, Copy)]
pub enum Progress {
    /// This many more rows were copied.
    Copied(usize),
    /// This many more rows were compared and are equal.
    Compared(usize),
}

/// Copies every row. One side reads while the other writes.
pub async fn copy(
    source: &mut impl TransferEnd,
    target: &mut impl TransferEnd,
    tell: &mut impl FnMut(Progress),
) -> Result<(), InternalError> {
    let dropped = target.drop_indexes().await.map_err(context("starting to copy"))?;
    let (rows, taken) = channel(AHEAD);
    let read = async {
        let rows = rows; // dropped at the end, so that the receiver ends
        for table in TABLES {
            let mut batches = source.batches(table).await.map_err(context("reading rows"))?;
            loop {
                let batch = batches.try_next().await.map_err(context("reading rows"))?;
                let is_last = batch.is_none();
                if rows.send(batch).await.is_err() {
                    return Ok(()); // the other side returns the error
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(())
    };
    let write = async {
        let mut taken = taken; // dropped at the end, so that the sender ends
        for table in TABLES {
            let tell = |rows| tell(Progress::Copied(rows));
            target.fill(table, &mut taken, tell).await.map_err(context("copying rows"))?;
        }
        Ok(())
    };
    let (read, written) = join(read, write).await;
    read?;
    written?;
    target.restore_indexes(dropped).await.map_err(context("building indexes"))
}

/// Compares every row.
pub async fn compare(
    source: &mut impl TransferEnd,
    target: &mut impl TransferEnd,
    tell: &mut impl FnMut(Progress),
) -> Result<(), MoveError> {
    for table in TABLES {
        let mut here = source.batches(table).await.map_err(context("reading rows"))?;
        let mut there = target.batches(table).await.map_err(context("comparing rows"))?;
        loop {
            let (one, other) = join(here.try_next(), there.try_next()).await;
            let rows = one.map_err(context("reading rows"))?;
            if rows != other.map_err(context("comparing rows"))? {
                return Err(MoveError::Differs(table.name));
            }
            let Some(rows) = rows else { break };
            tell(Progress::Compared(rows.count));
        }
    }
    Ok(())
}
