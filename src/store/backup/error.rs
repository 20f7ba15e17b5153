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
        "the database has an older schema than this program; back it up with the release that runs \
         on it, or run `cloakroom migrate` first"
    )]
    OlderSchema,
    #[error("the database is not one of cloakroom's: it has no migrations")]
    NotOurs,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Internal(#[from] InternalError),
}
