//! Confirms sessions.

use crate::core::error::InternalError;
use crate::core::secret::SidDigest;
use crate::store::Store;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::group_commit::RollbackScope;
use crate::store::revocations::record_revocation;

/// A confirmation of a session, by a request that presented one of its tokens.
#[derive(Debug, Clone)]
pub struct ConfirmationRow {
    pub session_id: String,
    pub account_id: String,
    /// The password version that was verified.
    pub version: i64,
    pub presented: SidDigest,
    /// The token that replaces it.
    pub replacement: SidDigest,
    pub now: i64,
}

impl Store {
    /// Confirms a session and replaces its token. A repetition that presents the same token leads
    /// to the same replacement, and confirms the session again. Returns false, and changes nothing,
    /// if the session has ended or has another token by now, or if its account has another password
    /// or is disabled.
    pub async fn confirm_session(&self, row: ConfirmationRow) -> Result<bool, InternalError> {
        self.write(RollbackScope::Own, move |mut db| {
            Box::pin(async move {
                let mut all = db.begin().await?;
                // Before the session, in the order of a deletion of the account: so neither of the
                // two transactions waits for the other one in a circle.
                all.query(
                    "insert into ended_tokens (digest, ended_at, session_id) values ($1, $2, $3)
                     on conflict (digest) do nothing",
                )
                .bind(row.presented.as_bytes())
                .bind(row.now)
                .bind(&row.session_id)
                .execute()
                .await?;
                let confirmed = all
                    .query(
                        "update sessions set digest = $3, confirmed_at = $4
                         where id = $1 and digest in ($2, $3) and ended_at is null
                           and expires_at > $4 and exists (
                             select 1 from accounts
                             where accounts.id = account_id and password_version = $5
                               and disabled_at is null)",
                    )
                    .bind(&row.session_id)
                    .bind(row.presented.as_bytes())
                    .bind(row.replacement.as_bytes())
                    .bind(row.now)
                    .bind(row.version)
                    .execute()
                    .await?;
                if confirmed == 0 {
                    return Ok(false);
                }
                // Invalidates what other nodes have cached about the token that was presented.
                record_revocation(&mut all, &row.account_id, row.now).await?;
                all.commit().await?;
                Ok(true)
            })
        })
        .await
        .map_err(context("confirming a session"))
    }
}
