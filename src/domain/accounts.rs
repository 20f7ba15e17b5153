//! Accounts: users that can sign in.

use std::time::Duration;

use crate::core::clock::Timestamp;
use crate::core::display_names::DisplayName;
use crate::core::ids::AccountId;
use crate::core::secret::{PasswordHash, random_id};
use crate::core::usernames::Username;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::roles::Roles;
use crate::store::{AccountRow, HashRow, HeldUsernameRow, NewAccountRow};

/// Who may create an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anyone.
    Open,
    /// Users with an invite code.
    Invite,
    /// Only the operator, with the command line.
    Closed,
}

/// An account, without its password hash.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    pub username: Username,
    pub display_name: Option<DisplayName>,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
    pub roles: Roles,
}

impl Account {
    /// A new account with a random id.
    pub(crate) fn new(
        username: Username,
        display_name: Option<DisplayName>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id: random_id().into(),
            username,
            display_name,
            created_at,
            disabled_at: None,
            roles: Roles::default(),
        }
    }

    /// Separates the account from its password hash, which only the hasher receives.
    pub(crate) fn from_row(row: AccountRow) -> (Self, StoredPassword) {
        let account = Self {
            id: row.id.into(),
            username: Username::from_row(row.username),
            display_name: row.display_name.map(DisplayName::from_row),
            created_at: Timestamp::from_millis(row.created_at),
            disabled_at: row.disabled_at.map(Timestamp::from_millis),
            roles: Roles::from_row(&row.roles),
        };
        (account, StoredPassword { hash: row.password_hash, version: row.password_version })
    }

    pub(crate) fn to_row<'a>(&'a self, password: &'a HashRow) -> NewAccountRow<'a> {
        NewAccountRow {
            id: self.id.as_str(),
            username: self.username.as_str(),
            display_name: self.display_name.as_ref().map(DisplayName::as_str),
            password,
            created_at: self.created_at.millis(),
            roles: self.roles.iter().collect(),
        }
    }
}

/// The columns about the password in the row of an account.
#[derive(Debug)]
pub(crate) struct StoredPassword {
    pub hash: PasswordHash,
    /// Increases with every change of the password.
    pub version: i64,
}

/// The row that reserves the user name of an account that is being removed. `None` if names are not
/// reserved.
pub(crate) fn hold_username(
    secrets: &ServerSecrets,
    hold: Duration,
    username: &Username,
    now: Timestamp,
) -> Option<HeldUsernameRow> {
    (hold > Duration::ZERO).then(|| secrets.hold(username, now.plus(hold)))
}
