//! Finds the password hashes that are the most expensive to verify, and the peppers that hashes
//! need.

use crate::core::error::InternalError;
use crate::core::secret::PasswordHash;
use crate::store::Store;
use crate::store::errors::context;

impl Store {
    /// Finds the most expensive hash whose cost is less than this, and its cost: one step in the
    /// index.
    pub async fn hash_priced_below(
        &self,
        cost: i64,
    ) -> Result<Option<(i64, PasswordHash)>, InternalError> {
        self.reader()
            .query(
                "select hash_cost, password_hash from accounts
                 where hash_cost < $1 order by hash_cost desc limit 1",
            )
            .bind(cost)
            .fetch_optional::<(i64, String)>()
            .await
            .map(|found| found.map(|(cost, hash)| (cost, PasswordHash::from(hash))))
            .map_err(context("finding the most expensive hashes"))
    }

    /// Lists the peppers that password hashes need, with one index step for each.
    pub async fn peppers_in_use(&self) -> Result<Vec<String>, InternalError> {
        self.reader()
            .query(
                "with recursive used (id) as (
                     select min(pepper) from accounts where pepper is not null
                     union all
                     select (select min(pepper) from accounts where pepper > used.id)
                     from used where used.id is not null
                 )
                 select id from used where id is not null",
            )
            .fetch_values()
            .await
            .map_err(context("finding the peppers in use"))
    }

    /// Counts the accounts whose password needs this pepper.
    pub async fn count_peppered(&self, pepper: &str) -> Result<i64, InternalError> {
        self.reader()
            .query("select count(*) from accounts where pepper = $1")
            .bind(pepper)
            .fetch_value()
            .await
            .map_err(context("counting the passwords of a pepper"))
    }

    /// Counts the accounts whose password needs no pepper, or that have no password.
    pub async fn count_unpeppered(&self) -> Result<i64, InternalError> {
        self.reader()
            .query("select count(*) from accounts where pepper is null")
            .fetch_value()
            .await
            .map_err(context("counting the passwords without a pepper"))
    }

    /// Lists the user names of the accounts whose password needs this pepper.
    pub async fn names_peppered(&self, pepper: &str) -> Result<Vec<String>, InternalError> {
        self.reader()
            .query("select username from accounts where pepper = $1 order by username")
            .bind(pepper)
            .fetch_values()
            .await
            .map_err(context("finding the passwords of a pepper"))
    }

    /// Replaces up to `limit` hashes that need this pepper with `none`, which is not a valid hash.
    /// Returns how many were replaced.
    pub async fn remove_peppered(
        &self,
        pepper: &str,
        none: &str,
        hash_cost: i64,
        limit: i64,
    ) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "update accounts set password_hash = $2, hash_cost = $3, pepper = null,
                        password_version = password_version + 1
                 where id in (select id from accounts where pepper = $1 limit $4)",
            )
            .bind(pepper)
            .bind(none)
            .bind(hash_cost)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing passwords"))
    }
}
