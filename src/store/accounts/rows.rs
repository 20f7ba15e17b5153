//! Accounts as rows.

use sqlx::FromRow;

use crate::core::secret::PasswordHash;

#[derive(Debug, FromRow)]
pub struct AccountRow {
    pub id: String,
    pub username: String,
    #[sqlx(try_from = "String")]
    pub password_hash: PasswordHash,
    /// Counts the passwords that the account has had.
    pub password_version: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
}

/// A hash as it is stored, what verifying it costs in microseconds, by which the dearest one is found,
/// and the pepper that it needs, by which a missing one is.
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

/// An account from elsewhere.
#[derive(Debug)]
pub struct ImportRow<'a> {
    pub id: &'a str,
    pub username: &'a str,
    pub password_hash: &'a PasswordHash,
    pub hash_cost: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
}
