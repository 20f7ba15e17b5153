//! The feed of endings: which accounts lost a session, in the order in which that happened.

use super::{Store, broken, on_engine};
use crate::fault::Fault;

/// Notes that a session of an account ($1) ended at an instant ($2), in the transaction that ends it.
pub(super) const NOTE_ENDING: &str = "insert into endings (account_id, at) values ($1, $2)";

impl Store {
    /// The position of the newest ending.
    pub async fn last_ending(&self) -> Result<i64, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar::<_, Option<i64>>("select max(position) from endings")
                .fetch_one(pool)
                .await
                .map(Option::unwrap_or_default)
        })
        .map_err(broken("reading the feed of endings"))
    }

    /// The endings behind a position, at most `limit`: their positions, and whose sessions ended.
    pub async fn endings_behind(
        &self,
        position: i64,
        limit: i64,
    ) -> Result<Vec<(i64, String)>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(
                "select position, account_id from endings
                 where position > $1 order by position limit $2",
            )
            .bind(position)
            .bind(limit)
            .fetch_all(pool)
            .await
        })
        .map_err(broken("reading the feed of endings"))
    }

    /// Removes up to `limit` endings of before an instant: everybody has heard of them.
    pub async fn remove_endings(&self, before: i64, limit: i64) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "delete from endings where position in (
                     select position from endings where at < $1 limit $2)",
            )
            .bind(before)
            .bind(limit)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })
        .map_err(broken("removing old endings"))
    }
}
