//! Backups: a snapshot of a database in a separate SQLite file.

mod contents;
mod copy;
mod error;

pub use self::contents::Contents;
pub use self::error::BackupError;
