//! The table `held_usernames`: user names of closed and deleted accounts, which are reserved for a
//! time.

use super::Store;
use super::engine::connection::Connection;
use super::errors::context;
use crate::core::error::InternalError;
use crate::core::secret::HeldUsernameDigest;

/// A reserved user name.
#[derive(Debug)]
pub struct HeldUsernameRow {
    pub digest: HeldUsernameDigest,
    /// The id of the server secret that the digest was computed with.
    pub secret_id: String,
    pub held_until: i64,
}

/// Releases the user name with a digest ($1).
const RELEASE: &str = "delete from held_usernames where digest = $1";

impl Store {
    /// Releases a user name by all its digests. Returns true if it was reserved.
    pub async fn release_username(
        &self,
        digests: &[HeldUsernameDigest],
    ) -> Result<bool, InternalError> {
        let mut released = 0;
        for digest in digests {
            let release = self.writer().query(RELEASE).bind(digest.as_bytes());
            released += release.execute().await.map_err(context("releasing a user name"))?;
        }
        Ok(released > 0)
    }

    /// Whether any user name is reserved. Reads at most one row.
    pub async fn holds_usernames(&self) -> Result<bool, InternalError> {
        self.reader()
            .query("select count(*) from (select 1 from held_usernames limit 1) h")
            .fetch_value::<i64>()
            .await
            .map(|found| found > 0)
            .map_err(context("finding held user names"))
    }

    /// Lists the server secrets that reserved user names need at an instant, with the number of
    /// names for each.
    pub async fn server_secrets_in_use(
        &self,
        now: i64,
    ) -> Result<Vec<(String, i64)>, InternalError> {
        self.reader()
            .query(SECRETS_IN_USE)
            .bind(now)
            .fetch_all()
            .await
            .map_err(context("finding the server secrets in use"))
    }

    /// Releases up to `limit` user names that are reserved under this server secret. Returns how
    /// many were released.
    pub async fn forget_held_usernames(
        &self,
        secret_id: &str,
        limit: i64,
    ) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from held_usernames where digest in (
                     select digest from held_usernames where secret_id = $1 limit $2)",
            )
            .bind(secret_id)
            .bind(limit)
            .execute()
            .await
            .map_err(context("releasing user names"))
    }

    /// Removes up to `limit` user names whose reservation has expired. Returns how many were
    /// removed.
    pub async fn remove_expired_held_usernames(
        &self,
        now: i64,
        limit: i64,
    ) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from held_usernames where digest in (
                     select digest from held_usernames where held_until <= $1 limit $2)",
            )
            .bind(now)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing expired user name holds"))
    }
}

/// The server secrets of the user names that are reserved at an instant ($1), with the number of
/// names for each.
pub const SECRETS_IN_USE: &str = "select secret_id, count(*) from held_usernames
     where held_until > $1 group by secret_id order by secret_id";

/// Reserves a user name, in the transaction that removes its account.
pub async fn hold_username(db: &mut impl Connection, held: &HeldUsernameRow) -> sqlx::Result<()> {
    db.query(
        "insert into held_usernames (digest, secret_id, held_until)
         values ($1, $2, $3) on conflict (digest) do update set held_until = excluded.held_until",
    )
    .bind(held.digest.as_bytes())
    .bind(&held.secret_id)
    .bind(held.held_until)
    .execute()
    .await
    .map(drop)
}

/// Counts the rows that reserve the user name of a digest at an instant: one or none.
pub async fn count_held(
    db: &mut impl Connection,
    digest: &HeldUsernameDigest,
    now: i64,
) -> sqlx::Result<i64> {
    db.query("select count(*) from held_usernames where digest = $1 and held_until > $2")
        .bind(digest.as_bytes())
        .bind(now)
        .fetch_value()
        .await
}

/// Releases the user name of a digest. Returns the number of deleted rows.
pub async fn release_held(
    db: &mut impl Connection,
    digest: &HeldUsernameDigest,
) -> sqlx::Result<u64> {
    db.query(RELEASE).bind(digest.as_bytes()).execute().await
}
