//! What an inspection of a database finds.

use sqlx::FromRow;

use crate::store::definitions::DefinitionReport;

/// What is there.
#[derive(Debug)]
pub struct DatabaseReport {
    /// The engine and its version.
    pub engine: String,
    pub schema: Schema,
    /// What is wrong with the pages, as far as it was looked at.
    pub damage: Option<String>,
    pub accounts: i64,
    /// The peppers that passwords need, and how many do.
    pub peppers: Vec<(String, i64)>,
    /// The server secrets that held user names need, and how many do.
    pub server_secrets: Vec<(String, i64)>,
    /// The latest instant that anything in it says it happened at.
    pub newest: Option<i64>,
    /// The requested names that an account has.
    pub demo_users: Vec<&'static str>,
    /// Tables that this user may not write.
    pub unwritable: Vec<&'static str>,
    /// Does the server, the database or the role take no writes at all?
    pub is_read_only: bool,
    /// The server's own clock, in milliseconds, when it was asked.
    pub server_clock: Option<i64>,
    /// What running services saw of a wrong set-up, the last first.
    pub setup: Vec<SetupEvent>,
    /// How its tables differ from those of the migrations, if they can be compared.
    pub definitions: Option<DefinitionReport>,
}

/// The event by which a running service says that a setting or a proxy is wrong.
#[derive(Debug, PartialEq, Eq, FromRow)]
pub struct SetupEvent {
    pub event: String,
    /// The origin or the address that it is about.
    pub thing: String,
    /// The last time.
    pub at: i64,
}

/// The events that name what is wrong with a set-up.
pub const SETUP_EVENTS: [&str; 2] = ["public_url_mismatch", "forwarded_ignored"];

/// Where the schema stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There are no tables of ours.
    None,
    Older(i64),
    Current(i64),
    Newer(i64),
    /// A migration is not the one that ran.
    Changed(i64),
    /// A migration has other line ends than the one that ran.
    LineEnds(i64),
}

/// How thoroughly an SQLite file is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckLevel {
    /// Every page.
    Quick,
    /// And every index and reference.
    Full,
}
