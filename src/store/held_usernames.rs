//! User names of closed and deleted accounts, as rows: no registration gets them for a time.

use super::{Store, broken, on_engine};
use crate::core::error::Fault;
use crate::core::secret::HeldUsernameDigest;

/// A user name that is held.
#[derive(Debug)]
pub struct HeldUsernameRow {
    pub digest: HeldUsernameDigest,
    /// The server secret that the digest was made with.
    pub secret_id: String,
    pub held_until: i64,
}

/// Holds a name by its digest ($1) under a server secret ($2) until an instant ($3), in the
/// transaction that removes its account.
pub(super) const HOLD: &str = "insert into held_usernames (digest, secret_id, held_until)
     values ($1, $2, $3) on conflict (digest) do update set held_until = excluded.held_until";

/// Is the name of a digest ($1) held at an instant ($2)?
pub(super) const COUNT_HELD: &str =
    "select count(*) from held_usernames where digest = $1 and held_until > $2";

/// Releases the name of a digest ($1).
pub(super) const RELEASE: &str = "delete from held_usernames where digest = $1";

impl Store {
    /// Releases a user name by all its digests; true if it was held.
    pub async fn release_username(&self, digests: &[HeldUsernameDigest]) -> Result<bool, Fault> {
        let mut released = 0;
        for digest in digests {
            let row = on_engine!(self.writer(), |pool| {
                sqlx::query(RELEASE)
                    .bind(digest.as_bytes())
                    .execute(pool)
                    .await
                    .map(|done| done.rows_affected())
            });
            released += row.map_err(broken("releasing a user name"))?;
        }
        Ok(released > 0)
    }

    /// Is any user name held? One row is looked at.
    pub async fn holds_usernames(&self) -> Result<bool, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar::<_, i64>(
                "select count(*) from (select 1 from held_usernames limit 1) h",
            )
            .fetch_one(pool)
            .await
            .map(|found| found > 0)
        })
        .map_err(broken("looking for held user names"))
    }

    /// The server secrets that held user names need at an instant, and how many need each.
    pub async fn server_secrets_in_use(&self, now: i64) -> Result<Vec<(String, i64)>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(SECRETS_IN_USE).bind(now).fetch_all(pool).await
        })
        .map_err(broken("looking for the server secrets in use"))
    }

    /// Releases up to `limit` user names that are held under this server secret; how many those were.
    pub async fn forget_held_usernames(&self, secret_id: &str, limit: i64) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "delete from held_usernames where digest in (
                     select digest from held_usernames where secret_id = $1 limit $2)",
            )
            .bind(secret_id)
            .bind(limit)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })
        .map_err(broken("releasing user names"))
    }

    /// Removes up to `limit` names that are no longer held; how many those were.
    pub async fn remove_expired_held_usernames(&self, now: i64, limit: i64) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "delete from held_usernames where digest in (
                     select digest from held_usernames where held_until <= $1 limit $2)",
            )
            .bind(now)
            .bind(limit)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })
        .map_err(broken("removing user names that are no longer held"))
    }
}

/// The server secrets of the names that are held at an instant ($1), and how many names need each.
pub(super) const SECRETS_IN_USE: &str = "select secret_id, count(*) from held_usernames
     where held_until > $1 group by secret_id order by secret_id";
