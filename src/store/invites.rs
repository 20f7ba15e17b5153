//! The table `invites`.

use super::Store;
use super::engine::connection::Connection;
use super::engine::from_row::from_row;
use super::errors::context;
use crate::core::error::InternalError;
use crate::core::secret::InviteDigest;

/// An unused invite.
#[derive(Debug)]
pub struct InviteRow {
    pub id: String,
    pub created_at: i64,
    pub expires_at: i64,
}

from_row!(InviteRow { id, created_at, expires_at });

impl Store {
    /// Adds an invite.
    pub async fn add_invite(
        &self,
        digest: InviteDigest,
        invite: &InviteRow,
    ) -> Result<(), InternalError> {
        self.writer()
            .query(
                "insert into invites (digest, id, created_at, expires_at)
                 values ($1, $2, $3, $4)",
            )
            .bind(digest.as_bytes())
            .bind(&invite.id)
            .bind(invite.created_at)
            .bind(invite.expires_at)
            .execute()
            .await
            .map(drop)
            .map_err(context("adding an invite"))
    }

    /// Whether there is a valid invite with this digest.
    pub async fn has_invite(&self, digest: InviteDigest, now: i64) -> Result<bool, InternalError> {
        self.reader()
            .query("select count(*) from invites where digest = $1 and expires_at > $2")
            .bind(digest.as_bytes())
            .bind(now)
            .fetch_value::<i64>()
            .await
            .map(|found| found > 0)
            .map_err(context("finding an invite"))
    }

    /// Lists valid invites by expiry: at most `limit`, starting after the given one.
    pub async fn invites_behind(
        &self,
        now: i64,
        (expires_at, id): (i64, &str),
        limit: i64,
    ) -> Result<Vec<InviteRow>, InternalError> {
        self.reader()
            .query(
                "select id, created_at, expires_at from invites
                 where expires_at > $1 and (expires_at > $2 or (expires_at = $2 and id > $3))
                 order by expires_at, id limit $4",
            )
            .bind(now)
            .bind(expires_at)
            .bind(id)
            .bind(limit)
            .fetch_all()
            .await
            .map_err(context("listing the invites"))
    }

    /// Removes the invite with this id. Returns false if there is none.
    pub async fn remove_invite(&self, id: &str) -> Result<bool, InternalError> {
        self.writer()
            .query("delete from invites where id = $1")
            .bind(id)
            .execute()
            .await
            .map(|removed| removed == 1)
            .map_err(context("removing an invite"))
    }

    /// Removes up to `limit` expired invites. Returns how many were removed.
    pub async fn remove_expired_invites(&self, now: i64, limit: i64) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from invites where digest in (
                     select digest from invites where expires_at <= $1 limit $2)",
            )
            .bind(now)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing expired invites"))
    }

    /// Removes all invites. Returns how many were removed.
    pub async fn remove_all_invites(&self) -> Result<u64, InternalError> {
        self.writer()
            .query("delete from invites")
            .execute()
            .await
            .map_err(context("removing the invites"))
    }
}

/// Uses up the invite with this digest, if it is valid. Of two concurrent registrations, only one
/// deletes the row.
pub async fn use_up_invite(
    db: &mut impl Connection,
    digest: InviteDigest,
    now: i64,
) -> sqlx::Result<bool> {
    db.query("delete from invites where digest = $1 and expires_at > $2")
        .bind(digest.as_bytes())
        .bind(now)
        .execute()
        .await
        .map(|used| used > 0)
}
