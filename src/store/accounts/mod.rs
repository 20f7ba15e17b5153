//! The table `accounts`.

mod change;
mod delete;
mod email;
mod find;
mod import;
mod insert;
mod passwords;
mod peppers;
mod profile;
mod recovery;
mod rows;
mod status;

pub use self::change::AccountChange;
pub use self::email::{
    ConfirmEmailOutcome, EmailConfirmationRow, RequestEmailOutcome, SetEmailOutcome,
};
pub use self::insert::{AddAccountOutcome, SignUpOutcome};
pub use self::profile::ProfileOutcome;
pub use self::recovery::RecoveryRow;
pub use self::rows::{AccountRow, EmailColumns, HashRow, ImportRow, NewAccountRow};
