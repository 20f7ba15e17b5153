//! The error of an import.

use std::error;
use std::io;
use std::path::PathBuf;

use crate::embed::Error;

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    #[error("{path} ends in neither .csv nor .jsonl", path = .0.display())]
    UnknownFormat(PathBuf),
    #[error("cannot read {path}: {1}", path = .0.display())]
    Unreadable(PathBuf, io::Error),
    #[error("{path} is no file; it is read twice", path = .0.display())]
    NotAFile(PathBuf),
    #[error("there is no column {0:?} here; keep to username, password_hash, disabled, created_at")]
    UnknownColumn(String),
    #[error("the column {0} is there twice")]
    RepeatedColumn(String),
    #[error("the columns username and password_hash must be there")]
    MissingColumns,
    #[error(
        "line {0}: a quotation mark is not closed, or a field holds a line break; nothing was imported"
    )]
    UnclosedQuote(u64),
    /// The rest of the file cannot be read.
    #[error(transparent)]
    Malformed(Box<dyn error::Error + Send + Sync>),
    /// This many rows were refused, and the options do not say to skip them.
    #[error("{} refused, and nothing was imported", count_rows(*.0))]
    Refused(u64),
    #[error("{cause}; {} imported before, run it again to go on", count_users(*.added))]
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
