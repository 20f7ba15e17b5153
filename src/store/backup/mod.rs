//! Backups: everything of a database as it is at one instant, in an SQLite file of its own.

mod contents;
mod copy;
mod error;

pub use self::contents::Contents;
pub use self::error::BackupError;
