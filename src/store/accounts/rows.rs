//! The row types of accounts.

use crate::core::secret::PasswordHash;
use crate::store::engine::from_row::from_row;

#[derive(Debug)]
pub struct AccountRow {
    pub id: String,
    pub username: String,
    pub display_name: Option<String>,
    /// The address that the user has confirmed.
    pub email: Option<String>,
    /// The address that a code was last requested for.
    pub unconfirmed_email: Option<String>,
    pub password_hash: PasswordHash,
    /// The version increases with every change of the password.
    pub password_version: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
    /// The names of the roles, separated by spaces.
    pub roles: String,
}

from_row!(AccountRow { id, username, display_name, email, unconfirmed_email, password_hash as String, password_version, created_at, disabled_at, roles });

/// A password hash and the columns that are stored with it. `cost` is the estimated time of a
/// verification in microseconds, which is used to find the most expensive hash. `pepper` is the id
/// of the pepper that the hash needs.
#[derive(Debug)]
pub struct HashRow {
    pub hash: PasswordHash,
    pub cost: i64,
    pub pepper: Option<String>,
}

/// A confirmed address, and the mailbox: the same in small letters.
#[derive(Debug)]
pub struct EmailColumns<'a> {
    pub email: &'a str,
    pub mailbox: String,
}

#[derive(Debug)]
pub struct NewAccountRow<'a> {
    pub id: &'a str,
    pub username: &'a str,
    pub display_name: Option<&'a str>,
    pub email: Option<EmailColumns<'a>>,
    pub unconfirmed_email: Option<&'a str>,
    pub password: &'a HashRow,
    pub created_at: i64,
    pub roles: Vec<&'a str>,
}

/// An account from another system.
#[derive(Debug)]
pub struct ImportRow<'a> {
    pub id: &'a str,
    pub username: &'a str,
    pub display_name: Option<&'a str>,
    pub email: Option<EmailColumns<'a>>,
    pub unconfirmed_email: Option<&'a str>,
    pub password_hash: &'a PasswordHash,
    pub hash_cost: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
    pub roles: Vec<&'a str>,
}
