//! Looks at a database and changes nothing, whatever state it is in.

mod content;
mod database;
mod report;
mod schema;

#[cfg(test)]
pub use self::report::SETUP_EVENTS;
pub use self::report::{CheckLevel, DatabaseReport, Schema, SetupEvent};
