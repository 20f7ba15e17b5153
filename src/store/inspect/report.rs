//! The report of an inspection.

use crate::store::definitions::DefinitionReport;
use crate::store::engine::from_row::from_row;
use crate::store::mails::MailCounts;

/// The state of a database.
#[derive(Debug)]
pub struct DatabaseReport {
    /// The engine and its version.
    pub engine: String,
    pub schema: Schema,
    /// Damaged pages, if the check found any.
    pub damage: Option<String>,
    pub accounts: i64,
    /// The mails in the outbox.
    pub mails: MailCounts,
    /// The peppers that passwords need, with the number of passwords for each.
    pub peppers: Vec<(String, i64)>,
    /// The server secrets that reserved user names need, with the number of names for each.
    pub server_secrets: Vec<(String, i64)>,
    /// The latest time that is recorded in the database.
    pub newest: Option<i64>,
    /// Those of the requested user names that an account has.
    pub demo_users: Vec<&'static str>,
    /// The tables that this user may not write.
    pub unwritable: Vec<&'static str>,
    /// Whether the server, the database or the role is read-only.
    pub is_read_only: bool,
    /// The time of the server at the inspection, in milliseconds.
    pub server_clock: Option<i64>,
    /// Setup problems that running services recorded, newest first.
    pub setup: Vec<SetupEvent>,
    /// The differences between its tables and those of the migrations, if they can be compared.
    pub definitions: Option<DefinitionReport>,
}

/// An event by which a running service records that a setting or a proxy is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct SetupEvent {
    pub event: String,
    /// The origin or the address that is affected.
    pub thing: String,
    /// The time of the latest such event.
    pub at: i64,
}

from_row!(SetupEvent { event, thing, at });

/// The events that describe setup problems.
pub const SETUP_EVENTS: [&str; 2] = ["public_url_mismatch", "forwarded_ignored"];

/// The state of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There are no tables of Cloakroom.
    None,
    Older(i64),
    Current(i64),
    Newer(i64),
    /// A migration differs from the one that ran.
    Changed(i64),
    /// A migration differs from the one that ran in its line endings only.
    LineEnds(i64),
}

/// How thoroughly an SQLite file is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckLevel {
    /// Checks every page.
    Quick,
    /// Checks every page, index and reference.
    Full,
}
