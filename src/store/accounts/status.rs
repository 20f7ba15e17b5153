//! Disables and enables accounts.

use super::change::AccountChange;
use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::api_tokens::remove_api_tokens_of;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::proofs::remove_proofs_of;
use crate::store::sessions::revoke_all_sessions;

const ID_OF: &str = "select id from accounts where username = $1";

impl Store {
    /// Disables the account, and ends all its sessions, API tokens and proofs, in one transaction. An
    /// account that is already disabled keeps the time at which it was disabled.
    pub async fn disable_account(
        &self,
        username: &str,
        now: i64,
    ) -> Result<AccountChange, InternalError> {
        self.transaction(|mut all| async move {
            let account: Option<String> = all
                .query(
                    "update accounts set disabled_at = $2
                     where username = $1 and disabled_at is null returning id",
                )
                .bind(username)
                .bind(now)
                .fetch_optional_value()
                .await?;
            let Some(account) = account else {
                let account = all.query(ID_OF).bind(username).fetch_optional_value().await?;
                return Ok(AccountChange::from_current(account));
            };
            remove_api_tokens_of(&mut all, &account).await?;
            remove_proofs_of(&mut all, &account).await?;
            revoke_all_sessions(&mut all, &account, now).await?;
            all.commit().await?;
            Ok(AccountChange::Changed(account))
        })
        .await
        .map_err(context("disabling an account"))
    }

    /// Enables the account if it is disabled.
    pub async fn enable_account(&self, username: &str) -> Result<AccountChange, InternalError> {
        let failed = || context("enabling an account");
        let account: Option<String> = self
            .writer()
            .query(
                "update accounts set disabled_at = null
                 where username = $1 and disabled_at is not null returning id",
            )
            .bind(username)
            .fetch_optional_value()
            .await
            .map_err(failed())?;
        if let Some(account) = account {
            return Ok(AccountChange::Changed(account));
        }
        let account = self.writer().query(ID_OF).bind(username).fetch_optional_value().await;
        account.map(AccountChange::from_current).map_err(failed())
    }
}
