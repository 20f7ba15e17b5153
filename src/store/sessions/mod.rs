//! The table `sessions`.

mod cleanup;
mod confirm;
mod find;
mod insert;
mod revoke;
mod rows;

pub use self::confirm::ConfirmationRow;
pub use self::insert::{AddSessionOutcome, insert_session};
pub use self::revoke::{RevokeOutcome, revoke_all_sessions};
pub use self::rows::{Cutoff, Cutoffs, FoundSessionRow, NewSessionRow, SessionRow};
