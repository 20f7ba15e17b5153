//! The table `ended_tokens`: session tokens that no row of `sessions` has any more, because their
//! session was deleted or a confirmation replaced them, with the time at which they ended.

use super::Store;
use super::engine::connection::Connection;
use super::engine::from_row::from_row;
use super::errors::context;
use crate::core::error::InternalError;
use crate::core::secret::SidDigest;

/// The end of a token.
#[derive(Debug)]
pub struct EndedTokenRow {
    pub ended_at: i64,
    /// The session that the token still belongs to, if a confirmation replaced the token.
    pub session_id: Option<String>,
}

from_row!(EndedTokenRow { ended_at, session_id });

impl Store {
    /// The end of the token with this digest, if that is still recorded.
    pub async fn find_ended_token(
        &self,
        digest: SidDigest,
    ) -> Result<Option<EndedTokenRow>, InternalError> {
        self.reader()
            .query("select ended_at, session_id from ended_tokens where digest = $1")
            .bind(digest.as_bytes())
            .fetch_optional()
            .await
            .map_err(context("finding when a token ended"))
    }

    /// Refuses a replaced token permanently.
    pub async fn end_replaced_token(&self, digest: SidDigest) -> Result<(), InternalError> {
        self.writer()
            .query("update ended_tokens set session_id = null where digest = $1")
            .bind(digest.as_bytes())
            .execute()
            .await
            .map(drop)
            .map_err(context("refusing a replaced token"))
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

/// Records the tokens of all sessions of an account that is about to be deleted. A concurrent
/// confirmation may have recorded one of them.
pub async fn record_ended_tokens(
    db: &mut impl Connection,
    account_id: &str,
    now: i64,
) -> sqlx::Result<()> {
    db.query(
        "insert into ended_tokens (digest, ended_at)
         select digest, coalesce(ended_at, $2) from sessions where account_id = $1
         on conflict (digest) do nothing",
    )
    .bind(account_id)
    .bind(now)
    .execute()
    .await
    .map(drop)
}
