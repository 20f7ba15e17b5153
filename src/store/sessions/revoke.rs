//! Revokes sessions.

use crate::core::error::InternalError;
use crate::core::secret::SidDigest;
use crate::store::Store;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::login_attempts::{GcraRow, NodeTime, take_turn};
use crate::store::revocations::record_revocation;

/// The outcome of revoking sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// There was no session to revoke, and nothing was written.
    None,
    Sessions(u64),
    /// The account exceeds its rate limit, and nothing was written.
    RateLimited,
}

const END_BY_TOKEN: &str = "update sessions set ended_at = $2
     where digest = $1 and ended_at is null returning account_id";

const END_BY_REPLACED_TOKEN: &str = "update sessions set ended_at = $2
     where id = (select session_id from ended_tokens where digest = $1) and ended_at is null
     returning account_id";

impl Store {
    /// Ends the session permanently. A token that a confirmation replaced counts as well: the
    /// request may have been on its way meanwhile. Returns false if the session has ended already.
    pub async fn end_session(&self, digest: SidDigest, now: i64) -> Result<bool, InternalError> {
        self.transaction(|mut all| async move {
            for statement in [END_BY_TOKEN, END_BY_REPLACED_TOKEN] {
                let end = all.query(statement).bind(digest.as_bytes()).bind(now);
                let account: Option<String> = end.fetch_optional_value().await?;
                if let Some(account) = account {
                    record_revocation(&mut all, &account, now).await?;
                    all.commit().await?;
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
        .map_err(context("revoking a session"))
    }

    /// Ends the account's session with this id. If there is one and `turn` is given, it is counted
    /// against the account's rate limit.
    pub async fn end_session_named(
        &self,
        account_id: &str,
        id: &str,
        now: i64,
        turn: Option<(GcraRow, NodeTime)>,
    ) -> Result<RevokeOutcome, InternalError> {
        let end = "update sessions set ended_at = $3
                   where account_id = $1 and id = $2 and ended_at is null";
        let ended = self.end_sessions_by(end, (account_id, id), now, turn).await;
        ended.map_err(context("revoking a session"))
    }

    /// Ends every session of the account except `keep`. If there are any and `turn` is given, it is
    /// counted against the account's rate limit.
    pub async fn end_sessions_but(
        &self,
        account_id: &str,
        keep: &str,
        now: i64,
        turn: Option<(GcraRow, NodeTime)>,
    ) -> Result<RevokeOutcome, InternalError> {
        let end = "update sessions set ended_at = $3
                   where account_id = $1 and id <> $2 and ended_at is null";
        let ended = self.end_sessions_by(end, (account_id, keep), now, turn).await;
        ended.map_err(context("ending sessions"))
    }

    /// Ends sessions of an account by a statement, records the revocation and counts it against the
    /// rate limit, in one transaction. If there is no session, or the limit is exceeded, nothing is
    /// written.
    async fn end_sessions_by(
        &self,
        statement: &'static str,
        (account_id, session): (&str, &str),
        now: i64,
        turn: Option<(GcraRow, NodeTime)>,
    ) -> sqlx::Result<RevokeOutcome> {
        self.transaction(|mut all| async move {
            let ended = all.query(statement).bind(account_id).bind(session).bind(now);
            let ended = ended.execute().await?;
            if ended == 0 {
                return Ok(RevokeOutcome::None);
            }
            if let Some((turn, time)) = turn
                && !take_turn(&mut all, &turn, time).await?
            {
                return Ok(RevokeOutcome::RateLimited);
            }
            record_revocation(&mut all, account_id, now).await?;
            all.commit().await?;
            Ok(RevokeOutcome::Sessions(ended))
        })
        .await
    }
}

/// Ends all sessions of an account, in the transaction that changes the account.
pub async fn revoke_all_sessions(
    db: &mut impl Connection,
    account_id: &str,
    now: i64,
) -> sqlx::Result<()> {
    db.query("update sessions set ended_at = $2 where account_id = $1 and ended_at is null")
        .bind(account_id)
        .bind(now)
        .execute()
        .await?;
    record_revocation(db, account_id, now).await
}
