//! Deletes accounts, together with everything that belongs to them.

use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::ended_tokens::record_ended_tokens;
use crate::store::engine::connection::{Connection, Transaction};
use crate::store::errors::context;
use crate::store::held_usernames::{HeldUsernameRow, hold_username};
use crate::store::revocations::record_revocation;

impl Store {
    /// Deletes the account of this user name and its sessions, and reserves the name, in one
    /// transaction. Returns the id of the account if it existed.
    pub async fn delete_account(
        &self,
        username: &str,
        held: Option<&HeldUsernameRow>,
        now: i64,
    ) -> Result<Option<String>, InternalError> {
        self.transaction(|mut all| async move {
            let account: Option<String> = all
                .query("select id from accounts where username = $1")
                .bind(username)
                .fetch_optional_value()
                .await?;
            let Some(account) = account else { return Ok(None) };
            // false if another process deleted it first
            let is_removed = remove(all, (&account, None), held, now).await?;
            Ok(is_removed.then_some(account))
        })
        .await
        .map_err(context("deleting an account"))
    }

    /// Deletes the account whose password was verified and its sessions, and reserves its user
    /// name, in one transaction. Returns false if the password has changed since, or if the account
    /// no longer exists.
    pub async fn remove_account(
        &self,
        (account_id, version): (&str, i64),
        held: Option<&HeldUsernameRow>,
        now: i64,
    ) -> Result<bool, InternalError> {
        self.transaction(|all| remove(all, (account_id, Some(version)), held, now))
            .await
            .map_err(context("closing an account"))
    }
}

/// Deletes the account and commits. If a password version is given, the account must have it;
/// otherwise nothing is written, and the result is false.
async fn remove(
    mut all: Transaction,
    (account_id, version): (&str, Option<i64>),
    held: Option<&HeldUsernameRow>,
    now: i64,
) -> sqlx::Result<bool> {
    record_ended_tokens(&mut all, account_id, now).await?;
    let delete = match version {
        None => all.query("delete from accounts where id = $1").bind(account_id),
        Some(version) => all
            .query("delete from accounts where id = $1 and password_version = $2")
            .bind(account_id)
            .bind(version),
    };
    if delete.execute().await? == 0 {
        return Ok(false);
    }
    if let Some(held) = held {
        hold_username(&mut all, held).await?;
    }
    record_revocation(&mut all, account_id, now).await?;
    all.commit().await?;
    Ok(true)
}
