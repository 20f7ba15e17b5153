//! The error of a backup.

use crate::core::error::InternalError;
use crate::store::open_error::OpenError;
use crate::store::transfer::MoveError;

/// Why a backup failed, or why a backup cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no database at {0}")]
    NoDatabase(String),
    #[error(
        "the schema of the database is older than this program; create the backup with the \
         release that uses this schema, or run `cloakroom migrate` first"
    )]
    OlderSchema,
    #[error("the database is not a Cloakroom database: it has no migrations")]
    NotOurs,
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Internal(#[from] InternalError),
}
