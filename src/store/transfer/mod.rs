//! Transfers a database: copies every row to an empty database, and compares all rows before the
//! transaction commits.

mod copy;
mod copy_format;
mod end;
mod postgres;
mod relocation;
mod sqlite;
mod tables;

pub use self::copy::{MoveError, Progress};
pub use self::tables::TABLES;
