//! The database: rows and queries. No other layer names sqlx.
//!
//! A query is written once for both engines, as a literal next to its row type: see
//! `engine/query.rs`, and `write.rs` for the ways to write. Times are parameters, results are rows,
//! and there are no business rules here.

mod accounts;
mod api_tokens;
mod backup;
mod definitions;
mod ended_tokens;
mod engine;
mod errors;
mod events;
mod expiring_api_tokens;
mod file_guard;
mod group_commit;
mod held_usernames;
mod inspect;
mod invites;
mod line_ends;
mod login_attempts;
mod mails;
mod open;
mod open_error;
mod proofs;
mod revocations;
mod roles;
mod session_data;
mod sessions;
mod suspect_writer;
mod transfer;
mod writable;
mod write;

use std::fmt;

pub use self::accounts::{
    AccountChange, AccountRow, AddAccountOutcome, ConfirmEmailOutcome, EmailColumns,
    EmailConfirmationRow, HashRow, ImportRow, NewAccountRow, ProfileOutcome, RecoveryRow,
    RequestEmailOutcome, SetEmailOutcome, SignUpOutcome,
};
pub use self::api_tokens::{
    AddApiTokenOutcome, ApiTokenRow, FoundApiTokenRow, NewApiTokenRow, RemoveApiTokenOutcome,
};
pub use self::backup::{BackupError, Contents};
pub use self::definitions::DefinitionReport;
use self::engine::connection::Pool;
use self::engine::{postgres, sqlite};
pub use self::events::{EventRange, EventRow, NamedEventRow};
pub use self::expiring_api_tokens::ExpiringTokens;
use self::file_guard::Guarded;
pub use self::file_guard::StorageFailure;
pub use self::held_usernames::HeldUsernameRow;
#[cfg(test)]
pub use self::inspect::SETUP_EVENTS;
pub use self::inspect::{CheckLevel, DatabaseReport, Schema, SetupEvent};
pub use self::invites::InviteRow;
pub use self::login_attempts::{
    AttemptKey, AttemptReset, AttemptRow, BackoffRow, GcraRow, NodeTime, ResetRow,
};
pub use self::mails::{ClaimedMailRow, MailClaim, MailCounts, MailRow, NewMailRow};
pub use self::open::{Database, PGPASS_TARGET, QUIET_SLOW_QUERIES};
pub use self::open_error::OpenError;
pub use self::proofs::NewProofRow;
pub use self::revocations::{RevocationFeed, Update};
pub use self::roles::{GiveRoleOutcome, GivenRoleRow, RoleCountRow};
pub use self::session_data::{DataPlace, DataRow};
pub use self::sessions::{
    AddSessionOutcome, ConfirmationRow, Cutoff, Cutoffs, FoundSessionRow, NewSessionRow,
    RevokeOutcome, SessionRow,
};
pub use self::transfer::{MoveError, Progress};

/// The open database.
pub enum Store {
    Sqlite(sqlite::Pools),
    Postgres(postgres::Pools),
}

impl Store {
    /// The connections for queries that only read.
    fn reader(&self) -> Pool<'_> {
        match self {
            Self::Sqlite(pools) => Pool::Sqlite(&pools.readers, Guarded::Read(&pools.files)),
            Self::Postgres(pools) => Pool::Postgres(&pools.pool),
        }
    }

    /// The connections for statements that write.
    fn writer(&self) -> Pool<'_> {
        match self {
            Self::Sqlite(pools) => Pool::Sqlite(&pools.writer, Guarded::Write(&pools.files)),
            Self::Postgres(pools) => Pool::Postgres(&pools.pool),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Store::Sqlite",
            Self::Postgres(_) => "Store::Postgres",
        })
    }
}
