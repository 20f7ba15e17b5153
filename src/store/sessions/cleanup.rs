//! Removes sessions that have ended.

use super::rows::Cutoffs;
use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::revocations::record_revocation;

// These statements affect up to $1 expired sessions. By age: those that expired by $2. By
// inactivity: those that were last used by $2, or by $3 if they are remembered.

const REMOVE_EXPIRED: &str = "delete from sessions where digest in (
         select digest from sessions where expires_at <= $2 limit $1)
     returning account_id";

const END_EXPIRED: &str = "update sessions set ended_at = $2 where digest in (
         select digest from sessions where expires_at <= $2 and ended_at is null limit $1)
     returning account_id";

const REMOVE_UNUSED: &str = "delete from sessions where digest in (
         select digest from sessions
         where (remember = 0 and last_seen_at <= $2) or (remember = 1 and last_seen_at <= $3)
         limit $1)
     returning account_id";

const END_UNUSED: &str = "update sessions set ended_at = $4 where digest in (
         select digest from sessions
         where ((remember = 0 and last_seen_at <= $2) or (remember = 1 and last_seen_at <= $3))
           and ended_at is null limit $1)
     returning account_id";

impl Store {
    /// Marks expired sessions as ended, and removes sessions that ended at least `keep`
    /// milliseconds ago: up to `limit` of each kind. Returns the accounts of these sessions. The
    /// expiry is recorded in the revocation feed, so that a clock that is set back revives no
    /// session.
    pub async fn remove_ended(
        &self,
        cutoffs: Cutoffs,
        keep: i64,
        limit: i64,
    ) -> Result<Vec<String>, InternalError> {
        let Cutoffs { now, short, remembered } = cutoffs;
        self.transaction(|mut all| async move {
            let mut accounts: Vec<String> = all
                .query(
                    "delete from sessions where digest in (
                         select digest from sessions where ended_at <= $2 limit $1)
                     returning account_id",
                )
                .bind(limit)
                .bind(now - keep)
                .fetch_values()
                .await?;
            let mut ended_by_themselves: Vec<String> = Vec::new();
            for (statement, until) in [(REMOVE_EXPIRED, now - keep), (END_EXPIRED, now)] {
                let expired = all.query(statement).bind(limit).bind(until);
                ended_by_themselves.extend(expired.fetch_values().await?);
            }
            let removed: Vec<String> = all
                .query(REMOVE_UNUSED)
                .bind(limit)
                .bind(short.last_seen - keep)
                .bind(remembered.last_seen - keep)
                .fetch_values()
                .await?;
            let ended: Vec<String> = all
                .query(END_UNUSED)
                .bind(limit)
                .bind(short.last_seen)
                .bind(remembered.last_seen)
                .bind(now)
                .fetch_values()
                .await?;
            ended_by_themselves.extend(removed.into_iter().chain(ended));
            for account in &ended_by_themselves {
                record_revocation(&mut all, account, now).await?;
            }
            all.commit().await?;
            accounts.extend(ended_by_themselves);
            Ok(accounts)
        })
        .await
        .map_err(context("removing sessions that have ended"))
    }

    /// Removes every session. Returns how many of them were not marked as ended.
    pub async fn remove_all_sessions(&self) -> Result<u64, InternalError> {
        let failed = || context("removing the sessions");
        let count = self.writer().query("select count(*) from sessions where ended_at is null");
        let live: i64 = count.fetch_value().await.map_err(failed())?;
        let removed = self.writer().query("delete from sessions").execute().await;
        removed.map(|_and_those_that_had_ended| live.unsigned_abs()).map_err(failed())
    }
}
