//! Moves a database: every row of one database goes into another one that is empty, and is compared there
//! before it counts.

mod copy;
mod copy_format;
mod end;
mod postgres;
mod relocation;
mod sqlite;
mod tables;

pub use self::copy::{MoveError, Progress};
pub use self::tables::TABLES;
