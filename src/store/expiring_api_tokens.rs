//! The API tokens that expire soon, and the notices about them.

use super::Store;
use super::engine::connection::Connection;
use super::errors::context;
use super::mails::{NewMailRow, queue_notice};
use crate::core::error::InternalError;

/// The tokens that expire soon.
#[derive(Debug, Clone, Copy)]
pub struct ExpiringTokens {
    pub now: i64,
    /// They expire until this time.
    pub until: i64,
    /// They are valid for longer than this time in total, in milliseconds.
    pub min_lifetime: i64,
}

impl Store {
    /// Lists accounts with tokens that expire soon, and whose users were not told: at most `limit`.
    pub async fn accounts_with_expiring_tokens(
        &self,
        expiring: ExpiringTokens,
        limit: i64,
    ) -> Result<Vec<String>, InternalError> {
        self.reader()
            .query(
                "select distinct account_id from api_tokens
                 where expires_at > $1 and expires_at <= $2 and expires_at - created_at > $3
                   and notified_at is null
                 limit $4",
            )
            .bind(expiring.now)
            .bind(expiring.until)
            .bind(expiring.min_lifetime)
            .bind(limit)
            .fetch_values()
            .await
            .map_err(context("finding API tokens that expire soon"))
    }

    /// Records that the user of an account is told about all tokens that expire soon, and queues
    /// the notice, in one transaction. Nothing is queued if another node did both.
    pub async fn announce_expiring_tokens(
        &self,
        account_id: &str,
        expiring: ExpiringTokens,
        notice: Option<&NewMailRow>,
    ) -> Result<(), InternalError> {
        self.transaction(|mut all| async move {
            let announced = all
                .query(
                    "update api_tokens set notified_at = $2
                     where account_id = $1 and expires_at > $2 and expires_at <= $3
                       and expires_at - created_at > $4 and notified_at is null",
                )
                .bind(account_id)
                .bind(expiring.now)
                .bind(expiring.until)
                .bind(expiring.min_lifetime)
                .execute()
                .await?;
            if announced > 0 {
                queue_notice(&mut all, notice).await?;
            }
            all.commit().await
        })
        .await
        .map_err(context("announcing the end of API tokens"))
    }
}
