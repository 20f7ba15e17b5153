//! Changes the profile of an account: what its user has chosen to show.

use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::login_attempts::{GcraRow, NodeTime, take_turn};
use crate::store::revocations::record_revocation;

/// The outcome of changing the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileOutcome {
    /// The account had this display name already, and nothing was written.
    Unchanged,
    Changed,
    /// The account exceeds its rate limit, and nothing was written.
    RateLimited,
}

impl Store {
    /// Sets or removes the display name of an account. A change is counted against the account's
    /// rate limit and recorded in the revocation feed in the same transaction, so that all nodes
    /// read the account again.
    pub async fn set_display_name(
        &self,
        account_id: &str,
        name: Option<&str>,
        now: i64,
        (turn, time): (GcraRow, NodeTime),
    ) -> Result<ProfileOutcome, InternalError> {
        self.transaction(|mut all| async move {
            let set = all
                .query(
                    "update accounts set display_name = $2
                     where id = $1 and display_name is distinct from $2",
                )
                .bind(account_id)
                .bind(name)
                .execute()
                .await?;
            if set == 0 {
                return Ok(ProfileOutcome::Unchanged);
            }
            if !take_turn(&mut all, &turn, time).await? {
                return Ok(ProfileOutcome::RateLimited);
            }
            record_revocation(&mut all, account_id, now).await?;
            all.commit().await?;
            Ok(ProfileOutcome::Changed)
        })
        .await
        .map_err(context("changing a profile"))
    }
}
