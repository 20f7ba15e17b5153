//! Removes accounts, with everything that is theirs.

use crate::core::error::Fault;
use crate::store::Store;
use crate::store::ended_tokens::record_ended_tokens;
use crate::store::engine::connection::{Connection, Transaction};
use crate::store::errors::context;
use crate::store::held_usernames::{HeldUsernameRow, hold_username};
use crate::store::revocations::record_revocation;

impl Store {
    /// Removes the account of this name, and its sessions with it, and holds the name: all of it or
    /// nothing. The account's id, if it was there.
    pub async fn delete_account(
        &self,
        username: &str,
        held: Option<&HeldUsernameRow>,
        now: i64,
    ) -> Result<Option<String>, Fault> {
        self.transaction(|mut all| async move {
            let account: Option<String> = all
                .query("select id from accounts where username = $1")
                .bind(username)
                .fetch_optional_value()
                .await?;
            let Some(account) = account else { return Ok(None) };
            // false if another process was faster
            let is_removed = remove(all, (&account, None), held, now).await?;
            Ok(is_removed.then_some(account))
        })
        .await
        .map_err(context("removing an account"))
    }

    /// Removes the account whose password was verified, and its sessions with it, and holds its name:
    /// all of it or nothing; false if it has another password by now or is gone.
    pub async fn remove_account(
        &self,
        (account_id, version): (&str, i64),
        held: Option<&HeldUsernameRow>,
        now: i64,
    ) -> Result<bool, Fault> {
        self.transaction(|all| remove(all, (account_id, Some(version)), held, now))
            .await
            .map_err(context("closing an account"))
    }
}

/// Removes the account, if it has this version of its password, where one is asked for, and commits;
/// false, and nothing is written, if it has not.
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
