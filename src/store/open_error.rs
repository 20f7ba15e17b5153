//! The error of opening a database.

use sqlx::migrate::MigrateError;

use super::errors::is_damage;

/// Why a database cannot be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database URL must start with sqlite: or postgres:")]
    UnknownEngine,
    #[error("the database URL is malformed: {0}")]
    BadAddress(String),
    #[error(
        "the schema of the database is newer than this program (migration {0}); start a newer \
         version of cloakroom, or restore a backup from before the upgrade"
    )]
    Newer(i64),
    #[error(
        "migration {0} in this program differs from the one that ran on the database; start the release that ran it"
    )]
    Changed(i64),
    #[error(
        "migration {0} in this program differs from the one that ran on the database only in its \
         line ends; build the program from a git checkout that applies .gitattributes, or that \
         was created with core.autocrlf = false"
    )]
    LineEnds(i64),
    #[error(
        "this program was built with SQLite {0}, which can corrupt the database; build it with SQLite 3.51.3 or newer"
    )]
    UnsafeSqlite(String),
    #[error("a database in memory would lose all accounts; name a file")]
    InMemory,
    #[error(
        "the schema of the database is not up to date, and the database user cannot change it; \
         run `cloakroom migrate` as the owner of the schema"
    )]
    MayNotMigrate,
    #[error("the database is damaged and was not changed; restore a backup: {0}")]
    Damaged(String),
    #[error("cannot read the database: {0}")]
    Forbidden(String),
    #[error("cannot open the database: {0}")]
    Unreachable(String),
}

impl OpenError {
    /// Converts the error of a migration.
    pub fn from_migration(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
                if is_damage(&error) =>
            {
                Self::Damaged(error.to_string())
            }
            MigrateError::VersionMissing(version) => Self::Newer(version),
            MigrateError::VersionMismatch(version) => Self::Changed(version),
            other => Self::Unreachable(other.to_string()),
        }
    }
}
