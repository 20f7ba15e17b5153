//! Which passwords are the most expensive to verify, and which pepper each of them needs.

use crate::core::error::Fault;
use crate::core::secret::PasswordHash;
use crate::store::Store;
use crate::store::errors::context;

impl Store {
    /// The dearest hash of those that cost less than this to verify, and what it costs: one step in
    /// the index.
    pub async fn hash_priced_below(&self, cost: i64) -> Result<Option<(i64, PasswordHash)>, Fault> {
        self.reader()
            .query(
                "select hash_cost, password_hash from accounts
                 where hash_cost < $1 order by hash_cost desc limit 1",
            )
            .bind(cost)
            .fetch_optional::<(i64, String)>()
            .await
            .map(|found| found.map(|(cost, hash)| (cost, PasswordHash::from(hash))))
            .map_err(context("looking for the dearest hashes"))
    }

    /// The peppers that some password needs: a step in the index for each.
    pub async fn peppers_in_use(&self) -> Result<Vec<String>, Fault> {
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
            .map_err(context("looking for the peppers in use"))
    }

    /// How many passwords need this pepper.
    pub async fn count_peppered(&self, pepper: &str) -> Result<i64, Fault> {
        self.reader()
            .query("select count(*) from accounts where pepper = $1")
            .bind(pepper)
            .fetch_value()
            .await
            .map_err(context("counting the passwords of a pepper"))
    }

    /// How many accounts have a password without a pepper, or none.
    pub async fn count_unpeppered(&self) -> Result<i64, Fault> {
        self.reader()
            .query("select count(*) from accounts where pepper is null")
            .fetch_value()
            .await
            .map_err(context("counting the passwords without a pepper"))
    }

    /// Whose passwords need this pepper, by name.
    pub async fn names_peppered(&self, pepper: &str) -> Result<Vec<String>, Fault> {
        self.reader()
            .query("select username from accounts where pepper = $1 order by username")
            .bind(pepper)
            .fetch_values()
            .await
            .map_err(context("looking for the passwords of a pepper"))
    }

    /// Puts something that is no hash in the place of up to `limit` of those that need this pepper; how
    /// many those were.
    pub async fn remove_peppered(
        &self,
        pepper: &str,
        none: &str,
        hash_cost: i64,
        limit: i64,
    ) -> Result<u64, Fault> {
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
            .map_err(context("taking passwords away"))
    }
}
