//! Finds accounts.

use super::rows::AccountRow;
use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::errors::context;

impl Store {
    /// Finds the account with this canonical user name.
    pub async fn account_named(&self, username: &str) -> Result<Option<AccountRow>, InternalError> {
        self.reader()
            .query(
                "select id, username, password_hash, password_version, created_at, disabled_at
                 from accounts where username = $1",
            )
            .bind(username)
            .fetch_optional()
            .await
            .map_err(context("finding an account by user name"))
    }

    /// Finds the account with this id.
    pub async fn account(&self, id: &str) -> Result<Option<AccountRow>, InternalError> {
        self.reader()
            .query(
                "select id, username, password_hash, password_version, created_at, disabled_at
                 from accounts where id = $1",
            )
            .bind(id)
            .fetch_optional()
            .await
            .map_err(context("finding an account"))
    }

    /// Lists accounts by user name: at most `limit`, starting after the given name.
    pub async fn accounts_after(
        &self,
        name: &str,
        limit: i64,
    ) -> Result<Vec<AccountRow>, InternalError> {
        self.reader()
            .query(
                "select id, username, password_hash, password_version, created_at, disabled_at
                 from accounts where username > $1 order by username limit $2",
            )
            .bind(name)
            .bind(limit)
            .fetch_all()
            .await
            .map_err(context("listing the accounts"))
    }

    /// Whether there is any account.
    pub async fn has_accounts(&self) -> Result<bool, InternalError> {
        self.reader()
            .query("select count(*) from (select 1 from accounts limit 1) a")
            .fetch_value::<i64>()
            .await
            .map(|found| found > 0)
            .map_err(context("finding accounts"))
    }
}
