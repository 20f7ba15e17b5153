//! Transfers all data from one database to another.

use std::path::{Path, PathBuf};

use super::progress::{Phase, Progress};
use crate::config::DatabaseUrl;
use crate::embed::Error;
use crate::store::{DefinitionReport, Progress as Moved, Store};

/// The result of a transfer.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TransferReport {
    /// The number of rows that were copied and compared.
    pub rows: u64,
}

/// The error of a transfer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The database URL with its password masked.
    #[error("the source and the target are the same database, {0}; name another target")]
    SameDatabase(String),
    #[error("there is no database at {path}", path = .0.display())]
    NoDatabase(PathBuf),
    #[error(
        "another program changed the schema of the database at {address}: {changes}; nothing was copied"
    )]
    ForeignChanges {
        /// The database URL with its password masked.
        address: String,
        changes: String,
    },
    #[error(transparent)]
    Other(Error),
}

impl<E: Into<Error>> From<E> for TransferError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Copies all data from the database at `from` to the empty database at `to` (`sqlite://…` or
/// `postgres://…`), and compares each row. Stop the service first. The source database is not
/// changed, and the key files are not moved.
pub async fn transfer_database(
    from: &str,
    to: &str,
    on_progress: impl FnMut(Progress),
) -> Result<TransferReport, TransferError> {
    let (from, to) = (DatabaseUrl::from(from.to_owned()), DatabaseUrl::from(to.to_owned()));
    if from.expose() == to.expose() {
        return Err(TransferError::SameDatabase(to.to_string()));
    }
    // exposed for the driver that connects
    if let Some(file) = Store::file_of(from.expose())?.filter(|file| !file.exists()) {
        return Err(TransferError::NoDatabase(file));
    }
    let source = Store::open(&without_deadline(&from)).await?;
    let target = Store::open(&without_deadline(&to)).await?;
    require_own_definitions(&source, &from).await?;
    require_own_definitions(&target, &to).await?;
    let rows = source.count_rows().await?;
    let moved = move_rows(&source, &target, rows, on_progress).await;
    source.close().await;
    target.close().await;
    moved.map(|()| TransferReport { rows })
}

/// Transfers all data to an empty database from an SQLite file that a restore has prepared.
pub(super) async fn transfer_file(
    copy: &Path,
    to: &DatabaseUrl,
    on_progress: impl FnMut(Progress),
) -> Result<(), TransferError> {
    let target = Store::open(&without_deadline(to)).await?;
    require_own_definitions(&target, to).await?;
    let source = Store::open_file(copy).await?;
    let rows = source.count_rows().await?;
    let moved = move_rows(&source, &target, rows, on_progress).await;
    source.close().await;
    target.close().await;
    moved
}

/// Copies all rows and compares them. The progress counts each row twice, because a row is first
/// copied and then compared.
async fn move_rows(
    source: &Store,
    target: &Store,
    rows: u64,
    mut on_progress: impl FnMut(Progress),
) -> Result<(), TransferError> {
    let mut done = 0;
    on_progress(Progress { phase: Phase::Copying, done, total: 2 * rows });
    let moved = source.move_to(target, |moved| {
        let (phase, rows_done) = match moved {
            Moved::Copied(rows) => (Phase::Copying, rows),
            Moved::Compared(rows) => (Phase::Comparing, rows),
        };
        done += u64::try_from(rows_done).unwrap_or_default();
        on_progress(Progress { phase, done, total: 2 * rows });
    });
    Ok(moved.await?)
}

/// Refuses a database in which another program changed the definitions of Cloakroom's tables: the
/// content of these tables is in doubt, and a trigger would act on the transferred rows.
async fn require_own_definitions(
    store: &Store,
    address: &DatabaseUrl,
) -> Result<(), TransferError> {
    let Some(report) = store.check_definitions().await? else { return Ok(()) };
    if report.differences.is_empty() {
        return Ok(());
    }
    let differences: Vec<_> = report.differences.iter().map(ToString::to_string).collect();
    store.close().await;
    Err(TransferError::ForeignChanges {
        address: address.to_string(),
        changes: differences.join("; "),
    })
}

/// Describes changes to the database that Cloakroom did not make.
pub(super) fn describe_changes(report: &DefinitionReport) -> Option<String> {
    let views = report.views.iter().map(|view| format!("the view {view} reads Cloakroom's tables"));
    let changes = report.differences.iter().map(ToString::to_string).chain(views);
    let changes: Vec<_> = changes.collect();
    (!changes.is_empty()).then(|| changes.join("; "))
}

/// The database URL with the statement timeout turned off: counting millions of rows takes longer
/// than the timeout for requests allows. A timeout that the URL itself sets is kept.
fn without_deadline(address: &DatabaseUrl) -> String {
    let address = address.expose(); // for the driver that connects
    if address.starts_with("sqlite:") || address.contains("statement_timeout") {
        return address.to_owned();
    }
    let and = if address.contains('?') { '&' } else { '?' };
    format!("{address}{and}options[statement_timeout]=0")
}
