//! Finds differences between the definitions in a database and those of the migrations. A trigger,
//! a rule or a changed table in a tampered backup would affect every query.

mod check;
mod postgres;
mod report;
mod sqlite;

pub use self::check::check;
pub use self::report::DefinitionReport;
