//! Sessions as rows.

use sqlx::FromRow;

use super::{Store, broken, on_engine};
use crate::fault::Fault;
use crate::secret::{PasswordHash, SidDigest};

#[derive(Debug, FromRow)]
pub struct SessionRow {
    pub id: String,
    pub account_id: String,
    pub remember: i64,
    pub created_at: i64,
    pub last_seen_at: i64,
    pub expires_at: i64,
}

/// A session that has not been ended, and whose it is.
#[derive(Debug, FromRow)]
pub struct LiveSessionRow {
    #[sqlx(flatten)]
    pub session: SessionRow,
    pub username: String,
    pub account_created_at: i64,
}

#[derive(Debug)]
pub struct NewSessionRow<'a> {
    pub digest: SidDigest,
    pub session: &'a SessionRow,
}

impl Store {
    /// Adds the session if the account still has this password and is not disabled; false if not.
    ///
    /// One statement, so that no session outlives a password change that it races with.
    pub async fn add_session(
        &self,
        new: &NewSessionRow<'_>,
        checked: &PasswordHash,
    ) -> Result<bool, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "insert into sessions
                     (digest, id, account_id, remember, created_at, last_seen_at, expires_at)
                 select $1, $2, accounts.id, $3, $4, $5, $6 from accounts
                 where accounts.id = $7 and password_hash = $8 and disabled_at is null",
            )
            .bind(new.digest.as_bytes())
            .bind(&new.session.id)
            .bind(new.session.remember)
            .bind(new.session.created_at)
            .bind(new.session.last_seen_at)
            .bind(new.session.expires_at)
            .bind(&new.session.account_id)
            .bind(checked.expose()) // is it still the one that was verified?
            .execute(pool)
            .await
            .map(|done| done.rows_affected() == 1)
        })
        .map_err(broken("adding a session"))
    }

    /// The session that this token stands for, unless it has been ended.
    pub async fn live_session(&self, digest: SidDigest) -> Result<Option<LiveSessionRow>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(
                "select sessions.id, account_id, remember, sessions.created_at, last_seen_at,
                        expires_at, username, accounts.created_at as account_created_at
                 from sessions join accounts on accounts.id = account_id
                 where digest = $1 and ended_at is null and disabled_at is null",
            )
            .bind(digest.as_bytes())
            .fetch_optional(pool)
            .await
        })
        .map_err(broken("looking a session up"))
    }

    /// Writes down that the session was used at `now`, unless a later use is written already.
    pub async fn session_seen(&self, id: &str, now: i64) -> Result<(), Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query("update sessions set last_seen_at = $2 where id = $1 and last_seen_at < $2")
                .bind(id)
                .bind(now)
                .execute(pool)
                .await
                .map(drop)
        })
        .map_err(broken("noting when a session was last seen"))
    }

    /// Ends the session for good; nothing happens if it has ended.
    pub async fn end_session(&self, digest: SidDigest, now: i64) -> Result<(), Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query("update sessions set ended_at = $2 where digest = $1 and ended_at is null")
                .bind(digest.as_bytes())
                .bind(now)
                .execute(pool)
                .await
                .map(drop)
        })
        .map_err(broken("ending a session"))
    }
}
