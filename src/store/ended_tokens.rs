//! Session tokens that are refused and have no session any more, with the time at which they ended.

use super::{Store, broken, on_engine};
use crate::core::error::Fault;
use crate::core::secret::SidDigest;

/// Records the tokens of all sessions of an account ($1) that is about to be deleted at an instant
/// ($2).
pub(super) const RECORD_ENDED_TOKENS: &str = "insert into ended_tokens (digest, ended_at)
     select digest, coalesce(ended_at, $2) from sessions where account_id = $1";

impl Store {
    /// When the token of this digest ended, if that is still recorded.
    pub async fn find_ended_token(&self, digest: SidDigest) -> Result<Option<i64>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar("select ended_at from ended_tokens where digest = $1")
                .bind(digest.as_bytes())
                .fetch_optional(pool)
                .await
        })
        .map_err(broken("looking up when a token ended"))
    }

    /// Removes up to `limit` tokens that ended at or before an instant.
    pub async fn remove_ended_tokens(&self, until: i64, limit: i64) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "delete from ended_tokens where digest in (
                     select digest from ended_tokens where ended_at <= $1 limit $2)",
            )
            .bind(until)
            .bind(limit)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })
        .map_err(broken("removing tokens that ended"))
    }
}
