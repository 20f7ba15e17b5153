//! Finds accounts.

use super::rows::AccountRow;
use crate::core::error::InternalError;
use crate::core::mailed_secret::ProofDigest;
use crate::store::Store;
use crate::store::errors::context;
use crate::store::roles::roles_column;

/// The statement that reads [`AccountRow`]s, with the given condition and order.
macro_rules! select_accounts {
    ($condition:literal) => {
        concat!(
            "select id, username, display_name, email, unconfirmed_email, password_hash,
             password_version, created_at, disabled_at, ",
            roles_column!(),
            " from accounts ",
            $condition
        )
    };
}

impl Store {
    /// Finds the account with this canonical user name.
    pub async fn account_named(&self, username: &str) -> Result<Option<AccountRow>, InternalError> {
        self.reader()
            .query(select_accounts!("where username = $1"))
            .bind(username)
            .fetch_optional()
            .await
            .map_err(context("finding an account by user name"))
    }

    /// Finds the account whose user has confirmed the address of this mailbox.
    pub async fn account_with_mailbox(
        &self,
        mailbox: &str,
    ) -> Result<Option<AccountRow>, InternalError> {
        self.reader()
            .query(select_accounts!("where email_key = $1"))
            .bind(mailbox)
            .fetch_optional()
            .await
            .map_err(context("finding an account by address"))
    }

    /// Finds the account with this id.
    pub async fn account(&self, id: &str) -> Result<Option<AccountRow>, InternalError> {
        self.reader()
            .query(select_accounts!("where id = $1"))
            .bind(id)
            .fetch_optional()
            .await
            .map_err(context("finding an account"))
    }

    /// Finds the account for which a proof is valid: it has not expired, and the account still has
    /// the password for which it was made and is not disabled.
    pub async fn account_of_proof(
        &self,
        (digest, purpose): (ProofDigest, &str),
        now: i64,
    ) -> Result<Option<AccountRow>, InternalError> {
        self.reader()
            .query(select_accounts!(
                "where id = (select account_id from proofs
                             where digest = $1 and purpose = $2 and expires_at > $3)
                   and password_version = (select p.password_version from proofs p
                                           where p.digest = $1)
                   and disabled_at is null"
            ))
            .bind(digest.as_bytes())
            .bind(purpose)
            .bind(now)
            .fetch_optional()
            .await
            .map_err(context("finding the account of a proof"))
    }

    /// Lists accounts by user name: at most `limit`, starting after the given name.
    pub async fn accounts_after(
        &self,
        name: &str,
        limit: i64,
    ) -> Result<Vec<AccountRow>, InternalError> {
        self.reader()
            .query(select_accounts!("where username > $1 order by username limit $2"))
            .bind(name)
            .bind(limit)
            .fetch_all()
            .await
            .map_err(context("listing the accounts"))
    }

    /// Lists the accounts that have a role, by id: at most `limit`, starting after the given id.
    /// An order by user name would read all of them for each page.
    pub async fn accounts_with_role(
        &self,
        role: &str,
        (after, limit): (&str, i64),
    ) -> Result<Vec<AccountRow>, InternalError> {
        self.reader()
            .query(select_accounts!(
                "where id in (select account_id from roles where role = $1 and account_id > $2
                              order by account_id limit $3)
                 order by id"
            ))
            .bind(role)
            .bind(after)
            .bind(limit)
            .fetch_all()
            .await
            .map_err(context("listing the accounts with a role"))
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
