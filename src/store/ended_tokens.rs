//! The table `ended_tokens`: session tokens that are refused although their session was deleted,
//! with the time at which they ended.

use super::Store;
use super::engine::connection::Connection;
use super::errors::context;
use crate::core::error::InternalError;
use crate::core::secret::SidDigest;

impl Store {
    /// When the token with this digest ended, if that is still recorded.
    pub async fn find_ended_token(&self, digest: SidDigest) -> Result<Option<i64>, InternalError> {
        self.reader()
            .query("select ended_at from ended_tokens where digest = $1")
            .bind(digest.as_bytes())
            .fetch_optional_value()
            .await
            .map_err(context("finding when a token ended"))
    }

    /// Removes up to `limit` tokens that ended at or before an instant.
    pub async fn remove_ended_tokens(&self, until: i64, limit: i64) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from ended_tokens where digest in (
                     select digest from ended_tokens where ended_at <= $1 limit $2)",
            )
            .bind(until)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing tokens that ended"))
    }
}

/// Records the tokens of all sessions of an account that is about to be deleted.
pub async fn record_ended_tokens(
    db: &mut impl Connection,
    account_id: &str,
    now: i64,
) -> sqlx::Result<()> {
    db.query(
        "insert into ended_tokens (digest, ended_at)
         select digest, coalesce(ended_at, $2) from sessions where account_id = $1",
    )
    .bind(account_id)
    .bind(now)
    .execute()
    .await
    .map(drop)
}
