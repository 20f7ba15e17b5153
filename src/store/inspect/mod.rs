//! Inspects a database without changing it, even if it is damaged or not migrated.

mod content;
mod database;
mod report;
mod schema;

#[cfg(test)]
pub use self::report::SETUP_EVENTS;
pub use self::report::{CheckLevel, DatabaseReport, Schema, SetupEvent};
