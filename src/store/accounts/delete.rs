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

    /// Deletes the account of a session together with its sessions, and reserves its user name, in
    /// one transaction. Returns false if the session has ended, or if the account is disabled or no
    /// longer exists.
    pub async fn remove_account(
        &self,
        (account_id, session_id): (&str, &str),
        held: Option<&HeldUsernameRow>,
        now: i64,
    ) -> Result<bool, InternalError> {
        self.transaction(|all| remove(all, (account_id, Some(session_id)), held, now))
            .await
            .map_err(context("closing an account"))
    }
}

/// Deletes the account and commits. If a session is given, it must be active; otherwise nothing is
/// written, and the result is false.
async fn remove(
    mut all: Transaction,
    (account_id, session_id): (&str, Option<&str>),
    held: Option<&HeldUsernameRow>,
    now: i64,
) -> sqlx::Result<bool> {
    record_ended_tokens(&mut all, account_id, now).await?;
    let delete = match session_id {
        None => all.query("delete from accounts where id = $1").bind(account_id),
        Some(session_id) => all.query(DELETE_BY_SESSION).bind(account_id).bind(session_id),
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

const DELETE_BY_SESSION: &str = "delete from accounts
     where id = $1 and disabled_at is null and exists (
         select 1 from sessions
         where sessions.id = $2 and account_id = accounts.id and ended_at is null)";
