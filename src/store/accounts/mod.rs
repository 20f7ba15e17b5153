//! The table `accounts`.

mod delete;
mod find;
mod import;
mod insert;
mod passwords;
mod peppers;
mod rows;
mod status;

pub use self::insert::{AddAccountOutcome, SignUpOutcome};
pub use self::rows::{AccountRow, HashRow, ImportRow, NewAccountRow};
pub use self::status::AccountChange;
