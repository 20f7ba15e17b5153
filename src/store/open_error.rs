//! The error of opening a database.

use sqlx::migrate::MigrateError;

use super::errors::is_damage;

/// Why a database cannot be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database address starts with neither sqlite: nor postgres:")]
    UnknownEngine,
    #[error("the database address is malformed: {0}")]
    BadAddress(String),
    #[error(
        "the database is newer than this program (it has migration {0}); start a newer cloakroom, or \
         restore the backup from before the upgrade"
    )]
    Newer(i64),
    #[error(
        "migration {0} was changed after it ran on this database; start the release that ran it"
    )]
    Changed(i64),
    #[error(
        "migration {0} ran here with other line ends than this program has, and is the same otherwise: a \
         checkout changed them; build the program from one in which .gitattributes holds, or as git made it \
         with core.autocrlf = false"
    )]
    LineEnds(i64),
    #[error(
        "this program was built with SQLite {0}, which can corrupt a database; 3.51.3 or newer is needed"
    )]
    UnsafeSqlite(String),
    #[error("a database in memory forgets every account; name a file")]
    InMemory,
    #[error(
        "the database is not up to date, and this user may not change its schema: run `cloakroom \
         migrate` as its owner"
    )]
    MayNotMigrate,
    #[error("the database is damaged, and was left as it is; restore a backup of it: {0}")]
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
