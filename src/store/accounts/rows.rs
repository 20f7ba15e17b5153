//! The row types of accounts.

use crate::core::secret::PasswordHash;
use crate::store::engine::from_row::from_row;

#[derive(Debug)]
pub struct AccountRow {
    pub id: String,
    pub username: String,
    pub password_hash: PasswordHash,
    /// Increases with every change of the password.
    pub password_version: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
}

from_row!(AccountRow { id, username, password_hash as String, password_version, created_at, disabled_at });

/// A password hash for its row. `cost` is the time to verify it in microseconds, by which the most
/// expensive hash is found; `pepper` is the id of the pepper that it needs.
#[derive(Debug)]
pub struct HashRow {
    pub hash: PasswordHash,
    pub cost: i64,
    pub pepper: Option<String>,
}

#[derive(Debug)]
pub struct NewAccountRow<'a> {
    pub id: &'a str,
    pub username: &'a str,
    pub password: &'a HashRow,
    pub created_at: i64,
}

/// An account from another system.
#[derive(Debug)]
pub struct ImportRow<'a> {
    pub id: &'a str,
    pub username: &'a str,
    pub password_hash: &'a PasswordHash,
    pub hash_cost: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
}
