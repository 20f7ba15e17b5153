//! How the definitions in a database differ from those that the migrations make. A trigger, a rule or a
//! changed table that came with a tampered backup would act in every query.

mod check;
mod postgres;
mod report;
mod sqlite;

pub use self::check::check;
pub use self::report::DefinitionReport;
