//! Deletes accounts, together with everything that belongs to them.

use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::ended_tokens::record_ended_tokens;
use crate::store::engine::connection::{Connection, Transaction};
use crate::store::errors::context;
use crate::store::held_usernames::{HeldUsernameRow, hold_username};
use crate::store::mails::{NewMailRow, queue_notice};
use crate::store::revocations::record_revocation;

impl Store {
    /// Deletes an account and its sessions for the operator, reserves the name, and queues a notice
    /// to its user, in one transaction. Returns false if another process deleted it first.
    pub async fn delete_account(
        &self,
        account_id: &str,
        (held, notice): (Option<&HeldUsernameRow>, Option<&NewMailRow>),
        now: i64,
    ) -> Result<bool, InternalError> {
        self.transaction(|all| remove(all, (account_id, None), (held, notice), now))
            .await
            .map_err(context("deleting an account"))
    }

    /// Deletes the account of a session together with its sessions, reserves its user name, and
    /// queues a notice to its user, in one transaction. Returns false if the session has ended, or if the account is disabled or no
    /// longer exists.
    pub async fn remove_account(
        &self,
        (account_id, session_id): (&str, &str),
        (held, notice): (Option<&HeldUsernameRow>, Option<&NewMailRow>),
        now: i64,
    ) -> Result<bool, InternalError> {
        self.transaction(|all| remove(all, (account_id, Some(session_id)), (held, notice), now))
            .await
            .map_err(context("closing an account"))
    }
}

/// Deletes the account and commits. If a session is given, it must be active; otherwise nothing is
/// written, and the result is false.
async fn remove(
    mut all: Transaction,
    (account_id, session_id): (&str, Option<&str>),
    (held, notice): (Option<&HeldUsernameRow>, Option<&NewMailRow>),
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
    queue_notice(&mut all, notice).await?;
    record_revocation(&mut all, account_id, now).await?;
    all.commit().await?;
    Ok(true)
}

const DELETE_BY_SESSION: &str = "delete from accounts
     where id = $1 and disabled_at is null and exists (
         select 1 from sessions
         where sessions.id = $2 and account_id = accounts.id and ended_at is null)";
