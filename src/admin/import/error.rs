//! The error of an import.

use std::error;
use std::io;
use std::path::PathBuf;

use crate::embed::Error;

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    #[error("the format of {path} is unknown: the name does not end in .csv, .jsonl or .ndjson", path = .0.display())]
    UnknownFormat(PathBuf),
    #[error("cannot read {path}: {1}", path = .0.display())]
    Unreadable(PathBuf, io::Error),
    #[error("{path} is not a regular file; the import reads it twice", path = .0.display())]
    NotAFile(PathBuf),
    #[error(
        "unknown column {0:?}; the columns are username, password_hash, disabled, created_at, \
         display_name, roles, email and email_verified"
    )]
    UnknownColumn(String),
    #[error("the header contains the column {0} twice")]
    RepeatedColumn(String),
    #[error("the header must contain the columns username and password_hash")]
    MissingColumns,
    #[error(
        "line {0}: a quotation mark is not closed, or a field contains a line break; nothing was imported"
    )]
    UnclosedQuote(u64),
    /// The rest of the file cannot be read.
    #[error(transparent)]
    Malformed(Box<dyn error::Error + Send + Sync>),
    /// This many rows were refused, and the options do not say to skip them.
    #[error("{} invalid, and nothing was imported", count_rows(*.0))]
    Refused(u64),
    #[error("{cause}; {} imported before the error; run the import again to continue", count_users(*.added))]
    Interrupted { added: u64, cause: Box<dyn error::Error + Send + Sync> },
    #[error(transparent)]
    Other(Error),
}

impl ImportError {
    pub(super) fn from_parser(error: impl error::Error + Send + Sync + 'static) -> Self {
        Self::Malformed(Box::new(error))
    }
}

impl<E: Into<Error>> From<E> for ImportError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

fn count_rows(n: u64) -> String {
    if n == 1 { "1 row is".to_owned() } else { format!("{n} rows are") }
}

fn count_users(n: u64) -> String {
    if n == 1 { "1 user".to_owned() } else { format!("{n} users") }
}
