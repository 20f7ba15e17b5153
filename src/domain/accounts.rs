//! Accounts: users that can sign in.

use std::time::Duration;

use crate::core::clock::Timestamp;
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::core::login_name::LoginName;
use crate::core::secret::{PasswordHash, random_id};
use crate::core::usernames::Username;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::roles::Roles;
use crate::store::{AccountRow, EmailColumns, HashRow, HeldUsernameRow, NewAccountRow, Store};

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
    /// The address that the user has proved to own. No other account has it.
    pub email: Option<EmailAddress>,
    /// The address that a code was last requested for. It proves nothing, and other accounts may
    /// have the same one.
    pub unconfirmed_email: Option<EmailAddress>,
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
            email: None,
            unconfirmed_email: None,
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
            email: row.email.and_then(EmailAddress::from_row),
            unconfirmed_email: row.unconfirmed_email.and_then(EmailAddress::from_row),
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
            email: self.email.as_ref().map(email_columns),
            unconfirmed_email: self.unconfirmed_email.as_ref().map(EmailAddress::as_str),
            password,
            created_at: self.created_at.millis(),
            roles: self.roles.iter().collect(),
        }
    }
}

/// Finds the account with this user name, or whose user has confirmed this address.
pub(crate) async fn find_by_login_name(
    store: &Store,
    name: &LoginName,
) -> Result<Option<AccountRow>, InternalError> {
    match name {
        LoginName::Username(username) => store.account_named(username.as_str()).await,
        LoginName::Email(address) => store.account_with_mailbox(&address.mailbox()).await,
    }
}

/// The columns of a confirmed address.
pub(crate) fn email_columns(address: &EmailAddress) -> EmailColumns<'_> {
    EmailColumns { email: address.as_str(), mailbox: address.mailbox() }
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
